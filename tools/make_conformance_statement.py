"""Fills the tables of docs/conformance-statement.md from the code.

python tools/make_conformance_statement.py
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import dimsefast
from dimsefast import AE, presentation, sop_class
from pydicom.uid import UID

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "conformance-statement.md"
CHARACTER_SETS = ROOT / "rust" / "identifier" / "src" / "charset" / "terms.rs"

#: Transfer syntaxes of PS3.6 that pydicom's dictionary does not have.
NAMES = {
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
    "1.2.840.10008.1.2.8.1": "Deflated Image Frame Compression",
}


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, ["---"] * len(header), *rows])


def sop_classes() -> str:
    """The SOP classes by the lists of contexts that they are in."""
    rows, seen = [], set()
    for name in sorted(presentation.PREBUILT_LISTS):
        for context in getattr(presentation, name):
            uid = str(context.abstract_syntax)
            if uid not in seen:
                seen.add(uid)
                service = sop_class.uid_to_service_class(uid).__name__.removesuffix("ServiceClass")
                words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", service)
                rows.append([UID(uid).name, f"`{uid}`", words or "-"])
    rows.sort(key=lambda row: (row[2] != "Verification", row[2], row[0]))
    return table(["SOP class", "UID", "Service"], rows)


def transfer_syntaxes() -> str:
    """All that are known, the default ones first."""
    first = list(dimsefast.DEFAULT_TRANSFER_SYNTAXES)
    rest = [uid for uid in dimsefast.ALL_TRANSFER_SYNTAXES if uid not in first]
    return table(["Transfer syntax", "UID"], [[NAMES.get(uid) or UID(uid).name, f"`{uid}`"] for uid in [*first, *rest]])


def seconds(value: float | None) -> str:
    """A time-out in words."""
    return "none: the system's own" if value is None else f"{value:g} s"


def defaults() -> str:
    """What an AE does unless told otherwise."""
    ae = AE()
    return table(
        ["Parameter", "Option", "Default"],
        [
            ["AE title", "`AE(ae_title)`", ae.ae_title],
            ["Maximum PDU length received", "`AE.maximum_pdu_size`", f"{ae.maximum_pdu_size} bytes"],
            ["Time-out of a connection", "`AE.connection_timeout`", seconds(ae.connection_timeout)],
            ["Time-out of association and release (ARTIM)", "`AE.acse_timeout`", seconds(ae.acse_timeout)],
            ["Time-out of a DIMSE message", "`AE.dimse_timeout`", seconds(ae.dimse_timeout)],
            ["Time-out without traffic", "`AE.network_timeout`", seconds(ae.network_timeout)],
            ["What is sent then", "`AE.network_timeout_response`", ae.network_timeout_response],
            [
                "Transfer syntax that is accepted of several",
                "`AE.prefer_own_transfer_syntaxes`",
                "the acceptor's first" if ae.prefer_own_transfer_syntaxes else "the requestor's first supported one",
            ],
            ["Required called AE title", "`AE.require_called_aet`", "no" if not ae.require_called_aet else "yes"],
            ["Admitted calling AE titles", "`AE.require_calling_aet`", "all" if not ae.require_calling_aet else "some"],
        ],
    )


def association() -> str:
    """Numbers of an association."""
    ae = AE()
    invoked, performed = ae.asynchronous_operations
    return table(
        ["", ""],
        [
            ["Application context name", "`1.2.840.10008.3.1.1.1`"],
            ["Implementation Class UID", f"`{dimsefast.IMPLEMENTATION_UID}`"],
            ["Implementation version name", f"`{dimsefast.IMPLEMENTATION_VERSION}`"],
            ["Associations accepted at the same time", f"{ae.maximum_associations}; configurable"],
            ["Associations requested at the same time", "not limited"],
            ["Asynchronous operations (invoked, performed)", f"({invoked}, {performed}); configurable"],
        ],
    )


def character_sets() -> str:
    """The defined terms that the code knows."""
    source = CHARACTER_SETS.read_text()
    terms = re.findall(r'^    \("(\w+)", Set::(\w+)', source[source.index("const TERMS") :], re.MULTILINE)
    rows, others = [], []
    for term, kind in terms:
        if term == "8859" or (not term.isdigit() and term not in ("GB18030", "GBK")):
            others.append(term)
        elif not term.isdigit():
            rows.append([f"`{term}`", ""])
        elif kind == "Utf8":
            rows.append([f"`ISO_IR {term}`", ""])
        elif kind in ("Gb2312", "Jisx0208", "Jisx0212", "Ksx1001"):
            rows.append(["", f"`ISO 2022 IR {term}`"])
        else:
            rows.append([f"`ISO_IR {term}`", f"`ISO 2022 IR {term}`"])
    tolerated = ", ".join(others)
    return f"{table(['Defined term', 'With code extensions'], rows)}\n\nTolerated, punctuation aside: {tolerated}."


SECTIONS: dict[str, Callable[[], str]] = {
    "sop-classes": sop_classes,
    "transfer-syntaxes": transfer_syntaxes,
    "defaults": defaults,
    "association": association,
    "character-sets": character_sets,
}


def filled(page: str) -> str:
    """The page with its tables made anew."""
    for name, make in SECTIONS.items():
        mark = f"<!-- generated: {name} -->\n"
        before, found, after = page.partition(mark)
        assert found, f"the page has no mark for {name}"
        page = before + mark + make() + "\n" + after[after.index("<!-- end -->") :]
    return page


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text()))
