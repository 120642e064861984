"""What an association is in either face: its state, its contexts, its handlers, its end."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from pydicom.uid import UID

from . import _config, _core, services
from ._arguments import NetworkTimeoutResponse, checked_timeout_response
from ._uids import OTHER_UPS, UPS_PUSH, uid
from .events import EventType, HandlerTable
from .notices import ANY_NOTICE, NOTICE_BY_NAME, OBSERVE, core_bits
from .objects import Fitting
from .observing import Observer
from .presentation import PresentationContext
from .request import ContextTuple
from .service_user import ServiceUser, negotiated_context_from
from .tls import TLSSession
from .waiting import Waiting

if TYPE_CHECKING:
    from .ae import Entity
    from .server import ServerBase
    from .storing import StoreTo

LOGGER = logging.getLogger("dimsefast.association")


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
        self._network_timeout_response: NetworkTimeoutResponse = ae.network_timeout_response
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
        self._observer = Observer()
        self._bits = core_bits(handlers)
        self._telling_threads: set[int] = set()

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
    def local(self) -> dict[str, Any]:
        """Address, port, AE title and mode of this side."""
        return (self.requestor if self.is_requestor else self.acceptor).info

    @property
    def remote(self) -> dict[str, Any]:
        """The same of the other side."""
        return (self.acceptor if self.is_requestor else self.requestor).info

    @property
    def tls(self) -> TLSSession | None:
        """What the TLS handshake agreed on; None for plain TCP."""
        found = None if self._connection is None else self._connection.security.negotiated
        if found is None:
            return None
        version, cipher_suite, certificates, server_name = found
        return TLSSession(version, cipher_suite, tuple(certificates), server_name)

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
        """Seconds without any traffic after which the association is ended; None for no limit."""
        return self._network_timeout

    @network_timeout.setter
    def network_timeout(self, value: float | None) -> None:
        self._network_timeout = value
        self._apply_timeouts()

    @property
    def network_timeout_response(self) -> NetworkTimeoutResponse:
        """How it is ended then: "A-ABORT", "A-P-ABORT" or "A-RELEASE"; see `AE.network_timeout_response`."""
        return self._network_timeout_response

    @network_timeout_response.setter
    def network_timeout_response(self, value: NetworkTimeoutResponse) -> None:
        self._network_timeout_response = checked_timeout_response(value)
        self._apply_timeouts()

    def _apply_timeouts(self) -> None:
        if self._connection is not None:
            self._connection.set_timeouts(
                core_timeout(self._acse_timeout), core_timeout(self._network_timeout), self._network_timeout_response
            )

    @property
    def _takes_any_storage(self) -> bool:
        """Whether a context for a class that nobody registered is one for storage."""
        return _config.UNRESTRICTED_STORAGE_SERVICE

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
        self._bits = core_bits(self._handlers)
        if self._connection is not None:
            self._connection.watch_notices(self._bits)

    def get_events(self) -> list[EventType]:
        """The events that have a handler."""
        return self._handlers.get_events()

    def get_handlers(self, event: EventType) -> Any:
        """[(handler, args)] of a notification event, (handler, args) of an intervention event."""
        return self._handlers.get_handlers(event)

    def _perform(self, kind: str, argument: Any) -> None:
        """Does a job of the core, on whatever thread it chose."""
        self._read_negotiation()
        thread = threading.get_ident()
        if kind == "request":
            self._handler_threads.add(thread)
            try:
                services.perform(self, argument)
            finally:
                self._handler_threads.discard(thread)
        elif kind == "negotiate":
            services.negotiate(self)
        else:
            self._telling_threads.add(thread)
            try:
                if argument is None:
                    self._tell(kind)
                else:
                    self._observer.take(self, kind, argument)
            finally:
                self._telling_threads.discard(thread)

    def _tell(self, kind: str) -> None:
        """Tells the handlers of a notification event, once an association."""
        with self._tell_lock:
            if kind in self._told:
                return
            self._told.add(kind)
        if kind == "EVT_CONN_CLOSE":
            self.ae._closing.discard(self)
        event = NOTICE_BY_NAME[kind]
        peer = self.acceptor if self.is_requestor else self.requestor
        self._handlers.notify(self, event, {"address": (peer.address, peer.port)})

    def _run_jobs(self) -> None:
        """Does what the core has left for this thread: notices of a requestor. Where somebody looks on, others do that.
        Waits until they have, too.
        """
        connection = self._connection
        if connection is None:
            return
        if self._bits & OBSERVE:
            self._wait_told(connection)
        if not self.is_requestor:
            return
        while (job := connection.take_job()) is not None:
            kind, argument = job
            try:
                self._perform(kind, argument)
            finally:
                if kind == "request":
                    connection.request_done()
        if self._bits & ANY_NOTICE:
            # The watch may have been quicker.
            self._wait_told(connection)

    def _wait_told(self, connection: _core.Connection) -> None:
        """Waits until handlers have been told of everything so far; not within one of them."""
        if threading.get_ident() not in self._telling_threads:
            with contextlib.suppress(TimeoutError):
                connection.wait_told(core_timeout(self._acse_timeout))

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
        if self.is_requestor and self._bits:
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
            if not rows and key[0] == UPS_PUSH and self._negotiation is not None:
                # PS3.4 CC.3.1: an instance is of the Push class, whichever of the classes was negotiated.
                LOGGER.debug(
                    "No exact matching context found for '%s', checking accepted contexts for other UPS SOP classes",
                    UID(key[0]).name,
                )
                rows = [row for other in OTHER_UPS for row in self._negotiation.usable(other)]
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
