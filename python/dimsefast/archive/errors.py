"""What can go wrong with an archive as a whole."""

from __future__ import annotations

from ..errors import DimsefastError


class ArchiveError(DimsefastError):
    """An archive cannot be opened or used; the message says which, and what to do."""


class ArchiveLocked(ArchiveError):
    """Another process has the archive open."""


class IndexUnusable(ArchiveError):
    """The index is missing, damaged, or of another version: `dimsefast reindex` makes it anew from the files."""


class IndexBehind(ArchiveError, TimeoutError):
    """What was acknowledged could not be indexed in time."""
