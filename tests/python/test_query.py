"""Building identifiers, and what a Matcher takes, refuses and hands out."""

from __future__ import annotations

import threading
import time as clock
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from dimsefast import Matcher, MatchError, query, sop_class
from dimsefast.dataset import decode_dataset, encode_dataset
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
BIG, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
EAST = timezone(timedelta(hours=5, minutes=30))
BUILDERS: dict[str, Callable[..., Dataset]] = {
    "PATIENT": query.patient,
    "STUDY": query.study,
    "SERIES": query.series,
    "IMAGE": query.image,
}
RETURNED = {
    "PATIENT": "PatientName PatientID PatientBirthDate PatientSex",
    "STUDY": "PatientName PatientID StudyDate StudyTime AccessionNumber StudyInstanceUID ModalitiesInStudy StudyID",
    "SERIES": "PatientID StudyInstanceUID SeriesInstanceUID Modality SeriesNumber NumberOfSeriesRelatedInstances",
    "IMAGE": "PatientID StudyInstanceUID SeriesInstanceUID SOPInstanceUID SOPClassUID InstanceNumber",
}


@pytest.mark.parametrize("level", BUILDERS)
def test_return_keys(level: str) -> None:
    identifier = BUILDERS[level]()
    assert identifier.QueryRetrieveLevel == level
    assert set(RETURNED[level].split()) <= set(identifier.dir())
    assert all(not element.value for element in identifier if element.keyword != "QueryRetrieveLevel")
    assert "SpecificCharacterSet" not in identifier
    matcher = Matcher(identifier)
    assert matcher.level == level and matcher.conditions == ()
    response = matcher.response(dcmread(get_testdata_file("CT_small.dcm")))
    assert set(RETURNED[level].split()) <= set(response.dir())


def test_return_keys_of_a_worklist() -> None:
    identifier = query.worklist(modality="CT", patient_id="1")
    (step,) = identifier.ScheduledProcedureStepSequence
    assert "QueryRetrieveLevel" not in identifier and "Modality" not in identifier
    assert (identifier.PatientID, step.Modality) == ("1", "CT")
    assert {"ScheduledStationAETitle", "ScheduledProcedureStepStartDate", "ScheduledProcedureStepID"} <= set(step.dir())
    assert {"PatientName", "AccessionNumber", "RequestedProcedureID", "StudyInstanceUID"} <= set(identifier.dir())
    conditions = Matcher(identifier, sop_class.ModalityWorklistInformationFind).conditions
    assert [condition.keyword for condition in conditions] == ["ScheduledProcedureStepSequence", "PatientID"]
    assert [condition.keyword for condition in conditions[0].items] == ["Modality"]


def test_the_step_of_a_worklist_can_be_given_as_a_whole() -> None:
    step = Dataset()
    step.ScheduledStationName = "ROOM 1"
    for given in ({"scheduled_station_name": "ROOM 1"}, step):
        identifier = query.worklist(modality="CT", scheduled_procedure_step_sequence=given)
        (item,) = identifier.ScheduledProcedureStepSequence
        assert (item.Modality, item.ScheduledStationName, item.ScheduledStationAETitle) == ("CT", "ROOM 1", "")


def test_both_ways_to_write_a_keyword() -> None:
    for given in ({"patient_id": "1"}, {"PatientID": "1"}, {"patientid": "1"}):
        assert query.study(**given).PatientID == "1"
    assert query.study(sop_classes_in_study="1.2").SOPClassesInStudy == "1.2"


@pytest.mark.parametrize(
    ("name", "meant"),
    [("patient_idd", "PatientID"), ("StudyInstanceUUID", "StudyInstanceUID"), ("acession_number", "AccessionNumber")],
)
def test_unknown_names(name: str, meant: str) -> None:
    for build in (lambda: query.study(**{name: "1"}), lambda: query.study(returning=[name])):
        with pytest.raises(TypeError, match=f"no attribute '{name}'; did you mean {meant}"):
            build()
    with pytest.raises(TypeError, match=r"no attribute 'xyzzy_plugh_0815'$"):
        query.patient(xyzzy_plugh_0815=1)
    with pytest.raises(TypeError, match="did you mean"):
        query.study(request_attributes_sequence={"requested_procedure_idd": "1"})


