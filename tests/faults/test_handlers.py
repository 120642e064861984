"""Handlers that raise, return nonsense, call back, or leave: the peer gets an answer or an end, the server goes on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import evt

from .services import OPERATIONS, connect, provider

EVENTS = {
    "echo": evt.EVT_C_ECHO,
    "store": evt.EVT_C_STORE,
    "find": evt.EVT_C_FIND,
    "move": evt.EVT_C_MOVE,
    "get": evt.EVT_C_GET,
    "action": evt.EVT_N_ACTION,
    "create": evt.EVT_N_CREATE,
    "event report": evt.EVT_N_EVENT_REPORT,
}


def raises(error: BaseException) -> Callable[[Any], Any]:
    def handler(_: Any) -> Any:
        raise error

    return handler


def calls_back(event: Any) -> Any:
    event.assoc.send_c_echo()


def releases(event: Any) -> Any:
    event.assoc.release()


def aborts(event: Any) -> Any:
    event.assoc.abort()
    return 0x0000


def leaves(_: Any) -> Any:
    sys.exit(3)


HANDLERS: dict[str, Callable[[Any], Any]] = {
    "Exception": raises(ValueError("of no use")),
    "KeyboardInterrupt": raises(KeyboardInterrupt()),
    "GeneratorExit": raises(GeneratorExit()),
    "sys.exit": leaves,
    "None": lambda _: None,
    "a str": lambda _: "0000",
    "a negative int": lambda _: -1,
    "a large int": lambda _: 1 << 40,
    "an object": lambda _: object(),
    "an endless list of nonsense": lambda _: iter(int, 1),
    "a list of nonsense": lambda _: ["a", 3, None],
    "calls back": calls_back,
    "releases": releases,
    "aborts": aborts,
}


# What is no Exception is Python's to show, as in any other thread; the association is aborted.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("operation", EVENTS)
def test_whatever_a_handler_does_the_server_goes_on(operation: str, handler: str) -> None:
    destination: list[int] = []
    with provider(destination) as server:
        destination.append(server.port)
        server.bind(EVENTS[operation], HANDLERS[handler])
        association = connect(server.port)
        association.dimse_timeout = association.network_timeout = 30
        statuses = OPERATIONS[operation](association)
        assert statuses and (statuses[-1] is None or statuses[-1] not in (0xFF00, 0xFF01)), statuses
        association.release()
        wait_until(lambda: not server.active_associations, "the end of the association")
        other = "store" if operation == "echo" else "echo"
        association = connect(server.port)
        assert OPERATIONS[other](association) == [0x0000]
        association.release()
