"""What a modality sends of its performed procedure steps, for both faces (see `dimsefast.waiting`)."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from .. import _sop_class_data as data
from ..association_base import AssociationBase
from ..normalized import N_CREATE, N_SET
from . import mpps_rules as rules
from .service import asked

MPPS = data.PROCEDURE_STEP["ModalityPerformedProcedureStep"]


async def create(association: AssociationBase, step: Dataset, sop_instance: str | None = None) -> str:
    """See `dimsefast.workflow.mpps.create`."""
    uid = sop_instance or str(generate_uid())
    await asked(association, N_CREATE, MPPS, uid, rules.filled(step))
    return uid


async def update(association: AssociationBase, sop_instance: str, changes: Dataset) -> None:
    """See `dimsefast.workflow.mpps.update`."""
    await asked(association, N_SET, MPPS, sop_instance, changes)


async def complete(association: AssociationBase, sop_instance: str, changes: Dataset) -> None:
    """See `dimsefast.workflow.mpps.complete`."""
    await _end(association, sop_instance, changes, rules.COMPLETED)


async def discontinue(association: AssociationBase, sop_instance: str, changes: Dataset) -> None:
    """See `dimsefast.workflow.mpps.discontinue`."""
    await _end(association, sop_instance, changes, rules.DISCONTINUED)


async def _end(association: AssociationBase, sop_instance: str, changes: Dataset, state: str) -> None:
    final = Dataset()
    final.update(changes)
    final.PerformedProcedureStepStatus = state
    await update(association, sop_instance, final)
