"""Associations from beginning to end: negotiation, refusal, time-outs, abort and release from anywhere, events,
limits.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import (
    AssociationAborted,
    AssociationRejected,
    AssociationTimeout,
    PeerUnreachable,
    build_context,
    build_role,
    evt,
)
from dimsefast.pdu_primitives import SOPClassExtendedNegotiation, UserIdentityNegotiation
from dimsefast.sop_class import CTImageStorage, Verification
from faces import AE, face  # noqa: F401
from test_services import CT, FIND, GET, connect, provider, query

ECHO = [build_context(Verification)]


@contextmanager
def raw_listener(*answers: bytes, close: bool = False) -> Iterator[int]:
    """A peer that sends these bytes, whatever it is told, and then keeps silent."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        try:
            stream, _ = listener.accept()
        except OSError:
            return
        with stream:
            stream.recv(65536)
            for answer in answers:
                stream.sendall(answer)
            if not close:
                ended.wait(20)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ended.set()
        listener.close()
        thread.join()


# Opening


def test_state_before_during_and_after() -> None:
    with provider() as server:
        assoc = connect(server, Verification)
        assert (assoc.is_established, assoc.is_released, assoc.is_aborted, assoc.is_rejected) == (
            True,
            False,
            False,
            False,
        )
        assert assoc.requestor.ae_title == "REQUESTOR" and assoc.acceptor.ae_title == "PROVIDER"
        (acceptor,) = server.active_associations
        assert acceptor.is_acceptor and acceptor.requestor.ae_title == "REQUESTOR"
        assert acceptor.requestor.port == assoc.requestor.port
        assert acceptor.acceptor.maximum_length == assoc.acceptor.maximum_length == 262144
        assoc.release()
        assert (assoc.is_established, assoc.is_released, assoc.is_aborted) == (False, True, False)
        assoc.release()
        assoc.abort()
        assert assoc.is_released and not assoc.is_aborted
        wait_until(lambda: not server.active_associations)
        assert acceptor.is_released


def test_as_a_context_manager_it_is_released_or_aborted() -> None:
    with provider() as server:
        with connect(server, Verification) as assoc:
            pass
        assert assoc.is_released
        with pytest.raises(KeyError), connect(server, Verification) as assoc:
            raise KeyError
        assert assoc.is_aborted


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ae = AE()
    assoc = ae.associate("127.0.0.1", port, contexts=ECHO, ae_title="GONE")
    assert assoc.is_aborted and not assoc.is_established
    with pytest.raises(PeerUnreachable, match=f"GONE@127.0.0.1:{port}") as caught:
        ae.connect("127.0.0.1", port, contexts=ECHO, ae_title="GONE")
    assert isinstance(caught.value, ConnectionError)
    with pytest.raises(RuntimeError, match="GONE"):
        assoc.send_c_echo()


