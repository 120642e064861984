"""What users of Unified Procedure Steps send: who schedules them, who performs them, who watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NamedTuple

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from .. import evt
from ..association import Association
from ..errors import AssociationAborted, StatusError
from ..events import Event, EventType
from ..status import STATUS_PENDING, STATUS_SUCCESS, code_to_category
from . import ups_rules as rules
from .service import Refusal, Service, peer_of, succeeded
from .ups import CHANGE_STATE, EVENT, PULL, PUSH, REQUEST_CANCEL, SUBSCRIBE, SUSPEND, UNSUBSCRIBE, cancellation
from .ups_subscriptions import FILTERED_GLOBAL, GLOBAL

_NO_SUCH_EVENT = 0x0113

# Each raises ValueError without an accepted context, StatusError where the peer refuses, AssociationAborted where no
# answer comes.


def create(association: Association, step: Dataset, sop_instance: str | None = None) -> str:
    """Schedules a step: N-CREATE. Returns its SOP Instance UID, a new one unless it is given.

    It becomes SCHEDULED and, unless it says something else, READY. Raises ValueError, too, for a step without what it
    must have.
    """
    uid = sop_instance or str(generate_uid())
    whole = Dataset()
    whole.ProcedureStepState, whole.InputReadinessState, whole.TransactionUID = rules.SCHEDULED, "READY", ""
    whole.update(step)
    try:
        rules.check_create(whole)
    except Refusal as refusal:
        raise ValueError(f"the step cannot be created: {refusal}") from None
    succeeded(association, "N-CREATE", association.send_n_create(whole, PUSH, uid))
    return uid


def find(association: Association, keys: Dataset, sop_class: str = PULL) -> Iterator[Dataset]:
    """Asks for steps: C-FIND. Yields what is returned of each; `sop_class` is UPS Pull, Watch or Query."""
    for status, identifier in association.send_c_find(keys, sop_class):
        code = status.get("Status")
        if code is None:
            raise AssociationAborted(peer_of(association), 0, 0, "no valid answer to a C-FIND")
        category = code_to_category(code)
        if category == STATUS_PENDING:
            yield Dataset() if identifier is None else identifier
        elif category != STATUS_SUCCESS:
            raise StatusError(peer_of(association), "C-FIND", code, str(status.get("ErrorComment") or ""))


def get(association: Association, sop_instance: str, tags: list[Any] | None = None) -> Dataset:
    """Attributes of a step, all without `tags`: N-GET."""
    return succeeded(association, "N-GET", association.send_n_get(tags, PUSH, sop_instance))


def modify(association: Association, sop_instance: str, changes: Dataset) -> None:
    """Modifies a step that nobody has claimed: N-SET."""
    succeeded(association, "N-SET", association.send_n_set(changes, PUSH, sop_instance))


class Claim:
    """A step that this side performs: it has the Transaction UID, and nobody else can change it.

    Attributes:
        sop_instance: SOP Instance UID of the step.
        transaction_uid: to be kept by who wants to go on with it after a crash.
    """

    def __init__(self, association: Association, sop_instance: str, transaction_uid: str) -> None:
        self._association = association
        self.sop_instance = sop_instance
        self.transaction_uid = transaction_uid

    def update(self, changes: Dataset) -> None:
        """Modifies the step: N-SET under the lock."""
        locked = Dataset()
        locked.update(changes)
        locked.TransactionUID = self.transaction_uid
        modify(self._association, self.sop_instance, locked)

    def progress(self, percent: float, description: str = "") -> None:
        """Says how far it is, in percent."""
        item = Dataset()
        item.ProcedureStepProgress = f"{percent:g}"
        item.ProcedureStepProgressDescription = description
        changes = Dataset()
        changes.ProcedureStepProgressInformationSequence = [item]
        self.update(changes)

    def complete(self, performed: Dataset) -> None:
        """Completes it. `performed` is the item of the Unified Procedure Step Performed Procedure Sequence."""
        item = Dataset()
        item.OutputInformationSequence = []
        item.update(performed)
        changes = Dataset()
        changes.UnifiedProcedureStepPerformedProcedureSequence = [item]
        self.update(changes)
        self._change(rules.COMPLETED)

    def cancel(self, reason: str = "") -> None:
        """Gives it up: it becomes CANCELED."""
        changes = Dataset()
        changes.ProcedureStepProgressInformationSequence = [cancellation(reason)]
        self.update(changes)
        self._change(rules.CANCELED)

    def _change(self, state: str) -> None:
        information = Dataset()
        information.ProcedureStepState, information.TransactionUID = state, self.transaction_uid
        _act(self._association, self.sop_instance, CHANGE_STATE, information)


def claim(association: Association, sop_instance: str, transaction_uid: str | None = None) -> Claim:
    """Begins to perform a step: it becomes IN PROGRESS. `transaction_uid` is the lock, by default a new UID."""
    claimed = Claim(association, sop_instance, transaction_uid or str(generate_uid()))
    claimed._change(rules.IN_PROGRESS)
    return claimed


def request_cancel(association: Association, sop_instance: str, reason: str = "") -> None:
    """Asks for a step to be cancelled that somebody else performs, or nobody yet."""
    information = Dataset()
    if reason:
        information.ReasonForCancellation = reason
    _act(association, sop_instance, REQUEST_CANCEL, information)


def subscribe(
    association: Association,
    receiving_ae: str,
    sop_instance: str = GLOBAL,
    deletion_lock: bool = False,
    keys: Dataset | None = None,
) -> None:
    """Has an AE told of a step or, by default, of all that there are and will be; of those that match `keys`."""
    information = Dataset()
    if keys is not None:
        information.update(keys)
        sop_instance = FILTERED_GLOBAL
    information.ReceivingAE = receiving_ae
    information.DeletionLock = "TRUE" if deletion_lock else "FALSE"
    _act(association, sop_instance, SUBSCRIBE, information)


def unsubscribe(association: Association, receiving_ae: str, sop_instance: str = GLOBAL) -> None:
    """Takes a subscription back; all of an AE by default."""
    _act(association, sop_instance, UNSUBSCRIBE, _receiving(receiving_ae))


def suspend(association: Association, receiving_ae: str, sop_instance: str = GLOBAL) -> None:
    """Has an AE not be told of steps to come."""
    _act(association, sop_instance, SUSPEND, _receiving(receiving_ae))


def _receiving(title: str) -> Dataset:
    information = Dataset()
    information.ReceivingAE = title
    return information


def _act(association: Association, sop_instance: str, action: int, information: Dataset) -> None:
    succeeded(association, "N-ACTION", association.send_n_action(information, action, PUSH, sop_instance))


class UpsEvent(NamedTuple):
    """A report of a step.

    Attributes:
        event_type: 1 state, 2 cancel requested, 3 progress, 4 status of the provider, 5 assigned.
        sop_instance: SOP Instance UID of the step.
        information: what the report says.
    """

    event_type: int
    sop_instance: str
    information: Dataset


class UpsWatcher(Service):
    """Takes the reports of UPS Event: its `contexts` and `handlers` are for the server of the Receiving AE.

    Args:
        on_event: called with each `UpsEvent`, in the order in which the provider sends them.
    """

    sop_classes: ClassVar[tuple[str, ...]] = (EVENT,)
    roles: ClassVar[tuple[bool | None, bool | None]] = (False, True)

    def __init__(self, on_event: Callable[[UpsEvent], object]) -> None:
        self._on_event = on_event

    def _performers(self) -> dict[EventType, Callable[[Event], Any]]:
        return {evt.EVT_N_EVENT_REPORT: self._reported}

    def _reported(self, event: Event) -> tuple[int, None]:
        if not 1 <= event.event_type <= 5:
            raise Refusal(_NO_SUCH_EVENT, f"there is no event {event.event_type}")
        sop_instance = str(event.request.AffectedSOPInstanceUID)
        self._on_event(UpsEvent(event.event_type, sop_instance, event.event_information))
        return 0x0000, None
