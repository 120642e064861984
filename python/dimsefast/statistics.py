"""What servers have done: as plain dicts, and in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from ._core import _Associations, _Operation


class Metric(NamedTuple):
    """One metric of Prometheus'.

    Attributes:
        name: with its unit; a counter's ends in `_total`.
        kind: what Prometheus calls its type.
        words: what it is, in a line.
        samples: (labels, value) each.
    """

    name: str
    kind: Literal["counter", "gauge"]
    words: str
    samples: list[tuple[Mapping[str, str], float]]


def as_dict(associations: _Associations, operations: Iterable[_Operation]) -> dict[str, Any]:
    """What the core has counted, under the names of `AssociationServer.statistics`."""
    connections, opened, accepted, rejected, released, aborted = associations
    return {
        "connections": connections,
        "associations": {
            "open": opened,
            "accepted": accepted,
            "rejected": rejected,
            "released": released,
            "aborted": aborted,
        },
        "operations": {
            name: {
                "count": unanswered + sum(statuses.values()),
                "bytes": size,
                "seconds": seconds,
                "pending": pending,
                "sub_operations": sub_operations,
                "unanswered": unanswered,
                "statuses": statuses,
            }
            for name, size, seconds, pending, sub_operations, unanswered, statuses in operations
        },
    }


_ASSOCIATIONS = {
    "accepted": "Associations that were accepted.",
    "rejected": "Associations that were rejected.",
    "released": "Associations that ended by A-RELEASE.",
    "aborted": "Associations that ended in any other way.",
}
_OPERATIONS = {
    "bytes": ("dimsefast_request_bytes_total", "Bytes of datasets: received, sent in responses and sub-operations."),
    "seconds": ("dimsefast_request_seconds_total", "Seconds from requests to their final responses."),
    "pending": ("dimsefast_pending_responses_total", "Pending responses: of C-FIND its matches."),
    "sub_operations": ("dimsefast_sub_operations_total", "Objects sent for C-GET and C-MOVE."),
}


def server_metrics(found: Mapping[str, Any]) -> list[Metric]:
    """The metrics of what `AssociationServer.statistics` gives."""
    associations, operations = found["associations"], found["operations"]
    requests: list[tuple[Mapping[str, str], float]] = []
    for name, operation in operations.items():
        for status, count in operation["statuses"].items():
            requests.append(({"operation": name, "status": f"{status:04X}"}, count))
        if operation["unanswered"]:
            requests.append(({"operation": name, "status": "none"}, operation["unanswered"]))
    return [
        Metric(
            "dimsefast_connections_total", "counter", "Connections that were accepted.", [({}, found["connections"])]
        ),
        Metric("dimsefast_associations_open", "gauge", "Associations that are open.", [({}, associations["open"])]),
        *(
            Metric(f"dimsefast_associations_{key}_total", "counter", words, [({}, associations[key])])
            for key, words in _ASSOCIATIONS.items()
        ),
        Metric("dimsefast_requests_total", "counter", "Requests by operation and final status.", requests),
        *(
            Metric(
                name,
                "counter",
                words,
                [({"operation": operation}, values[key]) for operation, values in operations.items()],
            )
            for key, (name, words) in _OPERATIONS.items()
        ),
    ]


def prometheus_text(metrics: Iterable[Metric], labels: Mapping[str, str] | None = None) -> str:
    """Metrics in Prometheus' text format (version 0.0.4), with these labels on each sample besides its own."""
    lines = []
    for metric in metrics:
        lines.append(f"# HELP {metric.name} {metric.words}")
        lines.append(f"# TYPE {metric.name} {metric.kind}")
        for own, value in metric.samples:
            pairs = ",".join(f'{key}="{_escaped(text)}"' for key, text in {**(labels or {}), **own}.items())
            lines.append(f"{metric.name}{f'{{{pairs}}}' if pairs else ''} {value!r}")
    return "".join(f"{line}\n" for line in lines)


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
