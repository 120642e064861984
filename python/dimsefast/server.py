"""A running acceptor: its address, its associations, its handlers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _bridge, _config, _core, statistics
from ._arguments import ContextsByCallingAET, checked_offers, listening_address
from .association import Association
from .association_base import AssociationBase, core_timeout
from .events import EventType, HandlerTable
from .notices import core_bits
from .presentation import PresentationContext
from .quota import core_quota

if TYPE_CHECKING:
    import ssl

    from .ae import Entity
    from .storing import StoreTo


#: How long `shutdown` waits for handlers that are still running, in seconds.
SHUTDOWN_LIMIT = 5.0
#: How long it then waits for the core's log records to be handled, in seconds.
LOG_LIMIT = 1.0


#: (abstract syntax, transfer syntaxes, SCU role, SCP role)
_Context = tuple[str, list[str], bool | None, bool | None]


class Settings(NamedTuple):
    """What the core needs to know of an acceptor. The names are those of `ApplicationEntity`."""

    ae_titles: list[str]
    require_called: bool
    require_calling: list[str]
    contexts: list[_Context]
    #: What is offered to some calling AEs in place of `contexts`, and to whom: AE title to index.
    offers: list[list[_Context]]
    contexts_by_calling: dict[str, int] | None
    prefer_own_syntaxes: bool
    unrestricted_storage: bool
    maximum_associations: int
    maximum_per_calling: int | None
    quota_per_calling: tuple[int | None, float | None, float | None] | None
    quota_per_address: tuple[int | None, float | None, float | None] | None
    maximum_pdu_size: int
    acse_timeout: float | None
    network_timeout: float | None
    network_timeout_response: str
    asynchronous_operations: tuple[int, int]
    implementation_class_uid: str
    implementation_version_name: str | None
    store_to: _core.StorePlan | None
    tls: _core.Tls | None
    bridged: bool
    proxies: list[str] | None
    keepalive: float | None
    bound: int


class Secured(NamedTuple):
    """What is between a server's sockets and its associations."""

    ssl_context: ssl.SSLContext | None
    tls: _core.Tls | None
    bridged: bool
    proxies: list[str] | None


class AddressInformation(NamedTuple):
    """Where a server listens."""

    address: str
    port: int
    flowinfo: int = 0
    scope_id: int = 0

    @property
    def is_ipv6(self) -> bool:
        """Whether it is an IPv6 address."""
        return ":" in self.address

    @property
    def is_ipv4(self) -> bool:
        """Whether it is an IPv4 address."""
        return not self.is_ipv6

    @property
    def as_tuple(self) -> tuple[str, int] | tuple[str, int, int, int]:
        """As the socket module takes it."""
        if self.is_ipv6:
            return (self.address, self.port, self.flowinfo, self.scope_id)
        return (self.address, self.port)


class ListeningSocket:
    """What programs use a server's socket for, which is the core's."""

    def __init__(self, server: AssociationServer) -> None:
        self._server = server

    def getsockname(self) -> tuple[str, int] | tuple[str, int, int, int]:
        """Where it listens."""
        return self._server.address_info.as_tuple

    def close(self) -> None:
        """Shuts the server down."""
        self._server.shutdown()


