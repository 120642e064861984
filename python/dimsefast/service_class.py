"""The service classes of PS3.4 with C-services, by name. What they do is in `dimsefast.services`."""

from __future__ import annotations


class ServiceClass:
    """Any service class; by itself the one of SOP classes that nobody registered."""


class VerificationServiceClass(ServiceClass):
    """PS3.4 Annex A."""


class StorageServiceClass(ServiceClass):
    """PS3.4 Annex B."""


class QueryRetrieveServiceClass(ServiceClass):
    """PS3.4 Annex C."""


class BasicWorklistManagementServiceClass(QueryRetrieveServiceClass):
    """PS3.4 Annex K."""


class ColorPaletteQueryRetrieveServiceClass(QueryRetrieveServiceClass):
    """PS3.4 Annex X."""


class DefinedProcedureProtocolQueryRetrieveServiceClass(QueryRetrieveServiceClass):
    """PS3.4 Annex HH."""


class HangingProtocolQueryRetrieveServiceClass(QueryRetrieveServiceClass):
    """PS3.4 Annex U."""


class ImplantTemplateQueryRetrieveServiceClass(QueryRetrieveServiceClass):
    """PS3.4 Annex BB."""


class InventoryQueryRetrieveServiceClass(QueryRetrieveServiceClass):
    """PS3.4 Annex JJ."""


class NonPatientObjectStorageServiceClass(StorageServiceClass):
    """PS3.4 Annex GG."""


class ProtocolApprovalQueryRetrieveServiceClass(QueryRetrieveServiceClass):
    """PS3.4 Annex II."""


class RelevantPatientInformationQueryServiceClass(ServiceClass):
    """PS3.4 Annex Q."""


class SubstanceAdministrationQueryServiceClass(QueryRetrieveServiceClass):
    """PS3.4 Annex V."""
