"""Objects into an archive, until all are indexed: dimsefast, dcmqrscp, Orthanc, pynetdicom's qrscp.

The others index while they store, so that theirs is the time until the last response. None but dimsefast at the level
"power" waits for the disk, which here is memory: that level shows what the additional system calls take.
"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from pathlib import Path

from archives import NOWHERE, dcmqrscp_with, orthanc_with
from cells import Measure, Outcome, transferred
from clients import StoreKind, perform
from dimsefast.archive.database import Database
from dimsefast.archive.schema import patient
from objects import Objects, Setting
from process import Server, free_port, wait_until
from servers import ServerKind, script
from sqlalchemy import func, select

#: What the floor's senders call whom they send to.
CALLED = "ANY-SCP"

QRSCP = """
[DEFAULT]
    ae_title: {title}
    port: {port}
    max_pdu: 131072
    acse_timeout: 30
    dimse_timeout: 30
    network_timeout: 30
    bind_address:
    instance_location: instances
    database_location: index.sqlite
    log_identifier: False
[DEST]
    address: 127.0.0.1
    port: 104
"""


def own(durability: str) -> ServerKind:
    """The archive, stored to as `start_server(store_to=archive.store_to)` does."""
    return lambda setting, folder: Server(script("serve.py", "archive", folder, durability), setting.work)


def dcmqrscp(setting: Setting, folder: Path) -> Server:
    (folder / "storage").mkdir()
    return dcmqrscp_with(setting, folder, folder / "storage", NOWHERE, CALLED)


def orthanc(setting: Setting, folder: Path) -> Server:
    return orthanc_with(setting, folder, folder / "storage", NOWHERE)


def qrscp(setting: Setting, folder: Path) -> Server:
    """As it comes, Nagle's algorithm and all."""
    port, configuration = free_port(), folder / "qrscp.ini"
    configuration.write_text(QRSCP.format(title=CALLED, port=port))
    (folder / "instances").mkdir()
    command = [sys.executable, "-m", "pynetdicom", "qrscp", "-c", configuration]
    places = ["--instance-location", folder / "instances", "--database-location", folder / "index.sqlite"]
    return Server([*command, *places], setting.work, port)


def _indexed(database: Database) -> int:
    with database.reading() as connection:
        return connection.scalar(select(func.sum(patient.c.instances))) or 0


def _wait_until_indexed(database: Database, count: int) -> float:
    """The seconds that it takes."""
    begin = time.perf_counter()
    wait_until(lambda: _indexed(database) == count, f"the index of {count} objects")
    return time.perf_counter() - begin


def ingest(server: ServerKind, client: StoreKind, objects: str) -> Measure:
    """Objects a second, from files, until they are indexed."""

    def measure(setting: Setting) -> Outcome:
        sent: Objects = getattr(setting, objects)
        count = len(sent.paths)
        with setting.scratch() as into, server(setting, into) as running, ExitStack() as stack:
            database = None
            if (into / ".dimsefast").exists():
                # Opened and asked before, so that what is measured is the archive's time and not the benchmark's.
                database = Database(f"sqlite:///{into / '.dimsefast' / 'index.sqlite'}")
                stack.callback(database.close)
                _indexed(database)
            done = perform(client(setting, running.port, sent), running, setting, count)
            behind = 0.0 if database is None else _wait_until_indexed(database, count)
            outcome = transferred(done, sent, count)
            figures = outcome.figures | {"server CPU us each": 1e6 * done.server_cpu / count, "ms behind": 1e3 * behind}
            return Outcome(count / (done.seconds + behind), figures)

    return measure