def test_returning() -> None:
    identifier = query.study(returning=["PatientName", "study_date"], patient_id="1")
    assert set(identifier.dir()) == {"QueryRetrieveLevel", "PatientName", "StudyDate", "PatientID"}
    identifier = query.worklist(returning=["PatientName", "Modality"], scheduled_station_name="X")
    assert set(identifier.dir()) == {"PatientName", "ScheduledProcedureStepSequence"}
    assert set(identifier.ScheduledProcedureStepSequence[0].dir()) == {"Modality", "ScheduledStationName"}
    assert list(query.study(returning=[]).dir()) == ["QueryRetrieveLevel"]
    assert query.study(returning=["ReferencedStudySequence"]).ReferencedStudySequence == []
    with pytest.raises(TypeError, match="list of keywords"):
        query.study(returning="PatientID")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (date(2024, 2, 29), "20240229"),
        (date(999, 1, 2), "09990102"),
        ((date(2024, 1, 1), date(2024, 1, 31)), "20240101-20240131"),
        ([date(2024, 1, 1), None], "20240101-"),
        ((None, date(2024, 1, 31)), "-20240131"),
        ((None, None), ""),
        (("20240101", "20240131"), "20240101-20240131"),
        ("20240101-", "20240101-"),
        ("", ""),
        (None, ""),
    ],
)
def test_dates(given: Any, expected: str) -> None:
    identifier = query.study(study_date=given)
    assert identifier.StudyDate == expected
    conditions = Matcher(identifier).conditions
    assert [condition.kind for condition in conditions] == (["range"] if expected else [])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (time(10, 30), "103000"),
        (time(10, 30, 0, 5), "103000.000005"),
        ((time(10), None), "100000-"),
        ((None, time(23, 59, 59)), "-235959"),
        ("1030-1130", "1030-1130"),
    ],
)
def test_times(given: Any, expected: str) -> None:
    assert query.study(study_time=given).StudyTime == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (date(2024, 1, 1), "20240101"),
        (datetime(2024, 1, 1, 10), "20240101100000.000000"),
        (datetime(99, 1, 1, 10, tzinfo=EAST), "00990101100000.000000+0530"),
        ((datetime(2024, 1, 1, tzinfo=timezone.utc), None), "20240101000000.000000+0000-"),  # noqa: UP017
        ((None, date(2024, 1, 1)), "-20240101"),
    ],
)
def test_date_times(given: Any, expected: str) -> None:
    identifier = query.series(acquisition_date_time=given)
    assert identifier.AcquisitionDateTime == expected
    assert [condition.kind for condition in Matcher(identifier).conditions] == ["range"]
    assert "TimezoneOffsetFromUTC" not in identifier


def stored(day: str, at: str, **attributes: Any) -> Dataset:
    dataset = Dataset()
    dataset.StudyDate, dataset.StudyTime = day, at
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def test_a_date_with_its_time_is_one_range_of_instants() -> None:
    identifier = query.study(study_date=(datetime(2024, 1, 1, 18), datetime(2024, 1, 3, 6)))
    assert (identifier.StudyDate, identifier.StudyTime) == ("20240101-20240103", "180000-060000")
    matcher = Matcher(identifier, datetime=True)
    assert matcher.matches(stored("20240102", "120000")) and matcher.matches(stored("20240103", "055959"))
    assert not matcher.matches(stored("20240101", "120000")) and not matcher.matches(stored("20240103", "120000"))
    identifier = query.study(study_date=(datetime(2024, 1, 1, 18), None))
    assert (identifier.StudyDate, identifier.StudyTime) == ("20240101-", "180000-")
    assert query.study(study_date=datetime(2024, 1, 1, 18)).StudyTime == "180000"
    # A date that has no time of its own.
    assert query.study(date_of_last_calibration=datetime(2024, 1, 1)).DateOfLastCalibration == "20240101"


