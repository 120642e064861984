"""Datasets to bytes and back."""

from __future__ import annotations

import copy
import zlib
from io import BytesIO

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.uid import UID

_IMPLICIT, _BIG, _DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"


def decode_dataset(data: bytes, transfer_syntax: str) -> Dataset:
    """The dataset that these bytes encode, elements decoded when they are read.

    Raises what pydicom raises for bytes that are none.
    """
    syntax = str(transfer_syntax)
    if syntax == _DEFLATED:
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data)
    return read_dataset(BytesIO(data), syntax == _IMPLICIT, syntax != _BIG)


def encode_dataset(dataset: Dataset, transfer_syntax: str) -> bytes:
    """The dataset as it goes into a message: no file meta, no group lengths. The dataset is not changed.

    Raises ValueError where it cannot be encoded.
    """
    syntax = str(transfer_syntax)
    buffer = DicomBytesIO()
    buffer.is_little_endian = syntax != _BIG
    buffer.is_implicit_VR = syntax == _IMPLICIT
    meta = [tag for tag in dataset.keys() if tag.group <= 2]  # noqa: SIM118 - items would decode every element
    if meta:
        dataset = copy.copy(dataset)
        for tag in meta:
            del dataset[tag]
    try:
        write_dataset(buffer, dataset)
    except Exception as error:
        raise ValueError(f"the dataset cannot be encoded as {UID(syntax).name}: {error}") from error
    encoded = buffer.getvalue()
    if syntax == _DEFLATED:
        compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        encoded = compressor.compress(encoded) + compressor.flush()
        # PS3.5 A.5: padded to an even length.
        encoded += b"\0" * (len(encoded) % 2)
    return encoded
