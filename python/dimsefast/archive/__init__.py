"""The embedded archive: objects in a folder, an index of them in a database, and the provider on top."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .archive import Archive, Reindexed
    from .errors import ArchiveError, ArchiveLocked, IndexBehind, IndexUnusable

__all__ = ["Archive", "ArchiveError", "ArchiveLocked", "IndexBehind", "IndexUnusable", "Reindexed"]


def __getattr__(name: str) -> Any:
    # SQLAlchemy takes a tenth of a second to import, and not everything in here needs it.
    if name in __all__:
        return getattr(import_module(f"{__name__}.{'archive' if name in ('Archive', 'Reindexed') else 'errors'}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
