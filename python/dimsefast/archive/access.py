"""Who may do what: operations by calling AE title become presentation contexts, which the core offers to each peer."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence

from ..presentation import PresentationContext
from ..sop_class import message_type, uid_to_service_class
from .settings import AccessSettings

_OPERATIONS = {"VerificationServiceClass": "echo", "BasicWorklistManagementServiceClass": "worklist"}
_QUERIES = {"C-FIND": "find", "C-MOVE": "move", "C-GET": "get", None: None}
_STORAGE = ("StorageServiceClass", "NonPatientObjectStorageServiceClass")


class Offers:
    """What a server offers to whom.

    Attributes:
        others: to those that are not named.
        by_calling_aet: to those that are; the same list where they may do the same.
    """

    def __init__(self, supported: Sequence[PresentationContext], access: AccessSettings) -> None:
        made: dict[frozenset[str], list[PresentationContext]] = {}

        def offer(operations: Iterable[str]) -> list[PresentationContext]:
            allowed = frozenset(operations)
            if allowed not in made:
                made[allowed] = contexts_for(supported, allowed)
            return made[allowed]

        self.others = offer(access.others)
        self.by_calling_aet = {title: offer(operations) for title, operations in access.peers.items()}


def contexts_for(supported: Iterable[PresentationContext], operations: frozenset[str]) -> list[PresentationContext]:
    """Those of the contexts that the operations need.

    A storage class is there for C-STORE in the one role, and for C-GET in the other.
    """
    found = []
    for context in supported:
        kind = uid_to_service_class(str(context.abstract_syntax)).__name__
        if kind in _STORAGE:
            stores, gets = "store" in operations, "get" in operations
            if stores or gets:
                context = copy.copy(context)
                context.scu_role, context.scp_role = stores, gets
                found.append(context)
        elif (_OPERATIONS.get(kind) or _QUERIES.get(message_type(str(context.abstract_syntax)))) in operations:
            found.append(context)
    return found
