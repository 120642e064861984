"""What can go wrong with an association, as exceptions that name the peer."""

from __future__ import annotations

from pydicom.dataset import Dataset

_RESULTS = {1: "permanently", 2: "for now"}
_REASONS = {
    (1, 1): "it gives no reason",
    (1, 2): "it does not support the DICOM application context",
    (1, 3): "it does not know our AE title: have it registered there",
    (1, 7): "it does not answer to that AE title: check the called AE title",
    (2, 1): "its service provider gives no reason",
    (2, 2): "it does not support version 1 of the upper layer protocol",
    (3, 1): "it is congested: try again later",
    (3, 2): "it has reached its limit of associations: try again later",
}


class DimsefastError(Exception):
    """Any error of this library."""


class AssociationError(DimsefastError):
    """No association came about, or it broke.

    Attributes:
        peer: "AET@host:port" of the peer.
    """

    def __init__(self, peer: str, message: str) -> None:
        super().__init__(f"{peer}: {message}")
        self.peer = peer


class AssociationRejected(AssociationError):
    """The peer rejected the association (PS3.8 Table 9-21).

    Attributes:
        result: 1 permanent, 2 transient.
        source: 1 service user, 2 and 3 service provider.
        reason: its meaning depends on the source.
    """

    def __init__(self, peer: str, result: int, source: int, reason: int) -> None:
        words = _REASONS.get((source, reason), f"source {source}, reason {reason}")
        super().__init__(peer, f"association rejected {_RESULTS.get(result, f'with result {result}')}: {words}")
        self.result, self.source, self.reason = result, source, reason


class AssociationAborted(AssociationError):
    """The association was aborted, by either side, or its connection was lost.

    Attributes:
        source: 0 service user, 2 service provider.
        reason: of the service provider (PS3.8 Table 9-26).
    """

    def __init__(self, peer: str, source: int, reason: int, words: str) -> None:
        super().__init__(peer, f"association aborted: {words or 'no cause given'}")
        self.source, self.reason = source, reason


class AssociationTimeout(AssociationError, TimeoutError):
    """The peer did not answer in time."""


class PeerUnreachable(AssociationError, ConnectionError):
    """No connection with the peer could be made: nobody listens there, or the name or route is wrong."""

    def __init__(self, peer: str, message: str) -> None:
        super().__init__(peer, f"cannot be reached: {message}; check its host name, port and firewall")


class TLSFailed(AssociationError, ConnectionError):
    """There is no TLS with the peer, or there is where none was expected.

    Attributes:
        kind: of the peer's certificate "untrusted", "expired", "not yet valid", "wrong name", "revoked", "bad
            certificate" or "no certificate"; "refused" where the peer did not like ours; "version" where one side's
            versions are too old, "nothing in common" for suites; "not TLS" where one side speaks plain DICOM; "closed",
            "timeout" or "protocol".
    """

    def __init__(self, peer: str, kind: str, message: str) -> None:
        super().__init__(peer, message)
        self.kind = kind


class ServiceNotSupported(AssociationError):
    """The peer took the association, but not the presentation contexts that the work needs."""


class StatusError(DimsefastError):
    """The peer answered a request with a status that is a failure.

    Attributes:
        peer: "AET@host:port" of the peer.
        operation: "C-FIND" and the like.
        status: the status code.
        comment: the peer's Error Comment; empty where it sent none.
    """

    def __init__(self, peer: str, operation: str, status: int, comment: str = "", advice: str = "") -> None:
        words = f"{peer}: {operation} failed: {status_words(status)}"
        super().__init__(words + (f" ({comment!r})" if comment else "") + (f": {advice}" if advice else ""))
        self.peer, self.operation, self.status, self.comment = peer, operation, status, comment


class ReceiverError(DimsefastError):
    """Objects that were to come to our own C-STORE receiver cannot come, or did not."""


_STATUSES = {
    0x0000: "success",
    0x0105: "no such attribute",
    0x0106: "invalid attribute value",
    0x0110: "processing failure",
    0x0111: "duplicate SOP instance",
    0x0112: "no such SOP instance",
    0x0113: "no such event type",
    0x0114: "no such argument",
    0x0115: "invalid argument value",
    0x0117: "invalid SOP instance",
    0x0118: "no such SOP class",
    0x0119: "class-instance conflict",
    0x0120: "missing attribute",
    0x0121: "missing attribute value",
    0x0122: "SOP class not supported",
    0x0123: "no such action type",
    0x0124: "refused: not authorized",
    0x0131: "duplicate transaction UID",
    0x0210: "duplicate invocation",
    0x0211: "unrecognized operation",
    0x0212: "mistyped argument",
    0x0213: "resource limitation",
    0xA701: "refused: out of resources, unable to calculate the number of matches",
    0xA702: "refused: out of resources, unable to perform sub-operations",
    0xA801: "refused: move destination unknown",
    0xB000: "warning: sub-operations complete, one or more failed or with warning",
    0xB006: "warning: elements discarded",
    0xB007: "warning: dataset does not match SOP class",
    0xFE00: "cancelled",
}


def status_words(status: int) -> str:
    """A status in words (PS3.4, PS3.7 Annex C), with its code."""
    words = _STATUSES.get(status)
    if words is None and 0xA700 <= status <= 0xA7FF:
        words = "refused: out of resources"
    elif words is None and 0xA900 <= status <= 0xA9FF:
        words = "dataset or identifier does not match SOP class"
    elif words is None and 0xC000 <= status <= 0xCFFF:
        words = "unable to process"
    elif words is None and 0xB000 <= status <= 0xBFFF:
        words = "warning"
    return f"{words or 'failure'} ({status:04X}H)"


class MatchError(DimsefastError, ValueError):
    """An identifier that a query cannot be made of.

    Attributes:
        status: the status for the response, A900H or C000H.
        offending_element: the tag that is at fault, or None.
        comment: at most 64 characters for the Error Comment.
    """

    def __init__(self, status: int, offending_element: int | None, comment: str) -> None:
        super().__init__(comment)
        self.status, self.offending_element, self.comment = status, offending_element, comment

    def as_status(self) -> Dataset:
        """The status to yield as the final one of a C-FIND, C-MOVE or C-GET handler."""
        status = Dataset()
        status.Status = self.status
        if self.offending_element is not None:
            status.OffendingElement = self.offending_element
        status.ErrorComment = self.comment
        return status
