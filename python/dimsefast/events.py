"""Events: what happens on an association, and what programs bind their handlers to."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from .dataset import decode_dataset, decode_object

if TYPE_CHECKING:
    from .association_base import AssociationBase
    from .request import ContextTuple, Request

LOGGER = logging.getLogger("dimsefast.events")


class InterventionEvent(NamedTuple):
    """An event that one handler answers."""

    name: str
    description: str
    is_intervention: bool = True
    is_notification: bool = False

    def __str__(self) -> str:
        return self.name


class NotificationEvent(NamedTuple):
    """An event that any number of handlers are told of."""

    name: str
    description: str
    is_intervention: bool = False
    is_notification: bool = True

    def __str__(self) -> str:
        return self.name


EventType = InterventionEvent | NotificationEvent

EVT_ABORTED = NotificationEvent("EVT_ABORTED", "The association was aborted")
EVT_ACCEPTED = NotificationEvent("EVT_ACCEPTED", "The association request was accepted")
EVT_ACSE_RECV = NotificationEvent("EVT_ACSE_RECV", "An ACSE primitive was received")
EVT_ACSE_SENT = NotificationEvent("EVT_ACSE_SENT", "An ACSE primitive was sent")
EVT_CONN_CLOSE = NotificationEvent("EVT_CONN_CLOSE", "The connection with the peer was closed")
EVT_CONN_OPEN = NotificationEvent("EVT_CONN_OPEN", "A connection with the peer was opened")
EVT_DATA_RECV = NotificationEvent("EVT_DATA_RECV", "The bytes of a PDU were received")
EVT_DATA_SENT = NotificationEvent("EVT_DATA_SENT", "The bytes of a PDU were sent")
EVT_DIMSE_RECV = NotificationEvent("EVT_DIMSE_RECV", "A DIMSE message was received")
EVT_DIMSE_SENT = NotificationEvent("EVT_DIMSE_SENT", "A DIMSE message was sent")
EVT_ESTABLISHED = NotificationEvent("EVT_ESTABLISHED", "The association was established")
EVT_FSM_TRANSITION = NotificationEvent("EVT_FSM_TRANSITION", "The state machine made a transition")
EVT_PDU_RECV = NotificationEvent("EVT_PDU_RECV", "A PDU was received")
EVT_PDU_SENT = NotificationEvent("EVT_PDU_SENT", "A PDU was sent")
EVT_REJECTED = NotificationEvent("EVT_REJECTED", "The association request was rejected")
EVT_RELEASED = NotificationEvent("EVT_RELEASED", "The association was released")
EVT_REQUESTED = NotificationEvent("EVT_REQUESTED", "An association was requested")

EVT_ASYNC_OPS = InterventionEvent("EVT_ASYNC_OPS", "Asynchronous operations window requested")
EVT_SOP_COMMON = InterventionEvent("EVT_SOP_COMMON", "SOP class common extended negotiation requested")
EVT_SOP_EXTENDED = InterventionEvent("EVT_SOP_EXTENDED", "SOP class extended negotiation requested")
EVT_USER_ID = InterventionEvent("EVT_USER_ID", "User identity negotiation requested")
EVT_C_ECHO = InterventionEvent("EVT_C_ECHO", "C-ECHO request received")
EVT_C_FIND = InterventionEvent("EVT_C_FIND", "C-FIND request received")
EVT_C_GET = InterventionEvent("EVT_C_GET", "C-GET request received")
EVT_C_MOVE = InterventionEvent("EVT_C_MOVE", "C-MOVE request received")
EVT_C_STORE = InterventionEvent("EVT_C_STORE", "C-STORE request received")
EVT_N_ACTION = InterventionEvent("EVT_N_ACTION", "N-ACTION request received")
EVT_N_CREATE = InterventionEvent("EVT_N_CREATE", "N-CREATE request received")
EVT_N_DELETE = InterventionEvent("EVT_N_DELETE", "N-DELETE request received")
EVT_N_EVENT_REPORT = InterventionEvent("EVT_N_EVENT_REPORT", "N-EVENT-REPORT request received")
EVT_N_GET = InterventionEvent("EVT_N_GET", "N-GET request received")
EVT_N_SET = InterventionEvent("EVT_N_SET", "N-SET request received")


_INTERVENTIONS = [value for value in globals().values() if isinstance(value, InterventionEvent)]


def report_exception(event: EventType, handler: Callable[..., Any]) -> None:
    """Logs what a handler raised, with the traceback that its author needs."""
    name = getattr(handler, "__name__", repr(handler))
    LOGGER.exception("Exception raised in user's 'evt.%s' event handler '%s'", event.name, name)


class Event:
    """What a handler gets: the event, the association it happened on, and what belongs to it.

    Attributes that do not fit the event raise AttributeError.

    Attributes:
        request: of a DIMSE event: its command elements by keyword.
        context: of a DIMSE event: (context_id, abstract_syntax, transfer_syntax).
    """

    request: Request
    context: ContextTuple

    def __init__(self, assoc: AssociationBase, event: EventType, attributes: dict[str, Any] | None = None) -> None:
        self.assoc = assoc
        self.event = event
        self.timestamp = datetime.now()
        self._decoded: dict[str, Dataset] = {}
        if attributes:
            if "assoc" in attributes or "event" in attributes:
                raise AttributeError("an event has an association and a kind already")
            self.__dict__.update(attributes)

    def _need(self, *events: EventType) -> Any:
        """The request, where this is one of these events."""
        if self.event not in events:
            raise AttributeError(f"{self.event.name} has no such attribute")
        return self.__dict__["request"]

    def _decode(self) -> Dataset:
        found = self._decoded.get("dataset")
        if found is None:
            request = self.__dict__["request"]
            decode = decode_object if self.event is EVT_C_STORE else decode_dataset
            found = decode(request.dataset_bytes() or b"", str(request.context.transfer_syntax))
            self._decoded["dataset"] = found
        return found

    @property
    def message_id(self) -> int:
        """Message ID of the request."""
        if "request" not in self.__dict__:
            raise AttributeError(f"{self.event.name} has no message_id")
        return int(self.__dict__["request"].MessageID)

    def afterwards(self, call: Callable[[], object]) -> None:
        """Has `call` called once the response to this request has been sent, or never will be (DIMSE events).

        It runs on the handler's thread, before the next request of the association: it hands work on, it does not wait.
        """
        if "request" not in self.__dict__:
            raise AttributeError(f"{self.event.name} has no response")
        self.__dict__["request"]._afterwards.append(call)

    @property
    def dataset(self) -> Dataset:
        """The received object (EVT_C_STORE); the same Dataset each time."""
        request = self._need(EVT_C_STORE)
        if request.dataset_path is not None and "dataset" not in self._decoded:
            # A file in which the dataset begins behind its own file meta group.
            self._decoded["dataset"] = dcmread(request.dataset_path)
        return self._decode()

    @property
    def file_meta(self) -> FileMetaDataset:
        """A file meta group for the received object (EVT_C_STORE): class, instance and transfer syntax from the
        request.
        """
        request = self._need(EVT_C_STORE)
        meta = FileMetaDataset()
        meta.FileMetaInformationGroupLength = 0
        meta.FileMetaInformationVersion = b"\0\1"
        meta.MediaStorageSOPClassUID = UID(str(request.AffectedSOPClassUID))
        meta.MediaStorageSOPInstanceUID = UID(str(request.AffectedSOPInstanceUID))
        meta.TransferSyntaxUID = UID(str(request.context.transfer_syntax))
        meta.ImplementationClassUID = self.assoc.ae.implementation_class_uid
        if self.assoc.ae.implementation_version_name:
            meta.ImplementationVersionName = self.assoc.ae.implementation_version_name
        return meta

    @property
    def dataset_path(self) -> Path:
        """The DICOM file of the received object (EVT_C_STORE), where it was received into one."""
        path = self._need(EVT_C_STORE).dataset_path
        if path is None:
            raise AttributeError("the object was received into memory: see store_to and STORE_RECV_CHUNKED_DATASET")
        return Path(path)

    def encoded_dataset(self, include_meta: bool = True) -> bytes:
        """The received object (EVT_C_STORE) as the bytes of a DICOM file, or of its dataset alone."""
        request = self._need(EVT_C_STORE)
        if not include_meta:
            return request.dataset_bytes() or b""
        ae = self.assoc.ae
        encoded: bytes = request.message.file(
            request.context.transfer_syntax, ae.implementation_class_uid, ae.implementation_version_name or ""
        )
        return encoded

    @property
    def identifier(self) -> Dataset:
        """The identifier of a C-FIND, C-GET or C-MOVE request."""
        self._need(EVT_C_FIND, EVT_C_GET, EVT_C_MOVE)
        return self._decode()

    @property
    def encoded_identifier(self) -> bytes:
        """The same, as it was received, in the transfer syntax of `context`."""
        request = self._need(EVT_C_FIND, EVT_C_GET, EVT_C_MOVE)
        return request.dataset_bytes() or b""

    @property
    def is_cancelled(self) -> bool:
        """Whether a C-CANCEL has come, or the association is over (C-FIND, C-GET, C-MOVE); False for other events.

        Of an event that a test of a handler made by hand: what `_is_cancelled` among its attributes, a function of the
        Message ID, returns.
        """
        if "_is_cancelled" in self.__dict__ and "request" in self.__dict__:
            return bool(self.__dict__["_is_cancelled"](self.message_id))
        return self.event in (EVT_C_FIND, EVT_C_GET, EVT_C_MOVE) and bool(self.__dict__["request"].is_cancelled)

    @property
    def move_destination(self) -> str:
        """AE title of the move destination (EVT_C_MOVE)."""
        return str(self._need(EVT_C_MOVE).MoveDestination)

    @property
    def action_type(self) -> int:
        """Action Type ID (EVT_N_ACTION)."""
        return int(self._need(EVT_N_ACTION).ActionTypeID)

    @property
    def action_information(self) -> Dataset:
        """The dataset of an N-ACTION request."""
        self._need(EVT_N_ACTION)
        return self._decode()

    @property
    def attribute_list(self) -> Dataset:
        """The dataset of an N-CREATE request."""
        self._need(EVT_N_CREATE)
        return self._decode()

    @property
    def event_type(self) -> int:
        """Event Type ID (EVT_N_EVENT_REPORT)."""
        return int(self._need(EVT_N_EVENT_REPORT).EventTypeID)

    @property
    def event_information(self) -> Dataset:
        """The dataset of an N-EVENT-REPORT request."""
        self._need(EVT_N_EVENT_REPORT)
        return self._decode()

    @property
    def attribute_identifiers(self) -> list[Any]:
        """The tags that an N-GET request asks for."""
        listed = self._need(EVT_N_GET).AttributeIdentifierList
        return [] if listed is None else list(listed) if isinstance(listed, list) else [listed]

    @property
    def modification_list(self) -> Dataset:
        """The dataset of an N-SET request."""
        self._need(EVT_N_SET)
        return self._decode()


Handler = Callable[..., Any]
Bound = tuple[Handler, list[Any] | None]


class HandlerTable:
    """The handlers of a server or an association. A table may be changed from any thread."""

    def __init__(self) -> None:
        self._notification: dict[EventType, list[Bound]] = {}
        self._intervention: dict[EventType, Bound] = {}
        self._lock = threading.Lock()

    def copy(self) -> HandlerTable:
        """A table with the same handlers that goes its own way from here on."""
        table = HandlerTable()
        with self._lock:
            table._notification = {event: list(bound) for event, bound in self._notification.items()}
            table._intervention = dict(self._intervention)
        return table

    def bind(self, event: EventType, handler: Handler, args: list[Any] | None = None) -> None:
        """Binds a handler: one more for a notification event, the only one for an intervention event.

        Raises TypeError for what is no event, or a handler that cannot be called.
        """
        if not isinstance(event, (InterventionEvent, NotificationEvent)):
            raise TypeError(f"handlers are bound to events such as evt.EVT_C_STORE, not {event!r}")
        if not callable(handler):
            raise TypeError(f"the handler of {event.name} is a function or another callable, not {handler!r}")
        bound: Bound = (handler, args)
        with self._lock:
            if event.is_intervention:
                self._intervention[event] = bound
                return
            handlers = self._notification.setdefault(event, [])
            if bound not in handlers:
                handlers.append(bound)

    def unbind(self, event: EventType, handler: Handler) -> None:
        """Takes a handler out; no error where it is not bound."""
        with self._lock:
            if event.is_intervention:
                if event in self._intervention and self._intervention[event][0] == handler:
                    del self._intervention[event]
                return
            left = [bound for bound in self._notification.get(event, []) if bound[0] != handler]
            if left:
                self._notification[event] = left
            else:
                self._notification.pop(event, None)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is bound."""
        return not self._intervention and not self._notification

    def has(self, event: EventType) -> bool:
        """Whether anything is bound to the event."""
        return event in self._intervention or event in self._notification

    def intervention(self, event: EventType) -> tuple[Handler, list[Any]] | None:
        """The handler that answers the event, with its arguments; None for the default."""
        bound = self._intervention.get(event)
        return None if bound is None else (bound[0], bound[1] or [])

    def get_events(self) -> list[EventType]:
        """The events that have a handler, by name; intervention events always have one."""
        with self._lock:
            return sorted({*self._notification, *_INTERVENTIONS}, key=lambda event: event.name)

    def get_handlers(self, event: EventType) -> Any:
        """[(handler, args)] of a notification event, (handler, args) of an intervention event."""
        with self._lock:
            if event.is_notification:
                return list(self._notification.get(event, []))
            return self._intervention.get(event, (None, None))

    def notify(self, assoc: AssociationBase, event: EventType, attributes: dict[str, Any] | None = None) -> None:
        """Tells the handlers of a notification event. What they raise is logged and disturbs nobody."""
        with self._lock:
            handlers = list(self._notification.get(event, []))
        for handler, args in handlers:
            try:
                handler(Event(assoc, event, attributes), *(args or []))
            except Exception:
                report_exception(event, handler)
