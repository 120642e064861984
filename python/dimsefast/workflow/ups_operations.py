"""What users of Unified Procedure Steps send, for both faces (see `dimsefast.waiting`)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from .. import requests
from ..association_base import AssociationBase
from ..errors import AssociationAborted, StatusError
from ..normalized import N_ACTION, N_CREATE, N_GET, N_SET
from ..operation import AsyncIteration
from ..status import STATUS_PENDING, STATUS_SUCCESS, code_to_category
from . import ups_rules as rules
from .service import Refusal, asked, peer_of
from .ups import CHANGE_STATE, PULL, PUSH, REQUEST_CANCEL, SUBSCRIBE, SUSPEND, UNSUBSCRIBE, cancellation
from .ups_subscriptions import FILTERED_GLOBAL, GLOBAL

#: Priority (0000,0700), as associations have it by default.
_LOW_PRIORITY = 2


async def create(association: AssociationBase, step: Dataset, sop_instance: str | None = None) -> str:
    """See `dimsefast.workflow.ups.create`."""
    uid = sop_instance or str(generate_uid())
    whole = Dataset()
    whole.ProcedureStepState, whole.InputReadinessState, whole.TransactionUID = rules.SCHEDULED, "READY", ""
    whole.update(step)
    try:
        rules.check_create(whole)
    except Refusal as refusal:
        raise ValueError(f"the step cannot be created: {refusal}") from None
    await asked(association, N_CREATE, PUSH, uid, whole)
    return uid


async def find(association: AssociationBase, keys: Dataset, sop_class: str = PULL) -> AsyncGenerator[Dataset, None]:
    """See `dimsefast.workflow.ups.find`. To be used with `async for`."""
    stream = AsyncIteration(requests.c_find(association, keys, sop_class, None, _LOW_PRIORITY))
    async with contextlib.aclosing(stream) as responses:
        async for status, identifier in responses:
            code = status.get("Status")
            if code is None:
                raise AssociationAborted(peer_of(association), 0, 0, "no valid answer to a C-FIND")
            category = code_to_category(code)
            if category == STATUS_PENDING:
                yield Dataset() if identifier is None else identifier
            elif category != STATUS_SUCCESS:
                raise StatusError(peer_of(association), "C-FIND", code, str(status.get("ErrorComment") or ""))


async def get(association: AssociationBase, sop_instance: str, tags: list[Any] | None = None) -> Dataset:
    """See `dimsefast.workflow.ups.get`."""
    return await asked(association, N_GET, PUSH, sop_instance, attributes=tags)


async def modify(association: AssociationBase, sop_instance: str, changes: Dataset) -> None:
    """See `dimsefast.workflow.ups.modify`."""
    await asked(association, N_SET, PUSH, sop_instance, changes)


class Claim:
    """See `dimsefast.workflow.ups.Claim`."""

    def __init__(self, association: AssociationBase, sop_instance: str, transaction_uid: str) -> None:
        self._association = association
        self.sop_instance = sop_instance
        self.transaction_uid = transaction_uid

    async def update(self, changes: Dataset) -> None:
        """Modifies the step: N-SET under the lock."""
        locked = Dataset()
        locked.update(changes)
        locked.TransactionUID = self.transaction_uid
        await modify(self._association, self.sop_instance, locked)

    async def progress(self, percent: float, description: str = "") -> None:
        """Says how far it is, in percent."""
        item = Dataset()
        item.ProcedureStepProgress = f"{percent:g}"
        item.ProcedureStepProgressDescription = description
        changes = Dataset()
        changes.ProcedureStepProgressInformationSequence = [item]
        await self.update(changes)

    async def complete(self, performed: Dataset) -> None:
        """Completes it. `performed` is the item of the Unified Procedure Step Performed Procedure Sequence."""
        item = Dataset()
        item.OutputInformationSequence = []
        item.update(performed)
        changes = Dataset()
        changes.UnifiedProcedureStepPerformedProcedureSequence = [item]
        await self.update(changes)
        await self._change(rules.COMPLETED)

    async def cancel(self, reason: str = "") -> None:
        """Gives it up: it becomes CANCELED."""
        changes = Dataset()
        changes.ProcedureStepProgressInformationSequence = [cancellation(reason)]
        await self.update(changes)
        await self._change(rules.CANCELED)

    async def _change(self, state: str) -> None:
        information = Dataset()
        information.ProcedureStepState, information.TransactionUID = state, self.transaction_uid
        await _act(self._association, self.sop_instance, CHANGE_STATE, information)


async def claim(association: AssociationBase, sop_instance: str, transaction_uid: str | None = None) -> Claim:
    """See `dimsefast.workflow.ups.claim`."""
    claimed = Claim(association, sop_instance, transaction_uid or str(generate_uid()))
    await claimed._change(rules.IN_PROGRESS)
    return claimed


async def request_cancel(association: AssociationBase, sop_instance: str, reason: str = "") -> None:
    """See `dimsefast.workflow.ups.request_cancel`."""
    information = Dataset()
    if reason:
        information.ReasonForCancellation = reason
    await _act(association, sop_instance, REQUEST_CANCEL, information)


async def subscribe(
    association: AssociationBase,
    receiving_ae: str,
    sop_instance: str = GLOBAL,
    deletion_lock: bool = False,
    keys: Dataset | None = None,
) -> None:
    """See `dimsefast.workflow.ups.subscribe`."""
    information = Dataset()
    if keys is not None:
        information.update(keys)
        sop_instance = FILTERED_GLOBAL
    information.ReceivingAE = receiving_ae
    information.DeletionLock = "TRUE" if deletion_lock else "FALSE"
    await _act(association, sop_instance, SUBSCRIBE, information)


async def unsubscribe(association: AssociationBase, receiving_ae: str, sop_instance: str = GLOBAL) -> None:
    """See `dimsefast.workflow.ups.unsubscribe`."""
    await _act(association, sop_instance, UNSUBSCRIBE, _receiving(receiving_ae))


async def suspend(association: AssociationBase, receiving_ae: str, sop_instance: str = GLOBAL) -> None:
    """See `dimsefast.workflow.ups.suspend`."""
    await _act(association, sop_instance, SUSPEND, _receiving(receiving_ae))


def _receiving(title: str) -> Dataset:
    information = Dataset()
    information.ReceivingAE = title
    return information


async def _act(association: AssociationBase, sop_instance: str, action: int, information: Dataset) -> None:
    await asked(association, N_ACTION, PUSH, sop_instance, information, action)
