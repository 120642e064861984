"""Those who take reports, for asyncio: of storage commitment, and of Unified Procedure Steps."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable
from typing import Any, cast

from ...events import Event
from ...workflow import CommitmentResult, Service
from ...workflow import UpsWatcher as BlockingUpsWatcher
from ...workflow.commitment_user import CommitmentUser, TransactionBase, Wanted
from ..ae import AE
from ..association import Association
from ..handlers import on_loop
from ..waiting import LoopWaiting


class _TellingOnLoop(Service):
    """A service that tells by coroutines, too."""

    def _call(self, event: Event, function: Callable[[Any], object], argument: object) -> None:
        told = function(argument)
        if inspect.iscoroutine(told):
            on_loop(told, cast(LoopWaiting, event.assoc._waiting).loop, event.assoc)


class Transaction(TransactionBase):
    """See `dimsefast.workflow.Transaction`."""

    async def wait(self, timeout: float | None = None) -> CommitmentResult:
        """Waits for the report, at most `timeout` seconds; None for as long as it takes. Raises TimeoutError."""
        try:
            async with asyncio.timeout(timeout):
                # Whoever gives up waiting must not keep the report from the others.
                return await asyncio.shield(asyncio.wrap_future(self._arrival))
        except TimeoutError:
            raise self._late(timeout) from None


class StorageCommitmentUser(_TellingOnLoop, CommitmentUser[Transaction]):
    """See `dimsefast.workflow.StorageCommitmentUser`; `on_result` may be `async def`::

    user = StorageCommitmentUser()
    async with await ae.connect(host, port, contexts=user.contexts, evt_handlers=user.handlers) as association:
        result = await (await user.request(association, references)).wait(30)
    """

    def __init__(self, on_result: Callable[[CommitmentResult], object] | None = None) -> None:
        super().__init__(Transaction, on_result)

    async def request(
        self, association: Association, references: Iterable[Wanted], transaction_uid: str | None = None
    ) -> Transaction:
        """See `dimsefast.workflow.StorageCommitmentUser.request`."""
        return await self._request(association, references, transaction_uid)

    async def commit(
        self,
        ae: AE,
        host: str,
        port: int,
        references: Iterable[Wanted],
        *,
        timeout: float | None = 30.0,
        **options: Any,
    ) -> CommitmentResult:
        """See `dimsefast.workflow.StorageCommitmentUser.commit`."""
        connecting = ae.connect(host, port, contexts=self.contexts, evt_handlers=self.handlers, **options)
        async with await connecting as association:
            transaction = await self.request(association, references)
            return await transaction.wait(timeout)


class UpsWatcher(_TellingOnLoop, BlockingUpsWatcher):
    """See `dimsefast.workflow.UpsWatcher`; `on_event` may be `async def`."""
