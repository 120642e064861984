"""dimsefast find."""

from __future__ import annotations

import csv
import itertools
import json
import sys
from collections.abc import Iterator
from typing import Any

import click
from pydicom.dataset import Dataset

from ..client.peer import Peer
from .common import (
    Interrupted,
    client_for,
    connection_options,
    key_option,
    level_option,
    model_options,
)
from .keys import identifier

#: Of these the columns of a table are, where no -k says which.
_COLUMNS = {
    "PATIENT": ["PatientName", "PatientID", "PatientBirthDate", "PatientSex"],
    "STUDY": [
        "PatientName",
        "PatientID",
        "StudyDate",
        "ModalitiesInStudy",
        "StudyDescription",
        "NumberOfStudyRelatedInstances",
        "StudyInstanceUID",
    ],
    "SERIES": ["Modality", "SeriesNumber", "SeriesDescription", "NumberOfSeriesRelatedInstances", "SeriesInstanceUID"],
    "IMAGE": ["InstanceNumber", "SOPClassUID", "SOPInstanceUID"],
    "": [
        "PatientName",
        "PatientID",
        "AccessionNumber",
        "ScheduledProcedureStepSequence.Modality",
        "ScheduledProcedureStepSequence.ScheduledProcedureStepStartDate",
        "ScheduledProcedureStepSequence.ScheduledProcedureStepStartTime",
        "ScheduledProcedureStepSequence.ScheduledStationAETitle",
    ],
}


@click.command()
@connection_options
@model_options(worklist=True)
@level_option
@key_option
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Cancel the query after N matches.")
@click.option("--json", "form", flag_value="json", help="Write DICOM JSON, an object on each line.")
@click.option("--csv", "form", flag_value="csv", help="Write CSV with a header.")
def find(
    peer: Peer,
    aet: str,
    aec: str | None,
    timeout: float,
    max_pdu: int | None,
    model: str | None,
    level: str | None,
    keys: tuple[str, ...],
    limit: int | None,
    form: str | None,
) -> int:
    """Query patients, studies, series, images or a worklist (C-FIND).

    On a terminal a table, otherwise a line for each match with tabs between its values. The columns are the keys that
    were given, or the usual ones of the level.

    \b
    dimsefast find ARCHIVE@10.0.0.5:104 -k "PatientName=DOE*" -k StudyDate=20240101-
    dimsefast find ARCHIVE@10.0.0.5:104 -L series -k StudyInstanceUID=1.2.3 --csv
    dimsefast find RIS@10.0.0.6:104 -W -k ScheduledProcedureStepSequence.Modality=CT --json
    """
    asked = identifier(keys, level, model, returning=True)
    columns = _columns(keys, asked)
    count = 0

    def counted(found: Any) -> Iterator[Dataset]:
        nonlocal count
        for dataset in itertools.islice(found, limit):
            count += 1
            yield dataset

    with client_for(peer, aet, aec, timeout, max_pdu) as client:
        responses = client.find(asked, model)
        try:
            if form == "json":
                for dataset in counted(responses):
                    print(json.dumps(dataset.to_json_dict()), flush=True)
            elif form == "csv":
                writer = csv.writer(sys.stdout, lineterminator="\n")
                writer.writerow(columns)
                for dataset in counted(responses):
                    writer.writerow(_values(dataset, columns))
            elif sys.stdout.isatty():
                _table(counted(responses), columns)
            else:
                for dataset in counted(responses):
                    print("\t".join(_values(dataset, columns)), flush=True)
        except KeyboardInterrupt:
            raise Interrupted(f"{count} matches until then") from None
        finally:
            responses.close()
    return 0


def _columns(keys: tuple[str, ...], asked: Dataset) -> list[str]:
    wanted = []
    for key in keys:
        path = key.partition("=")[0].strip()
        if path != "QueryRetrieveLevel" and "SpecificCharacterSet" not in path and path not in wanted:
            wanted.append(path)
    usual = _COLUMNS[str(asked.get("QueryRetrieveLevel") or "")]
    return list(dict.fromkeys([*wanted, *usual]))


def _values(dataset: Dataset, columns: list[str]) -> list[str]:
    return [_value(dataset, column) for column in columns]


def _value(dataset: Dataset, column: str) -> str:
    from .keys import tag_of

    element: Any = None
    for part in column.split("."):
        tag = tag_of(part, column)
        if dataset is None or tag not in dataset:
            return ""
        element = dataset[tag]
        dataset = element.value[0] if element.VR == "SQ" and element.value else None  # type: ignore[assignment]
    value = element.value
    if value is None or element.VR == "SQ":
        return ""
    text = "\\".join(map(str, value)) if element.VM > 1 else str(value)
    # What a peer sent must not move the cursor or end the line.
    return "".join(character if character.isprintable() else " " for character in text)


def _table(found: Iterator[Dataset], columns: list[str]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column.rpartition(".")[2], overflow="fold")
    count = 0
    for count, dataset in enumerate(found, 1):  # noqa: B007
        table.add_row(*(Text(value) for value in _values(dataset, columns)))
    if count:
        console.print(table)
    console.print(f"{count} {'match' if count == 1 else 'matches'}", highlight=False)
