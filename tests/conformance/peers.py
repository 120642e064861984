"""`python -m tests.conformance.peers FILE`: the cases against real acceptors and our own, as a table in FILE.

DCMTK's storescp and dcmqrscp, pynetdicom (with handlers that know objects by their study) and Orthanc; those that are
not installed are left out.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from . import report, runner
from .cases import ACCEPTOR_TABLES, SERVICES, Case, load
from .destination import UNREACHABLE_PORT

#: How long a peer may take for an answer, in seconds: what comes later is "nothing in time".
LIMIT = 4.0
START_LIMIT = 60.0

_OWN = """
import sys
from tests.conformance.provider import serving
with serving(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])) as server:
    server.serve_until_shutdown()
"""

_PYNETDICOM = """
import sys
from pynetdicom import AE, build_context, evt
from tests.conformance.pdus import NAMES
ae = AE("ACCEPTOR")
for name in ("verification", "ct", "find", "move", "get"):
    ae.add_supported_context(NAMES[name], [NAMES["implicit"], NAMES["explicit"]], True, True)
ae.maximum_associations = 100
stored = {}
def store(event):
    dataset = event.dataset
    dataset.file_meta = event.file_meta
    if "StudyInstanceUID" in dataset:
        stored[dataset.SOPInstanceUID] = dataset
    return 0x0000
def find(event):
    if "QueryRetrieveLevel" not in event.identifier:
        yield 0xA900, None
def get(event):
    studies = event.identifier.get("StudyInstanceUID") or []
    found = [one for one in stored.values() if one.StudyInstanceUID in studies]
    yield len(found)
    for one in found:
        if event.is_cancelled:
            yield 0xFE00, None
            return
        yield 0xFF00, one
def move(event):
    known = {"DESTINATION": int(sys.argv[3]), "UNREACHABLE": 1}
    if event.move_destination not in known:
        yield None, None
        return
    context = build_context(NAMES["ct"], NAMES["implicit"])
    yield "127.0.0.1", known[event.move_destination], {"contexts": [context]}
    yield from get(event)
handlers = [(evt.EVT_C_STORE, store), (evt.EVT_C_FIND, find), (evt.EVT_C_GET, get), (evt.EVT_C_MOVE, move)]
ae.start_server(("127.0.0.1", int(sys.argv[2])), evt_handlers=handlers)
"""


def _dcmqrscp(folder: Path, port: int, destination_port: int) -> list[str]:
    (folder / "objects").mkdir()
    lines = [f"NetworkTCPPort = {port}", "MaxPDUSize = 131072", "MaxAssociations = 16"]
    for table, rows in (
        (
            "Host",
            [
                "self = (CONFORMANCE, 127.0.0.1, 1)",
                f"destination = (DESTINATION, 127.0.0.1, {destination_port})",
                f"unreachable = (UNREACHABLE, 127.0.0.1, {UNREACHABLE_PORT})",
            ],
        ),
        ("Vendor", []),
        ("AE", [f"ACCEPTOR {folder / 'objects'} RW (200, 1024mb) ANY"]),
    ):
        lines += [f"{table}Table BEGIN", *rows, f"{table}Table END"]
    (folder / "dcmqrscp.cfg").write_text("\n".join(lines) + "\n")
    return ["dcmqrscp", "-c", str(folder / "dcmqrscp.cfg")]


def _orthanc(folder: Path, port: int, destination_port: int) -> list[str]:
    settings = {
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "DicomAet": "ACCEPTOR",
        "DicomPort": port,
        "HttpServerEnabled": False,
        "DicomCheckCalledAet": False,
        "DicomAlwaysAllowEcho": True,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "DicomModalities": {
            "destination": ["DESTINATION", "127.0.0.1", destination_port],
            "unreachable": ["UNREACHABLE", "127.0.0.1", UNREACHABLE_PORT],
        },
        "Plugins": [],
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    return ["Orthanc", str(folder / "orthanc.json")]


def _command(name: str, folder: Path, port: int, destination_port: int) -> list[str]:
    if name in ("dimsefast", "pynetdicom"):
        program = _OWN if name == "dimsefast" else _PYNETDICOM
        return [sys.executable, "-c", program, str(folder), str(port), str(destination_port)]
    if name == "DCMTK storescp":
        return ["storescp", "-od", str(folder), "-aet", "ACCEPTOR", str(port)]
    return (_dcmqrscp if name == "DCMTK dcmqrscp" else _orthanc)(folder, port, destination_port)


PEERS = ["dimsefast", "DCMTK storescp", "DCMTK dcmqrscp", "pynetdicom", "Orthanc"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(name: str) -> Iterator[runner.Target | None]:
    """The peer, listening; None where its program is not installed."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as listener:
        port = _free_port()
        command = _command(name, Path(folder), port, listener.getsockname()[1])
        if shutil.which(command[0]) is None:
            yield None
            return
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # What pynetdicom's handlers find is ours and not its own.
        services = tuple(service for service in SERVICES if name != "pynetdicom" or service != "match")
        target = runner.Target("127.0.0.1", port, "ACCEPTOR", limit=LIMIT, listener=listener, services=services)
        try:
            deadline = time.monotonic() + START_LIMIT
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{name} does not listen on port {port}: {' '.join(command)}")
                time.sleep(0.05)
            yield target
        finally:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def results(name: str, cases: list[Case]) -> list[runner.Result] | None:
    """Those of one peer; None where it is not installed."""
    with started(name) as target:
        if target is None:
            print(f"{name}: not installed", file=sys.stderr)
            return None
        services = runner.offered(target)
        if "get" in services:
            runner.fill(target)
        found = [runner.run(case, target, services) for case in cases]
        print(f"{name}: {report.counts(found)}", file=sys.stderr)
        return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.peers", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--only", action="append", choices=PEERS)
    arguments = parser.parse_args()
    cases = [case for table in ACCEPTOR_TABLES for case in load(table)]
    names: list[str] = arguments.only or PEERS
    # They have much to wait for.
    with ThreadPoolExecutor(len(names)) as pool:
        found = dict(zip(names, pool.map(lambda name: results(name, cases), names), strict=True))
    arguments.file.write_text(report.document({name: rows for name, rows in found.items() if rows is not None}))


if __name__ == "__main__":
    main()
