"""Our own requestor against an acceptor that follows a script, on the wire and for its user."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import AE, Association, build_role, evt
from pydicom import Dataset

from .cases import Case, load
from .pdus import NAMES
from .script import Unexpected, Wire, matches

LIMIT = 30.0


def serve(listener: socket.socket, case: Case, outcomes: list[str]) -> None:
    """Takes one association and does the steps of the case."""
    stream, _ = listener.accept()
    with stream:
        wire = Wire(stream, "ACCEPTOR", "REQUESTOR", LIMIT)
        try:
            wire.expect("rq")
            for step in case.steps:
                wire.run(step)
            outcomes.append(wire.outcome(case.outcomes))
        except Unexpected as error:
            outcomes.append(str(error))


def end(association: Association) -> str:
    wait_until(lambda: not association.is_alive(), "the end of the association")
    return "rejected" if association.is_rejected else "released" if association.is_released else "aborted"


def associate(association: Association) -> str:
    return end(association)


def echo(association: Association) -> str:
    status = association.send_c_echo()
    code = status.get("Status")
    association.release()
    return "no status" if code is None else f"status {code:04x}"


def find(association: Association) -> str:
    identifier = Dataset()
    identifier.QueryRetrieveLevel, identifier.PatientID = "STUDY", ""
    codes = [status.get("Status") for status, _ in association.send_c_find(identifier, NAMES["find"])]
    association.release()
    if codes == [None]:
        return "no status"
    return "status " + " ".join("none" if code is None else f"{code:04x}" for code in codes)


def _study() -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel, identifier.StudyInstanceUID = "STUDY", "1.2.3"
    return identifier


def _retrieved(association: Association, responses: Iterator[tuple[Dataset, Any]], left: bool) -> str:
    codes = []
    for status, _ in responses:
        codes.append(status.get("Status"))
        if left:
            break
    responses.close()  # type: ignore[attr-defined]
    association.release()
    return "status " + " ".join("none" if code is None else f"{code:04x}" for code in codes)


def get(association: Association, left: bool = False) -> str:
    stored: list[Any] = []
    association.bind(evt.EVT_C_STORE, lambda event: stored.append(event.request.AffectedSOPInstanceUID) or 0x0000)
    statuses = _retrieved(association, association.send_c_get(_study(), NAMES["get"]), left)
    return f"{statuses}, {len(stored)} objects"


def get_left(association: Association) -> str:
    return get(association, left=True)


def move(association: Association, left: bool = False) -> str:
    return _retrieved(association, association.send_c_move(_study(), "DESTINATION", NAMES["move"]), left)


def move_left(association: Association) -> str:
    return move(association, left=True)


def release(association: Association) -> str:
    association.release()
    return end(association)


def abort(association: Association) -> str:
    association.abort()
    return end(association)


ACTIONS: dict[str, Callable[[Association], str]] = {
    action.__name__: action for action in (associate, echo, find, get, get_left, move, move_left, release, abort)
}


@pytest.mark.parametrize("case", [*load("requestor"), *load("requestor_retrieval")], ids=lambda case: case.id)
def test_requestor(case: Case) -> None:
    outcomes: list[str] = []
    ae = AE("REQUESTOR")
    ae.dimse_timeout = ae.acse_timeout = LIMIT
    for name in ("verification", "ct", "find", "move", "get"):
        ae.add_requested_context(NAMES[name], NAMES["implicit"])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener, case, outcomes))
        thread.start()
        roles = [build_role(NAMES["ct"], scp_role=True)] if case.action.startswith("get") else []
        association = ae.associate("127.0.0.1", listener.getsockname()[1], ext_neg=roles)
        local = ACTIONS[case.action](association)
        thread.join(2 * LIMIT)
        association.abort()
    assert matches(outcomes[0], case.outcomes), f"{case.clause}: {outcomes[0]}, not one of {case.outcomes}"
    assert local in case.local, f"{case.clause}: {local}, not one of {case.local}"
