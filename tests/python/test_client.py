"""`Client` against providers in the process, and against trouble."""

from __future__ import annotations

import shutil
import socket
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import (
    ALL_TRANSFER_SYNTAXES,
    AssociationAborted,
    AssociationRejected,
    Peer,
    PeerUnreachable,
    Progress,
    Receiver,
    ReceiverError,
    ServiceNotSupported,
    StatusError,
    evt,
    presentation,
    query,
    sop_class,
)
from dimsefast.client.retrieving import get_contexts, retrieve_keys
from dimsefast.client.sources import Source, scan
from dimsefast.client.storing import in_associations
from faces import AE, Client, face  # noqa: F401
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
import provider as example

CT, MR = (Path(str(get_testdata_file(name))) for name in ("CT_small.dcm", "MR_small.dcm"))
RLE, DEFLATED = (Path(str(get_testdata_file(name))) for name in ("SC_rgb_rle.dcm", "image_dfl.dcm"))
CT_STUDY = str(dcmread(CT).StudyInstanceUID)
CT_UID = str(dcmread(CT).SOPInstanceUID)
DICOMDIR = Path(str(get_testdata_file("DICOMDIR")))


class Archive:
    """The example's provider in this process, over a folder of its own."""

    def __init__(self, folder: Path, *files: Path, syntaxes: Any = presentation.ALL_TRANSFER_SYNTAXES) -> None:
        folder.mkdir()
        for file in files:
            shutil.copy(file, folder)
        self.folder = folder
        self.holdings = example.Holdings(folder)
        self.destinations: dict[str, tuple[str, int]] = {}
        self.ae = AE("ARCHIVE")
        self.ae.require_called_aet = True
        self.ae.maximum_associations = 30
        for context in presentation.VerificationPresentationContexts + presentation.QueryRetrievePresentationContexts:
            self.ae.add_supported_context(context.abstract_syntax)
        for context in presentation.AllStoragePresentationContexts:
            self.ae.add_supported_context(context.abstract_syntax, syntaxes, True, True)
        self.finds: list[Any] = []
        self.on_find: Callable[[Any], Any] = lambda event: example.on_find(event, self.holdings)
        self.on_move: Callable[[Any], Any] = lambda event: example.on_move(event, self.holdings, self.destinations)
        self.on_store: Callable[[Any], Any] = lambda event: example.on_store(event, self.holdings)
        self.server: Any = self.start()
        self.port: int = self.server.port

    def start(self, port: int = 0) -> Any:
        handlers: list[Any] = [
            (evt.EVT_C_STORE, lambda event: self.on_store(event)),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_C_GET, example.sub_operations, [self.holdings]),
            (evt.EVT_C_MOVE, lambda event: self.on_move(event)),
        ]
        return self.ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers, store_to=self.folder)

    def _find(self, event: Any) -> Any:
        self.finds.append(event.identifier)
        return self.on_find(event)

    @property
    def name(self) -> str:
        return f"ARCHIVE@127.0.0.1:{self.port}"


@pytest.fixture
def archives(tmp_path: Path) -> Iterator[Callable[..., Archive]]:
    made: list[Archive] = []

    def make(*files: Path, **options: Any) -> Archive:
        made.append(Archive(tmp_path / f"archive{len(made)}", *files, **options))
        return made[-1]

    yield make
    for archive in made:
        archive.ae.shutdown()


@pytest.fixture
def archive(archives: Callable[..., Archive]) -> Archive:
    return archives(CT, MR)


