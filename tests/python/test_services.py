"""The six services between two dimsefast AEs over real sockets."""

from __future__ import annotations

import threading
from io import BytesIO
from pathlib import Path
from typing import Any

import dimsefast
import pytest
from conftest import wait_until
from dimsefast import _config, build_context, build_role, dataset, evt
from dimsefast.sop_class import (
    CTImageStorage,
    MRImageStorage,
    RTPlanStorage,
    Verification,
)
from dimsefast.sop_class import (
    PatientRootQueryRetrieveInformationModelFind as FIND,
)
from dimsefast.sop_class import (
    PatientRootQueryRetrieveInformationModelGet as GET,
)
from dimsefast.sop_class import (
    PatientRootQueryRetrieveInformationModelMove as MOVE,
)
from faces import AE, face  # noqa: F401
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID

CT = Path(str(get_testdata_file("CT_small.dcm")))
MR = Path(str(get_testdata_file("MR_small.dcm")))
IMPLICIT, EXPLICIT, BIG, RLE = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.5",
)


def query(level: str = "PATIENT", **keys: Any) -> Dataset:
    dataset = Dataset()
    dataset.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(dataset, keyword, value)
    return dataset


def provider(
    *handlers: Any, contexts: Any = (Verification, CTImageStorage, MRImageStorage, FIND, MOVE, GET), **options: Any
) -> Any:
    ae = AE("PROVIDER")
    for uid in contexts:
        roles = (True, True) if uid in (CTImageStorage, MRImageStorage) else (None, None)
        ae.add_supported_context(uid, [IMPLICIT, EXPLICIT, BIG, RLE], *roles)
    return ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(handlers), **options)


def connect(server: Any, *uids: str, **options: Any) -> Any:
    ae = AE("REQUESTOR")
    ae.dimse_timeout = 10
    options.setdefault("contexts", [build_context(uid) for uid in uids])
    return ae.connect("127.0.0.1", server.port, ae_title="PROVIDER", **options)


def encoded(path: Path) -> bytes:
    data = path.read_bytes()
    return data[132 + 12 + dcmread(path, stop_before_pixels=True).file_meta.FileMetaInformationGroupLength :]


# C-ECHO


def test_echo_is_answered_with_and_without_a_handler() -> None:
    with provider() as server, connect(server, Verification) as assoc:
        assert assoc.send_c_echo().Status == 0x0000
        server.bind(evt.EVT_C_ECHO, lambda event: 0x0210)
        assert assoc.send_c_echo().Status == 0x0210
        server.bind(evt.EVT_C_ECHO, lambda event: 1 / 0)
        assert assoc.send_c_echo().Status == 0x0000


def test_message_ids_count_and_a_given_one_is_used() -> None:
    seen: list[int] = []

    def on_echo(event: Any) -> int:
        seen.append(event.message_id)
        return 0

    with provider((evt.EVT_C_ECHO, on_echo)) as server, connect(server, Verification) as assoc:
        for msg_id in (None, None, 700, None):
            assoc.send_c_echo(msg_id)
    assert seen == [1, 2, 700, 3]


# C-STORE


@pytest.mark.parametrize("how", ["path", "string", "dataset", "bytes"])
def test_store_from_anything(how: str) -> None:
    received: list[Any] = []

    def on_store(event: Any) -> int:
        received.append(
            (event.dataset.PatientName, event.encoded_dataset(include_meta=False), event.context.transfer_syntax)
        )
        assert event.dataset is event.dataset
        assert event.file_meta.MediaStorageSOPInstanceUID == event.request.AffectedSOPInstanceUID
        return 0

    source = {"path": CT, "string": str(CT), "dataset": dcmread(CT), "bytes": CT.read_bytes()}[how]
    with (
        provider((evt.EVT_C_STORE, on_store)) as server,
        connect(server, contexts=[build_context(CTImageStorage, [EXPLICIT])]) as assoc,
    ):
        assert assoc.send_c_store(source).Status == 0x0000
    assert received == [("CompressedSamples^CT1", encoded(CT), UID(EXPLICIT))]


