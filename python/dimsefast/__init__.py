"""DICOM networking: associations and DIMSE services on a Rust core.

The names are pynetdicom's where it has the thing; what is beyond it stands beside them.
"""

from __future__ import annotations

import atexit
import importlib
import os
from typing import TYPE_CHECKING, Any

from . import _bridge, _config, _core, evt, presentation, query, sop_class
from .ae import AE
from .association import Association
from .errors import (
    AssociationAborted,
    AssociationError,
    AssociationRejected,
    AssociationTimeout,
    DimsefastError,
    MatchError,
    PeerUnreachable,
    ReceiverError,
    ServiceNotSupported,
    StatusError,
    TLSFailed,
)
from .log import debug_logger
from .matching import Condition, Matcher
from .presentation import (
    ALL_TRANSFER_SYNTAXES,
    DEFAULT_TRANSFER_SYNTAXES,
    IMPLEMENTATION_UID,
    IMPLEMENTATION_VERSION,
    PYNETDICOM_IMPLEMENTATION_UID,
    PYNETDICOM_IMPLEMENTATION_VERSION,
    build_context,
    build_role,
)
from .quota import Quota
from .sending import StoreResult
from .sop_class import register_uid
from .storing import DISCARD, StoreTo, safe_name
from .tls import TLS, TLSSession

if TYPE_CHECKING:
    from .archive import Archive
    from .client import Client, Failure, Peer, Progress, Received, Receiver, Report, RetrieveReport, StoreReport

__version__ = "0.1.0"

__all__ = [
    "AE",
    "ALL_TRANSFER_SYNTAXES",
    "DEFAULT_TRANSFER_SYNTAXES",
    "DISCARD",
    "IMPLEMENTATION_UID",
    "IMPLEMENTATION_VERSION",
    "PYNETDICOM_IMPLEMENTATION_UID",
    "PYNETDICOM_IMPLEMENTATION_VERSION",
    "TLS",
    "Archive",
    "Association",
    "AssociationAborted",
    "AssociationError",
    "AssociationRejected",
    "AssociationTimeout",
    "Client",
    "Condition",
    "DimsefastError",
    "Failure",
    "MatchError",
    "Matcher",
    "Peer",
    "PeerUnreachable",
    "Progress",
    "Quota",
    "Received",
    "Receiver",
    "ReceiverError",
    "Report",
    "RetrieveReport",
    "ServiceNotSupported",
    "StatusError",
    "StoreReport",
    "StoreResult",
    "StoreTo",
    "TLSFailed",
    "TLSSession",
    "__version__",
    "_config",
    "build_context",
    "build_role",
    "debug_logger",
    "evt",
    "query",
    "register_uid",
    "safe_name",
    "sop_class",
]

#: Modules, and names of the client, that are imported when they are asked for: who needs none of them starts sooner.
_MODULES = frozenset({"aio", "client"})
_OF_CLIENT = frozenset(
    {"Client", "Failure", "Peer", "Progress", "Received", "Receiver", "Report", "RetrieveReport", "StoreReport"}
)

#: Seconds that the end of the interpreter may take for aborting associations and stopping threads.
_EXIT_LIMIT = 2.0

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_core.forget_parent)
# The last registered is the first to run: the bridges have what the core sent when they are waited for.
atexit.register(_bridge.finish, _EXIT_LIMIT / 2)
atexit.register(_core.stop, _EXIT_LIMIT)


def __getattr__(name: str) -> Any:
    # SQLAlchemy takes a tenth of a second to import.
    if name == "Archive":
        from .archive import Archive

        return Archive
    # The ready-made lists of presentation contexts are built when they are asked for.
    if name in presentation.PREBUILT_LISTS:
        return getattr(presentation, name)
    if name in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    if name in _OF_CLIENT:
        return getattr(importlib.import_module(".client", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES, *presentation.PREBUILT_LISTS})
