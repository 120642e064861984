"""A batch of objects into the rows of the index: one transaction.

Rows keep the order in which objects came: a row that is replaced goes, and a new one with a higher key takes its
place. So the newest object below a patient, study or series is the one with the highest key. Keys are given here, as
there is one writer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Table, bindparam, func, select

from .headers import Entry, Values
from .nodes import PATIENT, SERIES, STUDY, Level, Node
from .schema import instance, progress, series

#: Values in one IN list.
_LIST: Final = 500

#: Where no more objects are left below a row, it is looked whether they still differ: each of their files is read.
_FEW: Final = 500

_REMOVE_INSTANCE: Final = instance.delete().where(instance.c.key == bindparam("of_key"))
_INSTANCE_COLUMNS: Final = [column.name for column in instance.columns]

#: A row without its header.
_FOUND: Final = (
    instance.c.key,
    instance.c.series_key,
    instance.c.sop_instance_uid,
    instance.c.sop_class_uid,
    instance.c.transfer_syntax_uid,
    instance.c.name,
    instance.c.size,
)


class Batch:
    """What is to be done in one transaction: `put` and `remove`, then `write`.

    Args:
        connection: of the writer.
        read: gives the entries of files by their names, of those that can be read.
        renew: whether objects count as new that are in the index as they are.
    """

    def __init__(self, connection: Connection, read: Callable[[list[str]], list[Entry]], renew: bool = False) -> None:
        self._connection, self._read, self._renew = connection, read, renew
        self._nodes: dict[Level, dict[int, Node]] = {PATIENT: {}, STUDY: {}, SERIES: {}}
        self._by_unique: dict[tuple[Level, int, str], Node] = {}
        self._next_key = {level: _last_key(connection, level.table) + 1 for level in self._nodes}
        self._rows: list[tuple[Any, ...]] = []
        self._removed: set[int] = set()
        #: The length of the files that came, less those that went, in bytes.
        self.bytes = 0

    def put(self, entries: Sequence[Entry]) -> None:
        """Objects that have come, in their order. Once in a batch."""
        # Of one object that came several times the last.
        latest = {entry.sop_instance: entry for entry in entries}
        known = {row.sop_instance_uid: row for row in self._find(instance.c.sop_instance_uid, list(latest))}
        if known and not self._renew:
            for uid in self._unchanged(latest, known):
                del latest[uid], known[uid]
        for row in known.values():
            self._take_out(row)
        uniques = [entry.unique for entry in latest.values()]
        self._load(PATIENT, {unique[0] for unique in uniques})
        self._load(STUDY, {unique[1] for unique in uniques})
        self._load(SERIES, {unique[2] for unique in uniques})
        key = _last_key(self._connection, instance)
        for entry in latest.values():
            key += 1
            self._put_in(key, entry)

    def remove(self, names: Sequence[str]) -> None:
        """Objects that are no more."""
        left = set(names)
        # A name is made of the UID, but for UIDs that would be no good names.
        uids = [name.rsplit("/", 1)[-1].removesuffix(".dcm") for name in names]
        for row in self._find(instance.c.sop_instance_uid, uids):
            if row.name in left:
                left.discard(row.name)
                self._take_out(row)
        for row in self._find(instance.c.name, [name for name in left if "/unsafe-" in name]):
            self._take_out(row)

    def write(self) -> None:
        """Changes the rows."""
        if self._removed:
            self._connection.execute(_REMOVE_INSTANCE, [{"of_key": key} for key in self._removed])
        for level in (PATIENT, STUDY, SERIES):
            level.write(self._connection, self._nodes[level].values())
        if self._rows:
            # A list of dicts is the way to executemany.
            rows = [dict(zip(_INSTANCE_COLUMNS, row, strict=True)) for row in self._rows]
            self._connection.execute(instance.insert(), rows)
        if self._removed:
            self._settle_removed()
        if self.bytes:
            self._connection.execute(progress.update().values(bytes=progress.c.bytes + self.bytes))

    def _find(self, column: Any, values: Sequence[str]) -> Iterator[Any]:
        for part in _parts(values):
            yield from self._connection.execute(select(*_FOUND).where(column.in_(part)))

    def _unchanged(self, latest: dict[str, Entry], known: dict[str, Any]) -> list[str]:
        """The UIDs of those objects that are in the index as they are."""
        same = [
            uid
            for uid, row in known.items()
            if (row.transfer_syntax_uid, row.name, row.size)
            == (latest[uid].transfer_syntax, latest[uid].name, latest[uid].size)
        ]
        unchanged = []
        for part in _parts(same):
            columns = select(instance.c.sop_instance_uid, instance.c.header)
            for uid, header in self._connection.execute(columns.where(instance.c.sop_instance_uid.in_(part))):
                if header == latest[uid].header:
                    unchanged.append(uid)
        return unchanged

    def _load(self, level: Level, uniques: set[str]) -> None:
        for part in _parts(sorted(uniques)):
            for row in self._connection.execute(level.select().where(level.unique.in_(part))):
                self._add(level, level.node(row))

    def _add(self, level: Level, node: Node) -> Node:
        node = self._nodes[level].setdefault(node.key, node)
        self._by_unique[level, node.parent, node.unique] = node
        return node

    def _by_key(self, level: Level, key: int) -> Node:
        node = self._nodes[level].get(key)
        if node is None:
            row = self._connection.execute(level.select().where(level.table.c.key == key)).one()
            node = self._add(level, level.node(row))
        return node

    def _below(self, level: Level, parent: int, unique: str) -> tuple[Node, bool]:
        """The row with this unique key below that parent, and whether it is new."""
        node = self._by_unique.get((level, parent, unique))
        if node is not None:
            return node, False
        key = self._next_key[level]
        self._next_key[level] += 1
        return self._add(level, Node(key, parent, unique)), True

    def _put_in(self, key: int, entry: Entry) -> None:
        patient_id, study_uid, series_uid = entry.unique
        patient, _ = self._below(PATIENT, 0, patient_id)
        study, is_new_study = self._below(STUDY, patient.key, study_uid)
        group, is_new_series = self._below(SERIES, study.key, series_uid)
        patient.studies += is_new_study
        for node in (patient, study):
            node.series += is_new_series
        for node in (patient, study, group):
            node.instances += 1
        patient.see(entry.patient, entry.header)
        study.see(entry.patient + entry.study, entry.header)
        group.see(entry.series, entry.header)
        modality = group.values[SERIES.modality]
        if modality:
            study.modalities.add(str(modality))
        study.sop_classes.add(entry.sop_class)
        names = (entry.transfer_syntax, entry.name, entry.size, entry.header)
        self._rows.append((key, group.key, entry.sop_instance, entry.sop_class, *entry.instance, *names))
        self.bytes += entry.size

    def _take_out(self, row: Any) -> None:
        if row.key in self._removed:
            return
        self._removed.add(row.key)
        self.bytes -= row.size
        for node in self._above(row.series_key):
            node.instances -= 1
            node.has_lost = True

    def _above(self, series_key: int) -> tuple[Node, Node, Node]:
        group = self._by_key(SERIES, series_key)
        study = self._by_key(STUDY, group.parent)
        return group, study, self._by_key(PATIENT, study.parent)

    def _settle_removed(self) -> None:
        """Where objects went: rows without objects go, the others get the header of the newest object that is left."""
        for group in [node for node in self._nodes[SERIES].values() if not node.instances]:
            study = self._by_key(STUDY, group.parent)
            patient = self._by_key(PATIENT, study.parent)
            study.series -= 1
            patient.series -= 1
        for study in [node for node in self._nodes[STUDY].values() if not node.instances]:
            self._by_key(PATIENT, study.parent).studies -= 1
        for level in (SERIES, STUDY, PATIENT):
            level.remove(self._connection, [node.key for node in self._nodes[level].values() if not node.instances])
        # From below: a study's modalities are those of its series.
        for level in (SERIES, STUDY, PATIENT):
            left = [node for node in self._nodes[level].values() if node.has_lost and node.instances]
            for node in left:
                self._renew_node(level, node)
            level.write(self._connection, left)

    def _renew_node(self, level: Level, node: Node) -> None:
        if level is STUDY:
            below = series.c.study_key == node.key
            modalities = select(series.c.modality).distinct().where(below)
            classes = select(instance.c.sop_class_uid).distinct().join(series).where(below)
            node.modalities = {str(value) for value in self._connection.scalars(modalities) if value}
            node.sop_classes = set(self._connection.scalars(classes))
        if not node.has_new_header:
            newest = select(func.max(instance.c.key)).select_from(level.instances).where(level.table.c.key == node.key)
            name = select(instance.c.name).where(instance.c.key == newest.scalar_subquery())
            for entry in self._read(list(self._connection.scalars(name))):
                node.see(_values(level, entry), entry.header)
        if node.mixed and node.instances <= _FEW:
            names = select(instance.c.name).select_from(level.instances).where(level.table.c.key == node.key)
            left = self._read(list(self._connection.scalars(names)))
            # What cannot be read now may say anything.
            node.mixed = len(left) < node.instances or len({_values(level, entry) for entry in left}) > 1
        node.is_changed = True


def _values(level: Level, entry: Entry) -> Values:
    """What an object says in the columns of a row above it."""
    if level is SERIES:
        return entry.series
    return entry.patient if level is PATIENT else entry.patient + entry.study


def _parts(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[at : at + _LIST] for at in range(0, len(values), _LIST))


def _last_key(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.max(table.c.key))).scalar() or 0
