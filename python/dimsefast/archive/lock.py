"""Which process has an archive: a file that it keeps locked."""

from __future__ import annotations

import os
import sys
import weakref
from pathlib import Path
from typing import Final

from .errors import ArchiveLocked

if sys.platform == "win32":
    import msvcrt

    #: What is locked there cannot be read by others: a byte far behind the text.
    _LOCKED_BYTE: Final = 0x7FFF_FFFE

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Lock:
    """A file that one process has locked; its text says which.

    Args:
        path: the file, which is made if it is not there.
        folder: the archive, for the error.

    Raises ArchiveLocked where another process has it, OSError where the file cannot be used.
    """

    #: Those of this process: a child of a fork lets go of them.
    _held: Final[weakref.WeakSet[Lock]] = weakref.WeakSet()

    def __init__(self, path: Path, folder: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(self._descriptor)
        # The one is what POSIX says of a lock that another process has, the other what Windows does.
        except (BlockingIOError, PermissionError):
            holder = os.read(self._descriptor, 100).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise ArchiveLocked(
                f"the archive {folder} is open in another process ({holder or 'which has not said its number yet'}): "
                "end that first, or send it what is to be stored"
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"process {os.getpid()}\n".encode("ascii"))
        self._held.add(self)

    def release(self) -> None:
        """Lets another process have it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @classmethod
    def release_in_child(cls) -> None:
        """Closes the descriptors that a child of a fork got: the lock is its parent's."""
        for lock in list(cls._held):
            lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=Lock.release_in_child)
