"""What only asyncio has: async handlers, cancellation at each step, loops of several kinds and in several threads.

What both faces do the same way is tested over both, see `faces`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from dimsefast import AssociationTimeout, PeerUnreachable, aio, build_context, build_role, evt
from dimsefast import query as identifiers
from dimsefast.sop_class import CTImageStorage, Verification
from pydicom import Dataset, dcmread
from test_services import CT, FIND, GET, MOVE, counts, query

LIMIT = 30
ASKED = query(PatientID="*")


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Callable[[], Coroutine[Any, Any, None]]], None]:
    """Runs a test on a loop of either kind, with asyncio's own checks."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        with asyncio.Runner(debug=True, loop_factory=factory) as runner:
            runner.run(asyncio.wait_for(main(), 2 * LIMIT))

    return run


@contextlib.asynccontextmanager
async def provider(*handlers: Any, **options: Any) -> AsyncIterator[Any]:
    async with aio.AE("PROVIDER") as ae:
        ae.maximum_associations = 1000
        for uid in (Verification, FIND, GET, MOVE):
            ae.add_supported_context(uid)
        ae.add_supported_context(CTImageStorage, scu_role=True, scp_role=True)
        yield await ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(handlers), **options)


async def connect(server: Any, *uids: str, **options: Any) -> Any:
    ae = aio.AE("REQUESTOR")
    ae.dimse_timeout = options.pop("dimse_timeout", LIMIT)
    options.setdefault("contexts", [build_context(uid) for uid in uids or (Verification, FIND, MOVE, CTImageStorage)])
    return await ae.connect("127.0.0.1", getattr(server, "port", server), **options)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT):
        while not condition():
            await asyncio.sleep(0.002)


def match(number: int, size: int = 0) -> Dataset:
    found = query(PatientID=str(number))
    if size:
        found.PatientComments = "x" * size
    return found


