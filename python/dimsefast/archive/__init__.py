"""The embedded archive: objects in a folder, an index of them in a database, and the provider on top."""

from __future__ import annotations

from .archive import Archive, Reindexed
from .errors import ArchiveError, ArchiveLocked, IndexBehind, IndexUnusable

__all__ = ["Archive", "ArchiveError", "ArchiveLocked", "IndexBehind", "IndexUnusable", "Reindexed"]
