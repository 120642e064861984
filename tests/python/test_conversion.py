"""Objects in another transfer syntax than that of their file: what arrives is what pydicom reads in the file."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from conftest import wait_until
from dimsefast import AE, build_context, build_role, evt
from dimsefast.objects import CONVERTIBLE
from dimsefast.sop_class import CTImageStorage
from pydicom import DataElement, Dataset, dcmread
from pydicom.charset import default_encoding
from pydicom.data import get_testdata_file
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import correct_ambiguous_vr, write_data_element
from pydicom.pixels import get_decoder
from pydicom.uid import UID, JPEG2000Lossless
from scripted import Peer, acceptor
from service_cases import BIG, CT, EXPLICIT, GET, IMPLICIT, MOVE, query

DEFLATED = "1.2.840.10008.1.2.1.99"
RLE_FILE = Path(str(get_testdata_file("MR_small_RLE.dcm")))
SECONDARY = "1.2.840.10008.5.1.4.1.1.7"

NATIVE = [
    Path(str(get_testdata_file(f"{name}.dcm")))
    for name in (
        *("CT_small", "MR_small", "MR_small_implicit", "MR_small_bigendian", "MR_small_expb", "MR_small_padded"),
        *("image_dfl", "SC_rgb_small_odd", "SC_rgb_small_odd_big_endian", "liver_1frame", "liver_expb_1frame"),
        *("rtplan", "rtdose", "rtdose_expb", "test-SR", "reportsi", "waveform_ecg", "examples_overlay", "badVR"),
    )
]
#: Files without SOP Class: they get one.
BARE = ("UN_sequence", "priv_SQ", "nested_priv_SQ")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Files in all four native transfer syntaxes, with nested and private sequences, UN, odd lengths, group lengths."""
    folder = tmp_path_factory.mktemp("files")
    made = []
    for name in BARE:
        dataset = dcmread(get_testdata_file(f"{name}.dcm"))
        dataset.SOPClassUID, dataset.SOPInstanceUID = SECONDARY, f"1.2.3.{len(made)}"
        if dataset.file_meta.TransferSyntaxUID not in CONVERTIBLE:
            # It has no pixel data.
            dataset.file_meta.TransferSyntaxUID = UID(EXPLICIT)
        dataset.save_as(folder / f"{name}.dcm", enforce_file_format=True)
        made.append(folder / f"{name}.dcm")
    for own in (IMPLICIT, EXPLICIT, DEFLATED):
        dataset = dcmread(get_testdata_file("CT_small.dcm"))
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.4.{len(made)}"
        dataset.file_meta.TransferSyntaxUID = UID(own)
        for number, vr, value in (
            (0x00091001, "UN", b"\x01\x02\x03\x04\x05\x06"),
            (0x00091002, "FD", [1.5, -2.25]),
            (0x00091003, "SQ", [query(PatientID="1"), query(PatientID="2", NumberOfSeriesRelatedInstances=7)]),
            (0x00091004, "AT", [0x00100020]),
            (0x00091005, "OL", bytes(range(12))),
            (0x00091006, "UT", "x" * 70_000),
            (0x00081000, "LO", "odd"),
            (0x00280106, "SS", -7),
            (0x7FE10010, "LO", "BEHIND"),
            (0x7FE11001, "SQ", [query(PatientID="behind the pixel data")]),
            (0xFFFAFFFA, "SQ", [query(PatientID="signature")]),
        ):
            dataset.add_new(number, vr, value)
        dataset.add_new(0x00090010, "LO", "DIMSEFAST TEST")
        for group in (0x0008, 0x0010, 0x7FE0):
            dataset.add_new(group << 16, "UL", 0)
        dataset.save_as(folder / f"{own}.dcm", implicit_vr=own == IMPLICIT, little_endian=True)
        made.append(folder / f"{own}.dcm")
    return [*NATIVE, *made]


