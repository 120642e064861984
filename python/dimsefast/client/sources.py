"""Where the objects of a store come from: files, folders, DICOMDIRs, zip files, Datasets, encoded files."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from .. import _core
from ..objects import StoreObject, store_object

#: What `Client.store` takes.
Storable = Dataset | str | Path | bytes

_DICOMDIR = "1.2.840.10008.1.3.10"
#: A member of a zip file above this many bytes goes through a temporary file.
_IN_MEMORY = 64 << 20
#: As much of a member as is read to find out what it is.
_HEAD = 64 << 10

#: What reading a member of a broken zip file may raise.
BROKEN = (OSError, ValueError, AttributeError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class Source:
    """One object to be stored, not yet in memory."""

    name: str
    size: int
    sop_class: str
    sop_instance: str
    transfer_syntax: str
    #: Gives what is stored.
    load: Callable[[], Dataset | Path | bytes] = field(repr=False)

    @property
    def pair(self) -> tuple[str, str]:
        """The presentation context that it needs."""
        return self.sop_class, self.transfer_syntax


@dataclass
class Found:
    """What a scan found."""

    sources: list[Source] = field(default_factory=list)
    #: What is no DICOM object, and why.
    skipped: list[tuple[str, str]] = field(default_factory=list)
    _temporary: tempfile.TemporaryDirectory[str] | None = None

    def temporary(self) -> Path:
        """A folder that lives until `close`."""
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="dimsefast-")
        return Path(self._temporary.name)

    def forget(self, loaded: object) -> None:
        """Removes what was made for an object that is stored now."""
        if self._temporary is not None and isinstance(loaded, Path) and loaded.parent == Path(self._temporary.name):
            loaded.unlink(missing_ok=True)

    def close(self) -> None:
        """Removes all temporary files."""
        if self._temporary is not None:
            self._temporary.cleanup()


def scan(items: Storable | Iterable[Storable]) -> Found:
    """Finds out what there is to store, reading nothing but headers.

    Raises FileNotFoundError for a path that does not exist.
    """
    found = Found()
    given = [items] if isinstance(items, (Dataset, str, Path, bytes)) else items
    for item in given:
        if isinstance(item, (str, Path)):
            _scan_path(found, Path(item))
        else:
            _add(found, "a Dataset" if isinstance(item, Dataset) else "an encoded file", 0, _itself(item), item)
    return found


def _itself(item: Dataset | Path | bytes) -> Callable[[], Dataset | Path | bytes]:
    return lambda: item


def _scan_path(found: Found, path: Path) -> None:
    if path.is_dir():
        for file in _files(path):
            _scan_file(found, file, given=False)
    elif path.exists():
        _scan_file(found, path, given=True)
    else:
        raise FileNotFoundError(f"{path} does not exist")


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            yield Path(parent, name)


def _scan_file(found: Found, path: Path, given: bool) -> None:
    if not path.is_file():
        found.skipped.append((str(path), "no regular file"))
        return
    try:
        if zipfile.is_zipfile(path):
            _scan_zip(found, path)
            return
        sop_class = _core.read_file_meta(path)[0]
    except (ValueError, zipfile.BadZipFile):
        sop_class = ""
    except OSError as error:
        found.skipped.append((str(path), str(error)))
        return
    if sop_class != _DICOMDIR:
        _add(found, str(path), path.stat().st_size, _itself(path), path)
    elif given:
        _scan_dicomdir(found, path)
    else:
        found.skipped.append((str(path), "a DICOMDIR, whose files are found by themselves"))


def _scan_dicomdir(found: Found, path: Path) -> None:
    root = path.parent.resolve()
    try:
        records = dcmread(path).get("DirectoryRecordSequence") or []
    except (InvalidDicomError, OSError, ValueError) as error:
        found.skipped.append((str(path), f"no readable DICOMDIR: {error}"))
        return
    for record in records:
        parts = record.get("ReferencedFileID")
        if not parts:
            continue
        names = [parts] if isinstance(parts, str) else [str(part) for part in parts]
        file = root.joinpath(*names)
        # A File ID names something below the DICOMDIR, and nothing else.
        if not file.resolve().is_relative_to(root):
            found.skipped.append((str(file), "named by the DICOMDIR, but outside of its folder"))
        elif not file.is_file():
            found.skipped.append((str(file), "named by the DICOMDIR, but not there"))
        else:
            _scan_file(found, file, given=False)


def _scan_zip(found: Found, path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.is_dir():
                continue
            name = f"{path}:{member.filename}"
            try:
                with archive.open(member) as stream:
                    head = stream.read(_HEAD)
                    item: StoreObject | None = None
                    try:
                        sop_class, sop_instance, syntax, _ = _core.parse_file_meta(head)
                        item = StoreObject(sop_class, sop_instance, syntax, None, None, head, 0)
                    except ValueError as problem:
                        if head[128:132] != b"DICM":
                            raise ValueError(f"no DICOM file: {problem}") from None
                        item = store_object(head + stream.read())
            except BROKEN as error:
                found.skipped.append((name, str(error)))
                continue
            if item.sop_class == _DICOMDIR:
                found.skipped.append((name, "a DICOMDIR, whose files are found by themselves"))
                continue
            load = _member(found, path, member)
            found.sources.append(
                Source(name, member.file_size, item.sop_class, item.sop_instance, item.transfer_syntax, load)
            )


def _member(found: Found, path: Path, member: zipfile.ZipInfo) -> Callable[[], Path | bytes]:
    """Reads a member when its turn comes: into memory, or, a large one, into a temporary file."""

    def load() -> Path | bytes:
        with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
            if member.file_size <= _IN_MEMORY:
                return stream.read(_IN_MEMORY + 1)
            with tempfile.NamedTemporaryFile(dir=found.temporary(), suffix=".dcm", delete=False) as out:
                shutil.copyfileobj(stream, out, 1 << 20)
            return Path(out.name)

    return load


def _add(
    found: Found, name: str, size: int, load: Callable[[], Dataset | Path | bytes], item: Dataset | Path | bytes
) -> None:
    try:
        known = store_object(item)
    except BROKEN as error:
        found.skipped.append((name, _one_line(error)))
        return
    if isinstance(item, bytes):
        size = len(item)
    found.sources.append(Source(name, size, known.sop_class, known.sop_instance, known.transfer_syntax, load))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
