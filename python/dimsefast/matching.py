"""Attribute matching for anybody's datasets (PS3.4 C.2.2.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydicom import dcmread
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.tag import Tag

from . import _core
from . import _sop_class_data as data
from .dataset import EncodedDataset, encode_dataset, unchanged
from .errors import MatchError

#: What is matched: a dataset, the bytes of one, or the path of a DICOM file.
Candidate = Dataset | bytes | str | Path
T = TypeVar("T", Dataset, bytes, str, Path, Candidate)

EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"

_IDENTIFIER_DOES_NOT_MATCH = 0xA900
_LEVEL, _RETRIEVE_AE_TITLE = 0x00080052, 0x00080054
_INFORMATION_MODELS = ("PatientRoot", "StudyRoot", "PatientStudyOnly")
#: Encoded candidates that are looked at in one go: enough to make the way there and back cheap.
_CHUNK = 4096


class Condition(NamedTuple):
    """Something that a dataset has to fulfil to match, for whoever looks candidates up in an index of their own.

    An index may return more than what matches, never less: a condition that it cannot express is left out, and the
    `Matcher` decides.

    Attributes:
        tag: the attribute.
        keyword: its keyword; empty for a private one.
        vr: its value representation.
        kind: `single` (this value; PN without regard to case), `list` (one of these), `all` (each of these), `wildcard`
            (`*` and `?`, one of these), `range` (from the first of the two values to the second, the ends included, an
            empty one is open; DA as YYYYMMDD, TM as HHMMSS.FFFFFF, DT in UTC as YYYYMMDDHHMMSS.FFFFFF), `empty` (no
            value), `fuzzy` (one of these names), `sequence` (an item fulfils all `items`).
        values: decoded, without padding.
        takes_nothing: whether a stored attribute without a value fulfils it: so it is for all keys of Query/Retrieve
            but the unique ones (PS3.4 C.2.2.1), and for none of a worklist (K.2.2.1.2).
        items: of a sequence, what one of its items has to fulfil.
    """

    tag: int
    keyword: str
    vr: str
    kind: str
    values: tuple[str, ...]
    takes_nothing: bool
    items: tuple[Condition, ...]


def information_model(uid: str) -> tuple[str | None, bool]:
    """PatientRoot, StudyRoot, PatientStudyOnly or, without levels, None; and whether the SOP class retrieves."""
    keyword = next((keyword for keyword, known in data.QUERY_RETRIEVE.items() if known == str(uid)), "")
    if not keyword.endswith(("Find", "Move", "Get")):
        return None, False
    return next((model for model in _INFORMATION_MODELS if keyword.startswith(model)), None), not keyword.endswith(
        "Find"
    )


class Matcher:
    """A query, compiled once: says which datasets match, and what the response for each is.

    Universal, single value, list of UID, wild card, range (DA, TM, DT, with partial precision and UTC offsets) and
    sequence matching; names without regard to case, each component group for itself. What has to be negotiated is off
    unless asked for here.

    Args:
        identifier: the keys: `event.identifier` of a C-FIND, C-MOVE or C-GET, or an encoded one.
        model: UID of the query's SOP class. Default: none; every key is matched and no level is required.
        level: the Query/Retrieve Level, where the identifier does not say it.
        relational: relational queries: unique keys above the level are not required.
        datetime: a pair of date and time keys is one range of instants. Always so in a worklist.
        fuzzy: names also match by what they look and sound like: accents, the order of words and small misspellings do
            not count (`rust/identifier/src/matching/fuzzy.rs` says how).
        timezone: dates and times are compared in the identifier's Timezone Offset From UTC, where it has one.
        local_timezone: the offset of what does not say its own, such as "+0100". Default: none; that is not adjusted.
        empty_value: a key of two quotation marks asks for an attribute without a value.
        multiple_value: several values of a key must all be there; otherwise any of them.
        transfer_syntax: of the identifier and candidates that are given as bytes. Default: Explicit VR Little Endian.

    Raises MatchError for an identifier that the model does not allow, ValueError for bytes that are no identifier.
    """

    def __init__(
        self,
        identifier: Dataset | bytes,
        model: str | None = None,
        *,
        level: str | None = None,
        relational: bool = False,
        datetime: bool = False,
        fuzzy: bool = False,
        timezone: bool = False,
        local_timezone: str | None = None,
        empty_value: bool = False,
        multiple_value: bool = False,
        transfer_syntax: str = EXPLICIT_LITTLE,
    ) -> None:
        self._transfer_syntax = str(transfer_syntax)
        known, retrieves = (None, False) if model is None else information_model(model)
        self._query = _core.Query(
            _encoded(identifier, self._transfer_syntax),
            model=known,
            level=level,
            worklist=model is not None and known is None,
            datetime=datetime,
            fuzzy=fuzzy,
            timezone=timezone,
            empty_value=empty_value,
            multiple_value=multiple_value,
            local_timezone=local_timezone,
        )
        self._tags = self._query.tags
        if (mismatch := self._query.check(relational, retrieves)) is not None:
            raise MatchError(_IDENTIFIER_DOES_NOT_MATCH, *mismatch)

    @property
    def level(self) -> str | None:
        """The Query/Retrieve Level; None where there is none."""
        return self._query.level or None

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What a dataset has to fulfil, all of it: see `Condition`. Universal keys are not among them."""
        return _conditions(self._query.conditions())

    def matches(self, candidate: Candidate) -> bool:
        """Whether a dataset, an encoded one, or the DICOM file at a path matches.

        Raises ValueError for what is no dataset, OSError for a file that cannot be read.
        """
        return self._query.matches(*self._candidate(candidate))

    def filter(self, candidates: Iterable[T]) -> Iterator[T]:
        """Those that match, as they are.

        A list or tuple of encoded datasets is matched many at a time, without the GIL; of anything else each one is
        handed on before the next is asked for. Raises as `matches` does.
        """
        if isinstance(candidates, (list, tuple)) and all(type(candidate) is bytes for candidate in candidates):
            encoded: list[Any] = list(candidates)
            for first in range(0, len(encoded), _CHUNK):
                for at in self._query.select(encoded, first, first + _CHUNK, self._transfer_syntax):
                    yield encoded[at]
            return
        for candidate in candidates:
            if self.matches(candidate):
                yield candidate

    def response(self, candidate: Candidate, retrieve_aet: str | None = None) -> Dataset:
        """The identifier of a response: the requested attributes and no others, of sequences the matching items.

        With Query/Retrieve Level where there is one, and Specific Character Set. It stays encoded until it is looked
        at, and is sent without ever being decoded.

        Args:
            candidate: what matched.
            retrieve_aet: Retrieve AE Title, where the objects can be retrieved from.
        """
        encoded, transfer_syntax = self._query.response(*self._candidate(candidate), self._extra(retrieve_aet))
        return EncodedDataset._of(_core.Encoded(encoded, transfer_syntax))

    def answers(
        self,
        candidates: Sequence[bytes],
        transfer_syntax: str,
        *,
        computed: Sequence[Sequence[tuple[int, str, str]]] | None = None,
        retrieve_aet: str | None = None,
    ) -> list[bytes | None]:
        """For each candidate the encoded identifier of its response, or None where it does not match.

        All of them in one go, without the GIL.

        Args:
            candidates: datasets, encoded in Explicit VR Little Endian.
            transfer_syntax: of the responses.
            computed: for each candidate elements that stand in place of its own: (tag, VR, value in ASCII). They are
                returned, too, and so have to be among the keys.
            retrieve_aet: as for `response`.

        Raises ValueError for what is no dataset.
        """
        return self._query.answers(candidates, computed, self._extra(retrieve_aet), str(transfer_syntax))

    def _extra(self, retrieve_aet: str | None) -> list[tuple[int, str, str]]:
        """What a response has beside the keys."""
        extra = [] if self.level is None else [(_LEVEL, "CS", self.level)]
        if retrieve_aet is not None:
            extra.append((_RETRIEVE_AE_TITLE, "AE", retrieve_aet))
        return extra

    @property
    def tags(self) -> tuple[int, ...]:
        """The attributes of the top level that matching or a response looks at."""
        return tuple(self._tags)

    def _candidate(self, candidate: Candidate) -> tuple[_core.Encoded | bytes, str]:
        """A candidate, encoded, and its transfer syntax. Of a Dataset or file only what is needed."""
        if isinstance(candidate, bytes):
            return candidate, self._transfer_syntax
        if isinstance(candidate, (str, Path)):
            try:
                return _core.read_header(candidate, self._tags[-1]), EXPLICIT_LITTLE
            except ValueError:
                # Not as the standard has it: pydicom reads many of those.
                candidate = _read(candidate)
        if not isinstance(candidate, Dataset):
            raise TypeError(f"a candidate is a Dataset, bytes or a path, not {type(candidate).__name__}")
        encoded = unchanged(candidate)
        if encoded is not None:
            return encoded, EXPLICIT_LITTLE
        quickly = _core.encode(candidate, EXPLICIT_LITTLE, self._tags)
        if quickly is None:
            needed = Dataset()
            needed.update({Tag(tag): candidate[tag] for tag in self._tags if tag in candidate})
            quickly = encode_dataset(needed, EXPLICIT_LITTLE)
        return quickly, EXPLICIT_LITTLE

    def __repr__(self) -> str:
        keys = ", ".join(condition.keyword or f"{condition.tag:08X}" for condition in self.conditions)
        return f"<Matcher {self.level or ''} {keys}>"


def _read(path: str | Path) -> Dataset:
    try:
        return dcmread(path, stop_before_pixels=True)
    except InvalidDicomError as error:
        raise ValueError(f"{path} is no DICOM file: {error}") from None


def _encoded(identifier: Dataset | bytes, transfer_syntax: str) -> _core.Encoded:
    if isinstance(identifier, bytes):
        return _core.Encoded(identifier, transfer_syntax)
    if not isinstance(identifier, Dataset):
        raise TypeError(f"an identifier is a Dataset or bytes, not {type(identifier).__name__}")
    return unchanged(identifier) or _core.Encoded(encode_dataset(identifier, EXPLICIT_LITTLE), EXPLICIT_LITTLE)


def _conditions(rows: list[Any]) -> tuple[Condition, ...]:
    return tuple(
        Condition(tag, keyword_for_tag(tag), vr, kind, tuple(values), takes_nothing, _conditions(items))
        for tag, vr, kind, values, takes_nothing, items in rows
    )
