"""What has no value of a unique key is no answer to a question for one (PS3.4 C.2.2.1)."""

from __future__ import annotations

import pytest
from dimsefast import Matcher, query
from dimsefast.sop_class import (
    ModalityWorklistInformationFind,
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    PatientStudyOnlyQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelFind,
)
from pydicom.dataset import Dataset


def stored(**values: str) -> Dataset:
    dataset = Dataset()
    dataset.PatientID = dataset.StudyInstanceUID = dataset.SeriesInstanceUID = dataset.SOPInstanceUID = ""
    dataset.PatientName = dataset.StudyDate = ""
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize(
    ("identifier", "model", "matches"),
    [
        (query.patient(patient_id="1"), PatientRootQueryRetrieveInformationModelFind, False),
        (query.patient(patient_id="1"), PatientRootQueryRetrieveInformationModelGet, False),
        (query.patient(patient_id="1"), PatientStudyOnlyQueryRetrieveInformationModelMove, False),
        (query.patient(patient_id="1*"), PatientRootQueryRetrieveInformationModelFind, False),
        (query.patient(patient_id="1"), None, False),
        # All patients; and a Required Key of the study.
        (query.patient(patient_id=""), PatientRootQueryRetrieveInformationModelFind, True),
        (query.patient(patient_id="*"), PatientRootQueryRetrieveInformationModelFind, True),
        (query.patient(patient_name="DOE*"), PatientRootQueryRetrieveInformationModelFind, True),
        (query.study(patient_id="1"), PatientRootQueryRetrieveInformationModelFind, False),
        (query.study(patient_id="1"), StudyRootQueryRetrieveInformationModelFind, True),
        (query.study(patient_id="1"), None, True),
        (query.study(study_instance_uid="1.2"), StudyRootQueryRetrieveInformationModelFind, False),
        (query.study(study_instance_uid=["1.2", "1.3"]), StudyRootQueryRetrieveInformationModelFind, False),
        (query.study(study_date="20240101-"), StudyRootQueryRetrieveInformationModelFind, True),
        (query.worklist(patient_id="1"), ModalityWorklistInformationFind, False),
    ],
)
def test_what_has_no_value(identifier: Dataset, model: str | None, matches: bool) -> None:
    assert Matcher(identifier, model).matches(stored()) is matches
    assert Matcher(identifier, model).matches(Dataset()) is matches


def test_all_levels_above_count() -> None:
    image = query.image(study_instance_uid="1.2", series_instance_uid="1.2.3", sop_instance_uid="1.2.3.4")
    whole = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3", "SOPInstanceUID": "1.2.3.4"}
    matcher = Matcher(image, StudyRootQueryRetrieveInformationModelFind)
    assert matcher.matches(stored(**whole))
    for keyword in whole:
        assert not matcher.matches(stored(**whole | {keyword: ""}))


def test_conditions_say_so() -> None:
    asked = query.study(patient_id="1", study_date="20240101")
    found = {
        condition.keyword: condition.takes_nothing
        for condition in Matcher(asked, PatientRootQueryRetrieveInformationModelFind).conditions
    }
    assert found == {"PatientID": False, "StudyDate": True}