def test_a_peer_that_is_no_dicom_node() -> None:
    with raw_listener(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n") as port:
        with pytest.raises(AssociationAborted, match="no DICOM node"):
            AE().connect("127.0.0.1", port, contexts=ECHO)


def test_a_peer_that_closes_or_says_nothing() -> None:
    with raw_listener(close=True) as port, pytest.raises(AssociationAborted, match="closed by the peer"):
        AE().connect("127.0.0.1", port, contexts=ECHO)
    ae = AE()
    ae.acse_timeout = 0.2
    with raw_listener() as port, pytest.raises(AssociationTimeout, match="ACSE"):
        ae.connect("127.0.0.1", port, contexts=ECHO)


def test_refused_with_the_reason_in_words() -> None:
    ae = AE("PROVIDER")
    ae.add_supported_context(Verification)
    ae.require_called_aet = True
    with ae.start_server(("127.0.0.1", 0), block=False) as server:
        with pytest.raises(AssociationRejected, match=r"WRONG@.*called AE title") as caught:
            AE().connect("127.0.0.1", server.port, contexts=ECHO, ae_title="WRONG")
        assert (caught.value.result, caught.value.source, caught.value.reason) == (1, 1, 7)
        ae.require_calling_aet = ["FRIEND"]
        with pytest.raises(AssociationRejected) as caught:
            AE("STRANGER").connect("127.0.0.1", server.port, contexts=ECHO, ae_title="PROVIDER")
        assert caught.value.reason == 3
        assert AE().associate("127.0.0.1", server.port, contexts=ECHO).is_rejected
        with AE("FRIEND").connect("127.0.0.1", server.port, contexts=ECHO, ae_title="PROVIDER") as assoc:
            assert assoc.send_c_echo().Status == 0


def test_no_context_in_common() -> None:
    with provider(contexts=(Verification,)) as server:
        assoc = AE().associate("127.0.0.1", server.port, contexts=[build_context(FIND)])
        assert assoc.is_aborted
        with pytest.raises(AssociationAborted, match="none of the proposed"):
            AE().connect("127.0.0.1", server.port, contexts=[build_context(FIND)])


def test_bad_arguments() -> None:
    ae = AE()
    with pytest.raises(RuntimeError, match="presentation contexts"):
        ae.associate("127.0.0.1", 104)
    for title, error in (
        ("", ValueError),
        ("A" * 17, ValueError),
        ("A\\B", ValueError),
        (" ", ValueError),
        (5, TypeError),
    ):
        with pytest.raises(error):
            ae.associate("127.0.0.1", 104, contexts=ECHO, ae_title=title)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        ae.associate(104, 104, contexts=ECHO)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        ae.associate("127.0.0.1", "104", contexts=ECHO)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        ae.associate("127.0.0.1", 104, contexts=ECHO, bind_address=("x",))
    with pytest.raises(ValueError, match="supported"):
        ae.start_server(("127.0.0.1", 0), block=False)
    ae.add_supported_context(Verification, scu_role=False, scp_role=False)
    with pytest.raises(ValueError, match="roles"):
        ae.start_server(("127.0.0.1", 0), block=False)


def test_a_port_in_use_names_itself() -> None:
    with provider() as server:
        ae = AE()
        ae.add_supported_context(Verification)
        with pytest.raises(OSError, match=str(server.port)):
            ae.start_server(("127.0.0.1", server.port), block=False)


def test_the_port_can_be_bound_again_at_once() -> None:
    server = provider()
    assoc = connect(server, Verification)
    server.shutdown()
    server.shutdown()
    ae = AE()
    ae.add_supported_context(Verification)
    with ae.start_server(("127.0.0.1", server.port), block=False):
        pass
    wait_until(lambda: not assoc.is_established)
    assert assoc.is_aborted


def test_a_local_address_can_be_bound() -> None:
    with provider() as server, connect(server, Verification, bind_address=("127.0.0.2", 0)) as assoc:
        assert assoc.requestor.address == "127.0.0.2"


# Limits


def test_one_association_too_many_is_rejected_for_now() -> None:
    ae = AE("PROVIDER")
    ae.add_supported_context(Verification)
    ae.maximum_associations = 2
    with ae.start_server(("127.0.0.1", 0), block=False) as server:
        first, second = connect(server, Verification), connect(server, Verification)
        with pytest.raises(AssociationRejected, match="limit") as caught:
            connect(server, Verification)
        assert (caught.value.result, caught.value.source, caught.value.reason) == (2, 3, 2)
        first.release()
        wait_until(lambda: len(server.active_associations) == 1)
        connect(server, Verification).release()
        second.release()
        ae.maximum_associations = 10
        ae.maximum_associations_per_calling_aet = 1
        with connect(server, Verification), pytest.raises(AssociationRejected):
            connect(server, Verification)


def test_silent_connections_keep_nobody_out() -> None:
    with provider() as server:
        silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(60)]
        try:
            with connect(server, Verification) as assoc:
                assert assoc.send_c_echo().Status == 0
            wait_until(lambda: not server.active_associations)
        finally:
            for stream in silent:
                stream.close()


def test_a_silent_connection_is_closed_after_the_acse_timeout() -> None:
    ae = AE()
    ae.add_supported_context(Verification)
    ae.acse_timeout = 0.2
    with (
        ae.start_server(("127.0.0.1", 0), block=False) as server,
        socket.create_connection(("127.0.0.1", server.port)) as stream,
    ):
        stream.settimeout(10)
        assert stream.recv(1) == b""


