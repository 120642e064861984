"""The destination of a C-MOVE: the association that its objects are stored over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..presentation import PresentationContext, build_context
from ..requests import CONVERTIBLE, Fitting, StoreObject, fitting_context, send_object

if TYPE_CHECKING:
    from ..association import Association
    from ..request import Request

#: PS3.8 9.3.2.2: presentation context IDs are odd, 1 to 255.
MOST_CONTEXTS = 128


class Unreachable(Exception):
    """No association with the destination could be had."""


class Destination:
    """Where a C-MOVE sends its objects.

    One association is open at a time. It proposes what the handler named or, where it named nothing, what the objects
    so far need: one
    context for each pair of SOP class and transfer syntax, because a context ends with one transfer syntax. An object
    that the open
    association has no context for is sent over another one that proposes it as well.
    """

    def __init__(
        self, association: Association, request: Request, address: tuple[str, int], options: dict[str, Any]
    ) -> None:
        self._parent = association
        self._address = address
        self._options = {"ae_title": request.MoveDestination, **options}
        given = self._options.pop("contexts", None)
        self._given: list[PresentationContext] = list(given or [])
        self._pairs: list[tuple[str, str]] = []
        self._refused: set[tuple[str, str]] = set()
        self._originator = (association.requestor.ae_title.strip() or "ANONYMOUS", int(request.MessageID or 0))
        self._association: Association | None = None

    def store(self, item: StoreObject, priority: int) -> int:
        """Stores one object; returns the destination's status.

        Raises Unreachable, ValueError (no context for it, or not encodable), TimeoutError and ConnectionAbortedError.
        """
        association, fitting = self._fitting(item)
        connection = association._live()
        number = connection.begin(None)
        try:
            message = send_object(
                association, connection, number, item, fitting, priority, self._originator, self._parent._connection
            )
        except (TimeoutError, ConnectionAbortedError):
            connection.abort()
            raise
        finally:
            connection.forget(number)
        return message.status if message.status is not None else 0xC000

    def _fitting(self, item: StoreObject) -> tuple[Association, Fitting]:
        association = self._association
        if association is not None and not association.is_established:
            association = None
        if association is None:
            if not self._given:
                self._need(item)
            association = self._open()
        try:
            return association, fitting_context(association, item)
        except ValueError:
            if not self._need(item):
                raise
        association.release()
        association = self._open()
        try:
            return association, fitting_context(association, item)
        except ValueError:
            self._refused.add((item.sop_class, item.transfer_syntax))
            raise

    def _need(self, item: StoreObject) -> bool:
        """Adds the contexts that an object needs; whether there is anything new in that."""
        own = item.transfer_syntax
        if (item.sop_class, own) in self._refused:
            return False
        syntaxes = (own, *(syntax for syntax in CONVERTIBLE if syntax != own and own in CONVERTIBLE))
        missing = [pair for syntax in syntaxes if (pair := (item.sop_class, syntax)) not in self._pairs]
        self._pairs = [*self._pairs, *missing]
        return bool(missing)

    def _open(self) -> Association:
        wanted = [build_context(sop_class, [syntax]) for sop_class, syntax in self._pairs]
        # The newest matter most where there are too many.
        contexts = [*self._given, *wanted][-MOST_CONTEXTS:]
        host, port = self._address
        association = self._parent.ae.associate(host, port, contexts=contexts, **self._options)
        if not association.is_established:
            raise Unreachable(association._ending() or "it accepted no presentation context")
        self._association = association
        return association

    def close(self, abort: bool) -> None:
        """Releases the association, or aborts it."""
        association, self._association = self._association, None
        if association is None:
            return
        if abort:
            association.abort()
        else:
            association.release()
