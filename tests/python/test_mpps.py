"""Modality Performed Procedure Step: the rules cell by cell, and the messages between two of us."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import AssociationAborted, StatusError, build_context, evt
from dimsefast.sop_class import (
    CTImageStorage,
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepNotification,
    ModalityPerformedProcedureStepRetrieve,
)
from dimsefast.workflow import MppsProvider, Refusal, mpps_rules
from faces import AE, face, mpps  # noqa: F401
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file

IN_PROGRESS, COMPLETED, DISCONTINUED = "IN PROGRESS", "COMPLETED", "DISCONTINUED"
CT = Path(str(get_testdata_file("CT_small.dcm")))


def step(**attributes: Any) -> Dataset:
    scheduled = Dataset()
    scheduled.StudyInstanceUID = "1.2.3"
    dataset = Dataset()
    dataset.ScheduledStepAttributesSequence = [scheduled]
    dataset.PerformedProcedureStepID = "PPS1"
    dataset.PerformedStationAETitle = "MODALITY"
    dataset.PerformedProcedureStepStartDate = "20240101"
    dataset.PerformedProcedureStepStartTime = "1200"
    dataset.PerformedProcedureStepStatus = IN_PROGRESS
    dataset.Modality = "CT"
    dataset.PatientName = "Doe^Jane"
    return changed(dataset, attributes)


def changed(dataset: Dataset, attributes: dict[str, Any]) -> Dataset:
    for keyword, value in attributes.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    return dataset


def end(**attributes: Any) -> Dataset:
    dataset = Dataset()
    dataset.PerformedProcedureStepEndDate = "20240101"
    dataset.PerformedProcedureStepEndTime = "1230"
    dataset.PerformedSeriesSequence = mpps.performed_series([dcmread(CT)])
    return changed(dataset, attributes)


def modified(status: str | None, **attributes: Any) -> Dataset:
    """A Modification List."""
    dataset = end() if status in (COMPLETED, DISCONTINUED) else Dataset()
    if status is not None:
        dataset.PerformedProcedureStepStatus = status
    return changed(dataset, attributes)


class Served:
    def __init__(self, provider: MppsProvider) -> None:
        self.provider = provider
        server = AE("RIS").start_server(
            ("127.0.0.1", 0), block=False, contexts=provider.contexts, evt_handlers=provider.handlers
        )
        assert server is not None
        self.server = server

    def connect(self) -> Any:
        uids = (ModalityPerformedProcedureStep, ModalityPerformedProcedureStepRetrieve)
        contexts = [build_context(uid) for uid in uids]
        return AE("MODALITY").connect("127.0.0.1", self.server.port, contexts=contexts)


@pytest.fixture
def served() -> Iterator[Served]:
    with MppsProvider() as provider:
        made = Served(provider)
        yield made
        made.server.shutdown()


# The rules


def refusal(check: Any, *arguments: Any) -> tuple[int, int | None]:
    try:
        check(*arguments)
    except Refusal as refused:
        return refused.status.Status, refused.status.get("ErrorID")
    return 0x0000, None


@pytest.mark.parametrize(
    ("attributes", "status"),
    [
        ({}, 0x0000),
        *(({keyword: None}, 0x0120) for keyword in mpps_rules.CREATE_NEEDS),
        *(({keyword: ""}, 0x0121) for keyword in mpps_rules.CREATE_NEEDS if "Sequence" not in keyword),
        ({"ScheduledStepAttributesSequence": []}, 0x0121),
        ({"ScheduledStepAttributesSequence": [Dataset()]}, 0x0120),
        ({"PerformedProcedureStepStatus": COMPLETED}, 0x0106),
        ({"PerformedProcedureStepStatus": DISCONTINUED}, 0x0106),
        ({"PerformedProcedureStepStatus": "SCHEDULED"}, 0x0106),
        ({"PatientName": None}, 0x0000),
    ],
)
def test_what_a_new_step_must_have(attributes: dict[str, Any], status: int) -> None:
    assert refusal(mpps_rules.check_create, step(**attributes)) == (status, None)


#: (state before, state in the Modification List) to the status and the Error ID.
CELLS = {
    (IN_PROGRESS, None): (0x0000, None),
    (IN_PROGRESS, IN_PROGRESS): (0x0000, None),
    (IN_PROGRESS, COMPLETED): (0x0000, None),
    (IN_PROGRESS, DISCONTINUED): (0x0000, None),
    (IN_PROGRESS, "SCHEDULED"): (0x0106, None),
    (IN_PROGRESS, ""): (0x0106, None),
    **{
        (final, asked): (0x0110, 0xA710)
        for final in (COMPLETED, DISCONTINUED)
        for asked in (None, IN_PROGRESS, COMPLETED, DISCONTINUED, "SCHEDULED", "")
    },
}


@pytest.mark.parametrize(("cell", "expected"), CELLS.items())
def test_when_a_step_may_change(cell: Any, expected: Any, served: Served) -> None:
    before, asked = cell
    with served.connect() as assoc:
        uid = mpps.create(assoc, step())
        if before != IN_PROGRESS:
            mpps.update(assoc, uid, modified(before))
        changes = modified(asked, PerformedProcedureStepDescription="changed")
        status, _ = assoc.send_n_set(changes, ModalityPerformedProcedureStep, uid)
        assert (status.Status, status.get("ErrorID")) == expected
        stored = served.provider.store.get(uid)
        assert stored is not None
        done = expected[0] == 0
        assert (stored.get("PerformedProcedureStepDescription") == "changed") == done
        assert stored.PerformedProcedureStepStatus == (asked or before if done else before)


@pytest.mark.parametrize("state", [COMPLETED, DISCONTINUED])
@pytest.mark.parametrize(
    ("attributes", "completed", "discontinued"),
    [
        ({"PerformedProcedureStepEndDate": None}, 0x0121, 0x0121),
        ({"PerformedProcedureStepEndTime": ""}, 0x0121, 0x0121),
        ({"PerformedSeriesSequence": []}, 0x0121, 0x0000),
        ({"PerformedSeriesSequence": [Dataset()]}, 0x0120, 0x0120),
    ],
)
def test_what_a_finished_step_must_have(
    served: Served, state: str, attributes: dict[str, Any], completed: int, discontinued: int
) -> None:
    with served.connect() as assoc:
        uid = mpps.create(assoc, step())
        status, _ = assoc.send_n_set(modified(state, **attributes), ModalityPerformedProcedureStep, uid)
        assert status.Status == (completed if state == COMPLETED else discontinued)


@pytest.mark.parametrize("keyword", mpps_rules.NEVER_CHANGED)
def test_what_is_never_changed(served: Served, keyword: str) -> None:
    """The rest of the Modification List is done, and the same value again is no change."""
    with served.connect() as assoc:
        optional = {"IssuerOfPatientID": "X", "OtherPatientIDsSequence": [], "AdmissionID": "A"}
        optional |= {"ServiceEpisodeID": "E", "ServiceEpisodeDescription": "episode"}
        uid = mpps.create(assoc, step(**optional))
        before = served.provider.store.get(uid)
        assert before is not None
        same = Dataset()
        same[keyword] = before[keyword]
        assert assoc.send_n_set(same, ModalityPerformedProcedureStep, uid)[0].Status == 0x0000
        other = [Dataset()] if "Sequence" in keyword else "19990101" if "Date" in keyword else "0101"
        changes = modified(None, PerformedProcedureStepDescription="changed", **{keyword: other})
        status, _ = assoc.send_n_set(changes, ModalityPerformedProcedureStep, uid)
        assert (status.Status, status.AttributeIdentifierList) == (0x0107, before[keyword].tag)
        after = served.provider.store.get(uid)
        assert after is not None and after.PerformedProcedureStepDescription == "changed"
        assert after[keyword].value == before[keyword].value


# The messages


def test_from_the_beginning_to_the_end(served: Served) -> None:
    with served.connect() as assoc:
        uid = mpps.create(assoc, step(), "1.2.3.4")
        assert uid == "1.2.3.4"
        progress = Dataset()
        progress.CommentsOnThePerformedProcedureStep = "halfway"
        mpps.update(assoc, uid, progress)
        mpps.complete(assoc, uid, end())
        retrieve = ModalityPerformedProcedureStepRetrieve
        status, everything = assoc.send_n_get([], retrieve, uid)
        assert (status.Status, everything.PerformedProcedureStepStatus) == (0, COMPLETED)
        assert everything.CommentsOnThePerformedProcedureStep == "halfway" and everything.PatientID == ""
        (series,) = everything.PerformedSeriesSequence
        (image,) = series.ReferencedImageSequence
        assert image.ReferencedSOPClassUID == CTImageStorage
        status, some = assoc.send_n_get([0x00080060, 0x00100010], retrieve, uid)
        assert (status.Status, some.Modality, len(some)) == (0, "CT", 2)
        status, some = assoc.send_n_get([0x00080060, 0x00200013], retrieve, uid)
        assert (status.Status, list(some.keys())) == (0x0001, [0x00080060])


def test_a_step_can_be_discontinued(served: Served) -> None:
    with served.connect() as assoc:
        uid = mpps.create(assoc, step())
        mpps.discontinue(assoc, uid, end(PerformedSeriesSequence=[]))
        with pytest.raises(StatusError, match="may no longer be updated") as caught:
            mpps.complete(assoc, uid, end())
        assert caught.value.status == 0x0110


def test_duplicates_and_what_is_unknown(served: Served) -> None:
    mine, retrieve = ModalityPerformedProcedureStep, ModalityPerformedProcedureStepRetrieve
    with served.connect() as assoc:
        uid = mpps.create(assoc, step())
        with pytest.raises(StatusError, match="duplicate") as caught:
            mpps.create(assoc, step(), uid)
        assert caught.value.status == 0x0111
        assert assoc.send_n_set(Dataset(), mine, "1.2.9")[0].Status == 0x0112
        assert assoc.send_n_get([], retrieve, "1.2.9")[0].Status == 0x0112
        assert assoc.send_n_create(step(), CTImageStorage, "1.2.8", meta_uid=mine)[0].Status == 0x0118
        assert assoc.send_n_set(step(), retrieve, uid)[0].Status == 0x0118
        assert assoc.send_n_create(None, mine, "1.2.8")[0].Status == 0x0120
        status, _ = assoc.send_n_create(step(), mine)
        assert status.Status == 0 and served.provider.store.get(status.AffectedSOPInstanceUID) is not None
        with pytest.raises(ValueError, match="no Modality"):
            mpps.create(assoc, step(Modality=None))
        served.server.bind(evt.EVT_N_CREATE, lambda event: event.assoc.abort())
        with pytest.raises(AssociationAborted):
            mpps.create(assoc, step())


def test_character_sets_meet(served: Served) -> None:
    """The step was created in one and is modified in another."""
    created = step(SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jörg")
    created.ScheduledStepAttributesSequence[0].RequestedProcedureDescription = "Schädel"
    with served.connect() as assoc:
        uid = mpps.create(assoc, created)
        changes = modified(None, SpecificCharacterSet="ISO_IR 144", PerformedProcedureStepDescription="Череп")
        mpps.update(assoc, uid, changes)
        _, found = assoc.send_n_get([], ModalityPerformedProcedureStepRetrieve, uid)
    assert found.SpecificCharacterSet == "ISO_IR 192"
    assert (found.PatientName, found.PerformedProcedureStepDescription) == ("Müller^Jörg", "Череп")
    assert found.ScheduledStepAttributesSequence[0].RequestedProcedureDescription == "Schädel"


def test_who_is_told_of_a_change_cannot_undo_it() -> None:
    with MppsProvider(on_change=lambda uid, changed: 1 / 0) as provider:
        made = Served(provider)
        with made.server, made.connect() as assoc:
            mpps.complete(assoc, mpps.create(assoc, step()), end())


def test_a_store_of_ones_own_and_who_is_told() -> None:
    class Kept:
        """All that a store needs."""

        def __init__(self) -> None:
            self.puts: list[tuple[str, str]] = []
            self.kept: dict[str, Dataset] = {}

        def get(self, sop_instance: str) -> Dataset | None:
            return self.kept.get(sop_instance)

        def put(self, sop_instance: str, dataset: Dataset) -> None:
            self.puts.append((sop_instance, dataset.PerformedProcedureStepStatus))
            self.kept[sop_instance] = dataset

    told: list[tuple[int, str]] = []
    changes: list[str] = []

    def on_report(event: Any) -> Any:
        told.append((event.event_type, event.request.AffectedSOPInstanceUID))
        return 0x0000, None

    watcher = AE("WATCHER")
    watcher.add_supported_context(ModalityPerformedProcedureStepNotification, scu_role=False, scp_role=True)
    listening = watcher.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, on_report)])
    assert listening is not None
    store = Kept()
    addresses = {"WATCHER": listening.address}
    with (
        listening,
        MppsProvider(
            store, subscribers=["WATCHER"], addresses=addresses, on_change=lambda uid, _: changes.append(uid)
        ) as provider,
    ):
        made = Served(provider)
        with made.server, made.connect() as assoc:
            first, second = mpps.create(assoc, step()), mpps.create(assoc, step())
            mpps.update(assoc, first, Dataset())
            mpps.complete(assoc, first, end())
            mpps.discontinue(assoc, second, end())
            wait_until(lambda: len(told) == 4)
    assert told == [(1, first), (1, second), (2, first), (3, second)]
    assert store.puts == [
        (first, IN_PROGRESS),
        (second, IN_PROGRESS),
        (first, IN_PROGRESS),
        (first, COMPLETED),
        (second, DISCONTINUED),
    ]
    assert changes == [uid for uid, _ in store.puts] and len(store.kept) == 2