class Receiver:
    """Takes every class in one transfer syntax only, and keeps what comes: transfer syntax and bytes."""

    def __init__(self, syntax: str, files: list[Path]) -> None:
        self.syntax = syntax
        self.classes = sorted({str(dcmread(path, stop_before_pixels=True).SOPClassUID) for path in files})
        self.received: list[bytes] = []
        ae = AE("PROVIDER")
        for uid in (*self.classes, GET, MOVE):
            syntaxes = [syntax] if uid in self.classes else [IMPLICIT]
            ae.add_supported_context(uid, syntaxes, *((True, True) if uid in self.classes else ()))
        handlers = [(evt.EVT_C_STORE, self.keep), (evt.EVT_C_GET, self.get)]
        self.files = files
        server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        assert server is not None
        self.server = server

    def keep(self, event: Any) -> int:
        assert event.context.transfer_syntax == self.syntax
        self.received.append(event.encoded_dataset(include_meta=False))
        return 0

    def get(self, event: Any) -> Iterator[Any]:
        yield len(self.files)
        for path in self.files:
            yield 0xFF00, path

    def move(self, event: Any) -> Iterator[Any]:
        # What every AE has to accept is proposed by itself; the others have to be named.
        named = (
            [] if self.syntax in (IMPLICIT, EXPLICIT) else [build_context(uid, [self.syntax]) for uid in self.classes]
        )
        yield "127.0.0.1", self.server.port, {"contexts": named}
        yield from self.get(event)

    def connect(self, **options: Any) -> Any:
        contexts = [build_context(uid, [self.syntax]) for uid in self.classes] + [build_context(GET, [IMPLICIT])]
        return AE("REQUESTOR").connect("127.0.0.1", self.server.port, contexts=contexts, **options)

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()


def decoded(data: bytes, syntax: str) -> Dataset:
    if syntax == DEFLATED:
        data = zlib.decompress(data, -15)
    # Of private elements that are UN on the wire nobody knows the words: they stay Little Endian (PS3.5 6.2.2).
    dataset = read_dataset(io.BytesIO(data), syntax == IMPLICIT, syntax != BIG)
    dataset.decode()
    return correct_ambiguous_vr(dataset, syntax != BIG)


def words(element: DataElement) -> int:
    return {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}.get(element.VR, 1)


def little(element: DataElement, is_big: bool) -> bytes:
    """The value as Little Endian bytes: pydicom keeps those of OB, OW and the like in the order of their dataset."""
    if isinstance(element.value, bytes):
        size = words(element) if is_big else 1
        value = b"".join(element.value[at : at + size][::-1] for at in range(0, len(element.value), size))
        return value + b"\0" * (len(value) % 2)
    buffer = DicomBytesIO()
    buffer.is_little_endian = buffer.is_implicit_VR = True
    write_data_element(buffer, element, [default_encoding])
    return buffer.getvalue()[8:]


def has_place(element: DataElement) -> bool:
    """Whether it may be in a message: no group length, and no group that files and commands have (PS3.5 7.1, 7.2)."""
    return element.tag.element != 0 and element.tag.group > 7


def assert_same(found: Dataset, found_big: bool, wanted: Dataset, wanted_big: bool, where: str = "") -> None:
    elements, others = list(filter(has_place, found)), list(filter(has_place, wanted))
    assert [element.tag for element in elements] == [element.tag for element in others], where
    for one, other in zip(elements, others, strict=True):
        place = f"{where} {one.tag} {one.VR} {other.VR}"
        if one.VR == "SQ":
            assert len(one.value) == len(other.value), place
            for item, its in zip(one.value, other.value, strict=True):
                assert_same(item, found_big, its, wanted_big, place)
        elif isinstance(one.value, bytes) or isinstance(other.value, bytes):
            assert little(one, found_big) == little(other, wanted_big), place
        else:
            assert one.value == other.value or (one.is_empty and other.is_empty), place


