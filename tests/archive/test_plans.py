"""How SQLite goes about the usual queries: by indexes from the top down, never by looking at every instance."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dimsefast import Matcher, query
from dimsefast.archive.database import Database
from dimsefast.archive.lookup import CHUNK, TABLES, Lookup
from dimsefast.archive.schema import patient, study
from pydicom import Dataset


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'index.sqlite'}")
    yield made
    made.close()


def plan(database: Database, level: str, identifier: Dataset, *columns: Any) -> list[str]:
    """What SQLite says that it would do."""
    lookup = Lookup(level, Matcher(identifier, level=level).conditions)
    table = TABLES[("PATIENT", "STUDY", "SERIES", "IMAGE").index(level)]
    steps = []
    with database.reading() as connection:
        for statement in lookup.statements([table.c.header, *columns]):
            text = statement.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
            steps += [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}".replace("%", "%%"))]
    return steps


def scans(steps: list[str]) -> list[str]:
    """Steps that look at every row of a table. The partial indexes have next to nothing in them."""
    found = [step for step in steps if step.startswith("SCAN") and "_odd_index" not in step]
    return [step for step in found if "_mixed_index" not in step]


UID = "1.2.3"
MANY = [f"1.2.{number}" for number in range(2 * CHUNK + 1)]


@pytest.mark.parametrize(
    ("level", "identifier", "columns"),
    [
        ("PATIENT", query.patient(patient_id="A"), ()),
        ("PATIENT", query.patient(patient_id="A*"), ()),
        ("PATIENT", query.patient(patient_name="SMITH*"), ()),
        ("STUDY", query.study(patient_id="A"), (patient.c.instances,)),
        ("STUDY", query.study(patient_name="SMITH^J*"), ()),
        ("STUDY", query.study(study_date="20200101-20200131"), ()),
        ("STUDY", query.study(accession_number="A1"), ()),
        ("STUDY", query.study(study_instance_uid=UID), ()),
        ("STUDY", query.study(study_instance_uid=MANY), ()),
        ("SERIES", query.series(study_instance_uid=UID, modality="CT"), (study.c.instances,)),
        ("SERIES", query.series(patient_id="A", study_instance_uid=UID), ()),
        ("SERIES", query.series(patient_name="SMITH", study_date="20200101"), ()),
        ("IMAGE", query.image(study_instance_uid=UID, series_instance_uid=UID), ()),
        ("IMAGE", query.image(patient_id="A", study_instance_uid=UID, series_instance_uid=UID), (study.c.instances,)),
        ("IMAGE", query.image(sop_instance_uid=UID), ()),
        ("IMAGE", query.image(sop_instance_uid=MANY, instance_number=1), ()),
        ("IMAGE", query.image(patient_id="A", modality="CT"), (patient.c.instances,)),
        ("IMAGE", query.image(accession_number="A1"), ()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_usual_query_looks_at_no_whole_table(
    database: Database, level: str, identifier: Dataset, columns: tuple[Any, ...]
) -> None:
    steps = plan(database, level, identifier, *columns)
    assert steps and not scans(steps), "\n".join(steps)


def test_a_query_for_everything_is_a_scan_and_nothing_else(database: Database) -> None:
    assert plan(database, "IMAGE", query.image()) == ["SCAN instance"]


def test_a_long_list_is_split(database: Database) -> None:
    lookup = Lookup("IMAGE", Matcher(query.image(sop_instance_uid=MANY)).conditions)
    statements = list(lookup.statements([TABLES[3].c.header]))
    assert len(statements) == 3
    # What has no value, or several, comes once.
    assert ["union" in str(statement).lower() for statement in statements] == [True, False, False]
