"""Storage Commitment and MPPS of an archive: what it holds, what it keeps, and what a crash leaves of it."""

from __future__ import annotations

import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dimsefast import AE, Archive, AssociationAborted, StatusError, build_context
from dimsefast import sop_class as sop
from dimsefast.archive import IndexBehind
from dimsefast.archive.provider import Provider
from dimsefast.archive.retrieval import report_address
from dimsefast.archive.steps import StepStore
from dimsefast.workflow import Combined, MppsProvider, Refusal, StorageCommitmentUser, mpps
from pydicom import Dataset, dcmread

from .contents import made

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))
from serving import Served, served

LIMIT = 30.0
CT, MR = str(sop.CTImageStorage), str(sop.MRImageStorage)
MPPS, RETRIEVE = sop.ModalityPerformedProcedureStep, sop.ModalityPerformedProcedureStepRetrieve
COMMITMENT = sop.StorageCommitmentPushModel
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path / "archive") as opened:
        yield opened


def uid(number: int) -> str:
    return str(made(number).SOPInstanceUID)


def step() -> Dataset:
    scheduled = Dataset()
    scheduled.StudyInstanceUID = "1.2.3"
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.PatientName = "Müller^Jörg"
    dataset.ScheduledStepAttributesSequence = [scheduled]
    dataset.PerformedProcedureStepID, dataset.PerformedStationAETitle = "1", "MODALITY"
    dataset.PerformedProcedureStepStartDate, dataset.PerformedProcedureStepStartTime = "20240101", "1200"
    dataset.PerformedProcedureStepStatus, dataset.Modality = "IN PROGRESS", "CT"
    return dataset


def end() -> Dataset:
    dataset = Dataset()
    dataset.PerformedProcedureStepEndDate, dataset.PerformedProcedureStepEndTime = "20240101", "1230"
    dataset.PerformedSeriesSequence = mpps.performed_series([made(1)])
    return dataset


def modality(port: int, *uids: str, title: str = "MODALITY", syntax: str = EXPLICIT) -> Any:
    contexts = [build_context(one, syntax) for one in uids or (MPPS, RETRIEVE)]
    return AE(title).connect("127.0.0.1", port, ae_title="ARCHIVE", contexts=contexts)


def state(association: Any, sop_instance: str) -> Any:
    """Status, and the step's state and patient, as an N-GET of the retrieve class has them."""
    status, found = association.send_n_get([0x00400252, 0x00100010], RETRIEVE, sop_instance)
    return status.Status, found and (str(found.PerformedProcedureStepStatus), str(found.PatientName))


def accepted(association: Any) -> set[str]:
    return {str(context.abstract_syntax) for context in association.accepted_contexts}


# Storage Commitment


def test_what_is_held_is_committed_and_nothing_else(archive: Archive) -> None:
    server: Any = archive.serve(("127.0.0.1", 0), block=False)
    user = StorageCommitmentUser()
    with server:
        assert [result.status for result in archive.add([made(1), made(2), made(3)])] == [0, 0, 0]
        archive.up_to_date()
        # A file that somebody took away: the index still has it.
        (gone,) = archive.folder.glob(f"objects/*/{uid(3)}.dcm")
        gone.unlink()
        wanted = [(CT, uid(1)), (MR, uid(2)), (CT, uid(3)), (CT, uid(4))]
        result = user.commit(AE("MODALITY"), *server.address, wanted, ae_title="ARCHIVE", timeout=LIMIT)
    assert result.committed == ((CT, uid(1)),)
    assert result.failed == ((MR, uid(2), 0x0119), (CT, uid(3), 0x0112), (CT, uid(4), 0x0112))


def test_what_was_acknowledged_before_the_request_is_committed(archive: Archive) -> None:
    """The index is waited for; more references than one statement takes."""
    count = 600
    objects = [made(1, SOPInstanceUID=f"1.2.3.{number}") for number in range(count)]
    server: Any = archive.serve(("127.0.0.1", 0), block=False)
    user = StorageCommitmentUser()
    with server:
        contexts = [build_context(CT, EXPLICIT), *user.contexts]
        handlers = user.handlers
        with AE("MODALITY").connect(*server.address, contexts=contexts, evt_handlers=handlers) as association:
            assert all(result.status == 0 for result in association.store(objects))
            references = [(CT, f"1.2.3.{number}") for number in range(count + 1)]
            result = user.request(association, references).wait(LIMIT)
    assert len(result.committed) == count and result.failed == ((CT, f"1.2.3.{count}", 0x0112),)


