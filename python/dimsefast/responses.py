"""The responses to one request that has many: C-FIND, C-MOVE and C-GET, for both faces (see `waiting`)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset

from . import _core
from .dataset import decode_dataset, encode_dataset
from .exchange import begin, check_priority, end, give_up, status_from
from .operation import Stream
from .status import StatusDataset, code_to_category
from .waiting import Elements

if TYPE_CHECKING:
    from .association_base import AssociationBase

LOGGER = logging.getLogger("dimsefast.requests")

C_GET_RQ, C_FIND_RQ, C_MOVE_RQ, C_CANCEL_RQ = 0x0010, 0x0020, 0x0021, 0x0FFF

#: Statuses of responses that others follow; a request of the peer has none.
_NOT_FINAL = (0xFF00, 0xFF01, None)
#: PS3.4 HH: more may follow it in Repository Query.
REPOSITORY_QUERY, LIMIT_REACHED = "1.2.840.10008.5.1.4.1.1.201.6", 0xB001

#: The elements that count sub-operations that are over: completed, failed, warning.
_DONE = (0x1021, 0x1022, 0x1023)


class Responses(Stream[tuple[Any, Any]]):
    """The responses to one request, up to the final one."""

    has_cancel = True

    def __init__(
        self,
        association: AssociationBase,
        field: int,
        identifier: Dataset | bytes,
        model: str,
        msg_id: int | None,
        priority: int,
        elements: list[tuple[int, str | int]],
        raw: bool = False,
    ) -> None:
        super().__init__(association)
        self._field = field
        self._asked = identifier
        self._model = model
        self._msg_id = msg_id
        self._priority = priority
        self._elements = elements
        self._raw = raw
        self._encoded: bytes | None = None
        self._connection: _core.Connection | None = None
        self._number = self._context_id = 0
        self._syntax = ""
        self._sent = False

    async def _begin(self) -> None:
        association = self._association
        association._live()
        check_priority(self._priority)
        self._context_id, self._syntax = association._usable(self._model)[0]
        asked = self._asked
        self._encoded = asked if isinstance(asked, bytes) else encode_dataset(asked, self._syntax)
        self._connection, self._number = await begin(association, self._msg_id)

    async def _send(self) -> bool:
        connection, timeout = self._connection, self._association._core_dimse_timeout
        assert connection is not None
        elements: Elements = [(0x0002, str(self._model)), (0x0700, self._priority), *self._elements]
        numbers = (self._context_id, self._field, self._number)
        try:
            await self._waiting.request(connection, *numbers, elements, self._encoded, timeout)
        except (TimeoutError, ConnectionAbortedError) as error:
            return self._give_up(connection, error)
        self._sent, self._encoded = True, None
        return False

    async def _step(self) -> bool:
        connection, timeout = self._connection, self._association._core_dimse_timeout
        assert connection is not None
        try:
            is_get = self._field == C_GET_RQ
            messages = await self._waiting.responses(connection, self._number, timeout, requests=is_get)
        except (TimeoutError, ConnectionAbortedError) as error:
            return self._give_up(connection, error)
        last = self._is_final(messages[-1])
        for message in messages:
            if message.status is None:
                _perform_here(self._association, connection, message)
            else:
                self._ready.append(message)
        return last

    def _is_final(self, message: _core.Message) -> bool:
        status = message.status
        return status not in _NOT_FINAL and not (status == LIMIT_REACHED and str(self._model) == REPOSITORY_QUERY)

    def _give_up(self, connection: _core.Connection, error: Exception) -> bool:
        """No answer came: the last result says so."""
        give_up(connection, error)
        self._ready.append(None)
        return True

    def take(self) -> tuple[Any, Any]:
        """The next (status, identifier)."""
        message: _core.Message | None = self._ready.popleft()
        if message is None:
            return (None if self._raw else StatusDataset()), None
        status = message.status
        if self._raw:
            return status, message.dataset()
        final = status not in _NOT_FINAL
        return status_from(message), _identifier(self._association, message, self._syntax, self._field, final)

    def _break(self, error: BaseException) -> None:
        assert self._connection is not None
        self._connection.abort()

    async def _leave(self) -> None:
        connection, timeout = self._connection, self._association._core_dimse_timeout
        assert connection is not None
        if connection.end is not None:
            return
        if not self._sent:
            # Perhaps the peer has half of it.
            connection.abort()
            return
        waiting, is_get = self._waiting, self._field == C_GET_RQ
        try:
            await waiting.request(connection, self._context_id, C_CANCEL_RQ, self._number, [], None, timeout)
            final = False
            while not final:
                for message in await waiting.responses(connection, self._number, timeout, requests=is_get):
                    if message.status is None:
                        _perform_here(self._association, connection, message)
                    final = self._is_final(message)
        except (TimeoutError, ConnectionAbortedError):
            connection.abort()
        except BaseException:
            connection.abort()
            raise

    async def _end(self) -> None:
        assert self._connection is not None
        await end(self._association, self._connection, self._number)


def _identifier(
    association: AssociationBase, message: _core.Message, syntax: str, field: int, final: bool
) -> Dataset | None:
    """The identifier of a response, decoded as far as it makes sense; None for one that is no dataset."""
    if final and field == C_FIND_RQ:
        # Some peers flag a dataset there: the standard has none.
        return None
    category = "Pending" if message.status is None else code_to_category(message.status)
    if field != C_FIND_RQ and category not in ("Warning", "Cancel", "Failure"):
        return None
    data = message.dataset()
    if data:
        try:
            return decode_dataset(data, syntax)
        except ValueError as error:
            # The responses behind it are worth having.
            LOGGER.error("%s: the identifier of a response was dropped: %s", association._name, error)
            return None
    if field == C_FIND_RQ:
        return Dataset() if data is not None else None
    empty = Dataset()
    if category != "Failure" or any(any(message.element(number) or b"") for number in _DONE):
        # Where nothing failed there is no list on the wire; users expect one.
        empty.FailedSOPInstanceUIDList = ""
    return empty


def _perform_here(association: AssociationBase, connection: _core.Connection, message: _core.Message) -> None:
    """Performs a request of the peer on this thread: a C-STORE of its C-GET."""
    try:
        association._perform("request", message)
    finally:
        connection.request_done()
