"""From the conditions of a query to statements on the index that find at least everything that matches.

What a statement finds may match or not: the query's `Matcher` decides. It finds too much wherever a column does not
say what the engine looks at, and never too little (`schema.py` says what columns hold; a property test holds the two
together). Conditions on levels above become sets of keys, so that the tables' indexes lead from the top down.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

from pydicom.datadict import tag_for_keyword
from sqlalchemy import Column, ColumnElement, Select, Table, and_, literal_column, or_, select, union_all
from sqlalchemy import text as sql

from ..matching import Condition
from .schema import (
    INSTANCE_ATTRIBUTES,
    MIXED,
    PATIENT_ATTRIBUTES,
    SERIES_ATTRIBUTES,
    STUDY_ATTRIBUTES,
    Attribute,
    column_value,
    instance,
    odd,
    patient,
    series,
    study,
)

#: Tables by Query/Retrieve Level, and their places from the top down.
LEVELS: Final = ("PATIENT", "STUDY", "SERIES", "IMAGE")
TABLES: Final[tuple[Table, ...]] = (patient, study, series, instance)
_PATIENT, _STUDY, _SERIES, _IMAGE = range(4)

#: Values of a key in one statement.
CHUNK: Final = 500

#: What is between two offsets from UTC, in whole days (PS3.5 6.2: from -1200 to +1400).
_OFFSETS: Final = timedelta(days=2)

#: Keyword, representation and column of the unique key of each level.
_UNIQUE: Final[tuple[tuple[str, str, Column[Any]], ...]] = (
    ("PatientID", "LO", patient.c.patient_id),
    ("StudyInstanceUID", "UI", study.c.study_instance_uid),
    ("SeriesInstanceUID", "UI", series.c.series_instance_uid),
    ("SOPInstanceUID", "UI", instance.c.sop_instance_uid),
)
_PLACES: Final = {keyword: place for place, (keyword, _, _) in enumerate(_UNIQUE)}

_ATTRIBUTES: Final[dict[str, tuple[int, Attribute]]] = {
    attribute.keyword: (place, attribute)
    for place, attributes in enumerate((PATIENT_ATTRIBUTES, STUDY_ATTRIBUTES, SERIES_ATTRIBUTES, INSTANCE_ATTRIBUTES))
    for attribute in attributes
}


class Computed(NamedTuple):
    """An attribute that no object has, but the index."""

    tag: int
    vr: str
    place: int
    column: Column[Any]


def _computed(keyword: str, vr: str, place: int, column: Column[Any]) -> tuple[str, Computed]:
    return keyword, Computed(tag_for_keyword(keyword) or 0, vr, place, column)


COMPUTED: Final[dict[str, Computed]] = dict(
    (
        _computed("NumberOfPatientRelatedStudies", "IS", _PATIENT, patient.c.studies),
        _computed("NumberOfPatientRelatedSeries", "IS", _PATIENT, patient.c.series),
        _computed("NumberOfPatientRelatedInstances", "IS", _PATIENT, patient.c.instances),
        _computed("NumberOfStudyRelatedSeries", "IS", _STUDY, study.c.series),
        _computed("NumberOfStudyRelatedInstances", "IS", _STUDY, study.c.instances),
        _computed("ModalitiesInStudy", "CS", _STUDY, study.c.modalities),
        _computed("SOPClassesInStudy", "UI", _STUDY, study.c.sop_classes),
        _computed("NumberOfSeriesRelatedInstances", "IS", _SERIES, series.c.instances),
        _computed("AvailableTransferSyntaxUID", "UI", _IMAGE, instance.c.transfer_syntax_uid),
    )
)


def computed_for(level: str, tags: Iterable[int]) -> list[Computed]:
    """Those of these attributes that the index knows of a row at this level, or of what is above it."""
    place, wanted = LEVELS.index(level), set(tags)
    return [found for found in COMPUTED.values() if found.place <= place and found.tag in wanted]


class Lookup:
    """What a query asks of the index at a level.

    Args:
        level: PATIENT, STUDY, SERIES or IMAGE.
        conditions: of the query.
        moves_dates: stored dates are compared in another offset from UTC than their own.
    """

    def __init__(self, level: str, conditions: Iterable[Condition], moves_dates: bool = False) -> None:
        self._place = LEVELS.index(level)
        self._moves_dates = moves_dates
        #: By level: what rows have to fulfil, each by itself.
        self._own: list[list[ColumnElement[bool]]] = [[] for _ in LEVELS]
        #: The same for what a row above says of this one, which is right only where it is not mixed.
        self._inherited: list[list[ColumnElement[bool]]] = [[] for _ in LEVELS]
        self._unique: dict[int, list[str]] = {}
        #: The levels whose unique key may have no value: Patient ID, where it is no unique key.
        self._nullable: set[int] = set()
        for condition in conditions:
            self._take(condition)

    def statements(self, columns: Sequence[Column[Any]]) -> Iterator[Select[Any]]:
        """Selects of these columns, of the level's table or those above; no row comes in two of them.

        There are several where a unique key has a long list of values.
        """
        longest = max(self._unique, key=lambda place: len(self._unique[place]), default=self._place)
        values = self._unique.get(longest, [])
        for first in range(0, max(1, len(values)), CHUNK):
            chunk = {longest: values[first : first + CHUNK]} if values else {}
            yield self._statement(columns, {**self._unique, **chunk}, is_first=first == 0, split=longest)

    def _statement(
        self, columns: Sequence[Column[Any]], unique: dict[int, list[str]], is_first: bool, split: int
    ) -> Select[Any]:
        clauses: list[ColumnElement[bool]] = []
        for place in range(self._place + 1):
            table = TABLES[place]
            if clauses:
                above = select(TABLES[place - 1].c.key).where(*clauses).correlate(None)
                clauses = [_parent(place).in_(above)]
            clauses.extend(self._own[place])
            values = unique.get(place, [])
            # A list that is still too long is for the engine.
            if values and len(values) <= CHUNK:
                clause = _UNIQUE[place][2].in_(values)
                # Those with other values come once.
                clauses.append(self._or_odd(place, clause) if is_first or place != split else clause)
            if self._inherited[place]:
                agreed = and_(*self._inherited[place])
                # Other clauses lead to few rows already.
                clauses.append(or_(agreed, sql(MIXED)) if clauses else _any_of(table, agreed, sql(MIXED)))
        return select(*columns).select_from(self._joined(columns)).where(*clauses)

    def _joined(self, columns: Sequence[Column[Any]]) -> Any:
        top = min([self._place, *(TABLES.index(column.table) for column in columns)])
        joined: Any = TABLES[self._place]
        for place in range(self._place, top, -1):
            joined = joined.join(TABLES[place - 1], _parent(place) == TABLES[place - 1].c.key)
        return joined

    def _take(self, condition: Condition) -> None:
        keyword, vr = condition.keyword, condition.vr
        # A key in another representation than its attribute's is compared in that.
        if keyword in _PLACES and vr == _UNIQUE[_PLACES[keyword]][1]:
            self._take_unique(condition, _PLACES[keyword])
        elif keyword in COMPUTED and vr == COMPUTED[keyword].vr:
            clause = _computed_clause(COMPUTED[keyword], condition)
            if clause is not None and COMPUTED[keyword].place <= self._place:
                self._own[COMPUTED[keyword].place].append(clause)
        elif keyword in _ATTRIBUTES and vr == _ATTRIBUTES[keyword][1].vr:
            place, attribute = _ATTRIBUTES[keyword]
            # A study says itself what it says of its patient.
            place = _STUDY if place == _PATIENT and self._place > _PATIENT else place
            if place > self._place:
                return
            column = TABLES[place].c[attribute.column]
            clause = self._clause(column, condition)
            if clause is not None:
                (self._own if place == self._place else self._inherited)[place].append(or_(clause, column.is_(None)))

    def _take_unique(self, condition: Condition, place: int) -> None:
        if place > self._place:
            return
        if condition.takes_nothing:
            self._nullable.add(place)
        if condition.kind in ("single", "list"):
            values = _values(condition)
            if values is not None:
                self._unique[place] = list(dict.fromkeys(values))
        elif condition.kind == "wildcard":
            clause = _wildcards(_UNIQUE[place][2], condition)
            if clause is not None:
                self._own[place].append(self._or_odd(place, clause))

    def _or_odd(self, place: int, clause: ColumnElement[bool]) -> ColumnElement[bool]:
        """It is so; or the unique key has several values, or none where that is enough."""
        column = _UNIQUE[place][2]
        nothing = [column == ""] if place in self._nullable else []
        return _any_of(TABLES[place], clause, *nothing, sql(odd(column.name)))

    def _clause(self, column: Column[Any], condition: Condition) -> ColumnElement[bool] | None:
        """What rows with a value have to fulfil; None where the column cannot say it."""
        if condition.kind in ("single", "list") and condition.vr not in ("DA", "TM"):
            values = _values(condition)
            return None if values is None or len(values) > CHUNK else column.in_(values)
        if condition.kind == "wildcard":
            return _wildcards(column, condition)
        if condition.kind == "range" and condition.vr == "DA":
            return self._dates(column, *condition.values)
        # A time may belong to a date, name an hour, or be a leap second; a fuzzy name is the engine's.
        return None

    def _dates(self, column: Column[Any], first: str, last: str) -> ColumnElement[bool] | None:
        clauses = []
        if first:
            clauses.append(column >= (self._moved(first, -_OFFSETS) if self._moves_dates else first))
        if last:
            clauses.append(column <= (self._moved(last, _OFFSETS) if self._moves_dates else last))
        return and_(*clauses) if clauses else None

    @staticmethod
    def _moved(day: str, by: timedelta) -> str:
        try:
            return (date(int(day[:4]), int(day[4:6]), int(day[6:])) + by).strftime("%Y%m%d").zfill(8)
        except (ValueError, OverflowError):
            # Beyond the calendar there is nothing.
            return "00000000" if by < timedelta() else "99999999"


def _parent(place: int) -> Column[Any]:
    """The column that leads to the level above."""
    parent: Column[Any] = TABLES[place].c[f"{TABLES[place - 1].name}_key"]
    return parent


def _any_of(table: Table, *alternatives: Any) -> ColumnElement[bool]:
    """One of these: OR, in a form in which SQLite takes an index for each."""
    selects = [select(table.c.key).where(alternative).correlate(None) for alternative in alternatives]
    return table.c.key.in_(union_all(*selects))


def _values(condition: Condition) -> list[Any] | None:
    """The values as the columns have them; None where one of them has no such form, so that the column cannot say."""
    values = [column_value(condition.vr, value) for value in condition.values if value.strip(" \0")]
    # A name of several component groups is compared group by group.
    if any(value is None for value in values) or not values:
        return None
    return values


def _wildcards(column: Column[Any], condition: Condition) -> ColumnElement[bool] | None:
    clauses = []
    for value in condition.values:
        pattern = _pattern(condition.vr, value)
        if pattern is None:
            return None
        clauses.append(_like(column, pattern))
    return or_(*clauses) if clauses else None


def _pattern(vr: str, value: str) -> str | None:
    """A pattern that names at least what the value does, among what columns hold; None where there is none."""
    if not (value.isascii() and value.isprintable()):
        return None
    if vr != "PN":
        return value.strip(" \0")
    if "=" in value:
        return None
    name = "^".join(component.rstrip() for component in value.rstrip("^ ").split("^")).upper()
    # Components that a stored name does not have count as empty ones: from the first caret on anything goes.
    return name.partition("^")[0] + "*" if "^" in name else name


def _like(column: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    """LIKE, and for the part before the first wild card a range that an index knows."""
    prefix = pattern.replace("?", "*").partition("*")[0]
    for special in "/%_":
        pattern = pattern.replace(special, "/" + special)
    clause = column.like(pattern.replace("*", "%").replace("?", "_"), escape="/")
    if not prefix:
        return clause
    return and_(column >= prefix, column < prefix[:-1] + chr(ord(prefix[-1]) + 1), clause)


def _computed_clause(found: Computed, condition: Condition) -> ColumnElement[bool] | None:
    if condition.kind not in ("single", "list"):
        return None
    values = _values(condition)
    if values is None or len(values) > CHUNK:
        return None
    if found.vr == "IS":
        return found.column.in_(values)
    around = literal_column("'\\'").concat(found.column).concat(literal_column("'\\'"))
    return or_(found.column == "", *(_like(around, f"*\\{value}\\*") for value in values))
