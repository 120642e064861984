"""Several operations of one association at once, in either role (PS3.7 D.3.3.3)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import StoreResult, evt
from dimsefast.sop_class import CTImageStorage
from pydicom import Dataset
from scripted import C_FIND_RQ, Message, Peer, acceptor, requestor
from service_cases import CT, EXPLICIT, FIND, IMPLICIT, encoded, provider, query
from test_sending import asynchronous, ct, number_of, statuses


@pytest.mark.parametrize("granted", [(4, 4), (0, 0)])
def test_as_many_at_once_as_was_negotiated_answered_in_any_order(granted: tuple[int, int]) -> None:
    number = 12
    together = threading.Barrier(4, timeout=20)
    done = [threading.Event() for _ in range(number)]

    def on_store(event: Any) -> int:
        own = number_of(event)
        together.wait()
        # The last of four first.
        assert own % 4 == 3 or done[own + 1].wait(20)
        done[own].set()
        return 0xB000 + own

    with provider((evt.EVT_C_STORE, on_store)) as server:
        server.ae.asynchronous_operations = granted
        with asynchronous(server.port, (4, 4), CTImageStorage) as assoc:
            assert assoc.acceptor.asynchronous_operations == (4, 4)
            results = list(assoc.store(ct(at) for at in range(number)))
    assert statuses(results) == [0xB000 + at for at in range(number)]
    assert [result.sop_instance_uid for result in results] == [f"1.2.3.{at}" for at in range(number)]


@pytest.mark.parametrize(
    ("proposed", "granted", "most"),
    [((5, 5), (3, 3), 3), ((1, 1), None, 1), ((4, 4), None, 1), ((2, 2), (9, 9), 2), ((0, 0), (3, 1), 3)],
)
def test_the_window_of_the_peer_is_respected(
    proposed: tuple[int, int], granted: tuple[int, int] | None, most: int
) -> None:
    number = 10
    taken = 0

    def items() -> Iterator[Dataset]:
        nonlocal taken
        for at in range(number):
            taken += 1
            yield ct(at)

    def serve(peer: Peer) -> None:
        for first in range(0, number, most):
            requests = [peer.next_message() for _ in range(first, min(first + most, number))]
            ahead = min(first + most + 1, number)
            wait_until(lambda ahead=ahead: taken == ahead, "the sender to read ahead")
            assert peer.nothing_comes(), "more requests than the window has room for"
            for request in reversed(requests):
                peer.answer_store(request, 0xB000 + int(bytes(request.command[0x1000]).rpartition(b".")[2]))
        assert peer.read_message() is None

    with acceptor(serve, granted) as port, asynchronous(port, proposed, CTImageStorage) as assoc:
        results = list(assoc.store(items()))
    assert statuses(results) == [0xB000 + at for at in range(number)]


def test_results_that_wait_for_an_earlier_one_do_not_pile_up() -> None:
    """The first is answered last: as many as the window has room for wait behind it and no more."""
    window, number, taken = 3, 9, 0

    def items() -> Iterator[Dataset]:
        nonlocal taken
        for at in range(number):
            taken += 1
            assert taken - len(results) <= window + 1
            yield ct(at)

    def serve(peer: Peer) -> None:
        first = peer.next_message()
        for _ in range(window - 1):
            peer.answer_store(peer.next_message())
        wait_until(lambda: taken == window + 1, "the sender to read ahead")
        assert peer.nothing_comes()
        peer.answer_store(first)
        while (request := peer.read_message()) is not None:
            peer.answer_store(request)

    results: list[StoreResult] = []
    with acceptor(serve, (window, 1)) as port, asynchronous(port, (window, 1), CTImageStorage) as assoc:
        results.extend(assoc.store(items()))
    assert statuses(results) == [0] * number


CONTEXTS = {1: (CTImageStorage, EXPLICIT), 3: (FIND, IMPLICIT)}


def test_requests_that_come_at_once_are_answered_under_their_own_ids() -> None:
    done = {number: threading.Event() for number in (7, 8, 9, 10)}

    def on_store(event: Any) -> int:
        number = event.message_id
        assert number == 10 or done[number + 1].wait(20)
        done[number].set()
        return 0xB000 + number

    with provider((evt.EVT_C_STORE, on_store)) as server:
        server.ae.asynchronous_operations = (4, 4)
        with requestor(server.port, CONTEXTS, (4, 4)) as peer:
            for number in done:
                peer.send_store(1, number, CTImageStorage, f"1.2.{number}", encoded(CT))
            answers = [peer.next_message() for _ in done]
    assert sorted(answer.status for answer in answers) == [(number, 0xB000 + number) for number in done]
    for answer in answers:
        assert answer.command[0x1000] == f"1.2.{answer.status[0]}".encode()


def test_responses_of_operations_at_once_never_mix_on_the_wire() -> None:
    """Large responses of four queries in small PDUs: the scripted peer checks that each message comes whole."""
    together, number = threading.Barrier(4, timeout=20), 30

    def on_find(event: Any) -> Any:
        together.wait()
        match = query(PatientID=str(event.message_id), PatientComments=str(event.message_id) * 50_000)
        for _ in range(number):
            yield 0xFF00, match

    with provider((evt.EVT_C_FIND, on_find)) as server:
        server.ae.asynchronous_operations = (4, 4)
        with requestor(server.port, CONTEXTS, (4, 4), max_length=1024) as peer:
            identifier = b"\x10\x00\x20\x00\x02\x00\x00\x00* "
            for at in range(1, 5):
                peer.send_message(3, {0x0002: FIND, 0x0100: C_FIND_RQ, 0x0110: at, 0x0700: 0}, identifier)
            pending, final = dict.fromkeys(range(1, 5), 0), set()
            while len(final) < 4:
                answer = peer.next_message()
                at, status = int(answer.status[0]), answer.status[1]
                assert at not in final
                if status == 0:
                    final.add(at)
                    continue
                assert status == 0xFF00 and answer.dataset is not None
                assert answer.dataset.count(str(at).encode() * 50_000) == 1
                pending[at] += 1
    assert pending == dict.fromkeys(range(1, 5), number)


def test_more_requests_than_the_window_are_all_answered_a_few_at_a_time() -> None:
    number, running, most = 60, 0, 0
    lock = threading.Lock()

    def on_store(event: Any) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        event.dataset.PatientName  # noqa: B018 - some work
        with lock:
            running -= 1
        return 0xB000 + event.message_id

    with provider((evt.EVT_C_STORE, on_store)) as server:
        server.ae.asynchronous_operations = (3, 3)
        with requestor(server.port, CONTEXTS, (9, 9)) as peer:
            answers: list[Message] = []

            def read() -> None:
                answers.extend(peer.next_message() for _ in range(number))

            reader = threading.Thread(target=read)
            reader.start()
            for at in range(number):
                peer.send_store(1, at, CTImageStorage, f"1.2.{at}", encoded(CT))
            reader.join(30)
            assert not reader.is_alive()
    assert sorted(answer.status for answer in answers) == [(at, 0xB000 + at) for at in range(number)]
    assert most <= 3
