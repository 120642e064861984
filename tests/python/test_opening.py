"""Opening associations: refusal, bad arguments, local addresses, limits on connections."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from conftest import wait_until
from dimsefast import AssociationAborted, AssociationRejected, AssociationTimeout, PeerUnreachable, build_context
from dimsefast.sop_class import Verification
from faces import AE, face  # noqa: F401
from scripted import raw_listener
from service_cases import FIND, connect, provider

ECHO = [build_context(Verification)]


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
