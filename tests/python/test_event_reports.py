"""N-EVENT-REPORT of an acceptor: over the requestor's own association, whatever that is doing, and over a new one."""

from __future__ import annotations

import struct
import threading
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import build_context, build_role, evt
from dimsefast.sop_class import StorageCommitmentPushModel
from faces import AE, face  # noqa: F401 - the fixture
from normalized_cases import INSTANCE, PRINT, connect, patient, send, serve
from scripted import acceptor, encode_command


def test_an_acceptor_reports_over_the_same_association_while_the_requestor_is_idle() -> None:
    reports: list[Any] = []

    def on_report(event: Any) -> Any:
        reports.append((event.event_type, event.event_information.PatientName, event.assoc.is_requestor))
        return 0x0000, patient("Taken^Note")

    with serve(uids=[StorageCommitmentPushModel]) as server:
        with connect(server, StorageCommitmentPushModel, evt_handlers=[(evt.EVT_N_EVENT_REPORT, on_report)]):
            (theirs,) = server.active_associations
            for _ in range(3):
                status, reply = send(theirs, "N-EVENT-REPORT", StorageCommitmentPushModel)
                assert (status.Status, reply.PatientName) == (0, "Taken^Note")
    assert reports == [(2, "Sent^By", True)] * 3


@pytest.mark.blocking
def test_an_acceptor_reports_while_the_requestor_waits_for_its_answer() -> None:
    """Neither end is done before the other one is."""
    reported = threading.Event()
    statuses: list[int] = []

    def on_action(event: Any) -> Any:
        thread = threading.Thread(target=report, args=(event.assoc,))
        thread.start()
        assert reported.wait(30)
        thread.join(30)
        return 0x0000, None

    def report(assoc: Any) -> None:
        statuses.append(send(assoc, "N-EVENT-REPORT", StorageCommitmentPushModel)[0].Status)

    def on_report(event: Any) -> Any:
        reported.set()
        return 0x0000, None

    uid = StorageCommitmentPushModel
    with serve((evt.EVT_N_ACTION, on_action), uids=[uid]) as server:
        with connect(server, uid, evt_handlers=[(evt.EVT_N_EVENT_REPORT, on_report)]) as assoc:
            assert send(assoc, "N-ACTION", uid)[0].Status == 0
    assert statuses == [0]


def test_both_sides_send_as_fast_as_they_can() -> None:
    """Reports come between the requestor's calls, while it waits, and together with its answers; none gets lost."""
    number, reports = 300, 300
    uid = PRINT
    handlers = [(evt.EVT_N_EVENT_REPORT, lambda event: (0, None))]
    statuses: list[int] = []

    def report(assoc: Any) -> None:
        for _ in range(reports):
            statuses.append(send(assoc, "N-EVENT-REPORT", uid)[0].get("Status"))

    with serve((evt.EVT_N_GET, lambda event: (0, None)), uids=[uid]) as server:
        with connect(server, uid, evt_handlers=handlers) as assoc:
            thread = threading.Thread(target=report, args=(server.active_associations[0],))
            thread.start()
            answers = [send(assoc, "N-GET", uid)[0].get("Status") for _ in range(number)]
            thread.join(60)
    assert (answers, statuses) == ([0] * number, [0] * reports)


def test_a_report_that_comes_together_with_an_answer() -> None:
    """Both are in one segment: the thread that reads the answer goes away with it, and the report is not left over."""
    answers: list[Any] = []

    def message(elements: dict[int, Any]) -> bytes:
        command = encode_command({0x0800: 0x0101, **elements})
        return struct.pack(">BBIIBB", 4, 0, len(command) + 6, len(command) + 2, 1, 3) + command

    def answer(peer: Any) -> None:
        request = peer.next_message()
        response = message({0x0100: 0x8110, 0x0120: request.id, 0x0900: 0})
        report = message({0x0100: 0x0100, 0x0110: 5, 0x0002: PRINT, 0x1000: INSTANCE, 0x1002: 1})
        peer.stream.sendall(response + report)
        answers.append(peer.next_message().status)
        assert peer.read_message() is None

    handlers = [(evt.EVT_N_EVENT_REPORT, lambda event: (0x0107, None))]
    with acceptor(answer) as port:
        contexts = [build_context(PRINT)]
        with AE().connect("127.0.0.1", port, contexts=contexts, evt_handlers=handlers) as assoc:
            assert send(assoc, "N-GET")[0].Status == 0
            wait_until(lambda: answers)
    assert answers == [(5, 0x0107)]


@pytest.mark.blocking
def test_an_acceptors_handler_reports_over_the_association_whose_request_it_handles() -> None:
    """As a print server does; the requestor's handler cannot ask back, as it would wait for itself."""
    uid, problems = StorageCommitmentPushModel, []
    statuses: list[int] = []

    def on_action(event: Any) -> Any:
        statuses.extend(send(event.assoc, "N-EVENT-REPORT", uid)[0].Status for _ in range(3))
        return 0x0000, None

    def on_report(event: Any) -> Any:
        try:
            send(event.assoc, "N-ACTION", uid)
        except RuntimeError as error:
            problems.append(str(error))
        return 0x0107, None

    with serve((evt.EVT_N_ACTION, on_action), uids=[uid]) as server:
        with connect(server, uid, evt_handlers=[(evt.EVT_N_EVENT_REPORT, on_report)]) as assoc:
            assert send(assoc, "N-ACTION", uid)[0].Status == 0
    assert statuses == [0x0107] * 3
    assert len(problems) == 3 and "open another one" in problems[0]


@pytest.mark.blocking
def test_a_handler_reports_over_a_new_association() -> None:
    uid = StorageCommitmentPushModel
    reports: list[Any] = []

    def on_report(event: Any) -> Any:
        reports.append(event.event_information.PatientName)
        return 0, None

    with serve((evt.EVT_N_EVENT_REPORT, on_report), uids=[uid], roles=(False, True)) as own:

        def on_action(event: Any) -> Any:
            with connect(own, uid, ext_neg=[build_role(uid, scp_role=True)]) as back:
                (context,) = back.accepted_contexts
                assert (context.as_scu, context.as_scp) == (False, True)
                assert send(back, "N-EVENT-REPORT", uid)[0].Status == 0
                with pytest.raises(ValueError, match="SCU"):
                    send(back, "N-ACTION", uid)
            return 0, None

        with serve((evt.EVT_N_ACTION, on_action), uids=[uid]) as server, connect(server, uid) as assoc:
            assert send(assoc, "N-ACTION", uid)[0].Status == 0
    assert reports == ["Sent^By"]


def test_afterwards_is_after_the_response() -> None:
    order: list[str] = []

    def handler(event: Any) -> Any:
        event.afterwards(lambda: order.append("after"))
        event.afterwards(lambda: 1 / 0)
        event.afterwards(lambda: order.append("later"))
        order.append("handler")
        return 0, None

    with serve((evt.EVT_N_GET, handler)) as server, connect(server) as assoc:
        send(assoc, "N-GET")
        wait_until(lambda: order == ["handler", "after", "later"])
        send(assoc, "N-GET")
    wait_until(lambda: order == ["handler", "after", "later"] * 2)