def test_an_index_that_stays_behind_commits_nothing(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    list(archive.add([made(1)]))

    def behind(timeout: float | None = None) -> None:
        raise IndexBehind("the index is behind")

    monkeypatch.setattr(archive, "up_to_date", behind)
    server: Any = archive.serve(("127.0.0.1", 0), block=False)
    with server:
        user = StorageCommitmentUser()
        result = user.commit(AE("MODALITY"), *server.address, [(CT, uid(1))], timeout=LIMIT)
    assert result.failed == ((CT, uid(1), 0x0110),)


def test_a_report_goes_to_the_destination_of_who_has_gone(archive: Archive) -> None:
    list(archive.add([made(1)]))
    user = StorageCommitmentUser()
    own: Any = AE("MODALITY").start_server(
        ("127.0.0.1", 0), block=False, contexts=user.contexts, evt_handlers=user.handlers
    )
    destinations = {"MODALITY": ("127.0.0.1", own.port, {"parallel_associations": 2, "max_pdu": 4096})}
    provider = Provider(archive, destinations=destinations, report_on_same_association=False)
    server: Any = AE("ARCHIVE").start_server(
        ("127.0.0.1", 0), block=False, contexts=provider.contexts(), evt_handlers=provider.handlers
    )
    with own, server:
        with modality(server.port, COMMITMENT) as association:
            transaction = user.request(association, [(CT, uid(1))])
        assert transaction.wait(LIMIT).committed == ((CT, uid(1)),)
        assert own.statistics()["associations"]["accepted"] == 1


def test_the_address_of_a_report_is_that_of_the_destination() -> None:
    options: dict[str, Any] = {"retries": 2, "max_pdu": 4096}
    destinations: dict[str, Any] = {"A": "host:104", "B": ("host", 104, options), "C": ("host",)}
    assert report_address(destinations, "A ") == ("host", 104, {})
    assert report_address(destinations, "B") == ("host", 104, {"max_pdu": 4096}) and "retries" in options
    assert report_address(destinations, "D") is None
    with pytest.raises(ValueError, match="the move destination C"):
        report_address(destinations, "C")


# Performed procedure steps


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"])
def test_a_step_is_kept_in_a_file(archive: Archive, syntax: str) -> None:
    server: Any = archive.serve(("127.0.0.1", 0), block=False)
    with server, modality(server.port, syntax=syntax) as association:
        uid = mpps.create(association, step(), "1.2.3.9")
        assert state(association, uid) == (0, ("IN PROGRESS", "Müller^Jörg"))
        with pytest.raises(StatusError, match="0111"):
            mpps.create(association, step(), uid)
        mpps.complete(association, uid, end())
        assert state(association, uid) == (0, ("COMPLETED", "Müller^Jörg"))
        assert state(association, "1.2.3.10") == (0x0112, None)
        with pytest.raises(StatusError, match="0110"):
            mpps.update(association, uid, Dataset())
    (file,) = archive.folder.glob(".dimsefast/mpps/*/*")
    kept = dcmread(file)
    assert (file.name, kept.file_meta.MediaStorageSOPInstanceUID) == (f"{uid}.dcm", uid)
    assert kept.PerformedSeriesSequence[0].SeriesInstanceUID == made(1).SeriesInstanceUID
    step_now = archive.mpps.store.get(uid)
    assert step_now is not None and step_now.PerformedProcedureStepStatus == "COMPLETED"
    assert archive.statistics()["instances"] == 0


def test_servers_of_one_archive_share_its_steps(archive: Archive) -> None:
    first: Any = archive.serve(("127.0.0.1", 0), block=False)
    second: Any = AE("ARCHIVE").start_server(
        ("127.0.0.1", 0), block=False, contexts=archive.contexts, evt_handlers=archive.handlers
    )
    with first, second, modality(first.port) as one, modality(second.port) as other:
        uid = mpps.create(one, step())
        mpps.discontinue(other, uid, end())
        assert state(one, uid) == (0, ("DISCONTINUED", "Müller^Jörg"))


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../../1.2", "/etc/passwd", "1.2/3", "1.2\n", "1..2", "1" * 65, "\u0661.\u0662", "1.2.x"]
)
def test_what_is_no_uid_names_no_file(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "steps"
    folder.mkdir()
    store = StepStore(folder, fsync=False)
    assert store.get(name) is None
    with pytest.raises(Refusal, match="is no UID") as raised:
        store.put(name, step())
    assert raised.value.status.Status == 0x0117
    assert list(tmp_path.rglob("*")) == [folder]


def test_a_step_that_cannot_be_written_or_read(archive: Archive) -> None:
    server: Any = archive.serve(("127.0.0.1", 0), block=False)
    with server, modality(server.port) as association:
        mpps.create(association, step(), "1.2.3.1")
        (file,) = archive.folder.glob(".dimsefast/mpps/*/*")
        file.write_bytes(b"nothing")
        assert state(association, "1.2.3.1")[0] == 0x0110
        with pytest.raises(StatusError, match="0110"):
            mpps.complete(association, "1.2.3.1", end())
        assert file.read_bytes() == b"nothing"
        shutil.rmtree(archive.folder / ".dimsefast" / "mpps")
        with pytest.raises(StatusError, match="0213"):
            mpps.create(association, step(), "1.2.3.1")


# Switched off, and with others


def test_either_can_be_left_out(archive: Archive) -> None:
    wanted = (COMMITMENT, MPPS, RETRIEVE, sop.Verification)
    for options, offered in (
        ({}, set(wanted)),
        ({"commitment": False}, {MPPS, RETRIEVE, sop.Verification}),
        ({"mpps": False}, {COMMITMENT, sop.Verification}),
    ):
        server: Any = archive.serve(("127.0.0.1", 0), block=False, **options)
        with server, modality(server.port, *wanted) as association:
            assert accepted(association) == offered
    with pytest.raises(ValueError, match="cannot be told apart"):
        Combined(archive, MppsProvider())


# In a process of its own


def test_served_in_a_process_of_its_own(tmp_path: Path) -> None:
    user = StorageCommitmentUser()
    own: Any = AE("MODALITY").start_server(
        ("127.0.0.1", 0), block=False, contexts=user.contexts, evt_handlers=user.handlers
    )
    flags = ["--destination", f"MODALITY=127.0.0.1:{own.port},retries=1", "--no-report-on-same-association"]
    with own, served(tmp_path / "archive", *flags) as server:
        contexts = [build_context(CT, EXPLICIT), *user.contexts, build_context(MPPS), build_context(RETRIEVE)]
        with AE("MODALITY").connect("127.0.0.1", server.port, ae_title="ARCHIVE", contexts=contexts) as association:
            sop_instance = mpps.create(association, step())
            assert association.send_c_store(made(1)).Status == 0
            mpps.complete(association, sop_instance, end())
            transaction = user.request(association, [(CT, uid(1)), (CT, "1.2.3.404")])
        result = transaction.wait(LIMIT)
        assert result.committed == ((CT, uid(1)),) and result.failed == ((CT, "1.2.3.404", 0x0112),)
        with modality(server.port) as association:
            assert state(association, sop_instance) == (0, ("COMPLETED", "Müller^Jörg"))


@pytest.mark.parametrize("durability", ["process", "power"])
def test_a_step_survives_a_kill(tmp_path: Path, durability: str) -> None:
    """Each change that was acknowledged is there after the next start, and the next one is made to it."""
    folder, log = tmp_path / "archive", tmp_path / "log"
    sop_instance = "1.2.3.9"
    server = Served(folder, log, "--durability", durability)
    with modality(server.port) as association:
        mpps.create(association, step(), sop_instance)
        assert server.end(signal.SIGKILL) == -signal.SIGKILL
    server = Served(folder, log, "--durability", durability)
    acknowledged = 0
    with modality(server.port) as association:
        assert state(association, sop_instance) == (0, ("IN PROGRESS", "Müller^Jörg"))
        changes = Dataset()
        killer = threading.Thread(target=lambda: (enough.wait(LIMIT), server.end(signal.SIGKILL)))
        enough = threading.Event()
        killer.start()
        with pytest.raises((AssociationAborted, RuntimeError)):
            while True:
                changes.PerformedProcedureStepDescription = str(acknowledged + 1)
                mpps.update(association, sop_instance, changes)
                acknowledged += 1
                if acknowledged == 20:
                    enough.set()
        killer.join(LIMIT)
    with served(folder, "--durability", durability) as server, modality(server.port) as association:
        _, found = association.send_n_get([0x00400254], RETRIEVE, sop_instance)
        assert int(found.PerformedProcedureStepDescription) in (acknowledged, acknowledged + 1)
        mpps.complete(association, sop_instance, end())
        assert state(association, sop_instance) == (0, ("COMPLETED", "Müller^Jörg"))
    assert not list(folder.rglob(".*.part"))


def test_who_may_do_what(tmp_path: Path) -> None:
    flags = ["--access-others", "echo", "--access", "CT=store,commitment", "--access", "RIS=mpps"]
    wanted = (COMMITMENT, MPPS, RETRIEVE, sop.Verification)
    with served(tmp_path / "archive", *flags) as server:
        for title, offered in (
            ("CT", {COMMITMENT}),
            ("RIS", {MPPS, RETRIEVE}),
            ("ANYBODY", {sop.Verification}),
        ):
            with modality(server.port, *wanted, title=title) as association:
                assert accepted(association) == offered
