"""What the providers of this package have in common: their contexts and handlers, refusals, and where instances are."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Protocol, Self

from pydicom.dataset import Dataset

from .. import normalized
from ..association_base import AssociationBase
from ..errors import AssociationAborted, StatusError
from ..events import Event, EventType
from ..presentation import PresentationContext, build_context
from ..status import STATUS_SUCCESS, STATUS_WARNING, code_to_category

LOGGER = logging.getLogger("dimsefast.workflow")

#: (event, handler)
BoundHandler = tuple[EventType, Callable[[Event], Any]]


class Refusal(Exception):
    """A request that is answered with a failure.

    Args:
        status: the status code.
        comment: the Error Comment, at most 64 characters of it.
        error_id: the Error ID.
    """

    def __init__(self, status: int, comment: str, error_id: int | None = None) -> None:
        super().__init__(comment)
        self.status = Dataset()
        self.status.Status = status
        self.status.ErrorComment = comment[:64]
        if error_id is not None:
            self.status.ErrorID = error_id


class HandlerSet(Protocol):
    """What `start_server` needs of a service."""

    @property
    def contexts(self) -> list[PresentationContext]:
        """For `start_server(contexts=...)`."""
        ...

    @property
    def handlers(self) -> Sequence[tuple[Any, ...]]:
        """For `start_server(evt_handlers=...)`."""
        ...


class Service:
    """One service that an AE gives: pass `contexts` and `handlers` to `start_server`, alone or `Combined` with others.

    As a context manager it is closed at the end of the block.
    """

    #: The SOP classes of its presentation contexts.
    sop_classes: ClassVar[tuple[str, ...]] = ()
    #: Roles that a requestor may have: (SCU, SCP); None leaves them at their default.
    roles: ClassVar[tuple[bool | None, bool | None]] = (None, None)

    @property
    def contexts(self) -> list[PresentationContext]:
        """Presentation contexts, new ones each time: for `start_server(contexts=...)`."""
        made = [build_context(uid) for uid in self.sop_classes]
        for context in made:
            context.scu_role, context.scp_role = self.roles
        return made

    @property
    def handlers(self) -> list[BoundHandler]:
        """For `start_server(evt_handlers=...)`."""
        return [(event, _guarded(performer)) for event, performer in self._performers().items()]

    def _performers(self) -> dict[EventType, Callable[[Event], Any]]:
        """What answers each event. It may raise `Refusal`."""
        raise NotImplementedError

    def _call(self, event: Event, function: Callable[[Any], object], argument: object) -> None:
        """Tells who made the service of something that came with an event."""
        function(argument)

    def close(self) -> None:
        """Stops what it does by itself. Nothing here."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _guarded(performer: Callable[[Event], Any]) -> Callable[[Event], Any]:
    def handler(event: Event) -> Any:
        try:
            return performer(event)
        except Refusal as refusal:
            LOGGER.info("%s of %s refused: %s", event.event.name, peer_of(event.assoc), refusal)
            return refusal.status, None

    return handler


class Combined:
    """Several services of one AE: each event goes to the service whose presentation context the request came over.

    What has `contexts` and `handlers` can be combined. As a context manager it closes each `Service` at the end.

    Raises ValueError where two have the same abstract syntax.
    """

    def __init__(self, *services: HandlerSet) -> None:
        self._services = services
        self._by_class: dict[str, int] = {}
        for number, service in enumerate(services):
            for context in service.contexts:
                uid = str(context.abstract_syntax)
                if self._by_class.setdefault(uid, number) != number:
                    raise ValueError(f"two of the services are for {uid}: they cannot be told apart")

    @property
    def contexts(self) -> list[PresentationContext]:
        """Those of all."""
        return [context for service in self._services for context in service.contexts]

    @property
    def handlers(self) -> list[tuple[Any, ...]]:
        """For `start_server(evt_handlers=...)`."""
        told: list[tuple[Any, ...]] = []
        answering: dict[EventType, dict[int, tuple[Any, ...]]] = {}
        for number, service in enumerate(self._services):
            for bound in service.handlers:
                if bound[0].is_notification:
                    told.append(bound)
                else:
                    answering.setdefault(bound[0], {})[number] = bound
        return [*told, *((event, self._dispatcher(event, bound)) for event, bound in answering.items())]

    def close(self) -> None:
        """Closes each `Service`."""
        for service in self._services:
            if isinstance(service, Service):
                service.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _dispatcher(self, event: EventType, bound: dict[int, tuple[Any, ...]]) -> Callable[[Event], Any]:
        def handler(happened: Event) -> Any:
            if "context" in happened.__dict__:
                uid = str(happened.context.abstract_syntax)
                found = bound.get(self._by_class.get(uid, -1))
                if found is None:
                    raise NotImplementedError(f"no service has a handler of {event.name} for {uid}")
            else:
                # Negotiation: as with `bind`, the last one answers.
                found = bound[max(bound)]
            _, handle, *args = found
            return handle(happened, *(args[0] if args and args[0] else ()))

        return handler


