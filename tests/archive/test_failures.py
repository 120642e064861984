"""What can be in the way: full and read-only disks, locks, other processes. Nothing that was acknowledged is lost."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dimsefast.archive import Archive, ArchiveError, ArchiveLocked, IndexBehind, database

from archive.contents import counts_are_right, made, rows
from archive.test_crashes import Receiver


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A file system in memory at this folder."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"needs the right to mount: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_on_a_full_disk_objects_are_refused_and_those_before_are_indexed_later(tmp_path: Path) -> None:
    folder = tmp_path / "full"
    with mounted(folder, "size=8m"), Archive(folder / "archive") as archive:
        ballast = folder / "ballast"
        # The index of all that fits beside it needs room, too, once it is gone.
        ballast.write_bytes(bytes(5 << 20))
        stored, refused = 0, None
        for number in range(2000):
            (result,) = archive.add([made(number)])
            if result.error is not None:
                refused = result.error
                break
            stored += 1
        assert isinstance(refused, OSError) and "space" in str(refused).lower(), refused
        assert 20 < stored < 2000
        ballast.unlink()
        archive.up_to_date(60)
        assert len(rows(archive)) == stored
        assert sum(1 for _ in archive.storage.names()) == stored, "what was refused has left something"
        counts_are_right(archive)


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "fixed"
    with mounted(folder, "size=3m"):
        Archive(folder / "archive").close()
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        for location in (folder / "archive", folder / "new"):
            with pytest.raises(ArchiveError, match=f"(?s){location}.*Read-only"):
                Archive(location)


def test_a_folder_with_other_things_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear")
    with pytest.raises(ArchiveError, match=r"letter\.txt"):
        Archive(tmp_path)
    with pytest.raises(ArchiveError, match="s3://"):
        Archive("s3://bucket/folder")
    with pytest.raises(ArchiveError, match="postgresql"):
        Archive(tmp_path / "new", database="postgresql://localhost/index")


def test_locations_may_be_urls_and_the_index_elsewhere(tmp_path: Path) -> None:
    index = tmp_path / "index.sqlite"
    with Archive(f"file://{tmp_path}/an%20archive", database=f"sqlite:///{index}") as archive:
        list(archive.add([made(1)]))
        archive.up_to_date()
        assert len(rows(archive)) == 1
        assert (tmp_path / "an archive" / "objects").is_dir() and index.exists()


def test_an_index_that_is_locked_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_LOCK_TIMEOUT", 0.05)
    with Archive(tmp_path) as archive:
        other = sqlite3.connect(tmp_path / ".dimsefast" / "index.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        list(archive.add([made(1)]))
        with pytest.raises(IndexBehind, match=r"(?s)locked.*another program"):
            archive.up_to_date(1.0)
        assert isinstance(archive.indexer.problem, ArchiveError)
        assert archive.statistics() | {"bytes": 0} == dict.fromkeys(archive.statistics(), 0) | {"waiting": 1}
        other.execute("ROLLBACK")
        other.close()
        archive.up_to_date()
        assert len(rows(archive)) == 1 and archive.indexer.problem is None


def test_a_second_process_is_told_who_has_it(tmp_path: Path) -> None:
    with Receiver("process") as receiver:
        receiver.begin(tmp_path)
        with pytest.raises(ArchiveLocked, match=f"process {receiver.pid}"):
            Archive(tmp_path)
        receiver.kill()
        with Archive(tmp_path), pytest.raises(ArchiveLocked, match=f"process {os.getpid()}"):
            Archive(tmp_path)


def test_the_child_of_a_fork_can_neither_use_it_nor_keep_it(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        answer = b"used"
        try:
            archive.up_to_date(1)
        except RuntimeError as error:
            answer = str(error).encode()
        os.write(writer, answer)
        signal.pause()
        os._exit(0)
    os.close(writer)
    try:
        assert b"fork" in os.read(reader, 1000)
        archive.close()
        Archive(tmp_path).close()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reader)


def test_an_archive_that_is_closed_takes_nothing(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    archive.close()
    (result,) = archive.add([made(1)])
    assert isinstance(result.error, OSError) and "closed" in str(result.error)
    assert not list(tmp_path.glob("objects/*/*"))
    archive.close()
