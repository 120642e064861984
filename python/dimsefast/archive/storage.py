"""Where an archive keeps its objects: a folder.

This is the only file that knows where in it. Names of objects are relative to it, with slashes, and depend on the SOP
Instance UID alone.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

from .. import _core
from ..storing import StoreTo
from .commitment_store import KeptRequests
from .errors import ArchiveError
from .lock import Lock
from .steps import StepStore

if TYPE_CHECKING:
    from ..ae import Entity

#: What becomes of an object that is there already and not the same to the byte.
Duplicates = Literal["keep", "replace", "refuse"]

#: What is the archive's own: the marker, the lock, the journal, the index, performed procedure steps, and requests for
#: storage commitment.
PRIVATE: Final = ".dimsefast"

_MARKER: Final = "archive"
_MARKER_TEXT: Final = "dimsefast archive, layout 1\n"
_OBJECTS: Final = "objects"
_STEPS: Final = "mpps"
_COMMITMENTS: Final = "commitments"
#: The name of a folder of objects.
_PART: Final = re.compile("[0-9a-f]{2}")
_LAYOUT: Final = f"{_OBJECTS}/{{SOPInstanceUID.hash}}/{{SOPInstanceUID}}.dcm"

#: `_core` calls them otherwise.
_DUPLICATES: Final = {"replace": "update", "keep": "drop", "refuse": "refuse"}

#: What may be in a folder that is made an archive.
_HARMLESS: Final = {PRIVATE, "lost+found"}


class FolderStorage:
    """The objects of an archive in a folder, which is made if it is not there.

    Args:
        location: the folder, or its URL (`file:///...`).
        fsync: whether an object is on the disk when it counts as stored.
        duplicates: what becomes of an object that is there already and not the same to the byte: "replace" it, "keep"
            the one that is there (B006H), or "refuse" the other (0111H).
        restored: whether the folder may have nothing but the objects of an archive, as a backup has them.

    Raises ArchiveLocked where another process has it, ArchiveError where the location cannot be used.
    """

    def __init__(
        self, location: str | os.PathLike[str], fsync: bool, duplicates: Duplicates, restored: bool = False
    ) -> None:
        if duplicates not in _DUPLICATES:
            raise ValueError(f'duplicates is "keep", "replace" or "refuse", not {duplicates!r}')
        self.folder = _folder(location)
        try:
            self._make(restored)
            self._lock = Lock(self.private / "lock", self.folder)
        except OSError as error:
            raise ArchiveError(
                f"the archive {self.folder} cannot be used: {error}: check the path and its permissions"
            ) from error
        try:
            _core.remove_leftovers(self.folder)
            self.journal = _core.Journal(self.private / "journal", fsync)
            self.steps = StepStore(self.private / _STEPS, fsync)
            self.commitments = KeptRequests(self.private / _COMMITMENTS, fsync)
        except OSError as error:
            self._lock.release()
            raise ArchiveError(f"the archive {self.folder} cannot be written to: {error}") from error
        self.store_to = _StoreToArchive(self.folder, self.journal, fsync, duplicates)

    @property
    def private(self) -> Path:
        """The folder of what is the archive's own."""
        return self.folder / PRIVATE

    @property
    def failed(self) -> Path:
        """The list of what could not be indexed: name, tab and reason a line."""
        return self.private / "failed"

    def _make(self, restored: bool) -> None:
        """Makes the folder an archive, where it is none. Raises OSError, ArchiveError where something else is in it."""
        marker = self.private / _MARKER
        if not marker.is_file():
            self.folder.mkdir(parents=True, exist_ok=True)
            others = sorted({entry.name for entry in os.scandir(self.folder)} - _HARMLESS)
            if others == [_OBJECTS] and self._has_layout():
                if not restored:
                    raise ArchiveError(
                        f"{self.folder} has the objects of an archive and nothing else: make it one with "
                        "`dimsefast reindex`"
                    )
            elif others:
                raise ArchiveError(
                    f"{self.folder} is no archive and has other things in it ({', '.join(others[:3])}...): "
                    "give a new or empty folder"
                )
            self.private.mkdir(exist_ok=True)
            marker.write_text(_MARKER_TEXT)
        elif marker.read_text() != _MARKER_TEXT:
            raise ArchiveError(f"{self.folder} is an archive of another version: {marker} says so")
        (self.folder / _OBJECTS).mkdir(exist_ok=True)
        for name in (_STEPS, _COMMITMENTS):
            (self.private / name).mkdir(exist_ok=True)

    def _has_layout(self) -> bool:
        """Whether what is in the folder of objects is where an archive has it. Raises OSError."""
        return all(_PART.fullmatch(entry.name) and entry.is_dir() for entry in os.scandir(self.folder / _OBJECTS))

    def path(self, name: str) -> Path:
        """The file of this name."""
        return self.folder / name

    def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return os.path.exists(self.folder / name)

    def names(self) -> Iterator[tuple[str, int]]:
        """All objects, and when each was stored, in nanoseconds since 1970; in no order. Raises OSError."""
        objects = self.folder / _OBJECTS
        for folder in sorted(entry.name for entry in os.scandir(objects) if entry.is_dir()):
            with os.scandir(objects / folder) as entries:
                for entry in entries:
                    # It may be removed meanwhile.
                    with suppress(FileNotFoundError):
                        yield f"{_OBJECTS}/{folder}/{entry.name}", entry.stat().st_mtime_ns

    def is_empty(self) -> bool:
        """Whether there is no object. Raises OSError."""
        return next(self.names(), None) is None

    def remove(self, name: str) -> None:
        """Removes an object, and records that; nothing is wrong where it is not there. Raises OSError."""
        with suppress(FileNotFoundError):
            os.unlink(self.folder / name)
        self.journal.append(name, removed=True)

    def free_bytes(self) -> int:
        """How much room there is for objects, in bytes. Raises OSError."""
        return shutil.disk_usage(self.folder).free

    def close(self) -> None:
        """Nothing can be stored any more; another process may have the archive."""
        self.journal.close()
        self._lock.release()


class _StoreToArchive(StoreTo):
    """Into the archive: a record in the journal before the response."""

    def __init__(self, folder: Path, journal: _core.Journal, fsync: bool, duplicates: Duplicates) -> None:
        # Its own `duplicates` are about the names of files, which here depend on nothing but the UID.
        super().__init__(folder, layout=_LAYOUT, fsync=fsync)
        self._journal, self._duplicates = journal, duplicates

    def _into(self, ae: Entity, folder: Path, layout: _core.Layout) -> _core.StorePlan:
        return self.plan_as(str(ae.implementation_class_uid), ae.implementation_version_name or "")

    def plan_as(self, class_uid: str, version: str) -> _core.StorePlan:
        """The plan for the core, which writes files under this implementation's UID and version name."""
        assert self.folder is not None
        return _core.StorePlan.folder(
            self.folder,
            self._layout,
            self._keywords,
            _DUPLICATES[self._duplicates],
            self.fsync,
            class_uid,
            version,
            journal=self._journal,
        )

    def __repr__(self) -> str:
        return f"<store_to of the archive {self.folder}>"


def _folder(location: str | os.PathLike[str]) -> Path:
    text = os.fspath(location)
    if "://" not in text:
        return Path(text).expanduser().resolve()
    url = urlsplit(text)
    if url.scheme != "file" or url.netloc not in ("", "localhost") or not url.path:
        raise ArchiveError(f"the storage {text!r} is not supported: give a folder, or file:///<its path>")
    # It takes long to import, and a folder needs none of it.
    from urllib.request import url2pathname

    return Path(url2pathname(url.path)).resolve()
