"""The settings of `dimsefast serve`: their names, defaults, what they may be, and what they are for.

Each has its place here once. The configuration file, the flags of the command line and what `--print-config` writes
are made of it. Values are as TOML has them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields
from typing import Any, Final, Literal

from .._validators import validate_ae_title
from ..ae import DEFAULT_MAXIMUM_PDU_SIZE
from ..client.peer import parse_address

#: What a peer may be let do, in the order in which it is told.
OPERATIONS: Final = ("echo", "store", "find", "move", "get", "worklist", "commitment", "mpps")


class Kind:
    """What a value may be. `check` raises ValueError, whose words follow the setting's name."""

    def check(self, value: Any) -> None:
        """Whether it is one."""
        if not isinstance(value, str):
            raise ValueError(f"is a text, not {value!r}")


class Text(Kind):
    """Any text; empty for none."""


class File(Kind):
    """A path, relative to the folder of the configuration file; empty for none."""


class Offset(Kind):
    """A UTC offset, or empty for none."""

    def check(self, value: Any) -> None:
        """Whether it is one."""
        if not isinstance(value, str) or not re.fullmatch(r"(?:[+-](?:0\d|1[0-4])[0-5]\d)?", value):
            raise ValueError(f"is a UTC offset such as +0100, not {value!r}")


@dataclass(frozen=True)
class Choice(Kind):
    """One of these."""

    values: tuple[str, ...]

    def check(self, value: Any) -> None:
        """Whether it is one."""
        if value not in self.values:
            raise ValueError(f"is {' or '.join(map(repr, self.values))}, not {value!r}")


@dataclass(frozen=True)
class Whole(Kind):
    """A whole number."""

    least: int = 0
    most: int = 2**32 - 1

    def check(self, value: Any) -> None:
        """Whether it is one."""
        if isinstance(value, bool) or not isinstance(value, int) or not self.least <= value <= self.most:
            raise ValueError(f"is a whole number from {self.least} to {self.most}, not {value!r}")


class Seconds(Kind):
    """A time; 0 for no limit."""

    def check(self, value: Any) -> None:
        """Whether it is one."""
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e9:
            raise ValueError(f"is a number of seconds, 0 for no limit, not {value!r}")


class Switch(Kind):
    """Yes or no."""

    def check(self, value: Any) -> None:
        """Whether it is one."""
        if not isinstance(value, bool):
            raise ValueError(f"is true or false, not {value!r}")


class Titles(Kind):
    """One AE title or more."""

    def check(self, value: Any) -> None:
        """Whether it is that."""
        if not isinstance(value, (list, tuple)) or not value:
            raise ValueError(f"is a list of AE titles, not {value!r}")
        for title in value:
            check_title(title)


class Operations(Kind):
    """What peers may do."""

    def check(self, value: Any) -> None:
        """Whether it is that."""
        known = f"a list of operations ({', '.join(OPERATIONS)})"
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"is {known}, not {value!r}")
        for operation in value:
            if operation not in OPERATIONS:
                raise ValueError(f"is {known}: {operation!r} is none of them")


@dataclass(frozen=True)
class Address(Kind):
    """host:port; empty for none, where that is allowed."""

    lowest_port: int = 0
    may_be_empty: bool = False

    def check(self, value: Any) -> None:
        """Whether it is one."""
        if self.may_be_empty and value == "":
            return
        if not isinstance(value, str):
            raise ValueError(f"is host:port, not {value!r}")
        try:
            host, _ = parse_address(value, "an address", "host:port", self.lowest_port)
        except ValueError as error:
            raise ValueError(f"is no address: {error}") from None
        if not host:
            raise ValueError(f"is host:port, unlike {value!r}: it has no host")


def check_title(title: Any) -> None:
    """Whether it is an AE title; else ValueError, whose words follow a setting's name."""
    try:
        validate_ae_title(title, "an AE title")
    except (TypeError, ValueError) as error:
        raise ValueError(f"has a title that is none: {error}") from None


def _setting(default: Any, kind: Kind, words: str, flags: str) -> Any:
    return field(default=default, metadata={"kind": kind, "words": words, "flags": flags.split()})


@dataclass(frozen=True)
class StorageSettings:
    """Where the objects are."""

    location: str = _setting("", File(), "The folder of the archive, or its URL file:///...", "")
    database: str = _setting(
        "", Text(), "SQLAlchemy's URL of the index. Empty: SQLite, in the folder of the archive.", "--database"
    )
    durability: Literal["process", "power"] = _setting(
        "process",
        Choice(("process", "power")),
        "What an object that was acknowledged survives: the end of the process, or of the power.",
        "--durability",
    )
    duplicates: Literal["keep", "replace", "refuse"] = _setting(
        "replace",
        Choice(("keep", "replace", "refuse")),
        "What becomes of an object whose UID is there already, with other contents.",
        "--duplicates",
    )