@pytest.fixture
def client(archive: Archive) -> Iterator[Client]:
    port = free_port()
    archive.destinations["WORKSTATION"] = ("127.0.0.1", port)
    with Client(archive.name, "WORKSTATION", f"127.0.0.1:{port}", arrival_timeout=10, timeout=10) as made:
        yield made


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# How peers are written


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("ARCHIVE@127.0.0.1:11112", ("ARCHIVE", "127.0.0.1", 11112)),
        ("A B@pacs.example.org:104", ("A B", "pacs.example.org", 104)),
        ("A@B@host:1", ("A@B", "host", 1)),
        ("ARCHIVE@[::1]:11112", ("ARCHIVE", "::1", 11112)),
    ],
)
def test_a_peer_is_written_in_one_way(text: str, parts: tuple[str, str, int]) -> None:
    peer = Peer.parse(text)
    assert (peer.ae_title, peer.host, peer.port) == parts
    assert str(peer) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("127.0.0.1:11112", "AET@host:port"),
        ("@host:104", "AET@host:port"),
        ("ARCHIVE@host", "AET@host:port"),
        ("ARCHIVE@:104", "no host"),
        ("ARCHIVE@host:0", "port"),
        ("ARCHIVE@host:65536", "port"),
        ("ARCHIVE@host:http", "AET@host:port"),
        ("ARCHIVE@::1:104", "brackets"),
        ("A_TITLE_THAT_IS_TOO_LONG@host:104", "16 characters"),
        ("", "AET@host:port"),
    ],
)
def test_what_is_no_peer_is_a_clear_error(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Client(text)


# Echo and find


def test_echo_says_how_long_it_took(client: Client) -> None:
    assert 0 < client.echo() < 10


def test_a_lost_association_is_opened_again(client: Client, archive: Archive) -> None:
    client.echo()
    list(client.find(query.patient()))
    for association in archive.server.active_associations:
        association.abort()
    assert client.echo() > 0
    archive.server.shutdown()
    archive.server = archive.start(archive.port)
    assert len(list(client.find(query.patient()))) == 2


def test_associations_are_kept_and_used_again(client: Client, archive: Archive) -> None:
    list(client.find(query.study()))
    for _ in range(3):
        client.echo()
    with pytest.raises(StatusError):
        client.move(query.study(study_instance_uid=CT_STUDY), to="NOBODY")
    list(client.find(query.study()))
    assert len(archive.server.active_associations) == 1


@pytest.mark.parametrize("operation", ["echo", "find", "move", "store", "get"])
def test_nobody_there(operation: str, tmp_path: Path) -> None:
    client = Client(f"ARCHIVE@127.0.0.1:{free_port()}", "WORKSTATION")
    identifier = query.study(study_instance_uid="1.2")
    calls: dict[str, Callable[[], Any]] = {
        "echo": client.echo,
        "find": lambda: list(client.find(identifier)),
        "move": lambda: client.move(identifier),
        "store": lambda: client.store(CT),
        "get": lambda: client.get(identifier, tmp_path),
    }
    with pytest.raises(PeerUnreachable, match=r"ARCHIVE@127\.0\.0\.1"):
        calls[operation]()
    client.close()


def test_a_wrong_title_is_rejected(archive: Archive) -> None:
    with Client(f"WRONG@127.0.0.1:{archive.port}") as client:
        with pytest.raises(AssociationRejected, match="called AE title"):
            client.echo()
        with pytest.raises(AssociationRejected):
            client.store(CT)


def test_find_chooses_the_model_by_level(client: Client, archive: Archive) -> None:
    used: list[str] = []

    def on_find(event: Any) -> Any:
        used.append(event.context.abstract_syntax)
        yield 0x0000, None

    archive.on_find = on_find
    for identifier in (query.patient(), query.study(), query.image(study_instance_uid="1.2")):
        assert list(client.find(identifier)) == []
    list(client.find(query.study(), model="patient"))
    patient = sop_class.PatientRootQueryRetrieveInformationModelFind
    study = sop_class.StudyRootQueryRetrieveInformationModelFind
    assert used == [patient, study, study, patient]
    with pytest.raises(ValueError, match="QueryRetrieveLevel"):
        client.find(Dataset())
    with pytest.raises(ServiceNotSupported, match="Modality Worklist"):
        list(client.find(query.worklist()))


def test_a_find_within_a_find_has_an_association_of_its_own(client: Client) -> None:
    seen = []
    for study in client.find(query.study()):
        for series in client.find(query.series(study_instance_uid=study.StudyInstanceUID)):
            seen.append(series.Modality)
    assert sorted(seen) == ["CT", "MR"]


def test_a_find_that_fails_says_so(client: Client, archive: Archive) -> None:
    def on_find(event: Any) -> Any:
        yield 0xFF00, query.study(patient_id="1")
        status = Dataset()
        status.Status, status.ErrorComment = 0xA700, "index is full"
        yield status, None

    archive.on_find = on_find
    found = client.find(query.study())
    assert next(found).PatientID == "1"
    with pytest.raises(StatusError, match=r"out of resources \(A700H\).*index is full") as caught:
        next(found)
    assert caught.value.status == 0xA700


def test_leaving_early_cancels(client: Client, archive: Archive) -> None:
    cancelled = threading.Event()

    def on_find(event: Any) -> Any:
        while not event.is_cancelled:
            yield 0xFF00, query.study(patient_id="1")
        cancelled.set()
        yield 0xFE00, None

    archive.on_find = on_find
    for _ in client.find(query.study()):
        break
    assert cancelled.wait(10)
    assert len(archive.server.active_associations) == 1


def test_a_find_is_tried_again_only_before_its_first_response(client: Client, archive: Archive) -> None:
    asked = []

    def on_find(event: Any) -> Any:
        asked.append(event)
        if len(asked) == 1:
            event.assoc.abort()
            return
        yield 0xFF00, query.study(patient_id="1")
        if len(asked) > 2:
            event.assoc.abort()
            return
        yield 0x0000, None

    archive.on_find = on_find
    assert len(list(client.find(query.study()))) == 1
    assert len(asked) == 2
    found = client.find(query.study())
    next(found)
    with pytest.raises(AssociationAborted, match="ARCHIVE@"):
        next(found)
    assert len(asked) == 3


# Store


def test_store_takes_everything_and_skips_the_rest(archives: Callable[..., Archive], tmp_path: Path) -> None:
    archive, folder = archives(), tmp_path / "objects"
    (folder / "below").mkdir(parents=True)
    shutil.copy(CT, folder / "below" / "ct")
    shutil.copy(RLE, folder / "rle.dcm")
    (folder / "notes.txt").write_text("no DICOM")
    with zipfile.ZipFile(folder / "more.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.write(DEFLATED, "a/deflated.dcm")
        packed.writestr("readme", "no DICOM")
    told: list[Progress] = []
    with Client(archive.name) as client:
        report = client.store([folder, dcmread(MR)], progress=told.append)
    assert (report.ok, report.completed, len(report.skipped)) == (True, 4, 2), str(report)
    assert (told[0].done, told[-1].done, told[-1].total) == (0, 4, 4)
    assert str(report).startswith("4 objects stored at ARCHIVE@")
    syntaxes = {dcmread(file).file_meta.TransferSyntaxUID for file in archive.folder.glob("*.dcm")}
    assert {dcmread(file).file_meta.TransferSyntaxUID for file in (CT, RLE, DEFLATED)} <= syntaxes


def test_store_proposes_exactly_what_the_files_need(archives: Callable[..., Archive]) -> None:
    archive, proposed = archives(), []
    archive.server.bind(
        evt.EVT_ACCEPTED,
        lambda event: proposed.extend(
            (cx.abstract_syntax, *cx.transfer_syntax) for cx in event.assoc.requestor.requested_contexts
        ),
    )
    with Client(archive.name) as client:
        assert client.store([CT, RLE, CT]).completed == 3
    wait_until(lambda: proposed)
    metas = [dcmread(file).file_meta for file in (CT, RLE)]
    assert sorted(proposed) == sorted((meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID) for meta in metas)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_dicomdir_names_files_below_it_and_nothing_else(archives: Callable[..., Archive], tmp_path: Path) -> None:
    found = scan(DICOMDIR)
    assert len(found.sources) > 20
    evil = tmp_path / "evil" / "DICOMDIR"
    evil.parent.mkdir()
    directory = dcmread(DICOMDIR)
    for record in directory.DirectoryRecordSequence:
        if "ReferencedFileID" in record:
            record.ReferencedFileID = ["..", CT.name]
    shutil.copy(CT, tmp_path)
    directory.save_as(evil)
    found = scan(evil)
    assert not found.sources
    assert "outside" in found.skipped[0][1]


def test_more_than_128_contexts_take_more_associations() -> None:
    sources = [Source(str(n), 1, f"1.2.{n % 200}", str(n), "1.2.840.10008.1.2", lambda: b"") for n in range(400)]
    groups = in_associations(sources)
    assert [len({source.pair for source in group}) for group in groups] == [128, 72]
    assert sum(map(len, groups)) == 400


def test_what_is_refused_as_it_is_goes_in_another_transfer_syntax(archives: Callable[..., Archive]) -> None:
    archive = archives(syntaxes=["1.2.840.10008.1.2"])
    with Client(archive.name) as client:
        report = client.store([CT, DEFLATED, RLE])
    assert report.completed == 2
    (failure,) = report.failures
    assert failure.source == str(RLE) and "RLE" in failure.reason
    assert not report.ok


def test_store_goes_on_after_a_lost_association(archives: Callable[..., Archive]) -> None:
    archive, seen = archives(), []

    def on_store(event: Any) -> int:
        seen.append(event.request.AffectedSOPInstanceUID)
        if len(seen) == 2:
            event.assoc.abort()
        return 0x0000

    archive.on_store = on_store
    with Client(archive.name) as client:
        report = client.store([CT, CT, CT, CT])
    assert (report.ok, report.completed, len(seen)) == (True, 4, 5)


def test_store_gives_up_on_an_object_that_ends_each_association(archives: Callable[..., Archive]) -> None:
    archive = archives()
    bad = str(dcmread(MR).SOPInstanceUID)

    def on_store(event: Any) -> int:
        if event.request.AffectedSOPInstanceUID == bad:
            event.assoc.abort()
        return 0x0000

    archive.on_store = on_store
    with Client(archive.name) as client:
        report = client.store([CT, MR, CT])
    assert report.completed == 2
    assert [failure.sop_instance_uid for failure in report.failures] == [bad]


def test_store_reports_refusals_and_goes_on(archives: Callable[..., Archive]) -> None:
    archive = archives()
    statuses = iter([0xA700, 0x0000, 0xB000])
    archive.on_store = lambda event: next(statuses)
    with Client(archive.name) as client:
        report = client.store([CT, MR, RLE])
    assert (report.completed, report.warnings, report.failures[0].status) == (2, 1, 0xA700)
    assert "out of resources" in str(report.failures[0])


def test_store_skips_what_the_peer_has(client: Client) -> None:
    report = client.store([CT, MR, RLE], skip_existing=True)
    assert report.ok
    assert report.existing + report.completed == 3
    assert report.existing >= 2
    with pytest.raises(FileNotFoundError, match="nowhere"):
        client.store("nowhere")


# Move


def test_move_and_receive(client: Client, archive: Archive, tmp_path: Path) -> None:
    report = client.move(query.study(study_instance_uid=CT_STUDY), to="WORKSTATION", receive=tmp_path / "in")
    assert (report.ok, report.completed, report.received, report.missing) == (True, 1, 1, 0)
    (file,) = (tmp_path / "in").iterdir()
    assert file.name == f"{CT_UID}.dcm"
    (study,) = (s for s in client.find(query.study()) if s.StudyInstanceUID == CT_STUDY)
    assert client.move(study, receive=tmp_path / "again").ok


def test_moves_at_once_into_folders_of_their_own(archives: Callable[..., Archive], tmp_path: Path) -> None:
    archive = archives(CT, MR)
    port = free_port()
    archive.destinations["WORKSTATION"] = ("127.0.0.1", port)
    with Client(archive.name, "WORKSTATION", f"127.0.0.1:{port}") as client:
        studies = [str(dcmread(file).StudyInstanceUID) for file in (CT, MR)]
        reports: dict[int, Any] = {}

        def move(at: int) -> None:
            reports[at] = client.move(query.study(study_instance_uid=studies[at % 2]), receive=tmp_path / str(at))

        threads = [threading.Thread(target=move, args=(at,)) for at in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert all(reports[at].received == 1 for at in range(8)), reports
    uids = [str(dcmread(file).SOPInstanceUID) for file in (CT, MR)]
    assert [[f.name for f in (tmp_path / str(at)).iterdir()] for at in range(8)] == [
        [f"{uids[at % 2]}.dcm"] for at in range(8)
    ]


def test_move_uses_the_receiver_that_is_running(client: Client, tmp_path: Path) -> None:
    assert client.listen is not None
    with Receiver("WORKSTATION", client.listen, tmp_path / "own").share():
        report = client.move(query.study(study_instance_uid=CT_STUDY), receive=tmp_path / "moved")
        assert report.received == 1
        assert [file for file in (tmp_path / "own").iterdir() if file.suffix == ".dcm"] == []
        assert client.move(query.study(study_instance_uid=CT_STUDY)).ok
        assert len(list((tmp_path / "own").glob("*.dcm"))) == 1


def test_a_port_in_use_is_said(client: Client, tmp_path: Path) -> None:
    assert client.listen is not None
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(client.listen.rpartition(":")[2])))
        taken.listen()
        with pytest.raises(ReceiverError, match=f"WORKSTATION cannot listen at {client.listen}"):
            client.move(query.study(study_instance_uid=CT_STUDY), receive=tmp_path / "in")


def test_nothing_arriving_is_said(client: Client, archive: Archive, tmp_path: Path) -> None:
    with Archive(tmp_path / "elsewhere").server as other:
        archive.ae.require_called_aet = False
        archive.destinations["WORKSTATION"] = ("127.0.0.1", other.port)
        other.ae.require_called_aet = False
        client.arrival_timeout = 0.01
        with pytest.raises(ReceiverError, match=rf"none arrived.*must know the AE WORKSTATION at {client.listen}"):
            client.move(query.study(study_instance_uid=CT_STUDY), receive=tmp_path / "in")


def test_an_unknown_destination_is_said(client: Client, tmp_path: Path) -> None:
    with pytest.raises(StatusError, match=r"ARCHIVE must know the AE NOBODY") as caught:
        client.move(query.study(study_instance_uid=CT_STUDY), to="NOBODY")
    assert caught.value.status == 0xA801
    with pytest.raises(ValueError, match="leave out `receive`"):
        client.move(query.study(study_instance_uid=CT_STUDY), to="NOBODY", receive=tmp_path)
    with pytest.raises(ValueError, match="listen"):
        Client("A@b:1").move(query.study(study_instance_uid=CT_STUDY), receive=tmp_path)


def test_a_move_that_fails_in_part_says_what(client: Client, archive: Archive, tmp_path: Path) -> None:
    def on_move(event: Any) -> Any:
        yield archive.destinations["WORKSTATION"]
        yield 2
        yield 0xFF00, CT
        yield 0xFF00, tmp_path / "not there.dcm"

    archive.on_move = on_move
    report = client.move(query.study(study_instance_uid=CT_STUDY), receive=tmp_path / "in")
    assert (report.ok, report.completed, report.failed, report.received) == (False, 1, 1, 1)
    assert report.status == 0xB000
    assert "1 failed" in str(report)


def test_a_move_that_is_lost_says_so(client: Client, archive: Archive, tmp_path: Path) -> None:
    def on_move(event: Any) -> Any:
        yield archive.destinations["WORKSTATION"]
        yield 2
        yield 0xFF00, CT
        event.assoc.abort()
        yield 0xFF00, MR

    archive.on_move = on_move
    report = client.move(query.study(study_instance_uid=CT_STUDY), receive=tmp_path / "in")
    assert not report.ok
    assert "aborted" in report.problem
    assert report.status is None


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_objects_of_others_are_refused_and_names_stay_in_the_folder(tmp_path: Path) -> None:
    hostile = ["../../../evil", "/etc/evil", "..", "1.2/../../3", "a\\b", "1.2\0.3"]
    with Receiver("WORKSTATION", "127.0.0.1:0") as receiver:
        expected = receiver.expect("ARCHIVE", 7, tmp_path / "in" / "deep")
        contexts = [presentation.build_context(sop_class.CTImageStorage, "1.2.840.10008.1.2.1")]
        with AE("ARCHIVE").connect("127.0.0.1", receiver.port, contexts=contexts) as assoc:
            for uid in hostile:
                dataset = dcmread(CT)
                dataset.SOPInstanceUID = uid
                assert assoc.send_c_store(dataset, originator_aet="WORKSTATION", originator_id=7).Status == 0
            assert assoc.send_c_store(CT, originator_aet="WORKSTATION", originator_id=8).Status == 0x0124
            assert assoc.send_c_store(CT, originator_aet="OTHER", originator_id=7).Status == 0x0124
            assert assoc.send_c_store(CT).Status == 0
        with AE("STRANGER").connect("127.0.0.1", receiver.port, contexts=contexts) as assoc:
            assert assoc.send_c_store(CT).Status == 0
        assert expected.count == len(hostile) + 2
        receiver.forget(expected)
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) == len(hostile) + 1
    assert all(file.parent == tmp_path / "in" / "deep" for file in files)