def test_instants_with_an_offset() -> None:
    identifier = query.study(study_date=(datetime(2024, 1, 1, 2, tzinfo=EAST), datetime(2024, 1, 1, 4, tzinfo=EAST)))
    assert identifier.TimezoneOffsetFromUTC == "+0530"
    matcher = Matcher(identifier, datetime=True, timezone=True)
    assert matcher.matches(stored("20231231", "213000", TimezoneOffsetFromUTC="+0000"))
    assert not matcher.matches(stored("20231231", "233000", TimezoneOffsetFromUTC="+0000"))
    for ends in (
        (datetime(2024, 1, 1, tzinfo=EAST), datetime(2024, 1, 2)),
        (datetime(2024, 1, 1, tzinfo=EAST), datetime(2024, 1, 2, tzinfo=timezone.utc)),  # noqa: UP017
    ):
        with pytest.raises(ValueError, match="same offset"):
            query.study(study_date=ends)
    with pytest.raises(ValueError, match="same offset"):
        query.study(
            study_date=datetime(2024, 1, 1, tzinfo=EAST),
            content_date=datetime(2024, 1, 1, tzinfo=timezone.utc),  # noqa: UP017
        )


def test_the_offset_of_a_step_is_that_of_the_identifier() -> None:
    at = datetime(2024, 1, 1, 2, tzinfo=EAST)
    identifier = query.worklist(scheduled_procedure_step_start_date=(at, at + timedelta(hours=2)))
    assert identifier.TimezoneOffsetFromUTC == "+0530"
    assert "TimezoneOffsetFromUTC" not in identifier.ScheduledProcedureStepSequence[0]
    matcher = Matcher(identifier, sop_class.ModalityWorklistInformationFind, timezone=True)
    step = Dataset()
    step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime = "20231231", "213000"
    candidate = Dataset()
    candidate.TimezoneOffsetFromUTC, candidate.ScheduledProcedureStepSequence = "+0000", [step]
    assert matcher.matches(candidate)
    step.ScheduledProcedureStepStartTime = "233000"
    assert not matcher.matches(candidate)
    nested = query.study(referenced_study_sequence={"study_date": at})
    assert nested.TimezoneOffsetFromUTC == "+0530"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"study_date": (date(2024, 1, 1),) * 3}, ValueError),
        ({"study_date": time(1)}, TypeError),
        ({"study_time": date(2024, 1, 1)}, TypeError),
        ({"study_date": 20240101}, TypeError),
        ({"patient_id": object()}, TypeError),
        ({"patient_id": b"1"}, TypeError),
        ({"study_instance_uid": []}, ValueError),
        ({"study_instance_uid": (uid for uid in ())}, ValueError),
    ],
)
def test_values_that_are_none(given: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=r"StudyDate|StudyTime|PatientID|StudyInstanceUID"):
        query.study(**given)


def test_one_of_several() -> None:
    for uids in (["1.2", "1.3"], ("1.2", "1.3"), (f"1.{number}" for number in (2, 3)), {"1.2": 0, "1.3": 0}):
        identifier = query.study(study_instance_uid=uids)
        assert identifier.StudyInstanceUID == ["1.2", "1.3"]
        (condition,) = Matcher(identifier).conditions
        assert (condition.kind, condition.values) == ("list", ("1.2", "1.3"))
    assert query.image(instance_number=5).InstanceNumber == 5
    identifier = query.image(rows=[256, 512], instance_number=(1, 2), slice_thickness=Decimal("1.5"))
    assert (identifier.Rows, identifier.InstanceNumber, identifier.SliceThickness) == ([256, 512], [1, 2], 1.5)
    assert len(Matcher(identifier).conditions) == 3


def test_sequences() -> None:
    inner = Dataset()
    inner.RequestedProcedureID = "7"
    for given in ({"requested_procedure_id": "7"}, {"RequestedProcedureID": "7"}, inner):
        identifier = query.series(request_attributes_sequence=given)
        (condition,) = Matcher(identifier).conditions
        assert (condition.kind, condition.items[0].values) == ("sequence", ("7",))
        assert Matcher(identifier).matches(identifier)
    for given in ({}, None):
        assert Matcher(query.series(request_attributes_sequence=given)).conditions == ()


def test_what_is_beyond_ascii_is_utf8() -> None:
    for identifier in (
        query.study(patient_name="Müller*"),
        query.series(request_attributes_sequence={"requested_procedure_description": "Schädel"}),
        query.worklist(scheduled_performing_physician_name="山田*"),
    ):
        assert identifier.SpecificCharacterSet == "ISO_IR 192"
        assert encode_dataset(identifier, EXPLICIT) == encode_dataset(
            decode_dataset(encode_dataset(identifier, IMPLICIT), IMPLICIT), EXPLICIT
        )
        assert Matcher(identifier).conditions
    latin = query.study(specific_character_set="ISO_IR 100", patient_name="Müller")
    assert latin.SpecificCharacterSet == "ISO_IR 100"
    assert b"M\xfcller" in encode_dataset(latin, EXPLICIT)
    # The names of attributes do not count.
    assert "SpecificCharacterSet" not in query.series(exposure_inu_as="1")


