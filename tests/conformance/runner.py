"""Running cases against an acceptor at a host and port."""

from __future__ import annotations

import socket
from typing import NamedTuple

from .cases import SERVICES, Case, objects
from .destination import Destination
from .script import Unexpected, Wire, matches


class Target(NamedTuple):
    """An acceptor: where it is, the titles to use, and how long it may take for an answer, in seconds.

    `listener` is where it has its move destination "DESTINATION"; there is to be nothing at "UNREACHABLE", and no
    other. `services` are those of `SERVICES` that cases may be about; what it does not offer is left out anyway.
    """

    host: str
    port: int
    called: str
    calling: str = "CONFORMANCE"
    limit: float = 30.0
    listener: socket.socket | None = None
    services: tuple[str, ...] = tuple(SERVICES)

    def connect(self) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout=self.limit)

    def wire(self, stream: socket.socket) -> Wire:
        return Wire(stream, self.called, self.calling, self.limit)


class Result(NamedTuple):
    """What came of a case.

    `skipped` says what the acceptor does not offer; `serves` is whether it answered a new association afterwards.
    """

    case: Case
    outcome: str
    serves: bool
    skipped: str = ""

    @property
    def passed(self) -> bool:
        return not self.skipped and self.serves and matches(self.outcome, self.case.outcomes)


def offered(target: Target) -> list[str]:
    """The services of `SERVICES` that the acceptor accepts a context for.

    Raises ConnectionError where it does not accept the association at all.
    """
    with target.connect() as stream:
        wire = target.wire(stream)
        wire.run("rq")
        answer = wire.outcome(["ac *"])
        if not matches(answer, ["ac *"]):
            raise ConnectionError(f"{target.called}@{target.host}:{target.port} answers {answer} to a plain request")
        wire.run("release-rq")
        wire.outcome(["release-rp"])
    results = dict(part.split(":") for part in answer.split() if ":" in part)
    found = [name for name in target.services if results.get(str(SERVICES[name])) == "0"]
    excluded = {*(["move"] if target.listener is None else []), *([] if "store" in found else ["match", "get", "move"])}
    return [name for name in found if name not in excluded]


def fill(target: Target) -> None:
    """Stores the objects of the cases. Raises Unexpected where one is refused."""
    with target.connect() as stream:
        wire = target.wire(stream)
        for step in ["associate", *objects(), "release-rq", "expect release-rp"]:
            wire.run(step)


def serves(target: Target) -> bool:
    """Whether a new association is accepted and released."""
    try:
        with target.connect() as stream:
            wire = target.wire(stream)
            wire.run("associate ctx=1/verification/implicit")
            wire.run("echo")
            wire.expect("rsp 8030 0000 1")
            wire.run("release-rq")
            wire.expect("release-rp")
    except (OSError, Unexpected):
        return False
    return True


def run(case: Case, target: Target, services: list[str]) -> Result:
    """Runs one case."""
    missing = [name for name in case.needs if name not in services]
    if missing:
        return Result(case, "", True, f"no {', '.join(missing)}")
    try:
        with target.connect() as stream, Destination(target.listener, target.limit) as destination:
            wire = target.wire(stream)
            try:
                for step in case.steps:
                    verb, _, rest = step.partition(" ")
                    if verb == "there":
                        destination.run(rest)
                    else:
                        wire.run(step)
                outcome = wire.outcome(case.outcomes)
            except Unexpected as found:
                outcome = str(found)
    except OSError as error:
        outcome = f"cannot connect: {error}"
    return Result(case, outcome, serves(target))
