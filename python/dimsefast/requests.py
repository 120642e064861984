"""Sending DIMSE requests: one function a service, on top of the core's messages, for both faces (see `waiting`)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset

from . import _core
from ._validators import validate_ae_title
from .exchange import check_free, check_priority, exchange_one, status_from
from .objects import Storable, fitting_context, prepare_store, store_object
from .responses import C_CANCEL_RQ, C_FIND_RQ, C_GET_RQ, C_MOVE_RQ, Responses
from .sending import StoreResult
from .status import StatusDataset
from .store_results import StoreResults

if TYPE_CHECKING:
    from .association_base import AssociationBase

LOGGER = logging.getLogger("dimsefast.requests")

VERIFICATION = "1.2.840.10008.1.1"


async def c_echo(association: AssociationBase, msg_id: int | None) -> Dataset:
    """See `Association.send_c_echo`."""
    check_free(association)
    context_id = association._usable(VERIFICATION)[0].context_id

    def exchange(connection: _core.Connection, number: int) -> Awaitable[_core.Message]:
        return association._waiting.echo(connection, context_id, number, association._core_dimse_timeout)

    message = await exchange_one(association, msg_id, exchange)
    return StatusDataset() if message is None else status_from(message)


async def c_store(
    association: AssociationBase,
    dataset: Storable,
    msg_id: int | None,
    priority: int,
    originator_aet: str | None,
    originator_id: int | None,
    decompress: bool,
) -> Dataset:
    """See `Association.send_c_store`."""
    association._live()
    check_priority(priority)
    waiting = association._waiting
    item = await waiting.apart(store_object, dataset)
    fitting = fitting_context(association, item, decompress)
    originator = None if originator_aet is None else (originator_aet, originator_id or 0)

    async def exchange(connection: _core.Connection, number: int) -> _core.Message:
        store = await waiting.apart(prepare_store, connection, number, item, fitting, priority, originator)
        await waiting.send(connection, store, association._core_dimse_timeout)
        return await waiting.response(connection, [number], association._core_dimse_timeout)

    message = await exchange_one(association, msg_id, exchange)
    return StatusDataset() if message is None else status_from(message)


def store_many(
    association: AssociationBase,
    items: Iterable[Storable] | AsyncIterable[Storable],
    progress: Callable[[StoreResult], object] | None,
    priority: int,
    decompress: bool,
) -> StoreResults:
    """See `Association.store`."""
    check_priority(priority)
    return StoreResults(association, items, progress, priority, decompress)


def c_find(
    association: AssociationBase,
    identifier: Dataset | bytes,
    model: str,
    msg_id: int | None,
    priority: int,
    raw: bool = False,
) -> Responses:
    """See `Association.send_c_find` and `Association.find`."""
    return Responses(association, C_FIND_RQ, identifier, model, msg_id, priority, [], raw)


def c_move(
    association: AssociationBase, identifier: Dataset, move_aet: str, model: str, msg_id: int | None, priority: int
) -> Responses:
    """See `Association.send_c_move`."""
    destination = validate_ae_title(move_aet, "the move destination")
    return Responses(association, C_MOVE_RQ, identifier, model, msg_id, priority, [(0x0600, destination)])


def c_get(
    association: AssociationBase, identifier: Dataset, model: str, msg_id: int | None, priority: int
) -> Responses:
    """See `Association.send_c_get`."""
    return Responses(association, C_GET_RQ, identifier, model, msg_id, priority, [])


async def c_cancel(association: AssociationBase, msg_id: int, context_id: int | None, query_model: str | None) -> None:
    """See `Association.send_c_cancel`."""
    connection = association._live()
    if context_id is None:
        if query_model is None:
            raise ValueError("a C-CANCEL needs the context ID or the query model of the request it ends")
        context_id = association._usable(query_model)[0].context_id
    elif (found := connection.negotiation) is None or found.accepted_context(context_id) is None:
        words = "%s: no C-CANCEL was sent for Message ID %s: %s is not the ID of an accepted presentation context"
        LOGGER.warning(words, association._name, msg_id, context_id)
        return
    timeout = association._core_dimse_timeout
    try:
        await association._waiting.request(connection, context_id, C_CANCEL_RQ, msg_id, [], None, timeout)
    except (TimeoutError, ConnectionAbortedError):
        connection.abort()
