"""A served archive, asked over associations by our own requestor."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import (
    AE,
    AllStoragePresentationContexts,
    Archive,
    Association,
    MatchError,
    build_context,
    build_role,
    evt,
    query,
)
from dimsefast import ALL_TRANSFER_SYNTAXES as ALL
from dimsefast import sop_class as sop
from dimsefast.archive.search import Options, Search
from dimsefast.negotiation import SOPClassExtendedNegotiation
from pydicom import Dataset, dcmread
from pydicom.uid import UID

from .contents import CT, made

PATIENT_FIND = sop.PatientRootQueryRetrieveInformationModelFind
STUDY_FIND = sop.StudyRootQueryRetrieveInformationModelFind
STUDY_MOVE = sop.StudyRootQueryRetrieveInformationModelMove
STUDY_GET = sop.StudyRootQueryRetrieveInformationModelGet
CT_STORAGE = sop.CTImageStorage


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path / "archive") as opened:
        yield opened


@pytest.fixture
def served(archive: Archive) -> Iterator[tuple[str, int]]:
    server = archive.serve(("127.0.0.1", 0), block=False, destinations=DESTINATIONS)
    assert server is not None
    yield server.address
    server.shutdown()


#: The move destinations of this module's archives; tests put theirs in.
DESTINATIONS: dict[str, Any] = {}


def series(archive: Archive, count: int, first: int = 1) -> list[Dataset]:
    """Fills an archive with one series; in an order that is not that of the Instance Number."""
    objects = [
        made(1, InstanceNumber=number, SOPInstanceUID=f"1.2.3.{number}") for number in range(first, first + count)
    ]
    for result in archive.add(reversed(objects)):
        assert result.status == 0, result.error
    return objects


def connect(address: tuple[str, int], *models: str, **options: Any) -> Association:
    contexts = options.pop("contexts", [build_context(model) for model in models])
    return AE("TESTER").connect(*address, ae_title="ARCHIVE", contexts=contexts, **options)


def extended(model: str, *options: int) -> list[Any]:
    item = SOPClassExtendedNegotiation()
    item.sop_class_uid, item.service_class_application_information = UID(model), bytes(options)
    return [item]


def found(address: tuple[str, int], identifier: Dataset, model: str = STUDY_FIND, **options: Any) -> list[Dataset]:
    with connect(address, model, **options) as assoc:
        *pending, (final, nothing) = assoc.send_c_find(identifier, model)
        assert final.Status == 0 and nothing is None, final
        assert all(status.Status == 0xFF00 for status, _ in pending)
        return [identifier for _, identifier in pending]


def study_of(number: int) -> str:
    return f"1.2.826.0.1.{number}.1"


# C-FIND


def test_level_by_level(archive: Archive, served: tuple[str, int]) -> None:
    list(archive.add([made(1, PatientID="A"), made(2, PatientID="A", Modality="MR"), made(3, PatientID="B")]))
    (one,) = found(served, query.patient(PatientID="A", NumberOfPatientRelatedStudies=""), PATIENT_FIND)
    assert (one.QueryRetrieveLevel, one.PatientID, one.NumberOfPatientRelatedStudies) == ("PATIENT", "A", 2)
    assert one.RetrieveAETitle == "ARCHIVE"
    studies = found(served, query.study(PatientID="A", ModalitiesInStudy="MR", InstanceAvailability="ONLINE"))
    assert [(one.StudyInstanceUID, one.ModalitiesInStudy) for one in studies] == [(study_of(2), "MR")]
    assert studies[0].InstanceAvailability == "ONLINE"
    (one,) = found(served, query.series(StudyInstanceUID=study_of(2), NumberOfStudyRelatedInstances=""))
    assert (one.Modality, one.NumberOfSeriesRelatedInstances, one.NumberOfStudyRelatedInstances) == ("MR", 1, 1)
    keys = {"StudyInstanceUID": study_of(3), "SeriesInstanceUID": f"{study_of(3)}.1", "Rows": ""}
    (one,) = found(served, query.image(**keys, AvailableTransferSyntaxUID=""))
    assert (one.SOPInstanceUID, one.Rows) == ("1.2.826.0.1.3.9", 128)
    assert one.AvailableTransferSyntaxUID == "1.2.840.10008.1.2.1"


@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"]
)
def test_in_every_transfer_syntax(archive: Archive, served: tuple[str, int], syntax: str) -> None:
    list(archive.add([made(1, PatientName="Müller^Hans", SpecificCharacterSet="ISO_IR 100")]))
    keys = query.series(
        StudyInstanceUID=study_of(1), PatientName="MÜLLER*", Rows="", NumberOfSeriesRelatedInstances="1"
    )
    keys.SpecificCharacterSet = "ISO_IR 192"
    (one,) = found(served, keys, contexts=[build_context(STUDY_FIND, syntax)])
    assert (one.PatientName, one.Rows, one.NumberOfSeriesRelatedInstances) == ("Müller^Hans", 128, 1)


@pytest.mark.parametrize(
    ("model", "keys", "element"),
    [
        (STUDY_FIND, query.series(Modality="CT"), 0x0020000D),
        (STUDY_FIND, query.patient(PatientID="A"), 0x00080052),
        (PATIENT_FIND, query.study(PatientID="A*"), 0x00100020),
        (STUDY_FIND, Dataset(), 0x00080052),
    ],
)
def test_an_identifier_that_the_model_does_not_allow(
    served: tuple[str, int], model: str, keys: Dataset, element: int
) -> None:
    with connect(served, model) as assoc:
        ((status, nothing),) = assoc.send_c_find(keys, model)
        assert (status.Status, status.OffendingElement, nothing) == (0xA900, element, None)
        assert 0 < len(status.ErrorComment) <= 64
        # Nothing has happened to the association.
        assert assoc.is_established


def test_a_retrieval_that_says_nothing(served: tuple[str, int]) -> None:
    contexts = [build_context(STUDY_MOVE), build_context(STUDY_GET)]
    with connect(served, contexts=contexts) as assoc:
        ((moved, _),) = assoc.send_c_move(query.study(), "ANY", STUDY_MOVE)
        ((got, _),) = assoc.send_c_get(query.study(), STUDY_GET)
        for status in (moved, got):
            assert (status.Status, status.OffendingElement) == (0xA900, 0x0020000D)


def test_what_was_negotiated_is_honoured(archive: Archive, served: tuple[str, int]) -> None:
    times = {"StudyDate": "20200102", "StudyTime": "0030", "TimezoneOffsetFromUTC": "+0100"}
    list(archive.add([made(1, PatientName="Smith^John", **times)]))
    relational, fuzzy = query.image(PatientName="Smith^John"), query.study(PatientName="Smyth^John")
    combined = query.study(StudyDate="20200101-20200102", StudyTime="1200-0100")
    zoned = query.study(StudyDate="20200101")
    zoned.TimezoneOffsetFromUTC = "+0000"
    for place, keys, without in ((0, relational, None), (1, combined, 0), (2, fuzzy, 0), (3, zoned, 0)):
        asked = [0] * 4
        if without is not None:
            assert len(found(served, keys)) == without, place
        asked[place] = 1
        assert len(found(served, keys, ext_neg=extended(STUDY_FIND, *asked))) == 1, place


def test_what_is_supported_is_answered(served: tuple[str, int]) -> None:
    items = extended(STUDY_FIND, 1, 1, 1, 1, 1, 1, 1) + extended(STUDY_MOVE, 1, 1) + extended(CT_STORAGE, 1)
    contexts = [build_context(uid) for uid in (STUDY_FIND, STUDY_MOVE, CT_STORAGE)]
    with connect(served, contexts=contexts, ext_neg=items) as assoc:
        assert assoc.acceptor.sop_class_extended == {
            STUDY_FIND: bytes([1, 1, 1, 1, 0, 1, 1]),
            STUDY_MOVE: bytes([1, 0]),
        }


def test_a_cancelled_search_reads_no_further(archive: Archive) -> None:
    series(archive, 100)
    archive.up_to_date()
    search = Search(archive.database, query.image(), STUDY_FIND, Options(relational=True))
    seen: list[bytes] = []
    for response in search.responses(is_cancelled=lambda: bool(seen)):
        seen.append(response)
    # What was in the first batch; those behind it were not looked at.
    assert 1 <= len(seen) < 100
    assert len(search.instances(lambda: True)) == 0


def test_an_association_goes_on_after_a_cancelled_find(archive: Archive, served: tuple[str, int]) -> None:
    series(archive, 100)
    with connect(served, STUDY_FIND, ext_neg=extended(STUDY_FIND, 1)) as assoc:
        statuses = []
        for status, _ in assoc.send_c_find(query.image(), STUDY_FIND, msg_id=1):
            if not statuses:
                assoc.send_c_cancel(1, query_model=STUDY_FIND)
            statuses.append(status.Status)
        *pending, final = statuses
        # All of them may have left before the C-CANCEL came.
        assert set(pending) == {0xFF00} and (final == 0xFE00 or (final == 0 and len(pending) == 100))
        assert len(list(assoc.send_c_find(query.image(SOPInstanceUID="1.2.3.7"), STUDY_FIND))) == 2


def test_who_leaves_in_a_find_leaves_no_transaction(archive: Archive, served: tuple[str, int]) -> None:
    series(archive, 50)
    assoc = connect(served, STUDY_FIND, ext_neg=extended(STUDY_FIND, 1))
    next(iter(assoc.send_c_find(query.image(), STUDY_FIND)))
    assoc.abort()
    wait_until(lambda: archive.database._engine.pool.checkedout() <= 1, "the end of the transaction")  # type: ignore[attr-defined]


def test_what_was_acknowledged_is_found(archive: Archive, served: tuple[str, int]) -> None:
    stop = threading.Event()
    failed: list[object] = []

    def ask() -> None:
        # Everything, again and again, while there is storing.
        with connect(served, STUDY_FIND) as assoc:
            while not stop.is_set():
                *_, (status, _) = assoc.send_c_find(query.study(), STUDY_FIND)
                if status.Status != 0:
                    failed.append(status)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        contexts = [build_context(STUDY_FIND), build_context(CT_STORAGE, "1.2.840.10008.1.2.1")]
        with connect(served, contexts=contexts) as assoc:
            for number in range(1, 41):
                assert assoc.send_c_store(made(number)).Status == 0
                responses = list(assoc.send_c_find(query.study(StudyInstanceUID=study_of(number)), STUDY_FIND))
                assert [status.Status for status, _ in responses] == [0xFF00, 0], number
    finally:
        stop.set()
        thread.join()
    assert not failed


# Retrieval


class Receiver:
    """A move destination, which says in which order objects came."""

    def __init__(self, on_store: Callable[[Any], int] = lambda event: 0) -> None:
        self.received: list[str] = []
        self._on_store = on_store
        ae = AE("RECEIVER")
        for context in AllStoragePresentationContexts:
            ae.add_supported_context(context.abstract_syntax, ALL)
        self.server: Any = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)])
        DESTINATIONS["RECEIVER"] = f"127.0.0.1:{self.server.port}"

    def _store(self, event: Any) -> int:
        self.received.append(str(event.request.AffectedSOPInstanceUID))
        return self._on_store(event)

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        DESTINATIONS.clear()


def moved(address: tuple[str, int], keys: Dataset, to: str = "RECEIVER") -> tuple[Dataset, Dataset | None]:
    with connect(address, STUDY_MOVE, ext_neg=extended(STUDY_MOVE, 1)) as assoc:
        *_, last = assoc.send_c_move(keys, to, STUDY_MOVE)
        return last


def counts(status: Dataset) -> tuple[int, int, int, int]:
    return (
        status.Status,
        status.NumberOfCompletedSuboperations,
        status.NumberOfFailedSuboperations,
        status.NumberOfWarningSuboperations,
    )


@pytest.mark.parametrize(
    "keys",
    [
        query.study(StudyInstanceUID=study_of(1)),
        query.series(StudyInstanceUID=study_of(1), SeriesInstanceUID=f"{study_of(1)}.1"),
        query.image(SOPInstanceUID=[f"1.2.3.{number}" for number in [3, 2, 1, 4, 5, 5, 3, 6, 7, 8, 9, 10, 11, 12]]),
        query.study(StudyInstanceUID=["9.9", study_of(1), study_of(1)]),
    ],
    ids=["study", "series", "image", "study list"],
)
def test_a_move_sends_each_object_once_by_number(archive: Archive, served: tuple[str, int], keys: Dataset) -> None:
    objects = series(archive, 12)
    with Receiver() as receiver:
        status, nothing = moved(served, keys)
    assert counts(status) == (0, 12, 0, 0) and nothing is None
    assert receiver.received == [one.SOPInstanceUID for one in objects]


def test_a_move_of_many_single_instances(archive: Archive, served: tuple[str, int]) -> None:
    # More than there are in one statement, some of them unknown.
    series(archive, 30)
    with Receiver() as receiver:
        keys = query.image(SOPInstanceUID=[f"1.2.3.{number}" for number in range(1, 1400)])
        status, _ = moved(served, keys)
    assert counts(status) == (0, 30, 0, 0) and len(set(receiver.received)) == 30


def test_a_move_to_nobody(archive: Archive, served: tuple[str, int]) -> None:
    series(archive, 1)
    status, _ = moved(served, query.study(StudyInstanceUID=study_of(1)), "NOBODY")
    assert status.Status == 0xA801
    assert "NOBODY" in status.ErrorComment


def test_a_file_that_is_gone_fails_alone(archive: Archive, served: tuple[str, int]) -> None:
    objects = series(archive, 3)
    gone = objects[1].SOPInstanceUID
    (path,) = archive.files(query.image(SOPInstanceUID=gone), relational=True)
    path.unlink()
    keys = query.study(StudyInstanceUID=study_of(1))
    with Receiver() as receiver:
        status, identifier = moved(served, keys)
    assert counts(status) == (0xB000, 2, 1, 0)
    assert identifier is not None and identifier.FailedSOPInstanceUIDList == gone
    assert receiver.received == [objects[0].SOPInstanceUID, objects[2].SOPInstanceUID]
    assert len(list(archive.files(keys))) == 2


def test_a_destination_that_dies(archive: Archive, served: tuple[str, int]) -> None:
    series(archive, 5)
    stop: list[Any] = []

    def die(event: Any) -> int:
        if not stop:
            stop.append(threading.Thread(target=event.assoc.abort))
            stop[0].start()
            event.assoc.abort()
        return 0

    with Receiver(die):
        status, identifier = moved(served, query.study(StudyInstanceUID=study_of(1)))
        stop[0].join()
    # Another association was opened for the others.
    assert status.Status == 0xB000 and status.NumberOfFailedSuboperations >= 1
    assert status.NumberOfCompletedSuboperations + status.NumberOfFailedSuboperations == 5
    assert identifier is not None and identifier.FailedSOPInstanceUIDList
    assert found(served, query.study())


@pytest.mark.parametrize("how", ["cancel", "release", "abort"])
def test_the_end_in_the_middle_of_a_move(archive: Archive, served: tuple[str, int], how: str) -> None:
    series(archive, 60)
    go_on = threading.Event()
    arrived = threading.Event()

    def slowly(event: Any) -> int:
        arrived.set()
        assert go_on.wait(30)
        return 0

    with Receiver(slowly) as receiver:
        assoc = connect(served, STUDY_MOVE)
        responses = assoc.send_c_move(query.study(StudyInstanceUID=study_of(1)), "RECEIVER", STUDY_MOVE, msg_id=7)
        waiting = threading.Thread(target=lambda: statuses.extend(status for status, _ in responses))
        statuses: list[Dataset] = []
        waiting.start()
        assert arrived.wait(30)
        if how == "cancel":
            assoc.send_c_cancel(7, query_model=STUDY_MOVE)
        else:
            # A release before the final response, as some peers do it.
            (assoc.abort if how == "abort" else lambda: assoc._connection.release(5))()  # type: ignore[union-attr]
        go_on.set()
        waiting.join(30)
        if how == "cancel":
            assert statuses[-1].Status == 0xFE00
            assert 1 <= statuses[-1].NumberOfCompletedSuboperations < 60
            assoc.release()
        assert len(receiver.received) < 60
    # The archive is as before.
    assert len(found(served, query.study())) == 1


def got(address: tuple[str, int], keys: Dataset, folder: Path, *syntaxes: str) -> tuple[Dataset, Dataset | None]:
    contexts = [build_context(STUDY_GET), build_context(CT_STORAGE, list(syntaxes) or ["1.2.840.10008.1.2.1"])]
    roles = [build_role(CT_STORAGE, scp_role=True)]
    with connect(address, contexts=contexts, ext_neg=[*roles, *extended(STUDY_GET, 1)], store_to=folder) as assoc:
        *_, last = assoc.send_c_get(keys, STUDY_GET)
        return last


def test_a_get(archive: Archive, served: tuple[str, int], tmp_path: Path) -> None:
    objects = series(archive, 4)
    into = tmp_path / "got"
    into.mkdir()
    status, _ = got(served, query.study(StudyInstanceUID=study_of(1)), into)
    assert counts(status) == (0, 4, 0, 0)
    for one in objects:
        assert dcmread(into / f"{one.SOPInstanceUID}.dcm").PatientName == one.PatientName


def test_a_get_of_what_the_requestor_does_not_take(archive: Archive, served: tuple[str, int], tmp_path: Path) -> None:
    list(archive.add([made(1), made(1, SOPInstanceUID="1.2.3", SOPClassUID=sop.MRImageStorage)]))
    status, identifier = got(served, query.study(StudyInstanceUID=study_of(1)), tmp_path)
    assert counts(status) == (0xB000, 1, 1, 0)
    assert identifier is not None and identifier.FailedSOPInstanceUIDList == "1.2.3"


# Its own program


def test_find_and_files_without_a_network(archive: Archive) -> None:
    series(archive, 3)
    list(archive.add([CT]))
    assert [one.StudyInstanceUID for one in archive.find(query.study(StudyInstanceUID=study_of(1)))] == [study_of(1)]
    assert len(list(archive.find(query.patient()))) == 1
    paths = list(archive.files(query.study(StudyInstanceUID=study_of(1))))
    assert [dcmread(path).InstanceNumber for path in paths] == [1, 2, 3]


def test_an_identifier_of_ones_own_program_is_checked_at_once(archive: Archive) -> None:
    for call in (archive.find, archive.files):
        with pytest.raises(MatchError, match="StudyInstanceUID"):
            call(query.series())


def test_a_server_of_ones_own(archive: Archive) -> None:
    series(archive, 1)
    server: Any = AE("OWN").start_server(
        ("127.0.0.1", 0), False, contexts=archive.contexts, evt_handlers=archive.handlers, store_to=archive.store_to
    )
    with server:
        (one,) = found(server.address, query.study())
        assert one.RetrieveAETitle == "OWN"
