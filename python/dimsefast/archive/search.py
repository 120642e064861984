"""What of the index matches a query: rows that a statement finds, batch by batch, decided by the query's `Matcher`."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from sqlalchemy import select

from ..matching import EXPLICIT_LITTLE, Matcher
from .lookup import CHUNK, LEVELS, TABLES, Lookup, computed_for
from .rows import Rows
from .schema import instance, series, study

if TYPE_CHECKING:
    from .database import Database

#: Rows that are looked at in one go: few at first, so that the first response leaves early.
_FIRST_BATCH, _LARGEST_BATCH = 16, 1024

_INSTANCE_AVAILABILITY: Final = tag_for_keyword("InstanceAvailability") or 0

Element = tuple[int, str, str]


class Options(NamedTuple):
    """What was negotiated for a query: see `Matcher`."""

    relational: bool = False
    datetime: bool = False
    fuzzy: bool = False
    timezone: bool = False
    empty_value: bool = False
    multiple_value: bool = False


class Search:
    """A query of an information model with levels, for an index.

    Args:
        database: the index.
        identifier: the keys, as `Matcher` takes them.
        model: UID of the SOP class.
        options: what was negotiated.
        local_timezone, transfer_syntax: as `Matcher` takes them.

    The rows of a level are matched by the header of their newest object, with what the index counts in place of
    attributes that say so (`lookup.COMPUTED`). Raises MatchError for an identifier that the model does not allow,
    ValueError for bytes that are no identifier.
    """

    def __init__(
        self,
        database: Database,
        identifier: Dataset | bytes,
        model: str,
        options: Options = Options(),  # noqa: B008 - nobody changes it
        *,
        local_timezone: str | None = None,
        transfer_syntax: str = EXPLICIT_LITTLE,
    ) -> None:
        self._database = database
        self.matcher = Matcher(
            identifier, model, local_timezone=local_timezone, transfer_syntax=transfer_syntax, **options._asdict()
        )
        self.level = self.matcher.level or ""
        self._lookup = Lookup(self.level, self.matcher.conditions, moves_dates=options.timezone)
        self._computed = computed_for(self.level, self.matcher.tags)
        self._constant: list[Element] = []
        if _INSTANCE_AVAILABILITY in self.matcher.tags:
            self._constant.append((_INSTANCE_AVAILABILITY, "CS", "ONLINE"))

    def responses(
        self,
        transfer_syntax: str = EXPLICIT_LITTLE,
        retrieve_aet: str | None = None,
        is_cancelled: Callable[[], bool] = bool,
    ) -> Iterator[bytes]:
        """The encoded identifier of the response for each match, as rows are read; ends early where it is cancelled."""
        return chain.from_iterable(self.response_batches(transfer_syntax, retrieve_aet, is_cancelled))

    def response_batches(
        self, transfer_syntax: str, retrieve_aet: str | None, is_cancelled: Callable[[], bool]
    ) -> Iterator[list[bytes]]:
        """The same in lists, each as soon as its rows have been looked at: a few at first, then more."""
        for _, answers in self._batches(transfer_syntax, retrieve_aet, is_cancelled):
            if found := [answer for answer in answers if answer is not None]:
                yield found

    def instances(self, is_cancelled: Callable[[], bool] = bool) -> array[int]:
        """The keys of the instances that match, or belong to what does, by study, series and Instance Number."""
        table = TABLES[LEVELS.index(self.level)]
        keys: list[int] = []
        for rows, answers in self._batches(EXPLICIT_LITTLE, None, is_cancelled):
            keys.extend(row[-1] for row, answer in zip(rows, answers, strict=True) if answer is not None)
        found: list[tuple[int, int, int, int]] = []
        order = (study.c.key, series.c.key, instance.c.instance_number, instance.c.key)
        joined = instance.join(series, instance.c.series_key == series.c.key).join(
            study, series.c.study_key == study.c.key
        )
        with self._database.reading() as connection:
            for first in range(0, len(keys), CHUNK):
                if is_cancelled():
                    break
                column = study.c.patient_key if table.name == "patient" else table.c.key
                below = select(*order).select_from(joined).where(column.in_(keys[first : first + CHUNK]))
                found.extend((a, b, -1 if c is None else c, d) for a, b, c, d in connection.execute(below))
        found.sort()
        return array("q", (key for *_, key in found))

    def _batches(
        self, transfer_syntax: str, retrieve_aet: str | None, is_cancelled: Callable[[], bool]
    ) -> Iterator[tuple[Sequence[Any], list[bytes | None]]]:
        """Rows (header, computed attributes, key), and for each the answer; None where it does not match."""
        table = TABLES[LEVELS.index(self.level)]
        wanted = [table.c.header, *(found.column for found in self._computed), table.c.key]
        size = _FIRST_BATCH
        lookup = self._lookup
        with Rows(self._database, lookup.statements(wanted), lookup.any_row(wanted), table.c.key) as found:
            while not is_cancelled() and (rows := found.fetch(size)):
                computed = [self._elements(row) for row in rows] if self._computed or self._constant else None
                headers = [row[0] for row in rows]
                yield (
                    rows,
                    self.matcher.answers(headers, transfer_syntax, computed=computed, retrieve_aet=retrieve_aet),
                )
                size = min(4 * size, _LARGEST_BATCH)

    def _elements(self, row: Any) -> list[Element]:
        """What stands in place of the attributes of the header."""
        values = zip(self._computed, row[1:], strict=False)
        return list(chain(((found.tag, found.vr, str(value)) for found, value in values), self._constant))