def test_many_idle_associations_take_few_threads_and_little_memory() -> None:
    def status(field: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(field)).split()[1])

    ae = AE("PROVIDER")
    ae.add_supported_context(Verification)
    ae.maximum_associations = 1000
    with ae.start_server(("127.0.0.1", 0), block=False) as server:
        connect(server, Verification).release()
        threads, memory = status("Threads"), status("VmRSS")
        many = [connect(server, Verification) for _ in range(300)]
        # Threads that had something to do for a moment end when they have not for a while.
        wait_until(lambda: status("Threads") <= threads + 2)
        # Both ends of each are in this process, with a Python object at one of them.
        assert (status("VmRSS") - memory) * 1024 / len(many) < 2 * 64 * 1024
        assert all(assoc.send_c_echo().Status == 0 for assoc in many)
        for assoc in many:
            assoc.release()


# Time-outs


def test_the_network_timeout_aborts_either_role() -> None:
    ae = AE("PROVIDER")
    ae.add_supported_context(Verification)
    ae.network_timeout = 0.3
    with ae.start_server(("127.0.0.1", 0), block=False) as server:
        assoc = connect(server, Verification)
        wait_until(lambda: assoc.is_aborted, "the acceptor's network time-out")
    with provider() as server:
        assoc = connect(server, Verification)
        assoc.network_timeout = 0.3
        assert assoc.send_c_echo().Status == 0
        wait_until(lambda: assoc.is_aborted, "the requestor's network time-out, between calls")
        wait_until(lambda: not server.active_associations)


def test_the_network_timeout_leaves_a_working_handler_alone() -> None:
    def on_echo(event: Any) -> int:
        time.sleep(0.7)
        return 0

    ae = AE("PROVIDER")
    ae.add_supported_context(Verification)
    ae.network_timeout = 0.2
    with ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_ECHO, on_echo)]) as server:
        assoc = connect(server, Verification)
        assert assoc.send_c_echo().Status == 0
        wait_until(lambda: assoc.is_aborted, "the time-out after the handler was done")


def test_no_answer_within_the_dimse_timeout_is_an_empty_status() -> None:
    go_on = threading.Event()
    with provider((evt.EVT_C_ECHO, lambda event: go_on.wait(10) and 0)) as server:
        assoc = connect(server, Verification)
        assoc.dimse_timeout = 0.2
        assert "Status" not in assoc.send_c_echo()
        assert assoc.is_aborted
        go_on.set()


# Ending from anywhere


def test_abort_from_another_thread_ends_a_waiting_call() -> None:
    started, go_on = threading.Event(), threading.Event()

    def on_echo(event: Any) -> int:
        started.set()
        go_on.wait(10)
        return 0

    with provider((evt.EVT_C_ECHO, on_echo)) as server:
        assoc = connect(server, Verification)
        thread = threading.Thread(target=lambda: started.wait(10) and assoc.abort())
        thread.start()
        assert "Status" not in assoc.send_c_echo()
        thread.join()
        assert assoc.is_aborted
        go_on.set()


@pytest.mark.blocking
@pytest.mark.parametrize("how", ["abort", "release"])
def test_a_handler_may_end_its_own_association(how: str) -> None:
    def on_echo(event: Any) -> int:
        getattr(event.assoc, how)()
        return 0

    with provider((evt.EVT_C_ECHO, on_echo)) as server:
        server.ae.acse_timeout = 2
        assoc = connect(server, Verification)
        assert "Status" not in assoc.send_c_echo()
        wait_until(lambda: assoc.is_aborted or assoc.is_released)
        wait_until(lambda: not server.active_associations)


def test_an_abort_of_the_peer_is_noticed_between_calls() -> None:
    told: list[str] = []
    with provider() as server:
        assoc = connect(server, Verification, evt_handlers=[(evt.EVT_ABORTED, lambda event: told.append("aborted"))])
        (acceptor,) = server.active_associations
        acceptor.abort()
        wait_until(lambda: assoc.is_aborted)
        wait_until(lambda: told == ["aborted"])
        with pytest.raises(RuntimeError, match="not established"):
            assoc.send_c_echo()


def test_an_association_that_is_forgotten_is_aborted() -> None:
    told: list[str] = []
    with provider((evt.EVT_ABORTED, lambda event: told.append("aborted"))) as server:
        assoc = connect(server, Verification)
        assert assoc.send_c_echo().Status == 0
        del assoc
        wait_until(lambda: told == ["aborted"])


