"""What is set of an application entity: its names, time-outs, limits and presentation contexts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydicom.uid import UID

from ._arguments import (
    NetworkTimeoutResponse,
    checked_contexts,
    checked_timeout_response,
    keep_without,
    seconds,
    syntaxes,
)
from ._validators import validate_ae_title, validate_uid
from .presentation import (
    IMPLEMENTATION_UID,
    IMPLEMENTATION_VERSION,
    PresentationContext,
    build_context,
)
from .quota import QuotaOptions

#: Maximum length of a P-DATA PDU that is received, in bytes.
DEFAULT_MAXIMUM_PDU_SIZE = 262144
#: PS3.8 9.3.2.2: presentation context IDs are odd, 1 to 255.
MOST_REQUESTED_CONTEXTS = 128


class EntitySettings(QuotaOptions):
    """The settings of an application entity, in either face. Running servers and associations follow them."""

    #: What is running.
    _servers: list[Any]

    @property
    def active_associations(self) -> list[Any]:
        """Its associations in either role that are not over."""
        raise NotImplementedError

    def __init__(self, ae_title: str) -> None:
        self._ae_title = validate_ae_title(ae_title, "the AE title")
        self._class_uid = IMPLEMENTATION_UID
        self._version: str | None = IMPLEMENTATION_VERSION
        self._acse_timeout: float | None = 30
        self._dimse_timeout: float | None = 30
        self._network_timeout: float | None = 60
        self._network_timeout_response: NetworkTimeoutResponse = "A-ABORT"
        self._connection_timeout: float | None = None
        self._keep_alive: float | None = None
        self._maximum_associations = 10
        self._maximum_per_calling: int | None = None
        self._maximum_pdu_size = DEFAULT_MAXIMUM_PDU_SIZE
        self._require_called = False
        self._require_calling: list[str] = []
        self._operations = (1, 1)
        self._prefer_own_syntaxes = False
        self._requested: list[PresentationContext] = []
        self._supported: dict[UID, PresentationContext] = {}

    # Identity
    # -----------------------------------------------------------------------------------------------------------

    @property
    def ae_title(self) -> str:
        """Its AE title, as it was set."""
        return self._ae_title

    @ae_title.setter
    def ae_title(self, value: str) -> None:
        self._ae_title = validate_ae_title(value, "the AE title")

    @property
    def implementation_class_uid(self) -> UID:
        """Implementation Class UID that peers are told."""
        return self._class_uid

    @implementation_class_uid.setter
    def implementation_class_uid(self, value: str) -> None:
        uid = validate_uid(value, "the Implementation Class UID")
        if not uid:
            raise ValueError("the Implementation Class UID must not be empty")
        if not uid.is_valid:
            raise ValueError(f"the Implementation Class UID is not a valid UID: {value!r}")
        self._class_uid = uid
        self._refresh()

    @property
    def implementation_version_name(self) -> str | None:
        """Implementation version name that peers are told, at most 16 characters; None for none."""
        return self._version

    @implementation_version_name.setter
    def implementation_version_name(self, value: str | None) -> None:
        if value is not None:
            if not isinstance(value, str):
                raise TypeError(f"the implementation version name is a str or None, not {type(value).__name__}")
            if not 1 <= len(value) <= 16 or not value.isascii():
                raise ValueError(f"the implementation version name has 1 to 16 ASCII characters, unlike {value!r}")
        self._version = value
        self._refresh()

    # Time-outs
    # ----------------------------------------------------------------------------------------------------------

    @property
    def acse_timeout(self) -> float | None:
        """Seconds to wait for the answer to an association request or release; default 30, None for no limit."""
        return self._acse_timeout

    @acse_timeout.setter
    def acse_timeout(self, value: float | None) -> None:
        self._acse_timeout = seconds(value, 30)
        self._set_on_associations("acse_timeout", self._acse_timeout)

    @property
    def dimse_timeout(self) -> float | None:
        """Seconds to wait for each DIMSE message; default 30, None for no limit."""
        return self._dimse_timeout

    @dimse_timeout.setter
    def dimse_timeout(self, value: float | None) -> None:
        self._dimse_timeout = seconds(value, 30)
        self._set_on_associations("dimse_timeout", self._dimse_timeout)

    @property
    def network_timeout(self) -> float | None:
        """Seconds without traffic after which an association is ended; default 60, None for no limit."""
        return self._network_timeout

    @network_timeout.setter
    def network_timeout(self, value: float | None) -> None:
        self._network_timeout = seconds(value, 60)
        self._set_on_associations("network_timeout", self._network_timeout)

    @property
    def network_timeout_response(self) -> NetworkTimeoutResponse:
        """How an association is ended when `network_timeout` has passed: "A-ABORT" (default), "A-P-ABORT", aborted as
        by the provider of the service; or "A-RELEASE", released, and aborted where the peer does not confirm within
        `acse_timeout` or has left off within a message. Raises ValueError for anything else.
        """
        return self._network_timeout_response

    @network_timeout_response.setter
    def network_timeout_response(self, value: NetworkTimeoutResponse) -> None:
        self._network_timeout_response = checked_timeout_response(value)
        self._set_on_associations("network_timeout_response", value)

    @property
    def connection_timeout(self) -> float | None:
        """Seconds to wait for a TCP connection; default None: the system's own limit."""
        return self._connection_timeout

    @connection_timeout.setter
    def connection_timeout(self, value: float | None) -> None:
        self._connection_timeout = seconds(value, None) or None
        self._set_on_associations("connection_timeout", self._connection_timeout)

    @property
    def keep_alive(self) -> float | None:
        """Seconds of silence after which the system asks the peer's system whether it is still there (TCP keep-alive);
        default None: never. For connections to come.
        """
        return self._keep_alive

    @keep_alive.setter
    def keep_alive(self, value: float | None) -> None:
        self._keep_alive = seconds(value, None) or None
        self._refresh()

    def _set_on_associations(self, name: str, value: Any) -> None:
        for association in self.active_associations:
            setattr(association, name, value)
        self._refresh()

    # What it admits
    # -----------------------------------------------------------------------------------------------------

    @property
    def maximum_associations(self) -> int:
        """Associations that its servers serve at the same time; default 10.

        One more is rejected (transient, local limit).
        """
        return self._maximum_associations

    @maximum_associations.setter
    def maximum_associations(self, value: int) -> None:
        self._maximum_associations = value if isinstance(value, int) and value >= 1 else 1
        self._refresh()

    @property
    def maximum_associations_per_calling_aet(self) -> int | None:
        """The same for each calling AE title; default None: no limit of its own."""
        return self._maximum_per_calling

    @maximum_associations_per_calling_aet.setter
    def maximum_associations_per_calling_aet(self, value: int | None) -> None:
        if value is not None and (not isinstance(value, int) or value < 1):
            raise ValueError(f"the maximum number of associations is a positive int or None, not {value!r}")
        self._maximum_per_calling = value
        self._refresh()

    @property
    def maximum_pdu_size(self) -> int:
        """Maximum length of a P-DATA PDU that is received, in bytes; 0 for no limit."""
        return self._maximum_pdu_size

    @maximum_pdu_size.setter
    def maximum_pdu_size(self, value: int) -> None:
        self._maximum_pdu_size = value if value >= 0 else DEFAULT_MAXIMUM_PDU_SIZE
        self._refresh()

    @property
    def require_called_aet(self) -> bool:
        """Whether peers must call it by its own AE title."""
        return self._require_called

    @require_called_aet.setter
    def require_called_aet(self, value: bool) -> None:
        self._require_called = bool(value)
        self._refresh()

    @property
    def require_calling_aet(self) -> list[str]:
        """AE titles of the peers that are let in; empty for all."""
        return self._require_calling

    @require_calling_aet.setter
    def require_calling_aet(self, value: Iterable[str]) -> None:
        self._require_calling = [validate_ae_title(title, "a required calling AE title") for title in value]
        self._refresh()

    @property
    def asynchronous_operations(self) -> tuple[int, int]:
        """(invoked, performed) operations at the same time that are negotiated; default (1, 1): nothing is
        negotiated.
        """
        return self._operations

    @asynchronous_operations.setter
    def asynchronous_operations(self, value: tuple[int, int]) -> None:
        invoked, performed = value
        if not all(isinstance(number, int) and 0 <= number <= 0xFFFF for number in (invoked, performed)):
            raise ValueError(f"the numbers of operations are 0 (unlimited) to 65535, not {value!r}")
        self._operations = (invoked, performed)
        self._refresh()

    @property
    def prefer_own_transfer_syntaxes(self) -> bool:
        """Which transfer syntax is accepted where a peer proposes several that are supported: False (default) for the
        first one that the peer proposes, which is mostly what its objects are in; True for the first one of the
        supported context that the peer proposes, as with pynetdicom. For associations to come.
        """
        return self._prefer_own_syntaxes

    @prefer_own_transfer_syntaxes.setter
    def prefer_own_transfer_syntaxes(self, value: bool) -> None:
        self._prefer_own_syntaxes = bool(value)
        self._refresh()

    def _refresh(self) -> None:
        """Running servers follow."""
        for server in self._servers:
            server._refresh()

    # Presentation contexts
    # ----------------------------------------------------------------------------------------------

    @property
    def requested_contexts(self) -> list[PresentationContext]:
        """What it proposes as a requestor, in the order added; at most 128."""
        return self._requested

    @requested_contexts.setter
    def requested_contexts(self, contexts: list[PresentationContext]) -> None:
        self._requested = checked_contexts(contexts, MOST_REQUESTED_CONTEXTS)

    @property
    def supported_contexts(self) -> list[PresentationContext]:
        """What it supports as an acceptor, sorted by abstract syntax."""
        return sorted(self._supported.values(), key=lambda context: str(context.abstract_syntax))

    @supported_contexts.setter
    def supported_contexts(self, contexts: list[PresentationContext]) -> None:
        checked = checked_contexts(contexts, None)
        self._supported = {}
        for context in checked:
            self.add_supported_context(
                str(context.abstract_syntax), list(context.transfer_syntax), context.scu_role, context.scp_role
            )

    def add_requested_context(self, abstract_syntax: str, transfer_syntax: str | Sequence[str] | None = None) -> None:
        """Adds one context to propose; the same abstract syntax again is one more context.

        `transfer_syntax` is one or several UIDs, default `DEFAULT_TRANSFER_SYNTAXES`. Raises ValueError for the 129th.
        """
        if len(self._requested) >= MOST_REQUESTED_CONTEXTS:
            raise ValueError("an association has at most 128 presentation contexts")
        self._requested.append(build_context(abstract_syntax, syntaxes(transfer_syntax)))

    def add_supported_context(
        self,
        abstract_syntax: str,
        transfer_syntax: str | Sequence[str] | None = None,
        scu_role: bool | None = None,
        scp_role: bool | None = None,
    ) -> None:
        """Adds what it supports; the same abstract syntax again adds transfer syntaxes and sets the roles anew.

        A role is False (refused), True (accepted where the requestor proposes it) or None (not negotiated). Raises
        TypeError for another role.
        """
        for role in (scu_role, scp_role):
            if role is not None and not isinstance(role, bool):
                raise TypeError(f"a role is True, False or None, not {role!r}")
        added = build_context(abstract_syntax, syntaxes(transfer_syntax))
        known = self._supported.setdefault(UID(str(added.abstract_syntax)), added)
        for syntax in added.transfer_syntax:
            known.add_transfer_syntax(syntax)
        known.scu_role, known.scp_role = scu_role, scp_role

    def remove_requested_context(
        self, abstract_syntax: str, transfer_syntax: str | Sequence[str] | None = None
    ) -> None:
        """Takes transfer syntaxes out of the requested contexts of an abstract syntax; without any, the contexts."""
        uid = UID(str(abstract_syntax))
        self._requested = [
            context
            for context in self._requested
            if context.abstract_syntax != uid or keep_without(context, transfer_syntax)
        ]

    def remove_supported_context(
        self, abstract_syntax: str, transfer_syntax: str | Sequence[str] | None = None
    ) -> None:
        """Takes transfer syntaxes out of the supported context of an abstract syntax; without any, the context."""
        uid = UID(str(abstract_syntax))
        context = self._supported.get(uid)
        if context is not None and not keep_without(context, transfer_syntax):
            del self._supported[uid]
