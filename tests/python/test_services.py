"""Requests between two dimsefast AEs over real sockets: C-ECHO, Message IDs, and requests that do not fit."""

from __future__ import annotations

import threading
from typing import Any

import dimsefast
import pytest
from dimsefast import evt
from dimsefast.sop_class import PatientRootQueryRetrieveInformationModelFind as FIND
from dimsefast.sop_class import PatientRootQueryRetrieveInformationModelMove as MOVE
from dimsefast.sop_class import RTPlanStorage, Verification
from faces import AE, face  # noqa: F401
from service_cases import connect, provider, query

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
