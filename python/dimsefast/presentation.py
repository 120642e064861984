"""Presentation contexts: what an association is negotiated for, and ready-made lists of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from pydicom.uid import UID

from . import _config
from . import _sop_class_data as data
from ._uids import uid as _made
from .negotiation import SCP_SCU_RoleSelectionNegotiation

LOGGER = logging.getLogger("dimsefast.presentation")

#: Implementation Class UID of this library.
IMPLEMENTATION_UID = UID("2.25.276453879081352460132417098243210597113")
#: Implementation version name, at most 16 characters.
IMPLEMENTATION_VERSION = "DIMSEFAST_010"
PYNETDICOM_IMPLEMENTATION_UID = IMPLEMENTATION_UID
PYNETDICOM_IMPLEMENTATION_VERSION = IMPLEMENTATION_VERSION

#: The transfer syntaxes of a context that names none, in the order in which they are proposed.
DEFAULT_TRANSFER_SYNTAXES = [
    UID("1.2.840.10008.1.2"),
    UID("1.2.840.10008.1.2.1"),
    UID("1.2.840.10008.1.2.1.99"),
    UID("1.2.840.10008.1.2.2"),
]
#: Those, and the encapsulated ones.
ALL_TRANSFER_SYNTAXES = [
    *DEFAULT_TRANSFER_SYNTAXES,
    *(
        UID(f"1.2.840.10008.1.2.{number}")
        for number in [
            "4.50",
            "4.51",
            "4.57",
            "4.70",
            "4.80",
            "4.81",
            "4.90",
            "4.91",
            "4.92",
            "4.93",
            "4.94",
            "4.95",
            "4.100",
            "4.100.1",
            "4.101",
            "4.101.1",
            "4.102",
            "4.102.1",
            "4.103",
            "4.103.1",
            "4.104",
            "4.104.1",
            "4.105",
            "4.105.1",
            "4.106",
            "4.106.1",
            "4.107",
            "4.108",
            "4.110",
            "4.111",
            "4.112",
            "4.201",
            "4.202",
            "4.203",
            "4.204",
            "4.205",
            "5",
            "7.1",
            "7.2",
            "7.3",
            "8.1",
        ]
    ),
]

_STATUS = {
    None: "Pending",
    0x00: "Accepted",
    0x01: "User Rejected",
    0x02: "Provider Rejected",
    0x03: "Abstract Syntax Not Supported",
    0x04: "Transfer Syntax(es) Not Supported",
}


class PresentationContextTuple(NamedTuple):
    """A presentation context in short."""

    context_id: int | None
    abstract_syntax: UID | None
    transfer_syntax: UID


class PresentationContext:
    """An abstract syntax, the transfer syntaxes proposed or supported for it, and what came of the negotiation."""

    def __init__(self) -> None:
        self._context_id: int | None = None
        self._abstract_syntax: UID | None = None
        self._transfer_syntax: list[UID] = []
        self._scu_role: bool | None = None
        self._scp_role: bool | None = None
        self._as_scu: bool | None = None
        self._as_scp: bool | None = None
        #: The result code of PS3.8 Table 9-18; None before negotiation.
        self.result: int | None = None

    @property
    def context_id(self) -> int | None:
        """Its ID: odd, 1 to 255; None before it has one. Setting another raises ValueError."""
        return self._context_id

    @context_id.setter
    def context_id(self, value: int | None) -> None:
        if value is not None and (not 1 <= value <= 255 or value % 2 == 0):
            raise ValueError(f"a presentation context ID is odd and 1 to 255, not {value}")
        self._context_id = value

    @property
    def abstract_syntax(self) -> UID | Any:
        """What it is for; None before it is set. Set as str, bytes or UID; anything else raises TypeError."""
        # Ready-made contexts have one: Any spares their users a test for None.
        return self._abstract_syntax

    @abstract_syntax.setter
    def abstract_syntax(self, value: str | bytes | UID) -> None:
        uid = _uid(value, "an abstract syntax")
        if uid and not uid.is_valid:
            words = f"Invalid 'abstract_syntax' value '{uid}' - UID is non-conformant"
            if _config.ENFORCE_UID_CONFORMANCE:
                raise ValueError(words)
            LOGGER.warning(words)
        self._abstract_syntax = uid

    @property
    def transfer_syntax(self) -> list[UID]:
        """The transfer syntaxes, no duplicates. Set as a list; items that are no UID are dropped."""
        return self._transfer_syntax

    @transfer_syntax.setter
    def transfer_syntax(self, values: list[Any]) -> None:
        if not isinstance(values, list):
            raise TypeError(f"transfer syntaxes are a list, not {type(values).__name__}")
        self._transfer_syntax = []
        for value in values:
            self.add_transfer_syntax(value)

    def add_transfer_syntax(self, syntax: Any) -> None:
        """Adds one; what is no UID, or there already, is ignored.

        Raises ValueError, with `_config.ENFORCE_UID_CONFORMANCE`, for a UID that PS3.5 9.1 does not allow.
        """
        try:
            uid = _uid(syntax, "a transfer syntax")
        except (TypeError, UnicodeDecodeError):
            return
        if uid and _config.ENFORCE_UID_CONFORMANCE and not uid.is_valid:
            LOGGER.error("'transfer_syntax' contains an invalid UID: '%s'", uid)
            raise ValueError(f"'transfer_syntax' contains an invalid UID: '{uid}'")
        if uid and uid not in self._transfer_syntax and set(uid) <= set("0123456789."):
            for doubt in _doubts(uid):
                LOGGER.warning("A %s: '%s'", doubt, uid)
            self._transfer_syntax.append(uid)

    @property
    def scu_role(self) -> bool | None:
        """As an acceptor: whether the requestor may be SCU; None leaves roles at their default. Else TypeError."""
        return self._scu_role

    @scu_role.setter
    def scu_role(self, value: bool | None) -> None:
        self._scu_role = _role(value)

    @property
    def scp_role(self) -> bool | None:
        """As an acceptor: whether the requestor may be SCP; None leaves roles at their default. Else TypeError."""
        return self._scp_role

    @scp_role.setter
    def scp_role(self, value: bool | None) -> None:
        self._scp_role = _role(value)

    @property
    def as_scu(self) -> bool | None:
        """Whether this side is SCU; None before negotiation."""
        return self._as_scu

    @property
    def as_scp(self) -> bool | None:
        """Whether this side is SCP; None before negotiation."""
        return self._as_scp

    @property
    def status(self) -> str:
        """The result in words."""
        return _STATUS.get(self.result, "Unknown")

    @property
    def as_tuple(self) -> PresentationContextTuple:
        """Its ID, abstract syntax and first transfer syntax."""
        return PresentationContextTuple(self.context_id, self.abstract_syntax, self.transfer_syntax[0])

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, PresentationContext):
            return False
        return self._key() == other._key()

    def _key(self) -> tuple[Any, ...]:
        return (
            self._context_id,
            self._abstract_syntax,
            frozenset(self._transfer_syntax),
            self.result,
            self._scu_role,
            self._scp_role,
            self._as_scu,
            self._as_scp,
        )

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return self._abstract_syntax.name if self._abstract_syntax is not None else "PresentationContext()"

    def __str__(self) -> str:
        lines = []
        if self.context_id is not None:
            lines.append(f"ID: {self.context_id}")
        if self.abstract_syntax is not None:
            lines.append(f"Abstract Syntax: {self.abstract_syntax.name}")
        lines.append(f"Transfer Syntax{'(es)' if len(self.transfer_syntax) != 1 else ''}:")
        lines.extend(f"    ={syntax.name}" for syntax in self.transfer_syntax)
        if not self.transfer_syntax:
            lines.append("    (none)")
        if self.result is not None:
            lines.append(f"Result: {self.status}")
        if self.as_scu is not None or self.as_scp is not None:
            roles = [name for name, on in (("SCU", self.as_scu), ("SCP", self.as_scp)) if on]
            lines.append(f"Role: {' and '.join(roles) or '(none)'}{' only' if len(roles) == 1 else ''}")
        return "\n".join(lines)


def _uid(value: Any, name: str) -> UID:
    if isinstance(value, bytes):
        value = value.decode("ascii")
    if not isinstance(value, str):
        raise TypeError(f"{name} is a str, bytes or UID, not {type(value).__name__}")
    return _made(value)


@lru_cache(maxsize=256)
def _doubts(uid: UID) -> list[str]:
    """What is odd about a transfer syntax, in words for the log."""
    doubts = [] if uid.is_valid else ["non-conformant UID has been added to 'transfer_syntax'"]
    if uid.type not in ("", "Transfer Syntax"):
        doubts.append("UID has been added to 'transfer_syntax' that is not a transfer syntax")
    return doubts


def _role(value: Any) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise TypeError(f"a role is True, False or None, not {value!r}")
    return value


def build_context(abstract_syntax: str, transfer_syntax: str | Sequence[str] | None = None) -> PresentationContext:
    """A presentation context for an abstract syntax.

    `transfer_syntax` is one or several UIDs, default `DEFAULT_TRANSFER_SYNTAXES`.
    """
    context = PresentationContext()
    context.abstract_syntax = _made(abstract_syntax)
    syntaxes = DEFAULT_TRANSFER_SYNTAXES if transfer_syntax is None else transfer_syntax
    context.transfer_syntax = [syntaxes] if isinstance(syntaxes, str) else list(syntaxes)
    return context


def build_role(uid: str, scu_role: bool = False, scp_role: bool = False) -> SCP_SCU_RoleSelectionNegotiation:
    """A role selection to propose: `ext_neg=[build_role(CTImageStorage, scp_role=True)]` is what a C-GET needs."""
    role = SCP_SCU_RoleSelectionNegotiation()
    role.sop_class_uid = _made(uid)
    role.scu_role = scu_role
    role.scp_role = scp_role
    return role


_COMMON_STORAGE = {
    keyword: uid for keyword, uid in data.STORAGE.items() if keyword not in data.LESS_COMMON_STORAGE
} | data.RETIRED_STORAGE

#: The ready-made lists, and the SOP classes in them.
_LISTS: dict[str, dict[str, str]] = {
    "AllStoragePresentationContexts": data.STORAGE,
    "ApplicationEventLoggingPresentationContexts": data.APPLICATION_EVENT_LOGGING,
    "BasicWorklistManagementPresentationContexts": data.BASIC_WORKLIST,
    "ColorPalettePresentationContexts": data.COLOR_PALETTE,
    "DefinedProcedureProtocolPresentationContexts": data.DEFINED_PROCEDURE_PROTOCOL,
    "DisplaySystemPresentationContexts": data.DISPLAY_SYSTEM,
    "HangingProtocolPresentationContexts": data.HANGING_PROTOCOL,
    "ImplantTemplatePresentationContexts": data.IMPLANT_TEMPLATE,
    "InstanceAvailabilityPresentationContexts": data.INSTANCE_AVAILABILITY,
    "MediaCreationManagementPresentationContexts": data.MEDIA_CREATION,
    "MediaStoragePresentationContexts": data.MEDIA_STORAGE,
    "ModalityPerformedPresentationContexts": data.PROCEDURE_STEP,
    "NonPatientObjectPresentationContexts": data.NON_PATIENT_OBJECT,
    "PrintManagementPresentationContexts": data.PRINT_MANAGEMENT,
    "ProcedureStepPresentationContexts": data.PROCEDURE_STEP,
    "ProtocolApprovalPresentationContexts": data.PROTOCOL_APPROVAL,
    "QueryRetrievePresentationContexts": data.QUERY_RETRIEVE,
    "RTMachineVerificationPresentationContexts": data.RT_MACHINE_VERIFICATION,
    "RelevantPatientInformationPresentationContexts": data.RELEVANT_PATIENT,
    "StorageCommitmentPresentationContexts": data.STORAGE_COMMITMENT,
    "StoragePresentationContexts": _COMMON_STORAGE,
    "SubstanceAdministrationPresentationContexts": data.SUBSTANCE_ADMINISTRATION,
    "UnifiedProcedurePresentationContexts": data.UNIFIED_PROCEDURE_STEP,
    "VerificationPresentationContexts": data.VERIFICATION,
}
PREBUILT_LISTS = tuple(_LISTS)

__all__ = [  # pyright: ignore[reportUnsupportedDunderAll]
    "ALL_TRANSFER_SYNTAXES",
    "DEFAULT_TRANSFER_SYNTAXES",
    "PYNETDICOM_IMPLEMENTATION_UID",
    "PYNETDICOM_IMPLEMENTATION_VERSION",
    "PresentationContext",
    "PresentationContextTuple",
    "build_context",
    "build_role",
    *PREBUILT_LISTS,
]


def __getattr__(name: str) -> list[PresentationContext]:
    # Built when it is asked for: most programs need one of them.
    if name not in _LISTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = [build_context(uid) for uid in sorted(_LISTS[name].values())]
    globals()[name] = made
    return made


def __dir__() -> list[str]:
    return sorted({*globals(), *_LISTS})