def test_handlers_see_what_was_negotiated_whatever_else_is_bound() -> None:
    seen: list[Any] = []

    def on_echo(event: Any) -> int:
        assoc = event.assoc
        seen.append((assoc.requestor.ae_title, assoc.acceptor.maximum_length, len(assoc.requestor.requested_contexts)))
        return 0

    handlers = [(evt.EVT_CONN_OPEN, lambda event: None), (evt.EVT_USER_ID, lambda event: (True, None))]
    with provider(*handlers, (evt.EVT_C_ECHO, on_echo)) as server, connect(server, Verification) as assoc:
        assert assoc.send_c_echo().Status == 0
    assert seen == [("REQUESTOR", 262144, 1)]


def test_a_graceful_shutdown_waits_for_the_associations() -> None:
    server = provider()
    assoc = connect(server, Verification)
    thread = threading.Thread(target=server.shutdown, args=(10,))
    thread.start()
    assert assoc.send_c_echo().Status == 0
    assoc.release()
    thread.join(5)
    assert not thread.is_alive() and assoc.is_released


def test_serving_blocks_until_shutdown() -> None:
    ae = AE()
    ae.add_supported_context(Verification)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    thread = threading.Thread(target=ae.start_server, args=(("127.0.0.1", port),))
    thread.start()
    wait_until(lambda: AE().associate("127.0.0.1", port, contexts=ECHO).is_established)
    ae.shutdown()
    thread.join(10)
    assert not thread.is_alive()


# Events


def test_each_event_once_on_each_side() -> None:
    names = (
        "EVT_CONN_OPEN",
        "EVT_REQUESTED",
        "EVT_ACCEPTED",
        "EVT_ESTABLISHED",
        "EVT_RELEASED",
        "EVT_CONN_CLOSE",
        "EVT_ABORTED",
        "EVT_REJECTED",
    )
    told: dict[str, list[str]] = {"requestor": [], "acceptor": []}

    def tell(event: Any, side: str) -> None:
        told[side].append(event.event.name)

    def handlers(side: str) -> list[Any]:
        return [(getattr(evt, name), tell, [side]) for name in names]

    with provider(*handlers("acceptor")) as server:
        connect(server, Verification, evt_handlers=handlers("requestor")).release()
        wait_until(lambda: not server.active_associations)
        expected = [
            "EVT_CONN_OPEN",
            "EVT_REQUESTED",
            "EVT_ACCEPTED",
            "EVT_ESTABLISHED",
            "EVT_RELEASED",
            "EVT_CONN_CLOSE",
        ]
        assert told["acceptor"] == expected
        wait_until(lambda: told["requestor"][-1:] == ["EVT_CONN_CLOSE"])
        assert told["requestor"] == expected
        for side in told.values():
            side.clear()
        connect(server, Verification, evt_handlers=handlers("requestor")).abort()
        wait_until(lambda: not server.active_associations)
        assert told["acceptor"][-2:] == ["EVT_ABORTED", "EVT_CONN_CLOSE"]
        wait_until(lambda: told["requestor"][-2:] == ["EVT_ABORTED", "EVT_CONN_CLOSE"])


def test_a_handler_that_raises_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "dimsefast"), provider((evt.EVT_ESTABLISHED, lambda event: 1 / 0)) as server:
        with connect(server, Verification) as assoc:
            assert assoc.send_c_echo().Status == 0
    assert "EVT_ESTABLISHED" in caplog.text


def test_binding_on_a_running_server() -> None:
    def first(event: Any) -> int:
        return 0x0111

    def second(event: Any) -> int:
        return 0x0112

    with provider() as server, connect(server, Verification) as assoc:
        server.bind(evt.EVT_C_ECHO, first)
        server.bind(evt.EVT_C_ECHO, second)
        assert server.get_handlers(evt.EVT_C_ECHO) == (second, None)
        assert assoc.send_c_echo().Status == 0x0112
        server.unbind(evt.EVT_C_ECHO, first)
        assert assoc.send_c_echo().Status == 0x0112
        server.unbind(evt.EVT_C_ECHO, second)
        assert assoc.send_c_echo().Status == 0x0000
        assert server.get_handlers(evt.EVT_RELEASED) == []
        server.bind(evt.EVT_RELEASED, first)
        server.bind(evt.EVT_RELEASED, first)
        assert server.get_handlers(evt.EVT_RELEASED) == [(first, None)]
        assert evt.EVT_RELEASED in server.get_events()


