"""The associations of a client: kept open while they are used, borrowed by one operation at a time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID

from .. import sop_class
from ..ae import Entity
from ..association_base import AssociationBase
from ..errors import AssociationAborted, AssociationTimeout, ServiceNotSupported
from ..presentation import build_context
from ..tls import TLS
from .peer import Peer

_VERIFICATION = str(sop_class.Verification)
_WORKLIST = str(sop_class.ModalityWorklistInformationFind)
#: What one association is for: a find in between a move's results needs no second negotiation.
_QUERY = (
    _VERIFICATION,
    str(sop_class.StudyRootQueryRetrieveInformationModelFind),
    str(sop_class.PatientRootQueryRetrieveInformationModelFind),
    str(sop_class.StudyRootQueryRetrieveInformationModelMove),
    str(sop_class.PatientRootQueryRetrieveInformationModelMove),
)
#: Idle associations that are kept.
_KEPT = 4

STUDY, PATIENT = "StudyRoot", "PatientRoot"


def models(identifier: Dataset, operation: str, model: str | None) -> list[str]:
    """The SOP classes that an identifier can be used with, the preferred one first.

    `operation` is Find, Move or Get; `model` a SOP Class UID, or "study", "patient" or "worklist"; None for what the
    level allows: Study Root, for PATIENT Patient Root, for a worklist query Modality Worklist.

    Raises ValueError for an identifier without level, or a model that is none.
    """
    named = {"study": STUDY, "patient": PATIENT}
    if model is not None and model.lower() in named:
        return [_model(named[model.lower()], operation)]
    if model is not None and model.lower() == "worklist":
        return [_WORKLIST]
    if model is not None:
        if not UID(str(model)).is_valid:
            raise ValueError(f'the model is a SOP Class UID, "study", "patient" or "worklist", not {model!r}')
        return [str(model)]
    level = identifier.get("QueryRetrieveLevel")
    if level is None and operation == "Find" and "ScheduledProcedureStepSequence" in identifier:
        return [_WORKLIST]
    if level not in ("PATIENT", "STUDY", "SERIES", "IMAGE"):
        raise ValueError(
            f"the identifier's QueryRetrieveLevel is PATIENT, STUDY, SERIES or IMAGE, not {level!r}: "
            "query.patient(), query.study() and the others set it"
        )
    patient, study = _model(PATIENT, operation), _model(STUDY, operation)
    # Below PATIENT, a peer that has Patient Root alone may do with what the identifier has.
    return [patient] if level == "PATIENT" else [study, patient]


def _model(root: str, operation: str) -> str:
    return str(getattr(sop_class, f"{root}QueryRetrieveInformationModel{operation}"))


class Links:
    """The associations with one peer."""

    def __init__(self, ae: Entity, peer: Peer, make: Callable[..., AssociationBase], tls: TLS | None = None) -> None:
        self.ae = ae
        self._make = make
        self.peer = peer
        self.tls = tls
        self._idle: list[AssociationBase] = []
        self._borrowed: set[AssociationBase] = set()
        self._lock = threading.Lock()
        self._closed = False

    async def open(self, contexts: Sequence[Any], **options: Any) -> AssociationBase:
        """A new association that is the caller's own, until `give_back` or its end."""
        if self._closed:
            raise RuntimeError(f"the client of {self.peer} is closed")
        association = await self.ae._connect(
            self._make,
            self.peer.host,
            self.peer.port,
            ae_title=self.peer.ae_title,
            contexts=list(contexts),
            tls=self.tls,
            **options,
        )
        with self._lock:
            closed = self._closed
            self._borrowed.add(association)
        if closed:
            association._abort()
        return association

    async def done_with(self, association: AssociationBase) -> None:
        """Releases an association."""
        with self._lock:
            self._borrowed.discard(association)
        await association._release()

    @contextlib.asynccontextmanager
    async def borrow(self, candidates: Sequence[str]) -> AsyncIterator[tuple[AssociationBase, str]]:
        """An association on which the peer took one of the SOP classes, and that SOP class.

        Raises ServiceNotSupported where it takes none of them, else as `AE.connect`.
        """
        association, model = await self._take(candidates)
        try:
            yield association, model
        except RuntimeError as error:
            # It was lost between two looks at it: a request finds no association.
            if association.is_established or self._closed:
                raise
            raise self.lost(association, False) from error
        finally:
            await self._give_back(association)

    async def forget_idle(self) -> None:
        """One was lost: those that were open as long are probably lost, too."""
        with self._lock:
            idle, self._idle = self._idle, []
        for association in idle:
            await association._release()

    async def _take(self, candidates: Sequence[str]) -> tuple[AssociationBase, str]:
        while (association := self._take_idle(candidates)) is not None:
            model = accepted(association, candidates)
            if association.is_established and model is not None:
                return association, model
            await self.done_with(association)
        proposed = _VERIFICATION if candidates[0] == _VERIFICATION else None
        uids = [proposed] if proposed else [*(_QUERY if candidates[0] in _QUERY else ()), *candidates]
        association = await self._open_for(list(dict.fromkeys(uids)), candidates)
        model = accepted(association, candidates)
        if model is None:
            await self._give_back(association)
            raise ServiceNotSupported(str(self.peer), _not_supported(candidates))
        return association, model

    async def _open_for(self, uids: list[str], candidates: Sequence[str]) -> AssociationBase:
        try:
            return await self.open([build_context(uid) for uid in uids])
        except AssociationAborted as error:
            if "accepted none" in str(error):
                raise ServiceNotSupported(str(self.peer), _not_supported(candidates)) from None
            raise

    def _take_idle(self, candidates: Sequence[str]) -> AssociationBase | None:
        with self._lock:
            for at, association in enumerate(self._idle):
                if not association.is_established or accepted(association, candidates) is not None:
                    self._borrowed.add(association)
                    return self._idle.pop(at)
        return None

    async def _give_back(self, association: AssociationBase) -> None:
        with self._lock:
            self._borrowed.discard(association)
            if association.is_established and not self._closed and len(self._idle) < _KEPT:
                self._idle.append(association)
                return
        await association._release()

    async def close(self) -> None:
        """Releases what is idle, aborts what is not."""
        with self._lock:
            self._closed = True
            idle, borrowed = self._idle, list(self._borrowed)
            self._idle = []
        for association in borrowed:
            association._abort()
        for association in idle:
            await association._release()

    def lost(self, association: AssociationBase, timed_out: bool) -> AssociationAborted | AssociationTimeout:
        """The error for an association that ended in the middle of a request."""
        if timed_out:
            return AssociationTimeout(str(self.peer), f"no answer within {association.dimse_timeout:g} s")
        return AssociationAborted(str(self.peer), 0, 0, association._ending() or "the connection was lost")


def accepted(association: AssociationBase, candidates: Sequence[str]) -> str | None:
    """The first of the SOP classes that the peer accepted."""
    for candidate in candidates:
        with contextlib.suppress(ValueError):
            association._usable(candidate)
            return candidate
    return None


def _not_supported(candidates: Sequence[str]) -> str:
    names = " or ".join(UID(candidate).name for candidate in candidates)
    return f"it takes associations, but not for {names}: is it the right AE, and does it offer that to us?"
