"""Our own acceptor for the cases: Verification, CT storage into a folder, and Study Root queries of nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dimsefast import AE, Matcher, MatchError, evt
from dimsefast.events import Event
from dimsefast.server import AssociationServer

from .pdus import NAMES


def find(event: Event) -> Iterator[tuple[Any, Any]]:
    """There is not a single object, and still what is asked has to be a query."""
    try:
        Matcher(event.identifier, model=event.context.abstract_syntax)
    except MatchError as error:
        yield error.as_status(), None
    except ValueError:
        yield 0xC000, None


def start(folder: str | Path, port: int) -> AssociationServer:
    ae = AE("ACCEPTOR")
    ae.maximum_associations = 100
    for name in ("verification", "ct", "find"):
        ae.add_supported_context(NAMES[name], [NAMES["implicit"], NAMES["explicit"]], True, True)
    handlers = [(evt.EVT_C_FIND, find)]
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers, store_to=folder)
    assert server is not None
    return server