# Negotiation


def test_user_identity_and_extended_negotiation_reach_the_handlers() -> None:
    identity = UserIdentityNegotiation()
    identity.user_identity_type = 2
    identity.primary_field, identity.secondary_field = b"name", b"secret"
    identity.positive_response_requested = True
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid, extended.service_class_application_information = FIND, b"\1\1"

    def on_user(event: Any) -> Any:
        assert event.user_id_type == 2 and event.primary_field == b"name"
        return event.secondary_field == b"secret", b"welcome"

    handlers = [(evt.EVT_USER_ID, on_user), (evt.EVT_SOP_EXTENDED, lambda event: {FIND: event.app_info[FIND][:1]})]
    with provider(*handlers) as server:
        with connect(server, FIND, ext_neg=[identity, extended]) as assoc:
            assert assoc.acceptor.user_identity.server_response == b"welcome"
            assert assoc.acceptor.sop_class_extended == {FIND: b"\1"}
        identity.secondary_field = b"guessed"
        with pytest.raises(AssociationRejected):
            connect(server, FIND, ext_neg=[identity])


def test_what_was_negotiated_can_be_looked_at_late_and_is_the_same_each_time() -> None:
    contexts = [build_context(Verification), build_context(CTImageStorage), build_context("1.2.3")]
    with provider(contexts=(Verification, CTImageStorage)) as server:
        assoc = connect(server, contexts=contexts, ext_neg=[build_role(CTImageStorage, scp_role=True)])
        (acceptor,) = server.active_associations
        assoc.release()
        wait_until(lambda: not server.active_associations)
    for side, as_scu in ((assoc, False), (acceptor, True)):
        proposed = side.requestor.requested_contexts
        assert [(cx.context_id, cx.abstract_syntax) for cx in proposed] == [
            (1, Verification),
            (3, CTImageStorage),
            (5, "1.2.3"),
        ]
        assert [len(cx.transfer_syntax) for cx in proposed] == [4, 4, 4] and proposed[0].result is None
        assert [cx.context_id for cx in side.accepted_contexts] == [1, 3]
        assert [len(cx.transfer_syntax) for cx in side.accepted_contexts] == [1, 1]
        assert (side.accepted_contexts[1].as_scu, side.accepted_contexts[1].as_scp) == (as_scu, not as_scu)
        (rejected,) = side.rejected_contexts
        assert (rejected.context_id, rejected.result, len(rejected.transfer_syntax)) == (5, 3, 4)
        assert [cx.result for cx in side.acceptor.get_contexts("pcdrl")] == [0, 0, 3]
        assert side.requestor.role_selection[CTImageStorage].scp_role is True
        assert side.requestor.extended_negotiation == [build_role(CTImageStorage, scp_role=True)]
        assert side.acceptor.extended_negotiation == [build_role(CTImageStorage, scp_role=True)]
        # Looked at twice, they are the same objects; the lists of results are new ones.
        assert side.requestor.requested_contexts is proposed
        assert side.requestor.extended_negotiation[0] is side.requestor.extended_negotiation[0]
        assert side.accepted_contexts[0] is side.accepted_contexts[0]
        assert side.accepted_contexts is not side.accepted_contexts
    assert [context.abstract_syntax for context in acceptor.acceptor.supported_contexts] == [
        Verification,
        CTImageStorage,
    ]
    # A side may be kept when its association is not.
    user = assoc.requestor
    del assoc, side
    assert len(user.requested_contexts) == 3 and user.ae_title == "REQUESTOR"


def test_contexts_that_change_are_proposed_as_they_are_then() -> None:
    ae = AE()
    ae.add_requested_context(Verification, "1.2.840.10008.1.2.2")
    with provider() as server:
        for syntaxes in (["1.2.840.10008.1.2.2"], ["1.2.840.10008.1.2.2", "1.2.840.10008.1.2"]):
            with ae.connect("127.0.0.1", server.port) as assoc:
                assert assoc.requestor.requested_contexts[0].transfer_syntax == syntaxes
                assert assoc.send_c_echo().Status == 0
            ae.requested_contexts[0].transfer_syntax.append("1.2.840.10008.1.2")  # type: ignore[arg-type]
        assert ae.requested_contexts[0].context_id is None


