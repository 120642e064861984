"""The same as `call.py` for asyncio: echo, find and store.

python benches/call_asyncio.py PORT store FOLDER COUNT | echo N [TASKS] | find N raw|read

With TASKS, as many associations of one loop share the work.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from call import query
from dimsefast import aio, build_context
from dimsefast.dataset import encode_dataset
from process import forget_peak, own_memory
from serve import CT, EXPLICIT, FIND, VERIFICATION


async def associated(port: int, *contexts: Any) -> aio.Association:
    return await aio.AE("CALLER").connect("127.0.0.1", port, ae_title="ARCHIVE", contexts=list(contexts))


async def measured(work: Awaitable[int]) -> dict[str, float]:
    """The work gives its count."""
    forget_peak()
    idle, _ = own_memory()
    begin, cpu = time.perf_counter(), time.process_time()
    count = await work
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    return {"count": count, "seconds": seconds, "cpu": cpu, "memory": own_memory()[1] - idle}


async def store(port: int, folder: str, count: str) -> dict[str, float]:
    paths = sorted(Path(folder).iterdir())[: int(count)]
    async with await associated(port, build_context(CT, EXPLICIT)) as assoc:

        async def work() -> int:
            return sum([result.status == 0x0000 async for result in assoc.store(paths)])

        return await measured(work())


async def echo(port: int, count: str, tasks: str = "1") -> dict[str, float]:
    context = build_context(VERIFICATION, EXPLICIT)
    associations = [await associated(port, context) for _ in range(int(tasks))]

    async def some(assoc: aio.Association) -> int:
        return sum([(await assoc.send_c_echo()).Status == 0 for _ in range(int(count) // len(associations))])

    async def work() -> int:
        return sum(await asyncio.gather(*map(some, associations)))

    found = await measured(work())
    for assoc in associations:
        await assoc.release()
    return found


async def find(port: int, count: str, how: str) -> dict[str, float]:
    """Counts Pending responses."""
    wanted = query("IMAGE", PatientID=count)

    async def raw() -> int:
        encoded = encode_dataset(wanted, EXPLICIT)
        found = 0
        async for _, identifier in assoc.find(encoded, FIND, raw=True):
            found += identifier is not None
        return found

    async def read() -> int:
        found = 0
        async for _, identifier in assoc.send_c_find(wanted, FIND):
            if identifier is not None and identifier.PatientName and identifier.SOPInstanceUID:
                found += 1
        return found

    async with await associated(port, build_context(FIND, EXPLICIT)) as assoc:
        return await measured({"raw": raw, "read": read}[how]())


def main() -> None:
    calls: dict[str, Callable[..., Any]] = {call.__name__: call for call in (store, echo, find)}
    print(json.dumps(asyncio.run(calls[sys.argv[2]](int(sys.argv[1]), *sys.argv[3:]))))


if __name__ == "__main__":
    main()
