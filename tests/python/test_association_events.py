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


@pytest.mark.parametrize(
    ("bound", "words"),
    [
        ((evt.EVT_C_ECHO,), r"evt_handlers has \(event, handler\)"),
        (evt.EVT_C_ECHO, r"evt_handlers has \(event, handler\)"),
        (("EVT_C_ECHO", print), "events such as evt.EVT_C_STORE"),
        ((evt.EVT_C_ECHO, "on_echo"), "the handler of EVT_C_ECHO is a function"),
        ((evt.EVT_RELEASED, None), "the handler of EVT_RELEASED is a function"),
    ],
)
def test_what_is_no_handler_is_said_at_once(bound: Any, words: str) -> None:
    ae = AE("ACCEPTOR")
    ae.add_supported_context(Verification)
    with pytest.raises(TypeError, match=words):
        ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[bound])
    ae.add_requested_context(Verification)
    with pytest.raises(TypeError, match=words):
        ae.associate("127.0.0.1", 1, evt_handlers=[bound])


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
