"""`Client.move` and `Client.get` against providers in the process, and against trouble."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from client_cases import CT, CT_STUDY, CT_UID, DEFLATED, MR, Archive, archive, archives, client, free_port  # noqa: F401
from dimsefast import ALL_TRANSFER_SYNTAXES, Receiver, ReceiverError, StatusError, presentation, query, sop_class
from dimsefast.client.retrieving import get_contexts, retrieve_keys
from faces import AE, Client, face  # noqa: F401
from pydicom import dcmread

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