class InstanceStore(Protocol):
    """Where a provider keeps its instances: an archive has one of its own."""

    def get(self, sop_instance: str) -> Dataset | None:
        """The instance; None where there is none. What is returned is not changed by the provider."""
        ...

    def put(self, sop_instance: str, dataset: Dataset) -> None:
        """Keeps a new instance, or a new state of one."""
        ...


class WorklistStore(InstanceStore, Protocol):
    """The same for instances that are asked for by queries."""

    def __iter__(self) -> Iterator[Dataset]:
        """All instances."""
        ...

    def remove(self, sop_instance: str) -> None:
        """Keeps an instance no more."""
        ...


class MemoryStore:
    """Instances in memory."""

    def __init__(self) -> None:
        self._instances: dict[str, Dataset] = {}
        self._lock = threading.Lock()

    def get(self, sop_instance: str) -> Dataset | None:
        """The instance; None where there is none."""
        with self._lock:
            return self._instances.get(sop_instance)

    def put(self, sop_instance: str, dataset: Dataset) -> None:
        """Keeps a new instance, or a new state of one."""
        with self._lock:
            self._instances[sop_instance] = dataset

    def remove(self, sop_instance: str) -> None:
        """Keeps an instance no more. Raises KeyError where there is none."""
        with self._lock:
            del self._instances[sop_instance]

    def __iter__(self) -> Iterator[Dataset]:
        with self._lock:
            return iter(list(self._instances.values()))

    def __len__(self) -> int:
        return len(self._instances)


def peer_of(association: AssociationBase) -> str:
    """The peer as errors name it: "AET@host:port"."""
    peer = association.acceptor if association.is_requestor else association.requestor
    return f"{peer.ae_title.strip()}@{peer.address}:{peer.port}"


async def asked(
    association: AssociationBase,
    service: normalized.Service,
    sop_class: str,
    sop_instance: str,
    dataset: Dataset | None = None,
    type_id: int | None = None,
    attributes: list[Any] | None = None,
) -> Dataset:
    """Sends a DIMSE-N request; the dataset of its response of success or warning, empty where it has none.

    Raises ValueError without an accepted context, StatusError for another status, AssociationAborted where no answer
    came.
    """
    request = normalized.prepare(
        association, service, sop_class, sop_instance, None, dataset, type_id=type_id, attributes=attributes
    )
    status, answer = await normalized.send(association, request, None)
    peer = peer_of(association)
    if "Status" not in status:
        raise AssociationAborted(peer, 0, 0, f"no valid answer to an {service.name}")
    code = int(status.Status)
    if code_to_category(code) not in (STATUS_SUCCESS, STATUS_WARNING):
        raise StatusError(peer, service.name, code, str(status.get("ErrorComment") or ""))
    return Dataset() if answer is None else answer


def tell(on_change: Callable[[str, Dataset], object] | None, sop_instance: str, dataset: Dataset) -> None:
    """Tells of a change that has been made. What is raised is logged: the change stays."""
    if on_change is not None:
        try:
            on_change(sop_instance, dataset)
        except Exception:
            LOGGER.exception("on_change failed for %s", sop_instance)


def merged(stored: Dataset, changes: Dataset) -> Dataset:
    """A copy of an instance with the attributes that changed, whatever the character sets of both are."""
    result = Dataset()
    for source in (stored, changes):
        # From here on text is text: the two may have been encoded in different ways.
        source.decode()
        for element in source:
            if element.keyword != "SpecificCharacterSet":
                result[element.tag] = element
    sets = [source.get("SpecificCharacterSet") or "" for source in (stored, changes)]
    if not all(sets) or sets[0] == sets[1]:
        # What names no character set is ASCII, which is in all of them.
        if any(sets):
            result.SpecificCharacterSet = sets[0] or sets[1]
    else:
        result.SpecificCharacterSet = "ISO_IR 192"
    return result


def selected(stored: Dataset, tags: Sequence[int], hidden: Sequence[int] = ()) -> tuple[int, Dataset]:
    """The attributes that an N-GET asks for, all where it names none: (status, dataset).

    The status is 0001H where some are not there (PS3.7 C.4: requested optional attributes are not supported).
    """
    wanted = [int(tag) for tag in tags] or list(stored.keys())
    found = Dataset()
    for tag in (0x00080005, *wanted):
        if tag in stored and tag not in hidden:
            found[tag] = stored[tag]
    return (0x0000 if all(tag in found for tag in tags) else 0x0001), found
