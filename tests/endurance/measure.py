"""A receiver in a process of its own, and what it uses."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from dimsefast import AE

from tests.conformance.pdus import NAMES

RECEIVER = """
import sys
from dimsefast import AE, DISCARD
from tests.conformance.pdus import NAMES
ae = AE("RECEIVER")
ae.maximum_associations = int(sys.argv[1])
ae.network_timeout = ae.acse_timeout = float(sys.argv[2])
for name in ("verification", "ct"):
    ae.add_supported_context(NAMES[name])
server = ae.start_server(("127.0.0.1", 0), block=False, store_to=DISCARD)
print(server.port, flush=True)
server.serve_until_shutdown()
"""

#: How long the receiver may take to give back what it used, in seconds.
SETTLE = 60.0


class Usage(NamedTuple):
    """Of a process: resident memory in bytes, threads, descriptors."""

    resident: int
    threads: int
    descriptors: int

    @classmethod
    def of(cls, pid: int | str) -> Usage:
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        resident = int(status["VmRSS"].split()[0]) * 1024
        return cls(resident, int(status["Threads"]), len(os.listdir(f"/proc/{pid}/fd")))

    def __str__(self) -> str:
        return f"{self.resident / 1e6:.1f} MB, {self.threads} threads, {self.descriptors} descriptors"


class Receiver(NamedTuple):
    """A running one."""

    pid: int
    port: int

    def usage(self) -> Usage:
        return Usage.of(self.pid)

    def socket(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def echoes(self) -> float:
        """Connects, echoes and releases; the seconds that it took. Raises where it is refused."""
        ae = AE("HONEST")
        ae.add_requested_context(NAMES["verification"])
        begin = time.perf_counter()
        with ae.connect("127.0.0.1", self.port) as association:
            assert association.send_c_echo().Status == 0x0000
        return time.perf_counter() - begin


@contextmanager
def receiver(maximum_associations: int, timeout: float) -> Iterator[Receiver]:
    """A receiver that drops what it gets, with these limits."""
    command = [sys.executable, "-c", RECEIVER, str(maximum_associations), str(timeout)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        found = Receiver(process.pid, int(process.stdout.readline()))
        found.echoes()
        yield found
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Waits until it holds; raises RuntimeError after `SETTLE` seconds."""
    deadline = time.monotonic() + SETTLE
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not after {SETTLE:.0f} s")
        time.sleep(0.05)


def percentiles(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    at = [ordered[int(share * (len(ordered) - 1))] * 1000 for share in (0.5, 0.99, 1.0)]
    return f"median {at[0]:.1f} ms, 99 % {at[1]:.1f} ms, longest {at[2]:.1f} ms, of {len(ordered)}"
