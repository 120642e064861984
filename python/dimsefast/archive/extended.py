"""Extended negotiation of queries and retrievals (PS3.4 C.5.1.1, C.5.2.1, C.5.3.1, K.6.1.1): a byte for each option."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from ..matching import information_model
from .search import Options
from .worklist import MODEL as WORKLIST

if TYPE_CHECKING:
    from ..association_base import AssociationBase

#: The options by the place of their byte; None for enhanced multi-frame conversion, which is not done.
_FIND: Final = ("relational", "datetime", "fuzzy", "timezone", None, "empty_value", "multiple_value")
_RETRIEVE: Final = ("relational", None)
#: The first two are reserved; dates and times are always combined.
_WORKLIST: Final = (None, None, "fuzzy", "timezone")


def _offered(model: str) -> tuple[str | None, ...]:
    if model == WORKLIST:
        return _WORKLIST
    root, retrieves = information_model(model)
    if root is None:
        return ()
    return _RETRIEVE if retrieves else _FIND


def answer(model: str, requested: bytes, refused: Collection[str] = ()) -> bytes | None:
    """The service class application information for what was requested for a SOP class; None where it has none.

    `refused` are options that are never granted.
    """
    offered = _offered(model)
    if not offered:
        return None
    granted = [option is not None and option not in refused for option in offered]
    return bytes(asked == 1 and grants for asked, grants in zip(requested, granted, strict=False))


def negotiated(association: AssociationBase, model: str, refused: Collection[str] = ()) -> Options:
    """What was negotiated over an association for a SOP class."""
    # The answer follows from the request alone, so that nobody has to remember it.
    requested = association.requestor.sop_class_extended.get(model, b"")  # type: ignore[call-overload]
    agreed = answer(model, requested, refused) or b""
    return Options(**{option: True for option, on in zip(_offered(model), agreed, strict=False) if option and on})
