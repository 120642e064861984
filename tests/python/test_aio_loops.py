"""Many associations in a loop, several loops, and what becomes of them at the end of a loop or a process."""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from dimsefast import PeerUnreachable, aio, evt
from dimsefast import query as identifiers
from dimsefast.sop_class import Verification
from loops import LIMIT, connect, provider, silent_listener, until
from service_cases import CT, query

# Many, several, and elsewhere


def test_five_hundred_associations_in_one_loop(on_loop: Any) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))

    async def main() -> None:
        async with provider() as server:

            async def echo() -> int:
                # A server keeps 50 connections from one address that have not said anything yet.
                async with begun:
                    opened = await connect(server, Verification)
                async with opened as assoc:
                    await ready.wait()
                    statuses = [(await assoc.send_c_echo()).Status for _ in range(3)]
                return sum(statuses)

            ready, begun = asyncio.Barrier(500), asyncio.Semaphore(40)
            threads = threading.active_count()
            assert await asyncio.gather(*(echo() for _ in range(500))) == [0] * 500
            assert threading.active_count() <= threads + 2

    try:
        on_loop(main)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_loops_in_several_threads_and_an_association_of_another_loop(on_loop: Any) -> None:
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

    on_loop(main)


def test_an_association_in_use_is_refused_to_another_loop_at_once(on_loop: Any) -> None:
    async def main() -> None:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def slow(event: Any) -> int:
            begun.set()
            await go_on.wait()
            return 0

        async with provider((evt.EVT_C_ECHO, slow)) as server:
            assoc = await connect(server)
            echo = asyncio.ensure_future(assoc.send_c_echo())
            await begun.wait()

            async def elsewhere() -> None:
                with pytest.raises(RuntimeError, match="another event loop"):
                    await assoc.send_c_echo()

            await asyncio.to_thread(asyncio.run, elsewhere())
            go_on.set()
            assert (await echo).Status == 0
            await assoc.release()

    on_loop(main)


def test_an_abort_from_another_task_ends_a_wait(on_loop: Any) -> None:
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

    on_loop(main)


def test_an_association_that_is_forgotten_is_aborted_and_said(on_loop: Any) -> None:
    async def main() -> None:
        async with provider() as server:
            assoc = await connect(server)
            with pytest.warns(ResourceWarning, match="never released"):
                del assoc
                gc.collect()
            await until(lambda: not server.active_associations)

    on_loop(main)


def test_serving_until_shutdown_and_until_cancelled(on_loop: Any) -> None:
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

    on_loop(main)


def test_a_client_serves_many_tasks_at_once(on_loop: Any, tmp_path: Path) -> None:
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

    on_loop(main)


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
        from dimsefast import evt
        from dimsefast.sop_class import PatientRootQueryRetrieveInformationModelFind as FIND
        from pydicom import Dataset

        async def rows(event):
            for _ in range(3):
                yield 0xFF00, event.identifier
            await asyncio.sleep(3600)

        async def find(assoc, begun):
            wanted = Dataset()
            wanted.QueryRetrieveLevel = "PATIENT"
            async for _ in assoc.send_c_find(wanted, FIND):
                begun.set()

        async def main():
            global server, assoc, task
            ae = aio.AE()
            ae.add_supported_context(FIND)
            ae.add_supported_context(Verification)
            server = await ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, rows)])
            assoc = await connect(server.port)
            other = await connect(server.port)
            assert (await assoc.send_c_echo()).Status == 0
            asking = await aio.AE().connect("127.0.0.1", server.port, contexts=[build_context(FIND)])
            begun = asyncio.Event()
            task = asyncio.ensure_future(find(asking, begun))
            await begun.wait()

        asyncio.run(main())
        del assoc, task
        gc.collect()
        print("over")
        """)
    )
    assert (status, out) == (0, "over\n")
    # The association of the query was aborted with its task, or is said like the others.
    assert 2 <= err.count("never released") <= 3
    assert all("ResourceWarning" in line for line in err.splitlines() if "Warning" in line), err
    assert "never awaited" not in err and "was destroyed" not in err


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
