"""ACSE primitives as those who look on see them (`event.primitive`): a view of the PDU that carries them (PS3.8 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom.uid import UID

from .pdu import A_ABORT_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ, A_RELEASE_RP, PDU

if TYPE_CHECKING:
    from .presentation import PresentationContext
    from .service_user import ServiceUser


class A_ASSOCIATE:  # noqa: N801 - the standard's name
    """A-ASSOCIATE: a request (`result` None), an acceptance (0), or a rejection (1 permanent, 2 transient).

    Attributes:
        result: see above.
        result_source, diagnostic: of a rejection, otherwise None.
    """

    def __init__(self, pdu: A_ASSOCIATE_RQ | A_ASSOCIATE_AC | A_ASSOCIATE_RJ) -> None:
        self._pdu = pdu
        self.result = pdu.result if isinstance(pdu, A_ASSOCIATE_RJ) else None if pdu.pdu_type == 1 else 0
        self.result_source = pdu.source if isinstance(pdu, A_ASSOCIATE_RJ) else None
        self.diagnostic = pdu.reason_diagnostic if isinstance(pdu, A_ASSOCIATE_RJ) else None

    def _associate(self) -> A_ASSOCIATE_RQ | A_ASSOCIATE_AC:
        if isinstance(self._pdu, A_ASSOCIATE_RJ):
            raise AttributeError("a rejection has a result, a source and a diagnostic only")
        return self._pdu

    @property
    def called_ae_title(self) -> str:
        """Called AE title."""
        return self._associate().called_ae_title

    @property
    def calling_ae_title(self) -> str:
        """Calling AE title."""
        return self._associate().calling_ae_title

    @property
    def application_context_name(self) -> UID:
        """Application context name."""
        return self._associate().application_context_name

    @property
    def user_information(self) -> ServiceUser:
        """The user information items, as attributes of the `ServiceUser` that sent them."""
        return self._associate().user_information

    @property
    def maximum_length_received(self) -> int:
        """Maximum length of a P-DATA PDU that the sender receives, in bytes; 0 for no limit."""
        return self.user_information.maximum_length

    @property
    def presentation_context_definition_list(self) -> list[PresentationContext]:
        """What a request proposes; empty for an acceptance."""
        return self._associate().presentation_context if self.result is None else []

    @property
    def presentation_context_definition_results_list(self) -> list[PresentationContext]:
        """The results of an acceptance; empty for a request."""
        return self._associate().presentation_context if self.result == 0 else []


class A_RELEASE:  # noqa: N801
    """A-RELEASE: a request (`result` None), or its confirmation ("affirmative")."""

    def __init__(self, pdu: PDU) -> None:
        self.result = "affirmative" if isinstance(pdu, A_RELEASE_RP) else None


class A_ABORT:  # noqa: N801
    """A-ABORT of a service user (`abort_source` 0)."""

    def __init__(self, pdu: A_ABORT_RQ) -> None:
        self.abort_source = pdu.source


class A_P_ABORT:  # noqa: N801
    """A-P-ABORT of a service provider, with its `provider_reason` (PS3.8 Table 9-26)."""

    def __init__(self, pdu: A_ABORT_RQ) -> None:
        self.provider_reason = pdu.reason_diagnostic


def primitive_from(pdu: PDU) -> A_ASSOCIATE | A_RELEASE | A_ABORT | A_P_ABORT:
    """The primitive that a PDU carries."""
    if isinstance(pdu, (A_ASSOCIATE_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ)):
        return A_ASSOCIATE(pdu)
    if isinstance(pdu, A_ABORT_RQ):
        return A_P_ABORT(pdu) if pdu.source == 2 else A_ABORT(pdu)
    return A_RELEASE(pdu)
