"""The two parties of an association as seen by the other: what each proposed, and what came of it."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydicom.uid import UID

from . import negotiation
from ._uids import uid
from .presentation import PresentationContext

if TYPE_CHECKING:
    from . import _core
    from .association_base import AssociationBase


class AssociatePrimitive(NamedTuple):
    """The parts of an A-ASSOCIATE request that programs look at."""

    called_ae_title: str
    calling_ae_title: str
    presentation_context_definition_list: list[PresentationContext]


def context_from(row: tuple[int, str, list[str]]) -> PresentationContext:
    """A proposed `PresentationContext` from a row of the core. An even ID of a peer is taken as it is."""
    context = PresentationContext()
    context._context_id, abstract_syntax, context.transfer_syntax = row
    context._abstract_syntax = uid(abstract_syntax)
    return context


def negotiated_context_from(row: tuple[int, str, list[str], int, bool, bool]) -> PresentationContext:
    """A negotiated one."""
    context_id, abstract_syntax, transfer_syntaxes, result, as_scu, as_scp = row
    context = context_from((context_id, abstract_syntax, transfer_syntaxes))
    context.result = result
    context._as_scu = as_scu
    context._as_scp = as_scp
    return context


class ServiceUser:
    """One side of an association: its AE title, address and negotiation items."""

    def __init__(self, association: AssociationBase, mode: Literal["requestor", "acceptor"]) -> None:
        # An association that nobody uses any more ends at once, not at the next garbage collection.
        self._reference = weakref.ref(association)
        self.mode = mode
        self.is_requestor = mode == "requestor"
        self.is_acceptor = not self.is_requestor
        self.ae_title = ""
        self.address: str | None = ""
        self.port: int | None = None
        #: What an acceptor supports.
        self.supported_contexts: list[PresentationContext] = []
        self._negotiation: _core.Negotiation | None = None
        self._requested: list[PresentationContext] | None = None
        self._items_read: list[Any] | None = None

    @property
    def _association(self) -> AssociationBase:
        association = self._reference()
        if association is None:
            raise RuntimeError("the association that this belongs to does not exist any more")
        return association

    @property
    def requested_contexts(self) -> list[PresentationContext]:
        """What a requestor proposes, with context IDs."""
        if self._requested is None:
            if self.is_requestor and self._negotiation is None:
                return []
            rows = self._negotiation.proposed if self.is_requestor and self._negotiation is not None else []
            self._requested = [context_from(row) for row in rows]
        return self._requested

    @requested_contexts.setter
    def requested_contexts(self, contexts: list[PresentationContext]) -> None:
        self._requested = contexts

    @property
    def _items(self) -> list[Any]:
        """The items that it sent."""
        items, found = self._items_read, self._negotiation
        if items is None:
            if found is None or (self.is_acceptor and not found.is_answered):
                return []
            rows = found.requested_items if self.is_requestor else found.answered_items
            items = self._items_read = [negotiation.from_item(row) for row in rows]
        return items

    def _find(self, kind: type) -> Any:
        return next((item for item in self._items if isinstance(item, kind)), None)

    @property
    def info(self) -> dict[str, Any]:
        """Address, port, AE title, mode and the negotiation items."""
        return {
            "address": self.address,
            "port": self.port,
            "ae_title": self.ae_title,
            "mode": self.mode,
            "pdv_size": self.maximum_length,
        }

    @property
    def primitive(self) -> AssociatePrimitive:
        """The request, as much of it as programs look at."""
        association = self._association
        found = self._negotiation
        return AssociatePrimitive(
            association.acceptor.ae_title if found is None else found.called.strip(),
            association.requestor.ae_title,
            list(association.requestor.requested_contexts),
        )

    @property
    def maximum_length(self) -> int:
        """Maximum length of a P-DATA PDU that this side receives, in bytes; 0 for no limit."""
        item = self._find(negotiation.MaximumLengthNotification)
        return 16382 if item is None else int(item.maximum_length_received)

    @property
    def implementation_class_uid(self) -> UID | None:
        """Implementation Class UID, once known."""
        item = self._find(negotiation.ImplementationClassUIDNotification)
        return None if item is None else item.implementation_class_uid

    @property
    def implementation_version_name(self) -> str | None:
        """Implementation version name, where it was sent."""
        item = self._find(negotiation.ImplementationVersionNameNotification)
        return None if item is None else item.implementation_version_name

    @property
    def asynchronous_operations(self) -> tuple[int, int]:
        """(invoked, performed); (1, 1) where nothing was negotiated."""
        item = self._find(negotiation.AsynchronousOperationsWindowNegotiation)
        if item is None:
            return (1, 1)
        return (item.maximum_number_operations_invoked, item.maximum_number_operations_performed)

    @property
    def role_selection(self) -> dict[UID, Any]:
        """SCP/SCU role selection items by SOP class."""
        kind = negotiation.SCP_SCU_RoleSelectionNegotiation
        return {uid(item.sop_class_uid or ""): item for item in self._items if isinstance(item, kind)}

    @property
    def sop_class_extended(self) -> dict[UID, bytes]:
        """Service class application information by SOP class."""
        kind = negotiation.SOPClassExtendedNegotiation
        return {
            uid(item.sop_class_uid or ""): item.service_class_application_information or b""
            for item in self._items
            if isinstance(item, kind)
        }

    @property
    def sop_class_common_extended(self) -> dict[UID, Any]:
        """SOP class common extended negotiation items by SOP class."""
        kind = negotiation.SOPClassCommonExtendedNegotiation
        return {uid(item.sop_class_uid or ""): item for item in self._items if isinstance(item, kind)}

    @property
    def accepted_common_extended(self) -> dict[UID, tuple[UID, list[UID]]]:
        """What of the common extended negotiation the acceptor's handler took."""
        return self._association._accepted_common

    @property
    def user_identity(self) -> Any:
        """The user identity item; None where there is none."""
        return self._find(negotiation.UserIdentityNegotiation)

    @property
    def extended_negotiation(self) -> list[Any]:
        """The items besides maximum length and implementation."""
        plain = (
            negotiation.MaximumLengthNotification,
            negotiation.ImplementationClassUIDNotification,
            negotiation.ImplementationVersionNameNotification,
        )
        return [item for item in self._items if not isinstance(item, plain)]

    def get_contexts(self, cx_type: str) -> list[PresentationContext]:
        """Contexts of one kind: "requested", "supported", or "pcdrl" (the acceptor's results, rejected ones
        included).
        """
        if cx_type == "requested":
            return list(self.requested_contexts)
        if cx_type == "supported":
            return list(self.supported_contexts)
        if cx_type == "pcdl" and self.is_requestor:
            return list(self.requested_contexts)
        if cx_type == "pcdrl" and self.is_acceptor:
            return list(self._association._contexts)
        raise ValueError(f"the {self.mode} has no contexts of the kind {cx_type!r}")
