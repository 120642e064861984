"""Storage Commitment, Push Model (PS3.4 Annex J): who takes the responsibility."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from pydicom.dataset import Dataset

from .. import _sop_class_data as data
from .. import evt
from ..ae import AE
from ..association_base import AssociationBase
from ..errors import status_words
from ..events import Event, EventType
from .commitment_requests import CommitmentRequest, CommitmentStore, Reference
from .reporting import RETRY_AFTER, Addresses, Report, Reporter
from .service import Refusal, Service

LOGGER = logging.getLogger("dimsefast.workflow")

PUSH_MODEL = data.STORAGE_COMMITMENT["StorageCommitmentPushModel"]
#: The well-known instance (PS3.4 J.3.5).
INSTANCE = data.INSTANCES["StorageCommitmentPushModelInstance"]

REQUEST_COMMITMENT = 1
ALL_COMMITTED, FAILURES_EXIST = 1, 2

#: Failure Reason (0008,1197), PS3.3 C.14.1.1.
PROCESSING_FAILURE, NO_SUCH_INSTANCE, RESOURCE_LIMITATION = 0x0110, 0x0112, 0x0213
CLASS_NOT_SUPPORTED, CLASS_INSTANCE_CONFLICT, DUPLICATE_TRANSACTION = 0x0122, 0x0119, 0x0131

INVALID_ARGUMENT = 0x0115
_NO_SUCH_CLASS, _NO_SUCH_ACTION = 0x0118, 0x0123


class FailedReference(NamedTuple):
    """An instance that is not committed, and the Failure Reason."""

    sop_class: str
    sop_instance: str
    reason: int

    def __str__(self) -> str:
        return f"{self.sop_instance}: {status_words(self.reason)}"


class CommitmentResult(NamedTuple):
    """What the provider says of the instances of one transaction.

    Attributes:
        transaction_uid: which.
        committed: what the provider is responsible for from now on.
        failed: what it is not, and why.
        retrieve_ae_title: where the committed ones can be retrieved from; empty where it does not say.
    """

    transaction_uid: str
    committed: tuple[Reference, ...]
    failed: tuple[FailedReference, ...]
    retrieve_ae_title: str = ""

    @property
    def ok(self) -> bool:
        """Whether all are committed."""
        return not self.failed


#: Which of the instances asked for are held: SOP Instance UID to the SOP Class UID that it is held under, or to a
#: Failure Reason; those that are not in it are not held.
Held = Callable[[Sequence[Reference]], Mapping[str, str | int]]


class StorageCommitmentProvider(Service):
    """Answers requests for storage commitment, and reports what became of them.

    The request is answered at once. `held` is then asked on a thread of its own, and the report goes over the
    requestor's association while that lasts, otherwise over a new one to its address, with the SCP role negotiated;
    retried where the requestor cannot be reached or does not take it.

    Args:
        held: called with the references of a request; see `Held`. Where it raises, all of them have failed (0110H).
        addresses: where requestors take reports, by AE title: a mapping or a function.
        retrieve_ae_title: told to requestors as the AE that the committed instances can be retrieved from.
        same_association: whether the requestor's own association is used while it lasts. One that does not answer a
            report there within the DIMSE time-out loses that association: False for requestors that never look.
        retry_after: seconds before each further attempt over a new association. A peer that answers with a failure is
            asked four times at most.
        give_up_after: seconds from the request on after which no further attempt is begun. Default: what `retry_after`
            says.
        store: where requests are kept until their results are reported; results that an earlier process has left are
            reported from the beginning. Default: nothing outlives the process.
    """

    sop_classes: ClassVar[tuple[str, ...]] = (PUSH_MODEL,)

    def __init__(
        self,
        held: Held,
        addresses: Addresses | None = None,
        *,
        retrieve_ae_title: str | None = None,
        same_association: bool = True,
        retry_after: Sequence[float] = RETRY_AFTER,
        give_up_after: float = math.inf,
        store: CommitmentStore | None = None,
    ) -> None:
        self._held = held
        self._retrieve_ae_title = retrieve_ae_title
        self._same_association = same_association
        self._reporter = Reporter(addresses, retry_after)
        self._lock = threading.Lock()
        #: Transactions that are under way: (AE title, Transaction UID).
        self._open: set[tuple[str, str]] = set()
        self._give_up_after, self._store = give_up_after, store
        if store is not None:
            for left in store.take_left(lambda title: self._reporter.address(title) is not None):
                self._resume(left)

    def _performers(self) -> dict[EventType, Callable[[Event], Any]]:
        return {evt.EVT_N_ACTION: self._request}

    def close(self) -> None:
        """Reports nothing any more. What has not been reported stays in the store."""
        self._reporter.close()

    def _resume(self, request: CommitmentRequest) -> None:
        if self._patience(request) <= 0:
            LOGGER.error("a result for %s is given up, it is too old: %s", request.title, request.transaction_uid)
            self._over(request)
            return
        with self._lock:
            self._open.add((request.title, request.transaction_uid))
        self._send(AE(request.called), request)

    def _patience(self, request: CommitmentRequest) -> float:
        return request.received + self._give_up_after - time.time()

    def _send(self, served: AssociationBase | AE, request: CommitmentRequest) -> None:
        def make() -> Report:
            return self._report(request.transaction_uid, request.references, self._failures(request.references))

        self._reporter.send(
            served,
            request.title,
            make,
            self._same_association,
            lambda taken: self._over(request),
            self._patience(request),
        )

    def _over(self, request: CommitmentRequest) -> None:
        """Its result was taken or given up."""
        if self._store is not None:
            self._store.remove(request)
        with self._lock:
            self._open.discard((request.title, request.transaction_uid))

    def _request(self, event: Event) -> tuple[int, None]:
        request = event.request
        check_instance(request.RequestedSOPClassUID, request.RequestedSOPInstanceUID)
        if event.action_type != REQUEST_COMMITMENT:
            raise Refusal(_NO_SUCH_ACTION, f"there is no action {event.action_type}")
        information = event.action_information
        transaction = str(information.get("TransactionUID") or "")
        if not transaction:
            raise Refusal(INVALID_ARGUMENT, "no Transaction UID (0008,1195)")
        references = references_in(information.get("ReferencedSOPSequence"))
        if not references or not all(all(reference) for reference in references):
            raise Refusal(INVALID_ARGUMENT, "no complete Referenced SOP Sequence (0008,1199)")
        title = event.assoc.requestor.ae_title.strip()
        if self._reporter.is_full(title):
            raise Refusal(RESOURCE_LIMITATION, "too many results wait to be reported")
        key = (title, transaction)
        with self._lock:
            is_duplicate = key in self._open
            self._open.add(key)
        if is_duplicate:
            failures = dict.fromkeys((reference.sop_instance for reference in references), DUPLICATE_TRANSACTION)
            report = self._report(transaction, references, failures)
            event.afterwards(lambda: self._reporter.send(event.assoc, title, lambda: report, self._same_association))
            return 0x0000, None
        called = event.assoc.acceptor.ae_title.strip()
        accepted = CommitmentRequest(title, called, transaction, tuple(references), time.time())
        if self._store is not None:
            try:
                self._store.put(accepted)
            except BaseException:
                with self._lock:
                    self._open.discard(key)
                raise
        event.afterwards(lambda: self._send(event.assoc, accepted))
        return 0x0000, None

    def _report(self, transaction: str, references: Sequence[Reference], failed: Mapping[str, int]) -> Report:
        """`failed` is the Failure Reason by SOP Instance UID."""
        information = Dataset()
        information.TransactionUID = transaction
        if self._retrieve_ae_title:
            information.RetrieveAETitle = self._retrieve_ae_title
        committed = [item_of(reference) for reference in references if reference.sop_instance not in failed]
        if committed:
            information.ReferencedSOPSequence = committed
        if failed:
            information.FailedSOPSequence = [
                item_of(reference, failed[reference.sop_instance])
                for reference in references
                if reference.sop_instance in failed
            ]
        event_type = FAILURES_EXIST if failed else ALL_COMMITTED
        return Report(PUSH_MODEL, INSTANCE, event_type, information, PUSH_MODEL)

    def _failures(self, references: Sequence[Reference]) -> dict[str, int]:
        """Failure Reason by SOP Instance UID."""
        try:
            held = self._held(references)
        except Exception:
            LOGGER.exception("what is held could not be found out: no storage commitment")
            return {reference.sop_instance: PROCESSING_FAILURE for reference in references}
        failed = {}
        for sop_class, sop_instance in references:
            answer = held.get(sop_instance, NO_SUCH_INSTANCE)
            if isinstance(answer, int):
                failed[sop_instance] = answer
            elif str(answer) != sop_class:
                failed[sop_instance] = CLASS_INSTANCE_CONFLICT
        return failed


def check_instance(sop_class: Any, sop_instance: Any) -> None:
    """Raises Refusal where a request or a report is about anything but the well-known instance."""
    if str(sop_class) != PUSH_MODEL:
        raise Refusal(_NO_SUCH_CLASS, "not the Storage Commitment Push Model SOP Class")
    if str(sop_instance) != INSTANCE:
        raise Refusal(NO_SUCH_INSTANCE, "not the well-known Storage Commitment instance")


def references_in(sequence: Any) -> list[Reference]:
    """The items of a Referenced or Failed SOP Sequence."""
    return [
        Reference(str(item.get("ReferencedSOPClassUID") or ""), str(item.get("ReferencedSOPInstanceUID") or ""))
        for item in sequence or ()
    ]


def item_of(reference: Reference, reason: int | None = None) -> Dataset:
    """The item of such a sequence."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = reference
    if reason is not None:
        item.FailureReason = reason
    return item
