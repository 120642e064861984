"""Services that stand on DIMSE-N and do the whole job: Storage Commitment, and the procedure steps MPPS and UPS.

A provider is an object with `contexts` and `handlers` for `AE.start_server`; `Combined` serves several together. The
users' side is `StorageCommitmentUser`, and the functions of the modules `mpps` and `ups`; for asyncio it has the same
names in `dimsefast.aio.workflow`.
"""

from __future__ import annotations

from . import mpps
from . import ups_requests as ups
from .commitment_requests import CommitmentRequest, CommitmentStore, Reference
from .commitment_user import StorageCommitmentUser, Transaction
from .mpps import MppsProvider
from .reporting import Addresses
from .service import Combined, InstanceStore, MemoryStore, Refusal, Service, WorklistStore
from .storage_commitment import (
    CommitmentResult,
    FailedReference,
    StorageCommitmentProvider,
)
from .ups import UpsProvider
from .ups_requests import UpsEvent, UpsWatcher

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
