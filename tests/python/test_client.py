"""`Client`: how peers are written, its associations, echo and find, against providers in the process and trouble."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from client_cases import CT, CT_STUDY, Archive, archive, archives, client, free_port  # noqa: F401
from dimsefast import (
    AssociationAborted,
    AssociationRejected,
    Peer,
    PeerUnreachable,
    ServiceNotSupported,
    StatusError,
    query,
    sop_class,
)
from faces import AE, Client, face  # noqa: F401
from pydicom import Dataset

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


def test_a_closed_client_is_closed(client: Client) -> None:
    client.echo()
    client.close()
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.echo()