# What a Matcher takes


def test_bad_identifiers() -> None:
    for data in (b"x", b"\x10\x00\x10\x00PN\xff\xff", encode_dataset(query.study(patient_id="1"), EXPLICIT)[:-1]):
        with pytest.raises(ValueError, match="not an encoded dataset"):
            Matcher(data)
    with pytest.raises(ValueError, match="not an encoded dataset"):
        Matcher(b"\xff" * 20, transfer_syntax=DEFLATED)
    for wrong in (None, 5, "PatientID", {}):
        with pytest.raises(TypeError, match="Dataset or bytes"):
            Matcher(wrong)  # type: ignore[arg-type]
    unencodable = Dataset()
    unencodable.add_new(0x00280010, "US", "wide")
    with pytest.raises(ValueError, match="cannot be encoded"):
        Matcher(unencodable)


@pytest.mark.parametrize("offset", ["", "+1", "0100", "+01:00", "+9900", "UTC", "+1500", "١٢٣٤٥"])
def test_bad_local_timezone(offset: str) -> None:
    with pytest.raises(ValueError, match="local_timezone is an offset from UTC such as '\\+0100'"):
        Matcher(query.study(), local_timezone=offset)
    assert Matcher(query.study(), local_timezone="-1200")


def test_models_and_levels() -> None:
    find = sop_class.PatientRootQueryRetrieveInformationModelFind
    with pytest.raises(MatchError):
        Matcher(query.study(), find)
    assert Matcher(query.study(patient_id="1"), find).level == "STUDY"
    assert Matcher(query.study(), find, relational=True).level == "STUDY"
    assert Matcher(Dataset()).level is None
    assert Matcher(Dataset(), level="SERIES").level == "SERIES"
    assert "STUDY PatientName" in repr(Matcher(query.study(patient_name="A*")))


def test_bad_candidates(tmp_path: Path) -> None:
    matcher = Matcher(query.study(patient_id="1"))
    with pytest.raises(FileNotFoundError):
        matcher.matches(tmp_path / "none.dcm")
    with pytest.raises(IsADirectoryError):
        matcher.matches(str(tmp_path))
    (tmp_path / "text").write_text("text")
    with pytest.raises(ValueError, match="text"):
        matcher.matches(tmp_path / "text")
    with pytest.raises(ValueError, match="not an encoded dataset"):
        matcher.matches(b"text")
    for wrong in (None, 5, bytearray(b"x")):
        for ask in (matcher.matches, matcher.response, lambda one: list(matcher.filter([one]))):
            with pytest.raises(TypeError, match="Dataset, bytes or a path"):
                ask(wrong)  # type: ignore[arg-type]


def test_every_kind_of_condition() -> None:
    identifier = query.study(
        patient_name="Smith*=*",
        patient_id="1",
        study_instance_uid=["1.2", "1.3"],
        study_date=(date(2024, 1, 1), None),
        study_time="10-11",
        accession_number='""',
        modalities_in_study=["CT", "MR"],
        referring_physician_name="Jones",
        study_description="*",
        request_attributes_sequence={"scheduled_procedure_step_id": "A?"},
        acquisition_date_time="20240101120000+0100-",
    )
    given = {"empty_value": True, "multiple_value": True, "fuzzy": True}
    found = {one.keyword: one for one in Matcher(identifier, **given).conditions}  # type: ignore[arg-type]
    assert {keyword: (one.vr, one.kind, one.values) for keyword, one in found.items()} == {
        "AcquisitionDateTime": ("DT", "range", ("20240101110000.000000", "")),
        "StudyDate": ("DA", "range", ("20240101", "")),
        "StudyTime": ("TM", "range", ("100000.000000", "115959.999999")),
        "AccessionNumber": ("SH", "empty", ('""',)),
        "ModalitiesInStudy": ("CS", "all", ("CT", "MR")),
        "ReferringPhysicianName": ("PN", "fuzzy", ("Jones",)),
        "PatientName": ("PN", "fuzzy", ("Smith*=*",)),
        "PatientID": ("LO", "single", ("1",)),
        "StudyInstanceUID": ("UI", "list", ("1.2", "1.3")),
        "RequestAttributesSequence": ("SQ", "sequence", ()),
    }
    assert found["RequestAttributesSequence"].items[0].kind == "wildcard"
    plain = {one.keyword: one for one in Matcher(identifier).conditions}
    assert plain["PatientName"].kind == "wildcard" and plain["ModalitiesInStudy"].kind == "list"
    assert plain["AccessionNumber"].kind == "single"
    private = Dataset()
    private.private_block(0x0009, "X", create=True).add_new(1, "LO", "secret")
    assert [(one.tag, one.keyword) for one in Matcher(private).conditions] == [(0x00090010, ""), (0x00091001, "")]


