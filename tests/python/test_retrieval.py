"""The objects of C-MOVE and C-GET on their way: several associations, windows, second attempts, reading ahead."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import StoreResult, build_context, build_role, evt
from dimsefast.sop_class import CTImageStorage
from faces import AE, face  # noqa: F401
from pydicom import Dataset
from pydicom.data import get_testdata_file
from service_cases import GET, MOVE, connect, counts, provider, query
from test_sending import ct, number_of

RTPLAN = Path(str(get_testdata_file("rtplan.dcm")))


def uids(numbers: Any) -> set[str]:
    return {f"1.2.3.{number}" for number in numbers}


def failed(identifier: Dataset | None) -> set[str]:
    """The Failed SOP Instance UID List."""
    listed = [] if identifier is None else identifier.FailedSOPInstanceUIDList
    return {listed} if isinstance(listed, str) else set(listed)


def mover(port: int, items: Any, **options: Any) -> Any:
    """A handler that moves these objects to the port on this host, with options."""

    def on_move(event: Any) -> Iterator[Any]:
        yield "127.0.0.1", port, options
        yield len(items)
        for item in items:
            yield 0xFF00, item

    return evt.EVT_C_MOVE, on_move


def move(server: Any) -> list[tuple[Any, Any]]:
    with connect(server, MOVE) as assoc:
        return list(assoc.send_c_move(query(PatientID="*"), "REQUESTOR", MOVE))


def getter(server: Any, on_store: Callable[[Any], int], window: tuple[int, int] = (1, 1)) -> Any:
    ae = AE("REQUESTOR")
    ae.asynchronous_operations = window
    contexts = [build_context(GET), build_context(CTImageStorage)]
    roles = [build_role(CTImageStorage, scp_role=True)]
    handlers = [(evt.EVT_C_STORE, on_store)]
    return ae.connect("127.0.0.1", server.port, contexts=contexts, ext_neg=roles, evt_handlers=handlers)


# Several associations


@pytest.mark.parametrize("parallel", [1, 3])
def test_as_many_associations_at_once_as_were_asked_for(parallel: int) -> None:
    """Each is released, although the requestor leaves as soon as it has the final response."""
    together, number, ended = threading.Barrier(parallel, timeout=20), 9, []

    def on_store(event: Any) -> int:
        together.wait()
        return 0

    handlers = [(evt.EVT_C_STORE, on_store), (evt.EVT_RELEASED, lambda event: ended.append(event.assoc))]
    items = [ct(at) for at in range(number)]
    with (
        provider(*handlers) as receiver,
        provider(mover(receiver.port, items, parallel_associations=parallel)) as server,
    ):
        responses = move(server)
        wait_until(lambda: len(ended) == parallel, "the release of all associations")
        wait_until(lambda: not receiver.active_associations)
    assert [counts(status) for status, _ in responses] == [
        *((0xFF00, number - done, done, 0, 0) for done in range(1, number + 1)),
        (0x0000, None, number, 0, 0),
    ]


@pytest.mark.parametrize("parallel", [1, 2, 5])
def test_what_became_of_each_object_is_counted_reported_and_listed(parallel: int, tmp_path: Path) -> None:
    reports: list[StoreResult] = []
    answers = {0: 0, 1: 0xA700, 2: 0xB000, 3: 0xC000}
    items: list[Any] = [ct(at) for at in range(12)]
    items[5] = tmp_path / "nowhere.dcm"
    items[7] = 7
    options = {"parallel_associations": parallel, "report": reports.append}
    with provider((evt.EVT_C_STORE, lambda event: answers[number_of(event) % 4])) as receiver:
        with provider(mover(receiver.port, items, **options)) as server:
            *pending, (status, identifier) = move(server)
        wait_until(lambda: not receiver.active_associations)
    # 0, 4, 8; 2, 6, 10; 1, 3, 5, 7, 9, 11
    assert counts(status) == (0xB000, None, 3, 6, 3)
    assert failed(identifier) == uids((1, 3, 9, 11))
    assert [sum(counts(status)[2:]) for status, _ in pending] == list(range(1, 13))
    assert [counts(status)[1] for status, _ in pending] == list(range(11, -1, -1))
    assert len(reports) == 12 and {id(report.source) for report in reports} == {id(item) for item in items}
    for report in reports:
        if isinstance(report.source, Dataset):
            assert report.status == answers[int(report.sop_instance_uid.rpartition(".")[2]) % 4]
            assert report.error is None
        else:
            assert report.status is None and isinstance(report.error, (FileNotFoundError, TypeError))


@pytest.mark.parametrize("parallel", [1, 3])
def test_a_destination_that_cannot_be_reached(parallel: int) -> None:
    with provider() as receiver:
        port = receiver.port
    items = [ct(at) for at in range(20)]
    with provider(mover(port, items, parallel_associations=parallel)) as server:
        ((status, _),) = move(server)
    assert counts(status) == (0xA801, None, 0, 0, 0)
    assert "REQUESTOR" in status.ErrorComment


def test_a_destination_that_takes_fewer_associations_gets_everything_over_those() -> None:
    items = [ct(at) for at in range(15)]
    with provider((evt.EVT_C_STORE, lambda event: 0)) as receiver:
        receiver.ae.maximum_associations = 1
        with provider(mover(receiver.port, items, parallel_associations=4)) as server:
            *_, (status, _) = move(server)
        wait_until(lambda: not receiver.active_associations)
    assert counts(status) == (0x0000, None, 15, 0, 0)


@pytest.mark.parametrize("parallel", [1, 2])
def test_a_class_that_the_destination_does_not_take_holds_nobody_up(parallel: int) -> None:
    with provider((evt.EVT_C_STORE, lambda event: 0)) as receiver:
        options = {"parallel_associations": parallel}
        with provider(mover(receiver.port, [RTPLAN, RTPLAN, ct(1), RTPLAN, ct(2)], **options)) as server:
            *_, (status, _) = move(server)
            assert counts(status) == (0xB000, None, 2, 3, 0)
        with provider(mover(receiver.port, [RTPLAN, RTPLAN], **options)) as server:
            *_, (status, _) = move(server)
            assert counts(status) == (0xA702, None, 0, 2, 0)
        wait_until(lambda: not receiver.active_associations)


def test_the_window_of_the_destination_is_used() -> None:
    together, number = threading.Barrier(4, timeout=20), 8

    def on_store(event: Any) -> int:
        together.wait()
        return 0

    items = [ct(at) for at in range(number)]
    with provider((evt.EVT_C_STORE, on_store)) as receiver, provider(mover(receiver.port, items)) as server:
        receiver.ae.asynchronous_operations = server.ae.asynchronous_operations = (4, 4)
        responses = move(server)
        wait_until(lambda: not receiver.active_associations)
    assert [counts(status) for status, _ in responses] == [
        *((0xFF00, number - done, done, 0, 0) for done in range(1, number + 1)),
        (0x0000, None, number, 0, 0),
    ]


@pytest.mark.parametrize(
    "options",
    [
        *({"parallel_associations": 0}, {"parallel_associations": "many"}, {"retries": -1}, {"report": 7}, 17),
        {"parallel_associations": None},
    ],
)
def test_options_that_are_none(options: Any) -> None:
    with provider((evt.EVT_C_MOVE, lambda event: iter([("127.0.0.1", 1, options), 1, (0xFF00, ct(1))]))) as server:
        ((status, _),) = move(server)
    assert status.Status == 0xC515


@pytest.mark.parametrize("parallel", [1, 2])
def test_a_keyword_that_is_none_of_associate(parallel: int) -> None:
    with provider(mover(1, [ct(1), ct(2)], parallel_associations=parallel, tries=3)) as server:
        ((status, _),) = move(server)
    assert status.Status == 0xC515 and "tries" in status.ErrorComment


# Second attempts


@pytest.mark.parametrize(("parallel", "retries"), [(1, 0), (1, 1), (3, 1)])
def test_what_was_refused_is_sent_again(parallel: int, retries: int) -> None:
    seen: set[int] = set()
    reports: list[StoreResult] = []

    def on_store(event: Any) -> int:
        number = number_of(event)
        first = number not in seen
        seen.add(number)
        return 0xA700 if first else 0

    items = [ct(at) for at in range(6)]
    options = {"parallel_associations": parallel, "retries": retries, "report": reports.append}
    with provider((evt.EVT_C_STORE, on_store)) as receiver, provider(mover(receiver.port, items, **options)) as server:
        *pending, (status, identifier) = move(server)
        wait_until(lambda: not receiver.active_associations)
    assert [sum(counts(status)[2:]) for status, _ in pending] == list(range(1, 7))
    assert {report.sop_instance_uid for report in reports} == uids(range(6)) and len(reports) == 6
    if retries:
        assert counts(status) == (0x0000, None, 6, 0, 0)
        assert {report.status for report in reports} == {0}
    else:
        assert counts(status) == (0xA702, None, 0, 6, 0)
        assert failed(identifier) == uids(range(6)) and {report.status for report in reports} == {0xA700}


@pytest.mark.parametrize("window", [(1, 1), (3, 3)])
@pytest.mark.parametrize("retries", [0, 1])
def test_an_association_that_is_aborted_at_the_first_object(retries: int, window: tuple[int, int]) -> None:
    """What was read ahead for it goes over the next association, as does everything that follows."""
    aborted = threading.Event()

    def on_store(event: Any) -> int:
        if number_of(event) == 0 and not aborted.is_set():
            aborted.set()
            event.assoc.abort()
        return 0

    items = [ct(at) for at in range(5)]
    with provider((evt.EVT_C_STORE, on_store)) as receiver:
        with provider(mover(receiver.port, items, retries=retries)) as server:
            receiver.ae.asynchronous_operations = server.ae.asynchronous_operations = window
            *_, (status, identifier) = move(server)
        wait_until(lambda: not receiver.active_associations)
    final = counts(status)
    assert aborted.is_set() and final[2] + final[3] == 5
    if retries:
        assert final == (0x0000, None, 5, 0, 0)
    else:
        assert "1.2.3.0" in failed(identifier) and len(failed(identifier)) == final[3] <= window[0]
        assert final[0] == 0xB000


@pytest.mark.blocking
@pytest.mark.parametrize(("parallel", "retries"), [(1, 0), (1, 2), (3, 1)])
def test_a_destination_that_goes_away_in_the_middle(parallel: int, retries: int) -> None:
    reports: list[StoreResult] = []
    items = [ct(at) for at in range(6)]
    with provider((evt.EVT_C_STORE, lambda event: 0)) as receiver:

        def report(result: StoreResult) -> None:
            reports.append(result)
            receiver.shutdown()

        options = {"parallel_associations": parallel, "retries": retries, "report": report}
        with provider(mover(receiver.port, items, **options)) as server:
            *pending, (status, identifier) = move(server)
    final = counts(status)
    assert final[0] == 0xB000 and final[2] + final[3] == 6 and final[2] >= 1
    assert parallel > 1 or final[2] == 1
    assert [counts(status)[1] for status, _ in pending] == [5, 4, 3, 2, 1, 0]
    assert len(reports) == 6
    lost = {report.sop_instance_uid for report in reports if report.error is not None}
    assert failed(identifier) == lost and len(lost) == final[3]


# The requestor changes its mind


@pytest.mark.parametrize("parallel", [1, 3])
@pytest.mark.parametrize("how", ["cancel", "abort", "release"])
def test_the_requestor_ends_it_in_the_middle(how: str, parallel: int) -> None:
    entered, go_on = threading.Semaphore(0), threading.Event()

    def on_store(event: Any) -> int:
        entered.release()
        go_on.wait(20)
        return 0

    moving: list[Any] = []
    items = [ct(at) for at in range(30)]
    _, handler = mover(0, items)

    def on_move(event: Any) -> Iterator[Any]:
        moving.append(event)
        steps = handler(event)
        next(steps)
        yield "127.0.0.1", receiver.port, {"parallel_associations": parallel}
        yield from steps

    with provider((evt.EVT_C_STORE, on_store)) as receiver, provider((evt.EVT_C_MOVE, on_move)) as server:
        assoc = connect(server, MOVE)

        def end() -> None:
            for _ in range(parallel):
                assert entered.acquire(timeout=20)
            if how == "cancel":
                assoc.send_c_cancel(3, query_model=MOVE)
                wait_until(lambda: moving[0].is_cancelled, "the C-CANCEL to arrive")
                go_on.set()
            else:
                # A release before the final response, as some peers do it.
                (assoc.abort if how == "abort" else lambda: assoc._connection.release(5))()

        thread = threading.Thread(target=end)
        thread.start()
        *pending, (status, _) = assoc.send_c_move(query(PatientID="*"), "REQUESTOR", MOVE, msg_id=3)
        thread.join()
        if how == "cancel":
            final = counts(status)
            # What was under way, and nothing that only waited for its turn.
            assert final == (0xFE00, 30 - final[2], final[2], 0, 0) and parallel <= final[2] <= 2 * parallel + 1
            assert len(pending) == final[2]
            assoc.release()
        else:
            assert "Status" not in status
            wait_until(lambda: not server.active_associations, "the end of the C-MOVE handler")
            go_on.set()
        wait_until(lambda: not receiver.active_associations, "the end of the sub-associations")
        seen = parallel
        while entered.acquire(blocking=False):
            seen += 1
        assert how == "cancel" or seen == parallel, "objects were sent for nobody"


# Reading ahead


class Ahead:
    """Objects that know how many of them the handler has been asked for."""

    def __init__(self, number: int, ending: Any = None) -> None:
        self.items = [ct(at) for at in range(number)]
        self.ending = ending
        self.asked = 0
        self.event: Any = None

    def __call__(self, event: Any) -> Iterator[Any]:
        self.event, self.asked = event, 0
        if event.event is evt.EVT_C_MOVE:
            yield "127.0.0.1", self.port, {}
        yield len(self.items) + (self.ending is not None)
        for item in self.items:
            self.asked += 1
            if event.is_cancelled:
                yield 0xFE00, None
                return
            yield 0xFF00, item
        self.asked += 1
        if self.ending is not None:
            yield self.ending()

    port = 0

    def retrieve(self, kind: str, on_store: Callable[[Any], int], end: Callable[[Any], None] | None = None) -> Any:
        """All responses to a C-MOVE or C-GET that delivers them; `end` gets the association of it."""
        with provider((evt.EVT_C_STORE, on_store)) as receiver:
            self.port = receiver.port
            with provider((evt.EVT_C_MOVE, self), (evt.EVT_C_GET, self)) as server:
                with connect(server, MOVE) if kind == "move" else getter(server, on_store) as assoc:
                    thread = threading.Thread(target=end or (lambda _: None), args=(assoc,))
                    thread.start()
                    if kind == "move":
                        responses = list(assoc.send_c_move(query(PatientID="*"), "X", MOVE, msg_id=5))
                    else:
                        responses = list(assoc.send_c_get(query(PatientID="*"), GET, msg_id=5))
                    thread.join()
            wait_until(lambda: not receiver.active_associations)
            return responses


KINDS = pytest.mark.parametrize("kind", ["move", "get"])


@KINDS
def test_the_next_object_is_asked_for_while_one_is_on_its_way_and_no_further(kind: str) -> None:
    number = 6
    ahead = Ahead(number)

    def on_store(event: Any) -> int:
        wanted = min(number_of(event) + 2, number)
        wait_until(lambda: ahead.asked == wanted, "the handler to be asked for the next object")
        threading.Event().wait(0.02)  # for one that goes on asking
        assert ahead.asked == wanted
        return 0

    responses = ahead.retrieve(kind, on_store)
    assert [counts(status) for status, _ in responses] == [
        *((0xFF00, number - done, done, 0, 0) for done in range(1, number + 1)),
        (0x0000, None, number, 0, 0),
    ]


def raise_lookup() -> Any:
    raise LookupError("no more")


@KINDS
@pytest.mark.parametrize(
    ("ending", "final"),
    [
        (raise_lookup, None),
        (lambda: (0xA701, None), (0xA701, None, 3, 1, 0)),
        (lambda: (0xB000, None), (0xB000, None, 3, 1, 0)),
        (lambda: (0x0000, None), (0x0000, None, 3, 0, 0)),
        (lambda: (0xFE00, None), (0xFE00, 1, 3, 0, 0)),
    ],
)
def test_what_was_yielded_before_the_end_is_delivered_and_counted(kind: str, ending: Any, final: Any) -> None:
    """The handler comes to its end while the last object is still on its way."""
    ahead = Ahead(3, ending)

    def on_store(event: Any) -> int:
        if number_of(event) == 2:
            wait_until(lambda: ahead.asked == 4, "the handler to come to its end")
        return 0

    *pending, (status, _) = ahead.retrieve(kind, on_store)
    assert [counts(status) for status, _ in pending] == [(0xFF00, 4 - done, done, 0, 0) for done in (1, 2, 3)]
    assert counts(status) == (final or (0xC511 if kind == "move" else 0xC411, None, 3, 1, 0))


@KINDS
def test_a_handler_that_sees_the_cancel_ends_as_it_says(kind: str) -> None:
    entered = threading.Event()
    ahead = Ahead(8)

    def on_store(event: Any) -> int:
        if number_of(event) == 1:
            wait_until(lambda: ahead.asked == 3, "the handler to be asked for the next object")
            entered.set()
            wait_until(lambda: ahead.event.is_cancelled, "the C-CANCEL to arrive")
        return 0

    def cancel(assoc: Any) -> None:
        assert entered.wait(20)
        assoc.send_c_cancel(5, query_model=MOVE if kind == "move" else GET)

    *pending, (status, _) = ahead.retrieve(kind, on_store, cancel)
    assert [counts(status) for status, _ in pending] == [(0xFF00, 7, 1, 0, 0), (0xFF00, 6, 2, 0, 0)]
    assert counts(status) == (0xFE00, 6, 2, 0, 0)
    # Once more than what was on its way: its chance to say how it ends.
    assert ahead.asked == 4


def test_get_sends_as_many_at_once_as_the_requestor_performs() -> None:
    """In the requestor's thread they are performed one after the other; four are on their way."""
    number, window = 10, 4
    ahead, received = Ahead(number), []

    def on_store(event: Any) -> int:
        at = number_of(event)
        wanted = min(at + window + 1, number)
        wait_until(lambda: ahead.asked >= wanted, "the window to be filled")
        assert ahead.asked <= at + window + 1
        received.append(at)
        return 0

    with provider((evt.EVT_C_GET, ahead)) as server:
        server.ae.asynchronous_operations = (window, 1)
        with getter(server, on_store, (1, window)) as assoc:
            assert assoc.acceptor.asynchronous_operations == (1, window)
            responses = list(assoc.send_c_get(query(PatientID="*"), GET))
            assert received == list(range(number))
            # Whatever is sent next is not taken for anything of the C-GET's.
            assert counts(list(assoc.send_c_get(query(PatientID="*"), GET))[-1][0]) == (0x0000, None, number, 0, 0)
    assert [counts(status) for status, _ in responses] == [
        *((0xFF00, number - done, done, 0, 0) for done in range(1, number + 1)),
        (0x0000, None, number, 0, 0),
    ]
