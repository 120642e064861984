"""A provider of one of the stacks under comparison, in a process of its own.

    python benches/peer.py dimsefast|pynetdicom|pynetdicom-nodelay

Answers echo, drops what is stored, answers a query with as many matches as its Patient ID says.
Prints its port and serves until its standard input ends.
"""

from __future__ import annotations

import socket
import sys
from typing import Any

from pydicom import Dataset

FIND = "1.2.840.10008.5.1.4.1.2.1.1"
CLASSES = ["1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.1.2", FIND]


def matches(event: Any) -> Any:
    number = int(event.identifier.PatientID)
    match = Dataset()
    match.QueryRetrieveLevel = "STUDY"
    match.PatientName = "Benchmark^Patient"
    match.PatientID = "12345678"
    match.StudyDate = "20240101"
    match.StudyTime = "120000"
    match.AccessionNumber = "A1234"
    match.StudyID = "1"
    match.StudyInstanceUID = "1.2.826.0.1.3680043.8.498.1"
    match.StudyDescription = "A study of nothing in particular"
    match.ModalitiesInStudy = "CT"
    for _ in range(number):
        yield 0xFF00, match


def no_delay(event: Any) -> None:
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def main(stack: str) -> None:
    if stack == "dimsefast":
        from dimsefast import AE, evt
    else:
        from pynetdicom import AE, evt
    ae = AE("BENCH")
    ae.network_timeout = None
    for uid in CLASSES:
        ae.add_supported_context(uid, ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
    handlers = [(evt.EVT_C_STORE, lambda event: 0x0000), (evt.EVT_C_FIND, matches)]
    if stack.endswith("nodelay"):
        handlers.append((evt.EVT_CONN_OPEN, no_delay))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    print(port, flush=True)
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
