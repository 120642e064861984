"""-k options to an identifier."""

from __future__ import annotations

import re
from collections.abc import Sequence

import click
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from .. import query
from ..client.retrieving import LEVELS, UNIQUE

_TAG = re.compile(r"\(?([0-9A-Fa-f]{4}),?([0-9A-Fa-f]{4})\)?")
_BUILDERS = {"PATIENT": query.patient, "STUDY": query.study, "SERIES": query.series, "IMAGE": query.image}


def identifier(keys: Sequence[str], level: str | None, model: str | None, returning: bool) -> Dataset:
    """The identifier of these keys; with `returning`, and where no key asks for more, with the usual return keys.

    Raises click.UsageError for a key that is none.
    """
    given = Dataset()
    for key in keys:
        add_key(given, key)
    worklist = model == "worklist" or (level is None and "ScheduledProcedureStepSequence" in given)
    if worklist:
        found = query.worklist() if returning else Dataset()
    else:
        # Who asks for a patient wants to see the studies, and retrieve all of them.
        patients = not returning and model != "study"
        chosen = (level or str(given.get("QueryRetrieveLevel") or "") or _lowest(given, patients)).upper()
        if chosen not in LEVELS:
            raise click.UsageError(f"QueryRetrieveLevel is PATIENT, STUDY, SERIES or IMAGE, not {chosen}")
        found = _BUILDERS[chosen]() if returning else Dataset()
        given.QueryRetrieveLevel = chosen
    for element in given:
        if element.VR == "SQ" and element.keyword in found and found[element.keyword].value:
            found[element.keyword].value[0].update(element.value[0])
        else:
            found[element.tag] = element
    if not str(found).isascii():
        found.SpecificCharacterSet = "ISO_IR 192"
    return found


def _lowest(given: Dataset, patients: bool) -> str:
    """The level of the lowest unique key."""
    there = [level for level in LEVELS if UNIQUE[level] in given and (patients or level != "PATIENT")]
    return there[-1] if there else "STUDY"


def add_key(dataset: Dataset, key: str) -> None:
    """Adds one KEY=VALUE to an identifier. Raises click.UsageError for what is none."""
    path, _, value = key.partition("=")
    *parents, last = [tag_of(part, key) for part in path.split(".")]
    for parent in parents:
        if _vr(parent) != "SQ":
            raise click.UsageError(f"-k {key}: {keyword_for_tag(parent) or Tag(parent)} is no sequence")
        if parent not in dataset or not dataset[parent].value:
            dataset.add_new(parent, "SQ", [Dataset()])
        dataset = dataset[parent].value[0]
    vr = _vr(last)
    if vr == "SQ":
        if value:
            raise click.UsageError(f"-k {key}: a sequence has no value: write Sequence.Attribute=value")
        dataset.add_new(last, "SQ", [])
        return
    try:
        values = value.split("\\")
        dataset.add_new(last, vr, _number(vr, values) if vr in _NUMBERS and value else values if values[1:] else value)
        _ = dataset[last].value
    except (ValueError, TypeError, OverflowError) as error:
        raise click.UsageError(f"-k {key}: {' '.join(str(error).split())}") from None


_NUMBERS = {"US": int, "SS": int, "UL": int, "SL": int, "FL": float, "FD": float, "UV": int, "SV": int}


def _number(vr: str, values: list[str]) -> object:
    numbers = [_NUMBERS[vr](value) for value in values]
    return numbers if numbers[1:] else numbers[0]


def tag_of(part: str, key: str) -> int:
    """The tag of one part of a key's path: a keyword, or group and element in hexadecimal."""
    name = part.strip().split("[")[0]
    found = _TAG.fullmatch(name)
    if found:
        return int(found[1] + found[2], 16)
    tag = tag_for_keyword(name)
    if tag is None:
        try:
            query.study([name])
        except TypeError as error:
            raise click.UsageError(f"-k {key}: {error}") from None
        raise click.UsageError(f"-k {key}: write {name!r} as DICOM has it: PatientID, StudyDate")
    return tag


def _vr(tag: int) -> str:
    try:
        return dictionary_VR(tag).split(" ")[0]
    except KeyError:
        return "LO"