@dataclass(frozen=True)
class NetworkSettings:
    """How it is called, and where."""

    address: str = _setting("0.0.0.0", Text(), "The address to listen at.", "--address")
    port: int = _setting(11112, Whole(0, 65535), "The port to listen at; 0 takes a free one.", "-p --port")
    ae_titles: tuple[str, ...] = _setting(("ARCHIVE",), Titles(), "Its own AE titles.", "-aet --ae-title")
    require_called_aet: bool = _setting(
        True, Switch(), "Whether peers must call it by one of its AE titles.", "--require-called-aet"
    )
    maximum_associations: int = _setting(
        100, Whole(1, 1_000_000), "Associations at the same time; more are rejected.", "--maximum-associations"
    )
    maximum_associations_per_peer: int = _setting(
        0, Whole(), "The same for each calling AE title; 0 for no limit.", "--maximum-associations-per-peer"
    )
    maximum_pdu: int = _setting(
        DEFAULT_MAXIMUM_PDU_SIZE, Whole(), "Longest PDU that is received, in bytes; 0 for no limit.", "-pdu --max-pdu"
    )
    acse_timeout: float = _setting(
        30,
        Seconds(),
        "Longest wait for an association's request or release, in seconds; 0 for no limit.",
        "--acse-timeout",
    )
    dimse_timeout: float = _setting(
        30, Seconds(), "Longest wait for each message of a peer, in seconds; 0 for no limit.", "--dimse-timeout"
    )
    network_timeout: float = _setting(
        60, Seconds(), "An association without traffic ends after so many seconds; 0 for never.", "--network-timeout"
    )
    shutdown_timeout: float = _setting(
        30,
        Seconds(),
        "At the end, what is in progress gets so many seconds; 0 for as long as it takes.",
        "--shutdown-timeout",
    )


@dataclass(frozen=True)
class QuerySettings:
    """What queries may do."""

    relational: bool = _setting(
        True,
        Switch(),
        "Whether relational queries and retrievals are granted where they are negotiated.",
        "--relational",
    )
    fuzzy: bool = _setting(
        True, Switch(), "Whether names are matched by their sound where that is negotiated.", "--fuzzy"
    )
    maximum_matches: int = _setting(
        0, Whole(), "A query with more matches ends with A700H; 0 for no limit.", "--maximum-matches"
    )
    local_timezone: str = _setting(
        "", Offset(), "UTC offset of what says none: +0100. Empty: unknown.", "--local-timezone"
    )
    worklist: str = _setting(
        "", File(), "Folder of worklist items, DICOM files or JSON. Empty: there is no worklist.", "--worklist"
    )


@dataclass(frozen=True)
class WorkflowSettings:
    """What it offers beside storing and querying."""

    commitment: bool = _setting(True, Switch(), "Whether storage commitment is offered.", "--commitment")
    report_on_same_association: bool = _setting(
        True,
        Switch(),
        "Whether results of storage commitment go over the requestor's own association while that lasts. "
        "Where they cannot, they go to the requestor's address in the destinations.",
        "--report-on-same-association",
    )
    mpps: bool = _setting(True, Switch(), "Whether modality performed procedure steps are kept.", "--mpps")


@dataclass(frozen=True)
class LogSettings:
    """What is logged, and how."""

    level: str = _setting(
        "info", Choice(("debug", "info", "warning", "error")), "The least that is logged.", "-ll --log-level"
    )
    format: str = _setting(
        "text", Choice(("text", "json")), "Lines for people, or a JSON object a line.", "--log-format"
    )
    file: str = _setting("", File(), "The file that is logged to. Empty: the standard error output.", "--log-file")
    patient_data: bool = _setting(
        False, Switch(), "Whether identifiers of queries, with names of patients, are logged.", "--log-patient-data"
    )


@dataclass(frozen=True)
class MetricsSettings:
    """Metrics, health and readiness by HTTP."""

    address: str = _setting(
        "",
        Address(may_be_empty=True),
        "host:port of /metrics, /healthz and /readyz. Empty: there are none.",
        "--metrics",
    )
    minimum_free_space: int = _setting(
        1_000_000_000,
        Whole(0, 2**63 - 1),
        "It is ready while so many bytes are free for objects.",
        "--minimum-free-space",
    )


@dataclass(frozen=True)
class DestinationSettings:
    """Where a C-MOVE sends objects, and where results of storage commitment are reported to."""

    address: str = _setting("", Address(1), "host:port.", "")
    parallel_associations: int = _setting(1, Whole(1, 64), "Associations that carry objects at once.", "")
    retries: int = _setting(0, Whole(0, 100), "How often an object that failed is sent again.", "")
    decompress: bool = _setting(
        False, Switch(), "Whether pixel data may be decoded where it is not taken as it is.", ""
    )


@dataclass(frozen=True)
class AccessSettings:
    """Who may do what."""

    others: tuple[str, ...] = _setting(
        OPERATIONS, Operations(), "What AEs that are not named below may do; [] rejects them.", "--access-others"
    )
    #: By calling AE title.
    peers: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Configuration:
    """All of it."""

    storage: StorageSettings = field(default_factory=StorageSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    query: QuerySettings = field(default_factory=QuerySettings)
    workflow: WorkflowSettings = field(default_factory=WorkflowSettings)
    log: LogSettings = field(default_factory=LogSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    access: AccessSettings = field(default_factory=AccessSettings)
    #: By AE title.
    destinations: dict[str, DestinationSettings] = field(default_factory=dict)


#: The sections whose settings are plain values.
SECTIONS: Final[dict[str, type[Any]]] = {
    "storage": StorageSettings,
    "network": NetworkSettings,
    "query": QuerySettings,
    "workflow": WorkflowSettings,
    "log": LogSettings,
    "metrics": MetricsSettings,
    "access": AccessSettings,
}


def settings_of(section: type[Any]) -> Iterator[Field[Any]]:
    """Its settings that are plain values."""
    return (setting for setting in fields(section) if "kind" in setting.metadata)
