"""Unified Procedure Step (PS3.4 Annex CC): the provider of a worklist that also knows what became of it."""

from __future__ import annotations

import contextlib
import functools
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from .. import _sop_class_data as data
from .. import evt
from ..errors import MatchError
from ..events import Event, EventType
from ..matching import Matcher
from . import ups_rules as rules
from .reporting import RETRY_AFTER, Addresses, Report, Reporter
from .service import MemoryStore, Refusal, Service, WorklistStore, merged, selected, tell
from .ups_rules import CANCELED, COMPLETED, IN_PROGRESS
from .ups_subscriptions import FILTERED_GLOBAL, GLOBAL, Subscriptions

if TYPE_CHECKING:
    from ..ae import Entity

_CLASSES = data.UNIFIED_PROCEDURE_STEP
PUSH, WATCH = _CLASSES["UnifiedProcedureStepPush"], _CLASSES["UnifiedProcedureStepWatch"]
PULL, QUERY = _CLASSES["UnifiedProcedureStepPull"], _CLASSES["UnifiedProcedureStepQuery"]
EVENT = _CLASSES["UnifiedProcedureStepEvent"]

CHANGE_STATE, REQUEST_CANCEL, SUBSCRIBE, UNSUBSCRIBE, SUSPEND = 1, 2, 3, 4, 5
STATE_REPORT, CANCEL_REQUESTED, PROGRESS_REPORT, STATUS_CHANGE, ASSIGNED = 1, 2, 3, 4, 5
#: SCP Status (0074,1242).
Status = Literal["RESTARTED", "GOING DOWN"]

_NO_SUCH_CLASS, _INVALID_ARGUMENT, _NO_SUCH_ACTION, _CLASS_NOT_SUPPORTED = 0x0118, 0x0115, 0x0123, 0x0122
_TRANSACTION_UID = 0x00081195
_PENDING = 0xFF00

#: What a report has of the step or of the request, by Event Type ID (PS3.4 Table CC.2.4-1).
_REPORTED = {
    STATE_REPORT: ("ProcedureStepState", "InputReadinessState"),
    CANCEL_REQUESTED: (
        "ReasonForCancellation",
        "ProcedureStepDiscontinuationReasonCodeSequence",
        "ContactURI",
        "ContactDisplayName",
    ),
    PROGRESS_REPORT: ("ProcedureStepProgressInformationSequence",),
    ASSIGNED: ("ScheduledStationNameCodeSequence", "ScheduledHumanPerformersSequence"),
}
#: DCM 110513: discontinued for unspecified reason (PS3.16 CID 9300).
_UNSPECIFIED = ("110513", "DCM", "Discontinued for unspecified reason")


