"""Connections that are slow, stall, or break, at every step of every service, in both directions."""

from __future__ import annotations

import pytest
from conftest import wait_until

from .proxy import DESTRUCTIVE, HARMLESS, Fault, proxied
from .services import OPERATIONS, connect, provider

#: The PDUs of an association, each in the direction in which it goes.
STEPS = {
    "A-ASSOCIATE-RQ": ("forth", 1),
    "A-ASSOCIATE-AC": ("back", 2),
    "P-DATA-TF forth": ("forth", 4),
    "P-DATA-TF back": ("back", 4),
    "A-RELEASE-RQ": ("forth", 5),
    "A-RELEASE-RP": ("back", 6),
}


def outcome(operation: str, port: int) -> list[int | None]:
    """The statuses of an operation over an association of its own; none where it did not come about."""
    association = connect(port)
    try:
        return OPERATIONS[operation](association) if association.is_established else []
    except RuntimeError as error:
        # It ended before the request was sent.
        assert "not established" in str(error), error
        return []
    finally:
        association.release()
        association.abort()


@pytest.mark.parametrize("kind", HARMLESS)
@pytest.mark.parametrize("direction", ["forth", "back"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_loses_nothing_changes_nothing(operation: str, direction: str, kind: str) -> None:
    destination: list[int] = []
    with provider(destination) as server:
        destination.append(server.port)
        server.ae.acse_timeout = server.ae.dimse_timeout = server.ae.network_timeout = 30
        with proxied(server.port, Fault(kind, direction, 0, "")) as proxy:
            association = connect(proxy.port)
            association.dimse_timeout = association.acse_timeout = association.network_timeout = 30
            assert OPERATIONS[operation](association)[-1] == 0x0000
            association.release()
            assert association.is_released
            assert proxy.struck.is_set()


@pytest.mark.parametrize("kind", DESTRUCTIVE)
@pytest.mark.parametrize("where", ["before", "within"])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_connection_that_fails_ends_what_was_over_it(operation: str, step: str, where: str, kind: str) -> None:
    destination: list[int] = []
    with provider(destination) as server:
        destination.append(server.port)
        with proxied(server.port, Fault(kind, *STEPS[step], where)) as proxy:
            statuses = outcome(operation, proxy.port)
            assert proxy.struck.is_set()
            # Whatever came before the fault is there; the fault is the end, or came after it.
            assert statuses == [] or statuses[-1] is None or step.startswith("A-RELEASE"), statuses
            wait_until(lambda: not server.active_associations, "the end of the association at the acceptor")
        assert outcome("echo", server.port) == [0x0000]


@pytest.mark.parametrize("kind", DESTRUCTIVE)
@pytest.mark.parametrize("where", ["before", "within"])
@pytest.mark.parametrize("step", ["P-DATA-TF back", "P-DATA-TF forth"])
def test_a_report_of_the_acceptor_ends_with_its_connection(step: str, where: str, kind: str) -> None:
    # N-EVENT-REPORT the other way: the request goes back, the response forth.
    with provider([]) as server:
        server.ae.network_timeout = 30
        with proxied(server.port, Fault(kind, *STEPS[step], where)) as proxy:
            association = connect(proxy.port)
            association.network_timeout = 30
            wait_until(lambda: server.active_associations, "the association at the acceptor")
            (acceptor,) = server.active_associations
            assert OPERATIONS["event report"](acceptor) == [None]
            assert proxy.struck.is_set()
            wait_until(lambda: not server.active_associations, "the end of the association at the acceptor")
            association.abort()
        assert outcome("echo", server.port) == [0x0000]


@pytest.mark.parametrize("kind", DESTRUCTIVE)
@pytest.mark.parametrize("where", ["before", "within"])
@pytest.mark.parametrize("step", STEPS)
def test_a_destination_that_fails_is_counted_by_the_move(step: str, where: str, kind: str) -> None:
    destination: list[int] = []
    with provider([0]) as receiver, provider(destination) as server:
        with proxied(receiver.port, Fault(kind, *STEPS[step], where)) as proxy:
            destination.append(proxy.port)
            association = connect(server.port)
            association.dimse_timeout = association.network_timeout = 30
            statuses = OPERATIONS["move"](association)
            association.release()
            # A801H where no association came about, A702H where nothing arrived, B000H where something did.
            wanted = (0x0000,) if step.startswith("A-RELEASE") else (0xA801, 0xA702, 0xB000)
            assert statuses[-1] in wanted, statuses
            assert proxy.struck.wait(30)
            for one in (receiver, server):
                wait_until(lambda one=one: not one.active_associations, "the end of the associations")  # type: ignore[misc]
