"""The tables of the index: patient, study, series, instance (PS3.4 C.6).

Each row has the encoded header of its newest object (`header`): that decides what matches and is what responses are cut
from. The columns beside it only narrow down what has to be looked at. A column is NULL where the attribute is absent,
empty, or not as its representation has it (`column_value`); a NULL therefore never excludes a row.

Patient, study and series are told apart by their unique keys *below their parent*: an object that names a known study
and another patient makes a study of its own under that patient. The other attributes of a patient, study or series are
those of the object that was stored last; `mixed` says that some object below says something else, or did (`batch.py`).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

#: Raised whenever a table changes; an index of another version is rebuilt from the files.
VERSION: Final = 1


class Attribute(NamedTuple):
    """An attribute that has a column.

    Attributes:
        keyword: its DICOM keyword.
        column: the name of its column.
        vr: its value representation.
    """

    keyword: str
    column: str
    vr: str


PATIENT_ATTRIBUTES: Final = (
    Attribute("PatientName", "patient_name", "PN"),
    Attribute("PatientBirthDate", "patient_birth_date", "DA"),
    Attribute("PatientSex", "patient_sex", "CS"),
)
STUDY_ATTRIBUTES: Final = (
    Attribute("StudyDate", "study_date", "DA"),
    Attribute("StudyTime", "study_time", "TM"),
    Attribute("AccessionNumber", "accession_number", "SH"),
    Attribute("StudyID", "study_id", "SH"),
    Attribute("ReferringPhysicianName", "referring_physician_name", "PN"),
    Attribute("StudyDescription", "study_description", "LO"),
)
SERIES_ATTRIBUTES: Final = (
    Attribute("Modality", "modality", "CS"),
    Attribute("SeriesNumber", "series_number", "IS"),
    Attribute("SeriesDescription", "series_description", "LO"),
    Attribute("BodyPartExamined", "body_part_examined", "CS"),
    Attribute("PerformedProcedureStepStartDate", "performed_procedure_step_start_date", "DA"),
)
INSTANCE_ATTRIBUTES: Final = (
    Attribute("SOPClassUID", "sop_class_uid", "UI"),
    Attribute("InstanceNumber", "instance_number", "IS"),
)

metadata = MetaData()


def odd(column: str) -> str:
    """SQL: whether a unique key, which ought to have one value, has several. An index of those there are answers it."""
    return f"replace({column}, '\\', '') <> {column}"


#: SQL: whether objects below differ in what they say. An index answers it.
MIXED: Final = "mixed = 1"


def _few(name: str, column: str, condition: str) -> Index:
    return Index(name, column, sqlite_where=text(condition), postgresql_where=text(condition))


def _columns(attributes: tuple[Attribute, ...]) -> list[Column[Any]]:
    # One each: a Column belongs to one table.
    return [Column(attribute.column, BigInteger() if attribute.vr == "IS" else Text()) for attribute in attributes]


patient = Table(
    "patient",
    metadata,
    Column("key", Integer, primary_key=True),
    # The unique keys are as they were sent, without padding; "" where absent.
    Column("patient_id", Text, nullable=False, unique=True),
    *_columns(PATIENT_ATTRIBUTES),
    Column("studies", Integer, nullable=False),
    Column("series", Integer, nullable=False),
    Column("instances", Integer, nullable=False),
    Column("mixed", Boolean, nullable=False),
    Column("header", LargeBinary, nullable=False),
    Index("patient_name_index", "patient_name"),
    _few("patient_odd_index", "patient_id", odd("patient_id")),
)

study = Table(
    "study",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("patient_key", ForeignKey("patient.key"), nullable=False),
    Column("study_instance_uid", String(64), nullable=False),
    # What the study's newest object says of the patient, who may have other studies.
    *_columns(PATIENT_ATTRIBUTES),
    *_columns(STUDY_ATTRIBUTES),
    # Values of ModalitiesInStudy and SOPClassesInStudy, sorted, parted by backslashes.
    Column("modalities", Text, nullable=False),
    Column("sop_classes", Text, nullable=False),
    Column("series", Integer, nullable=False),
    Column("instances", Integer, nullable=False),
    Column("mixed", Boolean, nullable=False),
    Column("header", LargeBinary, nullable=False),
    UniqueConstraint("study_instance_uid", "patient_key"),
    Index("study_patient_index", "patient_key"),
    Index("study_date_index", "study_date"),
    Index("study_accession_number_index", "accession_number"),
    Index("study_patient_name_index", "patient_name"),
    _few("study_odd_index", "study_instance_uid", odd("study_instance_uid")),
    _few("study_mixed_index", "key", MIXED),
)

series = Table(
    "series",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("study_key", ForeignKey("study.key"), nullable=False),
    Column("series_instance_uid", String(64), nullable=False),
    *_columns(SERIES_ATTRIBUTES),
    Column("instances", Integer, nullable=False),
    Column("mixed", Boolean, nullable=False),
    Column("header", LargeBinary, nullable=False),
    UniqueConstraint("series_instance_uid", "study_key"),
    Index("series_study_index", "study_key"),
    _few("series_odd_index", "series_instance_uid", odd("series_instance_uid")),
    _few("series_mixed_index", "key", MIXED),
)

instance = Table(
    "instance",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("series_key", ForeignKey("series.key"), nullable=False),
    Column("sop_instance_uid", String(64), nullable=False, unique=True),
    *_columns(INSTANCE_ATTRIBUTES),
    Column("transfer_syntax_uid", String(64), nullable=False),
    # Its name in the storage, and the length of its file in bytes.
    Column("name", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("header", LargeBinary, nullable=False),
    Index("instance_series_index", "series_key", "instance_number"),
    _few("instance_odd_index", "sop_instance_uid", odd("sop_instance_uid")),
)

#: How far the journal of received objects has been taken over, and the length of all files in bytes, written in the
#: transactions that change that; one row.
progress = Table(
    "progress",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("segment", BigInteger, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
)


#: PS3.5 6.2: representations in which blanks at the beginning do not count.
_WITHOUT_LEADING_BLANKS: Final = {"AE", "CS", "DS", "IS", "LO", "SH"}


def column_value(vr: str, text: str | None) -> str | int | None:
    """What stands in a column for an attribute's value as text; None where it must not exclude anything.

    Names are upper case ASCII of one component group, without what does not count at the ends of its components; dates
    YYYYMMDD; times HHMMSS.FFFFFF; integer strings are ints. What has several values, characters that are not printable
    ASCII, blanks at its beginning where these count, or is not as its representation has it, is None.
    """
    if text is None:
        return None
    text = text.strip(" \0") if vr in _WITHOUT_LEADING_BLANKS else text.rstrip(" \0")
    if not text or "\\" in text or text[0] == " " or not (text.isascii() and text.isprintable()):
        return None
    if vr == "PN":
        name = "^".join(component.rstrip() for component in text.rstrip("^= ").split("^"))
        return name.upper() if name and "=" not in name else None
    if vr == "DA":
        return text if len(text) == 8 and text.isascii() and text.isdigit() else None
    if vr == "TM":
        return _time(text)
    if vr == "IS":
        digits = text[1:] if text[0] in "+-" else text
        return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= 12 else None
    return text


def _time(text: str) -> str | None:
    """PS3.5 6.2: HH, HHMM, HHMMSS or HHMMSS.F to .FFFFFF; what is not said is its beginning."""
    whole, _, fraction = text.partition(".")
    if len(whole) not in (2, 4, 6) or not (whole + fraction).isascii() or not (whole + fraction).isdigit():
        return None
    if (fraction or "." in text) and (len(whole) != 6 or not 1 <= len(fraction) <= 6):
        return None
    return f"{whole:0<6}.{fraction:0<6}"
