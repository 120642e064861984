"""What a C-MOVE or C-GET of the archive sends, and where that and its reports go."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pydicom.dataset import Dataset
from sqlalchemy import select

from ..client.peer import parse_address
from ..services.destination import MoveOptions
from .lookup import CHUNK
from .schema import instance

if TYPE_CHECKING:
    from pathlib import Path

    from ..workflow.reporting import Address
    from .database import Database
    from .storage import FolderStorage

LOGGER = logging.getLogger("dimsefast.archive")

#: "host:port", (host, port), or (host, port, {keywords of AE.associate and MoveOptions}).
Destination = str | tuple[str, int] | tuple[str, int, Mapping[str, Any]]

#: Where each move destination is, by its AE title, or a function that knows; None for one that is not known.
Destinations = Mapping[str, Destination] | Callable[[str], Destination | None]

_EXAMPLE = "host:port"


class Stored(NamedTuple):
    """An instance that the index has.

    Attributes:
        path: its file; None where that is not there any more.
        sop_instance_uid: its UID.
    """

    path: Path | None
    sop_instance_uid: str

    def item(self) -> Path | Dataset:
        """What a handler yields for it. For a missing file it is one that fails, and says which instance that was."""
        if self.path is not None:
            return self.path
        missing = Dataset()
        missing.SOPInstanceUID = self.sop_instance_uid
        return missing


def stored(database: Database, storage: FolderStorage, keys: array[int]) -> Iterator[Stored]:
    """The files of the instances with these keys, in their order. Names are read as they are needed."""
    columns = (instance.c.key, instance.c.name, instance.c.sop_instance_uid)
    for first in range(0, len(keys), CHUNK):
        chunk = keys[first : first + CHUNK]
        with database.reading() as connection:
            rows = {row[0]: row for row in connection.execute(select(*columns).where(instance.c.key.in_(list(chunk))))}
        for key in chunk:
            row = rows.get(key)
            if row is None:
                # Removed since it was counted.
                yield Stored(None, "")
                continue
            found = storage.exists(row.name)
            if not found:
                LOGGER.error("the file %s of the archive, which the index has, is not there", storage.path(row.name))
            yield Stored(storage.path(row.name) if found else None, row.sop_instance_uid)


def destination(destinations: Destinations, ae_title: str) -> tuple[Any, ...] | None:
    """(host, port) or (host, port, keywords) of a move destination; None where it is not known.

    Raises ValueError for one that is no destination.
    """
    name = ae_title.strip()
    found = destinations(name) if callable(destinations) else destinations.get(name)
    if isinstance(found, str):
        return parse_address(found, f"the move destination {name}", _EXAMPLE, 1)
    if found is None:
        return None
    if len(found) not in (2, 3):
        raise ValueError(f"the move destination {name} is {_EXAMPLE} or (host, port), not {found!r}")
    return tuple(found)


def report_address(destinations: Destinations, ae_title: str) -> Address | None:
    """Where a peer takes reports: its address as a destination, without what is about moves; None where it has none.

    Raises ValueError for one that is no destination.
    """
    found = destination(destinations, ae_title)
    if found is None:
        return None
    host, port, *options = found
    keywords = dict(options[0]) if options else {}
    MoveOptions.taken_from(keywords)
    return host, port, keywords
