"""A server of dimsefast in a process of its own: prints its port and serves until its standard input ends.

python benches/serve.py [--tls=CERTIFICATES] KIND

folder FOLDER | discard | handler | find raw|datasets | retrieve FOLDER DESTINATION_PORT | archive FOLDER DURABILITY
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import secured
from dimsefast import AE, DISCARD, Archive, evt
from dimsefast.dataset import encode_dataset
from pydicom import Dataset

VERIFICATION = "1.2.840.10008.1.1"
CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
FIND, MOVE, GET = "1.2.840.10008.5.1.4.1.2.1.1", "1.2.840.10008.5.1.4.1.2.1.2", "1.2.840.10008.5.1.4.1.2.1.3"


def match() -> Dataset:
    """A response of ten keys."""
    found = Dataset()
    found.QueryRetrieveLevel = "IMAGE"
    found.PatientName = "Benchmark^Patient"
    found.PatientID = "12345678"
    found.StudyDate = "20240101"
    found.AccessionNumber = "A1234"
    found.Modality = "CT"
    found.StudyInstanceUID = "1.2.826.0.1.3680043.8.498.1"
    found.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.2"
    found.SOPInstanceUID = "1.2.826.0.1.3680043.8.498.3"
    found.InstanceNumber = "1"
    return found


def take(event: Any) -> int:
    # What most handlers begin with: the object as the bytes of a file.
    return 0x0000 if event.encoded_dataset() else 0xC001


def find(event: Any, form: str) -> Iterator[tuple[int, Any]]:
    """As many responses as the Patient ID says."""
    found: Any = match()
    if form == "raw":
        found = encode_dataset(found, event.context.transfer_syntax)
    for _ in range(int(event.identifier.PatientID)):
        yield 0xFF00, found


def retrieve(event: Any, folder: Path) -> Iterator[Any]:
    """All objects of the folder, or the first for a query for one instance."""
    paths = sorted(folder.iterdir())
    if event.identifier.get("SOPInstanceUID"):
        paths = paths[:1]
    yield len(paths)
    for path in paths:
        yield 0xFF00, path


def move(event: Any, folder: Path, port: int) -> Iterator[Any]:
    yield "127.0.0.1", port
    yield from retrieve(event, folder)


def options(kind: str, arguments: list[str]) -> dict[str, Any]:
    """What `start_server` is given."""
    match kind, arguments:
        case "folder", [folder]:
            return {"store_to": folder}
        case "archive", [folder, durability]:
            return {"store_to": Archive(folder, durability=durability).store_to}
        case "discard", []:
            return {"store_to": DISCARD}
        case "handler", []:
            return {"evt_handlers": [(evt.EVT_C_STORE, take)]}
        case "find", [form]:
            return {"evt_handlers": [(evt.EVT_C_FIND, find, [form])]}
        case "retrieve", [folder, port]:
            sender = (evt.EVT_C_GET, retrieve, [Path(folder)])
            return {"evt_handlers": [sender, (evt.EVT_C_MOVE, move, [Path(folder), int(port)])]}
    raise SystemExit(__doc__)


def main() -> None:
    ae = AE("BENCH")
    ae.maximum_associations = 100_000
    for uid in (VERIFICATION, FIND, MOVE, GET):
        ae.add_supported_context(uid)
    # Both roles: C-GET turns them around.
    ae.add_supported_context(CT, EXPLICIT, scu_role=True, scp_role=True)
    tls, arguments = secured.chosen(sys.argv[1:])
    server: Any = ae.start_server(("127.0.0.1", 0), block=False, tls=tls, **options(arguments[0], arguments[1:]))
    print(server.port, flush=True)
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main()