class ServerBase:
    """What a running acceptor is in both faces: its settings, its associations, its handlers."""

    _association_type: type[AssociationBase] = Association

    def __init__(
        self,
        ae: Entity,
        address: tuple[Any, ...],
        ae_titles: Sequence[str],
        contexts: Sequence[PresentationContext],
        handlers: HandlerTable,
        storing: StoreTo | None,
        secured: Secured,
        contexts_by_calling_aet: ContextsByCallingAET | None = None,
    ) -> None:
        self.ae = ae
        self.ae_titles = list(ae_titles)
        self.contexts, self.contexts_by_calling_aet = checked_offers(contexts, contexts_by_calling_aet)
        self._secured = secured
        self._handlers = handlers
        self._storing = storing
        self._associations: dict[int, AssociationBase] = {}
        self._lock = threading.Lock()
        self._core = _core.Server(*listening_address(address), self._settings(), self._perform)
        self.address_info = AddressInformation(*self._core.address, *address[2:])

    @property
    def ssl_context(self) -> ssl.SSLContext | None:
        """The context that it was started with."""
        return self._secured.ssl_context

    @property
    def address(self) -> tuple[str, int]:
        """(host, port) that is bound: with port 0 asked for, the port that was given."""
        return self._core.address

    server_address = address

    @property
    def port(self) -> int:
        """The port that is bound."""
        return self._core.address[1]

    @property
    def ae_title(self) -> str:
        """Its AE title, the first where it has several."""
        return self.ae_titles[0]

    def _title_called(self, called: str) -> str:
        """Its own AE title that a peer has called, or else the first."""
        return next((title for title in self.ae_titles if title.strip() == called.strip()), self.ae_title)

    def _contexts_for(self, calling: str) -> list[PresentationContext]:
        """What it offers to a peer."""
        return (self.contexts_by_calling_aet or {}).get(calling.strip(), self.contexts)

    def offer(
        self,
        contexts: Sequence[PresentationContext],
        contexts_by_calling_aet: ContextsByCallingAET | None = None,
    ) -> None:
        """Changes what later associations are offered; the arguments are those of `AE.start_server`."""
        self.contexts, self.contexts_by_calling_aet = checked_offers(contexts, contexts_by_calling_aet)
        self._refresh()

    def statistics(self) -> dict[str, Any]:
        """What it has done since it was started.

        `{"connections": int, "associations": {"open", "accepted", "rejected", "released", "aborted": int},
        "operations": {name: {...}}}`. The last one for each kind of request that there was ("C-STORE"): `count` of
        requests that are over, `bytes` of their datasets (received, sent in responses and in sub-operations), `seconds`
        from the request to its final response, `pending` responses (matches of a C-FIND), `sub_operations` (objects
        sent for a C-GET or C-MOVE), `unanswered` requests, `statuses` {final status: count}.
        """
        return statistics.as_dict(*self._core.statistics())

    def metrics(self, labels: Mapping[str, str] | None = None) -> str:
        """The same in Prometheus' text format, with these labels on each sample."""
        return statistics.prometheus_text(statistics.server_metrics(self.statistics()), labels)

    def _settings(self) -> Settings:
        ae = self.ae
        version = ae.implementation_version_name
        store_to = None if self._storing is None else self._storing.plan(ae)
        if store_to is None and _config.STORE_RECV_CHUNKED_DATASET:
            store_to = _core.StorePlan.temporary(str(ae.implementation_class_uid), version or "")
        # Many peers are offered the same: it is handed over once.
        by_calling = self.contexts_by_calling_aet
        offers = {id(contexts): contexts for contexts in (by_calling or {}).values()}
        index = {number: at for at, number in enumerate(offers)}
        return Settings(
            ae_titles=self.ae_titles,
            require_called=ae.require_called_aet,
            require_calling=ae.require_calling_aet,
            contexts=_core_contexts(self.contexts),
            offers=[_core_contexts(contexts) for contexts in offers.values()],
            contexts_by_calling=None
            if by_calling is None
            else {title: index[id(offer)] for title, offer in by_calling.items()},
            prefer_own_syntaxes=ae.prefer_own_transfer_syntaxes,
            unrestricted_storage=_config.UNRESTRICTED_STORAGE_SERVICE,
            maximum_associations=ae.maximum_associations,
            maximum_per_calling=ae.maximum_associations_per_calling_aet,
            quota_per_calling=core_quota(ae.quota_per_calling_aet),
            quota_per_address=core_quota(ae.quota_per_address),
            maximum_pdu_size=ae.maximum_pdu_size,
            acse_timeout=core_timeout(ae.acse_timeout),
            network_timeout=core_timeout(ae.network_timeout),
            network_timeout_response=ae.network_timeout_response,
            asynchronous_operations=ae.asynchronous_operations,
            implementation_class_uid=str(ae.implementation_class_uid),
            implementation_version_name=version,
            store_to=store_to,
            tls=self._secured.tls,
            bridged=self._secured.bridged,
            proxies=self._secured.proxies,
            keepalive=core_timeout(ae.keep_alive),
            bound=core_bits(self._handlers),
        )

    def _refresh(self) -> None:
        """Later associations get what the AE says now."""
        self._core.configure(self._settings())

    def _perform(self, connection: _core.Connection, kind: str, argument: Any) -> None:
        """Called by the core, on a thread of its own, for whatever needs Python."""
        if kind == "secure":
            if self.ssl_context is not None:
                _bridge.start(connection, self.ssl_context, True, None)
            return
        self._association(connection)._perform(kind, argument)

    def _association(self, connection: _core.Connection) -> AssociationBase:
        with self._lock:
            association = self._associations.get(connection.id)
            if association is None:
                association = self._association_type(self.ae, "acceptor", self._handlers.copy(), server=self)
                association._storing = self._storing
                association._attach(connection)
                self._associations[connection.id] = association
                if len(self._associations) > 16 + 2 * self.ae.maximum_associations:
                    self._prune()
            return association

    def _prune(self) -> None:
        live = {connection.id for connection in self._core.connections()}
        for number in [number for number in self._associations if number not in live]:
            del self._associations[number]

    @property
    def active_associations(self) -> list[Any]:
        """The associations that are not over, or whose handlers still run; oldest first."""
        active = [
            self._association(connection)
            for connection in self._core.connections()
            if connection.negotiation is not None
        ]
        with self._lock:
            self._prune()
        return active

    def _shutdown(self, grace: float, idle: float | None) -> None:
        self._core.shutdown(float(grace), idle, SHUTDOWN_LIMIT)
        self.ae._servers_changed(self)
        # Who looks at the log now finds in it what has happened.
        _core.flush_log(LOG_LIMIT)

    def bind(self, event: EventType, handler: Callable[..., Any], args: list[Any] | None = None) -> None:
        """Binds a handler, for the associations there are and those to come."""
        self._handlers.bind(event, handler, args)
        self._refresh()
        for association in self.active_associations:
            association.bind(event, handler, args)

    def unbind(self, event: EventType, handler: Callable[..., Any]) -> None:
        """Takes a handler out; no error where it is not bound."""
        self._handlers.unbind(event, handler)
        self._refresh()
        for association in self.active_associations:
            association.unbind(event, handler)

    def get_events(self) -> list[EventType]:
        """The events that have a handler."""
        return self._handlers.get_events()

    def get_handlers(self, event: EventType) -> Any:
        """[(handler, args)] of a notification event, (handler, args) of an intervention event."""
        return self._handlers.get_handlers(event)


