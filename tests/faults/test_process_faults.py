"""Processes that are killed or told to end, and descriptors that are used up."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import wait_until
from dimsefast import AE
from pydicom import dcmread

from .services import CT, VERIFICATION, connect, make_object, provider

RECEIVER = """
import resource, sys
from pathlib import Path
from dimsefast import AE, StoreTo
if len(sys.argv) > 2:
    limit = len(__import__("os").listdir("/proc/self/fd")) + int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
ae = AE("RECEIVER")
ae.maximum_associations = 1000
ae.add_supported_context("1.2.840.10008.1.1")
ae.add_supported_context("1.2.840.10008.5.1.4.1.1.2")
server = ae.start_server(("127.0.0.1", 0), block=False, store_to=StoreTo(Path(sys.argv[1])))
print(server.port, flush=True)
server.serve_until_shutdown()
"""


@contextmanager
def receiver(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A receiver in a process of its own, and its port."""
    command = [sys.executable, "-c", RECEIVER, str(folder), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def requestor() -> AE:
    ae = AE("SENDER")
    ae.add_requested_context(CT)
    ae.add_requested_context(VERIFICATION)
    return ae


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_receiver_keeps_what_it_acknowledged(tmp_path: Path, how: signal.Signals) -> None:
    with receiver(tmp_path) as (process, port):
        association = requestor().connect("127.0.0.1", port)
        acknowledged: list[str] = []

        def send() -> None:
            for number in range(100_000):
                if association.send_c_store(make_object(number)).get("Status") != 0x0000:
                    return
                acknowledged.append(f"1.2.3.{number}")

        thread = threading.Thread(target=send)
        thread.start()
        wait_until(lambda: len(acknowledged) > 100, "some objects")
        process.send_signal(how)
        process.wait(30)
        thread.join(60)
        assert not thread.is_alive()
        association.abort()
    for uid in acknowledged:
        found = dcmread(tmp_path / f"{uid}.dcm")
        assert (found.SOPInstanceUID, len(found.PatientComments)) == (uid, 3000)
    # What was not acknowledged is whole or gone, at the latest when the folder is used again.
    with receiver(tmp_path) as (_, port), requestor().connect("127.0.0.1", port) as association:
        assert association.send_c_store(make_object(0)).Status == 0x0000
    assert all(path.suffix == ".dcm" and dcmread(path).PatientComments for path in tmp_path.iterdir())


def test_a_killed_requestor_is_noticed(tmp_path: Path) -> None:
    program = (
        "import sys; from tests.faults.services import connect, make_object\n"
        "association = connect(int(sys.argv[1]))\n"
        "for number in range(100_000): association.send_c_store(make_object(number)); print('sent', flush=True)\n"
    )
    with provider([0], tmp_path) as server:
        command = [sys.executable, "-c", program, str(server.port)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
        assert process.stdout is not None
        for _ in range(20):
            assert process.stdout.readline() == "sent\n"
        process.kill()
        process.wait(30)
        process.stdout.close()
        wait_until(lambda: not server.active_associations, "the end of the association")
        assert not [path for path in tmp_path.iterdir() if path.suffix != ".dcm"]
        association = connect(server.port)
        assert association.send_c_echo().Status == 0x0000
        association.release()


def test_accepting_pauses_where_descriptors_are_used_up_and_goes_on(tmp_path: Path) -> None:
    with receiver(tmp_path, "20") as (process, port):
        streams = [socket.create_connection(("127.0.0.1", port)) for _ in range(40)]
        descriptors = Path(f"/proc/{process.pid}/fd")
        limit = _descriptor_limit(process.pid)
        wait_until(lambda: len(os.listdir(descriptors)) >= limit - 1, "the use of all descriptors")
        before = _cpu_ticks(process.pid)
        for stream in streams:
            stream.close()
        with requestor().connect("127.0.0.1", port) as association:
            assert association.send_c_store(make_object(1)).Status == 0x0000
            assert association.send_c_echo().Status == 0x0000
        # It did not spin: 100 ticks are a second of CPU time.
        assert _cpu_ticks(process.pid) - before < 300


def _descriptor_limit(pid: int) -> int:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Max open files")).split()[3])


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
