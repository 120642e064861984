"""What users of Unified Procedure Steps send: `dimsefast.workflow.ups`, awaited; `find` is used with `async for`."""

from __future__ import annotations

from ...workflow.ups_operations import (
    Claim,
    claim,
    create,
    find,
    get,
    modify,
    request_cancel,
    subscribe,
    suspend,
    unsubscribe,
)

__all__ = [
    "Claim",
    "claim",
    "create",
    "find",
    "get",
    "modify",
    "request_cancel",
    "subscribe",
    "suspend",
    "unsubscribe",
]
