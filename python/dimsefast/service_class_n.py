"""The service classes of PS3.4 with N-services, by name."""

from __future__ import annotations

from .service_class import ServiceClass


class ApplicationEventLoggingServiceClass(ServiceClass):
    """PS3.4 Annex P."""


class DisplaySystemManagementServiceClass(ServiceClass):
    """PS3.4 Annex EE."""


class InstanceAvailabilityNotificationServiceClass(ServiceClass):
    """PS3.4 Annex R."""


class MediaCreationManagementServiceClass(ServiceClass):
    """PS3.4 Annex S."""


class PrintManagementServiceClass(ServiceClass):
    """PS3.4 Annex H."""


class ProcedureStepServiceClass(ServiceClass):
    """PS3.4 Annex F."""


class RTMachineVerificationServiceClass(ServiceClass):
    """PS3.4 Annex DD."""


class StorageCommitmentServiceClass(ServiceClass):
    """PS3.4 Annex J."""


class StorageManagementServiceClass(ServiceClass):
    """PS3.4 Annex KK."""


class UnifiedProcedureStepServiceClass(ServiceClass):
    """PS3.4 Annex CC."""
