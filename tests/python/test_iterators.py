"""What the responses of a query may be relied upon for, before and after they are iterated over."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import Association, build_context, evt
from dimsefast.server import AssociationServer
from dimsefast.sop_class import (
    GeneralRelevantPatientInformationQuery,
    PatientRootQueryRetrieveInformationModelFind,
    RepositoryQuery,
)
from faces import AE, face  # noqa: F401 - the fixture
from pydicom.dataset import Dataset

FIND = PatientRootQueryRetrieveInformationModelFind
MODELS = (FIND, RepositoryQuery, GeneralRelevantPatientInformationQuery)


class Answers:
    """A handler of EVT_C_FIND that yields what it was given."""

    def __init__(self) -> None:
        self.called = threading.Event()
        self.items: list[Any] | None = []

    def __call__(self, event: evt.Event) -> Any:
        self.called.set()
        return None if self.items is None else iter(self.items)


@pytest.fixture
def joined() -> Iterator[tuple[Association, AssociationServer, Answers]]:
    answers = Answers()
    ae = AE("ANSWERS")
    ae.supported_contexts = [build_context(model) for model in MODELS]
    with ae:
        server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, answers)])
        assert server is not None
        assoc = AE().connect("127.0.0.1", server.port, contexts=[build_context(model) for model in MODELS])
        yield assoc, server, answers
        assoc.release()


def match(patient: str) -> Dataset:
    found = Dataset()
    found.PatientID = patient
    return found


def statuses(responses: Iterator[Any]) -> list[int]:
    return [status.Status for status, _ in responses]


@pytest.mark.blocking
def test_a_request_leaves_when_it_is_called(joined: tuple[Association, AssociationServer, Answers]) -> None:
    assoc, _, answers = joined
    responses = assoc.send_c_find(match(""), FIND)
    assert answers.called.wait(30)
    assert statuses(responses) == [0x0000]


@pytest.mark.blocking
def test_a_request_that_nobody_asks_the_responses_of_is_cancelled(
    joined: tuple[Association, AssociationServer, Answers],
) -> None:
    assoc, _, answers = joined
    answers.items = [(0xFF00, match("1")), (0xFF00, match("2"))]
    assoc.send_c_find(match(""), FIND)
    answers.items = [(0xFF00, match("3"))]
    assert [found.PatientID for _, found in assoc.send_c_find(match(""), FIND) if found is not None] == ["3"]


@pytest.mark.blocking
def test_what_cannot_be_sent_is_told_at_the_call(joined: tuple[Association, AssociationServer, Answers]) -> None:
    assoc, _, _ = joined
    with pytest.raises(ValueError, match="no accepted presentation context"):
        assoc.send_c_find(match(""), "1.2.3")
    assoc.release()
    with pytest.raises(RuntimeError):
        assoc.send_c_find(match(""), FIND)


def test_the_peer_may_release_once_the_final_response_is_there(
    joined: tuple[Association, AssociationServer, Answers],
) -> None:
    assoc, server, answers = joined
    answers.items = [(0xFF00, match("1"))]
    responses = assoc.send_c_find(match(""), FIND)
    assert [next(responses)[0].Status, next(responses)[0].Status] == [0xFF00, 0x0000]
    (theirs,) = server.active_associations
    theirs.release()
    assert theirs.is_released
    wait_until(lambda: assoc.is_released, "the release")
    assert list(responses) == []


def test_a_handler_with_nothing_to_yield_may_return_none(
    joined: tuple[Association, AssociationServer, Answers],
) -> None:
    assoc, _, answers = joined
    answers.items = None
    assert statuses(assoc.send_c_find(match(""), FIND)) == [0x0000]


def test_repository_queries_go_on_after_their_limit(joined: tuple[Association, AssociationServer, Answers]) -> None:
    assoc, _, answers = joined
    answers.items = [(0xFF00, match("1")), (0xB001, None), (0x0000, None)]
    assert statuses(assoc.send_c_find(match(""), RepositoryQuery)) == [0xFF00, 0xB001, 0x0000]
    # In any other model it is a status like others.
    assert statuses(assoc.send_c_find(match(""), FIND)) == [0xFF00, 0xB001]


def test_a_relevant_patient_query_has_one_match_at_most(
    joined: tuple[Association, AssociationServer, Answers],
) -> None:
    assoc, _, answers = joined
    answers.items = [(0xFF00, match("1")), (0xFF00, match("2"))]
    assert statuses(assoc.send_c_find(match(""), GeneralRelevantPatientInformationQuery)) == [0xFF00, 0x0000]


def test_a_shorter_network_timeout_counts_on_an_idle_association(
    joined: tuple[Association, AssociationServer, Answers],
) -> None:
    assoc, _, _ = joined
    assert assoc.network_timeout == 60
    assoc.network_timeout = 0.1
    wait_until(lambda: assoc.is_aborted, "the network time-out")
