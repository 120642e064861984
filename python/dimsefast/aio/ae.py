"""The application entity for asyncio."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from .._arguments import ContextsByCallingAET, Handlers
from ..ae import Entity
from ..presentation import PresentationContext
from ..storing import StoreTarget
from ..tls import TLS
from .association import Association
from .handlers import plain_handlers, plain_target
from .server import AssociationServer
from .waiting import of_running_loop

if TYPE_CHECKING:
    import ssl

    from .._server_options import ServerOptions


class AE(Entity):
    """A DICOM application entity, in either or both roles, for asyncio. Usable as an asynchronous context manager.

    Args:
        ae_title: its own AE title, 1 to 16 ASCII characters; default `dimsefast.ae.DEFAULT_AE_TITLE`.

    Raises ValueError for a title that is none, TypeError for what is no str.
    """

    @overload
    async def start_server(
        self, address: tuple[Any, ...], block: Literal[False], **options: Unpack[ServerOptions]
    ) -> AssociationServer: ...

    @overload
    async def start_server(
        self, address: tuple[Any, ...], block: bool = True, **options: Unpack[ServerOptions]
    ) -> AssociationServer | None: ...

    async def start_server(
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
        """See `dimsefast.AE.start_server`. Handlers, and the callable of `store_to`, may be `async def`.

        With `block` it returns after `AssociationServer.shutdown`, or shuts down where the task is cancelled; without,
        the server.
        """
        waiting = of_running_loop()
        make = functools.partial(AssociationServer, waiting)
        handlers, target = plain_handlers(evt_handlers, waiting.loop), plain_target(store_to, waiting.loop)
        listen = functools.partial(self._listen, make)
        server: AssociationServer = await waiting.apart(
            listen,
            address,
            ssl_context,
            handlers,
            ae_title,
            contexts,
            target,
            contexts_by_calling_aet,
            tls,
            proxy_protocol,
        )
        if not block:
            return server
        await server.serve_until_shutdown()
        return None

    make_server = start_server

    async def associate(
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
        """See `dimsefast.AE.associate`. Handlers, and the callable of `store_to`, may be `async def`."""
        loop = of_running_loop().loop
        handlers, target = plain_handlers(evt_handlers, loop), plain_target(store_to, loop)
        opening = self._associate(
            Association,
            addr,
            port,
            contexts,
            ae_title,
            max_pdu,
            ext_neg,
            bind_address,
            tls_args,
            handlers,
            target,
            tls,
        )
        return (await opening)[0]

    async def connect(self, addr: str | tuple[str, int, int], port: int, **options: Any) -> Association:
        """See `dimsefast.AE.connect`."""
        loop = of_running_loop().loop
        options["evt_handlers"] = plain_handlers(options.get("evt_handlers"), loop)
        options["store_to"] = plain_target(options.get("store_to"), loop)
        return await self._connect(Association, addr, port, **options)

    async def shutdown(self) -> None:
        """Stops all servers and aborts all associations. May be called twice."""
        with self._lock:
            servers = list(self._servers)
        for server in servers:
            await server.shutdown()
        for association in list(self._associations):
            association._abort()

    async def __aenter__(self) -> AE:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.shutdown()