class UpsProvider(Service):
    """Keeps Unified Procedure Steps: UPS Push, Pull, Watch and Query, and sends UPS Event reports to subscribers.

    Who claims a step (N-ACTION to IN PROGRESS) chooses its Transaction UID, which no one else is ever told, and which
    every change until its end has to name.

    Args:
        store: where the steps are; default in memory. It is asked under a lock: one change at a time.
        addresses: where receivers of reports listen, by AE title: a mapping or a function. Without it there are no
            subscriptions (C315H). They are kept in memory.
        fallback: AE titles that are told of a change of the provider's own status, subscribed or not: see `announce`.
        on_cancel_request: asked when somebody who does not perform a step wants it cancelled while it is in progress,
            with its SOP Instance UID and the request's Action Information: False refuses (C313H). Default: its
            subscribers are told, and without any it is refused (C312H).
        on_change: called with the SOP Instance UID and the step after each change, in order.
        retry_after: seconds before each further attempt to send a report.
    """

    sop_classes: ClassVar[tuple[str, ...]] = (PUSH, WATCH, PULL, QUERY)

    def __init__(
        self,
        store: WorklistStore | None = None,
        *,
        addresses: Addresses | None = None,
        fallback: Iterable[str] = (),
        on_cancel_request: Callable[[str, Dataset], bool] | None = None,
        on_change: Callable[[str, Dataset], object] | None = None,
        retry_after: Sequence[float] = RETRY_AFTER,
    ) -> None:
        self.store: WorklistStore = MemoryStore() if store is None else store
        self.subscriptions = Subscriptions()
        self._keeps_steps = store is not None
        self._fallback = frozenset(fallback)
        self._reports = addresses is not None
        self._reporter = Reporter(addresses, retry_after)
        self._on_cancel_request = on_cancel_request
        self._on_change = on_change
        self._lock = threading.RLock()

    def _performers(self) -> dict[EventType, Callable[[Event], Any]]:
        return {
            evt.EVT_N_CREATE: self._create,
            evt.EVT_N_SET: self._set,
            evt.EVT_N_GET: self._get,
            evt.EVT_N_ACTION: self._action,
            evt.EVT_C_FIND: self._find,
        }

    def close(self) -> None:
        """Sends no report any more."""
        self._reporter.close()

    def announce(self, ae: Entity, status: Status = "RESTARTED", timeout: float = 0.0) -> set[str]:
        """Tells the fallback list and all subscribers that the provider was started again, or is going down.

        PS3.4 CC.2.4.3 asks for it after each start. Subscriptions begin anew then ("COLD START"), and so do the steps
        unless a store was given ("WARM START").

        Args:
            ae: who reports, under its AE title: that of the server.
            status: what has happened, or will.
            timeout: seconds to wait for those who are told; reports that they have not taken by then go on.

        Returns the AE titles that have taken it by then.
        """
        information = Dataset()
        information.SCPStatus, information.SubscriptionListStatus = status, "COLD START"
        information.UnifiedProcedureStepListStatus = "WARM START" if self._keeps_steps else "COLD START"
        report = Report(PUSH, GLOBAL, STATUS_CHANGE, information, EVENT)
        titles = self._fallback | self.subscriptions.everybody()
        results: queue.SimpleQueue[str | None] = queue.SimpleQueue()

        def done(title: str, taken: bool) -> None:
            results.put(title if taken else None)

        for title in titles:
            self._reporter.send(ae, title, lambda: report, done=functools.partial(done, title))
        deadline, told = time.monotonic() + timeout, set()
        with contextlib.suppress(queue.Empty):
            for _ in titles:
                told.add(results.get(timeout=max(0.0, deadline - time.monotonic())))
        return {title for title in told if title is not None}

    def remove(self, sop_instance: str) -> None:
        """Removes a step that has come to its end, and the subscriptions to it.

        Raises KeyError where there is none; ValueError where it has not come to its end, and where an AE needs it to be
        kept (its deletion lock, PS3.4 CC.2.1.3).
        """
        with self._lock:
            state = _state(self.store.get(sop_instance))
            if state is None:
                raise KeyError(sop_instance)
            if state not in (COMPLETED, CANCELED):
                raise ValueError(f"the step {sop_instance} is {state}: only finished ones are removed")
            if locks := self.subscriptions.deletion_locks(sop_instance):
                raise ValueError(f"the step {sop_instance} is kept for {', '.join(locks)} (deletion lock)")
            self.store.remove(sop_instance)
            self.subscriptions.forget(sop_instance)

    # What is asked for
    # --------------------------------------------------------------------------------------------------------------

    def _create(self, event: Event) -> tuple[Dataset, None]:
        _check_class(event.request.AffectedSOPClassUID)
        sop_instance = str(event.request.AffectedSOPInstanceUID or generate_uid())
        step = merged(Dataset(), event.attribute_list)
        rules.check_create(step)
        step.SOPClassUID, step.SOPInstanceUID, step.TransactionUID = PUSH, sop_instance, ""
        with self._lock:
            _done(rules.cell("create", None, _state(self.store.get(sop_instance))))
            self._put(step)
        for title, matcher, deletion_lock in self.subscriptions.waiting_for():
            if matcher is None or matcher.matches(step):
                self.subscriptions.subscribe(sop_instance, title, deletion_lock)
        self._report(event, step, STATE_REPORT, step)
        if any(step.get(keyword) for keyword in _REPORTED[ASSIGNED]):
            self._report(event, step, ASSIGNED, step)
        status = Dataset()
        status.Status, status.AffectedSOPInstanceUID = 0x0000, sop_instance
        return status, None

    def _set(self, event: Event) -> tuple[int, None]:
        _check_class(event.request.RequestedSOPClassUID)
        changes = event.modification_list
        given = str(changes.get("TransactionUID") or "")
        for keyword in rules.NEVER_SET:
            if keyword in changes:
                raise Refusal(rules.INVALID_VALUE, f"{keyword} is not changed by N-SET")
        with self._lock:
            step, state = self._step(event)
            _done(rules.cell("set", bool(given) and (state != IN_PROGRESS or given == step.TransactionUID), state))
            result = merged(step, changes)
            result.TransactionUID = step.TransactionUID
            self._put(result)
        if "InputReadinessState" in changes:
            self._report(event, result, STATE_REPORT, result)
        for event_type in (PROGRESS_REPORT, ASSIGNED):
            if any(keyword in changes for keyword in _REPORTED[event_type]):
                self._report(event, result, event_type, result)
        return 0x0000, None

    def _get(self, event: Event) -> tuple[int, Dataset]:
        _check_class(event.request.RequestedSOPClassUID)
        with self._lock:
            step, state = self._step(event)
        if state is None:
            raise rules.refuse(rules.NO_SUCH_UPS)
        # PS3.4 CC.2.7.3: the Transaction UID is the lock, and stays with who has it.
        return selected(step, event.attribute_identifiers, hidden=[_TRANSACTION_UID])

    def _find(self, event: Event) -> Iterator[tuple[Any, Dataset | None]]:
        if str(event.context.abstract_syntax) == PUSH:
            yield Refusal(_CLASS_NOT_SUPPORTED, "UPS Push has no queries").status, None
            return
        identifier = event.identifier
        identifier.pop(_TRANSACTION_UID, None)
        try:
            matcher = Matcher(identifier, str(event.context.abstract_syntax))
        except MatchError as error:
            yield error.as_status(), None
            return
        for step in self.store:
            if event.is_cancelled:
                yield 0xFE00, None
                return
            if matcher.matches(step):
                yield _PENDING, matcher.response(step)

    def _action(self, event: Event) -> tuple[int, None]:
        _check_class(event.request.RequestedSOPClassUID)
        actions = {
            CHANGE_STATE: self._change_state,
            REQUEST_CANCEL: self._request_cancel,
            SUBSCRIBE: self._subscribe,
            UNSUBSCRIBE: self._unsubscribe,
            SUSPEND: self._suspend,
        }
        action = actions.get(event.action_type)
        if action is None:
            raise Refusal(_NO_SUCH_ACTION, f"there is no action {event.action_type}")
        return action(event, event.action_information), None

    # The states
    # --------------------------------------------------------------------------------------------------------------

    def _change_state(self, event: Event, information: Dataset) -> int:
        wanted = str(information.get("ProcedureStepState") or "")
        given = str(information.get("TransactionUID") or "")
        if wanted not in rules.STATES:
            raise Refusal(_INVALID_ARGUMENT, f"no Procedure Step State: {wanted!r}")
        with self._lock:
            step, state = self._step(event)
            is_right = bool(given) and (state == rules.SCHEDULED or given == step.get("TransactionUID"))
            came = rules.cell(wanted, is_right, state)
            warning = _done(came)
            if warning:
                return warning
            if wanted in (COMPLETED, CANCELED) and not rules.is_ready_for(wanted, step):
                raise rules.refuse(rules.FINAL_STATE_NOT_MET)
            result = self._in_state(step, wanted, given)
        self._report(event, result, STATE_REPORT, result)
        return 0x0000

    def _request_cancel(self, event: Event, information: Dataset) -> int:
        with self._lock:
            step, state = self._step(event)
            came = rules.cell("request cancel", None, state)
            warning = _done(came)
            if warning:
                return warning
            passed: list[Dataset] = []
            if came == CANCELED:
                # PS3.4 CC.2.2.3: nobody performs it yet: it goes by way of IN PROGRESS.
                begun = self._in_state(step, IN_PROGRESS, str(generate_uid()))
                ended = self._in_state(_with_reason(begun, information), CANCELED, begun.TransactionUID)
                passed = [begun, ended]
        sop_instance = str(event.request.RequestedSOPInstanceUID)
        if passed:
            for state_passed in passed:
                self._report(event, state_passed, STATE_REPORT, state_passed)
            return 0x0000
        if self._on_cancel_request is not None and not self._on_cancel_request(sop_instance, information):
            raise rules.refuse(rules.NOT_TO_BE_CANCELLED)
        if self._on_cancel_request is None and not self.subscriptions.of(sop_instance):
            raise rules.refuse(rules.PERFORMER_UNREACHABLE)
        self._report(event, step, CANCEL_REQUESTED, information, event.assoc.requestor.ae_title.strip())
        return 0x0000

    def _step(self, event: Event) -> tuple[Dataset, str | None]:
        """The step of a request and its state; (empty, None) where there is none."""
        step = self.store.get(str(event.request.RequestedSOPInstanceUID))
        return (Dataset() if step is None else step), _state(step)

    def _in_state(self, step: Dataset, state: str, transaction_uid: str) -> Dataset:
        """Puts a step into a state, and gives it."""
        changes = Dataset()
        changes.ProcedureStepState, changes.TransactionUID = state, transaction_uid
        result = merged(step, changes)
        self._put(result)
        return result

    def _put(self, step: Dataset) -> None:
        step.ScheduledProcedureStepModificationDateTime = f"{datetime.now():%Y%m%d%H%M%S.%f}"
        self.store.put(str(step.SOPInstanceUID), step)
        tell(self._on_change, str(step.SOPInstanceUID), step)

    # Who is told
    # --------------------------------------------------------------------------------------------------------------

    def _receiver(self, information: Dataset) -> str:
        if not self._reports:
            raise rules.refuse(rules.NO_EVENT_REPORTS)
        title = str(information.get("ReceivingAE") or "").strip()
        if not title:
            raise Refusal(_INVALID_ARGUMENT, "no Receiving AE (0074,1234)")
        if self._reporter.address(title) is None:
            raise rules.refuse(rules.UNKNOWN_RECEIVER)
        return title

    def _subscribe(self, event: Event, information: Dataset) -> int:
        title = self._receiver(information)
        sop_instance = str(event.request.RequestedSOPInstanceUID)
        deletion_lock = information.get("DeletionLock") == "TRUE"
        if sop_instance in (GLOBAL, FILTERED_GLOBAL):
            matcher = None
            if sop_instance == FILTERED_GLOBAL:
                keys = Dataset()
                keys.update({tag: information[tag] for tag in information.keys()})  # noqa: SIM118 - a Dataset
                for keyword in ("ReceivingAE", "DeletionLock"):
                    keys.pop(keyword, None)
                matcher = Matcher(keys, WATCH)
            self.subscriptions.subscribe_to_all(title, deletion_lock, matcher)
            with self._lock:
                steps = [step for step in self.store if matcher is None or matcher.matches(step)]
            # PS3.4 Table CC.2.3-2: a subscription to a step stays as it is, and only with a lock is the state told.
            steps = [step for step in steps if title not in self.subscriptions.of(str(step.SOPInstanceUID))]
            is_told = deletion_lock
        else:
            with self._lock:
                step, state = self._step(event)
            if state is None:
                raise rules.refuse(rules.NO_SUCH_UPS)
            steps, is_told = [step], True
        for step in steps:
            self.subscriptions.subscribe(str(step.SOPInstanceUID), title, deletion_lock)
            if is_told:
                self._report(event, step, STATE_REPORT, step, receivers=[title])
        return 0x0000

    def _unsubscribe(self, event: Event, information: Dataset) -> int:
        title = self._receiver(information)
        sop_instance = str(event.request.RequestedSOPInstanceUID)
        if sop_instance in (GLOBAL, FILTERED_GLOBAL):
            self.subscriptions.unsubscribe_from_all(title)
            return 0x0000
        with self._lock:
            _, state = self._step(event)
        if state is None:
            raise rules.refuse(rules.NO_SUCH_UPS)
        self.subscriptions.unsubscribe(sop_instance, title)
        return 0x0000

    def _suspend(self, event: Event, information: Dataset) -> int:
        title = self._receiver(information)
        if str(event.request.RequestedSOPInstanceUID) not in (GLOBAL, FILTERED_GLOBAL):
            raise rules.refuse(rules.ACTION_NOT_APPROPRIATE)
        self.subscriptions.suspend(title)
        return 0x0000

    def _report(
        self,
        event: Event,
        step: Dataset,
        event_type: int,
        source: Dataset,
        requesting: str | None = None,
        receivers: Sequence[str] | None = None,
    ) -> None:
        """Has subscribers told, once the request has been answered."""
        information = Dataset()
        for keyword in _REPORTED[event_type]:
            if keyword in source:
                information[keyword] = source[keyword]
        if requesting is not None:
            information.RequestingAE = requesting
        if event_type == STATE_REPORT and step.ProcedureStepState == CANCELED:
            for item in step.get("ProcedureStepProgressInformationSequence") or ():
                for keyword in ("ReasonForCancellation", "ProcedureStepDiscontinuationReasonCodeSequence"):
                    if keyword in item:
                        information[keyword] = item[keyword]
        if event_type == ASSIGNED:
            # PS3.4 Table CC.2.4-1 has these of the performer by themselves.
            for item in (step.get("ScheduledHumanPerformersSequence") or [])[:1]:
                for keyword in ("HumanPerformerCodeSequence", "HumanPerformerOrganization"):
                    if keyword in item:
                        information[keyword] = item[keyword]
        sop_instance = str(step.SOPInstanceUID)
        report = Report(PUSH, sop_instance, event_type, information, EVENT)
        for title in self.subscriptions.of(sop_instance) if receivers is None else receivers:
            event.afterwards(functools.partial(self._reporter.send, event.assoc, title, lambda: report))


