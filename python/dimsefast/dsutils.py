"""Datasets to bytes and back, under pynetdicom's names; `event.identifier` and `event.dataset` need neither."""

from __future__ import annotations

import logging
from io import BytesIO

from pydicom.dataset import Dataset

from .dataset import decode_object, encode_dataset

__all__ = ["decode", "encode"]

LOGGER = logging.getLogger("dimsefast.dsutils")


def decode(
    bytestring: BytesIO | bytes, is_implicit_vr: bool, is_little_endian: bool, deflated: bool = False
) -> Dataset:
    """The dataset that these bytes encode, without file meta information.

    Args:
        bytestring: bytes, or a stream at its beginning.
        is_implicit_vr: implicit VR; otherwise explicit.
        is_little_endian: little endian; otherwise big endian, which is explicit VR.
        deflated: compressed as Deflated Explicit VR Little Endian has it.

    Raises ValueError for what is no dataset.
    """
    data = bytestring if isinstance(bytestring, bytes) else bytestring.getvalue()
    return decode_object(data, _transfer_syntax(is_implicit_vr, is_little_endian, deflated))


def encode(ds: Dataset, is_implicit_vr: bool, is_little_endian: bool, deflated: bool = False) -> bytes | None:
    """The bytes of a dataset, without group 0002; None where it cannot be encoded, and a log record that says why.

    The arguments are those of `decode`.
    """
    transfer_syntax = _transfer_syntax(is_implicit_vr, is_little_endian, deflated)
    try:
        return encode_dataset(ds, transfer_syntax)
    except ValueError as error:
        LOGGER.error("%s", error)
        return None


def _transfer_syntax(is_implicit_vr: bool, is_little_endian: bool, deflated: bool) -> str:
    if deflated and (is_implicit_vr or not is_little_endian):
        raise ValueError("what is deflated is explicit VR, little endian")
    if is_implicit_vr and not is_little_endian:
        raise ValueError("there is no transfer syntax of implicit VR, big endian")
    if deflated:
        return "1.2.840.10008.1.2.1.99"
    return "1.2.840.10008.1.2" if is_implicit_vr else f"1.2.840.10008.1.2.{1 if is_little_endian else 2}"