# Get


def test_get_brings_every_transfer_syntax(archives: Callable[..., Archive], tmp_path: Path) -> None:
    archive = archives(CT, MR, DEFLATED)
    with Client(archive.name) as client:
        for file in (CT, MR):
            keys = query.study(study_instance_uid=str(dcmread(file).StudyInstanceUID))
            report = client.get(keys, into=tmp_path / "in")
            assert (report.ok, report.completed, report.received) == (True, 1, 1), str(report)
            again = client.get(keys, into=tmp_path / "in", skip_existing=True)
            assert (again.ok, again.completed, again.existing) == (True, 0, 1)
    assert len(list((tmp_path / "in").iterdir())) == 2


def test_get_offers_what_there_is_room_for() -> None:
    contexts, roles = get_contexts("1.2.3", ["1.2", "1.3"])
    assert (len(contexts), len(roles)) == (1 + 2 * len(ALL_TRANSFER_SYNTAXES), 2)
    contexts, roles = get_contexts("1.2.3", [])
    assert 100 < len(contexts) <= 128
    assert all(len(context.transfer_syntax) == len(ALL_TRANSFER_SYNTAXES) for context in contexts[1:])
    contexts, _ = get_contexts("1.2.3", [f"1.2.{n}" for n in range(10)])
    assert len(contexts) == 121


def test_a_retrieval_has_unique_keys_alone() -> None:
    found = query.study(study_instance_uid="1.2", patient_id="5", patient_name="A")
    assert [e.keyword for e in retrieve_keys(found, "StudyRoot")] == ["QueryRetrieveLevel", "StudyInstanceUID"]
    assert "PatientID" in retrieve_keys(found, "PatientRoot")
    with pytest.raises(ValueError, match="StudyInstanceUID"):
        retrieve_keys(query.study(), "StudyRoot")


def test_a_closed_client_is_closed(client: Client) -> None:
    client.echo()
    client.close()
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.echo()
