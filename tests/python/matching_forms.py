"""The forms in which identifier and stored dataset are given, and a matcher for each."""

from __future__ import annotations

from dimsefast import Matcher
from dimsefast.dataset import encode_dataset
from matching_tables import MODALITY_WORKLIST_FIND, Options
from pydicom import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

DATASET = "Dataset"
#: How the identifier and the stored dataset are given.
FORMS = [
    (DATASET, DATASET),
    (str(ImplicitVRLittleEndian), str(ImplicitVRLittleEndian)),
    (str(ExplicitVRLittleEndian), str(ExplicitVRLittleEndian)),
    (str(ExplicitVRBigEndian), str(ExplicitVRBigEndian)),
    (DATASET, str(ImplicitVRLittleEndian)),
    (str(ExplicitVRLittleEndian), DATASET),
]
Form = tuple[str, str]


def in_form(dataset: Dataset, form: str) -> Dataset | bytes:
    return dataset if form == DATASET else encode_dataset(dataset, form)


def matcher(identifier: Dataset, options: Options, form: Form = FORMS[0]) -> Matcher:
    syntaxes = [one for one in form if one != DATASET]
    return Matcher(
        in_form(identifier, form[0]),
        MODALITY_WORKLIST_FIND if options.worklist else None,
        datetime=options.datetime,
        fuzzy=options.fuzzy,
        timezone=options.timezone,
        local_timezone=options.local,
        empty_value=options.empty,
        multiple_value=options.multiple,
        transfer_syntax=syntaxes[0] if syntaxes else str(ExplicitVRLittleEndian),
    )


def engine_matches(identifier: Dataset, candidate: Dataset, options: Options, form: Form) -> bool:
    return matcher(identifier, options, form).matches(in_form(candidate, form[1]))
