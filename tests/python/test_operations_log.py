"""The line in the log for each query and retrieval."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import evt
from service_cases import CT, FIND, MOVE, connect, provider, query

NAME = "dimsefast.operations"


def test_queries_and_moves_are_logged_without_patient_data(caplog: pytest.LogCaptureFixture) -> None:
    def on_find(event: Any) -> Iterator[Any]:
        for _ in range(2):
            yield 0xFF00, query(PatientName="SECRET")

    def on_move(event: Any) -> Iterator[Any]:
        yield "127.0.0.1", server.port
        yield 1
        yield 0xFF00, CT

    handlers = [(evt.EVT_C_FIND, on_find), (evt.EVT_C_MOVE, on_move), (evt.EVT_C_STORE, lambda event: 0xA700)]
    with provider(*handlers) as server, caplog.at_level(logging.INFO, NAME), connect(server, FIND, MOVE) as assoc:
        list(assoc.send_c_find(query(PatientName="SECRET"), FIND))
        list(assoc.send_c_move(query(PatientName="SECRET"), "PROVIDER", MOVE))

        def records() -> list[logging.LogRecord]:
            return [record for record in caplog.records if record.name == NAME]

        wait_until(lambda: len(records()) == 2, "two lines")
        find, move = records()
    assert "SECRET" not in caplog.text and "SECRET" not in str(find.operation.fields)  # type: ignore[attr-defined]
    peer = f"127.0.0.1:{assoc.requestor.port}"
    assert find.getMessage().startswith(f"C-FIND from REQUESTOR@{peer} at PROVIDER: 2 matches, 0000H in ")
    expected = {"operation": "C-MOVE", "peer": peer, "calling": "REQUESTOR", "called": "PROVIDER", "status": "A702"}
    fields = move.operation.fields  # type: ignore[attr-defined]
    assert fields.items() >= {**expected, "destination": "PROVIDER", "completed": 0, "failed": 1, "warning": 0}.items()
    assert find.operation.request.dataset_bytes()  # type: ignore[attr-defined]
