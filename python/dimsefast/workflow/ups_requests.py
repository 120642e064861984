"""What users of Unified Procedure Steps send: who schedules them, who performs them, who watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NamedTuple

from pydicom.dataset import Dataset

from .. import evt
from ..association import Association
from ..events import Event, EventType
from ..waiting import iterate, run
from . import ups_operations as operations
from .service import Refusal, Service
from .ups import EVENT, PULL
from .ups_subscriptions import GLOBAL

_NO_SUCH_EVENT = 0x0113

# Each raises ValueError without an accepted context, StatusError where the peer refuses, AssociationAborted where no
# answer comes.


def create(association: Association, step: Dataset, sop_instance: str | None = None) -> str:
    """Schedules a step: N-CREATE. Returns its SOP Instance UID, a new one unless it is given.

    It becomes SCHEDULED and, unless it says something else, READY. Raises ValueError, too, for a step without what it
    must have.
    """
    return run(operations.create(association, step, sop_instance))


def find(association: Association, keys: Dataset, sop_class: str = PULL) -> Iterator[Dataset]:
    """Asks for steps: C-FIND. Yields what is returned of each; `sop_class` is UPS Pull, Watch or Query."""
    return iterate(operations.find(association, keys, sop_class))


def get(association: Association, sop_instance: str, tags: list[Any] | None = None) -> Dataset:
    """Attributes of a step, all without `tags`: N-GET."""
    return run(operations.get(association, sop_instance, tags))


def modify(association: Association, sop_instance: str, changes: Dataset) -> None:
    """Modifies a step that nobody has claimed: N-SET."""
    run(operations.modify(association, sop_instance, changes))


class Claim:
    """A step that this side performs: it has the Transaction UID, and nobody else can change it.

    Attributes:
        sop_instance: SOP Instance UID of the step.
        transaction_uid: to be kept by who wants to go on with it after a crash.
    """

    def __init__(self, association: Association, sop_instance: str, transaction_uid: str) -> None:
        self._claim = operations.Claim(association, sop_instance, transaction_uid)
        self.sop_instance = sop_instance
        self.transaction_uid = transaction_uid

    def update(self, changes: Dataset) -> None:
        """Modifies the step: N-SET under the lock."""
        run(self._claim.update(changes))

    def progress(self, percent: float, description: str = "") -> None:
        """Says how far it is, in percent."""
        run(self._claim.progress(percent, description))

    def complete(self, performed: Dataset) -> None:
        """Completes it. `performed` is the item of the Unified Procedure Step Performed Procedure Sequence."""
        run(self._claim.complete(performed))

    def cancel(self, reason: str = "") -> None:
        """Gives it up: it becomes CANCELED."""
        run(self._claim.cancel(reason))


def claim(association: Association, sop_instance: str, transaction_uid: str | None = None) -> Claim:
    """Begins to perform a step: it becomes IN PROGRESS. `transaction_uid` is the lock, by default a new UID."""
    claimed = run(operations.claim(association, sop_instance, transaction_uid))
    return Claim(association, sop_instance, claimed.transaction_uid)


def request_cancel(association: Association, sop_instance: str, reason: str = "") -> None:
    """Asks for a step to be cancelled that somebody else performs, or nobody yet."""
    run(operations.request_cancel(association, sop_instance, reason))


def subscribe(
    association: Association,
    receiving_ae: str,
    sop_instance: str = GLOBAL,
    deletion_lock: bool = False,
    keys: Dataset | None = None,
) -> None:
    """Has an AE told of a step or, by default, of all that there are and will be; of those that match `keys`."""
    run(operations.subscribe(association, receiving_ae, sop_instance, deletion_lock, keys))


def unsubscribe(association: Association, receiving_ae: str, sop_instance: str = GLOBAL) -> None:
    """Takes a subscription back; all of an AE by default."""
    run(operations.unsubscribe(association, receiving_ae, sop_instance))


def suspend(association: Association, receiving_ae: str, sop_instance: str = GLOBAL) -> None:
    """Has an AE not be told of steps to come."""
    run(operations.suspend(association, receiving_ae, sop_instance))


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
        self._call(event, self._on_event, UpsEvent(event.event_type, sop_instance, event.event_information))
        return 0x0000, None
