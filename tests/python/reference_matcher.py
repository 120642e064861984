"""Attribute matching as PS3.4 C.2.2.2 has it, slow and obvious, to compare the engine with."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from itertools import permutations

from matching_tables import Options
from pydicom.datadict import dictionary_VM
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

_WILD_CARDS = {"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}
_MULTIPLE_VALUES = {"AE", "AS", "AT", "CS", "LO", "PN", "SH", "UC"}
_NUMBERS = {"DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"}
_TIMES = {"DA", "DT", "TM"}

_SPECIFIC_CHARACTER_SET = 0x00080005
_TIMEZONE_OFFSET_FROM_UTC = 0x00080201
#: ... with Query/Retrieve Level and Retrieve AE Title.
_NEVER_MATCHED = {_SPECIFIC_CHARACTER_SET, 0x00080052, 0x00080054, _TIMEZONE_OFFSET_FROM_UTC}

_TIME_OF_DATE = {
    0x00080020: 0x00080030,
    0x00080021: 0x00080031,
    0x00080022: 0x00080032,
    0x00080023: 0x00080033,
    0x00100030: 0x00100032,
    0x00321000: 0x00321001,
    0x00400002: 0x00400003,
    0x00400004: 0x00400005,
    0x00400244: 0x00400245,
    0x00400250: 0x00400251,
}

_SECOND = 1_000_000
_MINUTE = 60 * _SECOND
_DAY = 24 * 60 * _MINUTE
_BEGINNING, _END = -1, 10**30

#: The first and the last microsecond of what a value covers.
Interval = tuple[int, int]


@dataclass(frozen=True)
class _Context:
    options: Options
    #: Offsets in minutes of a DT that has none.
    key_offset: int
    stored_offset: int
    #: What is added to stored dates and times, in microseconds.
    shift: int


def matches(identifier: Dataset, stored: Dataset, options: Options) -> bool:
    """Whether a stored dataset matches all keys of an identifier."""
    local = _minutes(options.local)
    of_key = _minutes(identifier.get(_TIMEZONE_OFFSET_FROM_UTC))
    of_stored = _minutes(stored.get(_TIMEZONE_OFFSET_FROM_UTC))
    if of_stored is None:
        of_stored = local
    shift = 0
    if options.timezone and of_key is not None and of_stored is not None:
        shift = (of_key - of_stored) * _MINUTE
    if of_key is None:
        of_key = local
    return _dataset_matches(identifier, stored, _Context(options, of_key or 0, of_stored or 0, shift))


def matching_items(keys: Dataset, items: list[Dataset], options: Options) -> list[Dataset]:
    """The stored items that match the item of a key, where no UTC offset is involved."""
    return [item for item in items if _dataset_matches(keys, item, _Context(options, 0, 0, 0))]


def _dataset_matches(keys: Dataset, stored: Dataset, context: _Context) -> bool:
    combined = set()
    for date_tag, time_tag in _TIME_OF_DATE.items():
        if _is_combined(keys, stored, date_tag, time_tag, context):
            combined |= {date_tag, time_tag}
            if not _pair_matches(keys, stored, date_tag, time_tag, context):
                return False
    for key in keys:
        if int(key.tag) in combined or _is_never_matched(key):
            continue
        if key.VR == "SQ":
            if not _sequence_matches(key, stored, context):
                return False
        elif not _attribute_matches(key, stored, context):
            return False
    return True


def _is_never_matched(key: DataElement) -> bool:
    return int(key.tag) in _NEVER_MATCHED or key.tag.element == 0 or key.tag.group == 2


def _sequence_matches(key: DataElement, stored: Dataset, context: _Context) -> bool:
    """PS3.4 C.2.2.2.6."""
    if _is_universal(key):
        return True
    element = stored.get(key.tag)
    items = [] if element is None or element.value is None else list(element.value)
    if not items:
        return not context.options.worklist
    return any(_dataset_matches(key.value[0], item, context) for item in items)


def _attribute_matches(key: DataElement, stored: Dataset, context: _Context) -> bool:
    options = context.options
    keys = [text for text in _texts(key) if text]
    values = [text for text in _texts(stored.get(key.tag)) if text]
    if _is_universal(key):
        return True
    if options.empty and keys == ['""']:
        return not values
    if not values:
        return not options.worklist
    if key.VR in ("DA", "TM") and context.shift:
        moved = _moved_pair(key, stored, context)
        if moved is not None:
            return any(_moved_matches(key.VR, text, moved) for text in keys)
    if options.multiple and len(keys) > 1 and key.VR in _MULTIPLE_VALUES and _may_have_several_values(key):
        return all(any(_value_matches(key.VR, text, value, False, context) for value in values) for text in keys)
    return any(_value_matches(key.VR, text, value, True, context) for value in values for text in keys)


def _is_universal(key: DataElement) -> bool:
    """PS3.4 C.2.2.2.3, C.2.2.2.4 note 1, C.2.2.2.6."""
    if key.VR == "SQ":
        return not key.value or all(_is_never_matched(inner) or _is_universal(inner) for inner in key.value[0])
    texts = [text for text in _texts(key) if text]
    return not texts or (key.VR in _WILD_CARDS and texts == ["*"])


def _may_have_several_values(key: DataElement) -> bool:
    return str(dictionary_VM(key.tag)) != "1"


def _texts(element: DataElement | None) -> list[str]:
    """The values as text without padding (PS3.5 6.2)."""
    if element is None or element.value is None:
        return []
    value = element.value
    values = list(value) if isinstance(value, (list, MultiValue)) else [value]
    return [_without_padding(element.VR, _text(element.VR, one)) for one in values]


def _text(vr: str, value: object) -> str:
    if vr == "AT":
        return f"{value:08X}"
    return str(getattr(value, "original_string", value)) if vr in ("DS", "IS") else str(value)


def _without_padding(vr: str, text: str) -> str:
    if vr in ("LT", "ST", "UC", "UR", "UT"):
        return text.rstrip(" ")
    if vr == "PN":
        return "=".join(group.rstrip(" ") for group in text.split("="))
    if vr == "UI":
        return text.strip("\0 ")
    return text.strip(" ")


def _value_matches(vr: str, key: str, value: str, wild_cards: bool, context: _Context) -> bool:
    """One value of a key against one that is stored."""
    if vr == "PN":
        return _name_matches(key, value, wild_cards) or (
            context.options.fuzzy and _fuzzy_matches(key, value, wild_cards)
        )
    if vr in _TIMES:
        covered = _interval(vr, value, context.stored_offset)
        wanted = _range(vr, key, context.key_offset)
        if wanted is None:
            return key == value
        return covered is not None and _meet(covered, wanted)
    if vr in _NUMBERS:
        try:
            return Decimal(key) == Decimal(value)
        except InvalidOperation:
            return key == value
    if vr in _WILD_CARDS and wild_cards:
        return _wild_matches(key, value)
    return key == value


def _wild_matches(pattern: str, text: str) -> bool:
    """PS3.4 C.2.2.2.4."""
    expression = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None


# Dates and times


def _minutes(offset: object) -> int | None:
    """From +0100, -0500, an element with it, or nothing."""
    if isinstance(offset, DataElement):
        offset = offset.value
    if not offset:
        return None
    text = str(offset).strip()
    minutes = int(text[1:3]) * 60 + int(text[3:5])
    return -minutes if text[0] == "-" else minutes


def _interval(vr: str, text: str, offset: int) -> Interval | None:
    """What a single value covers, in microseconds: of the day for TM, of all days for DA, of all days in UTC for DT."""
    if vr == "DA":
        text = re.sub(r"^(\d{4})\.(\d\d)\.(\d\d)$", r"\1\2\3", text)
        return _days(text)
    if vr == "TM":
        text = re.sub(r"^(\d\d):(\d\d):(\d\d)", r"\1\2\3", text)
        return _time(text)
    match = re.fullmatch(r"(\d{4,8})(\d\d[\d.]*)?([+-]\d{4})?", text)
    if match is None:
        return None
    days, time = _days(match[1]), (0, _DAY - 1)
    if match[2]:
        if len(match[1]) != 8:
            return None
        found = _time(match[2])
        if found is None:
            return None
        time = found
    if days is None:
        return None
    if match[3]:
        offset = int(_minutes(match[3]) or 0)
        # PS3.5 6.2 DT: -1200 to +1400.
        if not -12 * 60 <= offset <= 14 * 60 or int(match[3][3:]) > 59:
            return None
    first, last = days[0] + time[0], days[1] - (_DAY - 1) + time[1]
    return first - offset * _MINUTE, last - offset * _MINUTE


def _days(text: str) -> Interval | None:
    """Of YYYY, YYYYMM, YYYYMMDD."""
    match = re.fullmatch(r"(\d{4})(?:(\d\d)(\d\d)?)?", text)
    if match is None:
        return None
    year = int(match[1])
    months = [int(match[2])] if match[2] else list(range(1, 13))
    days = [int(match[3])] if match[3] else list(range(1, 32))
    ordinals = []
    for month in months:
        for day in days:
            try:
                ordinals.append(date(year, month, day).toordinal())
            except ValueError:
                continue
    if not ordinals:
        return None
    return min(ordinals) * _DAY, (max(ordinals) + 1) * _DAY - 1


def _time(text: str) -> Interval | None:
    """Of HH, HHMM, HHMMSS, HHMMSS.F to HHMMSS.FFFFFF."""
    match = re.fullmatch(r"(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,6}))?)?)?", text)
    if match is None:
        return None
    hour, minute, second = int(match[1]), int(match[2] or 0), int(match[3] or 0)
    if hour > 23 or minute > 59 or second > 59:
        return None
    first = (hour * 60 + minute) * _MINUTE + second * _SECOND
    if match[4]:
        return first + int(match[4].ljust(6, "0")), first + int(match[4].ljust(6, "9"))
    if match[3]:
        return first, first + _SECOND - 1
    if match[2]:
        return first, first + _MINUTE - 1
    return first, first + 60 * _MINUTE - 1


def _ends(vr: str, text: str, offset: int) -> tuple[Interval | None, Interval | None] | None:
    """The two ends of a range, None for an open one; for a single value twice the same. None for what is neither."""
    single = _interval(vr, text, offset)
    if single is not None:
        return single, single
    # PS3.4 C.2.2.2.5.3: in DT any hyphen may be the one of the range or that of an offset west of UTC.
    for position, character in enumerate(text):
        if character != "-":
            continue
        before, after = text[:position].strip(" "), text[position + 1 :].strip(" ")
        first, last = _interval(vr, before, offset), _interval(vr, after, offset)
        if (before or after) and (first or not before) and (last or not after):
            return first, last
    return None


def _range(vr: str, text: str, offset: int) -> Interval | None:
    """PS3.4 C.2.2.2.5: from the beginning of the first to the end of the last."""
    ends = _ends(vr, text, offset)
    if ends is None:
        return None
    return ends[0][0] if ends[0] else _BEGINNING, ends[1][1] if ends[1] else _END


def _meet(covered: Interval, wanted: Interval) -> bool:
    """Whether a stored value lies in a range, or what it leaves open may."""
    return wanted[0] <= wanted[1] and covered[0] <= wanted[1] and wanted[0] <= covered[1]


def _single_text(dataset: Dataset, tag: int) -> str | None:
    texts = [text for text in _texts(dataset.get(tag)) if text]
    return texts[0] if len(texts) == 1 else None


def _stored_pair(stored: Dataset, date_tag: int, time_tag: int, context: _Context) -> Interval | None:
    """The instant of a stored date and time, in the time zone of the key."""
    day, time = _single_text(stored, date_tag), _single_text(stored, time_tag)
    if day is None or time is None:
        return None
    days, times = _interval("DA", day, 0), _interval("TM", time, 0)
    if days is None or times is None:
        return None
    return days[0] + times[0] + context.shift, days[0] + times[1] + context.shift


def _moved_pair(key: DataElement, stored: Dataset, context: _Context) -> Interval | None:
    for date_tag, time_tag in _TIME_OF_DATE.items():
        if int(key.tag) in (date_tag, time_tag):
            return _stored_pair(stored, date_tag, time_tag, context)
    return None


def _moved_matches(vr: str, key: str, moved: Interval) -> bool:
    wanted = _range(vr, key, 0)
    if wanted is None:
        return False
    if vr == "TM":
        midnight = moved[0] - moved[0] % _DAY
        moved = moved[0] - midnight, moved[1] - midnight
    return _meet(moved, wanted)


def _is_combined(keys: Dataset, stored: Dataset, date_tag: int, time_tag: int, context: _Context) -> bool:
    """PS3.4 C.2.2.2.5.4: both keys are there, one is a range, and there is an instant to compare with."""
    if not (context.options.datetime or context.options.worklist):
        return False
    day, time = _single_text(keys, date_tag), _single_text(keys, time_tag)
    if day is None or time is None:
        return False
    days, times = _ends("DA", day, 0), _ends("TM", time, 0)
    if days is None or times is None:
        return False
    is_range = days[0] != days[1] or times[0] != times[1] or "-" in day or "-" in time
    return is_range and _stored_pair(stored, date_tag, time_tag, context) is not None


def _pair_matches(keys: Dataset, stored: Dataset, date_tag: int, time_tag: int, context: _Context) -> bool:
    days = _ends("DA", str(_single_text(keys, date_tag)), 0)
    times = _ends("TM", str(_single_text(keys, time_tag)), 0)
    instant = _stored_pair(stored, date_tag, time_tag, context)
    assert days and times and instant
    wanted = _BEGINNING, _END
    # An end of the days that is open is open; one of the times alone reaches as far as its day.
    if days[0]:
        wanted = days[0][0] + (times[0][0] if times[0] else 0), wanted[1]
    if days[1]:
        wanted = wanted[0], days[1][1] - (_DAY - 1) + times[1][1] if times[1] else days[1][1]
    return _meet(instant, wanted)


# Names


def _name_groups(name: str) -> list[str]:
    """PS3.5 6.2.1: trailing empty components and component groups may be left out."""
    groups = [group.rstrip(" ").rstrip("^") for group in name.split("=")]
    while len(groups) > 1 and not groups[-1]:
        groups.pop()
    return groups


def _name_matches(key: str, name: str, wild_cards: bool) -> bool:
    keys, groups = _name_groups(key), _name_groups(name)
    if len(keys) == 1:
        return any(_group_matches(keys[0], group, wild_cards) for group in groups)
    groups += [""] * (len(keys) - len(groups))
    return all(not one or _group_matches(one, group, wild_cards) for one, group in zip(keys, groups, strict=False))


def _group_matches(key: str, group: str, wild_cards: bool) -> bool:
    key, group = key.lower(), group.lower()
    if wild_cards and ("*" in key or "?" in key):
        missing = key.count("^") - group.count("^")
        return _wild_matches(key, group + "^" * missing)
    return key == group


_LETTERS = {"ß": "ss", "ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d"}


def _folded(text: str, wild_cards: bool) -> list[str]:
    """The words, without accents, case and punctuation."""
    folded = ""
    for character in unicodedata.normalize("NFD", text).lower():
        if unicodedata.combining(character):
            continue
        character = _LETTERS.get(character, character)
        kept = character.isalnum() or (wild_cards and character in "*?")
        folded += character if kept else " "
    return folded.split()


def _fuzzy_matches(key: str, name: str, wild_cards: bool) -> bool:
    keys, groups = key.split("="), name.split("=")
    if len(keys) == 1:
        return any(_words_match(key, group, wild_cards) for group in groups)
    groups += [""] * (len(keys) - len(groups))
    return all(
        not _folded(one, wild_cards) or _words_match(one, group, wild_cards)
        for one, group in zip(keys, groups, strict=False)
    )


def _words_match(key: str, group: str, wild_cards: bool) -> bool:
    """Whether each word of the key finds a word of its own."""
    keys, words = _folded(key, wild_cards), _folded(group, False)
    return bool(keys) and any(
        all(_word_matches(one, word, wild_cards) for one, word in zip(keys, chosen, strict=True))
        for chosen in permutations(words, len(keys))
    )


def _word_matches(key: str, word: str, wild_cards: bool) -> bool:
    if key == word:
        return True
    if wild_cards and ("*" in key or "?" in key):
        return _wild_matches(key, word)
    shorter = min(len(key), len(word))
    if shorter < 4 or not re.fullmatch("[a-z]+", key) or not re.fullmatch("[a-z]+", word):
        return False
    return _distance(key, word) <= (2 if shorter >= 8 else 1) or _soundex(key) == _soundex(word)


def _distance(one: str, other: str) -> int:
    """Optimal string alignment: insertions, deletions, substitutions, and transpositions of neighbours."""
    table = [[max(i, j) if 0 in (i, j) else 0 for j in range(len(other) + 1)] for i in range(len(one) + 1)]
    for i in range(1, len(one) + 1):
        for j in range(1, len(other) + 1):
            cost = one[i - 1] != other[j - 1]
            table[i][j] = min(table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + cost)
            if i > 1 and j > 1 and one[i - 1] == other[j - 2] and one[i - 2] == other[j - 1]:
                table[i][j] = min(table[i][j], table[i - 2][j - 2] + 1)
    return table[-1][-1]


_SOUNDEX = {
    letter: str(code)
    for code, letters in enumerate(("bfpv", "cgjkqsxz", "dt", "l", "mn", "r"), 1)
    for letter in letters
}


def _soundex(word: str) -> str:
    """American Soundex: a first letter and three digits; h and w do not separate equal codes, vowels do."""
    digits, last = "", _SOUNDEX.get(word[0], "")
    for letter in word[1:]:
        digit = _SOUNDEX.get(letter, "")
        if digit and digit != last:
            digits += digit
        if letter not in "hw":
            last = digit
    return word[0] + (digits + "000")[:3]
