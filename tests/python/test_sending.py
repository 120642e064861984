"""Objects on their way out: `Association.store` and what may go wrong with one of them, or with the association."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dimsefast import DISCARD, StoreResult, build_context, build_role, evt
from dimsefast.sending import Pipeline, Ticket
from dimsefast.sop_class import CTImageStorage, MRImageStorage, Verification
from faces import AE, face  # noqa: F401
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from scripted import Peer, acceptor
from service_cases import BIG, CT, EXPLICIT, GET, IMPLICIT, MR, connect, encoded, provider, query

RTPLAN = Path(str(get_testdata_file("rtplan.dcm")))


def ct(number: int, **values: Any) -> Dataset:
    """A CT image of its own: 1.2.3.<number>."""
    dataset = dcmread(CT)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def number_of(event: Any) -> int:
    return int(event.request.AffectedSOPInstanceUID.rpartition(".")[2])


def asynchronous(port: int, window: tuple[int, int], *uids: str, title: str = "PROVIDER") -> Any:
    ae = AE("REQUESTOR")
    ae.asynchronous_operations = window
    ae.dimse_timeout = 20
    return ae.connect("127.0.0.1", port, ae_title=title, contexts=[build_context(uid) for uid in uids])


def statuses(results: Any) -> list[int | None]:
    return [result.status for result in results]


def test_a_result_for_each_in_order(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no DICOM in here")
    missing = tmp_path / "nowhere.dcm"
    answers = {"1.2.3.1": 0xA700, "1.2.3.2": 0xB000}
    items = [CT, str(MR), dcmread(CT), CT.read_bytes(), missing, text, RTPLAN, ct(1), ct(2), 17, CT]
    told: list[StoreResult] = []
    with provider((evt.EVT_C_STORE, lambda event: answers.get(event.request.AffectedSOPInstanceUID, 0))) as server:
        with connect(server, CTImageStorage, MRImageStorage, Verification) as assoc:
            results = list(assoc.store(items, progress=told.append))
            assert assoc.send_c_echo().Status == 0
    assert told == results
    assert [result.source for result in results] == items
    assert statuses(results) == [0, 0, 0, 0, None, None, None, 0xA700, 0xB000, None, 0]
    ct_uid, mr_uid = dcmread(CT).SOPInstanceUID, dcmread(MR).SOPInstanceUID
    plan = dcmread(RTPLAN).file_meta.MediaStorageSOPInstanceUID
    assert [result.sop_instance_uid for result in results] == [
        *(ct_uid, mr_uid, ct_uid, ct_uid, "", "", plan, "1.2.3.1", "1.2.3.2", "", ct_uid)
    ]
    assert [result.path for result in results] == [CT, MR, None, None, missing, text, RTPLAN, None, None, None, CT]
    # As the context had it, which took Implicit VR first where both were proposed.
    assert all((result.bytes > 30000) == (result.status is not None and result.source != str(MR)) for result in results)
    assert all(result.seconds >= 0 for result in results)
    errors = [result.error for result in results]
    assert [type(error) for error in errors if error] == [FileNotFoundError, ValueError, ValueError, TypeError]
    assert "nowhere.dcm" in str(errors[4]) and "notes.txt" in str(errors[5])
    assert "RT Plan" in str(errors[6]) and f"PROVIDER@127.0.0.1:{server.port}" in str(errors[6])
    assert "int" in str(errors[9])


def test_whatever_is_given_the_others_go_on(tmp_path: Path) -> None:
    """Every beginning of a file, and other things that are none, cost their own result and nothing else."""
    whole = CT.read_bytes()
    broken: list[Any] = [tmp_path, b"", Dataset(), None, ct(1, Rows="many"), b"\0" * 128 + b"DICM" + b"\xff" * 100]
    broken += [whole[:length] for length in range(1, 1200, 37)]
    for length in range(1, 1200, 53):
        path = tmp_path / f"{length}.dcm"
        path.write_bytes(whole[:length])
        broken.append(path)
    with provider((evt.EVT_C_STORE, lambda event: 0)) as server, connect(server, CTImageStorage) as assoc:
        assert statuses(assoc.store([CT, *broken, CT]))[:: len(broken) + 1] == [0, 0]
        implicit = [build_context(CTImageStorage, [IMPLICIT])]
        with connect(server, contexts=implicit) as other:
            for result in other.store([*broken, CT]):
                assert (result.status is None) == (result.error is not None)
            assert result.status == 0


@pytest.mark.parametrize("window", [(1, 1), (3, 3)])
def test_items_are_taken_as_they_are_needed(window: tuple[int, int]) -> None:
    taken, ahead = 0, []

    def items() -> Iterator[Dataset]:
        nonlocal taken
        for number in range(20):
            taken += 1
            ahead.append(taken - len(results))
            yield ct(number)

    results: list[StoreResult] = []
    with provider((evt.EVT_C_STORE, lambda event: 0)) as server:
        server.ae.asynchronous_operations = window
        with asynchronous(server.port, window, CTImageStorage) as assoc:
            stored = assoc.store(items())
            assert taken == 0
            for result in stored:
                results.append(result)
    assert [result.sop_instance_uid for result in results] == [f"1.2.3.{number}" for number in range(20)]
    assert max(ahead) == window[0] + 1


@pytest.mark.parametrize("window", [(1, 1), (4, 4)])
def test_leaving_the_loop_takes_what_is_outstanding_and_sends_no_more(window: tuple[int, int]) -> None:
    taken: list[int] = []
    received: list[int] = []

    def items() -> Iterator[Dataset]:
        for number in range(50):
            taken.append(number)
            yield ct(number)

    with provider((evt.EVT_C_STORE, lambda event: received.append(number_of(event)) or 0)) as server:
        server.ae.asynchronous_operations = window
        with asynchronous(server.port, window, CTImageStorage, Verification) as assoc:
            for result in assoc.store(items()):
                if result.sop_instance_uid == "1.2.3.1":
                    break
            assert assoc.send_c_echo().Status == 0
            assert sorted(received) == taken and len(taken) <= 2 + window[0] + 1
            assert assoc._connection.begin(None) > 0
            # The next request of this thread ends an iterator that is still open.
            stored = assoc.store([ct(100), ct(101), ct(102)])
            assert next(stored).status == 0
            assert assoc.send_c_echo().Status == 0
            assert list(stored) == []


def test_an_association_that_is_lost_gives_every_object_its_result() -> None:
    def on_store(event: Any) -> int:
        if number_of(event) == 1:
            event.assoc.abort()
        return 0

    with provider((evt.EVT_C_STORE, on_store)) as server:
        assoc = connect(server, CTImageStorage)
        results = list(assoc.store(ct(number) for number in range(6)))
        assert statuses(results) == [0, *[None] * 5]
        for number, result in enumerate(results[1:], 1):
            assert isinstance(result.error, ConnectionAbortedError)
            assert f"PROVIDER@127.0.0.1:{server.port}" in str(result.error) and "aborted by peer" in str(result.error)
            assert result.sop_instance_uid == f"1.2.3.{number}"
        assert assoc.is_aborted
        with pytest.raises(RuntimeError, match="not established"):
            next(assoc.store([CT]))


def test_a_peer_that_closes_the_connection_in_the_middle_of_an_object() -> None:
    def serve(peer: Peer) -> None:
        peer.answer_store(peer.next_message())
        peer.read_pdu()

    with acceptor(serve) as port:
        assoc = asynchronous(port, (1, 1), CTImageStorage)
        results = list(assoc.store([CT, CT, CT]))
    assert statuses(results) == [0, None, None]
    assert all(isinstance(result.error, ConnectionAbortedError) for result in results[1:])


def test_a_peer_that_does_not_answer_is_given_up() -> None:
    go_on = threading.Event()
    with provider((evt.EVT_C_STORE, lambda event: go_on.wait(20) and 0)) as server:
        assoc = connect(server, CTImageStorage)
        assoc.dimse_timeout = 0.2
        first, second = assoc.store([CT, CT])
        go_on.set()
    assert isinstance(first.error, TimeoutError) and isinstance(second.error, TimeoutError)
    assert "timed out" in str(first.error) and assoc.is_aborted


def test_a_response_without_a_status_is_an_error() -> None:
    def serve(peer: Peer) -> None:
        request = peer.next_message()
        peer.send_message(request.context_id, {0x0100: 0x8001, 0x0120: int(request.id)})
        peer.answer_store(peer.next_message())
        assert peer.read_message() is None

    with acceptor(serve) as port, asynchronous(port, (1, 1), CTImageStorage) as assoc:
        first, second = assoc.store([CT, CT])
    assert first.status is None and "without a status" in str(first.error)
    assert second.status == 0 and second.error is None


def test_a_file_that_shrinks_while_it_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "shrinking.dcm"
    dataset = ct(1)
    dataset.PixelData = bytes(8 << 20)
    dataset.save_as(path)
    with provider((evt.EVT_C_STORE, lambda event: 0)) as server:
        assoc = connect(server, contexts=[build_context(CTImageStorage, [EXPLICIT])])
        pipeline = Pipeline(assoc, 0)
        ticket, behind = pipeline.prepare(Ticket(path)), pipeline.prepare(Ticket(CT))
        with path.open("r+b") as file:
            file.truncate(4 << 20)
        pipeline.send(ticket)
        pipeline.send(behind)
        assert ticket.result is not None and isinstance(ticket.result.error, OSError)
        assert "shrinking.dcm" in str(ticket.result.error) and "shorter" in str(ticket.result.error)
        assert pipeline.take() is behind
        assert assoc.is_aborted


@pytest.mark.blocking
def test_store_over_the_association_whose_handler_runs_is_an_error_at_once() -> None:
    caught: list[str] = []

    def on_store(event: Any) -> int:
        try:
            next(event.assoc.store([CT]))
        except RuntimeError as error:
            caught.append(str(error))
        return 0

    def on_get(event: Any) -> Any:
        yield 1
        yield 0xFF00, CT

    handlers = [(evt.EVT_C_STORE, on_store)]
    roles = [build_role(CTImageStorage, scu_role=True, scp_role=True)]
    with provider((evt.EVT_C_GET, on_get), *handlers) as server:
        with connect(server, GET, CTImageStorage, ext_neg=roles, evt_handlers=handlers) as assoc:
            assert statuses(assoc.store([CT])) == [0]
            list(assoc.send_c_get(query(PatientID="*"), GET))
    assert len(caught) == 2 and all("handler" in words for words in caught)


@pytest.mark.blocking
def test_a_request_from_within_the_items_or_the_progress_is_an_error_and_no_hang() -> None:
    caught: list[str] = []
    with provider((evt.EVT_C_STORE, lambda event: 0)) as server:
        with connect(server, CTImageStorage, Verification) as assoc:

            def echo(*_: Any) -> None:
                try:
                    assoc.send_c_echo()
                except RuntimeError as error:
                    caught.append(str(error))

            def items() -> Iterator[Dataset]:
                for number in range(3):
                    echo()
                    yield ct(number)

            assert statuses(assoc.store(items(), progress=echo)) == [0, 0, 0]
            assert assoc.send_c_echo().Status == 0
    assert len(caught) == 6 and all("in progress" in words for words in caught)


def test_an_error_of_the_items_or_the_progress_ends_it_and_nothing_is_left_behind() -> None:
    def items() -> Iterator[Dataset]:
        yield ct(1)
        raise LookupError("no more")

    with provider((evt.EVT_C_STORE, lambda event: 0)) as server:
        with connect(server, CTImageStorage, Verification) as assoc:
            with pytest.raises(LookupError, match="no more"):
                list(assoc.store(items()))
            with pytest.raises(ZeroDivisionError):
                list(assoc.store([CT, CT], progress=lambda result: 1 // 0))
            assert assoc.send_c_echo().Status == 0


def test_two_threads_on_one_association_take_turns() -> None:
    received: list[int] = []
    found: dict[int, list[int | None]] = {}
    with provider((evt.EVT_C_STORE, lambda event: received.append(number_of(event)) or 0)) as server:
        with connect(server, CTImageStorage) as assoc:

            def store(first: int) -> None:
                found[first] = statuses(assoc.store(ct(first + number) for number in range(6)))

            threads = [threading.Thread(target=store, args=(first,)) for first in (0, 100, 200)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    assert found == {first: [0] * 6 for first in (0, 100, 200)}
    hundreds = [number // 100 for number in received]
    assert hundreds == sorted(hundreds, key=hundreds.index)


def test_those_who_wait_for_their_turn_are_told_of_the_end() -> None:
    entered, go_on = threading.Event(), threading.Event()
    caught: list[Any] = []

    def on_store(event: Any) -> int:
        entered.set()
        go_on.wait(20)
        return 0

    with provider((evt.EVT_C_STORE, on_store)) as server:
        assoc = connect(server, CTImageStorage, Verification)

        def store() -> None:
            try:
                caught.extend(statuses(assoc.store([CT])))
            except RuntimeError as error:
                caught.append(type(error))

        threads = [threading.Thread(target=store) for _ in range(3)]
        threads[0].start()
        assert entered.wait(20)
        for thread in threads[1:]:
            thread.start()
        # Whether they wait by then or come too late: both are told.
        assoc.abort()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
        go_on.set()
    assert caught.count(None) == 1 and caught.count(RuntimeError) == 2


LARGE = 96 << 20

SENDER = """
import resource, sys
from pathlib import Path
from dimsefast import AE, build_context
from dimsefast.sop_class import CTImageStorage