class AssociationServer(ServerBase):
    """What `AE.start_server` returns: listens and serves until `shutdown`.

    Usable as a context manager that shuts down at its end.
    """

    def __init__(self, *arguments: Any) -> None:
        self._stopped = threading.Event()
        super().__init__(*arguments)

    @property
    def socket(self) -> ListeningSocket:
        """Stands for the listening socket."""
        return ListeningSocket(self)

    def serve_until_shutdown(self) -> None:
        """Returns after `shutdown` was called from another thread; Ctrl-C shuts down and is raised."""
        try:
            # A signal that comes just before the wait would not end it: CPython looks for signals between its steps.
            while not self._stopped.wait(1.0):
                pass
        finally:
            self.shutdown()

    def shutdown(self, grace: float = 0.0, idle: float | None = None) -> None:
        """Stops listening, and ends the associations: those that are not over after `grace` seconds are aborted.

        Those on which nothing happens for `idle` seconds are aborted even earlier.

        May be called twice. The port can be bound again at once.
        """
        self._shutdown(grace, idle)
        self._stopped.set()

    server_close = shutdown

    def __enter__(self) -> AssociationServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()


def _core_contexts(contexts: Sequence[PresentationContext]) -> list[_Context]:
    return [
        (str(cx.abstract_syntax), [str(syntax) for syntax in cx.transfer_syntax], cx.scu_role, cx.scp_role)
        for cx in contexts
    ]


#: pynetdicom's name of a server that does not block.
ThreadedAssociationServer = AssociationServer
