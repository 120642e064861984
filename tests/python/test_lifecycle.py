"""Associations until their end: time-outs, abort and release from anywhere, peers that break off."""

from __future__ import annotations

import logging
import socket
import threading
import time
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import build_context, evt
from dimsefast.sop_class import Verification
from faces import AE, face  # noqa: F401
from service_cases import FIND, connect, provider, query

ECHO = [build_context(Verification)]


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
