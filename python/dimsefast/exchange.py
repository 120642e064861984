"""A request and its one response, for both faces (see `waiting`): beginning, waiting, ending, and the status."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from . import _core, dump
from .notices import OBSERVE
from .request import command_elements
from .status import StatusDataset
from .waiting import Elements

if TYPE_CHECKING:
    from .association_base import AssociationBase

_C_STORE_RSP = 0x8001

#: The elements of a response that become part of its status.
_STATUS_KEYWORDS = (
    "OffendingElement",
    "ErrorComment",
    "ErrorID",
    "NumberOfRemainingSuboperations",
    "NumberOfCompletedSuboperations",
    "NumberOfFailedSuboperations",
    "NumberOfWarningSuboperations",
)


def check_free(association: AssociationBase) -> None:
    """Raises RuntimeError where no request can be sent from here."""
    # An acceptor's handler may: nobody but the peer waits meanwhile. A requestor's would wait for its own request.
    if association.is_requestor and association._waiting.is_handling(association):
        raise RuntimeError(
            "a requestor's handler cannot send requests over the association whose request it handles: open another one"
        )
    association._live()


async def begin(association: AssociationBase, msg_id: int | None) -> tuple[_core.Connection, int]:
    """The connection and a Message ID for one request, which `end` gives back."""
    check_free(association)
    if not association._bits & OBSERVE and dump.is_wanted():
        # Somebody has begun to read the log since.
        association._handlers_changed()
    await association._operation.acquire()
    try:
        connection = association._live()
        return connection, connection.begin(msg_id)
    except BaseException:
        association._operation.release()
        raise


async def end(association: AssociationBase, connection: _core.Connection, msg_id: int) -> None:
    """Gives back what `begin` took; the end of the association is told before the request returns."""
    connection.forget(msg_id)
    association._operation.release()
    if connection.end is not None or association._bits & OBSERVE:
        await association._waiting.tell(association)


def give_up(connection: _core.Connection, error: Exception) -> None:
    """No answer came: ends the association, and says why."""
    if isinstance(error, TimeoutError):
        dump.log_timeout("DIMSE")
    connection.abort()


async def exchange_one(
    association: AssociationBase,
    msg_id: int | None,
    exchange: Callable[[_core.Connection, int], Awaitable[_core.Message]],
) -> _core.Message | None:
    """One request and its one response, as `exchange` has it; None where there is no valid one, and the association is
    aborted.
    """
    connection, number = await begin(association, msg_id)
    try:
        return await exchange(connection, number)
    except (TimeoutError, ConnectionAbortedError) as error:
        give_up(connection, error)
        return None
    except Exception:
        raise
    except BaseException:
        # The peer may have half of it, or be about to answer.
        connection.abort()
        raise
    finally:
        await end(association, connection, number)


def status_from(message: _core.Message, also: tuple[str, ...] = ()) -> StatusDataset:
    """The status of a response, with the optional elements that came with it; `also` are the keywords of others."""
    code = message.status
    if code is None:
        return StatusDataset()
    # SOP class, command field, Message ID, dataset type, status, and in C-STORE the instance: nothing optional.
    if not also and message.element_count <= 5 + (message.command_field == _C_STORE_RSP):
        return StatusDataset._make(code, ())
    found = command_elements(message)
    extra = tuple(found[keyword] for keyword in (*also, *_STATUS_KEYWORDS) if keyword in found)
    return StatusDataset._make(code, extra)


def check_priority(priority: int) -> None:
    """Raises ValueError where it is none (PS3.7 Table E.1-1: Priority)."""
    if priority not in (0, 1, 2):
        raise ValueError(f"priority is 0 (medium), 1 (high) or 2 (low), not {priority!r}")


async def single(
    association: AssociationBase,
    context_id: int,
    command_field: int,
    elements: Elements,
    dataset: bytes | None,
    msg_id: int | None,
) -> _core.Message | None:
    """Sends a request that has one response: that, or None where no valid one came."""

    async def exchange(connection: _core.Connection, number: int) -> _core.Message:
        waiting, timeout = association._waiting, association._core_dimse_timeout
        await waiting.request(connection, context_id, command_field, number, elements, dataset, timeout)
        return await waiting.response(connection, [number], timeout)

    return await exchange_one(association, msg_id, exchange)
