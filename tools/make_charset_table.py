"""Writes tests/data/charset.txt, what pydicom makes of text in each character set.

usage: python tools/make_charset_table.py > tests/data/charset.txt
"""

# ruff: noqa: RUF001  (it is about letters that look alike)

import sys
from collections.abc import Iterator

from pydicom import config, dcmread
from pydicom.charset import convert_encodings, decode_bytes, encode_string
from pydicom.data import get_charset_files
from pydicom.dataset import Dataset
from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS

HEADER = """\
# Text in each character set, as pydicom has it; written by tools/make_charset_table.py.
# Specific Character Set | kind | decode, or both where encoding the text gives the same bytes | bytes | "text"
# In text a backslash is \\\\, and \\{1B} the character of that code.
"""

SINGLE_BYTE = ["100", "101", "109", "110", "126", "127", "138", "144", "148", "166"]
ESCAPES = dict(zip(SINGLE_BYTE, ["-A", "-B", "-C", "-D", "-F", "-G", "-H", "-L", "-M", "-T"], strict=True))

JAPANESE = "\\ISO 2022 IR 87"
KOREAN = "\\ISO 2022 IR 149"
EUROPEAN = "ISO 2022 IR 100\\ISO 2022 IR 144\\ISO 2022 IR 126"

# Where we read something else on purpose: rust/identifier/src/charset/tests.rs tells what and why.
OTHERWISE = {"ISO 2022 IR 58": [b"\xa1\xa4", b"\xa1\xaa"]}

