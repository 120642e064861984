"""`dimsefast serve` as a program, for tests; and a wire that can be held up."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

#: Generous: machines may be busy.
LIMIT = 60


class Served:
    """An archive server in a process of its own; its log goes to a file."""

    def __init__(self, folder: Path, log: Path, *arguments: Any) -> None:
        self.folder, self.log = folder, log
        command = [sys.executable, "-m", "dimsefast", "serve", folder, "--address", "127.0.0.1", "-p", 0, "--json"]
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [*map(str, command), *map(str, arguments)], stdout=subprocess.PIPE, stderr=errors, text=True
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.process.wait(LIMIT)
            raise AssertionError(f"it ended: {log.read_text()}")
        self.held: dict[str, Any] = json.loads(line)
        self.port = int(self.held["listening"].rpartition(":")[2])
        self.name = f"{self.held['ae_titles'][0]}@127.0.0.1:{self.port}"

    def http(self, path: str) -> tuple[int, str]:
        """Status and text of a GET at the address of the metrics."""
        try:
            with urllib.request.urlopen(f"http://{self.held['metrics']}{path}", timeout=LIMIT) as response:
                return response.status, response.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def rows(self) -> list[dict[str, Any]]:
        """The log's lines as JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def end(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal, and waits for the end."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        try:
            return self.process.wait(LIMIT)
        finally:
            self.process.kill()
            assert self.process.stdout is not None
            self.process.stdout.close()


@contextmanager
def served(folder: Path, *arguments: Any) -> Iterator[Served]:
    """Serves, and ends it by SIGTERM, with status 0."""
    server = Served(folder, folder.with_name(f"{folder.name}.log"), *arguments)
    try:
        yield server
    except BaseException:
        server.process.kill()
        server.wait()
        raise
    assert server.end() == 0, server.log.read_text()


class Gate:
    """A wire to a port that lets so many bytes of the one who connects through, and the rest once it is opened.

    It may say something itself first.
    """

    def __init__(self, port: int, limit: int, greeting: bytes = b"") -> None:
        self._target, self._left, self._greeting = port, limit, greeting
        self.reached, self._open = threading.Event(), threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        try:
            near, _ = self._listener.accept()
        except OSError:
            return
        far = socket.create_connection(("127.0.0.1", self._target))
        far.sendall(self._greeting)
        back = threading.Thread(target=self._copy, args=(far, near, False))
        back.start()
        self._copy(near, far, True)
        back.join()
        near.close()
        far.close()

    def _copy(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        try:
            while data := source.recv(65536):
                while counted and len(data) > self._left and not self._open.is_set():
                    target.sendall(data[: self._left])
                    data, self._left = data[self._left :], 0
                    self.reached.set()
                    self._open.wait(LIMIT)
                target.sendall(data)
                self._left -= len(data) if counted else 0
            target.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (source, target):
                end.close()

    def open(self) -> None:
        """Lets everything through from now on."""
        self._open.set()

    def close(self) -> None:
        self.open()
        self._listener.close()
        for thread in self._threads:
            thread.join(LIMIT)
