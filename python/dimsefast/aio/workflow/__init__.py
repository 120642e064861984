"""The names of `dimsefast.workflow` for asyncio: what users send is awaited.

Providers are those of the blocking face: they serve an `AE` of either. What a user is told with, `on_result` of
`StorageCommitmentUser` and `on_event` of `UpsWatcher`, may be `async def`; it runs on the loop of the association that
the report came over.
"""

from __future__ import annotations

from ...workflow import (
    Addresses,
    Combined,
    CommitmentRequest,
    CommitmentResult,
    CommitmentStore,
    FailedReference,
    InstanceStore,
    MemoryStore,
    MppsProvider,
    Reference,
    Refusal,
    Service,
    StorageCommitmentProvider,
    UpsEvent,
    UpsProvider,
    WorklistStore,
)
from . import mpps, ups
from .reports import StorageCommitmentUser, Transaction, UpsWatcher

__all__ = [
    "Addresses",
    "Combined",
    "CommitmentRequest",
    "CommitmentResult",
    "CommitmentStore",
    "FailedReference",
    "InstanceStore",
    "MemoryStore",
    "MppsProvider",
    "Reference",
    "Refusal",
    "Service",
    "StorageCommitmentProvider",
    "StorageCommitmentUser",
    "Transaction",
    "UpsEvent",
    "UpsProvider",
    "UpsWatcher",
    "WorklistStore",
    "mpps",
    "ups",
]
