"""What only asyncio has: async handlers, leaving early, and other ways out of an `async for`.

What both faces do the same way is tested over both, see `faces`; cancellation, and loops and processes, have files of
their own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from dimsefast import AssociationTimeout, PeerUnreachable, aio, build_context, build_role, evt
from dimsefast.sop_class import CTImageStorage, PrintJob, Verification
from loops import ASKED, connect, match, provider, silent_listener, until
from pydicom import dcmread
from service_cases import CT, FIND, GET, MOVE, counts, query

# Handlers


def test_async_handlers_run_on_the_loop_and_plain_ones_do_not(on_loop: Any) -> None:
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

    on_loop(main)


def test_what_passes_is_told_on_the_loop_before_the_request_is_over(on_loop: Any) -> None:
    told: list[tuple[str, int]] = []

    async def on_message(event: Any) -> None:
        await asyncio.sleep(0)
        told.append((event.message.message_type, threading.get_ident()))

    async def end_it(event: Any) -> None:
        await event.assoc.release()
        told.append(("released", threading.get_ident()))

    async def main() -> None:
        here = threading.get_ident()
        handlers = [(evt.EVT_DIMSE_SENT, on_message), (evt.EVT_DIMSE_RECV, on_message)]
        async with provider() as server:
            assoc = await connect(server, evt_handlers=handlers)
            assert (await assoc.send_c_echo()).Status == 0
            assert told == [("C-ECHO RQ", here), ("C-ECHO RSP", here)]
            assoc.bind(evt.EVT_DIMSE_RECV, end_it)
            assoc.unbind(evt.EVT_DIMSE_RECV, on_message)
            assert (await assoc.send_c_echo()).Status == 0
            assert told[2:] == [("C-ECHO RQ", here), ("released", here)]
            assert assoc.is_released

    on_loop(main)


def test_async_generators_answer_find_get_and_move(on_loop: Any, tmp_path: Path) -> None:
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

    on_loop(main)


def test_what_a_move_handler_says_of_its_destination_may_be_async(on_loop: Any) -> None:
    told: list[tuple[str, int]] = []

    async def on_established(event: Any, *more: str) -> None:
        await asyncio.sleep(0)
        told.append((f"established {more[0]}", threading.get_ident()))

    async def report(result: Any) -> None:
        await asyncio.sleep(0)
        told.append((f"stored {result.status}", threading.get_ident()))

    async def main() -> None:
        handlers: Any = [(evt.EVT_ESTABLISHED, on_established, ["here"])]

        async def on_move(event: Any) -> AsyncIterator[Any]:
            yield "127.0.0.1", receiver.port, {"evt_handlers": handlers, "report": report}
            yield 1
            yield 0xFF00, CT

        async with (
            provider((evt.EVT_C_STORE, lambda event: 0)) as receiver,
            provider((evt.EVT_C_MOVE, on_move)) as server,
        ):
            async with await connect(server) as assoc:
                *_, (status, _) = [one async for one in assoc.send_c_move(ASKED, "OTHER", MOVE)]
                assert counts(status) == (0, None, 1, 0, 0)
                here = threading.get_ident()
                assert told == [("established here", here), ("stored 0", here)]
                handlers = [3]
                *_, (status, _) = [one async for one in assoc.send_c_move(ASKED, "OTHER", MOVE)]
                assert status.Status == 0xC515

    on_loop(main)


def test_where_an_object_goes_may_be_asked_for_on_the_loop(on_loop: Any, tmp_path: Path) -> None:
    async def decide(request: Any, association: Any, header: Any) -> Any:
        await asyncio.sleep(0)
        return tmp_path / header["PatientID"]

    async def main() -> None:
        async with provider(store_to=decide) as server, await connect(server) as assoc:
            assert (await assoc.send_c_store(CT)).Status == 0
        assert [path.parent.name for path in tmp_path.rglob("*.dcm")] == [dcmread(CT).PatientID]

    on_loop(main)


def test_what_an_async_handler_raises_is_its_status(on_loop: Any, caplog: pytest.LogCaptureFixture) -> None:
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

    on_loop(main)
    assert "on purpose" in caplog.text


def test_a_request_on_the_association_whose_async_handler_runs_is_an_error_at_once_for_a_requestor(
    on_loop: Any,
) -> None:
    caught: list[str] = []
    statuses: list[int] = []
    later: list[Any] = []
    over = asyncio.Event()

    async def on_report(event: Any) -> Any:
        with pytest.raises(RuntimeError, match="whose request it handles") as raised:
            await event.assoc.send_n_get([], PrintJob, "1.2.3")
        caught.append(str(raised.value))
        later.append(asyncio.ensure_future(after(event.assoc)))
        return 0x0107, None

    async def after(assoc: Any) -> None:
        """What a handler leaves behind may use it."""
        await over.wait()
        assert (await assoc.send_n_get([], PrintJob, "1.2.3"))[0].Status == 0

    async def on_get(event: Any) -> Any:
        if not statuses:
            status, _ = await event.assoc.send_n_event_report(None, 1, PrintJob, "1.2.3")
            statuses.append(status.Status)
        return 0x0000, None

    async def main() -> None:
        ae = aio.AE()
        ae.add_supported_context(PrintJob)
        ae.add_requested_context(PrintJob)
        server = await ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_GET, on_get)])
        handlers = [(evt.EVT_N_EVENT_REPORT, on_report)]
        async with server, await ae.connect("127.0.0.1", server.port, evt_handlers=handlers) as assoc:
            assert (await assoc.send_n_get([], PrintJob, "1.2.3"))[0].Status == 0
            over.set()
            await later[0]

    on_loop(main)
    assert (len(caught), statuses) == (1, [0x0107])


@pytest.mark.parametrize("how", ["release", "abort"])
def test_an_async_handler_may_end_its_own_association(on_loop: Any, how: str) -> None:
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

    on_loop(main)


# Leaving early, time-outs, order


def test_leaving_an_async_for_early_cancels_and_the_next_request_sees_its_own_responses(on_loop: Any) -> None:
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

    on_loop(main)


def test_time_outs_are_those_of_the_blocking_face(on_loop: Any) -> None:
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

    on_loop(main)


def test_asyncio_timeout_around_an_operation(on_loop: Any) -> None:
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

    on_loop(main)


def test_tasks_on_one_association_take_turns(on_loop: Any) -> None:
    async def main() -> None:
        async with provider() as server, await connect(server) as assoc:
            statuses = await asyncio.gather(*(assoc.send_c_echo() for _ in range(50)))
            assert [status.Status for status in statuses] == [0] * 50

    on_loop(main)


def test_a_request_from_within_the_progress_is_an_error_and_no_hang(on_loop: Any) -> None:
    async def main() -> None:
        async def items() -> AsyncIterator[Any]:
            yield CT
            with pytest.raises(RuntimeError, match="in progress on this very"):
                await assoc.send_c_echo()
            yield CT.read_bytes()

        async with provider((evt.EVT_C_STORE, lambda event: 0)) as server, await connect(server) as assoc:
            results = [result async for result in assoc.store(items())]
            assert [result.status for result in results] == [0, 0]

    on_loop(main)


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_slow_loop_holds_up_the_peer_and_nothing_is_lost(on_loop: Any, kind: str) -> None:
    ahead: list[int] = []

    async def async_rows(event: Any) -> AsyncIterator[Any]:
        for row in rows(event):
            yield row

    def rows(event: Any) -> Iterator[Any]:
        for number in range(20_000):
            ahead.append(number)
            yield 0xFF00, match(number, 2000)

    async def main() -> None:
        async with (
            provider((evt.EVT_C_FIND, rows if kind == "plain" else async_rows)) as server,
            await connect(server) as assoc,
        ):
            responses = assoc.send_c_find(ASKED, FIND)
            await anext(responses)
            before = -1
            while before != len(ahead):
                before = len(ahead)
                await asyncio.sleep(0.2)
            # What fits into the sockets and the connection: the rest waits.
            assert before < 10_000
            numbers = [found.PatientID async for _, found in responses if found is not None]
            assert numbers == [str(number) for number in range(1, 20_000)]

    on_loop(main)
