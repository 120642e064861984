"""SOP classes by keyword: `sop_class.CTImageStorage`, `sop_class.Verification`, ...

They are made when they are asked for, so that importing the package stays cheap.
"""

from __future__ import annotations

from keyword import iskeyword
from typing import Any

from pydicom.uid import UID

from . import _sop_class_data as data
from . import service_class as sc
from . import service_class_n as scn
from .service_class import ServiceClass

_GROUPS: tuple[tuple[dict[str, str], type[ServiceClass]], ...] = (
    (data.VERIFICATION, sc.VerificationServiceClass),
    (data.QUERY_RETRIEVE, sc.QueryRetrieveServiceClass),
    (data.STORAGE, sc.StorageServiceClass),
    (data.APPLICATION_EVENT_LOGGING, scn.ApplicationEventLoggingServiceClass),
    (data.BASIC_WORKLIST, sc.BasicWorklistManagementServiceClass),
    (data.COLOR_PALETTE, sc.ColorPaletteQueryRetrieveServiceClass),
    (data.DEFINED_PROCEDURE_PROTOCOL, sc.DefinedProcedureProtocolQueryRetrieveServiceClass),
    (data.DISPLAY_SYSTEM, scn.DisplaySystemManagementServiceClass),
    (data.HANGING_PROTOCOL, sc.HangingProtocolQueryRetrieveServiceClass),
    (data.IMPLANT_TEMPLATE, sc.ImplantTemplateQueryRetrieveServiceClass),
    (data.INSTANCE_AVAILABILITY, scn.InstanceAvailabilityNotificationServiceClass),
    (data.INVENTORY, sc.InventoryQueryRetrieveServiceClass),
    (data.MEDIA_CREATION, scn.MediaCreationManagementServiceClass),
    (data.MEDIA_STORAGE, ServiceClass),
    (data.NON_PATIENT_OBJECT, sc.NonPatientObjectStorageServiceClass),
    (data.PRINT_MANAGEMENT, scn.PrintManagementServiceClass),
    (data.PROCEDURE_STEP, scn.ProcedureStepServiceClass),
    (data.PROTOCOL_APPROVAL, sc.ProtocolApprovalQueryRetrieveServiceClass),
    (data.RELEVANT_PATIENT, sc.RelevantPatientInformationQueryServiceClass),
    (data.RT_MACHINE_VERIFICATION, scn.RTMachineVerificationServiceClass),
    (data.STORAGE_COMMITMENT, scn.StorageCommitmentServiceClass),
    (data.STORAGE_MANAGEMENT, scn.StorageManagementServiceClass),
    (data.SUBSTANCE_ADMINISTRATION, sc.SubstanceAdministrationQueryServiceClass),
    (data.UNIFIED_PROCEDURE_STEP, scn.UnifiedProcedureStepServiceClass),
)

_SERVICES: dict[str, type[ServiceClass]] = {uid: service for group, service in _GROUPS for uid in group.values()} | {
    **dict.fromkeys(data.RETIRED_STORAGE.values(), sc.StorageServiceClass),
    "1.2.840.10008.4.2": sc.StorageServiceClass,
    "1.2.840.10008.5.1.4.34.6": scn.UnifiedProcedureStepServiceClass,
}
_UIDS: dict[str, str] = {keyword: uid for group, _ in _GROUPS for keyword, uid in group.items()}
_KEYWORDS: dict[str, str] = {uid: keyword for keyword, uid in _UIDS.items()}

#: `from dimsefast.sop_class import *` has them all.
__all__ = ["SOPClass", "register_uid", "uid_to_service_class", "uid_to_sop_class", *_UIDS, *data.INSTANCES]  # pyright: ignore[reportUnsupportedDunderAll]

#: The DIMSE message of privately registered classes of services that have several kinds of request.
_MESSAGE_TYPES: dict[str, str] = {}


class SOPClass(UID):
    """A SOP Class UID that knows its service class."""

    @property
    def service_class(self) -> type[ServiceClass]:
        """The service class that it belongs to; plain `ServiceClass` where nobody knows."""
        return uid_to_service_class(self)


def uid_to_service_class(uid: str) -> type[ServiceClass]:
    """The service class of a SOP Class UID; `ServiceClass` itself for an unknown one."""
    return _SERVICES.get(str(uid), ServiceClass)


def message_type(uid: str) -> str | None:
    """The one service of a SOP class for queries or retrieval: "C-FIND", "C-GET" or "C-MOVE". None where its name does
    not say.
    """
    # "Study Root Query/Retrieve Information Model - FIND"
    _, dash, service = UID(uid).name.rpartition(" - ")
    return _MESSAGE_TYPES.get(uid) or (f"C-{service}" if dash and service in ("FIND", "GET", "MOVE") else None)


def uid_to_sop_class(uid: str) -> SOPClass:
    """The SOP class of a UID, known or not."""
    keyword = _KEYWORDS.get(str(uid))
    if keyword is not None:
        known: SOPClass = globals().get(keyword) or __getattr__(keyword)
        return known
    # pydicom's annotation says that UIDs of all classes are plain ones.
    return SOPClass(str(uid))  # pyright: ignore[reportReturnType]


def register_uid(uid: str, keyword: str, service_class: type[ServiceClass], dimse_msg_type: str | None = None) -> None:
    """Registers a private SOP class, which is then `sop_class.<keyword>`.

    Args:
        uid: its UID.
        keyword: a Python identifier.
        service_class: the service class that performs its requests.
        dimse_msg_type: "C-FIND", "C-GET" or "C-MOVE", for services that have several.

    Raises ValueError for a keyword that is none or a bad message type, TypeError for what is no service class.
    """
    if not keyword.isidentifier() or iskeyword(keyword):
        raise ValueError(f"{keyword!r} is not a keyword that can be used as a name")
    if not (isinstance(service_class, type) and issubclass(service_class, ServiceClass)):
        raise TypeError(f"a service class is a subclass of ServiceClass, not {service_class!r}")
    if issubclass(service_class, sc.QueryRetrieveServiceClass):
        if dimse_msg_type not in ("C-FIND", "C-GET", "C-MOVE"):
            raise ValueError(f"the DIMSE message type is C-FIND, C-GET or C-MOVE, not {dimse_msg_type!r}")
        _MESSAGE_TYPES[str(uid)] = dimse_msg_type
    _SERVICES[str(uid)] = service_class
    _UIDS[keyword] = str(uid)
    globals()[keyword] = SOPClass(str(uid))


def __getattr__(name: str) -> Any:
    if name in _UIDS:
        made: UID = SOPClass(_UIDS[name])
    elif name in data.INSTANCES:
        made = UID(data.INSTANCES[name])
    else:
        raise AttributeError(f"there is no SOP class with the keyword {name!r}")
    globals()[name] = made
    return made


def __dir__() -> list[str]:
    return sorted({*globals(), *_UIDS, *data.INSTANCES})
