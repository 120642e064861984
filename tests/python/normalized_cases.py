"""What the tests of the DIMSE-N services have in common: a request of each, a server and a requestor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dimsefast import build_context, evt
from dimsefast.sop_class import BasicFilmSession, Verification
from faces import AE
from pydicom import Dataset

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
COMMANDS = Path(__file__).parent.parent / "data" / "command"
INSTANCE = "1.2.3.45"
PRINT = BasicFilmSession

EVENTS = {
    "N-EVENT-REPORT": evt.EVT_N_EVENT_REPORT,
    "N-GET": evt.EVT_N_GET,
    "N-SET": evt.EVT_N_SET,
    "N-ACTION": evt.EVT_N_ACTION,
    "N-CREATE": evt.EVT_N_CREATE,
    "N-DELETE": evt.EVT_N_DELETE,
}


def patient(name: str = "Sent^By") -> Dataset:
    dataset = Dataset()
    dataset.PatientName = name
    return dataset


def golden(name: str) -> bytes:
    lines = (COMMANDS / f"{name}.txt").read_text().splitlines()
    return bytes.fromhex("".join(line.split("#")[0] for line in lines))


def send(assoc: Any, service: str, sop: str = PRINT, instance: str = INSTANCE, **options: Any) -> Any:
    """One request of the service: (status, dataset)."""
    requests: dict[str, Callable[[], Any]] = {
        "N-EVENT-REPORT": lambda: assoc.send_n_event_report(patient(), 2, sop, instance, **options),
        "N-GET": lambda: assoc.send_n_get([0x00400252, (0x0008, 0x0060)], sop, instance, **options),
        "N-SET": lambda: assoc.send_n_set(patient(), sop, instance, **options),
        "N-ACTION": lambda: assoc.send_n_action(patient(), 1, sop, instance, **options),
        "N-CREATE": lambda: assoc.send_n_create(patient(), sop, instance, **options),
        "N-DELETE": lambda: (assoc.send_n_delete(sop, instance, **options), None),
    }
    return requests[service]()


def serve(*handlers: Any, uids: Any = (PRINT, Verification), roles: Any = (None, None)) -> Any:
    ae = AE("PROVIDER")
    for uid in uids:
        ae.add_supported_context(uid, [EXPLICIT, IMPLICIT], *roles)
    return ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(handlers))


def connect(server: Any, *uids: str, **options: Any) -> Any:
    ae = AE("REQUESTOR")
    ae.dimse_timeout = 30
    contexts = [build_context(uid) for uid in uids or (PRINT,)]
    return ae.connect("127.0.0.1", server.port, ae_title="PROVIDER", contexts=contexts, **options)
