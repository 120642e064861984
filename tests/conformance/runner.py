"""Running cases against an acceptor at a host and port."""

from __future__ import annotations

import socket
from typing import NamedTuple

from .cases import SERVICES, Case
from .script import Unexpected, Wire, matches


class Target(NamedTuple):
    """An acceptor: where it is, the titles to use, and how long it may take for an answer, in seconds."""

    host: str
    port: int
    called: str
    calling: str = "CONFORMANCE"
    limit: float = 30.0

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
    return [name for name, number in SERVICES.items() if results.get(str(number)) == "0"]


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
        with target.connect() as stream:
            wire = target.wire(stream)
            try:
                for step in case.steps:
                    wire.run(step)
                outcome = wire.outcome(case.outcomes)
            except Unexpected as found:
                outcome = str(found)
    except OSError as error:
        outcome = f"cannot connect: {error}"
    return Result(case, outcome, serves(target))