# Specific Character Set, kind, text: what pydicom writes and reads back.
TEXTS = [
    # PS3.5 H.3.1, H.3.2, I.2, and annex J
    (JAPANESE, "name", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    ("ISO 2022 IR 13\\ISO 2022 IR 87", "name", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
    (KOREAN, "name", "Hong^Gildong=洪^吉洞=홍^길동"),
    ("ISO_IR 192", "name", "Wang^XiaoDong=王^小东"),
    ("GB18030", "name", "Wang^XiaoDong=王^小东"),
    ("GBK", "name", "Wang^XiaoDong=王^小东"),
    ("ISO_IR 192", "text", "The first line includes 中文.\r\nThe second too: 𠮷."),
    ("GB18030", "text", "中文 𠮷 ༀ\r\nплюс"),
    ("GBK", "values", "镕基\\中文"),
    # One set, all of it.
    (JAPANESE, "values", "東京"),
    (JAPANESE, "values", "Tokyo"),
    (JAPANESE, "values", "Tokyo 東京"),
    (JAPANESE, "values", "東京 is Tokyo"),
    ("\\ISO 2022 IR 87\\ISO 2022 IR 159", "values", "丂丄丅"),
    ("\\ISO 2022 IR 87\\ISO 2022 IR 159", "values", "東京丂丄東京 and 丂"),
    ("ISO 2022 IR 13\\ISO 2022 IR 87", "values", "ﾔﾏﾀﾞ"),
    ("ISO 2022 IR 13\\ISO 2022 IR 87", "values", "ﾔﾏﾀﾞ山田 Yamada"),
    ("ISO 2022 IR 6\\ISO 2022 IR 13\\ISO 2022 IR 87", "values", "ﾔﾏﾀﾞ"),
    # JIS X 0208 has bytes that look like delimiters: 3DH, 5CH, 5EH; and forms that vendors do not agree about.
    (JAPANESE, "values", "春熟出瓜廂\\弌孑"),
    (JAPANESE, "values", "＼〜‖−¢£¬"),
    (KOREAN, "values", "김희중"),
    (KOREAN, "values", "Kim 김희중 Kim"),
    ("ISO 2022 IR 149", "values", "Kim 김희중"),
    ("ISO 2022 IR 58", "values", "王小东 Wang"),
    ("ISO 2022 58", "values", "王小东 Wang"),
    # Single-byte sets, in names and parts.
    (EUROPEAN, "name", "Dionysios=Διονυσιος=Люкceмбypг"),
    (EUROPEAN, "values", "Buc^Jérôme\\Διονυσιος\\Люкceмбypг"),
    (EUROPEAN, "values", "Dionysios is Διονυσιος, Жанна is Jérôme"),
    ("ISO 2022 IR 6\\ISO 2022 IR 127", "name", "Qabbani^Nizar=قباني^لنزار"),
    ("ISO 2022 IR 100\\ISO 2022 IR 138", "values", "שרון and é"),
    ("ISO 2022 IR 100\\ISO 2022 IR 166", "values", "นามสกุล and é"),
    ("ISO 2022 IR 100\\ISO 2022 IR 148", "values", "Çavuşoğlu"),
    ("ISO 2022 IR 6\\ISO 2022 IR 149\\ISO 2022 IR 87", "values", "홍 山田 길동"),
    # Misspelt terms.
    ("ISO-IR 100", "values", "Müller"),
    ("ISO IR 101", "values", "Dvořák"),
    ("ISO-2022-IR 100\\ISO 2022-IR 144", "values", "Müller Люк"),
    ("latin1", "values", "Müller"),
    ("utf-8", "values", "Müller Люк"),
    ("ISO_IR 999", "values", "plain"),
]

# Specific Character Set, kind, bytes: what others write and pydicom reads.
BYTES = [
    # PS3.5 H.3.1 and I.2, I.3 byte by byte
    (JAPANESE, "name", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"),
    (KOREAN, "name", b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf"),
    (KOREAN, "text", b"\x1b$)CThe 1st line includes \xb1\xe6\xb5\xbf.\r\n\x1b$)CThe 2nd too: \xb1\xe6\xb5\xbf."),
    (EUROPEAN, "values", b"Dionysios is \x1b-F\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2 and \x1b-A\xe9\x1b-L\xbb\xee\xda"),
    # A delimiter makes the first set active again.
    (EUROPEAN, "text", b"\x1b-F\xc4\xe9\n\xc4\xe9\t\x1b-L\xbb\xee\x0c\xe9"),
    (EUROPEAN, "name", b"\x1b-F\xc4\xe9^\xc4\xe9"),
    ("ISO 2022 IR 13\\ISO 2022 IR 87", "name", b"\xd4\xcf\xc0\xde=\x1b$B;3ED\x1b(J^\x1b(J\xc0\xdb\xb3"),
    # From Japanese in G0 to katakana in G1 without leaving G0, which pydicom writes.
    ("ISO 2022 IR 13\\ISO 2022 IR 87", "values", b"\x1b)I\xd4\xcf\xc0\xde\x1b$B;3ED\x1b)I\xd4\xcf\xc0\xde"),
    # Shift-JIS under the name of JIS X 0201
    ("ISO_IR 13", "values", b"\x8eR\x93c \xd4\xcf\xc0\xde"),
]


def split(value: bytes, kind: str) -> list[bytes]:
    """The values of an element, as pydicom parts them."""
    return [value] if kind == "text" else value.split(b"\\")


def decode(charset: str, kind: str, value: bytes) -> str:
    """What pydicom reads; of a name every component group, also empty ones at the end."""
    encodings = convert_encodings(charset.split("\\"))
    if kind != "name":
        return "\\".join(decode_bytes(one, encodings, TEXT_VR_DELIMS) for one in split(value, kind))
    return "\\".join(
        "=".join(decode_bytes(group, encodings, PN_DELIMS) for group in one.split(b"=")) for one in split(value, kind)
    )


def encode(charset: str, kind: str, text: str) -> bytes:
    """What pydicom writes, from text as `decode` gives it."""
    encodings = convert_encodings(charset.split("\\"))
    values = [text] if kind == "text" else text.split("\\")
    if kind != "name":
        return b"\\".join(encode_string(one, encodings) for one in values)
    return b"\\".join(
        b"=".join(
            b"^".join(encode_string(component, encodings) for component in group.split("^")) for group in one.split("=")
        )
        for one in values
    )


def row(charset: str, kind: str, value: bytes, direction: str = "") -> str:
    """One row of the table."""
    text = decode(charset, kind, value)
    direction = direction or ("both" if encode(charset, kind, text) == value else "decode")
    shown = "".join(
        "\\\\" if c == "\\" else f"\\{{{ord(c):X}}}" if ord(c) < 0x20 or 0x7F <= ord(c) <= 0x9F else c for c in text
    )
    return f'{charset} | {kind} | {direction} | {value.hex()} | "{shown}"'


def is_readable(charset: str, value: bytes) -> bool:
    """Whether pydicom knows all of the characters."""
    config.settings.reading_validation_mode = config.RAISE
    try:
        decode(charset, "text", value)
    except UnicodeError:
        return False
    finally:
        config.settings.reading_validation_mode = config.WARN
    return True


def upper_halves() -> Iterator[str]:
    """Every character of every single-byte set, as the only set and by its escape."""
    # Both leave A0H to Latin-1: these bytes have no meaning in ISO-IR 6, so nobody encodes them.
    for charset in ["", "ISO_IR 6", "ISO 2022 IR 6"]:
        yield row(charset, "values", bytes(range(0x20, 0x7F)).replace(b"\\", b""))
        yield row(charset, "values", bytes(range(0xA0, 0x100)), "decode")
    for number in SINGLE_BYTE:
        # A0H is no character of TIS 620; here it is the no-break space of its successor ISO 8859-11.
        upper = bytes(range(0xA1 if number == "166" else 0xA0, 0x100))
        defined = bytes(b for b in upper if is_readable(f"ISO_IR {number}", bytes([b])))
        for charset in [f"ISO_IR {number}", f"ISO 2022 IR {number}"]:
            yield row(charset, "values", upper)
            yield row(charset, "values", defined)
        yield row(
            f"ISO 2022 IR 6\\ISO 2022 IR {number}", "values", b"\x1b" + ESCAPES[number].encode() + defined, "decode"
        )
    for charset in ["ISO_IR 13", "ISO 2022 IR 13"]:
        yield row(charset, "values", bytes(range(0xA1, 0xE0)))
        yield row(charset, "values", bytes(range(0x20, 0x7F)).replace(b"\\", b""))
    yield row("ISO 2022 IR 6\\ISO 2022 IR 13", "values", b"\x1b)I" + bytes(range(0xA1, 0xE0)), "decode")


def multi_byte(every: int) -> Iterator[str]:
    """Some rows of each 94 by 94 set."""

    def rows(charset: str, before: bytes, after: bytes, high: int) -> Iterator[str]:
        for lead in range(0x21, 0x7F, every):
            pairs = [bytes([lead | high, trail | high]) for trail in range(0x21, 0x7F)]
            good = [
                p for p in pairs if p not in OTHERWISE.get(charset, []) and is_readable(charset, before + p + after)
            ]
            if good:
                yield row(charset, "text", before + b"".join(good) + after, "decode")

    yield from rows("\\ISO 2022 IR 87", b"\x1b$B", b"\x1b(B", 0)
    yield from rows("\\ISO 2022 IR 159", b"\x1b$(D", b"\x1b(B", 0)
    yield from rows("\\ISO 2022 IR 149", b"\x1b$)C", b"", 0x80)
    yield from rows("ISO 2022 IR 58", b"", b"", 0x80)
    yield from rows("GBK", b"", b"", 0x80)
    yield from rows("GB18030", b"", b"", 0x80)


def dataset(ds: Dataset, inherited: str) -> Iterator[str]:
    """The text of a dataset and of the items in it, which inherit the character set (PS3.5 7.5.3)."""
    charset = inherited
    if "SpecificCharacterSet" in ds:
        value = ds.SpecificCharacterSet
        charset = (value or "") if isinstance(value, str | None) else "\\".join(value)
    for tag in sorted(ds.keys()):
        elem = ds.get_item(tag)
        if elem.VR == "SQ":
            for item in ds[tag].value:
                yield from dataset(item, charset)
        kind = {"PN": "name", "SH": "values", "LO": "values", "UC": "values", "ST": "text", "LT": "text", "UT": "text"}
        if elem.VR in kind and isinstance(elem.value, bytes) and elem.value:
            yield row(charset, kind[elem.VR], elem.value)


def main() -> None:
    """Write the table; an argument takes only each so many rows of multi-byte sets."""
    config.settings.reading_validation_mode = config.WARN
    config.settings.writing_validation_mode = config.WARN
    every = int(sys.argv[1]) if len(sys.argv) > 1 else 13
    print(HEADER)
    print("# Every single-byte set\n", *upper_halves(), sep="\n")
    print("\n# Multi-byte sets, by rows\n", *multi_byte(every), sep="\n")
    print("\n# Text that pydicom writes\n", *(row(c, k, encode(c, k, t)) for c, k, t in TEXTS), sep="\n")
    print("\n# Bytes that it reads\n", *(row(*case, "decode") for case in BYTES), sep="\n")
    for path in sorted(get_charset_files()):
        if path.endswith(".dcm"):
            print(f"\n# {path.rsplit('/', 1)[-1]}\n", *dict.fromkeys(dataset(dcmread(path), "")), sep="\n")


main()