@pytest.mark.parametrize("proposed", [(True, True), (True, False), (False, True), None])
@pytest.mark.parametrize("supported", [(True, True), (True, False), (False, True), (None, None), (True, None)])
def test_roles(proposed: tuple[bool, bool] | None, supported: tuple[bool | None, bool | None]) -> None:
    ae = AE("PROVIDER")
    ae.add_supported_context(CTImageStorage, None, *supported)
    ae.add_supported_context(Verification)
    with ae.start_server(("127.0.0.1", 0), block=False) as server:
        roles = [] if proposed is None else [build_role(CTImageStorage, *proposed)]
        with connect(server, CTImageStorage, Verification, ext_neg=roles) as assoc:
            context = next(c for c in assoc.acceptor.get_contexts("pcdrl") if c.abstract_syntax == CTImageStorage)
            if proposed is None or None in supported:
                expected = (True, False)
            else:
                expected = (proposed[0] and bool(supported[0]), proposed[1] and bool(supported[1]))
            assert (context.as_scu, context.as_scp) == expected
            assert context.result == (0 if any(expected) else 1)


def test_asynchronous_operations_only_where_both_want_them() -> None:
    ae = AE("PROVIDER")
    ae.add_supported_context(Verification)
    with ae.start_server(("127.0.0.1", 0), block=False) as server:
        scu = AE()
        scu.asynchronous_operations = (5, 3)
        with scu.connect("127.0.0.1", server.port, contexts=ECHO) as assoc:
            assert assoc.acceptor.asynchronous_operations == (1, 1)
        ae.asynchronous_operations = (2, 4)
        with scu.connect("127.0.0.1", server.port, contexts=ECHO) as assoc:
            assert assoc.acceptor.asynchronous_operations == (4, 2)


# Peers that break off


def test_a_server_survives_whatever_is_thrown_at_it(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "dimsefast"), provider() as server:
        for hostile in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x01\x00\xff\xff\xff\xff",
            b"\x04\x00\x00\x00\x00\x06\x00\x00\x00\x02\x01\x03",
            b"\x01\x00\x00\x00\x00\x44" + b"\x00" * 68,
            bytes(range(256)),
            b"\x01",
        ):
            with socket.create_connection(("127.0.0.1", server.port)) as stream:
                stream.sendall(hostile)
        with connect(server, Verification) as assoc:
            assert assoc.send_c_echo().Status == 0
        wait_until(lambda: "no DICOM node" in caplog.text, "the log record of the core")


def test_a_peer_that_vanishes_in_the_middle_of_a_handler() -> None:
    entered, seen = threading.Event(), threading.Event()

    def on_find(event: Any) -> Any:
        entered.set()
        wait_until(lambda: event.is_cancelled, "the end of the association, seen by the handler")
        seen.set()
        yield 0xFF00, query(PatientID="late")

    with provider((evt.EVT_C_FIND, on_find)) as server:
        assoc = connect(server, FIND)
        thread = threading.Thread(target=lambda: entered.wait(10) and assoc.abort())
        thread.start()
        assert "Status" not in list(assoc.send_c_find(query(PatientID="*"), FIND))[-1][0]
        thread.join()
        assert seen.wait(10)
        wait_until(lambda: not server.active_associations)


def test_a_request_that_the_class_does_not_know_aborts() -> None:
    with provider() as server:
        assoc = connect(server, Verification)
        connection = assoc._connection
        assert connection is not None
        number = connection.begin(None)
        # Where the abort is quick, sending already fails.
        with pytest.raises(ConnectionAbortedError):
            connection.send_request(1, 0x0020, number, [(0x0002, str(Verification)), (0x0700, 2)], b"", 5.0)
            connection.receive(number, 5.0)
        assert assoc.is_aborted


def test_get_handler_sees_objects_by_path(tmp_path: Any) -> None:
    def on_get(event: Any) -> Any:
        yield 1
        yield 0xFF00, str(CT)

    with (
        provider((evt.EVT_C_GET, on_get)) as server,
        connect(
            server, GET, CTImageStorage, ext_neg=[build_role(CTImageStorage, scp_role=True)], store_to=tmp_path
        ) as assoc,
    ):
        *_, (status, _) = assoc.send_c_get(query(PatientID="1"), GET)
    assert status.Status == 0
