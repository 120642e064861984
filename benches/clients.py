"""The clients of the cells, each as the command that does so much of its work.

Those that were written for this measure themselves, from the association's beginning to the last response. Of DCMTK's
programs the whole process is measured, and a run with the least of work taken off: that is what starting it takes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import secured
from objects import INSTANCE, PATIENT, SERIES, STUDY, Objects, Setting
from process import Failed, Ran, Server, program, run
from servers import LARGEST_PDU, script

LOCAL = "127.0.0.1"
ARCHIVE = ["-aec", "ARCHIVE", LOCAL]


@dataclass(frozen=True)
class Client:
    """A command for so much work.

    `measures_itself`: it prints JSON with count, seconds and cpu. `starts_at_once`: the CPU of the whole process, which
    the system tells exactly, is that of its work.
    """

    command: Callable[[int], list[object]]
    measures_itself: bool = True
    starts_at_once: bool = False
    nodelay: bool = True


@dataclass(frozen=True)
class Done:
    """What a client did, and what that took: without and with the program's start, and on the server."""

    count: int
    seconds: float
    cpu: float
    cpu_with_start: float
    server_cpu: float
    #: Memory above what was there before the work, in bytes; only of those that measure it.
    memory: float


def perform(client: Client, server: Server, setting: Setting, count: int) -> Done:
    """Has the client do its work, once everything is warm. Raises Failed where less was done."""

    def once(number: int) -> Ran:
        return run(client.command(number), setting.work, client.nodelay)

    once(1)
    start = None if client.measures_itself else once(1)
    before = server.cpu()
    ran = once(count)
    server_cpu = server.cpu() - before
    if start is not None:
        if ran.seconds <= start.seconds:
            raise Failed(f"{count} took no longer than the program's start: too few to measure")
        return Done(count - 1, ran.seconds - start.seconds, ran.cpu - start.cpu, ran.cpu, server_cpu, 0)
    told = json.loads(ran.output)
    if told["count"] != count:
        raise Failed(f"{told['count']} of {count} succeeded")
    cpu = ran.cpu if client.starts_at_once else told["cpu"]
    return Done(count, told["seconds"], cpu, ran.cpu, server_cpu, told.get("memory", 0))


#: Makes a client that stores the first of these objects in the server at this port.
StoreKind = Callable[[Setting, int, Objects], Client]


def own_store(_: Setting, port: int, objects: Objects) -> Client:
    return Client(lambda count: script("call.py", port, "store", objects.folder, count))


def asyncio_store(_: Setting, port: int, objects: Objects) -> Client:
    return Client(lambda count: script("call_asyncio.py", port, "store", objects.folder, count))


def own_store_tls(setting: Setting, port: int, objects: Objects) -> Client:
    option = secured.option(setting)
    return Client(lambda count: script("call.py", option, port, "store", objects.folder, count))


def floor_store(senders: int = 1) -> StoreKind:
    def kind(setting: Setting, port: int, objects: Objects) -> Client:
        command = [setting.floor, "send", LOCAL, port, "--objects", objects.folder, "--senders", senders]
        return Client(lambda count: [*command, "--count", count], starts_at_once=True)

    return kind


def storescu(_: Setting, port: int, objects: Objects) -> Client:
    command = [program("storescu"), *LARGEST_PDU, "-R", LOCAL, port]
    return Client(lambda count: [*command, *objects.paths[:count]], measures_itself=False)


def storescu_tls(setting: Setting, port: int, objects: Objects) -> Client:
    command = [*secured.dcmtk(setting, "storescu"), *LARGEST_PDU, "-R", LOCAL, port]
    return Client(lambda count: [*command, *objects.paths[:count]], measures_itself=False)


def storescu_stock(_: Setting, port: int, objects: Objects) -> Client:
    """As it comes, with Nagle's algorithm on."""
    command = [program("storescu"), LOCAL, port]
    return Client(lambda count: [*command, *objects.paths[:count]], measures_itself=False, nodelay=False)


def pynetdicom_store(_: Setting, port: int, objects: Objects) -> Client:
    return Client(lambda count: script("store_pynetdicom.py", "send", port, objects.folder, count))


#: Makes a client that does something so many times at the server at this port.
CallKind = Callable[[Setting, int], Client]


def own_echo(_: Setting, port: int) -> Client:
    return Client(lambda count: script("call.py", port, "echo", count))


def asyncio_echo(tasks: int = 1) -> CallKind:
    return lambda _, port: Client(lambda count: script("call_asyncio.py", port, "echo", count, tasks))


def floor_echo(setting: Setting, port: int) -> Client:
    return Client(lambda count: [setting.floor, "echo", LOCAL, port, count], starts_at_once=True)


def echoscu(_: Setting, port: int) -> Client:
    command = [program("echoscu"), *LARGEST_PDU, LOCAL, port, "--repeat"]
    return Client(lambda count: [*command, count], measures_itself=False)


def own_associate(contexts: int) -> CallKind:
    return lambda _, port: Client(lambda count: script("call.py", port, "associate", count, contexts))


def floor_associate(contexts: int) -> CallKind:
    def kind(setting: Setting, port: int) -> Client:
        command = [setting.floor, "associate", LOCAL, port]
        return Client(lambda count: [*command, count, "--contexts", contexts], starts_at_once=True)

    return kind


def own_find(how: str) -> CallKind:
    return lambda _, port: Client(lambda count: script("call.py", port, "find", count, how))


def asyncio_find(how: str) -> CallKind:
    return lambda _, port: Client(lambda count: script("call_asyncio.py", port, "find", count, how))


def keys(count: int) -> list[str]:
    """Of all objects, or of the first."""
    if count > 1:
        return ["-k", "QueryRetrieveLevel=PATIENT", "-k", f"PatientID={PATIENT}"]
    instance = ["-k", f"SOPInstanceUID={INSTANCE.format(0)}"]
    return [*image_keys(), *instance]


def image_keys() -> list[str]:
    series = {"PatientID": PATIENT, "StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES}
    given = [f"{name}={value}" for name, value in {"QueryRetrieveLevel": "IMAGE", **series}.items()]
    return [word for key in given for word in ("-k", key)]


def findscu(_: Setting, port: int, archived: int) -> Client:
    """Ten keys, to an archive of so many objects: the same query again until there were as many responses.

    The least of work is a query that nothing matches.
    """
    names = ("PatientName", "StudyDate", "AccessionNumber", "Modality", "InstanceNumber")
    returned = [word for name in names for word in ("-k", name)]
    command = [program("findscu"), "-P", "--hide-responses", *LARGEST_PDU, *image_keys(), *returned]

    def command_for(count: int) -> list[object]:
        wanted = ["-k", "SOPInstanceUID=1.2.3"]
        if count > 1:
            wanted = ["-k", "SOPInstanceUID", "--repeat", str(count // archived)]
        return [*command, *wanted, *ARCHIVE, port]

    return Client(command_for, measures_itself=False)


def own_move(port: int) -> Client:
    instance = INSTANCE.format(0)
    return Client(lambda count: script("call.py", port, "move", *([] if count > 1 else [instance])))


def getscu(port: int, folder: Path) -> Client:
    command = [program("getscu"), "-P", "+B", *LARGEST_PDU, "-od", folder]
    return Client(lambda count: [*command, *keys(count), *ARCHIVE, port], measures_itself=False)
