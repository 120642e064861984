"""Tasks that are cancelled at each step: what becomes of the association is defined."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from dimsefast import build_context, build_role, evt
from dimsefast.sop_class import BasicFilmSession, CTImageStorage, Verification
from loops import ASKED, connect, match, provider, silent_listener, until
from service_cases import CT, FIND, GET, MOVE


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


def test_cancelled_while_connecting_it_leaves_nothing(on_loop: Any) -> None:
    async def main() -> None:
        with silent_listener() as port:
            await cancelled(connect(port))

    on_loop(main)


#: A request of each service that has one answer.
ONE_ANSWER: dict[str, Callable[[Any], Any]] = {
    "EVT_C_ECHO": lambda assoc: assoc.send_c_echo(),
    "EVT_C_STORE": lambda assoc: assoc.send_c_store(CT),
    "EVT_N_EVENT_REPORT": lambda assoc: assoc.send_n_event_report(match(1), 1, BasicFilmSession, "1.2.3"),
    "EVT_N_GET": lambda assoc: assoc.send_n_get([], BasicFilmSession, "1.2.3"),
    "EVT_N_SET": lambda assoc: assoc.send_n_set(match(1), BasicFilmSession, "1.2.3"),
    "EVT_N_ACTION": lambda assoc: assoc.send_n_action(None, 1, BasicFilmSession, "1.2.3"),
    "EVT_N_CREATE": lambda assoc: assoc.send_n_create(match(1), BasicFilmSession),
    "EVT_N_DELETE": lambda assoc: assoc.send_n_delete(BasicFilmSession, "1.2.3"),
}


@pytest.mark.parametrize("service", ONE_ANSWER)
def test_cancelled_while_it_waits_for_an_answer_the_association_is_aborted(on_loop: Any, service: str) -> None:
    async def main() -> None:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def slow(event: Any) -> int:
            begun.set()
            await go_on.wait()
            return 0

        uids = (Verification, CTImageStorage, BasicFilmSession)
        contexts = [build_context(uid) for uid in uids]
        async with provider((getattr(evt, service), slow), contexts=contexts) as server:
            assoc = await connect(server, *uids)
            await cancelled(ONE_ANSWER[service](assoc), begun.is_set)
            assert assoc.is_aborted
            go_on.set()
            await until(lambda: not server.active_associations)
            with pytest.raises(RuntimeError, match="not established"):
                await assoc.send_c_echo()

    on_loop(main)


@pytest.mark.parametrize("model", [FIND, MOVE, GET])
def test_cancelled_while_it_waits_for_responses_c_cancel_is_sent_and_the_association_goes_on(
    on_loop: Any, model: str
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

    on_loop(main)


def test_cancelled_in_the_middle_of_many_objects_the_association_is_aborted(on_loop: Any) -> None:
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

    on_loop(main)


def test_cancelled_while_it_waits_for_its_turn_nothing_happens(on_loop: Any) -> None:
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

    on_loop(main)


def test_cancelled_while_it_is_released_it_is_aborted(on_loop: Any) -> None:
    async def main() -> None:
        async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(65536)
            writer.write(accept)
            # And never confirms a release.
            await reader.read(65536)
            released.set()
            abort = await reader.readexactly(10)
            assert abort[0] == 0x07
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

    on_loop(main)


def _accept() -> bytes:
    """An A-ASSOCIATE-AC for one context, PS3.8 9.3.3."""

    def item(kind: int, body: bytes) -> bytes:
        return bytes([kind, 0]) + len(body).to_bytes(2, "big") + body

    context = item(0x21, bytes([1, 0, 0, 0]) + item(0x40, b"1.2.840.10008.1.2"))
    user = item(0x50, item(0x51, (16384).to_bytes(4, "big")) + item(0x52, b"1.2.3"))
    titles = b"ANY-SCP".ljust(16) + b"REQUESTOR".ljust(16) + bytes(32)
    body = bytes([0, 1, 0, 0]) + titles + item(0x10, b"1.2.840.10008.3.1.1.1") + context + user
    return bytes([2, 0]) + len(body).to_bytes(4, "big") + body