port, small, large, syntax = int(sys.argv[1]), *map(Path, sys.argv[2:4]), sys.argv[4]
with AE("REQUESTOR").connect("127.0.0.1", port, contexts=[build_context(CTImageStorage, [syntax])]) as assoc:
    assert [result.status for result in assoc.store([small])] == [0]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert [result.status for result in assoc.store([large])] == [0]
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
def test_an_object_of_any_size_is_streamed(tmp_path: Path, syntax: str) -> None:
    """A sparse file, in its own transfer syntax and converted, takes the sender a few batches of memory."""
    large, folder = tmp_path / "large.dcm", tmp_path / "received"
    folder.mkdir()
    dataset = ct(1)
    dataset.PixelData = b""
    dataset.pop("DataSetTrailingPadding", None)
    dataset.save_as(large)
    marks = {0: b"begin", LARGE // 2: b"middle", LARGE - 8: b"the end."}
    with large.open("r+b") as file:
        file.seek(-4, 2)
        file.write(LARGE.to_bytes(4, "little"))
        begin = file.tell()
        file.truncate(begin + LARGE)
        for at, mark in marks.items():
            file.seek(begin + at)
            file.write(mark)
    with provider(store_to=folder) as server:
        arguments = [str(server.port), str(CT), str(large), syntax]
        done = subprocess.run(
            [sys.executable, "-c", SENDER, *arguments], capture_output=True, text=True, timeout=100, check=False
        )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 32 << 10, "kilobytes"
    received = folder / "1.2.3.1.dcm"
    assert received.stat().st_size > LARGE
    with received.open("rb") as file:
        for at, mark in marks.items():
            file.seek(at - LARGE, 2)
            found = file.read(len(mark) + len(mark) % 2)
            if syntax == BIG:
                found = b"".join(found[pair : pair + 2][::-1] for pair in range(0, len(found), 2))
            assert found.startswith(mark)
    received.unlink()


def test_an_object_above_4_gib_goes_through(tmp_path: Path) -> None:
    """Counters of 32 bits would wrap. The DIMSE time-out is for the answer, and not for all of the sending."""
    path, length = tmp_path / "large.dcm", (1 << 32) + 12_346
    with path.open("wb") as file:
        file.write(CT.read_bytes()[:2000])
        begin = len(CT.read_bytes()) - len(encoded(CT))
        file.truncate(begin + length)
    seen: list[int] = []

    def on_store(event: Any) -> int:
        seen.append(event.dataset_length)
        return 0

    with (
        provider((evt.EVT_C_STORE, on_store), store_to=DISCARD) as server,
        connect(server, contexts=[build_context(CTImageStorage, EXPLICIT)]) as assoc,
    ):
        assoc.dimse_timeout = 1
        (result,) = assoc.store([path])
    assert (result.status, result.bytes, seen) == (0x0000, length, [length])


def test_no_sender_starves_another() -> None:
    senders, objects = 4, 30
    order: list[str] = []
    ready = threading.Barrier(senders, timeout=20)
    dataset = dcmread(CT)
    dataset.Rows = dataset.Columns = 1024
    dataset.PixelData = bytes(2 << 20)

    def on_store(event: Any) -> int:
        order.append(event.assoc.requestor.ae_title)
        return 0

    def send(number: int) -> None:
        ae = AE(f"SENDER{number}")
        with ae.connect("127.0.0.1", server.port, contexts=[build_context(CTImageStorage, EXPLICIT)]) as assoc:
            ready.wait()
            assert all(result.status == 0 for result in assoc.store([dataset] * objects))

    with provider((evt.EVT_C_STORE, on_store), store_to=DISCARD) as server:
        threads = [threading.Thread(target=send, args=(number,)) for number in range(senders)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert len(order) == senders * objects
    # By the time that the quickest is through everybody has had a turn.
    through = next(at for at, title in enumerate(order) if order[: at + 1].count(title) == objects)
    assert len(set(order[:through])) == senders
