"""Datasets to bytes and back."""

from __future__ import annotations

import copy
from io import BytesIO
from typing import Any, ClassVar, Self

from pydicom.charset import convert_encodings, default_encoding
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import UID

from . import _core
from ._plain import plain_element

_IMPLICIT, _EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
_BIG, _DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
_PIXEL_REPRESENTATION = BaseTag(0x00280103)

#: Tags by keyword, the very objects that decoded datasets have as keys: another one would be compared in Python.
_TAGS: dict[str, BaseTag] = {}


def _keyword_tag(keyword: str) -> BaseTag | None:
    number = tag_for_keyword(keyword)
    if number is None:
        return None
    tag = _TAGS[keyword] = _core.known_tag(number)
    return tag


class LazyDataset(Dataset):
    """A `Dataset` that is made only when something of it is asked for.

    A bare `Dataset()` costs 11 us, and most are not looked at.
    """

    #: The attributes of a bare Dataset.
    _BARE: ClassVar[dict[str, Any]] = dict(vars(Dataset()))

    @classmethod
    def _of(cls, unbuilt: Any) -> Self:
        """One that will be made of `unbuilt`."""
        dataset = cls.__new__(cls)
        dataset.__dict__["_unbuilt"] = unbuilt
        return dataset

    def _attributes(self, unbuilt: Any) -> dict[str, Any]:
        """What makes it a full Dataset: attributes by name, `_dict` among them."""
        raise NotImplementedError

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        unbuilt = own.get("_unbuilt")
        # Copying and the like ask for methods that it does not have (__deepcopy__).
        if unbuilt is None or name.startswith("__"):
            return Dataset.__getattr__(self, name)
        bare = {key: value.copy() if isinstance(value, dict) else value for key, value in self._BARE.items()}
        # What was set meanwhile (file_meta) stays.
        own.update({**bare, **self._attributes(unbuilt), **own})
        own.pop("_unbuilt", None)
        return getattr(self, name)


class EncodedDataset(LazyDataset):
    """A `Dataset` that still is the bytes that it was received or read as.

    A plain value that is asked for by its keyword is decoded by itself. Sent on unchanged, it never becomes anything
    else.
    """

    @classmethod
    def _item(cls, encoded: _core.Encoded, parent_encoding: str | list[str]) -> Self:
        item = cls._of(encoded)
        item.__dict__["_parent_encoding"] = parent_encoding
        return item

    def __getattr__(self, name: str) -> Any:
        tag = _TAGS.get(name) or _keyword_tag(name)
        if tag is None:
            return super().__getattr__(name)
        own = self.__dict__
        encoded: _core.Encoded | None = own.get("_unbuilt")
        if encoded is not None:
            values = own.setdefault("_values", {})
            if name in values:
                return values[name]
            raw = encoded.element(tag)
            element = None if raw is None else plain_element(self, tag, raw, self._encodings(encoded))
            # What can be changed in place belongs to the full Dataset.
            if element is not None and not hasattr(element.value, "__setitem__"):
                values[name] = element.value
                return element.value
            return super().__getattr__(name)
        raw = own.get("_dict", {}).get(tag)
        if type(raw) is RawDataElement:
            element = plain_element(self, tag, raw, own["_read_charset"])
            if element is not None:
                own["_dict"][tag] = element
                return element.value
        return super().__getattr__(name)

    def _encodings(self, encoded: _core.Encoded) -> str | list[str]:
        """How its text is encoded, as pydicom says it."""
        own = self.__dict__
        if "_read_charset" not in own:
            charset = encoded.character_set()
            if charset is None:
                own["_read_charset"] = own.get("_parent_encoding", default_encoding)
            else:
                # A NUL within it is an error for pydicom, which takes every other misspelling.
                own["_read_charset"] = convert_encodings(charset.replace("\0", "").split("\\"))
        found: str | list[str] = own["_read_charset"]
        return found

    def _attributes(self, unbuilt: _core.Encoded) -> dict[str, Any]:
        encoded = unbuilt
        self.__dict__.pop("_values", None)
        encodings = self._encodings(encoded)
        made: list[EncodedDataset] = []

        def sequence(tag: BaseTag, items: list[_core.Encoded], is_undefined_length: bool) -> DataElement:
            datasets = [EncodedDataset._item(item, encodings) for item in items]
            made.extend(datasets)
            value = Sequence(datasets)
            return DataElement(tag, "SQ", value, is_undefined_length=is_undefined_length, already_converted=True)

        elements = encoded.elements(sequence)
        # It says of items, too, what is SS and not US.
        representation = elements.get(_PIXEL_REPRESENTATION)
        signed = self.__dict__.get("_pixel_rep")
        if representation is not None and representation.value:
            signed = int(b"\x01" in representation.value)
        if signed is not None:
            for item in made:
                item.__dict__["_pixel_rep"] = signed
        return {
            "_dict": elements,
            "_read_implicit": encoded.is_implicit_vr,
            "_read_little": encoded.is_little_endian,
            "is_undefined_length_sequence_item": encoded.is_undefined_length,
        }


def unchanged(dataset: Dataset) -> _core.Encoded | None:
    """The bytes that a dataset still is; None where it has become more."""
    return dataset.__dict__.get("_unbuilt") if isinstance(dataset, EncodedDataset) else None


def decode_dataset(data: bytes, transfer_syntax: str) -> Dataset:
    """The dataset that these bytes encode.

    It becomes a full Dataset when it is looked at, and its elements are decoded when they are read.

    Raises ValueError for bytes that are no dataset.
    """
    return EncodedDataset._of(_core.Encoded(data, str(transfer_syntax)))


def decode_object(data: bytes, transfer_syntax: str) -> Dataset:
    """The same for a received object: what breaks the rules is read as far as pydicom can.

    Raises ValueError for what neither can read.
    """
    syntax = str(transfer_syntax)
    try:
        return decode_dataset(data, syntax)
    except ValueError:
        if syntax == _DEFLATED:
            raise
        try:
            return read_dataset(BytesIO(data), syntax == _IMPLICIT, syntax != _BIG)
        except RecursionError:
            raise ValueError("not an encoded dataset: sequences are nested too deep") from None
        except Exception as error:
            raise ValueError(f"not an encoded dataset: {error}") from error


def encode_dataset(dataset: Dataset, transfer_syntax: str) -> bytes:
    """The dataset as it goes into a message: no file meta, no group lengths. The dataset is not changed.

    Raises ValueError where it cannot be encoded.
    """
    syntax = str(transfer_syntax)
    encoded = unchanged(dataset)
    if encoded is not None:
        return encoded.encode(syntax)
    quickly = _core.encode(dataset, syntax)
    return quickly if quickly is not None else _encode_by_pydicom(dataset, syntax)


def _encode_by_pydicom(dataset: Dataset, syntax: str) -> bytes:
    """What the core leaves to pydicom: what is out of the ordinary, and what it has an error for."""
    # Of its own: a copy shares its elements with what it is a copy of, and the writer converts those that it looks at.
    dataset = copy.copy(dataset)
    dataset._dict = {tag: element for tag, element in dataset._dict.items() if tag.group > 2}
    buffer = DicomBytesIO()
    buffer.is_little_endian = syntax != _BIG
    buffer.is_implicit_VR = syntax == _IMPLICIT
    try:
        write_dataset(buffer, dataset)
    except Exception as error:
        raise ValueError(f"the dataset cannot be encoded as {UID(syntax).name}: {error}") from error
    encoded = buffer.getvalue()
    return _core.Encoded(encoded, _EXPLICIT).encode(syntax) if syntax == _DEFLATED else encoded
