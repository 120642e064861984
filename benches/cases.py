"""The table of cases: what is measured of dimsefast, beside which peers.

In each case dimsefast and its peers do the same, once a round, one after the other.
"""

from __future__ import annotations

from typing import NamedTuple

import archive_ingest
import archives
import cells
import clients
import servers
from archive_ingest import ingest
from cells import Measure
from objects import Setting

#: The cells that say whether the floor is one: see `measure.floor_counts`.
FLOOR_PAIR, DCMTK_PAIR = "floor to floor", "DCMTK to DCMTK"


class Cell(NamedTuple):
    """A server and a client under measurement."""

    name: str
    measure: Measure
    is_floor: bool = False


class Case(NamedTuple):
    """A cell of dimsefast, and those of its peers."""

    name: str
    what: str
    unit: str
    own: Cell
    peers: tuple[Cell, ...] = ()
    #: How many times as many rounds: for what is short, and five times as slow where it is another core that wakes.
    repeat: int = 1


def _floor(name: str, measure: Measure) -> Cell:
    return Cell(name, measure, is_floor=True)


def _echoes(setting: Setting) -> int:
    return setting.sizes.echoes


def _associations(setting: Setting) -> int:
    return setting.sizes.associations


def _responses(setting: Setting) -> int:
    return setting.sizes.responses


FLOOR_STORE = clients.floor_store()

STORING = (
    Case(
        "stock-store",
        "CT from storescu as it comes, into a folder; few objects",
        "objects/s",
        Cell("storescu to dimsefast", cells.store(servers.own_folder, clients.storescu_stock, "few")),
        (Cell("storescu to storescp", cells.store(servers.storescp_stock, clients.storescu_stock, "few")),),
    ),
    Case(
        "storescu-folder",
        "CT from storescu, into a folder",
        "objects/s",
        Cell("storescu to dimsefast", cells.store(servers.own_folder, clients.storescu)),
        (Cell("storescu to storescp", cells.store(servers.storescp, clients.storescu)),),
    ),
    Case(
        "storescu-discard",
        "CT from storescu, dropped",
        "objects/s",
        Cell("storescu to dimsefast", cells.store(servers.own("discard"), clients.storescu, folder=False)),
        (Cell("storescu to storescp --ignore", cells.store(servers.storescp_ignore, clients.storescu, folder=False)),),
    ),
    Case(
        "receive-folder",
        "CT from the floor's sender, into a folder",
        "objects/s",
        Cell("floor to dimsefast", cells.store(servers.own_folder, FLOOR_STORE)),
        (_floor(FLOOR_PAIR, cells.store(servers.floor_folder, FLOOR_STORE)),),
    ),
    Case(
        "receive-discard",
        "CT from the floor's sender, dropped",
        "objects/s",
        Cell("floor to dimsefast", cells.store(servers.own("discard"), FLOOR_STORE, folder=False)),
        (_floor(FLOOR_PAIR, cells.store(servers.floor_discard, FLOOR_STORE, folder=False)),),
    ),
    Case(
        "receive-handler",
        "CT from the floor's sender, to a Python handler that takes the bytes",
        "objects/s",
        Cell("floor to dimsefast", cells.store(servers.own("handler"), FLOOR_STORE, folder=False)),
        (_floor(FLOOR_PAIR + ", dropped", cells.store(servers.floor_discard, FLOOR_STORE, folder=False)),),
    ),
    Case(
        "send",
        "CT from files to the floor's receiver, which drops them",
        "objects/s",
        Cell("dimsefast to floor", cells.store(servers.floor_discard, clients.own_store, folder=False)),
        (_floor(FLOOR_PAIR, cells.store(servers.floor_discard, FLOOR_STORE, folder=False)),),
    ),
    Case(
        "pair",
        "CT from files into a folder, each to itself; pynetdicom with few objects",
        "objects/s",
        Cell("dimsefast to dimsefast", cells.store(servers.own_folder, clients.own_store)),
        (
            Cell(DCMTK_PAIR, cells.store(servers.storescp, clients.storescu)),
            _floor(FLOOR_PAIR, cells.store(servers.floor_folder, FLOOR_STORE)),
            Cell(
                "pynetdicom to pynetdicom",
                cells.store(servers.pynetdicom_folder, clients.pynetdicom_store, "few"),
            ),
        ),
    ),
    Case(
        "tls",
        "CT from files into a folder by TLS, each to itself; and dimsefast without",
        "objects/s",
        Cell("dimsefast to dimsefast", cells.store(servers.own_folder_tls, clients.own_store_tls)),
        (
            Cell("dimsefast to dimsefast, plain", cells.store(servers.own_folder, clients.own_store)),
            Cell(DCMTK_PAIR + ", TLS", cells.store(servers.storescp_tls, clients.storescu_tls)),
        ),
    ),
    Case(
        "small",
        "objects of 4 kB from the floor's sender, into a folder",
        "objects/s",
        Cell("floor to dimsefast", cells.store(servers.own_folder, FLOOR_STORE, "small")),
        (
            Cell("floor to storescp", cells.store(servers.storescp, FLOOR_STORE, "small")),
            _floor(FLOOR_PAIR, cells.store(servers.floor_folder, FLOOR_STORE, "small")),
        ),
    ),
    *(
        Case(
            f"senders-{number}",
            f"CT from {number} of the floor's senders at once, into a folder",
            "objects/s",
            Cell("floor to dimsefast", cells.store(servers.own_folder, clients.floor_store(number))),
            (
                Cell("floor to storescp --fork", cells.store(servers.storescp_fork, clients.floor_store(number))),
                _floor(FLOOR_PAIR, cells.store(servers.floor_folder, clients.floor_store(number))),
            ),
        )
        for number in (2, 8, 32)
    ),
)

