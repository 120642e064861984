"""Composite objects to be sent: what a C-STORE says of them, the context they fit, and their bytes."""

from __future__ import annotations

import copy
import io
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID

from . import _config, _core
from .dataset import encode_dataset

if TYPE_CHECKING:
    from .association_base import AssociationBase

IMPLICIT_LITTLE, EXPLICIT_LITTLE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED, EXPLICIT_BIG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"

#: What can be stored: a dataset, the path of a file, the bytes of one.
Storable = Dataset | str | Path | bytes

#: Transfer syntaxes between which a dataset is converted without loss, the preferred ones first.
CONVERTIBLE = (EXPLICIT_LITTLE, IMPLICIT_LITTLE, DEFLATED, EXPLICIT_BIG)


class StoreObject(NamedTuple):
    """An object to be stored: what the request names, and where its dataset is."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str
    #: One of these three has it: decoded, in a file from `offset` on, or in the bytes of one.
    dataset: Dataset | None
    path: Path | None
    encoded: bytes | None
    offset: int

    def read(self) -> Dataset:
        """The dataset, decoded. Raises ValueError where pydicom cannot read it, OSError."""
        if self.dataset is not None:
            return self.dataset
        return _read(self.path if self.path is not None else io.BytesIO(self.encoded or b""))


def store_object(source: Storable) -> StoreObject:
    """Finds out what an object is, from as little of it as possible.

    Raises AttributeError where the class, instance or transfer syntax is missing, ValueError for what is no DICOM
    file, OSError.
    """
    if isinstance(source, Dataset):
        return _from_dataset(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
        try:
            sop_class, sop_instance, transfer_syntax, offset = _core.parse_file_meta(data)
        except ValueError as problem:
            return _from_dataset(_read(io.BytesIO(data), problem))
        return StoreObject(sop_class, sop_instance, transfer_syntax, None, None, data, offset)
    if isinstance(source, (str, Path)):
        path = Path(source)
        try:
            sop_class, sop_instance, transfer_syntax, offset = _core.read_file_meta(path)
        except ValueError as problem:
            if _config.STORE_SEND_CHUNKED_DATASET:
                raise AttributeError(f"{problem}; files are not decoded: STORE_SEND_CHUNKED_DATASET says so") from None
            return _from_dataset(_read(path, problem))
        return StoreObject(sop_class, sop_instance, transfer_syntax, None, path, None, offset)
    raise TypeError(f"an object to store is a Dataset, a path or the bytes of a file, not {type(source).__name__}")


def _read(source: Path | io.BytesIO, problem: ValueError | None = None) -> Dataset:
    """A file as pydicom reads it. Raises `problem` where it is none."""
    try:
        return dcmread(source)
    except OSError:
        raise
    except Exception as error:
        if problem is not None and isinstance(error, InvalidDicomError):
            raise problem from None
        name = source if isinstance(source, Path) else "what was given"
        raise ValueError(f"{name} is not a usable DICOM file: {error}") from error


def _from_dataset(dataset: Dataset) -> StoreObject:
    sop_class, sop_instance = dataset.get("SOPClassUID"), dataset.get("SOPInstanceUID")
    meta = getattr(dataset, "file_meta", None)
    transfer_syntax = None if meta is None else meta.get("TransferSyntaxUID")
    for value, name in (
        (sop_class, "SOP Class UID (0008,0016)"),
        (sop_instance, "SOP Instance UID (0008,0018)"),
        (transfer_syntax, "Transfer Syntax UID (0002,0010) in its file_meta"),
    ):
        if not value:
            raise AttributeError(f"the dataset cannot be stored: it has no {name}")
    return StoreObject(str(sop_class), str(sop_instance), str(transfer_syntax), dataset, None, None, 0)


class Fitting(NamedTuple):
    """The context an object goes over, and the transfer syntax it is sent in."""

    context_id: int
    transfer_syntax: str


def fitting_context(association: AssociationBase, item: StoreObject, decompress: bool = False) -> Fitting:
    """The context with the object's own transfer syntax, else one that it can be converted to.

    Compressed pixel data is decoded only with `decompress`. Raises ValueError where there is no context.
    """
    usable = association._usable(item.sop_class)
    own = item.transfer_syntax
    for syntax in (own, *(CONVERTIBLE if decompress or own in CONVERTIBLE else ())):
        for context in usable:
            if context.transfer_syntax == syntax:
                return context
    accepted = ", ".join(dict.fromkeys(UID(context.transfer_syntax).name for context in usable))
    raise ValueError(
        f"{association._name} did not accept the transfer syntax {UID(own).name!r} "
        f"for {UID(item.sop_class).name!r}, only: {accepted}"
    )


def prepare_store(
    connection: _core.Connection,
    number: int,
    item: StoreObject,
    fitting: Fitting,
    priority: int,
    originator: tuple[str, int] | None,
) -> _core.Prepared:
    """Reads the beginning of an object ahead of its turn, in the transfer syntax of its context.

    Raises ValueError where the dataset cannot be encoded, OSError where its file cannot be read.
    """

    def prepare(encoded: bytes | None, convert: tuple[str, str] | None = None) -> _core.Prepared:
        path, offset = (item.path, item.offset) if encoded is None else (None, 0)
        named = (item.sop_class, item.sop_instance)
        return connection.prepare_store(
            fitting.context_id, number, *named, priority, originator, encoded, path, offset, convert
        )

    own, wanted = item.transfer_syntax, fitting.transfer_syntax
    if own not in CONVERTIBLE and wanted != own:
        return prepare(_encode(_decompressed(item.read()), EXPLICIT_LITTLE, wanted))
    if item.path is not None:
        try:
            return prepare(None, None if wanted == own else (own, wanted))
        except ValueError:
            # Not as the standard has it: pydicom reads, and mends, many of those.
            return prepare(_encode(item.read(), own, wanted))
    if item.encoded is not None:
        encoded = item.encoded[item.offset :]
        try:
            return prepare(encoded if wanted == own else _core.Encoded(encoded, own).encode(wanted))
        except ValueError:
            return prepare(_encode(item.read(), own, wanted))
    return prepare(_encode(item.read(), own, wanted))


def _encode(dataset: Dataset, own: str, wanted: str) -> bytes:
    """The dataset in another transfer syntax than that of its file meta.

    The values of OB, OW and the like are bytes in the order in which they were read, and pydicom writes them as they
    are: where the byte order changes they are encoded in their own first. Raises ValueError.
    """
    if (own == EXPLICIT_BIG) == (wanted == EXPLICIT_BIG):
        return encode_dataset(dataset, wanted)
    first = EXPLICIT_BIG if own == EXPLICIT_BIG else EXPLICIT_LITTLE
    return _core.Encoded(encode_dataset(dataset, first), first).encode(wanted)


def _decompressed(dataset: Dataset) -> Dataset:
    """A copy with its pixel data decoded. Raises ValueError where none of pydicom's decoders can."""
    decoded = copy.deepcopy(dataset)
    try:
        decoded.decompress(generate_instance_uid=False)
    except Exception as error:
        raise ValueError(f"its pixel data cannot be decoded: {error}") from error
    return decoded
