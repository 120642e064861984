"""C-FIND between two dimsefast AEs over real sockets: responses, cancelling, and what handlers yield."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import dataset, evt
from dimsefast.sop_class import PatientRootQueryRetrieveInformationModelFind as FIND
from faces import AE, face  # noqa: F401
from pydicom import Dataset
from service_cases import IMPLICIT, connect, provider, query


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
