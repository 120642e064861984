"""Our own acceptor in the states that its user brings about, on the wire and for that user."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import AE, evt
from dimsefast.server import AssociationServer

from .cases import Case, load
from .pdus import NAMES
from .runner import Target, serves
from .script import Unexpected, Wire, matches

LIMIT = 30.0


class User:
    """What the acceptor's user does in a case: considers the request for as long as the case takes, or ends the
    association as soon as it is there.
    """

    def __init__(self, action: str) -> None:
        self._action = action
        self._over = threading.Event()
        self.considers = threading.Event()
        self.association: Any = None
        self._threads: list[threading.Thread] = []

    def identity(self, _: Any) -> tuple[bool, None]:
        """A handler of EVT_USER_ID."""
        self.considers.set()
        self._over.wait(LIMIT)
        return True, None

    def established(self, event: Any) -> None:
        """A handler of EVT_ESTABLISHED. Only the first association is the case's."""
        if self.association is not None or self._action == "consider":
            return
        self.association = event.assoc
        end = {"release": event.assoc.release, "abort": event.assoc.abort}[self._action]
        self._threads.append(threading.Thread(target=end))
        self._threads[-1].start()

    def close(self) -> str:
        """How the association ended for the user."""
        self._over.set()
        for thread in self._threads:
            thread.join(LIMIT)
        if self.association is None:
            return "none"
        wait_until(lambda: not self.association.is_alive(), "the end of the association")
        return "released" if self.association.is_released else "aborted"


def follow(case: Case, target: Target, user: User) -> str:
    """Does the steps of a case; its outcome."""
    with target.connect() as stream:
        wire: Wire = target.wire(stream)
        try:
            for step in case.steps:
                if step == "considered":
                    assert user.considers.wait(LIMIT), "the handler of EVT_USER_ID was not called"
                else:
                    wire.run(step)
            return wire.outcome(case.outcomes)
        except Unexpected as found:
            return str(found)


def start(user: User) -> AssociationServer:
    ae = AE("ACCEPTOR")
    ae.acse_timeout = LIMIT
    for name in ("verification", "ct", "find"):
        ae.add_supported_context(NAMES[name], NAMES["implicit"])
    handlers: list[Any] = [(evt.EVT_ESTABLISHED, user.established), (evt.EVT_USER_ID, user.identity)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    return server


@pytest.mark.parametrize("case", load("acceptor"), ids=lambda case: case.id)
def test_acceptor(case: Case) -> None:
    user = User(case.action)
    with start(user) as server:
        target = Target("127.0.0.1", server.port, "ACCEPTOR")
        outcome = follow(case, target, user)
        local = user.close()
        assert matches(outcome, case.outcomes), f"{case.clause}: {outcome}, not one of {case.outcomes}"
        assert local in case.local, f"{case.clause}: {local}, not one of {case.local}"
        assert serves(target)
