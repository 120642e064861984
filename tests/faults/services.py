"""A provider of every service, and a requestor's operation for each: where a further service is added."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dimsefast import AE, Association, build_role, evt, sop_class
from dimsefast.server import AssociationServer
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian

CT = str(sop_class.CTImageStorage)
VERIFICATION = str(sop_class.Verification)
FIND = str(sop_class.StudyRootQueryRetrieveInformationModelFind)
MOVE = str(sop_class.StudyRootQueryRetrieveInformationModelMove)
GET = str(sop_class.StudyRootQueryRetrieveInformationModelGet)
#: A SOP class with every DIMSE-N service.
PRINT = str(sop_class.BasicFilmSession)
NORMALIZED = (evt.EVT_N_ACTION, evt.EVT_N_CREATE, evt.EVT_N_EVENT_REPORT)
OBJECTS = 3
#: Short, as stalled connections are to end by them.
TIMEOUT = 0.6


def make_object(number: int) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CT, f"1.2.3.{number}"
    dataset.PatientID, dataset.PatientComments = str(number), "x" * 3000
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return dataset


def identifier() -> Dataset:
    dataset = Dataset()
    dataset.QueryRetrieveLevel, dataset.StudyInstanceUID = "STUDY", "1.2.3"
    return dataset


def impatient(title: str) -> AE:
    ae = AE(title)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = TIMEOUT
    ae.maximum_associations = 100
    return ae


@contextmanager
def provider(destination: list[int], store_to: Path | None = None) -> Iterator[AssociationServer]:
    """Serves everything; C-MOVE goes to the first port of `destination`."""

    def find(_: Any) -> Iterator[tuple[int, Dataset]]:
        for number in range(OBJECTS):
            response = identifier()
            response.PatientID = str(number)
            yield 0xFF00, response

    def get(_: Any) -> Iterator[Any]:
        yield OBJECTS
        for number in range(OBJECTS):
            yield 0xFF00, make_object(number)

    def move(event: Any) -> Iterator[Any]:
        yield "127.0.0.1", destination[0]
        yield from get(event)

    ae = impatient("PROVIDER")
    for syntax in (VERIFICATION, FIND, MOVE, GET, PRINT):
        ae.add_supported_context(syntax)
    ae.add_supported_context(CT, None, True, True)
    ae.add_requested_context(CT)
    handlers: list[Any] = [
        (evt.EVT_C_STORE, lambda event: 0x0000 if event.dataset else 0xC000),
        (evt.EVT_C_FIND, find),
        (evt.EVT_C_GET, get),
        (evt.EVT_C_MOVE, move),
        *((event, lambda _: (0x0000, identifier())) for event in NORMALIZED),
    ]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers, store_to=store_to)
    assert server is not None
    with server:
        yield server


def connect(port: int) -> Association:
    """May be anything but established."""
    ae = impatient("REQUESTOR")
    for syntax in (VERIFICATION, CT, FIND, MOVE, GET, PRINT):
        ae.add_requested_context(syntax)
    handlers: list[Any] = [
        (evt.EVT_C_STORE, lambda _: 0x0000),
        (evt.EVT_N_EVENT_REPORT, lambda _: (0x0000, identifier())),
    ]
    roles = [build_role(CT, scu_role=True, scp_role=True)]
    return ae.associate("127.0.0.1", port, ext_neg=roles, evt_handlers=handlers)


def _statuses(responses: Iterator[tuple[Dataset, Any]]) -> list[int | None]:
    return [status.get("Status") for status, _ in responses]


def _status(answer: tuple[Dataset, Any]) -> list[int | None]:
    return [answer[0].get("Status")]


#: Each gives the statuses of its responses, the final one last; None where none came.
OPERATIONS: dict[str, Callable[[Association], list[int | None]]] = {
    "echo": lambda association: [association.send_c_echo().get("Status")],
    "store": lambda association: [association.send_c_store(make_object(1)).get("Status")],
    "find": lambda association: _statuses(association.send_c_find(identifier(), FIND)),
    "move": lambda association: _statuses(association.send_c_move(identifier(), "ANYBODY", MOVE)),
    "get": lambda association: _statuses(association.send_c_get(identifier(), GET)),
    "action": lambda association: _status(association.send_n_action(identifier(), 1, PRINT, "1.2.3")),
    "create": lambda association: _status(association.send_n_create(identifier(), PRINT, "1.2.3")),
    "event report": lambda association: _status(association.send_n_event_report(identifier(), 1, PRINT, "1.2.3")),
}
