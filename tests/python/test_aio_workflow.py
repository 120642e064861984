"""Workflow over asyncio where it differs: who is told by coroutines, who waits in tasks, what a task leaves behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from dimsefast import aio, build_context
from dimsefast import workflow as blocking
from dimsefast.aio import workflow
from dimsefast.sop_class import (
    CTImageStorage,
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepWatch,
)
from loops import LIMIT, until
from pydicom import Dataset
from test_storage_commitment import ONE, held
from test_ups import step

UPS = [build_context(uid) for uid in (UnifiedProcedureStepPush, UnifiedProcedureStepPull, UnifiedProcedureStepWatch)]


async def serve(title: str, service: Any) -> Any:
    contexts, handlers = service.contexts, service.handlers
    ae = aio.AE(title)
    ae.maximum_associations = 100
    return await ae.start_server(("127.0.0.1", 0), block=False, contexts=contexts, evt_handlers=handlers)


def test_it_has_the_names_of_the_blocking_face() -> None:
    assert workflow.__all__ == blocking.__all__
    for module, other in ((workflow.mpps, blocking.mpps), (workflow.ups, blocking.ups)):
        for name in module.__all__:
            assert getattr(other, name).__module__.startswith("dimsefast.workflow")


def test_who_asked_is_told_on_the_loop_and_others_wait_for_the_same_report(on_loop: Any) -> None:
    proceed = threading.Event()

    def slow(references: Sequence[blocking.Reference]) -> Mapping[str, str | int]:
        assert proceed.wait(LIMIT)
        return held(references)

    async def main() -> None:
        told: list[Any] = []

        async def on_result(result: workflow.CommitmentResult) -> None:
            await asyncio.sleep(0)
            told.append((result, threading.get_ident()))

        user = workflow.StorageCommitmentUser(on_result)
        with workflow.StorageCommitmentProvider(slow) as provider:
            async with await serve("ARCHIVE", provider) as server:
                ae, options = aio.AE("MODALITY"), {"contexts": user.contexts, "evt_handlers": user.handlers}
                async with await ae.connect("127.0.0.1", server.port, **options) as assoc:
                    transaction = await user.request(assoc, [*ONE, (CTImageStorage, "1.404")])
                    impatient, patient = (asyncio.create_task(transaction.wait(LIMIT)) for _ in range(2))
                    await asyncio.sleep(0)
                    impatient.cancel()
                    with pytest.raises(TimeoutError, match=transaction.uid):
                        await transaction.wait(0)
                    proceed.set()
                    result = await patient
                    assert impatient.cancelled() and not result.ok and len(result.committed) == 1
                    assert transaction.result == result
                    await until(lambda: told)
        assert told == [(result, threading.get_ident())]

    on_loop(main)


def test_commitment_and_ups_in_many_tasks_at_once(on_loop: Any) -> None:
    async def main() -> None:
        events: list[Any] = []

        async def on_event(event: workflow.UpsEvent) -> None:
            await asyncio.sleep(0)
            events.append((event.event_type, event.sop_instance))

        watcher = workflow.UpsWatcher(on_event)
        listening = await serve("WATCHER", watcher)
        with (
            workflow.StorageCommitmentProvider(held) as committing,
            workflow.UpsProvider(addresses={"WATCHER": listening.address}) as worklist,
        ):
            server = await serve("RIS", workflow.Combined(committing, worklist))
            user = workflow.StorageCommitmentUser()

            async def commit() -> bool:
                return (await user.commit(aio.AE("MODALITY"), "127.0.0.1", server.port, ONE, timeout=LIMIT)).ok

            async def schedule() -> str:
                async with await aio.AE("RIS").connect("127.0.0.1", server.port, contexts=UPS) as assoc:
                    uid = await workflow.ups.create(assoc, step())
                    claim = await workflow.ups.claim(assoc, uid)
                    await claim.cancel("not today")
                    return uid

            async with await aio.AE("RIS").connect("127.0.0.1", server.port, contexts=UPS) as assoc:
                await workflow.ups.subscribe(assoc, "WATCHER")
                done = await asyncio.gather(*(commit() for _ in range(20)), *(schedule() for _ in range(10)))
                keys = Dataset()
                keys.ProcedureStepState, keys.SOPInstanceUID = "CANCELED", ""
                found = {str(one.SOPInstanceUID) async for one in workflow.ups.find(assoc, keys)}
            assert done[:20] == [True] * 20 and found == set(done[20:])
            await until(lambda: len(events) == 40)
        assert sorted(events) == sorted((kind, uid) for uid in found for kind in (1, 1, 3, 1))
        await server.shutdown()
        await listening.shutdown()

    on_loop(main)


def test_a_find_that_is_left_early_ends_for_the_peer_and_the_association_goes_on(on_loop: Any) -> None:
    async def main() -> None:
        with workflow.UpsProvider() as worklist:
            server = await serve("RIS", worklist)
            async with await aio.AE("RIS").connect("127.0.0.1", server.port, contexts=UPS) as assoc:
                for _ in range(5):
                    await workflow.ups.create(assoc, step())
                keys = Dataset()
                keys.SOPInstanceUID = ""
                first = await anext(workflow.ups.find(assoc, keys))
                everything = await workflow.ups.get(assoc, str(first.SOPInstanceUID))
                assert everything.ProcedureStepState == "SCHEDULED" and assoc.is_established
            await server.shutdown()

    on_loop(main)
