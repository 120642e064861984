"""Both faces behind one: a test body that is written for the blocking names runs over asyncio, too.

`AE`, `Client` and the names of `workflow` are those of the face that the fixture `face` has chosen. Those of asyncio
live on a loop in a thread of its own, and each thread that calls them has a task there, so that what belongs to a
thread in the one face belongs to a task in the other.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from typing import Any

import dimsefast
import pytest
from dimsefast import aio, workflow
from dimsefast.aio import workflow as aio_workflow

LIMIT = 60.0

_loop_face: LoopFace | None = None


@pytest.fixture(autouse=True, params=["blocking", "asyncio"])
def face(request: pytest.FixtureRequest) -> Iterator[str]:
    """Which face the test runs over; those marked `blocking` are about threads, or what asyncio leaves to the loop."""
    global _loop_face
    if request.param == "blocking":
        yield request.param
        return
    if request.node.get_closest_marker("blocking"):
        pytest.skip("about the blocking face alone")
    _loop_face = LoopFace()
    try:
        yield request.param
    finally:
        _loop_face.close()
        _loop_face = None


def AE(*arguments: Any, **options: Any) -> Any:  # noqa: N802
    """An application entity of the chosen face."""
    return _make(dimsefast.AE, aio.AE, *arguments, **options)


def Client(*arguments: Any, **options: Any) -> Any:  # noqa: N802
    """A client of the chosen face."""
    return _make(dimsefast.Client, aio.Client, *arguments, **options)


def StorageCommitmentUser(*arguments: Any, **options: Any) -> Any:  # noqa: N802
    """A user of storage commitment of the chosen face."""
    return _make(workflow.StorageCommitmentUser, aio_workflow.StorageCommitmentUser, *arguments, **options)


class _Functions:
    """The functions and classes of a module of the chosen face."""

    def __init__(self, blocking: Any, asynchronous: Any) -> None:
        self._blocking = blocking
        self._asynchronous = asynchronous

    def __getattr__(self, name: str) -> Any:
        face = _loop_face
        if face is None:
            return getattr(self._blocking, name)
        function = getattr(self._asynchronous, name)
        return lambda *arguments, **options: face.call(function, *arguments, **options)


mpps = _Functions(workflow.mpps, aio_workflow.mpps)
ups = _Functions(workflow.ups, aio_workflow.ups)


def _make(blocking: Any, asynchronous: Any, *arguments: Any, **options: Any) -> Any:
    if _loop_face is None:
        return blocking(*arguments, **options)
    return Proxy(_loop_face, asynchronous(*arguments, **options))


class LoopFace:
    """A loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="test-loop", daemon=True)
        self._own = threading.local()
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LIMIT)
        assert not self._thread.is_alive()

    def call(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Calls it in this thread's task, and awaits what is to be awaited."""
        queue: asyncio.Queue[Any] | None = getattr(self._own, "queue", None)
        if queue is None:
            queue = self._own.queue = asyncio.Queue()
            asyncio.run_coroutine_threadsafe(_work(queue), self._loop)
        result: Future[Any] = Future()
        arguments = tuple(one._target if isinstance(one, Proxy) else one for one in arguments)
        self._loop.call_soon_threadsafe(queue.put_nowait, (function, arguments, options, result))
        return self.wrapped(result.result(LIMIT))

    def wrapped(self, value: Any) -> Any:
        if isinstance(value, _PROXIED):
            return Proxy(self, value)
        if isinstance(value, AsyncIterator):
            return Iteration(self, value)
        if isinstance(value, list):
            return [self.wrapped(one) for one in value]
        return value


#: What has methods to be awaited.
_PROXIED = (aio.AE, aio.Association, aio.AssociationServer, aio_workflow.Transaction, aio_workflow.ups.Claim)


async def _work(queue: asyncio.Queue[Any]) -> None:
    while True:
        function, arguments, options, result = await queue.get()
        try:
            value = function(*arguments, **options)
            result.set_result(await value if inspect.isawaitable(value) else value)
        except asyncio.CancelledError as error:
            result.set_exception(RuntimeError(f"cancelled: {error!r}"))
            raise
        except BaseException as error:
            result.set_exception(error)
        # Nothing may be kept alive until the next call.
        del function, arguments, options, result
        value = None


class Proxy:
    """An object of asyncio's face, as if it were of the other."""

    def __init__(self, face: LoopFace, target: Any) -> None:
        self.__dict__["_face"] = face
        self.__dict__["_target"] = target

    def __getattr__(self, name: str) -> Any:
        face, value = self._face, getattr(self._target, name)
        if inspect.ismethod(value):
            return lambda *arguments, **options: face.call(value, *arguments, **options)
        return face.wrapped(value)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._target, name, value)

    def __enter__(self) -> Proxy:
        self._face.call(self._target.__aenter__)
        return self

    def __exit__(self, *error: Any) -> None:
        self._face.call(self._target.__aexit__, *error)

    def __eq__(self, other: object) -> bool:
        return self._target is (other._target if isinstance(other, Proxy) else other)

    def __hash__(self) -> int:
        return hash(self._target)

    def __str__(self) -> str:
        return str(self._target)

    def __repr__(self) -> str:
        return repr(self._target)


class Iteration(Iterator[Any]):
    """An asynchronous iterator, step by step."""

    def __init__(self, face: LoopFace, items: Any) -> None:
        self._face, self._items = face, items

    def __next__(self) -> Any:
        over = object()
        item = self._face.call(anext, self._items, over)
        if item is over:
            raise StopIteration
        return item

    def close(self) -> None:
        self._face.call(self._items.aclose)
