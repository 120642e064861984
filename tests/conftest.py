"""What every test gets: no thread and no descriptor may be left over."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
import uvloop

LIMIT = 30.0


def wait_until(condition: Callable[[], object], what: str = "the condition") -> None:
    """Waits until it holds; fails after `LIMIT` seconds."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true in {LIMIT} s"
        time.sleep(0.002)


def open_sockets() -> int:
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except OSError:
            continue
    return count


@pytest.fixture(autouse=True)
def nothing_is_left_over(request: pytest.FixtureRequest) -> Iterator[None]:
    threads, sockets = set(threading.enumerate()), open_sockets()
    yield
    if "interop" in str(request.path):
        return  # peers live as long as their module

    def as_before() -> bool:
        # Handlers' threads end by themselves after ten seconds without work.
        new = [
            thread for thread in set(threading.enumerate()) - threads if not isinstance(thread, threading._DummyThread)
        ]
        return not new and open_sockets() <= sockets

    def clean() -> bool:
        if as_before():
            return True
        # It takes a tenth of a second in a large process: only where that may be why.
        gc.collect()
        return as_before()

    wait_until(clean, f"the end of all sockets (there were {sockets}) and threads (there were {threads})")


@pytest.fixture(params=["asyncio", "uvloop"])
def on_loop(request: pytest.FixtureRequest) -> Callable[[Callable[[], Coroutine[Any, Any, None]]], None]:
    """Runs a test on a loop of either kind, with asyncio's own checks."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        with asyncio.Runner(debug=True, loop_factory=factory) as runner:
            runner.run(asyncio.wait_for(main(), 60))

    return run
