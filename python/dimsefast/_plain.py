"""Elements of plain text as pydicom has them, without its detours: what a program reads of an identifier mostly is."""

from __future__ import annotations

from typing import Any

from pydicom import config, hooks
from pydicom.charset import default_encoding
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.uid import UID
from pydicom.valuerep import PersonName, validate_value
from pydicom.values import convert_value

from . import _core

#: Representations whose values pydicom decodes without a look at other elements.
_PLAIN = frozenset(
    ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT")
)

#: Encodings, as pydicom says them, in which what is ASCII is ASCII.
_WITH_ASCII: tuple[str | list[str], ...] = (default_encoding, [default_encoding], ["latin_1"], ["UTF8"])

_CHARACTER_SET = _core.known_tag(0x00080005)

_raw_element_vr, _raw_element_value = hooks.raw_element_vr, hooks.raw_element_value


def plain_element(
    dataset: Dataset, tag: BaseTag, raw: RawDataElement, encodings: str | list[str]
) -> DataElement | None:
    """An element that is looked at for the first time, as `Dataset.__getitem__` has it after comparing tags a dozen
    times; `tag` is the object in it. None for one that is not plain.
    """
    vr = raw.VR
    if (vr is not None and vr not in _PLAIN) or tag is _CHARACTER_SET:
        return None
    if config.data_element_callback is None and _has_own_hooks():
        if vr is None:
            vr = dictionary_VR(tag)
            if vr not in _PLAIN:
                return None
        value = _ascii_value(vr, raw.value, encodings) if raw.value else None
        if value is None:
            value = convert_value(vr, raw, encodings)
        return DataElement(tag, vr, value, raw.value_tell, already_converted=True)
    element = convert_raw_data_element(raw, encoding=encodings, ds=dataset)
    return element if element.VR in _PLAIN and element.tag is tag else None


def _has_own_hooks() -> bool:
    """Whether nobody has put functions of another's in the place of pydicom's."""
    own = hooks.hooks
    return (
        own.raw_element_value is _raw_element_value
        and own.raw_element_vr is _raw_element_vr
        and not own.raw_element_kwargs
    )


def _ascii_value(vr: str, value: bytes, encodings: str | list[str]) -> Any:
    """One value of ASCII; None for everything else."""
    if not value.isascii() or b"\\" in value or b"\x1b" in value:
        return None
    if vr == "UI":
        return UID(value.decode().rstrip(" \0"))
    if vr == "CS" or (vr in ("DA", "TM") and not config.datetime_conversion):
        return value.decode().rstrip(" \0")
    if vr not in ("PN", "LO", "SH") or encodings not in _WITH_ASCII:
        return None
    if vr == "PN":
        name = value.rstrip(b" \0")
        # With what it was, it need not be encoded again. Empty component groups would be left out.
        return None if b"=" in name else PersonName(name.decode(), encodings, name)
    text = value.decode()
    validate_value(vr, text, config.settings.reading_validation_mode)
    return text.rstrip("\0 ")
