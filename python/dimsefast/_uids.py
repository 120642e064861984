"""UIDs of pydicom's type, made once where they are the standard's.

Making one costs 8 us, and an association has hundreds.
"""

from __future__ import annotations

from pydicom.uid import UID, UID_dictionary

#: Of the UIDs in pydicom's dictionary only, so that nothing that a peer sends can make it grow.
_MADE: dict[str, UID] = {}

#: Unified Procedure Step Push, and the other classes of the service: Watch, Pull, Event, Query.
UPS_PUSH = "1.2.840.10008.5.1.4.34.6.1"
OTHER_UPS = [f"1.2.840.10008.5.1.4.34.6.{number}" for number in (2, 3, 4, 5)]


def uid(text: str) -> UID:
    """`UID(text)`."""
    made = _MADE.get(text)
    if made is None:
        made = UID(text)
        if made in UID_dictionary:
            _MADE[str(text)] = made
    return made
