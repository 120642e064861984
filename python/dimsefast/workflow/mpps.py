"""Modality Performed Procedure Step (PS3.4 Annex F): the provider, and what a modality sends it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import generate_uid

from .. import _sop_class_data as data
from .. import evt
from ..association import Association
from ..events import Event, EventType
from ..waiting import run
from . import mpps_operations as operations
from . import mpps_rules as rules
from .mpps_operations import MPPS
from .mpps_rules import COMPLETED, DISCONTINUED, IN_PROGRESS
from .reporting import RETRY_AFTER, Addresses, Report, Reporter
from .service import InstanceStore, MemoryStore, Refusal, Service, merged, selected, tell

MPPS_RETRIEVE = data.PROCEDURE_STEP["ModalityPerformedProcedureStepRetrieve"]
MPPS_NOTIFICATION = data.PROCEDURE_STEP["ModalityPerformedProcedureStepNotification"]

_NO_SUCH_CLASS = 0x0118
#: PS3.4 Table F.9.2-1: Event Type ID by the state that a step has come to.
EVENT_TYPES = {IN_PROGRESS: 1, COMPLETED: 2, DISCONTINUED: 3}


class MppsProvider(Service):
    """Keeps performed procedure steps: N-CREATE and N-SET of MPPS, N-GET of MPPS Retrieve, MPPS Notification.

    Args:
        store: where the steps are; default in memory. It is asked under a lock: one change at a time.
        subscribers: AE titles that are told by N-EVENT-REPORT of a step that was created or came to a final state.
        addresses: where they listen, by AE title: a mapping or a function.
        on_change: called with the SOP Instance UID and the step after each N-CREATE and N-SET that was done, in order.
        retry_after: seconds before each further attempt to tell a subscriber.
    """

    sop_classes: ClassVar[tuple[str, ...]] = (MPPS, MPPS_RETRIEVE)

    def __init__(
        self,
        store: InstanceStore | None = None,
        *,
        subscribers: Iterable[str] = (),
        addresses: Addresses | None = None,
        on_change: Callable[[str, Dataset], object] | None = None,
        retry_after: Sequence[float] = RETRY_AFTER,
    ) -> None:
        self.store: InstanceStore = MemoryStore() if store is None else store
        self._subscribers = tuple(subscribers)
        self._on_change = on_change
        self._reporter = Reporter(addresses, retry_after)
        self._lock = threading.RLock()

    def _performers(self) -> dict[EventType, Callable[[Event], Any]]:
        return {evt.EVT_N_CREATE: self._create, evt.EVT_N_SET: self._set, evt.EVT_N_GET: self._get}

    def close(self) -> None:
        """Tells subscribers nothing any more."""
        self._reporter.close()

    def _create(self, event: Event) -> tuple[Dataset, None]:
        _check_class(event.request.AffectedSOPClassUID, MPPS)
        sop_instance = str(event.request.AffectedSOPInstanceUID or generate_uid())
        step = event.attribute_list
        rules.check_create(step)
        with self._lock:
            if self.store.get(sop_instance) is not None:
                raise Refusal(rules.DUPLICATE_INSTANCE, "this step has been created before")
            self._put(sop_instance, step)
        self._notify(event, sop_instance, step)
        status = Dataset()
        status.Status = 0x0000
        status.AffectedSOPInstanceUID = sop_instance
        return status, None

    def _set(self, event: Event) -> tuple[Dataset, None]:
        _check_class(event.request.RequestedSOPClassUID, MPPS)
        sop_instance = str(event.request.RequestedSOPInstanceUID)
        changes = event.modification_list
        status = Dataset()
        status.Status = 0x0000
        with self._lock:
            step = self._step(sop_instance)
            refused = rules.refused_changes(step, changes)
            for keyword in rules.NEVER_CHANGED:
                changes.pop(keyword, None)
            result = merged(step, changes)
            rules.check_set(step, result)
            self._put(sop_instance, result)
        if refused:
            # PS3.7 C.4.2: done, but for these.
            status.Status = rules.ATTRIBUTE_LIST_ERROR
            status.AttributeIdentifierList = [Tag(keyword) for keyword in refused]
        if result.PerformedProcedureStepStatus != IN_PROGRESS:
            self._notify(event, sop_instance, result)
        return status, None

    def _get(self, event: Event) -> tuple[int, Dataset]:
        _check_class(event.request.RequestedSOPClassUID, MPPS_RETRIEVE, MPPS)
        with self._lock:
            step = self._step(str(event.request.RequestedSOPInstanceUID))
        return selected(step, event.attribute_identifiers)

    def _step(self, sop_instance: str) -> Dataset:
        step = self.store.get(sop_instance)
        if step is None:
            raise Refusal(rules.NO_SUCH_INSTANCE, "there is no such step")
        return step

    def _put(self, sop_instance: str, step: Dataset) -> None:
        self.store.put(sop_instance, step)
        tell(self._on_change, sop_instance, step)

    def _notify(self, event: Event, sop_instance: str, step: Dataset) -> None:
        """Has the subscribers told of the state that a step has come to."""
        event_type = EVENT_TYPES[str(step.PerformedProcedureStepStatus)]
        report = Report(MPPS_NOTIFICATION, sop_instance, event_type, None, MPPS_NOTIFICATION)
        for title in self._subscribers:
            self._reporter.send(event.assoc, title, lambda: report)


def _check_class(given: Any, *known: str) -> None:
    if str(given) not in known:
        raise Refusal(_NO_SUCH_CLASS, f"this is no class for it: {given}")


# What a modality sends
# ----------------------------------------------------------------------------------------------------------


def create(association: Association, step: Dataset, sop_instance: str | None = None) -> str:
    """Begins a performed procedure step: N-CREATE. Returns its SOP Instance UID, a new one unless it is given.

    Attributes that may be empty are filled in. Raises ValueError for a step without what it must have, StatusError
    where the peer refuses it, AssociationAborted where no answer comes.
    """
    return run(operations.create(association, step, sop_instance))


def update(association: Association, sop_instance: str, changes: Dataset) -> None:
    """Modifies a step that is in progress: N-SET. Raises as `create` does."""
    run(operations.update(association, sop_instance, changes))


def complete(association: Association, sop_instance: str, changes: Dataset) -> None:
    """Completes a step. `changes` have its end date and time, and the series that were made. Raises as `create` does.

    `performed_series` makes the sequence of these series.
    """
    run(operations.complete(association, sop_instance, changes))


def discontinue(association: Association, sop_instance: str, changes: Dataset) -> None:
    """Discontinues a step, as `complete`; its Discontinuation Reason Code Sequence may be in `changes`."""
    run(operations.discontinue(association, sop_instance, changes))


def performed_series(instances: Iterable[Dataset]) -> list[Dataset]:
    """The value of Performed Series Sequence (0040,0340) for instances that were made: Datasets with their headers."""
    series: dict[str, Dataset] = {}
    for instance in instances:
        item = series.get(str(instance.SeriesInstanceUID))
        if item is None:
            item = series[str(instance.SeriesInstanceUID)] = Dataset()
            item.SeriesInstanceUID = instance.SeriesInstanceUID
            item.ProtocolName = instance.get("ProtocolName") or "UNKNOWN"
            for keyword in ("SeriesDescription", "PerformingPhysicianName", "OperatorsName", "RetrieveAETitle"):
                setattr(item, keyword, instance.get(keyword, ""))
            item.ReferencedImageSequence = []
            item.ReferencedNonImageCompositeSOPInstanceSequence = []
        reference = Dataset()
        reference.ReferencedSOPClassUID = instance.SOPClassUID
        reference.ReferencedSOPInstanceUID = instance.SOPInstanceUID
        is_image = "Rows" in instance or "PixelData" in instance
        kind = "ReferencedImageSequence" if is_image else "ReferencedNonImageCompositeSOPInstanceSequence"
        getattr(item, kind).append(reference)
    return list(series.values())