@pytest.mark.parametrize("target", CONVERTIBLE)
def test_every_file_arrives_in_every_syntax_on_every_way(
    files: list[Path], target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver(target, files) as receiver:
        with receiver.connect() as assoc:
            for path in files:
                assert assoc.send_c_store(path).Status == 0, path
            one_by_one, receiver.received = receiver.received, []
            assert [(result.status, result.error) for result in assoc.store(files)] == [(0, None)] * len(files)
            assert receiver.received == one_by_one
            receiver.received = []
            results = list(assoc.store(path.read_bytes() for path in files))
            assert [(result.status, result.error) for result in results] == [(0, None)] * len(files)
            from_bytes, receiver.received = receiver.received, []
            assert {result.status for result in assoc.store(dcmread(path) for path in files)} == {0}
            from_datasets, receiver.received = receiver.received, []
        roles = [build_role(uid, scp_role=True) for uid in receiver.classes]
        keep = [(evt.EVT_C_STORE, receiver.keep)]
        with receiver.connect(ext_neg=roles, evt_handlers=keep) as assoc:
            *_, (status, _) = assoc.send_c_get(query(PatientID="*"), GET)
        assert (status.Status, status.NumberOfCompletedSuboperations) == (0, len(files))
        assert receiver.received == one_by_one
        receiver.received = []
        ae = AE("MOVER")
        ae.add_supported_context(MOVE)
        handlers = [(evt.EVT_C_MOVE, receiver.move)]
        with ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers) as server:
            with AE("REQUESTOR").connect("127.0.0.1", server.port, contexts=[build_context(MOVE)]) as assoc:
                *_, (status, _) = assoc.send_c_move(query(PatientID="*"), "REQUESTOR", MOVE)
        assert (status.Status, status.NumberOfCompletedSuboperations) == (0, len(files))
        assert receiver.received == one_by_one
        wait_until(lambda: not receiver.server.active_associations)
    for path, file_bytes, from_bytes_, from_dataset in zip(files, one_by_one, from_bytes, from_datasets, strict=True):
        source = dcmread(path)
        own = source.file_meta.TransferSyntaxUID
        correct_ambiguous_vr(source, own != BIG)
        for way, data in (("file", file_bytes), ("bytes", from_bytes_), ("dataset", from_dataset)):
            assert len(data) % 2 == 0
            with monkeypatch.context() as patched:
                patched.setattr(pydicom.config, "replace_un_with_known_vr", False)
                arrived = decoded(data, target)
            if own != target:
                assert all(map(has_place, arrived)), "a file in its own syntax is sent as it is, others in order"
            assert_same(arrived, target == BIG, source, own == BIG, f"{path.name} {way}")


@pytest.mark.parametrize("target", CONVERTIBLE)
def test_what_the_codec_refuses_goes_as_pydicom_reads_it(target: str) -> None:
    """Here pixel data and a sequence that are cut off."""
    cut = [Path(str(get_testdata_file(name))) for name in ("MR_truncated.dcm", "rtplan_truncated.dcm")]
    cut = [path for path in cut if dcmread(path).file_meta.TransferSyntaxUID != target]
    with Receiver(target, cut) as receiver, receiver.connect() as assoc:
        results = [*assoc.store(cut), *assoc.store(path.read_bytes() for path in cut)]
        assert [(result.status, result.error) for result in results] == [(0, None)] * len(results)
        for path, data in zip([*cut, *cut], receiver.received, strict=True):
            source = correct_ambiguous_vr(dcmread(path), True)
            assert_same(decoded(data, target), target == BIG, source, False, path.name)


def test_fragments_are_even_whatever_the_length_of_the_deflated_dataset() -> None:
    def serve(peer: Peer) -> None:
        while (request := peer.read_message()) is not None:
            # The peer looks at each fragment.
            assert request.dataset is not None
            assert decoded(request.dataset, DEFLATED).Rows > 0
            peer.answer_store(request)

    contexts = [build_context(CTImageStorage, [DEFLATED]), build_context(SECONDARY, [DEFLATED])]
    with acceptor(serve) as port, AE().connect("127.0.0.1", port, contexts=contexts) as assoc:
        for length in range(12):
            dataset = dcmread(CT)
            dataset.PatientComments = "".join(chr(ord("A") + at * at % 23) for at in range(length))
            assert assoc.send_c_store(dataset).Status == 0
        (result,) = assoc.store([get_testdata_file("image_dfl.dcm")])
        assert result.status == 0


