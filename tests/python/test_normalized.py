"""The DIMSE-N services between two of us, and against peers that say what a test says."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from dimsefast import build_context, evt, sop_class
from dimsefast.sop_class import (
    BasicGrayscalePrintManagementMeta,
    DisplaySystem,
    InstanceAvailabilityNotification,
    InventoryCreation,
    MediaCreationManagement,
    ModalityPerformedProcedureStep,
    Printer,
    ProceduralEventLogging,
    RTConventionalMachineVerification,
    StorageCommitmentPushModel,
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    Verification,
)
from faces import AE, face  # noqa: F401 - the fixture
from normalized_cases import EVENTS, IMPLICIT, INSTANCE, PRINT, connect, golden, patient, send, serve
from pydicom import Dataset
from scripted import acceptor, encode_command, requestor

# Each service


@pytest.mark.parametrize("service", EVENTS)
def test_a_request_reaches_its_handler_and_the_answer_comes_back(service: str) -> None:
    seen: list[Any] = []

    def handler(event: Any, argument: str) -> Any:
        request = event.request
        seen.append((argument, event.context.abstract_syntax, event.message_id))
        if service == "N-EVENT-REPORT":
            seen.append((event.event_type, event.event_information.PatientName))
        elif service == "N-ACTION":
            seen.append((event.action_type, event.action_information.PatientName))
        elif service == "N-GET":
            seen.append(tuple(event.attribute_identifiers))
        elif service == "N-SET":
            seen.append((event.modification_list.PatientName,))
        elif service == "N-CREATE":
            seen.append((event.attribute_list.PatientName,))
        affected = service in ("N-EVENT-REPORT", "N-CREATE")
        names = ("Affected" if affected else "Requested") + "SOP"
        seen.append((getattr(request, f"{names}ClassUID"), getattr(request, f"{names}InstanceUID")))
        with pytest.raises(AttributeError):
            event.identifier  # noqa: B018 - another event's attribute
        return 0x0000 if service == "N-DELETE" else (0x0000, patient("Came^Back"))

    with serve((EVENTS[service], handler, ["given"])) as server, connect(server) as assoc:
        status, dataset = send(assoc, service)
        assert (status.Status, status.AffectedSOPInstanceUID, status.AffectedSOPClassUID) == (0, INSTANCE, PRINT)
        assert (dataset is None) if service == "N-DELETE" else dataset.PatientName == "Came^Back"
    own: dict[str, Any] = {
        "N-EVENT-REPORT": [(2, "Sent^By")],
        "N-ACTION": [(1, "Sent^By")],
        "N-GET": [(0x00400252, 0x00080060)],
        "N-DELETE": [],
    }
    assert seen == [("given", PRINT, 1), *own.get(service, [("Sent^By",)]), (PRINT, INSTANCE)]


@pytest.mark.parametrize("service", EVENTS)
def test_statuses_and_what_goes_with_them(service: str) -> None:
    answers: list[Any] = []

    def handler(event: Any) -> Any:
        answer = answers.pop()
        if isinstance(answer, Exception):
            raise answer
        return answer[0] if service == "N-DELETE" else answer

    def asked(answer: Any) -> tuple[int, Any]:
        answers.append(answer)
        status, dataset = send(assoc, service)
        return status.Status, dataset

    refusal = Dataset()
    refusal.Status, refusal.ErrorComment, refusal.ErrorID = 0x0110, "not today", 0xA710
    # PS3.7 10.1: that is for C-services.
    refusal.OffendingElement = 0x00100010
    unencodable = Dataset()
    unencodable.add_new(0x00080060, "US", "no number")
    with serve((EVENTS[service], handler)) as server, connect(server) as assoc:
        for code in (0x0110, 0xC300, 0xA700, 0x3333):
            assert asked((code, patient())) == (code, None), "a dataset of success and warning only"
        assert asked((0x0000, None))[0] == 0x0000
        assert asked(ValueError("no")) == (0x0110, None)
        assert asked((None, None))[0] == 0xC002
        assert asked((Dataset(), None))[0] == 0xC001
        answers.append((refusal, None))
        status, _ = send(assoc, service)
        assert (status.Status, status.ErrorComment, status.ErrorID) == (0x0110, "not today", 0xA710)
        assert "OffendingElement" not in status
        if service != "N-DELETE":
            assert asked((0x0000, None))[1] == Dataset()
            assert asked((0xB304, patient()))[1].PatientName == "Sent^By"
            assert asked((0x0107, patient()))[1].PatientName == "Sent^By"
            assert asked((0x0000, unencodable)) == (0x0110, None)
            assert asked(0x0000) == (0x0000, Dataset())
            assert asked(0x0122) == (0x0122, None)


@pytest.mark.parametrize("service", EVENTS)
def test_without_a_handler_it_is_a_processing_failure(service: str) -> None:
    with serve() as server, connect(server) as assoc:
        status, dataset = send(assoc, service)
        assert (status.Status, dataset, status.ErrorComment) == (0x0110, None, f"no handler for {service}")


def test_an_empty_request_has_no_dataset() -> None:
    seen: list[Any] = []

    def handler(event: Any) -> Any:
        seen.append((event.request.message.has_dataset, len(event.action_information)))
        return 0, None

    def on_get(event: Any) -> Any:
        seen.append(event.attribute_identifiers)
        return 0, None

    with serve((evt.EVT_N_ACTION, handler), (evt.EVT_N_GET, on_get)) as server, connect(server) as assoc:
        assert assoc.send_n_action(None, 1, PRINT, INSTANCE)[0].Status == 0
        for attributes in (None, [], 0x00100010, ["PatientID"]):
            assert assoc.send_n_get(attributes, PRINT, INSTANCE)[0].Status == 0
    assert seen == [(False, 0), [], [], [0x00100010], [0x00100020]]


def test_who_creates_an_instance_without_a_uid_says_which() -> None:
    answers = ["in the dataset", "in the status", "nowhere", "given"]

    def handler(event: Any) -> Any:
        how = answers.pop(0)
        dataset, status = patient(), Dataset()
        status.Status = 0
        if how == "in the dataset":
            dataset.AffectedSOPInstanceUID = "1.2.3"
        elif how == "in the status":
            status.AffectedSOPInstanceUID = "1.2.4"
        return status, dataset

    with serve((evt.EVT_N_CREATE, handler)) as server, connect(server) as assoc:
        for uid in ("1.2.3", "1.2.4"):
            status, dataset = assoc.send_n_create(patient(), PRINT)
            assert (status.Status, status.AffectedSOPInstanceUID) == (0, uid)
            assert dataset == patient()
        assert assoc.send_n_create(patient(), PRINT)[0].Status == 0x0110
        assert assoc.send_n_create(patient(), PRINT, "1.2.5")[0].AffectedSOPInstanceUID == "1.2.5"


# Contexts and arguments


def test_a_meta_sop_class_and_message_ids() -> None:
    seen: list[Any] = []

    def handler(event: Any) -> Any:
        seen.append((event.context.abstract_syntax, event.request.RequestedSOPClassUID, event.message_id))
        return 0, None

    meta = BasicGrayscalePrintManagementMeta
    with serve((evt.EVT_N_GET, handler), uids=[meta]) as server, connect(server, meta) as assoc:
        for msg_id in (None, None, 700, None):
            assert assoc.send_n_get(None, Printer, "1.2.840.10008.5.1.1.17", msg_id, meta_uid=meta)[0].Status == 0
        with pytest.raises(ValueError, match="no accepted presentation context"):
            assoc.send_n_get(None, Printer, "1.2.840.10008.5.1.1.17")
    assert seen == [(meta, Printer, number) for number in (1, 2, 700, 3)]


@pytest.mark.parametrize("kind", ["Pull", "Watch", "Event", "Query", "Push"])
def test_a_request_for_ups_push_goes_over_any_ups_context(kind: str) -> None:
    uid = getattr(sop_class, f"UnifiedProcedureStep{kind}")
    seen: list[Any] = []

    def handler(event: Any) -> Any:
        seen.append((event.context.abstract_syntax, event.request.RequestedSOPClassUID))
        return 0, None

    with serve((evt.EVT_N_SET, handler), uids=[uid]) as server, connect(server, uid) as assoc:
        assert assoc.send_n_set(patient(), UnifiedProcedureStepPush, INSTANCE)[0].Status == 0
        if kind != "Pull":
            with pytest.raises(ValueError):
                assoc.send_n_set(patient(), UnifiedProcedureStepPull, INSTANCE)
    assert seen == [(uid, UnifiedProcedureStepPush)]


@pytest.mark.parametrize("service", EVENTS)
def test_what_cannot_be_sent_is_an_error(service: str) -> None:
    with serve() as server:
        assoc = connect(server)
        with pytest.raises(ValueError, match="no accepted presentation context"):
            send(assoc, service, Printer)
        with pytest.raises(ValueError, match="UID"):
            send(assoc, service, instance="1." * 40)
        with pytest.raises(TypeError):
            send(assoc, service, instance=7)  # type: ignore[arg-type]
        bad = Dataset()
        bad.add_new(0x00080060, "US", "no number")
        for number in (-1, 65536, "1", None):
            with pytest.raises(ValueError):
                assoc.send_n_action(patient(), number, PRINT, INSTANCE)
        with pytest.raises(ValueError, match="cannot be encoded"):
            assoc.send_n_set(bad, PRINT, INSTANCE)
        assert assoc.is_established
        assoc.release()
        with pytest.raises(RuntimeError, match="not established"):
            send(assoc, service)


@pytest.mark.parametrize(
    ("uid", "service"),
    [
        (ProceduralEventLogging, "N-CREATE"),
        (DisplaySystem, "N-SET"),
        (InstanceAvailabilityNotification, "N-DELETE"),
        (MediaCreationManagement, "N-SET"),
        (ModalityPerformedProcedureStep, "N-ACTION"),
        (StorageCommitmentPushModel, "N-CREATE"),
        (UnifiedProcedureStepPush, "N-DELETE"),
        (Verification, "N-GET"),
    ],
)
def test_a_request_that_the_class_does_not_know_ends_the_association(uid: str, service: str) -> None:
    def handler(event: Any) -> Any:
        raise AssertionError("it must not be asked")

    with serve((EVENTS[service], handler), uids=[uid, Verification]) as server:
        assoc = connect(server, uid)
        status, dataset = send(assoc, service, uid)
        assert (len(status), dataset, assoc.is_aborted) == (0, None, True)
        with connect(server, Verification) as again:
            assert again.send_c_echo().Status == 0


@pytest.mark.parametrize(
    ("uid", "services"),
    [
        (ProceduralEventLogging, ["N-ACTION"]),
        (DisplaySystem, ["N-GET"]),
        (InstanceAvailabilityNotification, ["N-CREATE"]),
        (MediaCreationManagement, ["N-CREATE", "N-GET", "N-ACTION"]),
        (RTConventionalMachineVerification, list(EVENTS)),
        (ModalityPerformedProcedureStep, ["N-CREATE", "N-SET", "N-GET", "N-EVENT-REPORT"]),
        (StorageCommitmentPushModel, ["N-ACTION", "N-EVENT-REPORT"]),
        (InventoryCreation, ["N-ACTION", "N-EVENT-REPORT"]),
        (UnifiedProcedureStepPush, ["N-CREATE", "N-SET", "N-GET", "N-ACTION", "N-EVENT-REPORT"]),
    ],
)
def test_every_class_hands_on_what_it_knows(uid: str, services: list[str]) -> None:
    handlers = [
        (EVENTS[service], (lambda event: 0) if service == "N-DELETE" else (lambda event: (0, None)))
        for service in services
    ]
    with serve(*handlers, uids=[uid]) as server, connect(server, uid) as assoc:
        assert [send(assoc, service, uid)[0].Status for service in services] == [0] * len(services)


# The bytes


@pytest.mark.parametrize("service", EVENTS)
def test_golden_bytes_in_both_roles(service: str) -> None:
    name = service.lower().replace("-", "_")
    request, response = golden(f"{name}_rq"), golden(f"{name}_rsp")
    uid = ModalityPerformedProcedureStep
    seen: list[Any] = []

    def answer(peer: Any) -> None:
        seen.append(peer._next_pdv())
        if service not in ("N-GET", "N-DELETE"):
            peer._next_pdv()
        peer.send_pdu(4, struct.pack(">IBB", len(response) + 2, 1, 3) + response)
        if service == "N-GET":
            peer.send_pdu(4, struct.pack(">IBB", 2, 1, 2))
        assert peer.read_message() is None

    with acceptor(answer) as port:
        with AE().connect("127.0.0.1", port, contexts=[build_context(uid)]) as assoc:
            status, dataset = send(assoc, service, uid, msg_id=7)
            assert (status.Status, dataset) == (0, None if service == "N-DELETE" else Dataset())
    assert seen == [(1, 3, request)]


def test_a_response_that_is_none_ends_the_association() -> None:
    def answer(peer: Any) -> None:
        request = peer.next_message()
        peer.send_message(request.context_id, {0x0100: 0x8110, 0x0120: request.id})
        assert peer.read_message() is None

    with acceptor(answer) as port:
        assoc = AE().connect("127.0.0.1", port, contexts=[build_context(PRINT)])
        status, dataset = send(assoc, "N-GET")
        assert (len(status), dataset, assoc.is_aborted) == (0, None, True)


def test_a_dataset_of_a_response_that_is_none_is_a_failure() -> None:
    def answer(peer: Any) -> None:
        request = peer.next_message()
        peer.send_message(request.context_id, {0x0100: 0x8110, 0x0120: request.id, 0x0900: 0}, b"\xff" * 10)
        assert peer.read_message() is None

    with acceptor(answer) as port, AE().connect("127.0.0.1", port, contexts=[build_context(PRINT)]) as assoc:
        status, dataset = send(assoc, "N-GET")
        assert (status.Status, dataset) == (0x0110, None)


@pytest.mark.parametrize(
    ("field", "left_out", "status"),
    [
        (0x0110, 0x1001, 0x0117),
        (0x0120, 0x1001, 0x0117),
        (0x0130, 0x1001, 0x0117),
        (0x0150, 0x1001, 0x0117),
        (0x0100, 0x1000, 0x0117),
        (0x0110, 0x0003, 0x0118),
        (0x0140, 0x0002, 0x0118),
        (0x0100, 0x1002, 0x0113),
        (0x0130, 0x1008, 0x0123),
    ],
)
@pytest.mark.parametrize("empty", [False, True])
def test_a_request_without_what_it_needs_is_refused(field: int, left_out: int, status: int, empty: bool) -> None:
    def handler(event: Any) -> Any:
        raise AssertionError("it must not be asked")

    affected = field in (0x0100, 0x0140)
    elements: dict[int, Any] = {0x0100: field, 0x0110: 9, 0x0002 if affected else 0x0003: PRINT}
    elements |= {0x1000 if affected else 0x1001: INSTANCE, 0x1002: 1, 0x1008: 1}
    elements[left_out] = b""
    if not empty:
        del elements[left_out]
    with serve(*((event, handler) for event in EVENTS.values())) as server:
        with requestor(server.port, {1: (PRINT, IMPLICIT)}) as peer:
            peer.send_message(1, elements)
            assert peer.next_message().status == (9, status)


def test_uids_go_back_as_they_came() -> None:
    padded, odd = b"1.2.3.45 \0", b"../\xff\x7f "
    with serve((evt.EVT_N_GET, lambda event: (0, None))) as server:
        with requestor(server.port, {1: (PRINT, IMPLICIT)}) as peer:
            for instance in (padded, odd):
                command = encode_command({0x0003: PRINT, 0x0100: 0x0110, 0x0110: 3, 0x0800: 0x0101, 0x1001: instance})
                peer.send_pdu(4, struct.pack(">IBB", len(command) + 2, 1, 3) + command)
                _, _, response = peer._next_pdv()
                assert struct.pack("<HHI", 0, 0x1000, len(instance)) + instance in response


def test_a_dataset_that_is_none_fails_in_the_handler_only() -> None:
    def handler(event: Any) -> Any:
        return 0, event.modification_list

    with serve((evt.EVT_N_SET, handler)) as server:
        with requestor(server.port, {1: (PRINT, IMPLICIT)}) as peer:
            elements = {0x0003: PRINT, 0x0100: 0x0120, 0x0110: 1, 0x1001: INSTANCE}
            peer.send_message(1, elements, b"\xff" * 11)
            assert peer.next_message().status == (1, 0x0110)
            peer.send_message(1, {**elements, 0x0110: 2})
            assert peer.next_message().status == (2, 0)
