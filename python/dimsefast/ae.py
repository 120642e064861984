"""The application entity: what it is called, what it proposes and supports, and how it opens and serves
associations.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, overload

from pydicom.uid import UID

from . import _bridge, dump
from ._arguments import (
    ContextsByCallingAET,
    Handlers,
    checked_contexts,
    checked_titles,
    handler_table,
    host_name,
    local_address,
    proxy_networks,
    security,
)
from ._validators import validate_ae_title
from .association import Association
from .association_base import AssociationBase, core_timeout
from .entity_settings import DEFAULT_MAXIMUM_PDU_SIZE as DEFAULT_MAXIMUM_PDU_SIZE
from .entity_settings import MOST_REQUESTED_CONTEXTS, EntitySettings
from .errors import AssociationAborted, AssociationRejected, AssociationTimeout, PeerUnreachable, TLSFailed
from .log import refresh_level
from .presentation import PresentationContext
from .server import AssociationServer, Secured, ServerBase
from .storing import StoreTarget, prepared
from .tls import TLS
from .waiting import run

if TYPE_CHECKING:
    import ssl

    from . import _core
    from ._server_options import ServerOptions

#: The AE title of an `AE()`.
DEFAULT_AE_TITLE = "DIMSEFAST"

Opened = TypeVar("Opened", bound=AssociationBase)
Server = TypeVar("Server", bound=ServerBase)


class Entity(EntitySettings):
    """What an application entity is in both faces: its settings, and how it opens and accepts associations."""

    def __init__(self, ae_title: str = DEFAULT_AE_TITLE) -> None:
        super().__init__(ae_title)
        self._servers: list[Any] = []
        self._associations: weakref.WeakSet[AssociationBase] = weakref.WeakSet()
        #: Ended associations whose handlers have not yet been told of everything.
        self._closing: set[AssociationBase] = set()
        self._lock = threading.Lock()

    # Both roles
    # ----------------------------------------------------------------------------------------------------------

    def _listen(
        self,
        make: Callable[..., Server],
        address: tuple[Any, ...],
        ssl_context: ssl.SSLContext | None,
        evt_handlers: Handlers | None,
        ae_title: str | Sequence[str] | None,
        contexts: list[PresentationContext] | None,
        store_to: StoreTarget | None,
        contexts_by_calling_aet: ContextsByCallingAET | None,
        tls: TLS | None,
        proxy_protocol: bool | Sequence[str],
    ) -> Server:
        """A server that listens: see `ApplicationEntity.start_server`."""
        titles = checked_titles(self._ae_title if ae_title is None else ae_title)
        chosen = self.supported_contexts if contexts is None else contexts
        secured = Secured(ssl_context, *security(tls, ssl_context, server_side=True), proxy_networks(proxy_protocol))
        storing = prepared(store_to)
        refresh_level()
        with self._lock:
            # It listens before it is made: who is quick to connect may also be quick to call `shutdown`.
            server = make(
                self, address, titles, chosen, handler_table(evt_handlers), storing, secured, contexts_by_calling_aet
            )
            self._servers.append(server)
        return server

    def _servers_changed(self, stopped: ServerBase) -> None:
        with self._lock:
            self._servers = [server for server in self._servers if server is not stopped]

    async def _connect(
        self, make: Callable[..., Opened], addr: str | tuple[str, int, int], port: int, **options: Any
    ) -> Opened:
        """See `ApplicationEntity.connect`."""
        association, cause = await self._associate(make, addr, port, **options)
        if association.is_established:
            return association
        peer = f"{association.acceptor.ae_title.strip()}@{association.acceptor.address}:{association.acceptor.port}"
        end = None if association._connection is None else association._connection.end
        if cause is not None:
            if isinstance(cause, TimeoutError):
                raise AssociationTimeout(peer, f"no connection: {cause}") from cause
            raise PeerUnreachable(peer, str(cause)) from cause
        failure = None if association._connection is None else association._connection.security.failure
        if failure is not None:
            raise AssociationTimeout(peer, failure[1]) if failure[0] == "timeout" else TLSFailed(peer, *failure)
        if end is not None and end[0] == "rejected":
            raise AssociationRejected(peer, *end[1:4])
        if end is not None and "timeout" in end[4].replace("-", "").lower():
            raise AssociationTimeout(peer, end[4])
        source, reason, words = (end[2], end[3], end[4]) if end is not None else (0, 0, "")
        raise AssociationAborted(peer, source, reason, association.failure or words)

    async def _associate(
        self,
        make: Callable[..., Opened],
        addr: str | tuple[str, int, int],
        port: int,
        contexts: list[PresentationContext] | None = None,
        ae_title: str = "ANY-SCP",
        max_pdu: int | None = None,
        ext_neg: list[Any] | None = None,
        bind_address: tuple[Any, ...] | None = None,
        tls_args: tuple[ssl.SSLContext, str | None] | None = None,
        evt_handlers: Handlers | None = None,
        store_to: StoreTarget | None = None,
        tls: TLS | None = None,
    ) -> tuple[Opened, OSError | None]:
        """See `ApplicationEntity.associate`; with it what the network said where there is no connection."""
        host = host_name(addr)
        if isinstance(port, bool) or not isinstance(port, int):
            raise TypeError(f"the port is an int, not {type(port).__name__}")
        bind = local_address(bind_address)
        context, server_name = (None, None) if tls_args is None else tls_args
        if server_name is None and getattr(context, "check_hostname", False):
            server_name = host
        secured, bridged = security(tls, context, server_side=False, server_name=server_name)
        called = validate_ae_title(ae_title, "the peer's AE title")
        proposed = self._requested if contexts is None else checked_contexts(contexts, MOST_REQUESTED_CONTEXTS)
        if not proposed:
            raise RuntimeError("an association needs presentation contexts to propose: see add_requested_context()")
        storing = prepared(store_to)
        handlers = handler_table(evt_handlers)
        association = make(self, "requestor", handlers)
        association._storing = storing
        association.acceptor.ae_title = called
        association.requestor.ae_title = self._ae_title
        association.acceptor.address, association.acceptor.port = host, port
        limit = self._maximum_pdu_size if max_pdu is None else max_pdu
        refresh_level()
        try:
            connection = await association._waiting.connect(
                host=host,
                port=port,
                called=called,
                calling=self._ae_title,
                contexts=proposed,
                items=self._items(ext_neg),
                max_pdu=limit if limit >= 0 else DEFAULT_MAXIMUM_PDU_SIZE,
                connect_timeout=core_timeout(self._connection_timeout),
                acse_timeout=core_timeout(self._acse_timeout),
                network_timeout=core_timeout(self._network_timeout),
                network_timeout_response=self._network_timeout_response,
                bind=bind,
                store_to=None if storing is None else storing.plan(self),
                tls=secured,
                bridged=bridged,
                keepalive=core_timeout(self._keep_alive),
                bound=association._bits,
                callback=association_callback(association, context, server_name),
            )
        except OSError as error:
            association.failure = f"{called.strip()}@{host}:{port} cannot be reached: {error}"
            dump.log_unreachable(error)
            return association, error
        association._attach(connection)
        end = connection.end
        if end is not None and end[0] == "aborted" and end[4].startswith("ACSE"):
            dump.log_timeout("ACSE")
        if not association.is_established and (problem := connection.security.failure) is not None:
            association.failure = f"{called.strip()}@{host}:{port}: {problem[1]}"
        if association.is_established and not association._has_usable_context:
            association.failure = "the peer accepted none of the proposed presentation contexts"
            association._abort()
        try:
            await association._waiting.tell(association)
        except BaseException:
            association._abort()
            raise
        self._associations.add(association)
        return association, None

    def _associate_here(self, *arguments: Any, **options: Any) -> Association:
        """See `ApplicationEntity.associate`: the association of a thread, in whichever face."""
        return run(self._associate(Association, *arguments, **options))[0]

    def _items(self, ext_neg: list[Any] | None) -> list[tuple[Any, ...]]:
        items: list[tuple[Any, ...]] = [("implementation_class_uid", str(self._class_uid))]
        if self._version is not None:
            items.append(("implementation_version_name", self._version))
        given = [item._to_item() for item in ext_neg or []]
        if self._operations != (1, 1) and not any(item[0] == "async_ops" for item in given):
            items.append(("async_ops", *self._operations))
        return items + given

    # Everything that is open
    # --------------------------------------------------------------------------------------------

    @property
    def active_associations(self) -> list[Any]:
        """Its associations in either role that are not over."""
        own = [association for association in list(self._associations) if association.is_alive()]
        return own + [association for server in list(self._servers) for association in server.active_associations]

    def __str__(self) -> str:
        def lines(title: str, contexts: list[PresentationContext]) -> list[str]:
            rows = [f"  {title}:"]
            for context in contexts:
                rows.append(f"    {UID(str(context.abstract_syntax)).name}")
                rows.extend(f"      {syntax.name}" for syntax in context.transfer_syntax)
            return rows if contexts else [*rows, "    None"]

        active = self.active_associations
        required = ", ".join(self._require_calling)
        rows = [
            f"Application Entity {self._ae_title}",
            *lines("Requested Presentation Contexts", self._requested),
            *lines("Supported Presentation Contexts", self.supported_contexts),
            f"  ACSE timeout: {self._acse_timeout} s",
            f"  DIMSE timeout: {self._dimse_timeout} s",
            f"  Network timeout: {self._network_timeout} s",
            f"  Connection timeout: {self._connection_timeout} s",
            f"  Require called AE title: {self._require_called}",
            *([f"  Require calling AE title: {required}"] if required else []),
            f"  Associations: {len(active)}/{self._maximum_associations}",
            *(
                f"    Peer: {peer.ae_title} on {peer.address}:{peer.port}"
                for peer in (association.requestor for association in active)
            ),
        ]
        return "\n".join(rows)


class ApplicationEntity(Entity):
    """A DICOM application entity, in either or both roles.

    Args:
        ae_title: its own AE title, 1 to 16 ASCII characters; default `DEFAULT_AE_TITLE`.

    Raises ValueError for a title that is none, TypeError for what is no str.
    """

    @overload
    def start_server(
        self, address: tuple[Any, ...], block: Literal[False], **options: Unpack[ServerOptions]
    ) -> AssociationServer: ...

    @overload
    def start_server(
        self, address: tuple[Any, ...], block: bool = True, **options: Unpack[ServerOptions]
    ) -> AssociationServer | None: ...

    def start_server(
        self,
        address: tuple[Any, ...],
        block: bool = True,
        ssl_context: ssl.SSLContext | None = None,
        evt_handlers: Handlers | None = None,
        ae_title: str | Sequence[str] | None = None,
        contexts: list[PresentationContext] | None = None,
        store_to: StoreTarget | None = None,
        contexts_by_calling_aet: ContextsByCallingAET | None = None,
        tls: TLS | None = None,
        proxy_protocol: bool | Sequence[str] = False,
    ) -> AssociationServer | None:
        """Listens for associations and serves them.

        Args:
            address: (host, port), or (host, port, flowinfo, scope_id) for IPv6; port 0 takes a free one. "" is every
                IPv4 address of the machine, "::" every address, IPv4 and IPv6.
            block: serve until `shutdown` is called from another thread, or Ctrl-C; otherwise return the server.
            ssl_context: TLS by Python's ssl module, for programs that have a context. It costs a Python thread for each
                connection, and every byte passes it under the GIL: `tls` is several times faster.
            evt_handlers: (event, handler) or (event, handler, [arguments]) each.
            ae_title: default the AE's own; with several, peers may call it by any of them.
            contexts: default the AE's supported contexts.
            store_to: a folder in which each received object is written as `<SOP Instance UID>.dcm`, without Python;
                `DISCARD`; a callable that says where; or one of these in detail: see `StoreTo`. A handler of
                EVT_C_STORE, if bound, is told afterwards and gives the status.
            contexts_by_calling_aet: what certain peers are offered in place of `contexts`, by calling AE title; without
                any context they are rejected, as are all others where `contexts` is empty. With it a context that
                refuses the SCU role also refuses who does not negotiate roles.
            tls: TLS by the core.
            proxy_protocol: networks or addresses of load balancers, such as ["10.0.0.0/8"], True for every peer. What
                connects from there must begin with a header of the PROXY protocol (version 1 or 2), within the ACSE
                time-out and in front of TLS; the association's peer is then the one that it names. Others send none.

        Raises ValueError without supported contexts, for a context that refuses both roles, or for TLS that no server
        can use; NotADirectoryError for a `store_to` that is no folder; OSError where the address cannot be bound.
        """
        server = self._listen(
            AssociationServer,
            address,
            ssl_context,
            evt_handlers,
            ae_title,
            contexts,
            store_to,
            contexts_by_calling_aet,
            tls,
            proxy_protocol,
        )
        if not block:
            return server
        # As with pynetdicom, Ctrl-C ends the serving and not the program.
        with suppress(KeyboardInterrupt):
            server.serve_until_shutdown()
        return None

    make_server = start_server

    def associate(
        self,
        addr: str | tuple[str, int, int],
        port: int,
        contexts: list[PresentationContext] | None = None,
        ae_title: str = "ANY-SCP",
        max_pdu: int | None = None,
        ext_neg: list[Any] | None = None,
        bind_address: tuple[Any, ...] | None = None,
        tls_args: tuple[ssl.SSLContext, str | None] | None = None,
        evt_handlers: Handlers | None = None,
        store_to: StoreTarget | None = None,
        tls: TLS | None = None,
    ) -> Association:
        """Opens an association; always returns one: established, rejected or aborted (an unreachable peer is
        "aborted").

        Args:
            addr: host name or address of the peer; (address, flowinfo, scope_id) for IPv6.
            port: its TCP port.
            contexts: presentation contexts to propose, default the AE's requested contexts; not changed.
            ae_title: AE title of the peer.
            max_pdu: maximum length of a P-DATA PDU that is received, in bytes; default the AE's.
            ext_neg: further negotiation items.
            bind_address: local address to bind; the peer's addresses of the other IP version are left out then.
            tls_args: (ssl.SSLContext, server name or None), TLS by Python's ssl module; see `start_server` for what it
                costs.
            evt_handlers: (event, handler) or (event, handler, [arguments]) each.
            store_to: where the objects of C-GET go, as `start_server` takes it.
            tls: TLS by the core. Where the handshake fails, the association is aborted and its `failure` says why.

        Raises TypeError and ValueError for bad arguments, RuntimeError without presentation contexts.
        """
        return self._associate_here(
            addr, port, contexts, ae_title, max_pdu, ext_neg, bind_address, tls_args, evt_handlers, store_to, tls
        )

    def connect(self, addr: str | tuple[str, int, int], port: int, **options: Any) -> Association:
        """As `associate`, but raises where no association comes about.

        Raises AssociationRejected (with result, source and reason), AssociationAborted, AssociationTimeout, TLSFailed,
        or PeerUnreachable.
        """
        return run(self._connect(Association, addr, port, **options))

    def shutdown(self) -> None:
        """Stops all servers and aborts all associations. May be called twice."""
        with self._lock:
            servers = list(self._servers)
        for server in servers:
            server.shutdown()
        for association in list(self._associations):
            association._abort()

    def __enter__(self) -> ApplicationEntity:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()


AE = ApplicationEntity


def association_callback(
    association: AssociationBase, context: ssl.SSLContext | None, server_name: str | None
) -> Callable[[Any, str, Any], None]:
    """What the core calls between a requestor's calls. It must not keep the association alive."""
    reference = weakref.ref(association)

    def perform(connection: _core.Connection, kind: str, argument: Any) -> None:
        if kind == "secure" and context is not None:
            _bridge.start(connection, context, False, server_name)
            return
        found = reference()
        if found is not None:
            if found._connection is None:
                # What is seen, or a request of the peer, may come before this side's own return from connecting.
                found._attach(connection)
            found._perform(kind, argument)

    return perform