def candidates(count: int = 10) -> list[Dataset]:
    return [stored("20240101", f"{number % 24:02}0000", PatientID=str(number)) for number in range(count)]


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG, DEFLATED])
def test_filtering(syntax: str, tmp_path: Path) -> None:
    matcher = Matcher(query.study(patient_id="?"), transfer_syntax=EXPLICIT)
    datasets = candidates(12)
    assert [one.PatientID for one in matcher.filter(datasets)] == list("0123456789")
    matcher = Matcher(encode_dataset(query.study(study_time="05-"), syntax), transfer_syntax=syntax)
    encoded = [encode_dataset(one, syntax) for one in datasets]
    for given in (encoded, tuple(encoded), iter(encoded), (one for one in encoded)):
        found = list(matcher.filter(given))
        assert [id(one) for one in found] == [id(one) for one in encoded[5:]]
    path = tmp_path / "object.dcm"
    dcmread(get_testdata_file("CT_small.dcm")).save_as(path)
    mixed: list[Any] = [encoded[1], datasets[6], path, str(path), decode_dataset(encoded[7], syntax), encoded[4]]
    assert [id(one) for one in matcher.filter(mixed)] == [id(mixed[at]) for at in (1, 2, 3, 4)]
    assert list(matcher.filter([])) == list(matcher.filter(())) == list(matcher.filter(iter(()))) == []


def test_filtering_goes_on_only_as_far_as_it_is_asked() -> None:
    asked = []

    def source() -> Any:
        for dataset in candidates():
            asked.append(dataset)
            yield dataset

    filtered = Matcher(query.study(study_time="05-")).filter(source())
    assert asked == [] and next(filtered).PatientID == "5" and len(asked) == 6


def test_errors_say_which_candidate_it_was() -> None:
    good = encode_dataset(stored("20240101", "10", PatientID="1"), EXPLICIT)
    matcher = Matcher(query.study(patient_id="1"))
    for at in (0, 3, 4095, 4096, 5000):
        encoded = [good] * 5001
        encoded[at] = good[:-1]
        found = []
        with pytest.raises(ValueError, match=f"candidate {at} is not an encoded dataset"):
            found.extend(matcher.filter(encoded))
    deflated = Matcher(query.study(), transfer_syntax=DEFLATED)
    with pytest.raises(ValueError, match="candidate 1 is not an encoded dataset"):
        list(deflated.filter([encode_dataset(Dataset(), DEFLATED), b"\xff" * 10]))


def test_filtering_lets_other_threads_run() -> None:
    name = "a" * 60
    encoded = [encode_dataset(stored("20240101", "10", PatientName=name), EXPLICIT)] * 20_000
    matcher = Matcher(query.study(patient_name="*a*a*a*a*b"))
    count, ended = [0], threading.Event()

    def work() -> None:
        while not ended.is_set():
            count[0] += 1
            clock.sleep(0)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        before = count[0]
        # In one go: nothing but the GIL's release lets the other thread run.
        assert matcher._query.select(encoded, 0, len(encoded), EXPLICIT) == []
        assert count[0] > before + 10
    finally:
        ended.set()
        thread.join(10)


def test_two_threads_ask_one_matcher() -> None:
    matcher = Matcher(query.study(study_time="05-", patient_id="*"))
    encoded = [encode_dataset(one, EXPLICIT) for one in candidates(2000)]
    expected, results = list(matcher.filter(encoded)), []
    threads = [threading.Thread(target=lambda: results.append(list(matcher.filter(encoded)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert results == [expected] * 4
