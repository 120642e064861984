"""From bytes to Datasets, and from one transfer syntax to another: what pydicom reads."""

from __future__ import annotations

import copy
import pickle
import threading
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from codec_cases import (
    BIG,
    BROKEN,
    DEFLATED,
    EXPLICIT,
    EXPLICIT_ID,
    IMPLICIT,
    IMPLICIT_ID,
    ITEM_END,
    SEQUENCE_END,
    SYNTAXES,
    UNDEFINED,
    _element,
    _item,
    _long,
    all_elements,
    by_pydicom,
    decode,
    difference,
    encoded_ordinary,
    files,
    is_encapsulated,
    of,
    same,
    save,
)
from dimsefast import _core
from dimsefast.dataset import EncodedDataset, decode_dataset, decode_object, encode_dataset
from pydicom import DataElement, Dataset, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.hooks import hooks, raw_element_value
from pydicom.tag import Tag
from pydicom.valuerep import PersonName

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


def in_every_syntax(path: Path) -> Iterator[tuple[str, bytes]]:
    """The dataset of a file as it goes into a message, where pydicom can encode it."""
    dataset = dcmread(path)
    for syntax in SYNTAXES:
        encoded = by_pydicom(dataset, syntax)
        if isinstance(encoded, bytes):
            yield syntax, encoded


def test_files_are_decoded_as_by_pydicom() -> None:
    wrong, read = [], 0
    for path in files():
        for syntax, encoded in in_every_syntax(path):
            try:
                decoded = decode_dataset(encoded, syntax)
            except ValueError as error:
                assert path.name in BROKEN, error
                continue
            # Nothing is made before something is asked.
            assert list(vars(decoded)) == ["_unbuilt"]
            assert encode_dataset(decoded, syntax) is encoded and list(vars(decoded)) == ["_unbuilt"]
            if found := difference(decoded, decode(encoded, syntax)):
                wrong.append((path.name, syntax, found))
            read += 1
    assert not wrong
    assert read > 3 * 140


def test_files_are_inflated() -> None:
    for path in files()[::4]:
        for syntax, encoded in in_every_syntax(path):
            if syntax != EXPLICIT:
                continue
            deflater = zlib.compressobj(wbits=-15)
            deflated = deflater.compress(encoded) + deflater.flush()
            assert not difference(decode_dataset(deflated, DEFLATED), decode(encoded, EXPLICIT))
            again = encode_dataset(decode_dataset(encoded, EXPLICIT), DEFLATED)
            assert len(again) % 2 == 0 and encode_dataset(decode_dataset(again, DEFLATED), EXPLICIT) == encoded


def test_datasets_of_files_are_decoded_as_they_lie_there() -> None:
    """Not encoded anew: sequences and items of either kind of length, group lengths, mixed syntaxes."""
    wrong, refused = [], []
    for path in files():
        data, file = path.read_bytes(), dcmread(path)
        syntax = str(file.file_meta.get("TransferSyntaxUID", IMPLICIT))
        start = 0
        if data[128:132] == b"DICM":
            meta = read_dataset(BytesIO(data[132:]), False, True, stop_when=lambda tag, vr, length: tag >= 0x00030000)
            start = 144 + meta[0x00020000].value if 0x00020000 in meta else 0
        if not start:
            continue
        try:
            decoded = decode_dataset(data[start:], syntax)
        except ValueError as error:
            assert "beyond the end" in str(error)
            refused.append(path.name)
            assert not difference(decode_object(data[start:], syntax), dcmread(path), bytewise=False)
            continue
        if found := difference(decoded, dcmread(path), bytewise=False):
            wrong.append((path.name, found))
    assert not wrong
    assert set(refused) <= BROKEN


CHARACTER_SET_FILES = sorted(path for path in files() if path.parent.name == "charset_files")


SEQUENCE_FILES = [path for path in files() if "SQ" in path.stem or "UN_sequence" in path.stem]


def test_text_of_every_character_set() -> None:
    assert len(CHARACTER_SET_FILES) >= 17
    for path in CHARACTER_SET_FILES:
        file = dcmread(path)
        encoded = by_pydicom(file, EXPLICIT)
        assert isinstance(encoded, bytes)
        decoded = decode_dataset(encoded, EXPLICIT)
        read = [element for element in all_elements(dcmread(path)) if element.tag.element != 0]
        for own, expected in zip(all_elements(decoded), read, strict=True):
            assert own.tag == expected.tag and str(own.value) == str(expected.value)