RETRIEVING = (
    Case(
        "move",
        "C-MOVE of CT to storescp, which drops them; our requestor asks",
        "objects/s",
        Cell("dimsefast", cells.move(archives.own)),
        (Cell("dcmqrscp", cells.move(archives.dcmqrscp)),),
    ),
    Case(
        "get",
        "C-GET of CT by getscu, into a folder",
        "objects/s",
        Cell("dimsefast", cells.get(archives.own)),
        (Cell("dcmqrscp", cells.get(archives.dcmqrscp)), Cell("Orthanc", cells.get(archives.orthanc))),
    ),
    *(
        Case(
            f"find-{how}",
            f"C-FIND of ten keys, {words}; dcmqrscp tells findscu of its 2,000 small objects, five times",
            "responses/s",
            Cell("dimsefast to dimsefast", cells.call(servers.own("find", form), clients.own_find(how), _responses)),
            (Cell("dcmqrscp to findscu", cells.find_in(archives.dcmqrscp)),),
        )
        for how, form, words in (
            ("raw", "raw", "encoded bytes at both ends"),
            ("unread", "datasets", "pydicom Datasets at both ends, nothing read"),
            ("read", "datasets", "pydicom Datasets at both ends, two attributes read from each"),
        )
    ),
)

CALLING = (
    Case(
        "echo",
        "C-ECHO on one association",
        "calls/s",
        Cell("dimsefast to dimsefast", cells.call(servers.own("discard"), clients.own_echo, _echoes)),
        (
            Cell("floor to dimsefast", cells.call(servers.own("discard"), clients.floor_echo, _echoes)),
            Cell(DCMTK_PAIR, cells.call(servers.storescp, clients.echoscu, _echoes)),
            _floor(FLOOR_PAIR, cells.call(servers.floor_discard, clients.floor_echo, _echoes)),
        ),
        repeat=3,
    ),
    *(
        Case(
            f"associate-{contexts}",
            f"associate with {contexts} contexts, echo, release",
            "associations/s",
            Cell(
                "dimsefast to dimsefast",
                cells.call(servers.own("discard"), clients.own_associate(contexts), _associations),
            ),
            (
                Cell(
                    "floor to dimsefast",
                    cells.call(servers.own("discard"), clients.floor_associate(contexts), _associations),
                ),
                _floor(
                    FLOOR_PAIR,
                    cells.call(servers.floor_discard, clients.floor_associate(contexts), _associations),
                ),
            ),
        )
        for contexts in (2, 128)
    ),
)

#: The requestor of the one face beside that of the other: the same server.
FACES = (
    *(
        Case(
            f"asyncio-echo-{tasks}",
            f"C-ECHO by asyncio over {tasks} association{'s' * (tasks > 1)} at once, beside the blocking face over one",
            "calls/s",
            Cell("asyncio to dimsefast", cells.call(servers.own("discard"), clients.asyncio_echo(tasks), _echoes)),
            (Cell("blocking to dimsefast", cells.call(servers.own("discard"), clients.own_echo, _echoes)),),
            repeat=3,
        )
        for tasks in (1, 10)
    ),
    *(
        Case(
            f"asyncio-find-{how}",
            f"C-FIND of ten keys by asyncio, {words}, beside the blocking face",
            "responses/s",
            Cell("asyncio to dimsefast", cells.call(servers.own("find", form), clients.asyncio_find(how), _responses)),
            (Cell("blocking to dimsefast", cells.call(servers.own("find", form), clients.own_find(how), _responses)),),
        )
        for how, form, words in (
            ("raw", "raw", "encoded bytes"),
            ("read", "datasets", "pydicom Datasets of which two attributes are read"),
        )
    ),
    Case(
        "asyncio-store",
        "CT from files by asyncio to a server that drops them, beside the blocking face",
        "objects/s",
        Cell("asyncio to dimsefast", cells.store(servers.own("discard"), clients.asyncio_store, folder=False)),
        (Cell("blocking to dimsefast", cells.store(servers.own("discard"), clients.own_store, folder=False)),),
    ),
)

RESTING = (
    Case(
        "memory-receive",
        "memory above idle while one large object is received into a folder",
        "MB",
        Cell("dimsefast", cells.memory_receiving),
    ),
    Case(
        "memory-send",
        "memory above idle while one large object is sent from its file",
        "MB",
        Cell("dimsefast", cells.memory_sending),
    ),
    *(
        Case(
            f"idle-{number}",
            f"a server's memory for each of {number} idle associations",
            "kB",
            Cell("dimsefast", cells.idle(number)),
        )
        for number in (200, 5000)
    ),
)

ARCHIVING = tuple(
    Case(
        f"ingest-{objects}-{senders}",
        f"{words} from {senders} of the floor's senders into an archive, until they are indexed",
        "objects/s",
        Cell("dimsefast, process", ingest(archive_ingest.own("process"), clients.floor_store(senders), objects)),
        (
            Cell("dimsefast, power", ingest(archive_ingest.own("power"), clients.floor_store(senders), objects)),
            Cell("dimsefast into a folder", ingest(servers.own_folder, clients.floor_store(senders), objects)),
            Cell("dcmqrscp", ingest(archive_ingest.dcmqrscp, clients.floor_store(senders), objects)),
            Cell("Orthanc", ingest(archive_ingest.orthanc, clients.floor_store(senders), objects)),
            Cell("qrscp, few objects", ingest(archive_ingest.qrscp, clients.floor_store(senders), few)),
        ),
    )
    for objects, few, words in (("ct", "few", "CT"), ("small", "few_small", "objects of 4 kB"))
    for senders in (1, 8)
)

CASES = (*STORING, *RETRIEVING, *CALLING, *FACES, *RESTING, *ARCHIVING)