@contextlib.contextmanager
def silent_listener() -> Iterator[int]:
    """A peer that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


# Handlers


def test_async_handlers_run_on_the_loop_and_plain_ones_do_not(run: Any) -> None:
    threads: dict[str, int] = {}

    async def on_echo(event: Any) -> int:
        await asyncio.sleep(0)
        threads["echo"] = threading.get_ident()
        return 0x0210

    def on_store(event: Any) -> int:
        threads["store"] = threading.get_ident()
        return 0

    async def on_established(event: Any) -> None:
        threads["established"] = threading.get_ident()

    async def main() -> None:
        handlers = [(evt.EVT_C_ECHO, on_echo), (evt.EVT_C_STORE, on_store), (evt.EVT_ESTABLISHED, on_established)]
        async with provider(*handlers) as server, await connect(server) as assoc:
            assert (await assoc.send_c_echo()).Status == 0x0210
            assert (await assoc.send_c_store(CT)).Status == 0
            server.unbind(evt.EVT_C_ECHO, on_echo)
            assert (await assoc.send_c_echo()).Status == 0
        here = threading.get_ident()
        assert threads["echo"] == threads["established"] == here != threads["store"]

    run(main)


def test_async_generators_answer_find_get_and_move(run: Any, tmp_path: Path) -> None:
    async def on_find(event: Any, prefix: str) -> AsyncIterator[Any]:
        assert event.identifier.PatientID == "*"
        for number in range(3):
            await asyncio.sleep(0)
            yield 0xFF00, query(PatientID=f"{prefix}{number}")

    async def on_get(event: Any) -> AsyncIterator[Any]:
        yield 2
        for _ in range(2):
            await asyncio.sleep(0)
            yield 0xFF00, CT

    async def main() -> None:
        async def on_move(event: Any) -> AsyncIterator[Any]:
            yield "127.0.0.1", receiver.port
            async for item in on_get(event):
                yield item

        handlers = [(evt.EVT_C_FIND, on_find, ["P"]), (evt.EVT_C_GET, on_get), (evt.EVT_C_MOVE, on_move)]
        stored: list[Any] = []

        async def on_store(event: Any) -> int:
            stored.append(event.dataset.SOPInstanceUID)
            return 0

        async with provider((evt.EVT_C_STORE, on_store)) as receiver, provider(*handlers) as server:
            async with await connect(server) as assoc:
                found = [(status.Status, row and row.PatientID) async for status, row in assoc.send_c_find(ASKED, FIND)]
                assert found == [(0xFF00, "P0"), (0xFF00, "P1"), (0xFF00, "P2"), (0, None)]
                *_, (status, _) = [one async for one in assoc.send_c_move(ASKED, "OTHER", MOVE)]
                assert counts(status) == (0, None, 2, 0, 0) and len(stored) == 2
            contexts, roles = (
                [build_context(GET), build_context(CTImageStorage)],
                [build_role(CTImageStorage, False, True)],
            )
            for options in ({"store_to": tmp_path}, {"evt_handlers": [(evt.EVT_C_STORE, on_store)]}):
                async with await connect(server, contexts=contexts, ext_neg=roles, **options) as assoc:
                    *_, (status, _) = [one async for one in assoc.send_c_get(ASKED, GET)]
                    assert counts(status) == (0, None, 2, 0, 0)
        assert len(stored) == 4 and len(list(tmp_path.glob("*.dcm"))) == 1

    run(main)


def test_where_an_object_goes_may_be_asked_for_on_the_loop(run: Any, tmp_path: Path) -> None:
    async def decide(request: Any, association: Any, header: Any) -> Any:
        await asyncio.sleep(0)
        return tmp_path / header["PatientID"]

    async def main() -> None:
        async with provider(store_to=decide) as server, await connect(server) as assoc:
            assert (await assoc.send_c_store(CT)).Status == 0
        assert [path.parent.name for path in tmp_path.rglob("*.dcm")] == [dcmread(CT).PatientID]

    run(main)


def test_what_an_async_handler_raises_is_its_status(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def fails(event: Any) -> int:
        await asyncio.sleep(0)
        raise LookupError("on purpose")

    async def fails_late(event: Any) -> AsyncIterator[Any]:
        yield 0xFF00, match(1)
        raise LookupError("on purpose")

    async def main() -> None:
        async with provider((evt.EVT_C_STORE, fails), (evt.EVT_C_FIND, fails_late)) as server:
            async with await connect(server) as assoc:
                assert (await assoc.send_c_store(CT)).Status == 0xC211
                assert [status.Status async for status, _ in assoc.send_c_find(ASKED, FIND)] == [0xFF00, 0xC311]

    run(main)
    assert "on purpose" in caplog.text


def test_a_request_on_the_association_whose_async_handler_runs_is_an_error_at_once(run: Any) -> None:
    caught: list[str] = []

    async def on_store(event: Any) -> int:
        with pytest.raises(RuntimeError, match="whose request it handles") as raised:
            await event.assoc.send_c_echo()
        caught.append(str(raised.value))
        return 0

    async def main() -> None:
        async with provider((evt.EVT_C_STORE, on_store)) as server, await connect(server) as assoc:
            assert (await assoc.send_c_store(CT)).Status == 0

    run(main)
    assert len(caught) == 1


@pytest.mark.parametrize("how", ["release", "abort"])
def test_an_async_handler_may_end_its_own_association(run: Any, how: str) -> None:
    async def on_echo(event: Any) -> int:
        await getattr(event.assoc, how)()
        return 0

    async def main() -> None:
        async with provider((evt.EVT_C_ECHO, on_echo)) as server:
            assoc = await connect(server)
            assert "Status" not in await assoc.send_c_echo()
            assert not assoc.is_established
            await until(lambda: not server.active_associations)

    if how == "abort":
        # Waiting for the end of handlers would be waiting for itself.
        async def on_echo(event: Any) -> int:
            event.assoc.abort()
            return 0

    run(main)


# Cancellation


async def cancelled(doing: Coroutine[Any, Any, Any], when: Callable[[], object] | None = None) -> None:
    """Begins it, and cancels it in the middle."""
    task = asyncio.ensure_future(doing)
    if when is None:
        await asyncio.sleep(0.05)
    else:
        await until(when)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_cancelled_while_connecting_it_leaves_nothing(run: Any) -> None:
    async def main() -> None:
        with silent_listener() as port:
            await cancelled(connect(port))

    run(main)


@pytest.mark.parametrize("operation", ["echo", "store"])
def test_cancelled_while_it_waits_for_an_answer_the_association_is_aborted(run: Any, operation: str) -> None:
    async def main() -> None:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def slow(event: Any) -> int:
            begun.set()
            await go_on.wait()
            return 0

        async with provider((evt.EVT_C_ECHO, slow), (evt.EVT_C_STORE, slow)) as server:
            assoc = await connect(server)
            doing = assoc.send_c_echo() if operation == "echo" else assoc.send_c_store(CT)
            await cancelled(doing, begun.is_set)
            assert assoc.is_aborted
            go_on.set()
            await until(lambda: not server.active_associations)
            with pytest.raises(RuntimeError, match="not established"):
                await assoc.send_c_echo()

    run(main)


@pytest.mark.parametrize("model", [FIND, MOVE, GET])
def test_cancelled_while_it_waits_for_responses_c_cancel_is_sent_and_the_association_goes_on(
    run: Any, model: str
) -> None:
    async def main() -> None:
        seen: list[bool] = []

        async def rows(event: Any) -> AsyncIterator[Any]:
            yield 0xFF00, match(1)
            await until(lambda: event.is_cancelled)
            seen.append(event.is_cancelled)
            yield 0xFE00, None

        async def objects(event: Any) -> AsyncIterator[Any]:
            if event.event is evt.EVT_C_MOVE:
                yield "127.0.0.1", server.port
            yield 10_000
            while not event.is_cancelled:
                yield 0xFF00, CT
            seen.append(event.is_cancelled)
            yield 0xFE00, None

        handlers = [(evt.EVT_C_FIND, rows), (evt.EVT_C_MOVE, objects), (evt.EVT_C_GET, objects)]
        handlers.append((evt.EVT_C_STORE, lambda event: 0))
        async with provider(*handlers) as server:
            contexts = [build_context(uid) for uid in (Verification, model, CTImageStorage)]
            options = {"ext_neg": [build_role(CTImageStorage, True, True)], "evt_handlers": [handlers[-1]]}
            async with await connect(server, contexts=contexts, **options) as assoc:
                taken: list[Any] = []

                async def take() -> None:
                    arguments = (ASKED, "X", MOVE) if model == MOVE else (ASKED, model)
                    send = {FIND: assoc.send_c_find, MOVE: assoc.send_c_move, GET: assoc.send_c_get}[model]
                    async for status, _ in send(*arguments):
                        taken.append(status.Status)

                await cancelled(take(), lambda: taken)
                # It waits until the rest has been taken off.
                assert (await assoc.send_c_echo()).Status == 0
                assert set(taken) == {0xFF00} and seen == [True] and assoc.is_established

    run(main)


def test_cancelled_in_the_middle_of_many_objects_the_association_is_aborted(run: Any) -> None:
    async def main() -> None:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def slow(event: Any) -> int:
            begun.set()
            await go_on.wait()
            return 0

        async with provider((evt.EVT_C_STORE, slow)) as server:
            assoc = await connect(server)

            async def send() -> None:
                async for _ in assoc.store([CT] * 5):
                    pass

            await cancelled(send(), begun.is_set)
            assert assoc.is_aborted
            go_on.set()

    run(main)


def test_cancelled_while_it_waits_for_its_turn_nothing_happens(run: Any) -> None:
    async def main() -> None:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def slow(event: Any) -> int:
            begun.set()
            await go_on.wait()
            return 0

        async with provider((evt.EVT_C_ECHO, slow)) as server, await connect(server) as assoc:
            first = asyncio.ensure_future(assoc.send_c_echo())
            await begun.wait()
            await cancelled(assoc.send_c_echo())
            go_on.set()
            assert (await first).Status == 0 == (await assoc.send_c_echo()).Status

    run(main)


def test_cancelled_while_it_is_released_it_is_aborted(run: Any) -> None:
    async def main() -> None:
        async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(65536)
            writer.write(accept)
            # And never confirms a release.
            await reader.read(65536)
            released.set()
            await reader.read()
            writer.close()
            over.set()

        released, over = asyncio.Event(), asyncio.Event()
        accept = _accept()
        listener = await asyncio.start_server(server, "127.0.0.1", 0)
        async with listener:
            assoc = await connect(listener.sockets[0].getsockname()[1], Verification)
            await cancelled(assoc.release(), released.is_set)
            assert assoc.is_aborted
            await over.wait()

    run(main)


def _accept() -> bytes:
    """An A-ASSOCIATE-AC for one context, PS3.8 9.3.3."""

    def item(kind: int, body: bytes) -> bytes:
        return bytes([kind, 0]) + len(body).to_bytes(2, "big") + body

    context = item(0x21, bytes([1, 0, 0, 0]) + item(0x40, b"1.2.840.10008.1.2"))
    user = item(0x50, item(0x51, (16384).to_bytes(4, "big")) + item(0x52, b"1.2.3"))
    titles = b"ANY-SCP".ljust(16) + b"REQUESTOR".ljust(16) + bytes(32)
    body = bytes([0, 1, 0, 0]) + titles + item(0x10, b"1.2.840.10008.3.1.1.1") + context + user
    return bytes([2, 0]) + len(body).to_bytes(4, "big") + body


# Leaving early, time-outs, order


def test_leaving_an_async_for_early_cancels_and_the_next_request_sees_its_own_responses(run: Any) -> None:
    async def main() -> None:
        over: list[bool] = []

        async def rows(event: Any) -> AsyncIterator[Any]:
            number = 0
            while not event.is_cancelled:
                yield 0xFF00, match(number)
                number += 1
                await asyncio.sleep(0)
            over.append(True)
            yield 0xFE00, None

        async with provider((evt.EVT_C_FIND, rows)) as server, await connect(server) as assoc:
            for end in ("break", "aclose", "held"):
                responses = assoc.send_c_find(ASKED, FIND)
                async for _, found in responses:
                    assert found.PatientID == "0"
                    break
                if end == "aclose":
                    await responses.aclose()
                elif end == "break":
                    del responses
                assert (await assoc.send_c_echo()).Status == 0
                await until(lambda: over)
                over.clear()
            assert [one async for one in responses] == []

    run(main)


def test_time_outs_are_those_of_the_blocking_face(run: Any) -> None:
    async def main() -> None:
        async def never(event: Any) -> int:
            await until(lambda: not event.assoc.is_established)
            return 0

        async with provider((evt.EVT_C_ECHO, never)) as server:
            assoc = await connect(server, dimse_timeout=0.1)
            assert "Status" not in await assoc.send_c_echo()
            assert assoc.is_aborted
        with silent_listener() as port:
            ae = aio.AE()
            ae.acse_timeout = 0.1
            with pytest.raises(AssociationTimeout):
                await ae.connect("127.0.0.1", port, contexts=[build_context(Verification)])
            assoc = await ae.associate("127.0.0.1", port, contexts=[build_context(Verification)])
            assert assoc.is_aborted
        with pytest.raises(PeerUnreachable):
            await ae.connect("127.0.0.1", port, contexts=[build_context(Verification)])

    run(main)


def test_asyncio_timeout_around_an_operation(run: Any) -> None:
    async def main() -> None:
        async def rows(event: Any) -> AsyncIterator[Any]:
            yield 0xFF00, match(1)
            await until(lambda: event.is_cancelled)
            yield 0xFE00, None

        async with provider((evt.EVT_C_FIND, rows)) as server, await connect(server) as assoc:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    async for _ in assoc.send_c_find(ASKED, FIND):
                        pass
            assert (await assoc.send_c_echo()).Status == 0

    run(main)


def test_tasks_on_one_association_take_turns(run: Any) -> None:
    async def main() -> None:
        async with provider() as server, await connect(server) as assoc:
            statuses = await asyncio.gather(*(assoc.send_c_echo() for _ in range(50)))
            assert [status.Status for status in statuses] == [0] * 50

    run(main)


def test_a_request_from_within_the_progress_is_an_error_and_no_hang(run: Any) -> None:
    async def main() -> None:
        async def items() -> AsyncIterator[Any]:
            yield CT
            with pytest.raises(RuntimeError, match="in progress on this very"):
                await assoc.send_c_echo()
            yield CT.read_bytes()

        async with provider((evt.EVT_C_STORE, lambda event: 0)) as server, await connect(server) as assoc:
            results = [result async for result in assoc.store(items())]
            assert [result.status for result in results] == [0, 0]

    run(main)


def test_a_slow_loop_holds_up_the_peer_and_nothing_is_lost(run: Any) -> None:
    ahead: list[int] = []

    def rows(event: Any) -> Iterator[Any]:
        for number in range(20_000):
            ahead.append(number)
            yield 0xFF00, match(number, 2000)

    async def main() -> None:
        async with provider((evt.EVT_C_FIND, rows)) as server, await connect(server) as assoc:
            responses = assoc.send_c_find(ASKED, FIND)
            await anext(responses)
            before = -1
            while before != len(ahead):
                before = len(ahead)
                await asyncio.sleep(0.2)
            # What fits into the sockets and the connection: the rest waits.
            assert before < 15_000
            numbers = [found.PatientID async for _, found in responses if found is not None]
            assert numbers == [str(number) for number in range(1, 20_000)]

    run(main)


# Many, several, and elsewhere


def test_five_hundred_associations_in_one_loop(run: Any) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))

    async def main() -> None:
        async with provider() as server:

            async def echo() -> int:
                async with await connect(server, Verification) as assoc:
                    await ready.wait()
                    statuses = [(await assoc.send_c_echo()).Status for _ in range(3)]
                return sum(statuses)

            ready = asyncio.Barrier(500)
            threads = threading.active_count()
            assert await asyncio.gather(*(echo() for _ in range(500))) == [0] * 500
            assert threading.active_count() <= threads + 2

    try:
        run(main)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_loops_in_several_threads_and_an_association_of_another_loop(run: Any) -> None:
    async def main() -> None:
        async with provider() as server:
            assoc = await connect(server)

            async def elsewhere() -> None:
                with pytest.raises(RuntimeError, match="another event loop"):
                    await assoc.send_c_echo()
                async with await connect(server) as own:
                    assert (await own.send_c_echo()).Status == 0

            await asyncio.gather(*(asyncio.to_thread(asyncio.run, elsewhere()) for _ in range(3)))
            assert (await assoc.send_c_echo()).Status == 0
            await assoc.release()

    run(main)


def test_an_abort_from_another_task_ends_a_wait(run: Any) -> None:
    async def main() -> None:
        begun = asyncio.Event()

        async def never(event: Any) -> int:
            begun.set()
            await until(lambda: not server.active_associations[0].is_established)
            return 0

        async with provider((evt.EVT_C_ECHO, never)) as server:
            assoc = await connect(server)
            echo = asyncio.ensure_future(assoc.send_c_echo())
            await begun.wait()
            await assoc.abort()
            assert "Status" not in await echo and assoc.is_aborted

    run(main)


def test_an_association_that_is_forgotten_is_aborted_and_said(run: Any) -> None:
    async def main() -> None:
        async with provider() as server:
            assoc = await connect(server)
            with pytest.warns(ResourceWarning, match="never released"):
                del assoc
                gc.collect()
            await until(lambda: not server.active_associations)

    run(main)


def test_serving_until_shutdown_and_until_cancelled(run: Any) -> None:
    async def main() -> None:
        for how in ("shutdown", "cancel"):
            ae = aio.AE("PROVIDER")
            ae.add_supported_context(Verification)
            serving = asyncio.ensure_future(ae.start_server(("127.0.0.1", 0)))
            await until(lambda ae=ae: ae._servers)
            port = ae._servers[0].port
            async with await connect(port, Verification) as assoc:
                assert (await assoc.send_c_echo()).Status == 0
            if how == "shutdown":
                await ae.shutdown()
                assert await serving is None
            else:
                serving.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await serving
            with pytest.raises(PeerUnreachable):
                await connect(port, Verification)

    run(main)


def test_a_client_serves_many_tasks_at_once(run: Any, tmp_path: Path) -> None:
    async def rows(event: Any) -> AsyncIterator[Any]:
        for number in range(5):
            await asyncio.sleep(0)
            yield 0xFF00, query(PatientID=str(number))

    async def main() -> None:
        async with provider((evt.EVT_C_FIND, rows), store_to=tmp_path) as server:
            async with aio.Client(f"PROVIDER@127.0.0.1:{server.port}") as client:

                async def find() -> list[str]:
                    return [row.PatientID async for row in client.find(identifiers.patient(patient_id="*"))]

                stored, *found = await asyncio.gather(client.store([CT]), *(find() for _ in range(20)), client.echo())
                assert stored.completed == 1 and found[:-1] == [["0", "1", "2", "3", "4"]] * 20
            with pytest.raises(RuntimeError, match="closed"):
                await client.echo()

    run(main)


# Processes of their own


def script(body: str, **options: Any) -> subprocess.Popen[str]:
    head = """
    import asyncio, gc, os, sys, threading
    from dimsefast import aio, build_context
    from dimsefast.sop_class import Verification

    async def serve(ae):
        ae.add_supported_context(Verification)
        return await ae.start_server(("127.0.0.1", 0), block=False)

    async def connect(port):
        return await aio.AE().connect("127.0.0.1", port, contexts=[build_context(Verification)])
    """
    source = textwrap.dedent(head) + textwrap.dedent(body)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-X", "dev", "-c", source], **pipes, **options)


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=LIMIT)
    return process.returncode, out, err


def test_ctrl_c_ends_a_wait_at_once() -> None:
    with silent_listener() as port:
        process = script(f"""
        async def main():
            print("waiting", flush=True)
            await connect({port})
        asyncio.run(main())
        """)
        assert process.stdout is not None and process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        status, _, err = finished(process)
    assert status == -signal.SIGINT and "KeyboardInterrupt" in err and "never awaited" not in err


def test_a_loop_that_ends_with_associations_open_hangs_nowhere_and_says_so() -> None:
    status, out, err = finished(
        script("""
        async def main():
            global server, assoc, waiting
            server = await serve(aio.AE())
            assoc = await connect(server.port)
            other = await connect(server.port)
            assert (await assoc.send_c_echo()).Status == 0
            waiting = asyncio.ensure_future(asyncio.sleep(3600))
        asyncio.run(main())
        del assoc
        gc.collect()
        print("over")
        """)
    )
    assert (status, out) == (0, "over\n")
    assert err.count("never released") == 2 and "Traceback" not in err
    assert all("ResourceWarning" in line for line in err.splitlines() if "Warning" in line), err


def test_the_child_of_a_fork_begins_anew() -> None:
    status, out, err = finished(
        script("""
        async def child(port, assoc):
            try:
                await assoc.send_c_echo()
            except RuntimeError as error:
                print("refused:", "fork" in str(error))
            async with await connect(port) as own:
                print("child", (await own.send_c_echo()).Status)

        async def parent():
            async with await serve(aio.AE()) as server:
                async with await connect(server.port) as assoc:
                    pid = os.fork()
                    if pid == 0:
                        # The parent's loop is not the child's to use.
                        thread = threading.Thread(target=asyncio.run, args=(child(server.port, assoc),))
                        thread.start()
                        thread.join()
                        sys.stdout.flush()
                        os._exit(0)
                    _, ended = await asyncio.to_thread(os.waitpid, pid, 0)
                    print("ended", ended, "parent", (await assoc.send_c_echo()).Status)
        asyncio.run(parent())
        """)
    )
    assert status == 0, err
    assert out == "refused: True\nchild 0\nended 0 parent 0\n", (out, err)
