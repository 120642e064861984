"""What passes, in the text that people who debug DICOM know: through `logging`, as "dimsefast.traffic".

At INFO a line for each step of an association and for each request; at DEBUG the PDUs of the negotiation and the
command sets. What identifies patients is shown on request only: `_config.LOG_REQUEST_IDENTIFIERS` and
`LOG_RESPONSE_IDENTIFIERS`. Passcodes and tokens never are.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from . import _config
from .dataset import decode_dataset
from .dimse_messages import DIMSEMessage
from .pdu import A_ABORT_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ, A_RELEASE_RP, A_RELEASE_RQ, PDU
from .status import code_to_category

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from .association_base import AssociationBase
    from .presentation import PresentationContext
    from .service_user import ServiceUser

LOGGER = logging.getLogger("dimsefast.traffic")

_WIDTH = 76
#: Lines of two associations never mix.
_ONE_BLOCK = threading.Lock()
#: What a step of an association is called, sent and received.
_STEPS: dict[type[PDU], tuple[str, str]] = {
    A_ASSOCIATE_RQ: ("Requesting Association", "Association Requested"),
    A_ASSOCIATE_AC: ("Accepting Association", "Association Accepted"),
    A_ASSOCIATE_RJ: ("Rejecting Association", "Association Rejected"),
    A_RELEASE_RQ: ("Releasing Association", "Association Release Requested"),
    A_RELEASE_RP: ("Association Released", "Association Released"),
    A_ABORT_RQ: ("Aborting Association", "Association Aborted"),
}
#: What the parameters of a PDU are called.
_PARAMETERS: dict[type[PDU], str] = {
    A_ASSOCIATE_RQ: "Request Parameters:",
    A_ASSOCIATE_AC: "Accept Parameters:",
    A_ASSOCIATE_RJ: "Reject Parameters:",
    A_ABORT_RQ: "Abort Parameters:",
}
_PRIORITIES = {0: "Medium", 1: "High", 2: "Low"}
_IDENTITIES = {1: "Username", 2: "Username", 3: "Kerberos Service Ticket", 4: "SAML Assertion", 5: "JSON Web Token"}
#: "C-ECHO" and the like as the line at INFO has it.
_SERVICES = {
    "C-ECHO": "Echo",
    "C-STORE": "Store",
    "C-FIND": "Find",
    "C-GET": "Get",
    "C-MOVE": "Move",
    "C-CANCEL": "Cancel",
}
_SUBOPERATIONS = ("Remaining", "Completed", "Failed", "Warning")
#: Elements of a command set that a message is shown with, and their labels.
_LABELS = (
    ("MessageID", "Message ID"),
    ("MessageIDBeingRespondedTo", "Message ID Being Responded To"),
    ("AffectedSOPClassUID", "Affected SOP Class UID"),
    ("RequestedSOPClassUID", "Requested SOP Class UID"),
    ("AffectedSOPInstanceUID", "Affected SOP Instance UID"),
    ("RequestedSOPInstanceUID", "Requested SOP Instance UID"),
    ("MoveDestination", "Move Destination"),
    ("MoveOriginatorApplicationEntityTitle", "Move Originator"),
    ("EventTypeID", "Event Type ID"),
    ("ActionTypeID", "Action Type ID"),
    ("AttributeIdentifierList", "Attribute Identifier List"),
    ("NumberOfRemainingSuboperations", "Remaining Sub-operations"),
    ("NumberOfCompletedSuboperations", "Completed Sub-operations"),
    ("NumberOfFailedSuboperations", "Failed Sub-operations"),
    ("NumberOfWarningSuboperations", "Warning Sub-operations"),
    ("Priority", "Priority"),
    ("Status", "Status"),
    ("OffendingElement", "Offending Element"),
    ("ErrorComment", "Error Comment"),
    ("ErrorID", "Error ID"),
)


def is_wanted() -> bool:
    """Whether anybody wants to read it."""
    return _config.LOG_HANDLER_LEVEL != "none" and LOGGER.isEnabledFor(logging.INFO)


def wants_identifiers() -> bool:
    """Whether identifiers are shown, too."""
    on = _config.LOG_REQUEST_IDENTIFIERS or _config.LOG_RESPONSE_IDENTIFIERS
    return on and _config.LOG_HANDLER_LEVEL != "none" and LOGGER.isEnabledFor(logging.DEBUG)


def log_unreachable(error: OSError) -> None:
    """Logs that no connection came about."""
    LOGGER.error("Association request failed: unable to connect to remote")
    LOGGER.error("TCP Initialisation Error: %s", error)


def log_timeout(kind: str) -> None:
    """Logs that an answer did not come in time: of "ACSE" or "DIMSE"."""
    waited = "response" if kind == "ACSE" else "message response"
    LOGGER.error("%s timeout reached while waiting for %s", kind, waited)


def log_pdu(pdu: PDU, sent: bool) -> None:
    """Logs a PDU that passed. P-DATA-TF is not shown: the messages in it are."""
    step = _STEPS.get(type(pdu))
    if step is None or not is_wanted():
        return
    LOGGER.info(step[not sent])
    parameters = _PARAMETERS.get(type(pdu))
    if parameters is not None and LOGGER.isEnabledFor(logging.DEBUG):
        LOGGER.debug(parameters)
        _log_block(f"{'OUTGOING' if sent else 'INCOMING'} {pdu.name} PDU", f"{pdu.name} PDU", pdu_lines(pdu, sent))


def log_message(message: DIMSEMessage, sent: bool, association: AssociationBase, ordinal: int) -> None:
    """Logs a DIMSE message that passed; `ordinal` tells which response to its request it is, from 1 on."""
    service, _, direction = message.message_type.rpartition(" ")
    step = "Sending" if sent else "Received"
    name = _SERVICES.get(service, service)
    command = message.command_set
    if direction == "RSP":
        status = _status(command.get("Status"))
        if not sent and service in ("C-FIND", "C-GET", "C-MOVE"):
            _log_answer(name, command, ordinal)
        else:
            LOGGER.info("%s %s Response (Status: %s)", step, name, status)
    else:
        number = command.get("MessageID", command.get("MessageIDBeingRespondedTo"))
        LOGGER.info("Sending %s Request: MsgID %s" if sent else "Received %s Request (MsgID %s)", name, number)
    if not LOGGER.isEnabledFor(logging.DEBUG):
        return
    _log_block(f"{'OUTGOING' if sent else 'INCOMING'} DIMSE MESSAGE", "DIMSE MESSAGE", message_lines(message))
    shown = _config.LOG_RESPONSE_IDENTIFIERS if direction == "RSP" else _config.LOG_REQUEST_IDENTIFIERS
    if shown and message.data_set is not None and service in ("C-FIND", "C-GET", "C-MOVE"):
        syntax = str(association._context_tuple(message.context_id).transfer_syntax)
        LOGGER.debug("# Identifier\n%s", decode_dataset(message.data_set.getvalue(), syntax))


def _log_answer(name: str, command: Dataset, ordinal: int) -> None:
    """Logs a response to our C-FIND, C-GET or C-MOVE."""
    code = command.get("Status")
    # PS3.4 Annex HH: the one status of a C-FIND that is no end and not Pending either.
    if code == 0xB001 and name == "Find":
        words = "Warning - Matching reached response limit, subsequent request may return additional matches"
    else:
        words = "none" if code is None else code_to_category(code)
    is_last = code not in (0xFF00, 0xFF01, 0xB001)
    what = "Result: " if is_last else f"Response: {ordinal} - "
    LOGGER.info("%s SCP %s%s (%s)", name, what, "none" if code is None else f"0x{code:04X}", words)
    if name != "Find":
        counts = [command.get(f"NumberOf{which}Suboperations") or 0 for which in _SUBOPERATIONS]
        LOGGER.info("Sub-Operations Remaining: %s, Completed: %s, Failed: %s, Warning: %s", *counts)


def _log_block(title: str, end: str, lines: list[str]) -> None:
    with _ONE_BLOCK:
        for line in (f"{f' {title} ':=^{_WIDTH}}", *lines, f"{f' END {end} ':=^{_WIDTH}}"):
            # What a peer chose must not steer a terminal, nor make lines of its own.
            LOGGER.debug("%s", line if line.isprintable() else line.encode("unicode_escape").decode("ascii"))


def message_lines(message: DIMSEMessage) -> list[str]:
    """The command set of a message, an element a line."""
    command = message.command_set
    rows: list[tuple[str, Any]] = [
        ("Message Type", message.message_type),
        ("Presentation Context ID", message.context_id),
    ]
    for keyword, label in _LABELS:
        if keyword in command:
            rows.append((label, _shown(keyword, command[keyword].value)))
    identifies = message.message_type.startswith(("C-FIND", "C-GET", "C-MOVE"))
    rows.append(("Identifier" if identifies else "Data Set", "Present" if message.has_dataset else "None"))
    return [f"{label:<30}: {value}" for label, value in rows]


def _shown(keyword: str, value: Any) -> Any:
    if keyword == "Status":
        return f"0x{value:04X}"
    if keyword == "Priority":
        return _PRIORITIES.get(value, value)
    return value.name if keyword.endswith("SOPClassUID") and hasattr(value, "name") else value


def _status(code: int | None) -> str:
    return "none" if code is None else f"0x{code:04X} - {code_to_category(code)}"


def pdu_lines(pdu: PDU, sent: bool = True) -> list[str]:
    """The parameters of a PDU, one a line; none for those that have none."""
    if isinstance(pdu, A_ASSOCIATE_RJ):
        return [f"Result:    {pdu.result_str}", f"Source:    {pdu.source_str}", f"Reason:    {pdu.reason_str}"]
    if isinstance(pdu, A_ABORT_RQ):
        return [f"Abort Source: {pdu.source_str}", f"Abort Reason: {pdu.reason_str}"]
    if isinstance(pdu, (A_ASSOCIATE_RQ, A_ASSOCIATE_AC)):
        return _associate_lines(pdu, "Our" if sent else "Their")
    return []


def _associate_lines(pdu: A_ASSOCIATE_RQ | A_ASSOCIATE_AC, whose: str) -> list[str]:
    user = pdu.user_information
    is_request = isinstance(pdu, A_ASSOCIATE_RQ)
    lines = [
        f"{f'{whose} Implementation Class UID:':<34} {user.implementation_class_uid or 'unknown'}",
        f"{f'{whose} Implementation Version Name:':<34} {user.implementation_version_name or 'unknown'}",
        f"Application Context Name:    {pdu.application_context_name}",
        f"Calling Application Name:    {pdu.calling_ae_title}",
        f"Called Application Name:     {pdu.called_ae_title}",
        f"{f'{whose} Max PDU Receive Size:':<28} {user.maximum_length}",
        "Presentation Context:" if is_request and len(pdu.presentation_context) == 1 else "Presentation Contexts:",
    ]
    for context in sorted(pdu.presentation_context, key=lambda context: context.context_id or 0):
        lines += _context_lines(context, user, is_request)
    return lines + _negotiation_lines(user, "Requested" if is_request else "Accepted")


def _context_lines(context: PresentationContext, user: ServiceUser, is_request: bool) -> list[str]:
    how = "Proposed" if is_request else "Accepted"
    name = "" if context.abstract_syntax is None else context.abstract_syntax.name
    lines = [
        f"  Context ID:        {context.context_id} ({how if is_request else context.status})",
        f"    Abstract Syntax: ={name}",
    ]
    if not is_request and context.result != 0:
        return lines
    item = user.role_selection.get(context.abstract_syntax) if context.abstract_syntax is not None else None
    roles = [] if item is None else [name for name, on in (("SCP", item.scp_role), ("SCU", item.scu_role)) if on]
    lines.append(f"    {how} SCP/SCU Role: {'/'.join(roles) if item is not None else 'Default'}")
    names = [syntax.name for syntax in context.transfer_syntax]
    if not is_request:
        return [*lines, f"    Accepted Transfer Syntax: ={names[0]}"]
    title = "Proposed Transfer Syntax:" if len(names) == 1 else "Proposed Transfer Syntaxes:"
    return [*lines, f"    {title}", *(f"      ={name}" for name in names)]


def _negotiation_lines(user: ServiceUser, how: str) -> list[str]:
    extended = [
        line
        for sop_class, information in user.sop_class_extended.items()
        for line in (f"  SOP Class: ={sop_class.name}", f"    {information.hex(' ')}")
    ]
    lines = _titled(f"{how} Extended Negotiation:", extended)
    if how == "Requested":
        common = []
        for sop_class, item in user.sop_class_common_extended.items():
            service = item.service_class_uid
            common += [f"  SOP Class: ={sop_class.name}", f"    Service Class: ={service.name if service else ''}"]
            related = [f"      ={one.name}" for one in item.related_general_sop_class_identification]
            common += _titled("    Related General SOP Classes:", related)
        lines += _titled("Requested Common Extended Negotiation:", common)
    window = user.asynchronous_operations
    operations = [f"  Maximum Invoked Operations:     {window[0]}", f"  Maximum Performed Operations:   {window[1]}"]
    title = f"{how} Asynchronous Operations Window Negotiation:"
    lines += _titled(title, operations if window != (1, 1) else [])
    identity = user.user_identity
    if how == "Accepted":
        return [*lines, f"User Identity Negotiation Response: {'None' if identity is None else 'Yes'}"]
    return lines + _titled(
        "Requested User Identity Negotiation:", [] if identity is None else _identity_lines(identity)
    )


def _identity_lines(identity: Any) -> list[str]:
    kind = identity.user_identity_type
    primary = identity.primary_field or b""
    name = _IDENTITIES.get(kind, "Unknown")
    lines = [f"  Authentication Mode: {kind} - {name}{'/Password' if kind == 2 else ''}"]
    if kind in (1, 2):
        lines.append(f"  Username: [{primary.decode('utf-8', 'replace')}]")
    else:
        lines.append(f"  {name} (not dumped) length: {len(primary)}")
    if kind == 2:
        lines.append("  Password: (not dumped)")
    asked = "Yes" if identity.positive_response_requested else "No"
    return [*lines, f"  Positive Response Requested: {asked}"]


def _titled(title: str, lines: list[str]) -> list[str]:
    return [title, *lines] if lines else [f"{title} None"]
