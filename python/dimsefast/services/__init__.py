"""Performing the peer's requests: one module for each kind of DIMSE service."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ..request import Request
from ..service_class import ServiceClass
from ..sop_class import message_type, uid_to_service_class
from . import normalized, query, retrieve, storage, verification
from .negotiating import negotiate
from .operations_log import log_request

if TYPE_CHECKING:
    from .._core import Message
    from ..association_base import AssociationBase

__all__ = ["negotiate", "perform"]

LOGGER = logging.getLogger("dimsefast.services")

#: PS3.8 Table 9-26: the provider's reason for an abort where nothing more can be said.
REASON_NOT_SPECIFIED = 0

_C_STORE, _C_GET, _C_FIND, _C_MOVE, _C_ECHO = 0x0001, 0x0010, 0x0020, 0x0021, 0x0030
_N_EVENT_REPORT, _N_GET, _N_SET, _N_ACTION, _N_CREATE = 0x0100, 0x0110, 0x0120, 0x0130, 0x0140

#: PS3.7 D.3.3.6: what SOP Class Common Extended Negotiation calls it.
_STORAGE_SERVICE_CLASS = "1.2.840.10008.4.2"

_PERFORMERS = {
    _C_ECHO: verification.echo,
    _C_STORE: storage.store,
    _C_FIND: query.find,
    _C_GET: retrieve.get,
    _C_MOVE: retrieve.move,
    **dict.fromkeys(normalized.COMMAND_FIELDS, normalized.perform),
}


def perform(association: AssociationBase, message: Message) -> None:
    """Performs one request and sends its responses.

    The association may end at any point; then nobody waits for them.
    """
    connection = association._connection
    assert connection is not None
    request = Request(message, association._context_tuple(message.context_id))
    performer = _PERFORMERS.get(message.command_field)
    try:
        if performer is None or not _knows(association, request, message.command_field):
            uid = request.context.abstract_syntax
            if uid_to_service_class(uid) is ServiceClass:
                LOGGER.error(
                    "%s: No supported service class available for the SOP Class UID '%s'", association._name, uid
                )
            else:
                field = message.command_field
                LOGGER.error("%s: %s knows no request %04XH", association._name, uid.name, field)
            connection.abort_provider(REASON_NOT_SPECIFIED)
            return
        performer(association, request)
    except (ConnectionAbortedError, TimeoutError) as error:
        LOGGER.info("%s: %s while a request was being answered", association._name, error)
    finally:
        connection.performed(message)
        log_request(association, request)
        request.finish()


def _knows(association: AssociationBase, request: Request, command_field: int) -> bool:
    """Whether the service of the context's SOP class has this kind of request."""
    service = uid_to_service_class(request.context.abstract_syntax)
    kinds = _REQUESTS.get(service.__name__)
    if kinds is not None:
        # An information model has a class for each of its services: who may find may not therefore move.
        named = message_type(request.context.abstract_syntax) if command_field in _QUERY else None
        return command_field in kinds and (named is None or _QUERIES[named] == command_field)
    # What nobody registered is for storage where everything is, or where its service class was negotiated to be.
    common = association._accepted_common.get(request.context.abstract_syntax)
    is_storage = association._takes_any_storage or (common is not None and common[0] == _STORAGE_SERVICE_CLASS)
    return service is ServiceClass and command_field == _C_STORE and is_storage


_QUERIES = {"C-FIND": _C_FIND, "C-MOVE": _C_MOVE, "C-GET": _C_GET}
_QUERY = set(_QUERIES.values())
_REQUESTS: dict[str, set[int]] = {
    "VerificationServiceClass": {_C_ECHO},
    "StorageServiceClass": {_C_STORE},
    "NonPatientObjectStorageServiceClass": {_C_STORE},
    "QueryRetrieveServiceClass": _QUERY,
    "HangingProtocolQueryRetrieveServiceClass": _QUERY,
    "DefinedProcedureProtocolQueryRetrieveServiceClass": _QUERY,
    "ColorPaletteQueryRetrieveServiceClass": _QUERY,
    "ImplantTemplateQueryRetrieveServiceClass": _QUERY,
    "ProtocolApprovalQueryRetrieveServiceClass": _QUERY,
    "InventoryQueryRetrieveServiceClass": _QUERY,
    "BasicWorklistManagementServiceClass": {_C_FIND},
    "RelevantPatientInformationQueryServiceClass": {_C_FIND},
    "SubstanceAdministrationQueryServiceClass": {_C_FIND},
    "ApplicationEventLoggingServiceClass": {_N_ACTION},
    "DisplaySystemManagementServiceClass": {_N_GET},
    "InstanceAvailabilityNotificationServiceClass": {_N_CREATE},
    "MediaCreationManagementServiceClass": {_N_CREATE, _N_GET, _N_ACTION},
    "PrintManagementServiceClass": set(normalized.COMMAND_FIELDS),
    "ProcedureStepServiceClass": {_N_CREATE, _N_SET, _N_GET, _N_EVENT_REPORT},
    "RTMachineVerificationServiceClass": set(normalized.COMMAND_FIELDS),
    "StorageCommitmentServiceClass": {_N_ACTION, _N_EVENT_REPORT},
    "StorageManagementServiceClass": {_N_ACTION, _N_EVENT_REPORT},
    "UnifiedProcedureStepServiceClass": {_C_FIND, _N_CREATE, _N_SET, _N_GET, _N_ACTION, _N_EVENT_REPORT},
}
