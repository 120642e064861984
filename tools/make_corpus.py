"""Writes seeds for the fuzz targets of the identifier crate: real headers of pydicom's files, and identifiers for them.

    python tools/make_corpus.py

A target's first bytes are its parameters: see `fuzz/bodies`.
"""

from __future__ import annotations

from pathlib import Path

from dimsefast.dataset import encode_dataset
from pydicom import Dataset, dcmread
from pydicom.data import get_charset_files, get_testdata_file

CORPUS = Path(__file__).parents[1] / "fuzz/corpus"
SYNTAXES = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"]
FILES = ["CT_small.dcm", "nested_priv_SQ.dcm", "rtplan.dcm", "reportsi.dcm", "priv_SQ.dcm", "UN_sequence.dcm"]


def small(path: str) -> Dataset:
    """The header of a file without what is long."""
    dataset = dcmread(path, stop_before_pixels=True, force=True)
    for element in list(dataset):
        if element.VR in ("OB", "OW", "UN") and len(element.value or b"") > 64:
            del dataset[element.tag]
    return dataset


def identifier(dataset: Dataset) -> Dataset:
    """A query that the dataset matches, with some keys of each kind."""
    query = Dataset()
    query.QueryRetrieveLevel = "STUDY"
    query.SpecificCharacterSet = dataset.get("SpecificCharacterSet")
    query.PatientName = "*"
    query.StudyDate = "19000101-"
    query.StudyTime = "00-"
    query.ModalitiesInStudy = "CT\\MR"
    query.StudyDescription = "?*"
    query.PatientID = dataset.get("PatientID", "")
    item = Dataset()
    item.Modality = "CT"
    query.ScheduledProcedureStepSequence = [item]
    return query


def main() -> None:
    """Writes the seeds."""
    paths = [get_testdata_file(name) for name in FILES] + sorted(map(str, get_charset_files("*.dcm")))[:12]
    for at, path in enumerate(paths):
        dataset, name = small(str(path)), Path(str(path)).stem
        selector = at % len(SYNTAXES)
        encoded = encode_dataset(dataset, SYNTAXES[selector])
        (CORPUS / "codec" / name).write_bytes(bytes([selector]) + encoded[:1500])
        query, candidate = (encode_dataset(one, SYNTAXES[1]) for one in (identifier(dataset), dataset))
        head = bytes([at * 9 % 128, *divmod(len(query), 256)])
        (CORPUS / "matcher" / name).write_bytes(head + query + candidate[:1200])


if __name__ == "__main__":
    main()
