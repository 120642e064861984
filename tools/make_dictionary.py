"""Writes rust/identifier/src/dictionary/data.rs: the value representations of PS3.6, as pydicom has them.

    python tools/make_dictionary.py

An element that is encoded without its representation must become what pydicom takes it for, so pydicom's dictionary is
the source. A test compares the two.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
from pydicom.datadict import repeater_has_tag

TARGET = Path(__file__).parents[1] / "rust/identifier/src/dictionary/data.rs"


def representation(vr: str) -> str:
    """One representation: of "OB or OW" and the like the one of implicit VR; "US or SS" is decided by the dataset."""
    one = {"OB or OW": "OW", "US or OW": "OW", "US or SS or OW": "OW", "US or SS": "XS", "": "UN", "NONE": "UN"}
    return one.get(vr, vr)


def rows() -> list[tuple[int, str, bool]]:
    """(tag, VR, whether there may be several values), by tag."""
    found = [
        (int(tag), representation(vr), multiplicity not in ("1", ""))
        for tag, (vr, multiplicity, *_) in DicomDictionary.items()
    ]
    return sorted(found)


def repeaters() -> list[tuple[int, int, str, bool]]:
    """(mask, masked tag, VR, whether there may be several values) of the groups that repeat (60xx)."""
    found = []
    for pattern, (vr, multiplicity, *_) in RepeatersDictionary.items():
        mask = int("".join("0" if digit == "x" else "F" for digit in pattern), 16)
        found.append((mask, int(pattern.replace("x", "0"), 16), representation(vr), multiplicity != "1"))
    assert repeater_has_tag(0x60020010)
    return sorted(found)


def main() -> None:
    """Writes the table."""
    out = ["// Made by tools/make_dictionary.py from pydicom's dictionary; not to be edited.\n"]
    out.append("use crate::vr::Vr;\n")
    out.append("/// (tag, representation, whether there may be several values), by tag.")
    out.append("#[rustfmt::skip]")
    out.append("pub(super) static ELEMENTS: &[(u32, Vr, bool)] = &[")
    out += [f"    (0x{tag:08X}, Vr::{vr}, {str(several).lower()})," for tag, vr, several in rows()]
    out.append("];\n")
    out.append("/// (mask, masked tag, representation, whether there may be several values).")
    out.append("#[rustfmt::skip]")
    out.append("pub(super) static REPEATERS: &[(u32, u32, Vr, bool)] = &[")
    out += [
        f"    (0x{mask:08X}, 0x{tag:08X}, Vr::{vr}, {str(several).lower()})," for mask, tag, vr, several in repeaters()
    ]
    out.append("];")
    TARGET.write_text("\n".join(out) + "\n")
    sys.stdout.write(f"{len(rows())} elements\n")


if __name__ == "__main__":
    main()
