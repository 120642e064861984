"""C-GET and C-MOVE between two dimsefast AEs over real sockets."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import build_role, evt
from dimsefast.sop_class import CTImageStorage, MRImageStorage
from dimsefast.sop_class import PatientRootQueryRetrieveInformationModelGet as GET
from dimsefast.sop_class import PatientRootQueryRetrieveInformationModelMove as MOVE
from faces import AE, face  # noqa: F401
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from service_cases import CT, MR, connect, counts, encoded, provider, query


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


def test_get_handler_sees_objects_by_path(tmp_path: Any) -> None:
    def on_get(event: Any) -> Any:
        yield 1
        yield 0xFF00, str(CT)

    with (
        provider((evt.EVT_C_GET, on_get)) as server,
        connect(
            server, GET, CTImageStorage, ext_neg=[build_role(CTImageStorage, scp_role=True)], store_to=tmp_path
        ) as assoc,
    ):
        *_, (status, _) = assoc.send_c_get(query(PatientID="1"), GET)
    assert status.Status == 0
