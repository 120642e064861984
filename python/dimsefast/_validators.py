"""Checks of values that users set."""

from __future__ import annotations

import warnings
from typing import Any

from pydicom.uid import UID

from . import _config


def validate_ae_title(value: Any, name: str) -> str:
    """The AE title as it is; bytes work with a DeprecationWarning.

    Raises TypeError for what is no str, ValueError for what PS3.5 6.2 does not allow: 1 to 16 ASCII characters, not all
    spaces, no backslash, no control characters.
    """
    if isinstance(value, bytes):
        warnings.warn(f"{name} should be a str, not bytes", DeprecationWarning, stacklevel=3)
        try:
            value = value.decode("ascii")
        except UnicodeDecodeError:
            raise ValueError(f"{name} has ASCII characters only, unlike {value!r}") from None
    if not isinstance(value, str):
        raise TypeError(f"{name} is a str, not {type(value).__name__}")
    if not 1 <= len(value) <= 16:
        raise ValueError(f"{name} has 1 to 16 characters, unlike {value!r}")
    if not value.strip(" "):
        raise ValueError(f"{name} is not all spaces")
    if not (value.isascii() and value.isprintable()) or "\\" in value:
        raise ValueError(f"{name} is ASCII without backslash and control characters, unlike {value!r}")
    return value


def validate_uid(value: Any, name: str) -> UID:
    """The UID; empty is allowed here.

    Raises TypeError for what is no str, bytes or UID, ValueError for more than 64 characters, and, with
    `_config.ENFORCE_UID_CONFORMANCE`, for anything that PS3.5 9.1 does not allow.
    """
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace").rstrip("\0")
    if not isinstance(value, str):
        raise TypeError(f"{name} is a str, bytes or UID, not {type(value).__name__}")
    uid = UID(value)
    if len(uid) > 64:
        raise ValueError(f"{name} has at most 64 characters, unlike {value!r}")
    if uid and _config.ENFORCE_UID_CONFORMANCE and not uid.is_valid:
        raise ValueError(f"{name} is not a valid UID: {value!r}")
    return uid
