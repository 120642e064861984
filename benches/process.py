"""Programs under measurement: started, waited for, stopped, and what they took of CPU and memory (Linux)."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

#: Longest that one program may take for its work, in seconds.
LIMIT = 300.0
TICKS = os.sysconf("SC_CLK_TCK")


class Unavailable(Exception):
    """A peer is not installed."""


class Failed(Exception):
    """A program did not do what was asked of it."""


class Ran(NamedTuple):
    """A program that has ended: what it printed, wall-clock and CPU seconds of the whole process."""

    output: str
    seconds: float
    cpu: float


def program(name: str) -> str:
    """The path of an installed peer."""
    found = shutil.which(name)
    if found is None:
        raise Unavailable(f"{name} is not installed: make peers")
    return found


def environment(temporary: Path, nodelay: bool = True) -> dict[str, str]:
    """DCMTK turns Nagle's algorithm off only where it is told so here."""
    inherited = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}
    return {**inherited, "TMPDIR": str(temporary), **({"TCP_NODELAY": "1"} if nodelay else {})}


def run(command: Sequence[object], temporary: Path, nodelay: bool = True) -> Ran:
    """Runs a program to its end. Raises Failed where it says that it failed."""
    words = [str(word) for word in command]
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        begin = time.perf_counter()
        process = subprocess.Popen(words, stdout=output, stderr=errors, env=environment(temporary, nodelay))
        watchdog = threading.Timer(LIMIT, process.kill)
        watchdog.start()
        try:
            # The resources of this one process: those of RUSAGE_CHILDREN are of all that ever ended.
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            watchdog.cancel()
            if process.returncode is None:
                process.kill()
                process.wait()
        seconds = time.perf_counter() - begin
        if process.returncode != 0:
            raise Failed(f"{Path(words[0]).name} ended with {process.returncode}: {_tail(errors) or _tail(output)}")
        output.seek(0)
        return Ran(output.read().decode(errors="replace"), seconds, usage.ru_utime + usage.ru_stime)


def _tail(file: Any) -> str:
    file.seek(0)
    return " ".join(file.read().decode(errors="replace").split())[-500:]


def free_port() -> int:
    """A port that nobody listens on now: for programs that cannot say which one they were given."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    # Looked up and not tried: a connection that says nothing would be the first thing that the server has to serve.
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if int(fields[1].rpartition(":")[2], 16) == port and fields[3] == "0A":
                return True
    return False


def wait_until(condition: Callable[[], bool], what: str, limit: float = 30) -> None:
    """Waits until it holds; raises Failed after the limit, in seconds."""
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"{what} did not come true in {limit} s")
        time.sleep(0.005)


class Server:
    """A program that serves, until the end of the `with` block.

    Without a port the program prints the one it was given, and ends when its standard input does: the benchmark's own
    programs. With a port it is one that was told to listen there.
    """

    def __init__(
        self, command: Sequence[object], temporary: Path, port: int | None = None, nodelay: bool = True
    ) -> None:
        self._own = port is None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115, closed by `stop`
        self._process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if self._own else self._errors,
            stderr=self._errors,
            env=environment(temporary, nodelay),
            # A process group of its own: its forked children are signalled with it.
            start_new_session=True,
        )
        try:
            self.port = self._printed_port() if port is None else port
            wait_until(self._is_up, f"{command[0]} listening on port {self.port}")
        except BaseException:
            self.stop()
            raise

    def _printed_port(self) -> int:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line.isdigit():
            raise Failed(f"a server ended before it listened: {_tail(self._errors)}")
        return int(line)

    def _is_up(self) -> bool:
        if self._process.poll() is not None:
            raise Failed(f"a server ended before it listened: {_tail(self._errors)}")
        return _listens(self.port)

    def stop(self) -> None:
        """Stops it, in any state."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        if not self._own:
            self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self._signal(signal.SIGKILL)
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()

    def _signal(self, number: signal.Signals) -> None:
        """Signals it and its children, of which there may be none left."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def cpu(self) -> float:
        """CPU seconds so far, of its children, too, in hundredths."""
        return _cpu(self._process.pid)

    def memory(self) -> int:
        """Bytes that are resident now."""
        return _status(self._process.pid, "VmRSS")

    def anonymous(self) -> int:
        """Bytes that are resident now and are those of no file: a database maps its pages."""
        return _status(self._process.pid, "RssAnon")

    def forget_peak(self) -> None:
        """`peak` counts from here."""
        forget_peak(self._process.pid)

    def peak(self) -> int:
        """The most bytes that were resident."""
        return _status(self._process.pid, "VmHWM")


def forget_peak(pid: int | str = "self") -> None:
    """Sets the high-water mark of a process to what is resident now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _status(pid: int | str, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise Failed(f"process {pid} has no {name}")


def own_memory() -> tuple[int, int]:
    """Bytes of this process that are resident now, and at most."""
    return _status("self", "VmRSS"), _status("self", "VmHWM")


def _cpu(pid: int) -> float:
    """Of a process, of its children that have been waited for, and of those that have not."""
    # The program's name may have spaces: the fields after its last parenthesis are counted. They are utime and stime of
    # the process, and of the children that it has waited for.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]
    seconds = sum(map(int, fields)) / TICKS
    for task in Path(f"/proc/{pid}/task").iterdir():
        # A thread may end while this looks, and a child be waited for: its parent's fields have it by the next look.
        with suppress(FileNotFoundError, ProcessLookupError):
            seconds += sum(_cpu(int(child)) for child in (task / "children").read_text().split())
    return seconds
