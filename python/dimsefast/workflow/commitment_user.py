"""Asking for storage commitment, and taking the reports (PS3.4 J): what both faces share, and the blocking one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from .. import evt
from ..association import Association
from ..association_base import AssociationBase
from ..events import Event, EventType
from ..normalized import N_ACTION
from ..waiting import run
from .commitment_requests import Reference
from .service import Refusal, Service, asked
from .storage_commitment import (
    ALL_COMMITTED,
    FAILURES_EXIST,
    INSTANCE,
    INVALID_ARGUMENT,
    PROCESSING_FAILURE,
    PUSH_MODEL,
    REQUEST_COMMITMENT,
    CommitmentResult,
    FailedReference,
    check_instance,
    item_of,
    references_in,
)

if TYPE_CHECKING:
    from ..ae import ApplicationEntity

_NO_SUCH_EVENT = 0x0113

#: (SOP Class UID, SOP Instance UID), or a Dataset that has both.
Wanted = tuple[str, str] | Dataset


class TransactionBase:
    """What a `Transaction` of either face has."""

    def __init__(self, uid: str, references: tuple[Reference, ...]) -> None:
        self.uid = uid
        self.references = references
        self._arrival: Future[CommitmentResult] = Future()

    @property
    def result(self) -> CommitmentResult | None:
        """What the provider said; None before that."""
        return self._arrival.result() if self._arrival.done() else None

    def _late(self, timeout: float | None) -> TimeoutError:
        return TimeoutError(f"no report on the storage commitment transaction {self.uid} within {timeout} s")


class Transaction(TransactionBase):
    """A request for storage commitment that was accepted, and its result once that is there.

    Attributes:
        uid: Transaction UID.
        references: what was asked for.
    """

    def wait(self, timeout: float | None = None) -> CommitmentResult:
        """Waits for the report, at most `timeout` seconds; None for as long as it takes. Raises TimeoutError."""
        try:
            return self._arrival.result(timeout)
        except TimeoutError:
            raise self._late(timeout) from None


Asked = TypeVar("Asked", bound=TransactionBase)


class CommitmentUser(Service, Generic[Asked]):
    """What a `StorageCommitmentUser` does, in both faces: see there."""

    sop_classes: ClassVar[tuple[str, ...]] = (PUSH_MODEL,)
    roles: ClassVar[tuple[bool | None, bool | None]] = (False, True)

    def __init__(self, make: Callable[[str, tuple[Reference, ...]], Asked], on_result: Any) -> None:
        self._make = make
        self._on_result = on_result
        self._transactions: dict[str, Asked] = {}
        self._lock = threading.Lock()

    def _performers(self) -> dict[EventType, Callable[[Event], Any]]:
        return {evt.EVT_N_EVENT_REPORT: self._reported}

    async def _request(
        self, association: AssociationBase, references: Iterable[Wanted], transaction_uid: str | None
    ) -> Asked:
        wanted = tuple(_reference(reference) for reference in references)
        if not wanted:
            raise ValueError("storage commitment is asked for at least one instance")
        transaction = self._make(transaction_uid or str(generate_uid()), wanted)
        information = Dataset()
        information.TransactionUID = transaction.uid
        information.ReferencedSOPSequence = [item_of(reference) for reference in wanted]
        with self._lock:
            # Before it is sent: the report may be quicker than the answer.
            self._transactions[transaction.uid] = transaction
        try:
            await asked(association, N_ACTION, PUSH_MODEL, INSTANCE, information, REQUEST_COMMITMENT)
        except BaseException:
            with self._lock:
                self._transactions.pop(transaction.uid, None)
            raise
        return transaction

    def _reported(self, event: Event) -> tuple[int, None]:
        request = event.request
        check_instance(request.AffectedSOPClassUID, request.AffectedSOPInstanceUID)
        if event.event_type not in (ALL_COMMITTED, FAILURES_EXIST):
            raise Refusal(_NO_SUCH_EVENT, f"there is no event {event.event_type}")
        information = event.event_information
        result = CommitmentResult(
            str(information.get("TransactionUID") or ""),
            tuple(references_in(information.get("ReferencedSOPSequence"))),
            tuple(_failed(information.get("FailedSOPSequence"))),
            str(information.get("RetrieveAETitle") or ""),
        )
        with self._lock:
            transaction = self._transactions.pop(result.transaction_uid, None)
        if transaction is None and self._on_result is None:
            raise Refusal(INVALID_ARGUMENT, "unknown Transaction UID (0008,1195)")
        if transaction is not None:
            transaction._arrival.set_result(result)
        if self._on_result is not None:
            self._call(event, self._on_result, result)
        return 0x0000, None


class StorageCommitmentUser(CommitmentUser[Transaction]):
    """Asks for storage commitment, and takes the reports.

    Its `handlers` go to whoever may get the report: `AE.associate` for one over the same association, `AE.start_server`
    for one over an association that the provider opens::

        user = StorageCommitmentUser()
        with ae.connect(host, port, contexts=user.contexts, evt_handlers=user.handlers) as association:
            result = user.request(association, references).wait(30)

    which `commit` does in one call.

    Args:
        on_result: called with each `CommitmentResult`, also those of transactions that this object did not begin, which
            are refused without it.
    """

    def __init__(self, on_result: Callable[[CommitmentResult], object] | None = None) -> None:
        super().__init__(Transaction, on_result)

    def request(
        self, association: Association, references: Iterable[Wanted], transaction_uid: str | None = None
    ) -> Transaction:
        """Asks a provider to commit to instances: (SOP Class UID, SOP Instance UID), or Datasets that have both.

        Raises ValueError without references or an accepted context, StatusError where the provider refuses,
        AssociationAborted where it gives no answer.
        """
        return run(self._request(association, references, transaction_uid))

    def commit(
        self,
        ae: ApplicationEntity,
        host: str,
        port: int,
        references: Iterable[Wanted],
        *,
        timeout: float | None = 30.0,
        **options: Any,
    ) -> CommitmentResult:
        """Opens an association, asks a provider over it, and waits there for the report, at most `timeout` seconds.

        A report over another association counts, too, where these `handlers` are those of the server it comes to.
        `options` are those of `AE.connect`. Raises as `AE.connect` and `request` do, and TimeoutError.
        """
        with ae.connect(host, port, contexts=self.contexts, evt_handlers=self.handlers, **options) as association:
            return self.request(association, references).wait(timeout)


def _reference(given: Wanted) -> Reference:
    if isinstance(given, Dataset):
        return Reference(str(given.SOPClassUID), str(given.SOPInstanceUID))
    return Reference(*map(str, given))


def _failed(sequence: Any) -> list[FailedReference]:
    reasons = (int(item.get("FailureReason") or PROCESSING_FAILURE) for item in sequence or ())
    return [
        FailedReference(*reference, reason) for reference, reason in zip(references_in(sequence), reasons, strict=True)
    ]
