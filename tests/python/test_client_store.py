"""`Client.store` against providers in the process: what is sent, in which contexts, and after trouble."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from client_cases import CT, DEFLATED, DICOMDIR, MR, RLE, Archive, archive, archives, client  # noqa: F401
from conftest import wait_until
from dimsefast import Progress, evt
from dimsefast.client.sources import Source, scan
from dimsefast.client.storing import in_associations
from faces import AE, Client, face  # noqa: F401
from pydicom import dcmread


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
