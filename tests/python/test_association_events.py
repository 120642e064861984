"""Notification events of associations: each once on each side, bound and unbound while they run."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import evt
from dimsefast.sop_class import Verification
from faces import AE, face  # noqa: F401
from service_cases import connect, provider


def test_each_event_once_on_each_side() -> None:
    names = (
        "EVT_CONN_OPEN",
        "EVT_REQUESTED",
        "EVT_ACCEPTED",
        "EVT_ESTABLISHED",
        "EVT_RELEASED",
        "EVT_CONN_CLOSE",
        "EVT_ABORTED",
        "EVT_REJECTED",
    )
    told: dict[str, list[str]] = {"requestor": [], "acceptor": []}

    def tell(event: Any, side: str) -> None:
        told[side].append(event.event.name)

    def handlers(side: str) -> list[Any]:
        return [(getattr(evt, name), tell, [side]) for name in names]

    with provider(*handlers("acceptor")) as server:
        connect(server, Verification, evt_handlers=handlers("requestor")).release()
        wait_until(lambda: not server.active_associations)
        expected = [
            "EVT_CONN_OPEN",
            "EVT_REQUESTED",
            "EVT_ACCEPTED",
            "EVT_ESTABLISHED",
            "EVT_RELEASED",
            "EVT_CONN_CLOSE",
        ]
        assert told["acceptor"] == expected
        wait_until(lambda: told["requestor"][-1:] == ["EVT_CONN_CLOSE"])
        assert told["requestor"] == expected
        for side in told.values():
            side.clear()
        connect(server, Verification, evt_handlers=handlers("requestor")).abort()
        wait_until(lambda: not server.active_associations)
        assert told["acceptor"][-2:] == ["EVT_ABORTED", "EVT_CONN_CLOSE"]
        wait_until(lambda: told["requestor"][-2:] == ["EVT_ABORTED", "EVT_CONN_CLOSE"])


def test_a_handler_that_raises_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "dimsefast"), provider((evt.EVT_ESTABLISHED, lambda event: 1 / 0)) as server:
        with connect(server, Verification) as assoc:
            assert assoc.send_c_echo().Status == 0
    assert "EVT_ESTABLISHED" in caplog.text


def test_binding_on_a_running_server() -> None:
    def first(event: Any) -> int:
        return 0x0111

    def second(event: Any) -> int:
        return 0x0112

    with provider() as server, connect(server, Verification) as assoc:
        server.bind(evt.EVT_C_ECHO, first)
        server.bind(evt.EVT_C_ECHO, second)
        assert server.get_handlers(evt.EVT_C_ECHO) == (second, None)
        assert assoc.send_c_echo().Status == 0x0112
        server.unbind(evt.EVT_C_ECHO, first)
        assert assoc.send_c_echo().Status == 0x0112
        server.unbind(evt.EVT_C_ECHO, second)
        assert assoc.send_c_echo().Status == 0x0000
        assert server.get_handlers(evt.EVT_RELEASED) == []
        server.bind(evt.EVT_RELEASED, first)
        server.bind(evt.EVT_RELEASED, first)
        assert server.get_handlers(evt.EVT_RELEASED) == [(first, None)]
        assert evt.EVT_RELEASED in server.get_events()
