"""Objects that are broken off, folders that are gone, disks that are full: nothing is left, nothing else fails."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import AE, StoreTo, build_context
from dimsefast.sop_class import CTImageStorage
from pydicom import Dataset, dcmread
from storing_cases import CT, EXPLICIT, Told, encoded, names, storing


class Valve:
    """A proxy in front of a server that passes so many bytes of its client, and no more until it is opened."""

    def __init__(self, port: int, passed: int) -> None:
        self.left = passed
        self.open = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.server = socket.create_connection(("127.0.0.1", port))
        self.threads = [threading.Thread(target=self.forth), threading.Thread(target=self.back)]
        self.client: socket.socket | None = None
        self.connected = threading.Event()
        for thread in self.threads:
            thread.start()

    def forth(self) -> None:
        self.client, _ = self.listener.accept()
        self.connected.set()
        with self.client:
            while self.left and (data := self.client.recv(min(self.left, 65536))):
                self.server.sendall(data)
                self.left -= len(data)
            self.open.wait(20)

    def back(self) -> None:
        self.connected.wait(20)
        assert self.client is not None
        while True:
            try:
                data = self.server.recv(65536)
                self.client.sendall(data)
            except OSError:
                return
            if not data:
                return

    def break_off(self) -> None:
        """The peer is gone."""
        self.server.shutdown(socket.SHUT_RDWR)
        self.open.set()
        for thread in self.threads:
            thread.join()
        self.server.close()
        self.listener.close()


@pytest.mark.parametrize("layout", ["{SOPInstanceUID}.dcm", "{PatientID}/{SOPInstanceUID}.dcm"])
def test_an_object_that_is_broken_off_leaves_nothing(tmp_path: Path, layout: str) -> None:
    ae = AE("RECEIVER")
    ae.add_supported_context(CTImageStorage, EXPLICIT)
    with ae.start_server(("127.0.0.1", 0), block=False, store_to=StoreTo(tmp_path, layout)) as server:  # type: ignore[union-attr]
        valve = Valve(server.port, 20_000)
        assoc = AE().connect("127.0.0.1", valve.port, contexts=[build_context(CTImageStorage, EXPLICIT)])
        statuses: list[Any] = []
        thread = threading.Thread(target=lambda: statuses.append(assoc.send_c_store(CT)))
        thread.start()
        wait_until(lambda: names(tmp_path), "a file that is coming in")
        assert [name.endswith(".part") for name in names(tmp_path)] == [True]
        valve.break_off()
        wait_until(lambda: not names(tmp_path), "the removal of the unfinished file")
        thread.join()
        assert statuses == [Dataset()]
        assoc.abort()


def test_what_dead_processes_left_is_removed_at_start_and_nothing_else(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; sys.path[:0] = [sys.argv[2], str(Path(sys.argv[2]) / 'python')]\n"
        "import os, threading, test_storing_failures as t\n"
        "ae = t.AE('RECEIVER'); ae.add_supported_context(t.CTImageStorage, t.EXPLICIT)\n"
        "server = ae.start_server(('127.0.0.1', 0), block=False, store_to=sys.argv[1])\n"
        "valve = t.Valve(server.port, 20_000)\n"
        "assoc = t.AE().connect('127.0.0.1', valve.port, contexts=[t.build_context(t.CTImageStorage, t.EXPLICIT)])\n"
        "threading.Thread(target=assoc.send_c_store, args=(t.CT,), daemon=True).start()\n"
        "t.wait_until(lambda: t.names(t.Path(sys.argv[1])))\n"
        "print('coming', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path), str(Path(__file__).parents[1])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "coming\n"
        (left,) = names(tmp_path)
        (tmp_path / ".other.part").write_bytes(b"not ours")
        (tmp_path / "1.2.dcm").write_bytes(b"whole")
        try:
            with storing(tmp_path):
                assert left in names(tmp_path), "its process is alive"
        finally:
            process.kill()
    # Each process looks once: another one now.
    check = "import sys, dimsefast as d; d.StoreTo(sys.argv[1]).prepare()"
    subprocess.run([sys.executable, "-c", check, str(tmp_path)], check=True)
    assert names(tmp_path) == [".other.part", "1.2.dcm"]


def stored_raw(assoc: Any, instance: str, data: bytes) -> Any:
    """The response to a C-STORE under any UID."""
    context = next(context for context in assoc.accepted_contexts if context.abstract_syntax == CTImageStorage)
    connection = assoc._connection
    number = connection.begin()
    elements = [(0x0002, CTImageStorage), (0x0700, 0), (0x1000, instance)]
    connection.send_request(context.context_id, 0x0001, number, elements, data, 10.0)
    message = connection.receive(number, 10.0)
    connection.forget(number)
    return message


def test_a_folder_that_is_gone_fails_its_objects_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    told = Told(lambda event: event.dataset_path)
    with storing(folder, told.bound) as assoc:
        folder.rmdir()
        for instance in ("1.2.3", "1.2.34", "../../x", " 1.2 ", "unheard of"):
            response = stored_raw(assoc, instance, encoded(CT))
            assert response.status == 0xA700
            # PS3.7 9.1.1: the UID of the request, as it was sent.
            assert response.element(0x1000).rstrip(b"\0") == instance.encode()
        assert not told.seen
        assert assoc.send_c_echo().Status == 0x0000
        folder.mkdir()
        assert assoc.send_c_store(CT).Status == 0x0000
        wait_until(lambda: "could not be stored" in caplog.text, "a line in the log")
    assert len(names(folder)) == 1 and len(told.seen) == 1


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a file system of its own")
def test_a_full_disk_fails_the_object_and_leaves_nothing(tmp_path: Path) -> None:
    # A limit of the size of files has the same effect on the core as a full disk, and needs no file system of its own.
    program = (
        "import sys; from pathlib import Path; sys.path[:0] = [sys.argv[2], str(Path(sys.argv[2]) / 'python')]\n"
        "import resource, signal, test_storing_failures as t\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "with t.storing(sys.argv[1]) as assoc:\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))\n"
        "    print(hex(assoc.send_c_store(t.CT).Status), t.names(Path(sys.argv[1])), hex(assoc.send_c_echo().Status))\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "    print(hex(assoc.send_c_store(t.CT).Status))\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path), str(Path(__file__).parents[1])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["0xa700 [] 0x0", "0x0"], done
    assert names(tmp_path) == [f"{dcmread(CT).SOPInstanceUID}.dcm"]
