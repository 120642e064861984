"""The keywords of `AE.start_server` beside `address` and `block`, for its overloads in both faces."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import TypedDict

from ._arguments import ContextsByCallingAET, Handlers
from .presentation import PresentationContext
from .storing import StoreTarget
from .tls import TLS


class ServerOptions(TypedDict, total=False):
    """See `AE.start_server`."""

    ssl_context: ssl.SSLContext | None
    evt_handlers: Handlers | None
    ae_title: str | Sequence[str] | None
    contexts: list[PresentationContext] | None
    store_to: StoreTarget | None
    contexts_by_calling_aet: ContextsByCallingAET | None
    tls: TLS | None
    proxy_protocol: bool | Sequence[str]