def _check_class(given: Any) -> None:
    """PS3.4 CC.3.1: requests name the Push class; who names the one that was negotiated means the same."""
    if str(given) not in _CLASSES.values():
        raise Refusal(_NO_SUCH_CLASS, f"this is no class for it: {given}")


def _state(step: Dataset | None) -> str | None:
    return None if step is None else str(step.ProcedureStepState)


def _done(came: rules.Cell) -> int:
    """The warning in a cell of the table, 0 for none. Raises Refusal for a failure."""
    if not isinstance(came, int):
        return 0x0000
    if came in (rules.IS_CANCELED, rules.IS_COMPLETED):
        return came
    raise rules.refuse(came)


def _with_reason(step: Dataset, information: Dataset) -> Dataset:
    """A step that nobody has begun, with what CANCELED needs (PS3.4 CC.2.2.3)."""
    item = cancellation(str(information.get("ReasonForCancellation") or ""))
    if information.get("ProcedureStepDiscontinuationReasonCodeSequence"):
        item["ProcedureStepDiscontinuationReasonCodeSequence"] = information[
            "ProcedureStepDiscontinuationReasonCodeSequence"
        ]
    changes = Dataset()
    changes.ProcedureStepProgressInformationSequence = [item]
    return merged(step, changes)


def cancellation(reason: str) -> Dataset:
    """The item of the Procedure Step Progress Information Sequence that CANCELED needs: now, for no coded reason."""
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = _UNSPECIFIED
    item = Dataset()
    item.ProcedureStepCancellationDateTime = f"{datetime.now():%Y%m%d%H%M%S}"
    item.ProcedureStepDiscontinuationReasonCodeSequence = [code]
    if reason:
        item.ReasonForCancellation = reason
    return item
