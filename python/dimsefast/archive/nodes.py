"""The rows of patients, studies and series while a batch changes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Column, Connection, FromClause, Row, Select, Table, bindparam, select

from .headers import Values
from .schema import (
    PATIENT_ATTRIBUTES,
    SERIES_ATTRIBUTES,
    STUDY_ATTRIBUTES,
    Attribute,
    instance,
    patient,
    series,
    study,
)


@dataclass(slots=True)
class Node:
    """A row of a patient, study or series.

    Attributes:
        key: of the row.
        parent: the key of the row above; 0 of a patient.
        unique: the value of its unique key.
        values: what stands in the columns of its attributes.
        studies: how many are below; likewise `series` and `instances`.
        modalities: of a study: values of Modalities in Study.
        sop_classes: of a study: values of SOP Classes in Study.
        mixed: whether objects below say different things.
        header: of its newest object, where that is another one than in the database.
        is_new: whether it is not in the database yet.
        is_changed: whether it differs from what is there.
        has_new_header: whether its newest object is one of this batch.
        has_lost: whether objects below have gone.
    """

    key: int
    parent: int
    unique: str
    values: Values = ()
    studies: int = 0
    series: int = 0
    instances: int = 0
    modalities: set[str] = field(default_factory=set)
    sop_classes: set[str] = field(default_factory=set)
    mixed: bool = False
    header: bytes = b""
    is_new: bool = True
    is_changed: bool = True
    has_new_header: bool = False
    has_lost: bool = False

    def see(self, values: Values, header: bytes) -> None:
        """A newer object says this."""
        if values != self.values:
            self.mixed = self.mixed or bool(self.values)
            self.values = values
        self.header = header
        self.has_new_header = self.is_changed = True


class Level:
    """A kind of row.

    Args:
        table: where they are.
        parent: the column that has the key of the row above.
        unique: the column of the unique key.
        attributes: those that have columns.
        counts: the columns of counts.
        instances: the tables from here down to the instances, joined.
    """

    def __init__(
        self,
        table: Table,
        parent: Column[int] | None,
        unique: Column[str],
        attributes: tuple[Attribute, ...],
        counts: tuple[str, ...],
        instances: FromClause,
    ) -> None:
        self.table, self.parent, self.unique, self.instances = table, parent, unique, instances
        self._columns = tuple(attribute.column for attribute in attributes)
        self._counts = counts
        self._has_sets = "modalities" in table.c
        here = table.c.key == bindparam("of_key")
        written = [name for name in (*self._columns, *counts, *self._sets, "mixed")]
        self._update = table.update().where(here).values({name: bindparam(f"new_{name}") for name in written})
        self._update_with_header = self._update.values(header=bindparam("new_header"))
        self._remove = table.delete().where(here)
        #: Where Modality stands among the values of a series.
        self.modality = self._columns.index("modality") if "modality" in self._columns else -1

    @property
    def _sets(self) -> tuple[str, ...]:
        return ("modalities", "sop_classes") if self._has_sets else ()

    def select(self) -> Select[Any]:
        """All columns but the header."""
        return select(*(column for column in self.table.columns if column.name != "header"))

    def node(self, row: Row[Any]) -> Node:
        """A row that was selected."""
        found = row._mapping
        node = Node(
            found["key"],
            0 if self.parent is None else found[self.parent],
            found[self.unique],
            tuple(found[name] for name in self._columns),
            mixed=found["mixed"],
            is_new=False,
            is_changed=False,
        )
        for name in self._counts:
            setattr(node, name, found[name])
        for name in self._sets:
            setattr(node, name, set(filter(None, found[name].split("\\"))))
        return node

    def write(self, connection: Connection, nodes: Iterable[Node]) -> None:
        """Inserts and updates those that have changed."""
        new, changed, with_header = [], [], []
        for node in nodes:
            if not node.is_changed and not node.has_lost:
                continue
            row = self._row(node)
            if node.is_new:
                row |= {"key": node.key, self.unique.name: node.unique, "header": node.header}
                if self.parent is not None:
                    row[self.parent.name] = node.parent
                new.append(row)
            else:
                row = {f"new_{name}": value for name, value in row.items()} | {"of_key": node.key}
                if node.has_new_header:
                    with_header.append(row | {"new_header": node.header})
                else:
                    changed.append(row)
            node.is_new = node.is_changed = False
        for statement, rows in (
            (self.table.insert(), new),
            (self._update, changed),
            (self._update_with_header, with_header),
        ):
            if rows:
                connection.execute(statement, rows)

    def _row(self, node: Node) -> dict[str, Any]:
        row: dict[str, Any] = dict(zip(self._columns, node.values, strict=True))
        row |= {name: getattr(node, name) for name in self._counts}
        row |= {name: "\\".join(sorted(getattr(node, name))) for name in self._sets}
        return row | {"mixed": node.mixed}

    def remove(self, connection: Connection, keys: Sequence[int]) -> None:
        """Deletes the rows with these keys."""
        if keys:
            connection.execute(self._remove, [{"of_key": key} for key in keys])


PATIENT: Final = Level(
    patient,
    None,
    patient.c.patient_id,
    PATIENT_ATTRIBUTES,
    ("studies", "series", "instances"),
    patient.join(study).join(series).join(instance),
)
STUDY: Final = Level(
    study,
    study.c.patient_key,
    study.c.study_instance_uid,
    (*PATIENT_ATTRIBUTES, *STUDY_ATTRIBUTES),
    ("series", "instances"),
    study.join(series).join(instance),
)
SERIES: Final = Level(
    series, series.c.study_key, series.c.series_instance_uid, SERIES_ATTRIBUTES, ("instances",), series.join(instance)
)
