"""pynetdicom storing files to itself at its best: chunked at both ends, and without Nagle's algorithm.

python benches/store_pynetdicom.py serve FOLDER | send PORT FOLDER COUNT
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from peer import no_delay
from pynetdicom import AE, _config, evt

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"


def keep(event: Any, folder: Path) -> int:
    # It has received into a temporary file, on the same file system here, and removes it after this.
    os.rename(event.dataset_path, folder / f"{event.request.AffectedSOPInstanceUID}.dcm")
    return 0x0000


def serve(folder: str) -> None:
    _config.STORE_RECV_CHUNKED_DATASET = True
    ae = AE("BENCH")
    ae.maximum_pdu_size = 131_072
    ae.add_supported_context(CT, EXPLICIT)
    handlers: list[Any] = [(evt.EVT_C_STORE, keep, [Path(folder)]), (evt.EVT_CONN_OPEN, no_delay)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    print(server.server_address[1], flush=True)
    sys.stdin.read()
    server.shutdown()


def send(port: str, folder: str, count: str) -> None:
    _config.STORE_SEND_CHUNKED_DATASET = True
    ae = AE("CALLER")
    ae.add_requested_context(CT, EXPLICIT)
    paths = sorted(Path(folder).iterdir())[: int(count)]
    assoc = ae.associate("127.0.0.1", int(port), max_pdu=131_072, evt_handlers=[(evt.EVT_CONN_OPEN, no_delay)])
    begin, cpu = time.perf_counter(), time.process_time()
    statuses = [assoc.send_c_store(path).get("Status") for path in paths]
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    assoc.release()
    print(json.dumps({"count": statuses.count(0x0000), "seconds": seconds, "cpu": cpu}))


if __name__ == "__main__":
    {"serve": serve, "send": send}[sys.argv[1]](*sys.argv[2:])