def test_sequences_of_every_encoding() -> None:
    assert len(SEQUENCE_FILES) >= 4
    for path in SEQUENCE_FILES:
        for syntax, encoded in in_every_syntax(path):
            decoded, expected = decode_dataset(encoded, syntax), decode(encoded, syntax)
            assert encode_dataset(decoded, syntax) == encoded
            assert not difference(decoded, expected)
            assert encode_dataset(decoded, syntax) == by_pydicom(expected, syntax)


@pytest.mark.parametrize("item", [_item(IMPLICIT_ID), _item(IMPLICIT_ID + ITEM_END, UNDEFINED)])
@pytest.mark.parametrize("tag", [0x00091010, 0x00081110])
def test_an_unknown_sequence_has_its_items_in_implicit_vr(tag: int, item: bytes) -> None:
    """PS3.5 6.2.2"""
    encoded = _long(tag, b"UN", item + SEQUENCE_END, UNDEFINED) + EXPLICIT_ID
    decoded = decode_dataset(encoded, EXPLICIT)
    assert decoded[tag].value[0].PatientID == decoded.PatientID == "1234"
    assert not difference(decoded, decode(encoded, EXPLICIT))
    record = _core.Encoded(encoded, EXPLICIT)
    for syntax in SYNTAXES:
        again = record.encode(syntax)
        for back in SYNTAXES:
            once_more = decode_dataset(_core.Encoded(again, syntax).encode(back), back)
            assert once_more[tag].value[0].PatientID == once_more.PatientID == "1234"
    assert _core.Encoded(record.encode(BIG), BIG).encode(EXPLICIT) == encoded


def test_lengths_keep_their_kind() -> None:
    for item in (_item(EXPLICIT_ID), _item(EXPLICIT_ID + ITEM_END, UNDEFINED)):
        for sequence in (
            _long(0x00081110, b"SQ", item * 2),
            _long(0x00081110, b"SQ", item * 2 + SEQUENCE_END, UNDEFINED),
        ):
            decoded = decode_dataset(sequence, EXPLICIT)
            assert not difference(decoded, decode(sequence, EXPLICIT))
            assert encode_dataset(decoded, EXPLICIT) == sequence
            for copied in (copy.deepcopy(decoded), pickle.loads(pickle.dumps(decoded)), copy.copy(decoded)):
                assert copied.ReferencedStudySequence[0].PatientID == "1234"
                assert encode_dataset(copied, EXPLICIT) == sequence
            decoded = decode_dataset(sequence, EXPLICIT)
            assert is_unbuilt(decoded.ReferencedStudySequence[0])
            for copied in (pickle.loads(pickle.dumps(decoded)), copy.deepcopy(decoded)):
                assert encode_dataset(copied, EXPLICIT) == sequence


@pytest.mark.parametrize("vr", ["SS", "US"])
@pytest.mark.parametrize("undefined", [False, True])
def test_pixel_representation_holds_for_items(vr: str, undefined: bool) -> None:
    item = Dataset()
    item.add_new(0x00280106, vr, 40_000 if vr == "US" else -5)
    dataset = Dataset()
    dataset.PixelRepresentation = int(vr == "SS")
    dataset.add(DataElement(0x00283000, "SQ", [item], is_undefined_length=undefined))
    decoded = decode_dataset(encode_dataset(dataset, IMPLICIT), IMPLICIT)
    element = decoded.ModalityLUTSequence[0][0x00280106]
    assert (element.VR, element.value) == (vr, item[0x00280106].value)


def is_unbuilt(dataset: Dataset) -> bool:
    return "_unbuilt" in vars(dataset)


def test_items_are_not_built_before_they_are_asked() -> None:
    dataset = decode_dataset(encoded_ordinary(), EXPLICIT)
    assert isinstance(dataset, EncodedDataset) and is_unbuilt(dataset)
    item = dataset.ScheduledProcedureStepSequence[0]
    assert not is_unbuilt(dataset) and is_unbuilt(item)
    assert item.ScheduledPerformingPhysicianName == "Σωκράτης" and is_unbuilt(item)
    assert "Modality" in item and not is_unbuilt(item)
    assert isinstance(dataset.get_item("PatientID"), RawDataElement)


