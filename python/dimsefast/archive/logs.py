"""What an archive server logs: lines for people or JSON objects for programs, without patient data unless asked."""

from __future__ import annotations

import datetime
import json
import logging
import logging.handlers
from typing import Any

from .. import dump, evt
from ..client.reports import size_words
from ..dataset import decode_dataset
from ..events import Event, EventType
from ..log import LOGGER, refresh_level
from ..services.operations_log import Operation, peer_fields
from .settings import LogSettings

ASSOCIATIONS = logging.getLogger("dimsefast.associations")


def start_logging(settings: LogSettings) -> logging.Handler:
    """Sends what the library logs where the settings say. Raises OSError where the file cannot be written.

    A log file may be renamed at any time: a new one is begun then.
    """
    handler: logging.Handler
    if settings.file:
        handler = logging.handlers.WatchedFileHandler(settings.file, encoding="utf-8", errors="backslashreplace")
    else:
        handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter(settings) if settings.format == "json" else TextFormatter(settings))
    handler.addFilter(_is_wanted)
    LOGGER.addHandler(handler)
    LOGGER.setLevel(settings.level.upper())
    if settings.level != "debug":
        # Its lines at INFO, message by message, say less than ours do, and each association pays for them.
        dump.LOGGER.setLevel(logging.WARNING)
    refresh_level()
    return handler


def stop_logging(handler: logging.Handler) -> None:
    """Undoes `start_logging`."""
    LOGGER.removeHandler(handler)
    handler.close()
    LOGGER.setLevel(logging.NOTSET)
    dump.LOGGER.setLevel(logging.NOTSET)
    refresh_level()


def _is_wanted(record: logging.LogRecord) -> bool:
    """Not the core's own lines on associations, which `association_handlers` tells with more in them."""
    is_of_core = record.name == LOGGER.name and record.levelno <= logging.INFO
    return not (is_of_core and record.getMessage().startswith("association "))


def _identifier(record: logging.LogRecord) -> dict[str, Any] | None:
    """The identifier of the request that a record is about, in the DICOM JSON model; None where it has none."""
    operation: Operation | None = getattr(record, "operation", None)
    if operation is None:
        return None
    message = operation.request.message
    if not message.has_dataset:
        return None
    try:
        syntax = str(operation.request.context.transfer_syntax)
        return decode_dataset(message.dataset() or b"", syntax).to_json_dict(suppress_invalid_tags=True)
    except Exception as error:
        # What a peer has sent may be no dataset.
        return {"undecodable": str(error)}


class JsonFormatter(logging.Formatter):
    """A JSON object a line: `ts`, `level`, `logger`, `message`, and what is known of peer, AE titles, operation, status
    and counts. All ASCII.
    """

    def __init__(self, settings: LogSettings) -> None:
        super().__init__()
        self._patient_data = settings.patient_data

    def format(self, record: logging.LogRecord) -> str:
        """Called by `logging`."""
        when = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        row: dict[str, Any] = {
            "ts": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        operation: Operation | None = getattr(record, "operation", None)
        row |= getattr(record, "fields", {}) if operation is None else operation.fields
        if self._patient_data and (identifier := _identifier(record)) is not None:
            row["identifier"] = identifier
        if record.exc_info:
            row["exception"] = self.formatException(record.exc_info)
        return json.dumps(row, default=str)


class TextFormatter(logging.Formatter):
    """Lines for people. What a peer has sent cannot end a line or move the cursor."""

    def __init__(self, settings: LogSettings) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s")
        self._patient_data = settings.patient_data

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        """Called by `logging`."""
        text = super().formatMessage(record)
        if self._patient_data and (identifier := _identifier(record)) is not None:
            text = f"{text}: {json.dumps(identifier, default=str)}"
        return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def association_handlers() -> list[tuple[EventType, Any]]:
    """Handlers that log the beginning and end of each association, with what was stored over it."""
    rejected: list[tuple[EventType, Any]] = [(evt.EVT_REJECTED, _rejected)]
    # Each is a call of Python for each association.
    if not ASSOCIATIONS.isEnabledFor(logging.INFO):
        return rejected
    return [*rejected, (evt.EVT_ESTABLISHED, _established), (evt.EVT_RELEASED, _released), (evt.EVT_ABORTED, _aborted)]


def _tell(event: Event, what: str, words: str = "", level: int = logging.INFO, **more: str | int) -> None:
    fields = {"association": what, **peer_fields(event.assoc), **more}
    who = f"{fields['calling']}@{fields['peer']} at {fields['called']}"
    told = f": {words}" if words else ""
    ASSOCIATIONS.log(level, "association %s: %s%s", what, who, told, extra={"fields": fields})


def _established(event: Event) -> None:
    _tell(event, "accepted", contexts=len(event.assoc.accepted_contexts))


def _rejected(event: Event) -> None:
    _tell(event, "rejected", level=logging.WARNING)


def _released(event: Event) -> None:
    _over(event, "released", "")


def _aborted(event: Event) -> None:
    if event.assoc._negotiation is not None:
        _over(event, "aborted", event.assoc._ending())


def _over(event: Event, what: str, cause: str) -> None:
    connection = event.assoc._connection
    echoes, stored, not_stored, size = (0, 0, 0, 0) if connection is None else connection.counts
    words = [cause] if cause else []
    if stored or not_stored:
        words.append(f"{stored} objects stored, {size_words(size)}")
    if not_stored:
        words.append(f"{not_stored} not stored")
    if echoes:
        words.append(f"{echoes} echoes")
    more: dict[str, Any] = {"echoes": echoes, "stored": stored, "not_stored": not_stored, "bytes": size}
    if cause:
        more["cause"] = cause
    _tell(event, what, ", ".join(words), **more)
