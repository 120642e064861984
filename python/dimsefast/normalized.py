"""DIMSE-N requests: on instances that a peer keeps, and about them (PS3.7 10)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from . import _sop_class_data as data
from ._validators import validate_uid
from .dataset import decode_dataset, encode_dataset
from .exchange import single, status_from
from .objects import Fitting
from .request import COMMAND_ELEMENTS, encode_value
from .status import STATUS_SUCCESS, STATUS_WARNING, StatusDataset, code_to_category, code_to_status
from .waiting import run

if TYPE_CHECKING:
    from . import _core
    from .association_base import AssociationBase

LOGGER = logging.getLogger("dimsefast.normalized")

#: Processing failure.
PROCESSING_FAILURE = 0x0110


class Service(NamedTuple):
    """One of the DIMSE-N services: its command field, and the elements that its request names things in."""

    name: str
    command_field: int
    sop_class: str
    sop_instance: str
    #: The element for the number of the event or action, where it has one.
    type_id: str | None = None
    #: The role of who sends the request.
    role: Literal["scu", "scp"] = "scu"


_AFFECTED = ("AffectedSOPClassUID", "AffectedSOPInstanceUID")
_REQUESTED = ("RequestedSOPClassUID", "RequestedSOPInstanceUID")

N_EVENT_REPORT = Service("N-EVENT-REPORT", 0x0100, *_AFFECTED, "EventTypeID", "scp")
N_GET = Service("N-GET", 0x0110, *_REQUESTED)
N_SET = Service("N-SET", 0x0120, *_REQUESTED)
N_ACTION = Service("N-ACTION", 0x0130, *_REQUESTED, "ActionTypeID")
N_CREATE = Service("N-CREATE", 0x0140, *_AFFECTED)
N_DELETE = Service("N-DELETE", 0x0150, *_REQUESTED)

#: What of a response becomes part of its status beside what of any response does.
_STATUS_KEYWORDS = ("AffectedSOPClassUID", "AffectedSOPInstanceUID", "AttributeIdentifierList")

#: PS3.4 CC.3.1: a UPS instance is always of the Push class, whichever of the UPS classes was negotiated.
_UPS = data.UNIFIED_PROCEDURE_STEP
_UPS_PUSH = _UPS["UnifiedProcedureStepPush"]
_ALSO_UPS = [_UPS[f"UnifiedProcedureStep{kind}"] for kind in ("Pull", "Watch", "Event", "Query")]


class NormalizedRequest(NamedTuple):
    """A DIMSE-N request that is ready to be sent."""

    context_id: int
    transfer_syntax: str
    command_field: int
    elements: list[tuple[int, int | str | bytes]]
    dataset: bytes | None


def prepare(
    association: AssociationBase,
    service: Service,
    sop_class: str,
    sop_instance: str | None,
    meta_sop_class: str | None,
    dataset: Dataset | None = None,
    type_id: int | None = None,
    attributes: Any = None,
) -> NormalizedRequest:
    """Finds the context for a request and encodes it.

    Raises RuntimeError (not established), ValueError (no context, bad UID or number, not encodable), TypeError (a UID
    that is no str).
    """
    association._live()
    context_id, syntax = context_for(association, str(meta_sop_class or sop_class), service.role)
    command: dict[str, Any] = {service.sop_class: validate_uid(sop_class, f"the SOP Class UID of an {service.name}")}
    if sop_instance is not None:
        command[service.sop_instance] = validate_uid(sop_instance, f"the SOP Instance UID of an {service.name}")
    if service.type_id is not None:
        if isinstance(type_id, bool) or not isinstance(type_id, int) or not 0 <= type_id <= 0xFFFF:
            raise ValueError(f"{service.type_id} of an {service.name} is 0 to 65535, not {type_id!r}")
        command[service.type_id] = type_id
    if tags := _tags(attributes):
        command["AttributeIdentifierList"] = tags
    numbered = ((*COMMAND_ELEMENTS[keyword], value) for keyword, value in command.items())
    elements = [(number, encode_value(vr, value)) for number, vr, value in numbered]
    encoded = None if dataset is None else encode_dataset(dataset, syntax)
    return NormalizedRequest(context_id, syntax, service.command_field, [*elements], encoded)


def context_for(association: AssociationBase, sop_class: str, role: Literal["scu", "scp"]) -> Fitting:
    """The accepted context for a request of this side in this role. Raises ValueError where there is none."""
    classes = [sop_class, *_ALSO_UPS] if sop_class == _UPS_PUSH else [sop_class]
    # Who reports an event is the SCP; over an association of its own many forget to negotiate that.
    roles: list[Literal["scu", "scp"]] = ["scu"] if role == "scu" else ["scp", "scu"]
    reason: ValueError | None = None
    for wanted in roles:
        for candidate in classes:
            try:
                return association._usable(candidate, wanted)[0]
            except ValueError as error:
                reason = reason or error
    assert reason is not None
    raise reason


def _tags(attributes: Any) -> list[Any]:
    if attributes is None:
        return []
    return [Tag(tag) for tag in attributes] if isinstance(attributes, list) else [Tag(attributes)]


def outcome(message: _core.Message, transfer_syntax: str) -> tuple[Dataset, Dataset | None]:
    """What a response says: its status, and its dataset where it is one of success or warning.

    A dataset that cannot be decoded makes the status a failure.
    """
    status = status_from(message, _STATUS_KEYWORDS)
    if code_to_category(status.Status) not in (STATUS_SUCCESS, STATUS_WARNING):
        return status, None
    encoded = message.dataset()
    if not encoded:
        return status, Dataset()
    try:
        return status, decode_dataset(encoded, transfer_syntax)
    except ValueError as error:
        LOGGER.error("the dataset of a response cannot be decoded: %s", error)
        return code_to_status(PROCESSING_FAILURE), None


async def send(
    association: AssociationBase, request: NormalizedRequest, msg_id: int | None
) -> tuple[Dataset, Dataset | None]:
    """Sends a request and waits for the response: (status, dataset).

    (empty Dataset, None) where no valid answer came; the association is aborted then.
    """
    context_id, transfer_syntax, command_field, elements, dataset = request
    message = await single(association, context_id, command_field, elements, dataset, msg_id)
    if message is None:
        return StatusDataset(), None
    if message.status is None:
        association._abort()
        return StatusDataset(), None
    return outcome(message, transfer_syntax)


class NormalizedRequests:
    """The DIMSE-N requests of an association.

    They have in common: `class_uid` and `instance_uid` name the instance, `meta_uid` the Meta SOP Class whose context
    is used, `msg_id` is the Message ID, None for the next free one. They return (status, dataset): the dataset of the
    response, empty where it has none, and None unless the status is success or warning; (empty Dataset, None) where no
    valid answer came in time, and then the association is aborted.

    They raise RuntimeError where the association is not established or this thread runs a handler of it, ValueError
    without an accepted context for the class, for a dataset that cannot be encoded, a Message ID in use, or a UID that
    is none, TypeError for a UID that is no str.
    """

    def send_n_event_report(
        self,
        dataset: Dataset | None,
        event_type: int,
        class_uid: str,
        instance_uid: str,
        msg_id: int | None = None,
        meta_uid: str | None = None,
    ) -> tuple[Dataset, Dataset | None]:
        """Reports an event of an instance that this side keeps; `dataset` is the Event Information, or None.

        The SCP sends it, so an acceptor may, over the association that was opened to it.
        """
        return self._exchange(N_EVENT_REPORT, msg_id, class_uid, instance_uid, meta_uid, dataset, event_type)

    def send_n_get(
        self,
        identifier_list: list[Any] | None,
        class_uid: str,
        instance_uid: str,
        msg_id: int | None = None,
        meta_uid: str | None = None,
    ) -> tuple[Dataset, Dataset | None]:
        """Asks for attributes of an instance: tags as pydicom takes them; None or an empty list for all."""
        return self._exchange(N_GET, msg_id, class_uid, instance_uid, meta_uid, attributes=identifier_list)

    def send_n_set(
        self,
        dataset: Dataset,
        class_uid: str,
        instance_uid: str,
        msg_id: int | None = None,
        meta_uid: str | None = None,
    ) -> tuple[Dataset, Dataset | None]:
        """Modifies attributes of an instance; `dataset` is the Modification List."""
        return self._exchange(N_SET, msg_id, class_uid, instance_uid, meta_uid, dataset)

    def send_n_action(
        self,
        dataset: Dataset | None,
        action_type: int,
        class_uid: str,
        instance_uid: str,
        msg_id: int | None = None,
        meta_uid: str | None = None,
    ) -> tuple[Dataset, Dataset | None]:
        """Asks for an action on an instance; `dataset` is the Action Information, or None."""
        return self._exchange(N_ACTION, msg_id, class_uid, instance_uid, meta_uid, dataset, action_type)

    def send_n_create(
        self,
        dataset: Dataset | None,
        class_uid: str,
        instance_uid: str | None = None,
        msg_id: int | None = None,
        meta_uid: str | None = None,
    ) -> tuple[Dataset, Dataset | None]:
        """Creates an instance; `dataset` is the Attribute List, or None.

        Without `instance_uid` the peer chooses one: `status.AffectedSOPInstanceUID`.
        """
        return self._exchange(N_CREATE, msg_id, class_uid, instance_uid, meta_uid, dataset)

    def send_n_delete(
        self,
        class_uid: str,
        instance_uid: str,
        msg_id: int | None = None,
        meta_uid: str | None = None,
    ) -> Dataset:
        """Deletes an instance. Returns the status alone."""
        return self._exchange(N_DELETE, msg_id, class_uid, instance_uid, meta_uid)[0]

    def _exchange(
        self,
        service: Service,
        msg_id: int | None,
        sop_class: str,
        sop_instance: str | None,
        meta_sop_class: str | None,
        dataset: Dataset | None = None,
        type_id: int | None = None,
        attributes: Any = None,
    ) -> tuple[Dataset, Dataset | None]:
        association = cast("AssociationBase", self)
        request = prepare(association, service, sop_class, sop_instance, meta_sop_class, dataset, type_id, attributes)
        return run(send(association, request, msg_id))