@pytest.mark.parametrize("version", ["EVEN", "ODD", None])
@pytest.mark.parametrize("in_a_file", [False, True])
def test_the_bytes_of_a_file_are_those_that_pydicom_writes(
    version: str | None, in_a_file: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for one thing: where the AE names no version, pydicom would write its own into (0002,0013)."""
    monkeypatch.setattr(_config, "STORE_RECV_CHUNKED_DATASET", in_a_file)
    pairs: list[tuple[bytes, bytes]] = []

    def on_store(event: Any) -> int:
        buffer = DicomBytesIO()
        buffer.write(b"\0" * 128 + b"DICM")
        write_file_meta_info(buffer, event.file_meta, enforce_standard=version is not None)
        pairs.append((event.encoded_dataset(), buffer.getvalue() + event.encoded_dataset(include_meta=False)))
        return 0

    dataset = dcmread(CT)
    with provider((evt.EVT_C_STORE, on_store)) as server:
        server.ae.implementation_version_name = version
        with connect(server, CTImageStorage) as assoc:
            for uid in ("1.2.3", "1.2.34"):
                dataset.SOPInstanceUID = uid
                assert assoc.send_c_store(dataset).Status == 0
            connection = assoc._live()
            # A request without a dataset.
            fields = [(0x0002, CTImageStorage), (0x1000, "1.2.3"), (0x0700, 2)]
            connection.send_request(1, 0x0001, connection.begin(100), fields, None, 5.0)
            assert connection.receive(100, 5.0).status == 0
            connection.forget(100)
    assert len(pairs) == 3
    for own, expected in pairs:
        assert own == expected
    assert dcmread(BytesIO(pairs[0][0])).PatientName == dataset.PatientName


def test_store_into_a_folder_keeps_every_byte_and_needs_no_handler(tmp_path: Path) -> None:
    with (
        provider(store_to=tmp_path) as server,
        connect(server, contexts=[build_context(CTImageStorage, [EXPLICIT])]) as assoc,
    ):
        assert assoc.send_c_store(CT).Status == 0x0000
        (written,) = tmp_path.iterdir()
    assert written.name == f"{dcmread(CT).SOPInstanceUID}.dcm"
    assert encoded(written) == encoded(CT)
    assert dcmread(written).file_meta.TransferSyntaxUID == EXPLICIT


def test_a_handler_beside_store_to_is_told_the_path_and_gives_the_status(tmp_path: Path) -> None:
    paths: list[Path] = []

    def on_store(event: Any) -> int:
        paths.append(event.dataset_path)
        assert event.dataset.PatientID == "1CT1"
        return 0xB000

    with provider((evt.EVT_C_STORE, on_store), store_to=tmp_path) as server, connect(server, CTImageStorage) as assoc:
        assert assoc.send_c_store(CT).Status == 0xB000
    assert paths == list(tmp_path.iterdir())


def test_a_folder_that_vanished_is_out_of_resources_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    with provider(store_to=folder) as server, connect(server, CTImageStorage, Verification) as assoc:
        folder.rmdir()
        assert assoc.send_c_store(CT).Status == 0xA700
        assert assoc.send_c_echo().Status == 0x0000


def test_implicit_and_explicit_little_endian_are_converted() -> None:
    received: list[Any] = []

    def on_store(event: Any) -> int:
        received.append((event.context.transfer_syntax, event.dataset.PixelData))
        return 0

    with (
        provider((evt.EVT_C_STORE, on_store)) as server,
        connect(server, contexts=[build_context(CTImageStorage, [IMPLICIT])]) as assoc,
    ):
        assert assoc.send_c_store(CT).Status == 0x0000
    assert received == [(UID(IMPLICIT), dcmread(CT).PixelData)]


@pytest.mark.parametrize(
    ("handler", "status"),
    [
        (lambda event: 0xB006, 0xB006),
        (lambda event: 0x1234, 0x1234),
        (lambda event: None, 0xC002),
        (lambda event: "0", 0xC002),
        (lambda event: Dataset(), 0xC001),
        (lambda event: 1 / 0, 0xC211),
        (None, 0xC211),
    ],
)
def test_what_a_store_handler_returns(handler: Any, status: int) -> None:
    handlers = [(evt.EVT_C_STORE, handler)] if handler else []
    with provider(*handlers) as server, connect(server, CTImageStorage) as assoc:
        assert assoc.send_c_store(CT).Status == status


def test_a_status_dataset_brings_its_elements() -> None:
    def on_store(event: Any) -> Dataset:
        status = Dataset()
        status.Status = 0xA900
        status.ErrorComment = "wrong class"
        status.OffendingElement = 0x00080016
        return status

    with provider((evt.EVT_C_STORE, on_store)) as server, connect(server, CTImageStorage) as assoc:
        status = assoc.send_c_store(CT)
    assert (status.Status, status.ErrorComment, status.OffendingElement) == (0xA900, "wrong class", 0x00080016)


def test_what_cannot_be_stored_says_why(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no DICOM in here")
    without_class, without_syntax = dcmread(CT), dcmread(CT)
    del without_class.SOPClassUID
    del without_syntax.file_meta.TransferSyntaxUID
    with provider() as server, connect(server, contexts=[build_context(CTImageStorage, [IMPLICIT, EXPLICIT])]) as assoc:
        with pytest.raises(ValueError, match=r"notes\.txt.*DICM"):
            assoc.send_c_store(text)
        with pytest.raises(OSError, match=r"nowhere\.dcm"):
            assoc.send_c_store(tmp_path / "nowhere.dcm")
        with pytest.raises(AttributeError, match="SOP Class UID"):
            assoc.send_c_store(without_class)
        with pytest.raises(AttributeError, match="Transfer Syntax UID"):
            assoc.send_c_store(without_syntax)
        with pytest.raises(ValueError, match="MR Image Storage"):
            assoc.send_c_store(MR)
        with pytest.raises(ValueError, match="transfer syntax"):
            assoc.send_c_store(_as_ct("JPEG2000.dcm", tmp_path))
        with pytest.raises(ValueError, match="priority"):
            assoc.send_c_store(CT, priority=3)
        assert assoc.is_established
    with pytest.raises(RuntimeError, match="not established"):
        assoc.send_c_store(CT)


def _as_ct(name: str, folder: Path) -> Path:
    """A file of another class, said to be a CT image."""
    dataset = dcmread(get_testdata_file(name))
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.save_as(folder / name)
    return folder / name


def test_a_large_object_in_both_directions_of_the_smallest_pdu(tmp_path: Path) -> None:
    for size in (8, 9, 4096, 16382, 0):
        folder = tmp_path / str(size)
        folder.mkdir()
        ae = AE("PROVIDER")
        ae.maximum_pdu_size = size
        ae.add_supported_context(CTImageStorage, [EXPLICIT])
        with ae.start_server(("127.0.0.1", 0), block=False, store_to=folder) as server:
            assert server is not None
            with connect(server, contexts=[build_context(CTImageStorage, [EXPLICIT])], max_pdu=size) as assoc:
                assert assoc.acceptor.maximum_length == size
                assert assoc.send_c_store(CT).Status == 0x0000
            (written,) = folder.iterdir()
            assert encoded(written) == encoded(CT)


# C-FIND


@pytest.mark.parametrize("ahead", [1, 2, 50])
def test_matches_leave_although_the_handler_blocks_then(ahead: int) -> None:
    """Design 13: the first leaves at once, those behind it together, none of them waits for the next."""
    arrived = threading.Event()

    def on_find(event: Any) -> Any:
        for number in range(ahead):
            yield 0xFF00, query(PatientID=str(number))
        assert arrived.wait(10), "what was yielded was not sent before the next was produced"
        yield 0xFF00, query(PatientID="last")

    with provider((evt.EVT_C_FIND, on_find)) as server, connect(server, FIND) as assoc:
        seen = []
        for status, identifier in assoc.send_c_find(query(PatientID="*"), FIND):
            seen.append((status.Status, identifier and identifier.PatientID))
            if len(seen) == ahead:
                arrived.set()
    assert seen == [*((0xFF00, str(number)) for number in range(ahead)), (0xFF00, "last"), (0x0000, None)]


def test_a_handler_that_runs_ahead_waits_for_a_slow_reader() -> None:
    number, produced = 5_000, 0  # 50 MB: more than the kernel's buffers hold

    def on_find(event: Any) -> Any:
        nonlocal produced
        match = query(PatientID="1", PatientComments="X" * 10_000)
        while produced < number:
            produced += 1
            yield 0xFF00, match

    with provider((evt.EVT_C_FIND, on_find)) as server, connect(server, FIND) as assoc:
        responses = assoc.send_c_find(query(PatientID="*"), FIND)
        next(responses)
        last = -1
        while produced != last:  # until it stands still
            last = produced
            threading.Event().wait(0.2)
        assert produced < number
        assert sum(1 for _ in responses) == number


def test_cancel_reaches_the_handler_and_ends_with_one_final_status() -> None:
    cancelled = threading.Event()

    def on_find(event: Any) -> Any:
        number = 0
        while not event.is_cancelled:
            yield 0xFF00, query(PatientID=str(number))
            number += 1
        cancelled.set()
        yield 0xFE00, None

    with provider((evt.EVT_C_FIND, on_find)) as server, connect(server, FIND) as assoc:
        statuses = []
        for status, _ in assoc.send_c_find(query(PatientID="*"), FIND, msg_id=5):
            statuses.append(status.Status)
            if len(statuses) == 3:
                assoc.send_c_cancel(5, query_model=FIND)
        assert set(statuses[:-1]) == {0xFF00}
        assert statuses[-1] == 0xFE00
    assert cancelled.is_set()


def test_several_matches_at_once_are_a_response_each() -> None:
    """Encoded or not, in their order, among others; each of them counted."""
    one = dataset.encode_dataset(query(PatientID="1"), IMPLICIT)

    def on_find(event: Any) -> Any:
        yield 0xFF00, query(PatientID="0")
        yield 0xFF01, [one, query(PatientID="2"), one]
        yield 0xFF00, []
        yield 0xFF00, [query(PatientID="3")]

    with provider((evt.EVT_C_FIND, on_find)) as server, connect(server, FIND) as assoc:
        *matches, (final, nothing) = assoc.send_c_find(query(PatientID="*"), FIND)
        assert [(status.Status, found.PatientID) for status, found in matches] == [
            (0xFF00, "0"),
            (0xFF01, "1"),
            (0xFF01, "2"),
            (0xFF01, "1"),
            (0xFF00, "3"),
        ]
        assert final.Status == 0 and nothing is None
        # It is counted once it is over here, too.
        wait_until(lambda: "C-FIND" in server.statistics()["operations"])
        assert server.statistics()["operations"]["C-FIND"]["pending"] == 5


def test_of_several_at_once_one_that_is_no_identifier_ends_the_query() -> None:
    def on_find(event: Any) -> Any:
        yield 0xFF00, [query(PatientID="0"), "1"]

    with provider((evt.EVT_C_FIND, on_find)) as server, connect(server, FIND) as assoc:
        assert [status.Status for status, _ in assoc.send_c_find(query(PatientID="*"), FIND)] == [0xC312]


@pytest.mark.parametrize("says_so", [True, False])
def test_cancel_is_seen_among_several_at_once(says_so: bool) -> None:
    # More than all buffers on the way take.
    count = 500_000
    matches = [dataset.encode_dataset(query(PatientID="1"), IMPLICIT)] * count

    def on_find(event: Any) -> Any:
        yield 0xFF00, matches
        if says_so and event.is_cancelled:
            yield 0xFE00, None

    with provider((evt.EVT_C_FIND, on_find)) as server, connect(server, FIND) as assoc:
        statuses = []
        for status, _ in assoc.find(query(PatientID="*"), FIND, raw=True, msg_id=5):
            statuses.append(status)
            if len(statuses) == 3:
                assoc.send_c_cancel(5, query_model=FIND)
        assert set(statuses[:-1]) == {0xFF00} and len(statuses) < count
        assert statuses[-1] == 0xFE00


def test_leaving_the_loop_cancels_and_the_next_request_sees_its_own_responses() -> None:
    ended = threading.Event()

    def on_find(event: Any) -> Any:
        wanted = event.identifier.PatientID
        if wanted == "one":
            yield 0xFF00, query(PatientID="one")
            return
        try:
            while True:
                yield 0xFF00, query(PatientID=wanted)
        finally:
            ended.set()

    with provider((evt.EVT_C_FIND, on_find)) as server, connect(server, FIND) as assoc:
        for status, _ in assoc.send_c_find(query(PatientID="many"), FIND):
            assert status.Status == 0xFF00
            break
        unfinished = assoc.send_c_find(query(PatientID="many"), FIND)
        next(unfinished)
        found = [
            identifier.PatientID for _, identifier in assoc.send_c_find(query(PatientID="one"), FIND) if identifier
        ]
        assert found == ["one"]
        wait_until(ended.is_set, "the end of the handler")
        assert assoc.is_established


@pytest.mark.parametrize(
    ("yields", "statuses"),
    [
        ([(0xFF01, query(PatientID="1")), (0x0000, None), (0xFF00, query())], [0xFF01, 0x0000]),
        ([(0xA700, None)], [0xA700]),
        ([(0xB001, None)], [0xB001]),
        ([(None, None)], [0xC002]),
        ([(Dataset(), None)], [0xC001]),
        ([(0xFF00, None)], [0xC312]),
        ([], [0x0000]),
    ],
)
def test_what_a_find_handler_yields(yields: Any, statuses: list[int]) -> None:
    with provider((evt.EVT_C_FIND, lambda event: iter(yields))) as server, connect(server, FIND) as assoc:
        assert [status.Status for status, _ in assoc.send_c_find(query(PatientID="*"), FIND)] == statuses


def test_a_find_handler_that_raises_or_is_missing() -> None:
    def on_find(event: Any) -> Any:
        yield 0xFF00, query(PatientID="1")
        raise RuntimeError("no more")

    with provider((evt.EVT_C_FIND, on_find)) as server, connect(server, FIND) as assoc:
        assert [status.Status for status, _ in assoc.send_c_find(query(PatientID="*"), FIND)] == [0xFF00, 0xC311]
        server.unbind(evt.EVT_C_FIND, on_find)
        assert [status.Status for status, _ in assoc.send_c_find(query(PatientID="*"), FIND)] == [0xC311]


def test_raw_identifiers_pass_as_bytes() -> None:
    from dimsefast.dataset import decode_dataset, encode_dataset

    raw = encode_dataset(query(PatientID="raw"), IMPLICIT)

    def on_find(event: Any) -> Any:
        assert event.encoded_identifier == raw
        yield 0xFF00, raw

    with provider((evt.EVT_C_FIND, on_find)) as server, connect(server, FIND) as assoc:
        assert list(assoc.find(raw, FIND, raw=True)) == [(0xFF00, raw), (0x0000, None)]
        assert decode_dataset(raw, IMPLICIT).PatientID == "raw"


# C-GET and C-MOVE


def counts(status: Dataset) -> tuple[Any, ...]:
    kinds = ("Remaining", "Completed", "Failed", "Warning")
    return (status.Status, *(status.get(f"NumberOf{kind}Suboperations") for kind in kinds))


def getter(server: Any, **options: Any) -> Any:
    return connect(
        server,
        GET,
        CTImageStorage,
        MRImageStorage,
        ext_neg=[build_role(CTImageStorage, scp_role=True), build_role(MRImageStorage, scp_role=True)],
        **options,
    )


def test_get_counts_and_ends_with_success(tmp_path: Path) -> None:
    def on_get(event: Any) -> Any:
        yield 2
        yield 0xFF00, CT
        yield 0xFF00, dcmread(MR)

    with provider((evt.EVT_C_GET, on_get)) as server:
        with getter(server, store_to=tmp_path) as assoc:
            responses = list(assoc.send_c_get(query(PatientID="*"), GET))
        assert [counts(status) for status, _ in responses] == [
            (0xFF00, 1, 1, 0, 0),
            (0xFF00, 0, 2, 0, 0),
            (0x0000, None, 2, 0, 0),
        ]
        assert [identifier for _, identifier in responses] == [None, None, None]
        assert len(list(tmp_path.iterdir())) == 2
        received: list[str] = []

        def on_store(event: Any) -> int:
            received.append(event.dataset.SOPInstanceUID)
            return 0xB000 if event.request.AffectedSOPClassUID == CTImageStorage else 0xA700

        with getter(server, evt_handlers=[(evt.EVT_C_STORE, on_store)]) as assoc:
            *_, (status, identifier) = assoc.send_c_get(query(PatientID="*"), GET)
        assert counts(status) == (0xB000, None, 0, 1, 1)
        assert identifier.FailedSOPInstanceUIDList == dcmread(MR).SOPInstanceUID
        assert received == [dcmread(CT).SOPInstanceUID, dcmread(MR).SOPInstanceUID]


def test_get_without_the_role_fails_every_sub_operation() -> None:
    def on_get(event: Any) -> Any:
        yield 1
        yield 0xFF00, CT

    with provider((evt.EVT_C_GET, on_get)) as server, connect(server, GET, CTImageStorage) as assoc:
        *_, (status, identifier) = assoc.send_c_get(query(PatientID="*"), GET)
    assert counts(status) == (0xA702, None, 0, 1, 0)
    assert identifier.FailedSOPInstanceUIDList == dcmread(CT).SOPInstanceUID


@pytest.mark.blocking
def test_a_request_on_the_association_whose_handler_runs_is_an_error_at_once() -> None:
    caught: list[Exception] = []

    def on_store(event: Any) -> int:
        try:
            event.assoc.send_c_echo()
        except RuntimeError as error:
            caught.append(error)
        return 0

    def on_get(event: Any) -> Any:
        yield 1
        yield 0xFF00, CT

    with (
        provider((evt.EVT_C_GET, on_get)) as server,
        getter(server, evt_handlers=[(evt.EVT_C_STORE, on_store)]) as assoc,
    ):
        list(assoc.send_c_get(query(PatientID="*"), GET))
    assert len(caught) == 1


def move_to(port: int, items: Any, count: int | None = None) -> Any:
    def on_move(event: Any) -> Any:
        if event.move_destination != "REQUESTOR":
            yield None, None
            return
        yield "127.0.0.1", port
        yield len(items) if count is None else count
        for item in items:
            yield item if isinstance(item, tuple) else (0xFF00, item)

    return evt.EVT_C_MOVE, on_move


def test_move_to_oneself_reports_after_each_object(tmp_path: Path) -> None:
    with provider(store_to=tmp_path) as receiver:
        originators: list[Any] = []
        receiver.bind(
            evt.EVT_C_STORE,
            lambda event: (
                originators.append(
                    (event.request.MoveOriginatorApplicationEntityTitle, event.request.MoveOriginatorMessageID)
                )
                or 0
            ),
        )
        with provider(move_to(receiver.port, [CT, dcmread(MR)])) as server, connect(server, MOVE) as assoc:
            responses = list(assoc.send_c_move(query(PatientID="*"), "REQUESTOR", MOVE, msg_id=9))
        assert [counts(status) for status, _ in responses] == [
            (0xFF00, 1, 1, 0, 0),
            (0xFF00, 0, 2, 0, 0),
            (0x0000, None, 2, 0, 0),
        ]
        assert originators == [("REQUESTOR", 9), ("REQUESTOR", 9)]
        # CT is Explicit, MR is Explicit: each arrived in its own transfer syntax.
        assert {path.read_bytes()[-64:] for path in tmp_path.iterdir()} == {
            CT.read_bytes()[-64:],
            MR.read_bytes()[-64:],
        }
        wait_until(lambda: not receiver.active_associations, "the release of the sub-association")


def test_move_sends_one_class_in_several_transfer_syntaxes(tmp_path: Path) -> None:
    files = [
        Path(str(get_testdata_file(name)))
        for name in ("MR_small.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm")
    ]
    received: list[Any] = []

    def on_store(event: Any) -> int:
        received.append((str(event.context.transfer_syntax), event.encoded_dataset(include_meta=False)))
        return 0

    with provider((evt.EVT_C_STORE, on_store)) as receiver, provider(move_to(receiver.port, files)) as server:
        with connect(server, MOVE) as assoc:
            *_, (status, _) = assoc.send_c_move(query(PatientID="*"), "REQUESTOR", MOVE)
        wait_until(lambda: not receiver.active_associations, "the release of the sub-associations")
    assert status.Status == 0x0000
    assert received == [(str(dcmread(path).file_meta.TransferSyntaxUID), encoded(path)) for path in files]


def test_move_where_something_goes_wrong(tmp_path: Path) -> None:
    def final(server: Any, destination: str = "REQUESTOR") -> tuple[Dataset, Any]:
        with connect(server, MOVE) as assoc:
            *_, last = assoc.send_c_move(query(PatientID="*"), destination, MOVE)
            return last

    with provider(store_to=tmp_path) as receiver:
        port = receiver.port
        with provider(move_to(port, [])) as server:
            assert counts(final(server)[0]) == (0x0000, None, 0, 0, 0)
            status, _ = final(server, "NOBODY")
            assert status.Status == 0xA801
            assert "NOBODY" in status.ErrorComment
        rt = Path(str(get_testdata_file("rtplan.dcm")))
        with provider(move_to(port, [CT, rt, tmp_path / "nowhere", 17])) as server:
            status, identifier = final(server)
            assert counts(status) == (0xB000, None, 1, 3, 0)
            assert identifier.FailedSOPInstanceUIDList
        with provider(move_to(port, [rt, rt])) as server:
            assert counts(final(server)[0]) in [(0xA702, None, 0, 2, 0), (0xA801, None, 0, 0, 0)]
        with provider(move_to(port, [CT, (0xB000, None)], count=3)) as server:
            assert counts(final(server)[0]) == (0xB000, None, 1, 2, 0)
        with provider(move_to(port, [CT, (0xFE00, None)], count=3)) as server:
            assert counts(final(server)[0]) == (0xFE00, 2, 1, 0, 0)
        with provider(move_to(port, [CT, (0xA701, None)], count=3)) as server:
            assert final(server)[0].Status == 0xA701
    with provider(move_to(port, [CT])) as server:
        status, _ = final(server)
        assert status.Status == 0xA801
        assert "REQUESTOR" in status.ErrorComment


@pytest.mark.parametrize(
    ("yields", "status"),
    [
        ([], 0xC514),
        (["127.0.0.1"], 0xC515),
        ([("127.0.0.1", 1), "many"], 0xC513),
        ([("127.0.0.1", 1)], 0xC513),
        ([(None, None)], 0xA801),
    ],
)
def test_what_a_move_handler_yields_first(yields: Any, status: int) -> None:
    with provider((evt.EVT_C_MOVE, lambda event: iter(yields))) as server, connect(server, MOVE) as assoc:
        assert [found.Status for found, _ in assoc.send_c_move(query(PatientID="*"), "X", MOVE)] == [status]


def test_cancel_ends_a_move_with_what_was_not_started(tmp_path: Path) -> None:
    stored, go_on = threading.Event(), threading.Event()

    def on_store(event: Any) -> int:
        stored.set()
        assert go_on.wait(10)
        return 0

    with (
        provider((evt.EVT_C_STORE, on_store)) as receiver,
        provider(move_to(receiver.port, [CT, MR, CT, MR])) as server,
    ):
        with connect(server, MOVE) as assoc:

            def cancel() -> None:
                assert stored.wait(10)
                assoc.send_c_cancel(3, query_model=MOVE)
                go_on.set()

            thread = threading.Thread(target=cancel)
            thread.start()
            responses = list(assoc.send_c_move(query(PatientID="*"), "REQUESTOR", MOVE, msg_id=3))
            thread.join()
        final = counts(responses[-1][0])
        assert final[0] == 0xFE00
        assert final[1] is not None and final[1] + final[2] == 4
        wait_until(lambda: not receiver.active_associations, "the end of the sub-association")


@pytest.mark.parametrize("how", ["release", "abort"])
def test_the_requestor_leaves_in_the_middle_of_a_move(how: str) -> None:
    stored, go_on = threading.Event(), threading.Event()

    def on_store(event: Any) -> int:
        stored.set()
        go_on.wait(10)
        return 0

    with provider((evt.EVT_C_STORE, on_store)) as receiver, provider(move_to(receiver.port, [CT, MR])) as server:
        assoc = connect(server, MOVE)
        # A release before the final response, as some peers do it: our own iterator would end the C-MOVE first.
        leave = assoc.abort if how == "abort" else lambda: assoc._connection.release(5)
        thread = threading.Thread(target=lambda: stored.wait(10) and leave())
        thread.start()
        responses = list(assoc.send_c_move(query(PatientID="*"), "REQUESTOR", MOVE))
        thread.join()
        assert "Status" not in responses[-1][0]
        assert (assoc.is_released, assoc.is_aborted) == (how == "release", how == "abort")
        # The provider notices although its own sub-operation hangs.
        wait_until(lambda: not server.active_associations, "the end of the C-MOVE handler")
        go_on.set()


def test_as_many_moves_at_once_as_associations_each_to_a_receiver_in_the_same_process() -> None:
    number = 10
    barrier = threading.Barrier(number, timeout=20)

    def on_store(event: Any) -> int:
        barrier.wait()
        return 0

    results: list[int] = []
    with provider((evt.EVT_C_STORE, on_store)) as receiver, provider(move_to(receiver.port, [CT])) as server:

        def move() -> None:
            with connect(server, MOVE) as assoc:
                *_, (status, _) = assoc.send_c_move(query(PatientID="*"), "REQUESTOR", MOVE)
                results.append(status.Status)

        threads = [threading.Thread(target=move) for _ in range(number)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == [0x0000] * number


# Requests that do not fit


def test_an_unknown_model_and_a_context_that_was_not_accepted() -> None:
    with provider(contexts=(Verification, FIND)) as server, connect(server, Verification, FIND, RTPlanStorage) as assoc:
        assert [context.abstract_syntax for context in assoc.rejected_contexts] == [RTPlanStorage]
        assert assoc.rejected_contexts[0].status == "Abstract Syntax Not Supported"
        with pytest.raises(ValueError, match="MOVE"):
            next(assoc.send_c_move(query(PatientID="*"), "X", MOVE))
        with pytest.raises(ValueError):
            next(assoc.send_c_find(query(PatientID="*"), "1.2.3"))


def test_two_threads_on_one_association_take_turns() -> None:
    def on_find(event: Any) -> Any:
        for _ in range(20):
            yield 0xFF00, query(PatientID=event.identifier.PatientID)

    wrong: list[Any] = []
    with provider((evt.EVT_C_FIND, on_find)) as server, connect(server, FIND, Verification) as assoc:

        def ask(name: str) -> None:
            for _ in range(10):
                found = {i.PatientID for _, i in assoc.send_c_find(query(PatientID=name), FIND) if i is not None}
                if found != {name} or assoc.send_c_echo().Status != 0:
                    wrong.append(found)

        threads = [threading.Thread(target=ask, args=(f"T{number}",)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_the_module_names_its_version() -> None:
    assert dimsefast.__version__ == "0.1.0"
