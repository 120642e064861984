"""What programs written for pynetdicom count on beyond names: order, time-outs, what handlers may do, log records."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import __version__, _config, build_context, build_role, evt
from dimsefast.presentation import PresentationContext
from dimsefast.sop_class import CTImageStorage, Verification
from faces import AE, face  # noqa: F401
from pydicom import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from scripted import raw_listener
from service_cases import FIND, GET, MOVE, connect, provider, query
from test_sending import ct

ECHO = [build_context(Verification)]

# Time-outs


@pytest.mark.parametrize("response", ["A-ABORT", "A-P-ABORT", "A-RELEASE"])
@pytest.mark.parametrize("role", ["requestor", "acceptor"])
def test_what_the_network_timeout_leads_to(response: str, role: str, caplog: pytest.LogCaptureFixture) -> None:
    """In either role, as the AE says, or the association itself."""
    sources: list[int | None] = []

    def on_pdu(event: Any) -> None:
        sources.append(getattr(event.pdu, "source", None))

    ae = AE("PROVIDER")
    ae.add_supported_context(Verification)
    if role == "acceptor":
        ae.network_timeout, ae.network_timeout_response = 0.3, response
    with caplog.at_level(logging.INFO, logger="dimsefast"):
        handlers = [(evt.EVT_PDU_RECV, on_pdu)] if role == "requestor" else []
        with ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers) as server:
            own = AE("REQUESTOR")
            if role == "requestor":
                own.network_timeout_response = response
                own.network_timeout = 0.3
            handlers = [(evt.EVT_PDU_RECV, on_pdu)] if role == "acceptor" else []
            assoc = own.connect("127.0.0.1", server.port, contexts=ECHO, evt_handlers=handlers)
            wait_until(lambda: not assoc.is_alive() and not server.active_associations)
            assert (assoc.is_released, assoc.is_aborted) == (response == "A-RELEASE", response != "A-RELEASE")
            if response != "A-RELEASE":
                wait_until(lambda: sources[-1:] == [0 if response == "A-ABORT" else 2])
    # The server has shut down: everything has been logged by now.
    assert "Network timeout reached" in caplog.text


def test_the_response_to_a_network_timeout_of_one_association() -> None:
    with provider() as server:
        ae = AE("REQUESTOR")
        assoc = ae.connect("127.0.0.1", server.port, contexts=ECHO)
        assert ae.network_timeout_response == assoc.network_timeout_response == "A-ABORT"
        for one in (ae, assoc):
            with pytest.raises(ValueError, match="A-RELEASE"):
                one.network_timeout_response = "A-RELAX"
        # Those that are open follow the AE, until they are told otherwise.
        ae.network_timeout_response = "A-P-ABORT"
        assert assoc.network_timeout_response == "A-P-ABORT"
        assoc.network_timeout_response = "A-RELEASE"
        assoc.network_timeout = 0.1
        wait_until(lambda: assoc.is_released)


def test_an_acceptor_that_is_told_of_a_request_may_take_its_time(caplog: pytest.LogCaptureFixture) -> None:
    told, go_on = threading.Event(), threading.Event()

    def on_requested(event: Any) -> None:
        told.set()
        go_on.wait(30)

    with provider((evt.EVT_REQUESTED, on_requested)) as server:
        ae = AE("REQUESTOR")
        ae.acse_timeout = 0.2
        with caplog.at_level(logging.ERROR, logger="dimsefast"):
            assoc = ae.associate("127.0.0.1", server.port, contexts=ECHO)
        assert assoc.is_aborted and told.is_set()
        assert "ACSE timeout reached while waiting for response" in caplog.text
        go_on.set()
        with connect(server, Verification) as assoc:
            assert assoc.send_c_echo().Status == 0


# Negotiation


@pytest.mark.parametrize("event", ["EVT_CONN_OPEN", "EVT_REQUESTED", "EVT_ACSE_RECV", "EVT_PDU_RECV", "EVT_DATA_RECV"])
def test_who_is_told_of_a_request_may_abort_it(event: str) -> None:
    established: list[Any] = []

    def abort(event: Any) -> Any:
        return event.assoc.abort()

    with provider((getattr(evt, event), abort), (evt.EVT_ESTABLISHED, established.append)) as server:
        assoc = AE("REQUESTOR").associate("127.0.0.1", server.port, contexts=ECHO)
        assert assoc.is_aborted and not assoc.accepted_contexts
        wait_until(lambda: not server.active_associations)
    assert not established


def test_an_acceptor_may_prefer_its_own_order_of_transfer_syntaxes() -> None:
    proposed = [ImplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian]
    own = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
    ae = AE("PROVIDER")
    ae.add_supported_context(CTImageStorage, own)

    def accepted(server: Any) -> str:
        contexts = [build_context(CTImageStorage, proposed)]
        with AE("REQUESTOR").connect("127.0.0.1", server.port, contexts=contexts) as assoc:
            (context,) = assoc.accepted_contexts
            return str(context.transfer_syntax[0])

    with ae.start_server(("127.0.0.1", 0), block=False) as server:
        assert not ae.prefer_own_transfer_syntaxes
        assert accepted(server) == ImplicitVRLittleEndian
        ae.prefer_own_transfer_syntaxes = True
        assert accepted(server) == ExplicitVRLittleEndian
        only = {"REQUESTOR": [build_context(CTImageStorage, [ExplicitVRBigEndian, *own])]}
        server.offer([build_context(CTImageStorage)], only)
        assert accepted(server) == ExplicitVRBigEndian


def test_odd_uids_are_warned_of(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    context = PresentationContext()
    context.abstract_syntax = "1.2.3."
    context.transfer_syntax = ["1.2.4.", Verification, ImplicitVRLittleEndian]
    assert [record.getMessage() for record in caplog.records if record.name == "dimsefast.presentation"] == [
        "Invalid 'abstract_syntax' value '1.2.3.' - UID is non-conformant",
        "A non-conformant UID has been added to 'transfer_syntax': '1.2.4.'",
        "A UID has been added to 'transfer_syntax' that is not a transfer syntax: '1.2.840.10008.1.1'",
    ]
    monkeypatch.setattr(_config, "ENFORCE_UID_CONFORMANCE", True)
    with pytest.raises(ValueError, match="non-conformant"):
        context.abstract_syntax = "1.2.3.4."
    with pytest.raises(ValueError, match="invalid UID"):
        context.add_transfer_syntax("1.2.5.")
    assert context.abstract_syntax == "1.2.3." and "1.2.5." not in context.transfer_syntax


# Retrieval and queries


def retrieved(
    server: Any, model: str, ports: list[int], msg_id: int | None = None
) -> tuple[list[int | None], list[int]]:
    """Statuses, and the Message IDs of the sub-operations, of a C-GET, or of a C-MOVE to a port that is added."""
    numbers: list[int] = []

    def on_store(event: Any) -> int:
        numbers.append(event.request.MessageID)
        return 0

    ae = AE("REQUESTOR")
    ae.add_supported_context(CTImageStorage)
    ae.requested_contexts = [build_context(model), build_context(CTImageStorage)]
    handlers = [(evt.EVT_C_STORE, on_store)]
    with ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers) as own:
        ports.append(own.port)
        roles = [build_role(CTImageStorage, scp_role=True)]
        with ae.connect("127.0.0.1", server.port, ext_neg=roles, evt_handlers=handlers) as assoc:
            identifier = query(PatientID="*")
            if model == MOVE:
                answers = list(assoc.send_c_move(identifier, "REQUESTOR", MOVE, msg_id))
            else:
                answers = list(assoc.send_c_get(identifier, GET, msg_id))
    return [status.get("Status") for status, _ in answers], numbers


@pytest.mark.parametrize("model", [GET, MOVE])
def test_a_retrievals_handler_comes_to_its_end_and_numbers_follow_its_request(model: str) -> None:
    ended: list[str] = []
    beyond: list[Any] = []
    ports: list[int] = []

    def handler(event: Any) -> Iterator[Any]:
        if model == MOVE:
            yield "127.0.0.1", ports[-1]
        yield 3
        for number in range(3):
            yield 0xFF00, ct(number)
        ended.append("behind the last object")
        yield from beyond

    with provider((evt.EVT_C_MOVE if model == MOVE else evt.EVT_C_GET, handler)) as server:
        assert retrieved(server, model, ports) == ([0xFF00] * 3 + [0x0000], [2, 3, 4])
        assert retrieved(server, model, ports, 65534)[1] == [65535, 1, 2]
        # What it yields beyond what it has announced is ignored.
        beyond[:] = [(0xFF00, ct(9)), (0xA700, None)]
        assert retrieved(server, model, ports) == ([0xFF00] * 3 + [0x0000], [2, 3, 4])
    assert len(ended) == 3


def test_a_retrievals_handler_may_fail_or_abort_behind_its_last_object(caplog: pytest.LogCaptureFixture) -> None:
    def failing(event: Any) -> Iterator[Any]:
        yield 1
        yield 0xFF00, ct(1)
        raise LookupError("on purpose")

    def aborting(event: Any) -> Iterator[Any]:
        yield 1
        yield 0xFF00, ct(1)
        event.assoc.abort()

    with provider((evt.EVT_C_GET, failing)) as server:
        assert retrieved(server, GET, [])[0] == [0xFF00, 0x0000]
    assert "on purpose" in caplog.text
    with provider((evt.EVT_C_GET, aborting)) as server:
        assert retrieved(server, GET, [])[0] == [0xFF00, None]


def test_a_cancellation_in_a_context_that_was_not_accepted_is_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    with provider((evt.EVT_C_FIND, lambda event: iter([(0xFF00, query(PatientID="1"))]))) as server:
        with connect(server, FIND) as assoc:
            assoc.send_c_cancel(1, context_id=77)
            assert "77 is not the ID of an accepted presentation context" in caplog.text
            assert [status.Status for status, _ in assoc.send_c_find(query(PatientID="*"), FIND)] == [0xFF00, 0]


def test_an_event_made_by_hand_may_be_cancelled() -> None:
    """As tests of handlers make them."""
    request = Dataset()
    request.MessageID = 7
    asked = {"request": request, "_is_cancelled": lambda number: number == 7}
    assert evt.Event(None, evt.EVT_C_FIND, asked).is_cancelled is True  # type: ignore[arg-type]
    request.MessageID = 8
    assert evt.Event(None, evt.EVT_C_FIND, asked).is_cancelled is False  # type: ignore[arg-type]


# Ends


def test_a_connection_that_is_closed_before_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    with raw_listener(b"\x02\0\0\0\0\xff", close=True) as port:
        assert AE().associate("127.0.0.1", port, contexts=ECHO).is_aborted
    wait_until(lambda: "Connection closed before the entire PDU was received" in caplog.text)


@pytest.mark.blocking
def test_a_server_has_what_is_looked_at_of_its_socket() -> None:
    server = provider()
    assert server.socket.getsockname() == ("127.0.0.1", server.port)
    server.socket.close()
    assert AE().associate("127.0.0.1", server.port, contexts=ECHO).is_aborted
    server.shutdown()


# Files and Python


def test_a_file_that_is_not_decoded_must_say_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = ct(1)
    del dataset.file_meta.MediaStorageSOPClassUID
    dataset.save_as(tmp_path / "meta.dcm")
    with provider((evt.EVT_C_STORE, lambda event: 0)) as server, connect(server, CTImageStorage) as assoc:
        assert assoc.send_c_store(tmp_path / "meta.dcm").Status == 0
        monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)
        with pytest.raises(AttributeError, match="STORE_SEND_CHUNKED_DATASET"):
            assoc.send_c_store(tmp_path / "meta.dcm")


@pytest.mark.blocking
def test_a_python_without_its_ssl_module() -> None:
    program = """
import sys
sys.modules["ssl"] = None
from dimsefast import AE, TLS
ae = AE()
ae.add_supported_context("1.2.840.10008.1.1")
ae.add_requested_context("1.2.840.10008.1.1")
for call in (
    lambda: ae.start_server(("127.0.0.1", 0), block=False, ssl_context=object()),
    lambda: ae.associate("127.0.0.1", 1, tls_args=(object(), None)),
):
    try:
        call()
    except RuntimeError as error:
        print(error)
with ae.start_server(("127.0.0.1", 0), block=False) as server, ae.connect("127.0.0.1", server.port) as assoc:
    print(assoc.send_c_echo().Status)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.splitlines()[2:], done.stderr) == (["0"], "")
    assert done.stdout.count("no ssl module") == 2


@pytest.mark.blocking
def test_the_version_as_scripts_read_it() -> None:
    done = subprocess.run([sys.executable, "-m", "dimsefast", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"{__version__}\n"
