"""A receiver with a place for objects, a sender, and what is compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dimsefast import AE, build_context, evt
from dimsefast.sop_class import CTImageStorage, MRImageStorage, RTPlanStorage, Verification
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file

CT = Path(str(get_testdata_file("CT_small.dcm")))
MR = Path(str(get_testdata_file("MR_small.dcm")))
EXPLICIT, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"
CLASSES = (CTImageStorage, MRImageStorage, RTPlanStorage)


@contextmanager
def storing(store_to: Any, *handlers: Any, syntaxes: Any = EXPLICIT) -> Iterator[Any]:
    """An association with a receiver."""
    ae = AE("RECEIVER")
    for uid in (Verification, *CLASSES):
        ae.add_supported_context(uid, syntaxes)
    with ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(handlers), store_to=store_to) as server:  # type: ignore[union-attr]
        with sender(server) as assoc:
            yield assoc


def sender(server: Any, title: str = "SENDER", syntaxes: Any = EXPLICIT) -> Any:
    ae = AE(title)
    ae.dimse_timeout = 20
    contexts = [build_context(Verification), *(build_context(uid, syntaxes) for uid in CLASSES)]
    return ae.connect("127.0.0.1", server.port, ae_title="RECEIVER", contexts=contexts)


def made(path: Path = CT, **attributes: Any) -> Dataset:
    """A real object with other attributes."""
    dataset = dcmread(path)
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def encoded(path: Path) -> bytes:
    """What is behind the file meta group."""
    data = path.read_bytes()
    return data[132 + 12 + dcmread(path, stop_before_pixels=True).file_meta.FileMetaInformationGroupLength :]


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


class Told:
    """A handler of EVT_C_STORE that keeps what it saw."""

    def __init__(self, look: Callable[[Any], Any]) -> None:
        self.look = look
        self.seen: list[Any] = []

    def __call__(self, event: Any) -> int:
        self.seen.append(self.look(event))
        return 0x0000

    @property
    def bound(self) -> Any:
        return (evt.EVT_C_STORE, self)