# Compressed pixel data


def test_compressed_pixel_data_is_left_alone_unless_it_may_be_decoded() -> None:
    with Receiver(EXPLICIT, [RLE_FILE]) as receiver, receiver.connect() as assoc:
        with pytest.raises(ValueError, match=r"'RLE Lossless'.*'MR Image Storage', only: Explicit VR Little Endian"):
            assoc.send_c_store(RLE_FILE)
        (result,) = assoc.store([RLE_FILE])
        assert result.status is None and "RLE Lossless" in str(result.error)
        assert "Explicit VR Little Endian" in str(result.error)
        assert not receiver.received


@pytest.mark.parametrize("target", CONVERTIBLE)
def test_rle_is_decoded_where_it_may_be(target: str) -> None:
    pytest.importorskip("numpy", reason="pydicom needs numpy to decode pixel data")
    wanted = dcmread(get_testdata_file("MR_small.dcm"))
    with Receiver(target, [RLE_FILE]) as receiver, receiver.connect() as assoc:
        dataset = dcmread(RLE_FILE)
        assert assoc.send_c_store(RLE_FILE, decompress=True).Status == 0
        assert assoc.send_c_store(dataset, decompress=True).Status == 0
        assert dataset.file_meta.TransferSyntaxUID.is_compressed, "the caller's dataset is left alone"
        (result,) = assoc.store([RLE_FILE.read_bytes()], decompress=True)
        assert result.status == 0
        assert len(receiver.received) == 3 and len(set(receiver.received)) == 1
        arrived = decoded(receiver.received[0], target)
        assert arrived["PixelData"].VR == "OW" and little(arrived["PixelData"], target == BIG) == wanted.PixelData
        assert arrived.SOPInstanceUID == dataset.SOPInstanceUID


def test_jpeg_is_decoded_where_it_may_be_and_can_be() -> None:
    pytest.importorskip("numpy", reason="pydicom needs numpy to decode pixel data")
    path = Path(str(get_testdata_file("MR_small_jp2klossless.dcm")))
    with Receiver(EXPLICIT, [path]) as receiver, receiver.connect() as assoc:
        (result,) = assoc.store([path], decompress=True)
        if not get_decoder(JPEG2000Lossless).is_available:
            assert result.status is None and "cannot be decoded" in str(result.error)
            pytest.skip("pydicom has no decoder for JPEG 2000 here")
        assert result.status == 0
        wanted = dcmread(get_testdata_file("MR_small.dcm"))
        assert decoded(receiver.received[0], EXPLICIT).PixelData == wanted.PixelData


def test_move_decodes_where_it_may() -> None:
    pytest.importorskip("numpy", reason="pydicom needs numpy to decode pixel data")
    wanted = dcmread(get_testdata_file("MR_small.dcm"))
    with Receiver(EXPLICIT, [RLE_FILE]) as receiver:
        for decompress in (False, True):

            def on_move(event: Any, decompress: bool = decompress) -> Iterator[Any]:
                yield "127.0.0.1", receiver.server.port, {"decompress": decompress}
                yield 1
                yield 0xFF00, RLE_FILE

            ae = AE("MOVER")
            ae.add_supported_context(MOVE)
            handlers = [(evt.EVT_C_MOVE, on_move)]
            with ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers) as server:
                with AE("REQUESTOR").connect("127.0.0.1", server.port, contexts=[build_context(MOVE)]) as assoc:
                    *_, (status, _) = assoc.send_c_move(query(PatientID="*"), "REQUESTOR", MOVE)
            assert status.Status == (0x0000 if decompress else 0xA702)
        assert decoded(receiver.received[0], EXPLICIT).PixelData == wanted.PixelData
        wait_until(lambda: not receiver.server.active_associations)
