"""A provider and a requestor of the six services, what they exchange, and how it is compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dimsefast import build_context
from dimsefast.sop_class import CTImageStorage, MRImageStorage, Verification
from dimsefast.sop_class import PatientRootQueryRetrieveInformationModelFind as FIND
from dimsefast.sop_class import PatientRootQueryRetrieveInformationModelGet as GET
from dimsefast.sop_class import PatientRootQueryRetrieveInformationModelMove as MOVE
from faces import AE, face  # noqa: F401
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file

CT = Path(str(get_testdata_file("CT_small.dcm")))
MR = Path(str(get_testdata_file("MR_small.dcm")))
IMPLICIT, EXPLICIT, BIG, RLE = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.5",
)


def query(level: str = "PATIENT", **keys: Any) -> Dataset:
    dataset = Dataset()
    dataset.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(dataset, keyword, value)
    return dataset


def provider(
    *handlers: Any, contexts: Any = (Verification, CTImageStorage, MRImageStorage, FIND, MOVE, GET), **options: Any
) -> Any:
    ae = AE("PROVIDER")
    for uid in contexts:
        roles = (True, True) if uid in (CTImageStorage, MRImageStorage) else (None, None)
        ae.add_supported_context(uid, [IMPLICIT, EXPLICIT, BIG, RLE], *roles)
    return ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(handlers), **options)


def connect(server: Any, *uids: str, **options: Any) -> Any:
    ae = AE("REQUESTOR")
    ae.dimse_timeout = 10
    options.setdefault("contexts", [build_context(uid) for uid in uids])
    return ae.connect("127.0.0.1", server.port, ae_title="PROVIDER", **options)


def encoded(path: Path) -> bytes:
    data = path.read_bytes()
    return data[132 + 12 + dcmread(path, stop_before_pixels=True).file_meta.FileMetaInformationGroupLength :]


def counts(status: Dataset) -> tuple[Any, ...]:
    kinds = ("Remaining", "Completed", "Failed", "Warning")
    return (status.Status, *(status.get(f"NumberOf{kind}Suboperations") for kind in kinds))
