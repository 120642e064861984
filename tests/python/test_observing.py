"""Events of bytes, PDUs, primitives, messages and transitions: once each, in order, and what is logged of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import Association, _config, build_context, evt
from dimsefast.pdu_primitives import UserIdentityNegotiation
from dimsefast.server import AssociationServer
from dimsefast.sop_class import CTImageStorage, PatientRootQueryRetrieveInformationModelFind, Verification
from faces import AE, face  # noqa: F401 - the fixture
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

FIND = PatientRootQueryRetrieveInformationModelFind
KINDS = ("ACSE", "DATA", "DIMSE", "PDU")
OBSERVED = [getattr(evt, f"EVT_{kind}_{way}") for kind in KINDS for way in ("RECV", "SENT")] + [evt.EVT_FSM_TRANSITION]


class Seen:
    """What the handlers of one side were told, in order."""

    def __init__(self) -> None:
        self.events: list[evt.Event] = []
        self.handlers: list[tuple[Any, ...]] = [(kind, self.events.append) for kind in OBSERVED]

    def of(self, kind: Any) -> list[evt.Event]:
        return [event for event in self.events if event.event == kind]

    def names(self) -> list[str]:
        return [event.event.name for event in self.events]


@pytest.fixture
def acceptor() -> Iterator[tuple[AssociationServer, Seen]]:
    seen = Seen()
    ae = AE("ACCEPTOR")
    for sop_class in (Verification, CTImageStorage, FIND):
        ae.add_supported_context(sop_class)
    handlers = [*seen.handlers, (evt.EVT_C_STORE, lambda event: 0x0000), (evt.EVT_C_FIND, found)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    yield server, seen
    ae.shutdown()


def found(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
    match = Dataset()
    match.PatientName = "Secret^Name"
    yield 0xFF00, match


def associate(server: AssociationServer, handlers: list[Any] | None = None, **options: Any) -> Association:
    contexts = [build_context(sop_class) for sop_class in (Verification, CTImageStorage, FIND)]
    assoc = AE("REQUESTOR").associate("127.0.0.1", server.port, contexts, evt_handlers=handlers, **options)
    assert assoc.is_established
    return assoc


def an_object(length: int) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, "1.2.3"
    dataset.PatientID = "X" * length
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def settled(server: AssociationServer) -> None:
    wait_until(lambda: not server.active_associations, "the end of the association")


def test_both_sides_see_the_same_pdus_byte_for_byte(acceptor: tuple[AssociationServer, Seen]) -> None:
    server, theirs = acceptor
    ours = Seen()
    assoc = associate(server, ours.handlers)
    for _ in range(3):
        assert assoc.send_c_echo().Status == 0x0000
    assoc.release()
    settled(server)
    sent, received = ours.of(evt.EVT_DATA_SENT), ours.of(evt.EVT_DATA_RECV)
    assert [event.data[0] for event in sent] == [1, 4, 4, 4, 5]
    assert [event.data[0] for event in received] == [2, 4, 4, 4, 6]
    for event in (*sent, *received):
        assert len(event.data) == 6 + int.from_bytes(event.data[2:6], "big"), "exactly one PDU"
    assert [event.data for event in sent] == [event.data for event in theirs.of(evt.EVT_DATA_RECV)]
    assert [event.data for event in received] == [event.data for event in theirs.of(evt.EVT_DATA_SENT)]
    assert [event.pdu.encode() for event in ours.of(evt.EVT_PDU_SENT)] == [event.data for event in sent]


def test_transitions_are_those_of_the_standard(acceptor: tuple[AssociationServer, Seen]) -> None:
    server, theirs = acceptor
    ours = Seen()
    associate(server, ours.handlers).release()
    settled(server)

    def steps(seen: Seen) -> list[tuple[str, str, str, str]]:
        events = seen.of(evt.EVT_FSM_TRANSITION)
        return [(event.current_state, event.fsm_event, event.action, event.next_state) for event in events]

    assert steps(ours) == [
        ("Sta1", "Evt1", "AE-1", "Sta4"),
        ("Sta4", "Evt2", "AE-2", "Sta5"),
        ("Sta5", "Evt3", "AE-3", "Sta6"),
        ("Sta6", "Evt11", "AR-1", "Sta7"),
        ("Sta7", "Evt13", "AR-3", "Sta1"),
    ]
    assert steps(theirs) == [
        ("Sta1", "Evt5", "AE-5", "Sta2"),
        ("Sta2", "Evt6", "AE-6", "Sta3"),
        ("Sta3", "Evt7", "AE-7", "Sta6"),
        ("Sta6", "Evt12", "AR-2", "Sta8"),
        ("Sta8", "Evt14", "AR-4", "Sta13"),
        ("Sta13", "Evt17", "AR-5", "Sta1"),
    ]


def test_messages_are_told_whole_with_their_datasets(acceptor: tuple[AssociationServer, Seen]) -> None:
    server, theirs = acceptor
    ours = Seen()
    assoc = associate(server, ours.handlers)
    dataset = an_object(0)
    dataset.PixelData = bytes(700_000)
    dataset["PixelData"].VR = "OB"
    assert assoc.send_c_store(dataset).Status == 0x0000
    assoc.release()
    settled(server)
    (sent,), (answered,) = ours.of(evt.EVT_DIMSE_SENT), ours.of(evt.EVT_DIMSE_RECV)
    assert type(sent.message).__name__ == "C_STORE_RQ" and type(answered.message).__name__ == "C_STORE_RSP"
    assert sent.message.command_set.AffectedSOPInstanceUID == "1.2.3"
    assert answered.message.command_set.Status == 0x0000 and answered.message.data_set is None
    (received,) = theirs.of(evt.EVT_DIMSE_RECV)
    assert received.message.data_set.getvalue() == sent.message.data_set.getvalue()
    assert len(sent.message.data_set.getvalue()) > 700_000


def test_pdus_and_primitives_say_what_was_negotiated(acceptor: tuple[AssociationServer, Seen]) -> None:
    server, _ = acceptor
    ours = Seen()
    assoc = associate(server, ours.handlers)
    assoc.abort()
    request, accept = ours.of(evt.EVT_PDU_SENT)[0].pdu, ours.of(evt.EVT_PDU_RECV)[0].pdu
    assert (request.pdu_type, request.called_ae_title, request.calling_ae_title) == (1, "ANY-SCP", "REQUESTOR")
    assert request.application_context_name == "1.2.840.10008.3.1.1.1"
    assert [context.context_id for context in request.presentation_context] == [1, 3, 5]
    assert request.user_information.maximum_length == 262144
    assert [context.result for context in accept.presentation_context] == [0, 0, 0]
    asked, accepted = ours.of(evt.EVT_ACSE_SENT)[0].primitive, ours.of(evt.EVT_ACSE_RECV)[0].primitive
    assert (asked.result, len(asked.presentation_context_definition_list)) == (None, 3)
    assert (accepted.result, len(accepted.presentation_context_definition_results_list)) == (0, 3)
    aborted = ours.of(evt.EVT_ACSE_SENT)[-1]
    assert (type(aborted.primitive).__name__, aborted.primitive.abort_source) == ("A_ABORT", 0)
    assert ours.of(evt.EVT_PDU_SENT)[-1].pdu.source_str == "DUL service-user"


def test_a_handler_that_raises_disturbs_nobody(acceptor: tuple[AssociationServer, Seen]) -> None:
    server, _ = acceptor
    told: list[str] = []

    def fail(event: evt.Event) -> None:
        told.append(event.event.name)
        raise RuntimeError("on purpose")

    assoc = associate(server, [(kind, fail) for kind in OBSERVED])
    assert assoc.send_c_echo().Status == 0x0000
    assoc.release()
    assert assoc.is_released
    assert told.count("EVT_DIMSE_RECV") == told.count("EVT_DIMSE_SENT") == 1


def test_handlers_come_and_go_on_a_live_association(acceptor: tuple[AssociationServer, Seen]) -> None:
    server, _ = acceptor
    data: list[bytes] = []

    def keep(event: evt.Event) -> None:
        data.append(event.data)

    assoc = associate(server)
    assoc.send_c_echo()
    assoc.bind(evt.EVT_DATA_SENT, keep)
    assoc.send_c_echo()
    assert [pdu[0] for pdu in data] == [4]
    assoc.unbind(evt.EVT_DATA_SENT, keep)
    assoc.send_c_echo()
    assoc.release()
    assert len(data) == 1


def test_an_observer_may_end_the_association(acceptor: tuple[AssociationServer, Seen]) -> None:
    server, _ = acceptor
    assoc = associate(server, [(evt.EVT_DIMSE_RECV, lambda event: event.assoc.abort())])
    assoc.send_c_echo()
    assert assoc.is_aborted


def test_rejection_is_told(acceptor: tuple[AssociationServer, Seen]) -> None:
    server, _ = acceptor
    server.ae.require_called_aet = True
    ours = Seen()
    contexts = [build_context(Verification)]
    assoc = AE().associate("127.0.0.1", server.port, contexts, ae_title="OTHER", evt_handlers=ours.handlers)
    assert assoc.is_rejected
    pdu = ours.of(evt.EVT_PDU_RECV)[0].pdu
    assert (pdu.result, pdu.source, pdu.reason_diagnostic) == (1, 1, 7)
    assert pdu.reason_str == "Called AE title not recognised"
    assert ours.of(evt.EVT_ACSE_RECV)[0].primitive.diagnostic == 7


# What is logged
# ----------------------------------------------------------------------------------------------------------------


def query(server: AssociationServer, **options: Any) -> None:
    identifier = Dataset()
    identifier.QueryRetrieveLevel, identifier.PatientID = "PATIENT", "SECRET-ID"
    assoc = associate(server, **options)
    assert [status.Status for status, _ in assoc.send_c_find(identifier, FIND)] == [0xFF00, 0x0000]
    assoc.release()


def logged_by(acceptor: tuple[AssociationServer, Seen], caplog: pytest.LogCaptureFixture, level: int) -> str:
    # The server was there before; its own records are not looked at.
    server, _ = acceptor
    with caplog.at_level(level, logger="dimsefast"):
        identity = UserIdentityNegotiation()
        identity.user_identity_type, identity.primary_field, identity.secondary_field = 2, b"anna", b"passcode"
        query(server, ext_neg=[identity])
    return caplog.text


def test_dumps_have_the_words_that_people_know(
    acceptor: tuple[AssociationServer, Seen], caplog: pytest.LogCaptureFixture
) -> None:
    text = logged_by(acceptor, caplog, logging.DEBUG)
    for words in (
        "Requesting Association",
        "OUTGOING A-ASSOCIATE-RQ PDU",
        "Our Implementation Class UID:",
        "Their Max PDU Receive Size:",
        "Context ID:        1 (Proposed)",
        "Context ID:        5 (Accepted)",
        "    Abstract Syntax: =CT Image Storage",
        "    Accepted Transfer Syntax: =Implicit VR Little Endian",
        "Authentication Mode: 2 - Username/Password",
        "Username: [anna]",
        "Association Accepted",
        "Sending Find Request: MsgID 1",
        "Message Type                  : C-FIND RQ",
        "Identifier                    : Present",
        "Find SCP Response: 1 - 0xFF00 (Pending)",
        "Releasing Association",
    ):
        assert words in text, words


def test_what_identifies_patients_and_users_is_logged_on_request_only(
    acceptor: tuple[AssociationServer, Seen], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = logged_by(acceptor, caplog, logging.DEBUG)
    assert "SECRET-ID" not in text and "Secret^Name" not in text and "passcode" not in text
    monkeypatch.setattr(_config, "LOG_REQUEST_IDENTIFIERS", True)
    caplog.clear()
    text = logged_by(acceptor, caplog, logging.DEBUG)
    assert "SECRET-ID" in text and "Secret^Name" not in text
    monkeypatch.setattr(_config, "LOG_RESPONSE_IDENTIFIERS", True)
    text = logged_by(acceptor, caplog, logging.DEBUG)
    assert "Secret^Name" in text and "passcode" not in text


def test_levels_and_the_switch_are_heeded(
    acceptor: tuple[AssociationServer, Seen], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def traffic(level: int) -> list[logging.LogRecord]:
        caplog.clear()
        logged_by(acceptor, caplog, level)
        return [record for record in caplog.records if record.name == "dimsefast.traffic"]

    assert traffic(logging.WARNING) == []
    assert {record.levelno for record in traffic(logging.INFO)} == {logging.INFO}
    assert {record.levelno for record in traffic(logging.DEBUG)} == {logging.INFO, logging.DEBUG}
    monkeypatch.setattr(_config, "LOG_HANDLER_LEVEL", "none")
    assert traffic(logging.DEBUG) == []
