"""Unified Procedure Step: the state table cell by cell, and scheduling, performing and watching between three of us."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import AssociationAborted, StatusError, build_context, evt
from dimsefast.sop_class import (
    CTImageStorage,
    UnifiedProcedureStepEvent,
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepQuery,
    UnifiedProcedureStepWatch,
    UPSFilteredGlobalSubscriptionInstance,
    UPSGlobalSubscriptionInstance,
)
from dimsefast.workflow import MemoryStore, UpsEvent, UpsProvider, UpsWatcher, ups_rules
from faces import AE, face, ups  # noqa: F401
from pydicom import Dataset

SCHEDULED, IN_PROGRESS, COMPLETED, CANCELED = "SCHEDULED", "IN PROGRESS", "COMPLETED", "CANCELED"
PUSH = UnifiedProcedureStepPush
LOCK = "1.2.3.99"


def code(value: str = "1") -> list[Dataset]:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "99TEST", "test"
    return [item]


def step(**attributes: Any) -> Dataset:
    dataset = Dataset()
    dataset.ScheduledProcedureStepPriority = "MEDIUM"
    dataset.ProcedureStepLabel = "Read"
    dataset.WorklistLabel = "Reading"
    dataset.ScheduledProcedureStepStartDateTime = "20240101120000"
    dataset.PatientName = "Doe^Jane"
    dataset.PatientID = "P1"
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def performed() -> Dataset:
    item = Dataset()
    item.PerformedStationNameCodeSequence = code()
    item.PerformedWorkitemCodeSequence = code()
    item.PerformedProcedureStepStartDateTime = "20240101120000"
    item.PerformedProcedureStepEndDateTime = "20240101123000"
    return item


class World:
    """A provider, and a watcher that listens as WATCHER and OTHER."""

    def __init__(self, **options: Any) -> None:
        self.events: list[UpsEvent] = []
        self.watcher = UpsWatcher(self.events.append)
        self.listening: Any = AE("WATCHER").start_server(
            ("127.0.0.1", 0), block=False, contexts=self.watcher.contexts, evt_handlers=self.watcher.handlers
        )
        addresses = {title: self.listening.address for title in ("WATCHER", "OTHER")}
        self.provider = UpsProvider(addresses=addresses, **options)
        self.server: Any = AE("WORKLIST").start_server(
            ("127.0.0.1", 0), block=False, contexts=self.provider.contexts, evt_handlers=self.provider.handlers
        )

    def connect(self, *uids: str) -> Any:
        contexts = [build_context(uid) for uid in uids or (PUSH, UnifiedProcedureStepPull, UnifiedProcedureStepWatch)]
        return AE("PERFORMER").connect("127.0.0.1", self.server.port, contexts=contexts)

    def state(self, uid: str) -> str | None:
        found = self.provider.store.get(uid)
        return None if found is None else str(found.ProcedureStepState)

    def told(self) -> list[tuple[int, str]]:
        return [(event.event_type, event.sop_instance) for event in self.events]

    def close(self) -> None:
        self.provider.close()
        self.server.shutdown()
        self.listening.shutdown()


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


def in_state(world: World, assoc: Any, state: str | None) -> str:
    """A step in this state, whose Transaction UID is LOCK."""
    if state is None:
        return "1.2.3.404"
    uid = ups.create(assoc, step())
    if state == SCHEDULED:
        return uid
    claim = ups.claim(assoc, uid, LOCK)
    if state == COMPLETED:
        claim.complete(performed())
    elif state == CANCELED:
        claim.cancel("enough")
    return uid


# The table

#: Transcribed from PS3.4 Table CC.1.1-2, apart from the code: a number is the status, a state is what it becomes.
COLUMNS = (None, SCHEDULED, IN_PROGRESS, COMPLETED, CANCELED)
ROWS = {
    "N-CREATE": ("SCHEDULED", "0111", "0111", "0111", "0111"),
    "to IN PROGRESS with lock": ("C307", "IN PROGRESS", "C302", "C300", "C300"),
    "to IN PROGRESS without": ("C307", "C301", "C301", "C301", "C301"),
    "to SCHEDULED with lock": ("C307", "C303", "C303", "C303", "C303"),
    "to SCHEDULED without": ("C307", "C303", "C303", "C303", "C303"),
    "to COMPLETED with lock": ("C307", "C310", "COMPLETED", "B306", "C300"),
    "to COMPLETED without": ("C307", "C301", "C301", "C301", "C301"),
    "to COMPLETED with lock, not ready": ("C307", "C310", "C304", "B306", "C300"),
    "request cancel": ("C307", "CANCELED", "IN PROGRESS", "C311", "B304"),
    "to CANCELED with lock": ("C307", "C310", "CANCELED", "C300", "B304"),
    "to CANCELED without": ("C307", "C301", "C301", "C301", "C301"),
    "to CANCELED with lock, not ready": ("C307", "C310", "C304", "C300", "B304"),
    "N-SET with lock": ("C307", "C310", "IN PROGRESS", "C300", "C300"),
    "N-SET without": ("C307", "SCHEDULED", "C301", "C300", "C300"),
}


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("column", COLUMNS, ids=str)
def test_every_cell_of_the_state_table(world: World, row: str, column: str | None) -> None:
    expected = ROWS[row][COLUMNS.index(column)]
    with world.connect() as assoc:
        uid = in_state(world, assoc, column)
        if column is not None:
            ups.subscribe(assoc, "WATCHER", uid)
        information = Dataset()
        if "with lock" in row:
            information.TransactionUID = LOCK
        if row == "N-CREATE":
            whole = step(ProcedureStepState=SCHEDULED, InputReadinessState="READY")
            status, _ = assoc.send_n_create(whole, PUSH, uid)
        elif row.startswith("N-SET"):
            information.ProcedureStepLabel = "Changed"
            status, _ = assoc.send_n_set(information, PUSH, uid)
        elif row == "request cancel":
            status, _ = assoc.send_n_action(information, 2, PUSH, uid)
        else:
            information.ProcedureStepState = row.removeprefix("to ").split(" with")[0]
            if column == IN_PROGRESS and row.endswith("with lock"):
                make_ready(assoc, uid)
            status, _ = assoc.send_n_action(information, 1, PUSH, uid)
    if expected in ups_rules.STATES:
        assert (status.Status, world.state(uid)) == (0x0000, expected)
    else:
        assert (f"{status.Status:04X}", world.state(uid)) == (expected, column)
        assert expected.startswith("B") or status.ErrorComment


def make_ready(assoc: Any, uid: str) -> None:
    """What either final state needs."""
    changes = Dataset()
    changes.UnifiedProcedureStepPerformedProcedureSequence = [performed()]
    changes.UnifiedProcedureStepPerformedProcedureSequence[0].OutputInformationSequence = []
    item = Dataset()
    item.ProcedureStepCancellationDateTime = "20240101123000"
    item.ProcedureStepDiscontinuationReasonCodeSequence = []
    changes.ProcedureStepProgressInformationSequence = [item]
    ups.Claim(assoc, uid, LOCK).update(changes)


@pytest.mark.parametrize("state", [COMPLETED, CANCELED])
def test_each_requirement_of_a_final_state(state: str) -> None:
    sequence, needed, may_be_empty = ups_rules.FINAL_NEEDS[state]
    whole = Dataset()
    for keyword in needed:
        setattr(whole, keyword, code() if "Sequence" in keyword else "20240101")
    for keyword in may_be_empty:
        setattr(whole, keyword, [])

    def ready(item: Dataset | None) -> bool:
        dataset = Dataset()
        setattr(dataset, sequence, [] if item is None else [item])
        return ups_rules.is_ready_for(state, dataset)

    assert ready(whole) and not ready(None) and not ups_rules.is_ready_for(state, Dataset())
    for keyword in (*needed, *may_be_empty):
        lacking = Dataset()
        lacking.update({tag: whole[tag] for tag in whole.keys() if whole[tag].keyword != keyword})  # noqa: SIM118
        assert not ready(lacking), keyword


@pytest.mark.parametrize("keyword", [*ups_rules.CREATE_NEEDS, ""])
def test_what_a_new_step_must_have(world: World, keyword: str) -> None:
    whole = step(ProcedureStepState=SCHEDULED, InputReadinessState="READY")
    with world.connect() as assoc:
        for value, status in ((None, 0x0120), ("", 0x0121)):
            if keyword:
                whole.pop(keyword, None)
            if keyword and value is not None:
                setattr(whole, keyword, value)
            answer, _ = assoc.send_n_create(whole, PUSH, "1.2.3.5")
            assert answer.Status == (status if keyword else (0x0000 if value is None else 0x0111))
        with pytest.raises(ValueError, match="no ScheduledProcedureStepPriority"):
            ups.create(assoc, Dataset())
        whole = step(ProcedureStepState=IN_PROGRESS, InputReadinessState="READY")
        assert assoc.send_n_create(whole, PUSH, "1.2.3.6")[0].Status == 0xC309


# Scheduling and performing


def test_a_step_from_the_beginning_to_the_end(world: World) -> None:
    with world.connect(PUSH) as scheduler, world.connect(UnifiedProcedureStepPull) as performer:
        uid = ups.create(scheduler, step())
        changes = Dataset()
        changes.WorklistLabel = "Urgent"
        ups.modify(scheduler, uid, changes)
        keys = Dataset()
        keys.ProcedureStepState, keys.PatientID, keys.TransactionUID = SCHEDULED, "P*", ""
        keys.SOPInstanceUID = keys.WorklistLabel = ""
        (found,) = ups.find(performer, keys)
        assert (found.SOPInstanceUID, found.WorklistLabel, found.PatientID) == (uid, "Urgent", "P1")
        claim = ups.claim(performer, uid)
        assert not list(ups.find(performer, keys))
        keys.ProcedureStepState = IN_PROGRESS
        (found,) = ups.find(performer, keys)
        assert "TransactionUID" not in found
        claim.progress(50, "half")
        with pytest.raises(StatusError, match="Transaction UID"):
            ups.modify(scheduler, uid, changes)
        with pytest.raises(StatusError, match="already IN PROGRESS"):
            ups.claim(performer, uid, claim.transaction_uid)
        everything = ups.get(performer, uid)
        assert everything.ProcedureStepProgressInformationSequence[0].ProcedureStepProgress == 50
        assert "TransactionUID" not in everything and everything.SOPClassUID == PUSH
        asked = ups.get(performer, uid, [0x00081195, 0x00741204])
        assert [element.keyword for element in asked] == ["ProcedureStepLabel"]
        claim.complete(performed())
        assert world.state(uid) == COMPLETED
        with pytest.raises(StatusError, match="no longer be updated"):
            claim.progress(100)


def test_the_character_set_of_a_step_stays(world: World) -> None:
    with world.connect() as assoc:
        uid = ups.create(assoc, step(SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jörg"))
        plain, other = Dataset(), Dataset()
        plain.WorklistLabel = "Urgent"
        other.SpecificCharacterSet, other.WorklistLabel = "ISO_IR 192", "Срочно"
        for changes, expected in ((plain, "ISO_IR 100"), (other, "ISO_IR 192")):
            ups.modify(assoc, uid, changes)
            found = ups.get(assoc, uid)
            assert (found.SpecificCharacterSet, found.PatientName) == (expected, "Müller^Jörg")
            assert found.WorklistLabel == changes.WorklistLabel


def test_a_claim_is_given_up(world: World) -> None:
    with world.connect(PUSH, UnifiedProcedureStepPull) as assoc:
        uid = ups.create(assoc, step(), "1.2.3.7")
        claim = ups.claim(assoc, uid)
        with pytest.raises(StatusError, match="Transaction UID"):
            ups.Claim(assoc, uid, "1.2.3.8").cancel()
        claim.cancel("broken")
        assert (uid, world.state(uid)) == ("1.2.3.7", CANCELED)


@pytest.mark.parametrize("uid", [UnifiedProcedureStepPull, UnifiedProcedureStepWatch, UnifiedProcedureStepQuery])
def test_a_query_over_every_class_that_has_one(world: World, uid: str) -> None:
    with world.connect(PUSH, uid) as assoc:
        for number in range(3):
            ups.create(assoc, step(PatientID=f"P{number}", ScheduledProcedureStepStartDateTime=f"2024010{number + 1}"))
        keys = Dataset()
        keys.PatientID, keys.ScheduledProcedureStepStartDateTime = "", "20240102-20240103"
        assert [str(found.PatientID) for found in ups.find(assoc, keys, uid)] == ["P1", "P2"]
        with pytest.raises(StatusError, match="SOP class not supported"):
            list(ups.find(assoc, keys, PUSH))
        server = world.server
        server.bind(evt.EVT_C_FIND, lambda event: event.assoc.abort())
        with pytest.raises(AssociationAborted):
            list(ups.find(assoc, keys, uid))


# Watching


def test_reports_of_a_step_in_their_order(world: World) -> None:
    with world.connect() as assoc:
        uid = ups.create(assoc, step())
        ups.subscribe(assoc, "WATCHER", uid, deletion_lock=True)
        assert world.provider.subscriptions.deletion_locks(uid) == ["WATCHER"]
        claim = ups.claim(assoc, uid)
        claim.progress(10)
        changes = Dataset()
        changes.ScheduledStationNameCodeSequence = code("ROOM1")
        performer = Dataset()
        performer.HumanPerformerCodeSequence, performer.HumanPerformerOrganization = code("READER"), "Hospital"
        changes.ScheduledHumanPerformersSequence = [performer]
        claim.update(changes)
        ups.request_cancel(assoc, uid, "patient left")
        claim.cancel("patient left")
        wait_until(lambda: len(world.events) == 7)
    assert world.told() == [(number, uid) for number in (1, 1, 3, 5, 2, 3, 1)]
    states = [e.information.ProcedureStepState for e in world.events if e.event_type == 1]
    assert states == [SCHEDULED, IN_PROGRESS, CANCELED]
    assert world.events[2].information.ProcedureStepProgressInformationSequence[0].ProcedureStepProgress == 10
    assert world.events[3].information.ScheduledStationNameCodeSequence[0].CodeValue == "ROOM1"
    assert world.events[3].information.HumanPerformerCodeSequence[0].CodeValue == "READER"
    asked = world.events[4].information
    assert (asked.RequestingAE, asked.ReasonForCancellation) == ("PERFORMER", "patient left")
    assert world.events[6].information.ReasonForCancellation == "patient left"


def test_subscriptions_to_all_steps(world: World) -> None:
    with world.connect() as assoc:
        first = ups.create(assoc, step())
        ups.subscribe(assoc, "WATCHER", deletion_lock=True)
        second = ups.create(assoc, step(ScheduledStationNameCodeSequence=code("ROOM1")))
        wait_until(lambda: world.told() == [(1, first), (1, second), (5, second)])
        assert world.provider.subscriptions.deletion_locks(second) == ["WATCHER"]
        world.events.pop()
        # Who is subscribed stays so, with the lock, and is told nothing again.
        ups.subscribe(assoc, "WATCHER")
        assert world.provider.subscriptions.deletion_locks(second) == ["WATCHER"]
        ups.suspend(assoc, "WATCHER")
        third = ups.create(assoc, step())
        ups.request_cancel(assoc, first)
        wait_until(lambda: world.told()[2:] == [(1, first)] * 2)
        ups.unsubscribe(assoc, "WATCHER", second)
        ups.request_cancel(assoc, second)
        ups.unsubscribe(assoc, "WATCHER")
        ups.request_cancel(assoc, third)
        ups.subscribe(assoc, "WATCHER", third)
        wait_until(lambda: world.told()[4:] == [(1, third)])
    assert [world.state(uid) for uid in (first, second, third)] == [CANCELED] * 3
    assert world.events[3].information.ProcedureStepState == CANCELED


def test_a_subscription_to_what_matches(world: World) -> None:
    keys = Dataset()
    keys.WorklistLabel = "Reading"
    with world.connect() as assoc:
        first = ups.create(assoc, step())
        ups.create(assoc, step(WorklistLabel="Other"))
        ups.subscribe(assoc, "WATCHER", keys=keys)
        ups.create(assoc, step(WorklistLabel="Other"))
        second = ups.create(assoc, step())
        # Without a lock the state of what there was before is not told.
        wait_until(lambda: world.told() == [(1, second)])
        assert world.provider.subscriptions.of(first) == ["WATCHER"]
        readiness = Dataset()
        readiness.InputReadinessState = "INCOMPLETE"
        ups.modify(assoc, second, readiness)
        wait_until(lambda: len(world.events) == 2)
    assert world.events[1].information.InputReadinessState == "INCOMPLETE"


@pytest.mark.blocking
@pytest.mark.parametrize("kept", [False, True])
def test_the_provider_tells_of_itself(kept: bool) -> None:
    store = MemoryStore() if kept else None
    world = World(store=store, fallback=["OTHER", "WATCHER", "NOWHERE"], retry_after=())
    try:
        # Nobody is subscribed after a start.
        assert world.provider.announce(world.server.ae, timeout=30) == {"OTHER", "WATCHER"}
        with world.connect() as assoc:
            uid = ups.create(assoc, step())
            ups.subscribe(assoc, "WATCHER", uid)
        wait_until(lambda: len(world.events) == 3)
        world.provider.announce(world.server.ae, "GOING DOWN")
        wait_until(lambda: len(world.events) == 5)
    finally:
        world.close()
    assert world.told() == [
        *[(4, UPSGlobalSubscriptionInstance)] * 2,
        (1, uid),
        *[(4, UPSGlobalSubscriptionInstance)] * 2,
    ]
    said = [event.information for event in world.events if event.event_type == 4]
    steps = "WARM START" if kept else "COLD START"
    for information, status in zip(said, ["RESTARTED"] * 2 + ["GOING DOWN"] * 2, strict=True):
        assert (information.SCPStatus, information.SubscriptionListStatus) == (status, "COLD START")
        assert information.UnifiedProcedureStepListStatus == steps


def test_a_finished_step_is_removed_once_nobody_needs_it(world: World) -> None:
    with world.connect() as assoc:
        uid = in_state(world, assoc, IN_PROGRESS)
        ups.subscribe(assoc, "WATCHER", uid, deletion_lock=True)
        with pytest.raises(ValueError, match="IN PROGRESS: only finished"):
            world.provider.remove(uid)
        ups.Claim(assoc, uid, LOCK).complete(performed())
        with pytest.raises(ValueError, match=r"kept for WATCHER \(deletion lock\)"):
            world.provider.remove(uid)
        # A subscription without the lock gives it back.
        ups.subscribe(assoc, "WATCHER", uid)
        world.provider.remove(uid)
        with pytest.raises(StatusError, match="no such UPS"):
            ups.get(assoc, uid)
        assert world.provider.subscriptions.of(uid) == []
        with pytest.raises(KeyError):
            world.provider.remove(uid)


def test_requests_to_cancel_that_are_refused() -> None:
    answers = [False, True]
    asked: list[Any] = []

    def on_cancel_request(uid: str, information: Dataset) -> bool:
        asked.append((uid, str(information.get("ReasonForCancellation"))))
        return answers.pop(0)

    alone, deciding = World(), World(on_cancel_request=on_cancel_request)
    try:
        with alone.connect() as assoc:
            uid = in_state(alone, assoc, IN_PROGRESS)
            with pytest.raises(StatusError) as caught:
                ups.request_cancel(assoc, uid)
            assert caught.value.status == 0xC312
        with deciding.connect() as assoc:
            uid = in_state(deciding, assoc, IN_PROGRESS)
            with pytest.raises(StatusError) as caught:
                ups.request_cancel(assoc, uid, "no need")
            assert caught.value.status == 0xC313
            ups.request_cancel(assoc, uid, "really")
        assert asked == [(uid, "no need"), (uid, "really")]
    finally:
        alone.close()
        deciding.close()


@pytest.mark.parametrize(
    ("action", "title", "instance", "status"),
    [
        (3, "NOBODY", "a step", 0xC308),
        (3, "", "a step", 0x0115),
        (3, "WATCHER", "1.2.3.404", 0xC307),
        (4, "WATCHER", "1.2.3.404", 0xC307),
        (4, "NOBODY", "a step", 0xC308),
        (5, "WATCHER", "a step", 0xC314),
        (5, "WATCHER", UPSGlobalSubscriptionInstance, 0x0000),
        (3, "WATCHER", UPSFilteredGlobalSubscriptionInstance, 0x0000),
        (6, "WATCHER", "a step", 0x0123),
        (1, "WATCHER", "a step", 0x0115),
    ],
)
def test_actions_that_are_refused(world: World, action: int, title: str, instance: str, status: int) -> None:
    information = Dataset()
    information.ReceivingAE = title
    with world.connect() as assoc:
        uid = in_state(world, assoc, SCHEDULED) if instance == "a step" else instance
        answer, _ = assoc.send_n_action(information, action, PUSH, uid)
        assert answer.Status == status
        assert assoc.send_n_action(information, action, CTImageStorage, uid, meta_uid=PUSH)[0].Status == 0x0118


def test_a_provider_without_addresses_has_no_subscriptions() -> None:
    with UpsProvider() as provider:
        server: Any = AE("WORKLIST").start_server(
            ("127.0.0.1", 0), block=False, contexts=provider.contexts, evt_handlers=provider.handlers
        )
        contexts = [build_context(UnifiedProcedureStepWatch)]
        with server, AE().connect("127.0.0.1", server.port, contexts=contexts) as assoc:
            with pytest.raises(StatusError) as caught:
                ups.subscribe(assoc, "WATCHER")
    assert caught.value.status == 0xC315


def test_what_may_not_be_set_and_what_is_no_event(world: World) -> None:
    with world.connect() as assoc:
        uid = in_state(world, assoc, SCHEDULED)
        changes = Dataset()
        changes.ProcedureStepState = IN_PROGRESS
        assert assoc.send_n_set(changes, PUSH, uid)[0].Status == 0x0106
        assert assoc.send_n_get([], PUSH, "1.2.3.404")[0].Status == 0xC307
    contexts = [build_context(UnifiedProcedureStepEvent)]
    with AE().connect("127.0.0.1", world.listening.port, contexts=contexts) as assoc:
        assert assoc.send_n_event_report(Dataset(), 6, PUSH, uid)[0].Status == 0x0113