def _set(keyword: str, value: Any) -> Callable[[Dataset], Any]:
    return lambda dataset: setattr(dataset, keyword, value)


OPERATIONS: dict[str, Callable[[Dataset], Any]] = {
    "attribute": lambda dataset: dataset.PatientID,
    "absent attribute": lambda dataset: getattr(dataset, "SeriesDate", "none"),
    "no attribute": lambda dataset: hasattr(dataset, "no_such_attribute"),
    "get": lambda dataset: (dataset.get("PatientID"), dataset.get(0x00100021), dataset.get("StudyTime")),
    "item": lambda dataset: dataset["PatientName"].value,
    "in": lambda dataset: ("PatientID" in dataset, 0x00100020 in dataset, "SeriesDate" in dataset),
    "length": len,
    "truth": bool,
    "iteration": lambda dataset: [element.value for element in dataset if element.VR != "SQ"],
    "keys": lambda dataset: list(dataset.keys()),
    "dir": lambda dataset: dataset.dir("Patient"),
    "all": lambda dataset: [element.tag for element in dataset.iterall()],
    "slice": lambda dataset: dataset[0x00100000:0x00110000],
    "group": lambda dataset: dataset.group_dataset(0x0010),
    "text": str,
    "JSON": lambda dataset: dataset.to_json(),
    "JSON dict": lambda dataset: dataset.to_json_dict(),
    "element": lambda dataset: dataset.data_element("PatientID"),
    "private": lambda dataset: dataset.private_block(0x0009, "DIMSEFAST")[1].value,
    "encoding": lambda dataset: (dataset.original_encoding, dataset.original_character_set),
    "is_implicit_VR": lambda dataset: (dataset.is_implicit_VR, dataset.is_little_endian),
    "walk": lambda dataset: dataset.walk(lambda found, element: None),
    "decode": lambda dataset: dataset.decode(),
    "setting": _set("PatientName", "New^Name"),
    "setting what is absent": _set("SeriesDescription", "é"),
    "setting the character set": _set("SpecificCharacterSet", "ISO_IR 192"),
    "setting an own attribute": _set("own_attribute", 5),
    "deleting": lambda dataset: delattr(dataset, "PatientID"),
    "deleting an item": lambda dataset: dataset.__delitem__(0x00100020),
    "deleting what is absent": lambda dataset: delattr(dataset, "SeriesDate"),
    "adding": lambda dataset: dataset.add_new(0x00104000, "LT", "comment"),
    "updating": lambda dataset: dataset.update({Tag(0x00100020): DataElement(0x00100020, "LO", "2")}),
    "pop": lambda dataset: dataset.pop("PatientID").value,
    "default": lambda dataset: dataset.setdefault("PatientID", "x"),
    "clear": lambda dataset: dataset.clear(),
    "remove private": lambda dataset: dataset.remove_private_tags(),
    "ensuring meta": lambda dataset: dataset.ensure_file_meta(),
    "in a sequence": lambda dataset: setattr(dataset.ScheduledProcedureStepSequence[0], "Modality", "MR"),
    "another sequence": lambda dataset: setattr(
        dataset, "ReferencedPatientSequence", dataset.ScheduledProcedureStepSequence
    ),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_it_behaves_as_a_dataset(name: str) -> None:
    operation = OPERATIONS[name]
    for syntax in SYNTAXES:
        encoded = encoded_ordinary(syntax)
        own, other = decode_dataset(encoded, syntax), decode(encoded, syntax)
        results = []
        for dataset in (own, other):
            try:
                results.append(operation(dataset))
            except Exception as error:
                results.append((type(error), str(error).replace("EncodedDataset", "Dataset")))
        assert results[0] == results[1] and type(results[0]) is type(results[1])
        assert own == other and other == own
        assert encode_dataset(own, syntax) == by_pydicom(other, syntax)
        assert encode_dataset(own, IMPLICIT) == by_pydicom(other, IMPLICIT)


def test_equality_and_copies() -> None:
    encoded = encoded_ordinary()
    expected = decode(encoded, EXPLICIT)
    assert decode_dataset(encoded, EXPLICIT) == decode_dataset(encoded_ordinary(BIG), BIG)
    assert decode_dataset(encoded, EXPLICIT) == expected and expected == decode_dataset(encoded, EXPLICIT)
    assert decode_dataset(encoded, EXPLICIT) != Dataset() and decode_dataset(encoded, EXPLICIT) != 5
    for make in (copy.copy, copy.deepcopy, lambda dataset: pickle.loads(pickle.dumps(dataset)), Dataset.copy):
        for touched in (False, True):
            dataset = decode_dataset(encoded, EXPLICIT)
            if touched:
                assert "PatientID" in dataset
            copied = make(dataset)
            assert is_unbuilt(dataset) != touched
            assert type(copied) is EncodedDataset and copied == expected == dataset
            copied = make(decode_dataset(encoded, EXPLICIT))
            copied.PatientID = "other"
            assert encode_dataset(copied, EXPLICIT) != encoded
    deep = copy.deepcopy(dataset)
    deep.ScheduledProcedureStepSequence[0].Modality = "MR"
    assert dataset.ScheduledProcedureStepSequence[0].Modality == "CT"
    item = decode_dataset(encoded, EXPLICIT).ScheduledProcedureStepSequence[0]
    for make in (copy.copy, copy.deepcopy, lambda dataset: pickle.loads(pickle.dumps(dataset))):
        # What it inherits goes with it.
        assert is_unbuilt(item) and make(item).ScheduledPerformingPhysicianName == "Σωκράτης"


def keywords(dataset: Dataset) -> list[str]:
    return [keyword for element in dataset if (keyword := element.keyword)]


def test_an_attribute_that_is_read_by_itself_is_what_pydicom_reads() -> None:
    read = kept = 0
    for path in files()[::3]:
        for syntax, encoded in in_every_syntax(path):
            if path.name in BROKEN:
                continue
            theirs = decode(encoded, syntax)
            for keyword in keywords(theirs):
                # Each by itself, and the same once more: as the first that is asked for, and with all others.
                ours, expected = decode_dataset(encoded, syntax), getattr(theirs, keyword)
                for _ in range(2):
                    value = getattr(ours, keyword)
                    assert same(value, expected), (path.name, syntax, keyword)
                    assert not isinstance(expected, PersonName) or vars(value) == vars(expected)
                assert not difference(ours, theirs) if not is_unbuilt(ours) else encode_dataset(ours, syntax) is encoded
                kept += is_unbuilt(ours)
                read += 1
    assert read > 3000 and kept > read / 2


def test_what_was_read_by_itself_can_be_changed() -> None:
    encoded = encoded_ordinary()
    dataset = decode_dataset(encoded, EXPLICIT)
    assert dataset.PatientID == "12345" and dataset.PatientName == "Müller^Hans=山田^太郎" and is_unbuilt(dataset)
    dataset.PatientID = "6"
    assert dataset.PatientID == "6" and decode(encode_dataset(dataset, EXPLICIT), EXPLICIT).PatientID == "6"
    del dataset.PatientID
    assert "PatientID" not in dataset
    assert not hasattr(dataset, "PatientID")
    # Several values are a list, which can be changed in place.
    dataset = decode_dataset(encode_dataset(of(0x00080008, "CS", ["ORIGINAL", "PRIMARY"]), EXPLICIT), EXPLICIT)
    dataset.ImageType.append("AXIAL")
    assert decode(encode_dataset(dataset, EXPLICIT), EXPLICIT).ImageType == ["ORIGINAL", "PRIMARY", "AXIAL"]


def test_pydicom_s_hooks_see_what_is_read_by_itself() -> None:
    def loud(raw: RawDataElement, data: dict[str, Any], **kwargs: Any) -> None:
        raw_element_value(raw, data, **kwargs)
        data["value"] = f"{data['value']}!"

    hooks.register_callback("raw_element_value", loud)
    try:
        assert decode_dataset(encoded_ordinary(), EXPLICIT).PatientID == "12345!"
    finally:
        hooks.register_callback("raw_element_value", raw_element_value)


def test_what_is_set_before_anything_is_read_stays() -> None:
    dataset = decode_dataset(encoded_ordinary(), EXPLICIT)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = EXPLICIT
    assert is_unbuilt(dataset)
    assert dataset.PatientID == "12345" and dataset.file_meta.TransferSyntaxUID == EXPLICIT
    dataset = decode_dataset(encoded_ordinary(), EXPLICIT)
    dataset.file_meta = None
    assert dataset.PatientID == "12345" and dataset.file_meta is None


def test_it_is_saved_as_a_dataset_is(tmp_path: Path) -> None:
    dataset = decode_dataset(encoded_ordinary(), EXPLICIT)
    save(dataset, tmp_path / "saved.dcm")
    assert encode_dataset(dcmread(tmp_path / "saved.dcm"), EXPLICIT) == encode_dataset(dataset, EXPLICIT)


def test_two_threads_read_one_dataset() -> None:
    encoded = encoded_ordinary()
    expected = str(decode(encoded, EXPLICIT))
    for _ in range(100):
        dataset, barrier, seen = decode_dataset(encoded, EXPLICIT), threading.Barrier(2), []

        def look(dataset: Dataset = dataset, barrier: Any = barrier, seen: list[Any] = seen) -> None:
            barrier.wait(10)
            seen.append((dataset.PatientID, dataset.ScheduledProcedureStepSequence[0].Modality, str(dataset)))

        threads = [threading.Thread(target=look) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert seen == [("12345", "CT", expected)] * 2
        assert not is_unbuilt(dataset)


WORDS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}


def with_words_swapped(dataset: Dataset) -> Dataset:
    """What pydicom does not do between byte orders."""
    for element in all_elements(dataset):
        if element.VR in WORDS and element.value:
            word = WORDS[element.VR]
            pieces = [element.value[at : at + word] for at in range(0, len(element.value), word)]
            element.value = b"".join(piece[::-1] if len(piece) == word else piece for piece in pieces)
    return dataset


def test_encoded_files_in_other_syntaxes() -> None:
    """As pydicom encodes the same dataset anew."""
    wrong, equal = [], 0
    for path in {*files()[::2], *CHARACTER_SET_FILES, *SEQUENCE_FILES}:
        for syntax, encoded in in_every_syntax(path):
            if path.name in BROKEN:
                continue
            record = _core.Encoded(encoded, syntax)
            for other in SYNTAXES:
                dataset = decode(encoded, syntax)
                if is_encapsulated(dataset) and other == BIG:
                    with pytest.raises(ValueError, match="encapsulated"):
                        record.encode(other)
                    continue
                if (syntax == BIG) != (other == BIG):
                    dataset = with_words_swapped(dataset)
                own, expected = record.encode(other), by_pydicom(dataset, other)
                if own == expected:
                    equal += 1
                    continue
                datasets = decode_dataset(own, other), decode(expected, other)
                # What only pydicom's private dictionaries, or its items, say is UN here, and stays as it is.
                for found in datasets:
                    found.remove_private_tags()
                if found := difference(*datasets, bytewise=False):
                    wrong.append((path.name, syntax, other, found))
    assert not wrong
    assert equal > 500


def test_words_change_places_between_byte_orders() -> None:
    for vr, word in (("OW", 2), ("OF", 4), ("OL", 4), ("OD", 8), ("OV", 8), ("OB", 1), ("UN", 1)):
        tag = 0x00091010
        encoded = _core.encode(of(tag, vr, bytes(range(16))), EXPLICIT)
        assert encoded is not None
        swapped = b"".join(bytes(range(at, at + word))[::-1] for at in range(0, 16, word))
        assert decode(_core.Encoded(encoded, EXPLICIT).encode(BIG), BIG)[tag].value == swapped


def test_encoded_datasets_lose_what_messages_do_not_have() -> None:
    encoded = _element(0x00080000, b"UL", bytes(4)) + EXPLICIT_ID
    nested = _long(0x00081110, b"SQ", _item(encoded))
    for data in (encoded, _element(0x00020010, b"UI", b"1.2\0") + EXPLICIT_ID, encoded[:12] + nested):
        assert b"UL" not in _core.Encoded(data, EXPLICIT).encode(EXPLICIT)
        assert 0x00020010 not in decode_dataset(encode_dataset(decode_dataset(data, EXPLICIT), EXPLICIT), EXPLICIT)
        looked_at = decode(data, EXPLICIT)
        assert list(all_elements(looked_at))
        for syntax in SYNTAXES:
            assert _core.Encoded(data, EXPLICIT).encode(syntax) == by_pydicom(looked_at, syntax)
