"""One measurement each: a kind of server and a kind of client, for one round."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from archives import NOWHERE, ArchiveKind
from clients import CallKind, Client, Done, StoreKind, findscu, getscu, own_move, own_store, perform
from objects import Objects, Setting
from process import Failed, Server, environment
from servers import ServerKind, own_folder, script, storescp_ignore


class Outcome(NamedTuple):
    """What one cell gave in one round: the figure that is compared, and others by their names."""

    value: float
    figures: dict[str, float]


Measure = Callable[[Setting], Outcome]


def transferred(done: Done, objects: Objects, count: int) -> Outcome:
    """Objects a second, and what that took."""
    size = objects.size * done.count / count / 1e9
    figures = {
        "MB/s": 1000 * size / done.seconds,
        "CPU s/GB": (done.cpu + done.server_cpu) / size,
        "with start": (done.cpu_with_start + done.server_cpu) / size,
    }
    return Outcome(done.count / done.seconds, figures)


def _called(done: Done) -> Outcome:
    figures = {
        "client CPU us each": 1e6 * done.cpu / done.count,
        "server CPU us each": 1e6 * done.server_cpu / done.count,
    }
    return Outcome(done.count / done.seconds, figures)


def _arrived(folder: Path, count: int) -> None:
    """Whether all objects are there: what was lost would be fast."""
    files = [path for path in folder.iterdir() if path.is_file()]
    if len(files) != count:
        raise Failed(f"{len(files)} of {count} objects arrived")


def store(server: ServerKind, client: StoreKind, objects: str = "ct", folder: bool = True) -> Measure:
    """Objects a second, from files; into a folder, or dropped."""

    def measure(setting: Setting) -> Outcome:
        sent: Objects = getattr(setting, objects)
        count = len(sent.paths)
        with setting.scratch() as into, server(setting, into) as running:
            done = perform(client(setting, running.port, sent), running, setting, count)
            if folder:
                _arrived(into, count)
            return transferred(done, sent, count)

    return measure


def call(server: ServerKind, client: CallKind, count: Callable[[Setting], int]) -> Measure:
    """Calls a second."""

    def measure(setting: Setting) -> Outcome:
        with setting.scratch() as into, server(setting, into) as running:
            return _called(perform(client(setting, running.port), running, setting, count(setting)))

    return measure


def find_in(archive: ArchiveKind) -> Measure:
    """Responses a second from an archive of small objects, to DCMTK's findscu."""

    def measure(setting: Setting) -> Outcome:
        archived, count = len(setting.small.paths), setting.sizes.responses
        with setting.scratch() as own, archive(setting, own, setting.small, NOWHERE) as running:
            # One more: the query that is taken off has no response.
            return _called(perform(findscu(setting, running.port, archived), running, setting, count + 1))

    return measure


def get(archive: ArchiveKind) -> Measure:
    """Objects a second to DCMTK's getscu, into a folder."""

    def measure(setting: Setting) -> Outcome:
        count = len(setting.ct.paths)
        with setting.scratch() as own, setting.scratch() as into, archive(setting, own, setting.ct, NOWHERE) as running:
            done = perform(getscu(running.port, into), running, setting, count)
            _arrived(into, count)
            return transferred(done, setting.ct, count)

    return measure


def move(archive: ArchiveKind) -> Measure:
    """Objects a second to DCMTK's storescp, which drops them; our requestor asks. CPU seconds are those of the archive
    and the requestor.
    """

    def measure(setting: Setting) -> Outcome:
        count = len(setting.ct.paths)
        with (
            setting.scratch() as own,
            storescp_ignore(setting, own) as destination,
            archive(setting, own, setting.ct, destination.port) as running,
        ):
            return transferred(perform(own_move(running.port), running, setting, count), setting.ct, count)

    return measure


@contextmanager
def _large(setting: Setting) -> Iterator[tuple[Server, Client]]:
    """A receiver into a folder that has received something, and the sender of the large object."""
    with setting.scratch() as into, own_folder(setting, into) as running:
        perform(own_store(setting, running.port, setting.few), running, setting, 1)
        yield running, own_store(setting, running.port, setting.large)


def memory_receiving(setting: Setting) -> Outcome:
    """Megabytes above the idle server's."""
    with _large(setting) as (running, sender):
        idle = running.memory()
        running.forget_peak()
        done = perform(sender, running, setting, 1)
        return Outcome((running.peak() - idle) / 1e6, {"MB/s": setting.sizes.large / 1e6 / done.seconds})


def memory_sending(setting: Setting) -> Outcome:
    """Megabytes above the associated client's."""
    with _large(setting) as (running, sender):
        done = perform(sender, running, setting, 1)
        return Outcome(done.memory / 1e6, {"MB/s": setting.sizes.large / 1e6 / done.seconds})


def idle(count: int) -> Measure:
    """Kilobytes of a server for each of so many associations that do nothing."""

    def measure(setting: Setting) -> Outcome:
        seconds = setting.sizes.idle_seconds
        with setting.scratch() as into, own_folder(setting, into) as running:
            perform(own_store(setting, running.port, setting.few), running, setting, 1)
            before = running.memory()
            peers = subprocess.Popen(
                [str(word) for word in script("idle.py", running.port, count)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment(setting.work),
            )
            with peers:
                assert peers.stdout is not None
                if peers.stdout.readline() != b"ready\n":
                    raise Failed(f"{count} idle associations could not be opened")
                each = (running.memory() - before) / count / 1000
                cpu = running.cpu()
                # Nothing to wait for: how little happens in this time is what is measured.
                time.sleep(seconds)
                share = 100 * (running.cpu() - cpu) / seconds
            if peers.returncode != 0:
                raise Failed("an idle association did not last")
            return Outcome(each, {"CPU %": share})

    return measure
