"""pynetdicom and Unified Procedure Steps: Push, Pull, Watch, Query and Event in both directions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from dimsefast import AE, StatusError, build_context
from dimsefast.sop_class import (
    UnifiedProcedureStepEvent,
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepQuery,
    UnifiedProcedureStepWatch,
)
from dimsefast.workflow import UpsEvent, UpsProvider, UpsWatcher, ups
from pydicom import Dataset

from .test_workflow import named, our_server, pynetdicom, their_server, theirs, them

PUSH, PULL, WATCH = UnifiedProcedureStepPush, UnifiedProcedureStepPull, UnifiedProcedureStepWatch
QUERY, EVENT = UnifiedProcedureStepQuery, UnifiedProcedureStepEvent
GLOBAL = "1.2.840.10008.5.1.4.34.5"


def code(value: str) -> list[Dataset]:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "99TEST", "test"
    return [item]


def scheduled() -> Dataset:
    step = named("Dör^Jane")
    step.ProcedureStepState, step.InputReadinessState = "SCHEDULED", "READY"
    step.ScheduledProcedureStepPriority, step.ProcedureStepLabel = "MEDIUM", "Read"
    step.ScheduledProcedureStepStartDateTime = "20240101120000"
    return step


def keys() -> Dataset:
    asked = Dataset()
    asked.ProcedureStepState, asked.PatientName, asked.SOPInstanceUID = "SCHEDULED", "", ""
    return asked


# They ask us


def test_their_performer_of_our_steps() -> None:
    """Their requests for UPS Push go over a context for UPS Pull."""
    with UpsProvider() as provider, our_server(provider) as server:
        with AE("OURS").connect("127.0.0.1", server.port, contexts=[build_context(PUSH)]) as assoc:
            uid = ups.create(assoc, scheduled())
        assoc = them(server.port, PULL)
        responses = list(assoc.send_c_find(keys(), str(PULL)))
        assert [status.Status for status, _ in responses] == [0xFF00, 0x0000]
        assert (responses[0][1].SOPInstanceUID, responses[0][1].PatientName) == (uid, "Dör^Jane")
        information = Dataset()
        information.ProcedureStepState, information.TransactionUID = "IN PROGRESS", "1.2.3.4"
        statuses = [assoc.send_n_action(information, 1, str(PUSH), uid)[0].Status for _ in range(2)]
        assert statuses == [0x0000, 0xC302]
        status, found = assoc.send_n_get([0x00741000, 0x00081195], str(PUSH), uid)
        assert (status.Status, found.ProcedureStepState, len(found)) == (1, "IN PROGRESS", 2)
        assoc.release()


@pytest.mark.parametrize("model", [WATCH, QUERY])
def test_their_query_over_the_other_classes(model: Any) -> None:
    with UpsProvider() as provider, our_server(provider) as server:
        assoc = them(server.port, PUSH, model)
        assert assoc.send_n_create(scheduled(), str(PUSH), "1.2.3.9")[0].Status == 0
        found = [identifier for _, identifier in assoc.send_c_find(keys(), str(model)) if identifier is not None]
        assert [(str(one.SOPInstanceUID), str(one.PatientName)) for one in found] == [("1.2.3.9", "Dör^Jane")]
        assoc.release()


def test_their_watcher_is_told_of_every_kind_of_event() -> None:
    told: list[Any] = []

    def on_report(event: Any) -> Any:
        roles = next(context for context in event.assoc.accepted_contexts)
        assert (roles.as_scu, roles.as_scp, event.assoc.requestor.ae_title) == (True, False, "OURS")
        told.append((event.event_type, str(event.request.AffectedSOPInstanceUID), event.event_information))
        return 0x0000, None

    server, port = their_server((theirs.EVT_N_EVENT_REPORT, on_report), uids=[EVENT], roles=(False, True))
    try:
        with UpsProvider(addresses={"THEIRS": ("127.0.0.1", port)}) as provider, our_server(provider) as ours:
            assoc = them(ours.port, WATCH, PUSH, PULL)
            subscription = Dataset()
            subscription.ReceivingAE, subscription.DeletionLock = "THEIRS", "FALSE"
            assert assoc.send_n_action(subscription, 3, str(PUSH), GLOBAL)[0].Status == 0
            step = scheduled()
            step.ScheduledStationNameCodeSequence = code("ROOM1")
            for uid in ("1.2.3.8", "1.2.3.9"):
                assert assoc.send_n_create(step, str(PUSH), uid)[0].Status == 0
            # Nobody performs the first one; the second one is theirs.
            assert assoc.send_n_action(None, 2, str(PUSH), "1.2.3.8")[0].Status == 0
            claim = Dataset()
            claim.ProcedureStepState, claim.TransactionUID = "IN PROGRESS", "1.2.3.4"
            assert assoc.send_n_action(claim, 1, str(PUSH), "1.2.3.9")[0].Status == 0
            progress, changes = Dataset(), Dataset()
            progress.ProcedureStepProgress = "50"
            changes.TransactionUID, changes.ProcedureStepProgressInformationSequence = "1.2.3.4", [progress]
            assert assoc.send_n_set(changes, str(PUSH), "1.2.3.9")[0].Status == 0
            reason = Dataset()
            reason.ReasonForCancellation = "patient left"
            assert assoc.send_n_action(reason, 2, str(PUSH), "1.2.3.9")[0].Status == 0
            assoc.release()
            assert provider.announce(ours.ae, "GOING DOWN", timeout=30) == {"THEIRS"}
    finally:
        server.shutdown()
    first, second = "1.2.3.8", "1.2.3.9"
    assert [(kind, uid) for kind, uid, _ in told] == [
        *((kind, uid) for uid in (first, second) for kind in (1, 5)),
        *[(1, first)] * 2,
        *((kind, second) for kind in (1, 3, 2)),
        (4, GLOBAL),
    ]
    states = [str(information.ProcedureStepState) for kind, _, information in told if kind == 1]
    assert states == ["SCHEDULED", "SCHEDULED", "IN PROGRESS", "CANCELED", "IN PROGRESS"]
    assert told[1][2].ScheduledStationNameCodeSequence[0].CodeValue == "ROOM1"
    assert told[7][2].ProcedureStepProgressInformationSequence[0].ProcedureStepProgress == 50
    assert (told[8][2].RequestingAE, told[8][2].ReasonForCancellation) == ("THEIRS", "patient left")
    assert told[9][2].SCPStatus == "GOING DOWN"


# We ask them


def test_our_scheduler_and_performer_of_their_steps() -> None:
    kept, seen = Dataset(), []

    def on_create(event: Any) -> Any:
        kept.update(event.attribute_list)
        kept.SOPInstanceUID = event.request.AffectedSOPInstanceUID
        return 0x0000, None

    def on_find(event: Any) -> Iterator[Any]:
        answer = Dataset()
        answer.SpecificCharacterSet = "ISO_IR 192"
        answer.SOPInstanceUID, answer.PatientName = kept.SOPInstanceUID, kept.PatientName
        yield 0xFF00, answer

    def on_action(event: Any) -> Any:
        information = event.action_information
        seen.append((event.action_type, str(information.ProcedureStepState)))
        if kept.TransactionUID and kept.TransactionUID != information.TransactionUID:
            return 0xC301, None
        kept.ProcedureStepState, kept.TransactionUID = information.ProcedureStepState, information.TransactionUID
        return 0x0000, None

    def on_set(event: Any) -> Any:
        assert event.modification_list.TransactionUID == kept.TransactionUID
        seen.append(("set", event.modification_list.dir("Sequence")))
        return 0x0000, None

    def on_get(event: Any) -> Any:
        answer = Dataset()
        answer.ProcedureStepState = kept.ProcedureStepState
        return 0x0000, answer

    handlers = [(theirs.EVT_N_CREATE, on_create), (theirs.EVT_C_FIND, on_find), (theirs.EVT_N_ACTION, on_action)]
    handlers += [(theirs.EVT_N_SET, on_set), (theirs.EVT_N_GET, on_get)]
    server, port = their_server(*handlers, uids=[PUSH, PULL])
    try:
        with AE("OURS").connect("127.0.0.1", port, contexts=[build_context(uid) for uid in (PUSH, PULL)]) as assoc:
            uid = ups.create(assoc, scheduled())
            (found,) = ups.find(assoc, keys())
            assert (found.SOPInstanceUID, found.PatientName) == (uid, "Dör^Jane")
            claim = ups.claim(assoc, uid)
            with pytest.raises(StatusError, match="C301H"):
                ups.claim(assoc, uid)
            claim.progress(10, "begun")
            performed = Dataset()
            performed.PerformedWorkitemCodeSequence = code("READ")
            claim.complete(performed)
            assert ups.get(assoc, uid, ["ProcedureStepState"]).ProcedureStepState == "COMPLETED"
    finally:
        server.shutdown()
    assert seen == [
        (1, "IN PROGRESS"),
        (1, "IN PROGRESS"),
        ("set", ["ProcedureStepProgressInformationSequence"]),
        ("set", ["UnifiedProcedureStepPerformedProcedureSequence"]),
        (1, "COMPLETED"),
    ]


def test_our_watcher_of_their_steps() -> None:
    events: list[UpsEvent] = []
    asked: list[Any] = []

    def on_action(event: Any) -> Any:
        information = event.action_information
        lock = str(information.get("DeletionLock", ""))
        asked.append(
            (event.action_type, str(event.request.RequestedSOPInstanceUID), str(information.ReceivingAE), lock)
        )
        return 0x0000, None

    watcher = UpsWatcher(events.append)
    server, port = their_server((theirs.EVT_N_ACTION, on_action), uids=[WATCH])
    try:
        with our_server(watcher) as ours:
            with AE("OURS").connect("127.0.0.1", port, contexts=[build_context(WATCH)]) as assoc:
                ups.subscribe(assoc, "OURS", deletion_lock=True)
                ups.subscribe(assoc, "OURS", "1.2.3.9")
                ups.suspend(assoc, "OURS")
                ups.unsubscribe(assoc, "OURS")
            back = them(ours.port, EVENT, ext_neg=[pynetdicom.build_role(str(EVENT), scp_role=True)])
            statuses = []
            for kind in (1, 2, 3, 4, 5, 6):
                information = named(f"Dör^{kind}")
                statuses.append(back.send_n_event_report(information, kind, str(PUSH), "1.2.3.9", meta_uid=str(EVENT)))
            back.release()
    finally:
        server.shutdown()
    assert [status.Status for status, _ in statuses] == [0x0000] * 5 + [0x0113]
    assert [(event.event_type, event.information.PatientName) for event in events] == [
        (kind, f"Dör^{kind}") for kind in range(1, 6)
    ]
    assert asked == [
        (3, GLOBAL, "OURS", "TRUE"),
        (3, "1.2.3.9", "OURS", "FALSE"),
        (5, GLOBAL, "OURS", ""),
        (4, GLOBAL, "OURS", ""),
    ]
