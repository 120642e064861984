"""pynetdicom and the DIMSE-N services: each of them in both directions, and what stands on them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import AE, build_context, build_role, evt, sop_class
from dimsefast.workflow import MppsProvider, StorageCommitmentProvider, StorageCommitmentUser, mpps
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file

from .conftest import REQUIRED, free_port

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))
from serving import served

if REQUIRED:
    import pynetdicom
else:
    pynetdicom = pytest.importorskip("pynetdicom", reason="pynetdicom is not installed: make peers")
from pynetdicom import evt as theirs

LIMIT = 30.0
PRINT = sop_class.BasicFilmSession
COMMITMENT = sop_class.StorageCommitmentPushModel
MPPS, RETRIEVE = sop_class.ModalityPerformedProcedureStep, sop_class.ModalityPerformedProcedureStepRetrieve
CT = sop_class.CTImageStorage
SERVICES = ["N-EVENT-REPORT", "N-GET", "N-SET", "N-ACTION", "N-CREATE", "N-DELETE"]


def named(name: str) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = name
    return dataset


def send(assoc: Any, service: str) -> Any:
    """One request, over an association of either library: (status, dataset)."""
    sop, uid = str(PRINT), "1.2.3.45"
    sent = {
        "N-EVENT-REPORT": lambda: assoc.send_n_event_report(named("Gesendet^Ünïcode"), 2, sop, uid),
        "N-GET": lambda: assoc.send_n_get([0x00100010, 0x00100020], sop, uid),
        "N-SET": lambda: assoc.send_n_set(named("Gesendet^Ünïcode"), sop, uid),
        "N-ACTION": lambda: assoc.send_n_action(named("Gesendet^Ünïcode"), 2, sop, uid),
        "N-CREATE": lambda: assoc.send_n_create(named("Gesendet^Ünïcode"), sop, uid),
        "N-DELETE": lambda: (assoc.send_n_delete(sop, uid), None),
    }
    return sent[service]()


def what_was_sent(event: Any, service: str) -> Any:
    """What the handler of either library sees of it."""
    if service == "N-EVENT-REPORT":
        return event.event_type, str(event.event_information.PatientName), str(event.request.AffectedSOPInstanceUID)
    if service == "N-ACTION":
        return event.action_type, str(event.action_information.PatientName), str(event.request.RequestedSOPInstanceUID)
    if service == "N-GET":
        return 2, list(event.attribute_identifiers), str(event.request.RequestedSOPInstanceUID)
    if service == "N-SET":
        return 2, str(event.modification_list.PatientName), str(event.request.RequestedSOPInstanceUID)
    if service == "N-CREATE":
        return 2, str(event.attribute_list.PatientName), str(event.request.AffectedSOPInstanceUID)
    return 2, "Gesendet^Ünïcode", str(event.request.RequestedSOPInstanceUID)


def check(assoc: Any, service: str, seen: list[Any]) -> None:
    """A success with a dataset, a warning, and a failure that has none."""
    answers = [send(assoc, service) for _ in range(3)]
    assert [status.Status for status, _ in answers] == [0x0000, 0x0107, 0x0112]
    names = [None if dataset is None else str(dataset.PatientName) for _, dataset in answers]
    assert names == ([None] * 3 if service == "N-DELETE" else ["Antwort^Ünïcode"] * 2 + [None])
    name: Any = [0x00100010, 0x00100020] if service == "N-GET" else "Gesendet^Ünïcode"
    assert seen == [(2, name, "1.2.3.45")] * 3


def answering(service: str, seen: list[Any]) -> Any:
    """The handler that `check` expects, for either library."""
    statuses = iter([0x0000, 0x0107, 0x0112])

    def handler(event: Any) -> Any:
        seen.append(what_was_sent(event, service))
        status = next(statuses)
        return status if service == "N-DELETE" else (status, named("Antwort^Ünïcode"))

    return handler


def event_of(module: Any, service: str) -> Any:
    return getattr(module, "EVT_" + service.replace("-", "_"))


def their_server(*handlers: Any, uids: Any = (PRINT,), roles: Any = (None, None)) -> Any:
    ae = pynetdicom.AE("THEIRS")
    for uid in uids:
        ae.add_supported_context(str(uid), scu_role=roles[0], scp_role=roles[1])
    port = free_port()
    return ae.start_server(("127.0.0.1", port), block=False, evt_handlers=list(handlers)), port


def them(port: int, *uids: Any, **options: Any) -> Any:
    ae = pynetdicom.AE("THEIRS")
    ae.requested_contexts = [pynetdicom.build_context(str(uid)) for uid in uids]
    assoc = ae.associate("127.0.0.1", port, ae_title="OURS", **options)
    assert assoc.is_established
    return assoc


def our_server(provider: Any) -> Any:
    return AE("OURS").start_server(
        ("127.0.0.1", 0), block=False, contexts=provider.contexts, evt_handlers=provider.handlers
    )


# Each service


@pytest.mark.parametrize("service", SERVICES)
def test_our_request(service: str) -> None:
    seen: list[Any] = []
    server, port = their_server((event_of(theirs, service), answering(service, seen)))
    try:
        with AE("OURS").connect("127.0.0.1", port, contexts=[build_context(PRINT)]) as assoc:
            check(assoc, service, seen)
    finally:
        server.shutdown()


@pytest.mark.parametrize("service", SERVICES)
def test_their_request(service: str) -> None:
    seen: list[Any] = []
    ae = AE("OURS")
    ae.add_supported_context(PRINT)
    handlers = [(event_of(evt, service), answering(service, seen))]
    server: Any = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    with server:
        assoc = them(server.port, PRINT)
        check(assoc, service, seen)
        assoc.release()


def test_our_acceptor_reports_to_their_requestor() -> None:
    seen: list[Any] = []
    ae = AE("OURS")
    ae.add_supported_context(PRINT)
    server: Any = ae.start_server(("127.0.0.1", 0), block=False)
    handlers = [(theirs.EVT_N_EVENT_REPORT, answering("N-EVENT-REPORT", seen))]
    with server:
        assoc = them(server.port, PRINT, evt_handlers=handlers)
        (ours,) = server.active_associations
        check(ours, "N-EVENT-REPORT", seen)
        assoc.release()


def test_their_acceptor_reports_to_our_requestor() -> None:
    seen: list[Any] = []
    server, port = their_server()
    handlers = [(evt.EVT_N_EVENT_REPORT, answering("N-EVENT-REPORT", seen))]
    try:
        with AE("OURS").connect("127.0.0.1", port, contexts=[build_context(PRINT)], evt_handlers=handlers):
            wait_until(lambda: server.active_associations)
            check(server.active_associations[0], "N-EVENT-REPORT", seen)
    finally:
        server.shutdown()


# Storage Commitment


def commitment(event: Any) -> tuple[int, list[str], list[tuple[str, int]]]:
    """What a report says: its type, the committed instances, the failed ones with their reasons."""
    information = event.event_information
    committed = [str(item.ReferencedSOPInstanceUID) for item in information.get("ReferencedSOPSequence", [])]
    failed = information.get("FailedSOPSequence", [])
    reasons = [(str(item.ReferencedSOPInstanceUID), int(item.FailureReason)) for item in failed]
    return event.event_type, committed, reasons


def asked_for(*uids: str) -> Dataset:
    information = Dataset()
    information.TransactionUID = "1.2.3.4"
    information.ReferencedSOPSequence = []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, uid
        information.ReferencedSOPSequence.append(item)
    return information


@pytest.fixture
def reported() -> Iterator[tuple[list[Any], int]]:
    """A pynetdicom server that takes reports of storage commitment: what it was told, and its port."""
    seen: list[Any] = []

    def on_report(event: Any) -> Any:
        (context,) = event.assoc.accepted_contexts
        seen.append((*commitment(event), context.as_scu, event.assoc.requestor.ae_title.strip()))
        return 0x0000, None

    server, port = their_server((theirs.EVT_N_EVENT_REPORT, on_report), uids=[COMMITMENT], roles=(False, True))
    yield seen, port
    server.shutdown()


@pytest.mark.parametrize("stays", [True, False])
def test_their_request_for_commitment(reported: tuple[list[Any], int], stays: bool) -> None:
    """The report goes over their association, or over one of ours when they have gone."""
    seen, port = reported
    told: list[Any] = []
    gone = threading.Event()

    def held(references: Any) -> dict[str, str | int]:
        assert stays or gone.wait(LIMIT)
        return {"1.1": CT}

    def on_report(event: Any) -> Any:
        told.append(commitment(event))
        return 0x0000, None

    with StorageCommitmentProvider(held, {"THEIRS": ("127.0.0.1", port)}) as provider, our_server(provider) as server:
        handlers = [(theirs.EVT_N_EVENT_REPORT, on_report)]
        assoc = them(server.port, COMMITMENT, evt_handlers=handlers)
        status, _ = assoc.send_n_action(asked_for("1.1", "1.2"), 1, str(COMMITMENT), "1.2.840.10008.1.20.1.1")
        assert status.Status == 0
        if stays:
            wait_until(lambda: told)
        assoc.release()
        gone.set()
        wait_until(lambda: told or seen)
    expected = (2, ["1.1"], [("1.2", 0x0112)])
    assert (told, seen) == (([expected], []) if stays else ([], [(*expected, True, "OURS")]))


def test_our_request_for_commitment() -> None:
    """They report over a new association, from within their handler."""
    user = StorageCommitmentUser()
    with our_server(user) as own:

        def on_action(event: Any) -> Any:
            ae = pynetdicom.AE("THEIRS")
            ae.add_requested_context(str(COMMITMENT))
            role = pynetdicom.build_role(str(COMMITMENT), scp_role=True)
            back = ae.associate("127.0.0.1", own.port, ext_neg=[role])
            information = Dataset()
            information.TransactionUID = event.action_information.TransactionUID
            information.ReferencedSOPSequence = event.action_information.ReferencedSOPSequence
            status, _ = back.send_n_event_report(information, 1, str(COMMITMENT), "1.2.840.10008.1.20.1.1")
            back.release()
            return status.Status, None

        server, port = their_server((theirs.EVT_N_ACTION, on_action), uids=[COMMITMENT])
        try:
            with AE("OURS").connect("127.0.0.1", port, contexts=user.contexts) as assoc:
                assert user.request(assoc, [(CT, "1.1")]).wait(LIMIT).committed == ((CT, "1.1"),)
        finally:
            server.shutdown()


# Procedure steps


def step() -> Dataset:
    scheduled = Dataset()
    scheduled.StudyInstanceUID = "1.2.3"
    dataset = named("Dör^Jane")
    dataset.ScheduledStepAttributesSequence = [scheduled]
    dataset.PerformedProcedureStepID, dataset.PerformedStationAETitle = "1", "THEIRS"
    dataset.PerformedProcedureStepStartDate, dataset.PerformedProcedureStepStartTime = "20240101", "1200"
    dataset.PerformedProcedureStepStatus, dataset.Modality = "IN PROGRESS", "CT"
    return dataset


def end(status: str) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID, series.ProtocolName = "1.2.3.4", "HEAD"
    dataset = Dataset()
    dataset.PerformedProcedureStepStatus = status
    dataset.PerformedProcedureStepEndDate, dataset.PerformedProcedureStepEndTime = "20240101", "1230"
    dataset.PerformedSeriesSequence = [series]
    return dataset


def test_their_modality() -> None:
    with MppsProvider() as provider, our_server(provider) as server:
        assoc = them(server.port, MPPS, RETRIEVE)
        statuses = [assoc.send_n_create(step(), str(MPPS), "1.2.9")[0] for _ in range(2)]
        statuses += [assoc.send_n_set(end("COMPLETED"), str(MPPS), "1.2.9")[0] for _ in range(2)]
        assert [status.Status for status in statuses] == [0x0000, 0x0111, 0x0000, 0x0110]
        assert statuses[3].ErrorID == 0xA710
        status, found = assoc.send_n_get([0x00100010, 0x00400252], str(RETRIEVE), "1.2.9")
        assert (status.Status, found.PatientName, found.PerformedProcedureStepStatus) == (0, "Dör^Jane", "COMPLETED")
        assoc.release()


def test_our_modality() -> None:
    seen: list[Any] = []

    def on_create(event: Any) -> Any:
        seen.append((str(event.request.AffectedSOPInstanceUID), event.attribute_list.PerformedProcedureStepStatus))
        return 0x0000, event.attribute_list

    def on_set(event: Any) -> Any:
        seen.append((str(event.request.RequestedSOPInstanceUID), event.modification_list.PerformedProcedureStepStatus))
        return 0x0000, event.modification_list

    server, port = their_server((theirs.EVT_N_CREATE, on_create), (theirs.EVT_N_SET, on_set), uids=[MPPS])
    try:
        with AE("OURS").connect("127.0.0.1", port, contexts=[build_context(MPPS)]) as assoc:
            uid = mpps.create(assoc, step())
            mpps.complete(assoc, uid, end("COMPLETED"))
    finally:
        server.shutdown()
    assert seen == [(uid, "IN PROGRESS"), (uid, "COMPLETED")]


def test_our_handler_reports_to_their_server(reported: tuple[list[Any], int]) -> None:
    seen, port = reported

    def on_action(event: Any) -> Any:
        role = [build_role(COMMITMENT, scp_role=True)]
        contexts = [build_context(COMMITMENT)]
        with event.assoc.ae.connect("127.0.0.1", port, contexts=contexts, ext_neg=role) as back:
            information = Dataset()
            information.TransactionUID = event.action_information.TransactionUID
            uid = "1.2.840.10008.1.20.1.1"
            status, _ = back.send_n_event_report(information, 1, COMMITMENT, uid)
        return status.Status, None

    ae = AE("OURS")
    ae.add_supported_context(COMMITMENT)
    server: Any = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_ACTION, on_action)])
    with server:
        assoc = them(server.port, COMMITMENT)
        status, _ = assoc.send_n_action(asked_for("1.1"), 1, str(COMMITMENT), "1.2.840.10008.1.20.1.1")
        assert status.Status == 0
        assoc.release()
    assert seen == [(1, [], [], True, "OURS")]


# The archive, served in a process of its own


@pytest.mark.parametrize("stays", [True, False])
def test_their_modality_and_a_served_archive(reported: tuple[list[Any], int], tmp_path: Path, stays: bool) -> None:
    """A step, the image that was made in it, and the commitment to it: over their association, or over a new one."""
    seen, port = reported
    told: list[Any] = []

    def on_report(event: Any) -> Any:
        told.append(commitment(event))
        return 0x0000, None

    image = dcmread(str(get_testdata_file("CT_small.dcm")))
    flags = ["--destination", f"THEIRS=127.0.0.1:{port}"]
    with served(tmp_path / "archive", *flags, *([] if stays else ["--no-report-on-same-association"])) as server:
        handlers = [(theirs.EVT_N_EVENT_REPORT, on_report)]
        title = {"ae_title": "ARCHIVE", "evt_handlers": handlers}
        ae = pynetdicom.AE("THEIRS")
        ae.add_requested_context(CT, image.file_meta.TransferSyntaxUID)
        for uid in (MPPS, RETRIEVE, COMMITMENT):
            ae.add_requested_context(str(uid))
        assoc = ae.associate("127.0.0.1", server.port, **title)
        assert assoc.send_n_create(step(), str(MPPS), "1.2.9")[0].Status == 0
        assert assoc.send_c_store(image).Status == 0
        assert assoc.send_n_set(end("COMPLETED"), str(MPPS), "1.2.9")[0].Status == 0
        assert assoc.send_n_set(end("COMPLETED"), str(MPPS), "1.2.9")[0].ErrorID == 0xA710
        status, found = assoc.send_n_get([0x00100010, 0x00400252], str(RETRIEVE), "1.2.9")
        assert (status.Status, found.PatientName, found.PerformedProcedureStepStatus) == (0, "Dör^Jane", "COMPLETED")
        information = asked_for(image.SOPInstanceUID, "1.2.3.404")
        status, _ = assoc.send_n_action(information, 1, str(COMMITMENT), "1.2.840.10008.1.20.1.1")
        assert status.Status == 0
        wait_until(lambda: told or seen)
        assoc.release()
    expected = (2, [str(image.SOPInstanceUID)], [("1.2.3.404", 0x0112)])
    assert (told, seen) == (([expected], []) if stays else ([], [(*expected, True, "ARCHIVE")]))
