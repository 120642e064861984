"""What a response has of the dataset that matched, and what was computed in place of it."""

from __future__ import annotations

from typing import Any

import pytest
from dimsefast import Matcher, sop_class
from dimsefast.dataset import decode_dataset, encode_dataset
from matching_forms import DATASET, in_form
from matching_tables import MODALITY_WORKLIST_FIND, dataset_of
from pydicom import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


def _step(modality: str, station: str) -> Dataset:
    code = dataset_of((0x00080100, "SH", modality[0]), (0x00080102, "SH", "99LOCAL"))
    return dataset_of((0x00080060, "CS", modality), (0x00400001, "AE", station), (0x00400008, "SQ", [code]))


def _worklist_entry() -> Dataset:
    return dataset_of(
        (0x00080050, "SH", "A1"),
        (0x00100010, "PN", "Müller^Anna"),
        (0x00100020, "LO", "123"),
        (0x00400100, "SQ", [_step("CT", "ONE"), _step("MR", "TWO"), _step("CT", "THREE")]),
    )


candidate_forms = pytest.mark.parametrize(
    "form", [DATASET, str(ImplicitVRLittleEndian), str(ExplicitVRLittleEndian), str(ExplicitVRBigEndian)]
)


def _response(identifier: Dataset, candidate: Dataset, form: str, **given: Any) -> Dataset:
    syntax = str(ExplicitVRLittleEndian) if form == DATASET else form
    return Matcher(identifier, transfer_syntax=syntax, **given).response(in_form(candidate, form))


@candidate_forms
def test_a_response_has_what_was_requested(form: str) -> None:
    """PS3.4 C.2.2.3, C.4.1.1.3.2: no other attributes, and those that are absent without a value."""
    query = dataset_of(
        (0x00080050, "SH", ""), (0x00100010, "PN", "müller*"), (0x00100040, "CS", ""), (0x00321064, "SQ", [])
    )
    response = _response(query, _worklist_entry(), form)
    assert {element.keyword for element in response} == {
        "SpecificCharacterSet",
        "AccessionNumber",
        "PatientName",
        "PatientSex",
        "RequestedProcedureCodeSequence",
    }
    assert (response.AccessionNumber, str(response.PatientName)) == ("A1", "Müller^Anna")
    assert not response.PatientSex and response["PatientSex"].VR == "CS"
    assert len(response.RequestedProcedureCodeSequence) == 0


@candidate_forms
def test_a_response_is_in_the_character_set_of_what_is_stored(form: str) -> None:
    """PS3.4 C.4.1.1.3.2."""
    stored = Dataset()
    stored.SpecificCharacterSet, stored.PatientName, stored.PatientID = "ISO_IR 100", "Müller^Anna", "123"
    response = _response(dataset_of((0x00100010, "PN", "山*\\müller*")), stored, form)
    assert response.SpecificCharacterSet == "ISO_IR 100" and str(response.PatientName) == "Müller^Anna"
    assert "PatientID" not in response


@candidate_forms
@pytest.mark.parametrize("model", [None, MODALITY_WORKLIST_FIND])
def test_a_response_has_the_items_that_match(form: str, model: str | None) -> None:
    """PS3.4 C.2.2.2.6: of those only what was requested."""
    item = dataset_of((0x00080060, "CS", "CT"), (0x00400001, "AE", ""), (0x00400002, "DA", ""))
    response = _response(dataset_of((0x00400100, "SQ", [item])), _worklist_entry(), form, model=model)
    first, last = response.ScheduledProcedureStepSequence
    assert [first.ScheduledStationAETitle, last.ScheduledStationAETitle] == ["ONE", "THREE"]
    assert {element.keyword for element in first} - {"SpecificCharacterSet"} == {
        "Modality",
        "ScheduledStationAETitle",
        "ScheduledProcedureStepStartDate",
    }
    assert not first.ScheduledProcedureStepStartDate


