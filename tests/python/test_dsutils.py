"""`dimsefast.dsutils`, and `import *` of the modules that make their names when they are asked for."""

from __future__ import annotations

import logging
from io import BytesIO

import pytest
from dimsefast import presentation, sop_class
from dimsefast.dsutils import decode, encode
from pydicom import Dataset
from pydicom.sequence import Sequence


def made() -> Dataset:
    dataset = Dataset()
    dataset.PatientName, dataset.Rows, dataset.ReferencedStudySequence = "DOE^JOHN", 512, Sequence([Dataset()])
    dataset.ReferencedStudySequence[0].ReferencedSOPInstanceUID = "1.2.3"
    return dataset


@pytest.mark.parametrize(
    "syntax", [(True, True, False), (False, True, False), (False, False, False), (False, True, True)]
)
def test_there_and_back(syntax: tuple[bool, bool, bool]) -> None:
    encoded = encode(made(), *syntax)
    assert encoded is not None
    assert decode(BytesIO(encoded), *syntax) == decode(encoded, *syntax) == made()


def test_each_syntax_has_bytes_of_its_own() -> None:
    several = {encode(made(), *syntax) for syntax in [(True, True), (False, True), (False, False), (False, True, True)]}
    assert len(several) == 4


@pytest.mark.parametrize("syntax", [(True, False, False), (True, True, True), (False, False, True)])
def test_there_are_no_others(syntax: tuple[bool, bool, bool]) -> None:
    with pytest.raises(ValueError, match=r"implicit VR, big endian|deflated"):
        encode(Dataset(), *syntax)


def test_what_cannot_be_encoded_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    dataset = Dataset()
    dataset.add_new("Rows", "US", "many")
    with caplog.at_level(logging.ERROR, "dimsefast.dsutils"):
        assert encode(dataset, True, True) is None
    assert "cannot be encoded" in caplog.text and "(0028,0010)" in caplog.text
    with pytest.raises(ValueError, match="flate"):
        decode(b"no deflated bytes", False, True, True)


def test_all_of_a_module() -> None:
    names: dict[str, object] = {}
    exec("from dimsefast.sop_class import *; from dimsefast.presentation import *", names)
    assert names["CTImageStorage"] == sop_class.CTImageStorage
    assert names["StoragePresentationContexts"] == presentation.StoragePresentationContexts
    assert names["build_context"] is presentation.build_context
