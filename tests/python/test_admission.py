"""Who is admitted under which title, what each peer is offered, and what a server counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import AE, DISCARD, AssociationAborted, AssociationRejected, build_context, build_role, evt
from dimsefast.sop_class import CTImageStorage, MRImageStorage, Verification
from prometheus_client.parser import text_string_to_metric_families
from service_cases import CT, FIND, GET, MOVE, query

ECHO = build_context(Verification)


def offered(*uids: str, roles: tuple[bool | None, bool | None] = (None, None)) -> list[Any]:
    contexts = [build_context(uid) for uid in uids]
    for context in contexts:
        context.scu_role, context.scp_role = roles
    return contexts


def started(**options: Any) -> Any:
    return AE("PROVIDER").start_server(("127.0.0.1", 0), block=False, **options)


def called(server: Any, title: str, calling: str = "REQUESTOR", *contexts: Any, **options: Any) -> Any:
    return AE(calling).connect("127.0.0.1", server.port, contexts=list(contexts or [ECHO]), ae_title=title, **options)


# Titles


def test_a_server_with_several_titles_answers_to_each_and_to_no_other() -> None:
    with started(ae_title=["ONE", "TWO"], contexts=offered(Verification)) as server:
        server.ae.require_called_aet = True
        for title in ("ONE", "TWO"):
            with called(server, title) as assoc:
                assert assoc.send_c_echo().Status == 0
                (acceptor,) = server.active_associations
                assert acceptor.acceptor.ae_title == title
            wait_until(lambda: not server.active_associations)
        with pytest.raises(AssociationRejected) as caught:
            called(server, "PROVIDER")
        assert (caught.value.result, caught.value.source, caught.value.reason) == (1, 1, 7)
        server.ae.require_called_aet = False
        with called(server, "OTHER") as assoc:
            (acceptor,) = server.active_associations
            assert acceptor.acceptor.ae_title == server.ae_title == "ONE"


def test_titles_and_offers_that_are_none() -> None:
    for options in (
        {"ae_title": []},
        {"ae_title": ["GOOD", "MUCH TOO LONG A TITLE"]},
        {"contexts": [], "contexts_by_calling_aet": {"FRIEND": []}},
        {"contexts_by_calling_aet": {"": offered(FIND)}},
        {"contexts_by_calling_aet": {"FRIEND": offered(FIND, roles=(False, False))}},
    ):
        with pytest.raises(ValueError):
            started(**{"contexts": offered(Verification), **options})


# Presentation contexts by calling AE title


def test_each_peer_is_offered_its_own_contexts_and_others_the_usual_ones() -> None:
    offers = {"FINDER": offered(Verification, FIND), "NOBODY": []}
    with started(contexts=offered(Verification), contexts_by_calling_aet=offers) as server:
        contexts = (ECHO, build_context(FIND))
        for title, results in (("FINDER", [0, 0]), ("STRANGER", [0, 3])):
            with called(server, "ANY", title, *contexts) as assoc:
                assert [context.result for context in assoc.acceptor.get_contexts("pcdrl")] == results
                (acceptor,) = server.active_associations
                assert len(acceptor.acceptor.supported_contexts) == results.count(0)
            wait_until(lambda: not server.active_associations)
        with pytest.raises(AssociationRejected) as caught:
            called(server, "ANY", "NOBODY")
        assert (caught.value.result, caught.value.source, caught.value.reason) == (1, 1, 3)


def test_an_offer_can_change_while_the_server_runs() -> None:
    with started(contexts=offered(Verification)) as server:
        with called(server, "ANY") as before:
            server.offer([], {"FRIEND": offered(Verification)})
            with pytest.raises(AssociationRejected):
                called(server, "ANY")
            with called(server, "ANY", "FRIEND") as assoc:
                assert assoc.send_c_echo().Status == before.send_c_echo().Status == 0


def test_who_may_only_receive_cannot_store() -> None:
    """Neither by leaving role selection out, nor by sending in the other role."""
    receiving = offered(CTImageStorage, roles=(False, True))
    with started(contexts=receiving, contexts_by_calling_aet={}, store_to=DISCARD) as server:
        proposed = build_context(CTImageStorage)
        with pytest.raises(AssociationAborted, match="none of the proposed"):
            called(server, "ANY", "REQUESTOR", proposed)
        with called(server, "ANY", "REQUESTOR", proposed, ext_neg=[build_role(CTImageStorage, scp_role=True)]) as assoc:
            core = assoc._live()
            context = assoc.accepted_contexts[0].context_id
            store = core.prepare_store(
                context, core.begin(), CTImageStorage, "1.2.3", 0, None, b"\x08\0\x18\0\0\0\0\0", None, 0, None
            )
            core.send_prepared(store, 10, None)
            assert core.receive(store.message_id, 10).status == 0x0124
        wait_until(lambda: server.statistics()["operations"].get("C-STORE", {}).get("statuses") == {0x0124: 1})


def test_who_may_find_cannot_move_in_the_same_context() -> None:
    asked: list[Any] = []
    handlers = [(evt.EVT_C_MOVE, lambda event: asked.append(event) or iter(()))]
    with started(contexts=offered(FIND, MOVE), evt_handlers=handlers) as server:
        with called(server, "ANY", "REQUESTOR", build_context(FIND)) as assoc:
            core = assoc._live()
            number, context = core.begin(), assoc.accepted_contexts[0].context_id
            elements = [(0x0002, str(MOVE)), (0x0600, "REQUESTOR"), (0x0700, 0)]
            core.send_request(context, 0x0021, number, elements, b"\x08\0\x52\0\0\0\0\0", 10)
            with pytest.raises(ConnectionAbortedError):
                core.receive(number, 10)
        wait_until(lambda: server.statistics()["operations"].get("C-MOVE", {}).get("unanswered") == 1)
    assert not asked


# Statistics


def test_a_server_counts_associations_and_operations(tmp_path: Path) -> None:
    def on_find(event: Any) -> Iterator[Any]:
        for _ in range(3):
            yield 0xFF00, query(PatientID="1")
        yield 0xA700, None

    def on_get(event: Any) -> Iterator[Any]:
        yield 2
        yield 0xFF00, CT
        yield 0xFF00, CT

    def on_move(event: Any) -> Iterator[Any]:
        yield "127.0.0.1", server.port
        yield 1
        yield 0xFF00, CT

    handlers = [(evt.EVT_C_FIND, on_find), (evt.EVT_C_GET, on_get), (evt.EVT_C_MOVE, on_move)]
    contexts = offered(Verification, FIND, GET, MOVE) + offered(CTImageStorage, MRImageStorage, roles=(True, True))
    with started(contexts=contexts, evt_handlers=handlers, store_to=tmp_path) as server:
        assert server.statistics() == {
            "connections": 0,
            "associations": dict.fromkeys(("open", "accepted", "rejected", "released", "aborted"), 0),
            "operations": {},
        }
        wanted = [ECHO, *map(build_context, (FIND, GET, MOVE, CTImageStorage))]
        with called(server, "ANY", "REQUESTOR", *wanted) as assoc:
            assert server.statistics()["associations"]["open"] == 1
            assert assoc.send_c_echo().Status == 0
            assert assoc.send_c_store(CT).Status == 0
            assert len(list(assoc.send_c_find(query(PatientID=""), FIND))) == 4
            assert list(assoc.send_c_move(query(PatientID=""), "OTHER", MOVE))[-1][0].Status == 0
        roles = [build_role(CTImageStorage, scp_role=True)]
        with called(server, "ANY", "REQUESTOR", *wanted, ext_neg=roles, store_to=DISCARD) as assoc:
            assert list(assoc.send_c_get(query(PatientID=""), GET))[-1][0].Status == 0
            assoc.abort()
        server.ae.require_called_aet = True
        with pytest.raises(AssociationRejected):
            called(server, "WRONG")

        def ended() -> dict[str, int]:
            return {key: count for key, count in server.statistics()["associations"].items() if key != "open"}

        # One more was that of the move with this very server.
        wait_until(lambda: ended() == {"accepted": 3, "rejected": 1, "released": 2, "aborted": 1}, "the counts")
        wait_until(lambda: server.statistics()["associations"]["open"] == 0)
        found = server.statistics()
        assert found["connections"] == 4
        operations = found["operations"]
        assert {name: operation["statuses"] for name, operation in operations.items()} == {
            "C-ECHO": {0: 1},
            "C-STORE": {0: 2},
            "C-FIND": {0xA700: 1},
            "C-GET": {0: 1},
            "C-MOVE": {0: 1},
        }
        assert {name: operation["count"] for name, operation in operations.items()}["C-STORE"] == 2
        assert operations["C-FIND"]["pending"] == 3 and operations["C-FIND"]["bytes"] > 4 * 8
        assert (operations["C-GET"]["sub_operations"], operations["C-MOVE"]["sub_operations"]) == (2, 1)
        stored = operations["C-STORE"]["bytes"]
        # One in each of two syntaxes; an identifier and one of them; an identifier and two of the smaller.
        assert stored > 70_000 and operations["C-MOVE"]["bytes"] > stored / 2 and operations["C-GET"]["bytes"] >= stored
        assert all(operation["seconds"] > 0 and operation["unanswered"] == 0 for operation in operations.values())


def test_what_is_never_answered_is_counted_as_such() -> None:
    def on_echo(event: Any) -> int:
        event.assoc.abort()
        return 0

    with started(contexts=offered(Verification), evt_handlers=[(evt.EVT_C_ECHO, on_echo)]) as server:
        with called(server, "ANY") as assoc:
            assert "Status" not in assoc.send_c_echo()
        wait_until(lambda: server.statistics()["operations"].get("C-ECHO", {}).get("count") == 1)
        assert server.statistics()["operations"]["C-ECHO"]["unanswered"] == 1
        assert 'dimsefast_requests_total{operation="C-ECHO",status="none"} 1' in server.metrics()


def test_the_metrics_are_what_prometheus_reads() -> None:
    with started(contexts=offered(Verification)) as server:
        with called(server, "ANY") as assoc:
            for _ in range(5):
                assoc.send_c_echo()
        wait_until(lambda: server.statistics()["associations"]["released"] == 1)
        samples = {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(server.metrics({"ae": 'A"B\\C'}))
            for sample in family.samples
        }
        own = ("ae", 'A"B\\C')
        assert samples["dimsefast_requests_total", own, ("operation", "C-ECHO"), ("status", "0000")] == 5
        assert samples["dimsefast_associations_accepted_total", own] == 1
        assert samples["dimsefast_associations_open", own] == 0