@candidate_forms
def test_a_response_has_all_items_where_none_is_asked_for(form: str) -> None:
    """PS3.4 C.2.2.2.6: whole ones for a sequence or an item without keys, else what was requested of them."""
    whole = [str(step) for step in _worklist_entry().ScheduledProcedureStepSequence]
    for items in ([], [Dataset()]):
        response = _response(dataset_of((0x00400100, "SQ", items)), _worklist_entry(), form)
        assert [str(step) for step in response.ScheduledProcedureStepSequence] == whole
    item = dataset_of((0x00080060, "CS", ""))
    response = _response(dataset_of((0x00400100, "SQ", [item])), _worklist_entry(), form)
    assert [step.Modality for step in response.ScheduledProcedureStepSequence] == ["CT", "MR", "CT"]
    assert all(len(step) == 1 for step in response.ScheduledProcedureStepSequence)


@candidate_forms
def test_a_response_has_the_items_of_items(form: str) -> None:
    code = dataset_of((0x00080100, "SH", "M"))
    item = dataset_of((0x00400008, "SQ", [code]))
    response = _response(dataset_of((0x00400100, "SQ", [item])), _worklist_entry(), form)
    (step,) = response.ScheduledProcedureStepSequence
    assert [element.keyword for element in step] == ["ScheduledProtocolCodeSequence"]
    assert [element.keyword for element in step.ScheduledProtocolCodeSequence[0]] == ["CodeValue"]


@candidate_forms
def test_a_response_has_level_and_where_to_retrieve_from(form: str) -> None:
    """PS3.4 C.4.1.1.3.2."""
    query = dataset_of((0x00080052, "CS", "STUDY"), (0x0020000D, "UI", ""), (0x00080054, "AE", ""))
    stored = dataset_of((0x0020000D, "UI", "1.2.3"), (0x00100020, "LO", "123"))
    syntax = str(ExplicitVRLittleEndian) if form == DATASET else form
    find = sop_class.StudyRootQueryRetrieveInformationModelFind
    response = Matcher(query, model=find, transfer_syntax=syntax).response(in_form(stored, form), retrieve_aet="ME")
    assert {element.keyword: str(element.value) for element in response} == {
        "QueryRetrieveLevel": "STUDY",
        "RetrieveAETitle": "ME",
        "StudyInstanceUID": "1.2.3",
    }


@pytest.mark.parametrize("syntax", [str(ImplicitVRLittleEndian), str(ExplicitVRLittleEndian), str(ExplicitVRBigEndian)])
def test_answers_have_what_was_computed_in_place_of_what_is_stored(syntax: str) -> None:
    count, modalities = 0x00201208, 0x00080061
    query = dataset_of(
        (0x00080052, "CS", "STUDY"), (count, "IS", "7"), (modalities, "CS", ""), (0x00100020, "LO", "A*")
    )
    find = sop_class.StudyRootQueryRetrieveInformationModelFind
    stored = [dataset_of((count, "IS", "7"), (0x00100020, "LO", value)) for value in ("A1", "B1", "A2")]
    encoded = [encode_dataset(dataset, str(ExplicitVRLittleEndian)) for dataset in stored]
    matcher = Matcher(query, model=find)
    computed = [[(count, "IS", number), (modalities, "CS", "CT\\MR")] for number in ("7", "7", "8")]
    answers = matcher.answers(encoded, syntax, computed=computed, retrieve_aet="ME")
    assert [answer is None for answer in answers] == [False, True, True]
    found = decode_dataset(answers[0] or b"", syntax)
    assert (found.PatientID, found.NumberOfStudyRelatedInstances, found.RetrieveAETitle) == ("A1", 7, "ME")
    assert list(found.ModalitiesInStudy) == ["CT", "MR"]
    assert [answer is None for answer in matcher.answers(encoded, syntax)] == [False, True, False]
    with pytest.raises(ValueError, match="candidate 1"):
        matcher.answers([encoded[0], b"\1"], syntax)
