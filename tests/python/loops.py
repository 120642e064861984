"""Loops of both kinds, and both ends of an association on one, for the tests of asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from dimsefast import aio, build_context
from dimsefast.sop_class import CTImageStorage, Verification
from pydicom import Dataset
from service_cases import FIND, GET, MOVE, query

LIMIT = 30
ASKED = query(PatientID="*")


@contextlib.asynccontextmanager
async def provider(*handlers: Any, **options: Any) -> AsyncIterator[Any]:
    async with aio.AE("PROVIDER") as ae:
        ae.maximum_associations = 1000
        for uid in (Verification, FIND, GET, MOVE):
            ae.add_supported_context(uid)
        ae.add_supported_context(CTImageStorage, scu_role=True, scp_role=True)
        yield await ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(handlers), **options)


async def connect(server: Any, *uids: str, **options: Any) -> Any:
    ae = aio.AE("REQUESTOR")
    ae.dimse_timeout = options.pop("dimse_timeout", LIMIT)
    options.setdefault("contexts", [build_context(uid) for uid in uids or (Verification, FIND, MOVE, CTImageStorage)])
    return await ae.connect("127.0.0.1", getattr(server, "port", server), **options)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT):
        while not condition():
            await asyncio.sleep(0.002)


def match(number: int, size: int = 0) -> Dataset:
    found = query(PatientID=str(number))
    if size:
        found.PatientComments = "x" * size
    return found


@contextlib.contextmanager
def silent_listener() -> Iterator[int]:
    """A peer that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]
