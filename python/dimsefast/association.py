"""One association, in either role: its state, its contexts, and the requests that can be sent over it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydicom.dataset import Dataset
from pydicom.uid import UID

from . import _config, _core, evt, requests, services
from ._uids import uid
from .events import EventType, HandlerTable
from .normalized import NormalizedRequests
from .objects import Fitting
from .operation import Iteration
from .presentation import PresentationContext
from .request import ContextTuple
from .sending import StoreResult
from .service_user import ServiceUser, negotiated_context_from
from .waiting import BLOCKING, Waiting, run

if TYPE_CHECKING:
    from .ae import Entity
    from .server import ServerBase
    from .storing import StoreTo

#: The core's numbering of notices.
_NOTICES: tuple[EventType, ...] = (
    evt.EVT_CONN_OPEN,
    evt.EVT_REQUESTED,
    evt.EVT_ACCEPTED,
    evt.EVT_REJECTED,
    evt.EVT_ESTABLISHED,
    evt.EVT_RELEASED,
    evt.EVT_ABORTED,
    evt.EVT_CONN_CLOSE,
)
_NOTICE_BY_NAME = {event.name: event for event in _NOTICES}
_BOUND_ECHO, _BOUND_STORE, _BOUND_NEGOTIATION = 1 << 16, 1 << 17, 1 << 18
_NEGOTIATION = (evt.EVT_ASYNC_OPS, evt.EVT_SOP_COMMON, evt.EVT_SOP_EXTENDED, evt.EVT_USER_ID)


def core_bits(handlers: HandlerTable) -> int:
    """What the core must hand to Python; everything else it settles where it was read."""
    if handlers.is_empty:
        return 0
    bits = sum(1 << at for at, event in enumerate(_NOTICES) if handlers.has(event))
    if bits:
        # The last notice of all: whoever is told of anything is kept until then.
        bits |= 1 << _NOTICES.index(evt.EVT_CONN_CLOSE)
    if handlers.has(evt.EVT_C_ECHO):
        bits |= _BOUND_ECHO
    if handlers.has(evt.EVT_C_STORE):
        bits |= _BOUND_STORE
    if any(handlers.has(event) for event in _NEGOTIATION):
        bits |= _BOUND_NEGOTIATION
    return bits


def core_timeout(value: float | None) -> float | None:
    """A time-out for the core: None and what is too long to matter are no limit."""
    return None if value is None or value > 1e9 else float(value)


class AssociationBase:
    """What an association is in both faces: its state, its contexts, its handlers, its end."""

    _waiting: Waiting

    def __init__(
        self,
        ae: Entity,
        mode: Literal["requestor", "acceptor"],
        handlers: HandlerTable,
        server: ServerBase | None = None,
    ) -> None:
        self.ae = ae
        self.mode = mode
        self.requestor = ServiceUser(self, "requestor")
        self.acceptor = ServiceUser(self, "acceptor")
        self._server = server
        self._handlers = handlers
        self._connection: _core.Connection | None = None
        self._acse_timeout = ae.acse_timeout
        self._network_timeout = ae.network_timeout
        self.dimse_timeout = ae.dimse_timeout
        self.connection_timeout = ae.connection_timeout
        self._contexts_cache: list[PresentationContext] | None = None
        self._usable_cache: dict[tuple[str, str], list[Fitting]] = {}
        self._by_id: dict[int, ContextTuple] = {}
        self._accepted_common: dict[UID, Any] = {}
        self._negotiation: _core.Negotiation | None = None
        #: Why there is no connection: what the network said.
        self.failure: str | None = None
        self._operation = self._waiting.operation_lock()
        self._handler_threads: set[int] = set()
        #: Where the objects go that the peer sends; None for memory.
        self._storing: StoreTo | None = None
        self._told: set[str] = set()
        self._tell_lock = threading.Lock()

    # The core's connection
    # ----------------------------------------------------------------------------------------------

    def _attach(self, connection: _core.Connection) -> None:
        """Takes over a connection whose A-ASSOCIATE-RQ has been sent or received."""
        self._connection = connection
        own, peer = (self.requestor, self.acceptor) if self.is_requestor else (self.acceptor, self.requestor)
        own.address, own.port = connection.local
        peer.address, peer.port = connection.peer
        self._read_negotiation()

    def _read_negotiation(self) -> None:
        """Takes in what has been asked for and answered by now. What it says is read when somebody looks at it."""
        found = self._negotiation
        if self._connection is None or (found is not None and found.is_answered):
            return
        now = self._connection.negotiation
        if now is None:
            return
        if found is None:
            self.requestor.ae_title = now.calling
            if self._server is not None:
                self.acceptor.ae_title = self._server._title_called(now.called)
                self.acceptor.supported_contexts = list(self._server._contexts_for(now.calling))
            elif not self.acceptor.ae_title:
                self.acceptor.ae_title = now.called
        self._negotiation = self.requestor._negotiation = self.acceptor._negotiation = now

    @property
    def _contexts(self) -> list[PresentationContext]:
        if self._contexts_cache is None:
            self._read_negotiation()
            found = self._negotiation
            if found is None or not found.is_answered:
                return []
            self._contexts_cache = [negotiated_context_from(row) for row in found.contexts]
        return self._contexts_cache

    @property
    def _has_usable_context(self) -> bool:
        return self._negotiation is not None and self._negotiation.is_usable

    def _live(self) -> _core.Connection:
        connection = self._connection
        if connection is None or not connection.is_established:
            raise RuntimeError(f"{self._name} is not established: {self._ending() or 'it never was'}")
        return connection

    @property
    def _name(self) -> str:
        peer = self.acceptor if self.is_requestor else self.requestor
        return f"the association with {peer.ae_title.strip() or '?'}@{peer.address}:{peer.port}"

    def _ending(self) -> str:
        if self.failure is not None:
            return self.failure
        end = None if self._connection is None else self._connection.end
        if end is None or end[4].startswith(end[0]):
            return "" if end is None else end[4]
        return " ".join(filter(None, (end[0], end[4])))

    # State
    # --------------------------------------------------------------------------------------------------------------

    @property
    def is_requestor(self) -> bool:
        """Whether this side asked for the association."""
        return self.mode == "requestor"

    @property
    def is_acceptor(self) -> bool:
        """Whether the peer asked for the association."""
        return self.mode == "acceptor"

    def _ended(self, *kinds: str) -> bool:
        end = None if self._connection is None else self._connection.end
        return end is not None and end[0] in kinds

    @property
    def is_established(self) -> bool:
        """Whether requests can be sent now."""
        return self._connection is not None and self._connection.is_established

    @property
    def is_released(self) -> bool:
        """Whether it ended by A-RELEASE."""
        return self._ended("released")

    @property
    def is_rejected(self) -> bool:
        """Whether the acceptor rejected it."""
        return self._ended("rejected")

    @property
    def is_aborted(self) -> bool:
        """Whether it ended by A-ABORT of either side, by loss of the connection or a time-out, or was never made."""
        return self.failure is not None or self._ended("aborted", "aborted by peer")

    def is_alive(self) -> bool:
        """Whether it is not over."""
        return self._connection is not None and not self._connection.is_finished

    @property
    def accepted_contexts(self) -> list[PresentationContext]:
        """The accepted presentation contexts, each with its one transfer syntax."""
        return [context for context in self._contexts if context.result == 0]

    @property
    def rejected_contexts(self) -> list[PresentationContext]:
        """The presentation contexts that were not accepted."""
        return [context for context in self._contexts if context.result != 0]

    @property
    def acse_timeout(self) -> float | None:
        """Seconds to wait for the answer to an association request or release; None for no limit."""
        return self._acse_timeout

    @acse_timeout.setter
    def acse_timeout(self, value: float | None) -> None:
        self._acse_timeout = value
        self._apply_timeouts()

    @property
    def network_timeout(self) -> float | None:
        """Seconds without any traffic after which the association is aborted; None for no limit."""
        return self._network_timeout

    @network_timeout.setter
    def network_timeout(self, value: float | None) -> None:
        self._network_timeout = value
        self._apply_timeouts()

    def _apply_timeouts(self) -> None:
        if self._connection is not None:
            self._connection.set_timeouts(core_timeout(self._acse_timeout), core_timeout(self._network_timeout))

    @property
    def _takes_any_storage(self) -> bool:
        """Whether a context for a class that nobody registered is one for storage."""
        return self.is_acceptor and _config.UNRESTRICTED_STORAGE_SERVICE

    @property
    def _core_dimse_timeout(self) -> float | None:
        return core_timeout(self.dimse_timeout)

    @property
    def _is_over(self) -> bool:
        return self._connection is None or self._connection.end is not None

    @property
    def _invocation_window(self) -> int:
        """How many requests of this side may be in progress at once; 0 for no limit (PS3.7 D.3.3.3)."""
        direction = 0 if self.is_requestor else 1
        proposed = self.requestor.asynchronous_operations[direction]
        granted = self.acceptor.asynchronous_operations[direction]
        # Some peers grant more than was asked for.
        return min(filter(None, (proposed, granted)), default=0)

    # Handlers
    # -----------------------------------------------------------------------------------------------------------

    def bind(self, event: EventType, handler: Callable[..., Any], args: list[Any] | None = None) -> None:
        """Binds a handler to an event of this association."""
        self._handlers.bind(event, handler, args)
        self._handlers_changed()

    def unbind(self, event: EventType, handler: Callable[..., Any]) -> None:
        """Takes a handler out; no error where it is not bound."""
        self._handlers.unbind(event, handler)
        self._handlers_changed()

    def _handlers_changed(self) -> None:
        if self._connection is not None:
            self._connection.watch_notices(core_bits(self._handlers))

    def get_events(self) -> list[EventType]:
        """The events that have a handler."""
        return self._handlers.get_events()

    def get_handlers(self, event: EventType) -> Any:
        """[(handler, args)] of a notification event, (handler, args) of an intervention event."""
        return self._handlers.get_handlers(event)

    def _perform(self, kind: str, message: _core.Message | None) -> None:
        """Does a job of the core, on whatever thread it chose."""
        self._read_negotiation()
        if message is not None:
            thread = threading.get_ident()
            self._handler_threads.add(thread)
            try:
                services.perform(self, message)
            finally:
                self._handler_threads.discard(thread)
        elif kind == "negotiate":
            services.negotiate(self)
        else:
            self._tell(kind)

    def _tell(self, kind: str) -> None:
        """Tells the handlers of a notification event, once an association."""
        with self._tell_lock:
            if kind in self._told:
                return
            self._told.add(kind)
        if kind == "EVT_CONN_CLOSE":
            self.ae._closing.discard(self)
        event = _NOTICE_BY_NAME[kind]
        peer = self.acceptor if self.is_requestor else self.requestor
        self._handlers.notify(self, event, {"address": (peer.address, peer.port)})

    def _run_jobs(self) -> None:
        """Does what the core has left for this thread: notices of a requestor."""
        connection = self._connection if self.is_requestor else None
        while connection is not None and (job := connection.take_job()) is not None:
            kind, message = job
            try:
                self._perform(kind, message)
            finally:
                if message is not None:
                    connection.request_done()

    # Ending
    # -------------------------------------------------------------------------------------------------------------

    async def _release(self) -> None:
        connection = self._connection
        if connection is None or connection.end is not None:
            return
        try:
            if not self._waiting.is_handling(self):
                await self._operation.end_own_stream()
            await self._waiting.release(connection, core_timeout(self._acse_timeout))
        except TimeoutError:
            connection.abort()
        except BaseException:
            connection.abort()
            raise
        self._after_end()
        await self._waiting.tell(self)

    def _after_end(self) -> None:
        """Tells the handlers what there is to tell by now; the rest comes when the connection is closed."""
        if self.is_requestor and core_bits(self._handlers):
            self.ae._closing.add(self)
            if "EVT_CONN_CLOSE" in self._told:
                self.ae._closing.discard(self)

    def _abort(self) -> None:
        if self._connection is not None:
            self._connection.abort()
            self._after_end()

    def __repr__(self) -> str:
        state = "established" if self.is_established else self._ending() or "not established"
        return f"<Association {self.mode}: {self._name[4:]}, {state}>"

    # Contexts
    # -----------------------------------------------------------------------------------------------------------

    def _usable(self, sop_class: str, role: Literal["scu", "scp"] = "scu") -> list[Fitting]:
        """The accepted contexts of a SOP class in which this side has the role.

        Raises ValueError where there is none.
        """
        key = (str(sop_class), role)
        found = self._usable_cache.get(key)
        if found is None:
            self._read_negotiation()
            rows = [] if self._negotiation is None else self._negotiation.usable(key[0])
            found = [
                Fitting(context_id, transfer_syntax)
                for context_id, transfer_syntax, as_scu, as_scp in rows
                if (as_scu if role == "scu" else as_scp)
            ]
            if not found:
                raise ValueError(
                    f"{self._name} has no accepted presentation context for {UID(sop_class).name!r} ({sop_class}) "
                    f"in which this side is the {role.upper()}"
                )
            self._usable_cache[key] = found
        return found

    def _context_tuple(self, context_id: int) -> ContextTuple:
        found = self._by_id.get(context_id)
        if found is None:
            assert self._negotiation is not None
            context = self._negotiation.accepted_context(context_id)
            if context is None:
                raise ValueError(f"{self._name} has no accepted presentation context with the ID {context_id}")
            abstract_syntax, transfer_syntax = context
            found = self._by_id[context_id] = ContextTuple(context_id, uid(abstract_syntax), uid(transfer_syntax))
        return found


class Association(NormalizedRequests, AssociationBase):
    """An association with a peer AE.

    Made by `AE.associate`, `AE.connect`, or by a server for each peer that it accepts. As a context manager it is
    released at the end of the block, and aborted where the block raises.

    Requests may be sent from any thread; one is in progress at a time, the others wait. A request from the thread that
    runs a handler of this very association raises RuntimeError: it could never be answered.
    """

    _waiting = BLOCKING

    def release(self) -> None:
        """Releases the association. Nothing where it is over already; aborted where the peer does not confirm in
        time.
        """
        run(self._release())

    def abort(self, block: bool = True) -> None:
        """Aborts the association at once, from any thread. Nothing where it is over already.

        `block` is there for programs written for pynetdicom: the abort is always on its way when this returns.
        """
        self._abort()
        self._run_jobs()

    def join(self, timeout: float | None = None) -> None:
        """Waits until the transport connection is closed, at most `timeout` seconds."""
        if self._connection is not None:
            try:
                self._connection.wait_closed(timeout)
            except TimeoutError:
                return

    def kill(self) -> None:
        """Ends the association: `abort` under its other name."""
        self.abort()

    def __enter__(self) -> Association:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.release()
        else:
            self.abort()

    def send_c_echo(self, msg_id: int | None = None) -> Dataset:
        """Sends C-ECHO and returns the status, an empty Dataset where no valid answer came.

        `msg_id` is the Message ID, None for the next free one.

        Raises RuntimeError where the association is not established, ValueError without an accepted Verification
        context.
        """
        return run(requests.c_echo(self, msg_id))

    def send_c_store(
        self,
        dataset: Dataset | str | Path | bytes,
        msg_id: int | None = None,
        priority: int = 2,
        originator_aet: str | None = None,
        originator_id: int | None = None,
        decompress: bool = False,
    ) -> Dataset:
        """Sends one object: a Dataset, the path of a DICOM file, or the bytes of one.

        A file whose transfer syntax was accepted is streamed as it is, without being decoded. Between Implicit VR,
        Explicit VR, Big Endian and Deflated it is converted; compressed pixel data is decoded only with `decompress`,
        by pydicom's decoders. Returns the status, an empty Dataset where no valid answer came.

        Raises RuntimeError (not established), AttributeError (no SOP Class UID, SOP Instance UID or transfer syntax),
        ValueError (bad priority, no fitting context, not encodable, no DICOM file), OSError (file).
        """
        return run(requests.c_store(self, dataset, msg_id, priority, originator_aet, originator_id, decompress))

    def store(
        self,
        items: Iterable[Dataset | str | Path | bytes],
        progress: Callable[[StoreResult], object] | None = None,
        priority: int = 2,
        decompress: bool = False,
    ) -> Iterator[StoreResult]:
        """Sends many objects; yields a `StoreResult` for each, in order, without stopping at a failure.

        As many are in progress at once as the asynchronous operations window that was negotiated allows, and the next
        one is read while the one before is on its way. Nothing is sent before the first result is asked for; leaving
        the loop early sends no more.

        Args:
            items: Datasets, paths of DICOM files, or the bytes of such.
            progress: called with each result.
            priority: 0 medium, 1 high, 2 low.
            decompress: whether compressed pixel data may be decoded where the peer does not take it as it is.

        Raises, at the first step: RuntimeError (not established), ValueError (bad priority).
        """
        return Iteration(requests.store_many(self, items, progress, priority, decompress))

    def send_c_find(
        self, dataset: Dataset, query_model: str, msg_id: int | None = None, priority: int = 2
    ) -> Iterator[tuple[Dataset, Dataset | None]]:
        """Sends a query; yields (status, identifier) for each response as it comes, last the final status with None.

        The identifier of a response that is no dataset is None, and logged.

        Leaving the loop early cancels the query. After an abort or time-out the last item is (empty Dataset, None).

        Raises, at the first step: RuntimeError (not established), ValueError (no fitting context, identifier not
        encodable).
        """
        return Iteration(requests.c_find(self, dataset, query_model, msg_id, priority))

    def find(
        self,
        dataset: Dataset | bytes,
        query_model: str,
        raw: bool = False,
        msg_id: int | None = None,
        priority: int = 2,
    ) -> Iterator[tuple[Any, Any]]:
        """As `send_c_find`; with `raw`, identifiers are encoded bytes on the way in and out, and statuses plain
        integers.
        """
        return Iteration(requests.c_find(self, dataset, query_model, msg_id, priority, raw=raw))

    def send_c_move(
        self,
        dataset: Dataset,
        move_aet: str,
        query_model: str,
        msg_id: int | None = None,
        priority: int = 2,
    ) -> Iterator[tuple[Dataset, Dataset | None]]:
        """Asks the peer to send what matches to the AE `move_aet`; yields (status, identifier) for each response.

        Statuses carry the numbers of remaining, completed, failed and warning sub-operations. Otherwise as
        `send_c_find`.
        """
        return Iteration(requests.c_move(self, dataset, move_aet, query_model, msg_id, priority))

    def send_c_get(
        self, dataset: Dataset, query_model: str, msg_id: int | None = None, priority: int = 2
    ) -> Iterator[tuple[Dataset, Dataset | None]]:
        """Asks the peer to send what matches over this association; yields (status, identifier) for each response.

        The objects go to the handler of EVT_C_STORE, or into the folder given as `store_to`; their contexts need the
        SCP role, see `build_role`. Otherwise as `send_c_find`.
        """
        return Iteration(requests.c_get(self, dataset, query_model, msg_id, priority))

    def send_c_cancel(self, msg_id: int, context_id: int | None = None, query_model: str | None = None) -> None:
        """Asks the peer to end the C-FIND, C-MOVE or C-GET with this Message ID.

        Raises ValueError where neither the context nor the query model is given, RuntimeError where not established.
        """
        run(requests.c_cancel(self, msg_id, context_id, query_model))
