"""The queries that three archives are asked, and why they differ where they do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from dimsefast import query, sop_class
from pydicom import Dataset

FIND = {
    "patient": sop_class.PatientRootQueryRetrieveInformationModelFind,
    "study": sop_class.StudyRootQueryRetrieveInformationModelFind,
}
UNIQUE = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}

CT_STUDY = "1.3.6.1.4.1.5962.1.1.0.0.0.1194734704.16302.0.1"
MR_STUDY = "1.3.6.1.4.1.5962.1.1.0.0.0.1196533885.18148.0.1"


class Asked(NamedTuple):
    """A query: its model (patient or study), level and keys; where archives differ, why."""

    model: str
    level: str
    keys: Mapping[str, Any]
    reason: str = ""

    @property
    def identifier(self) -> Dataset:
        """As it is sent: these keys, and the unique one."""
        dataset = query.image(**{UNIQUE[self.level]: "", **self.keys})
        for keyword in [element.keyword for element in dataset if element.keyword not in self.keys]:
            if keyword != UNIQUE[self.level]:
                delattr(dataset, keyword)
        dataset.QueryRetrieveLevel = self.level
        return dataset

    def __str__(self) -> str:
        keys = ", ".join(f"{keyword}={value!r}" for keyword, value in self.keys.items())
        return f"{self.model} root, {self.level}: {keys or 'everything'}"


_PATIENT: list[dict[str, Any]] = [
    {},
    {"PatientID": "98890234"},
    {"PatientID": "9889*"},
    {"PatientID": "?CT1"},
    {"PatientName": "Doe^Peter"},
    {"PatientName": "Doe*"},
    {"PatientName": "*^MR?"},
]
_STUDY: list[dict[str, Any]] = [
    {},
    {"StudyInstanceUID": CT_STUDY},
    {"StudyInstanceUID": [CT_STUDY, MR_STUDY, "1.2.3"]},
    {"PatientID": "98890234"},
    {"PatientName": "Doe^*"},
    {"StudyDate": "20030505"},
    {"StudyDate": "20010101-20031231"},
    {"StudyDate": "-20010101"},
    {"StudyDate": "20040101-"},
    {"StudyDate": "19900101-19901231"},
    {"StudyTime": "000000-060000"},
    {"StudyDate": "20030505", "StudyTime": "040000-"},
    {"StudyID": "2"},
    {"PatientID": "98890234", "StudyDate": "20010101"},
]
_SERIES: list[dict[str, Any]] = [
    {},
    {"Modality": "CT"},
    {"Modality": "MR"},
    {"Modality": "C?"},
    {"SeriesNumber": "4"},
    {"SeriesNumber": "7"},
]
_IMAGE: list[dict[str, Any]] = [{}, {"InstanceNumber": "7"}, {"InstanceNumber": "99"}]

CT_SERIES = "1.3.6.1.4.1.5962.1.1.0.0.0.1194734704.16302.0.6"

_SERIES_OF_CT = {"StudyInstanceUID": CT_STUDY, "SeriesInstanceUID": CT_SERIES}

#: Where the standard leaves no choice. Keys above the level are single values.
PLAIN: list[Asked] = [
    *(Asked("patient", "PATIENT", keys) for keys in _PATIENT),
    *(Asked("study", "STUDY", keys) for keys in _STUDY),
    *(Asked("patient", "STUDY", {"PatientID": "98890234", **keys}) for keys in _STUDY if "PatientName" not in keys),
    *(Asked("study", "SERIES", {"StudyInstanceUID": CT_STUDY, **keys}) for keys in _SERIES),
    *(Asked("study", "SERIES", {"StudyInstanceUID": MR_STUDY, **keys}) for keys in _SERIES),
    *(Asked("study", "IMAGE", {**_SERIES_OF_CT, **keys}) for keys in _IMAGE),
    *(Asked("patient", "IMAGE", {"PatientID": "98890234", **_SERIES_OF_CT, **keys}) for keys in _IMAGE),
    *(Asked("patient", "SERIES", {"PatientID": "98890234", "StudyInstanceUID": CT_STUDY, **keys}) for keys in _SERIES),
]


_EMPTY = "PS3.4 C.2.2.1.2: an attribute without a value matches any key; the others compare with the empty value"
_CASE = "PS3.4 C.2.2.2.1: whether the case of a name counts is the provider's choice; dcmqrscp takes it to count"
_PARTIAL = "PS3.5 6.2: a value of less precision names all that lies within; the others take it for another value"
_UNSUPPORTED = "an optional key, which dcmqrscp does not know and takes for universal"
_LOWER = (
    "a key of a lower level, which PS3.4 C.4.1.3.1.1 rules out: here it is compared with the study's newest object, "
    "dcmqrscp leaves it out, and Orthanc finds nothing"
)
_UNIVERSAL = "PS3.4 C.2.2.2.3: `*` matches what has no value, too; for Orthanc it does not"
_HIERARCHY = (
    "PS3.4 C.4.1.3.1.1: each unique key above the level has one value. Without that it is refused here with A900H "
    "(unless relational queries were negotiated), by dcmqrscp with C000H; Orthanc answers"
)
_SINGLE = _HIERARCHY.replace("by dcmqrscp with C000H; Orthanc answers", "the others answer")
_LEVEL = "Study Root has no such level: refused with A900H here, with C000H by dcmqrscp; Orthanc answers"
_NUMBER = "PS3.5 6.2: an IS is a number, 04 is 4; the others compare the text"
_SEVERAL = (
    "several values are any of them here and for Orthanc; the standard has no such key, for dcmqrscp nothing is equal"
)
_WILD_UID = "a UID has no wild cards: nothing is equal; Orthanc refuses the query"

#: Where it does, or where an archive does not follow it, and why.
DIFFERENT: list[Asked] = [
    Asked("patient", "PATIENT", {"PatientSex": "O"}, _EMPTY),
    Asked("study", "STUDY", {"AccessionNumber": "2"}, _EMPTY),
    Asked("study", "STUDY", {"PatientName": "doe^peter"}, _CASE),
    Asked("study", "STUDY", {"StudyDate": "2003"}, _PARTIAL),
    Asked("study", "STUDY", {"StudyTime": "0507"}, _PARTIAL),
    Asked("study", "STUDY", {"StudyDescription": "*"}, _UNIVERSAL),
    Asked("study", "STUDY", {"StudyDescription": "cranium*"}, _EMPTY),
    Asked("study", "STUDY", {"ModalitiesInStudy": "MR"}, _UNSUPPORTED),
    Asked("study", "STUDY", {"Modality": "MR"}, _LOWER),
    Asked("study", "STUDY", {"StudyInstanceUID": "1.3.6.*"}, _WILD_UID),
    Asked("patient", "STUDY", {}, _HIERARCHY),
    Asked("patient", "STUDY", {"PatientID": "*"}, _SINGLE),
    Asked("study", "SERIES", {"Modality": "CT"}, _HIERARCHY),
    Asked("study", "IMAGE", {"SOPInstanceUID": "1.2.3"}, _HIERARCHY),
    Asked("study", "PATIENT", {"PatientID": "98890234"}, _LEVEL),
    Asked("study", "SERIES", {"StudyInstanceUID": CT_STUDY, "SeriesNumber": "04"}, _NUMBER),
    Asked("study", "SERIES", {"StudyInstanceUID": CT_STUDY, "Modality": ["CT", "MR"]}, _SEVERAL),
]
