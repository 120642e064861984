"""The same objects in three archives: ours, served by a process of its own, dcmqrscp, and Orthanc."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

from dimsefast import Client
from pydicom.data import get_testdata_file

from .conftest import Background, free_port

_FOLDER = Path(str(get_testdata_file("CT_small.dcm"))).parent
#: Two patients with six studies in eleven series, and three single images of other patients.
FILES = [
    *sorted(path for path in (_FOLDER / "dicomdirtests").glob("*/*/*") if path.is_file()),
    *(_FOLDER / name for name in ("CT_small.dcm", "MR_small.dcm", "SC_rgb_small_odd.dcm")),
]

_SERVE = """
import sys
from dimsefast import Archive
folder, port, own, other = sys.argv[1:]
with Archive(folder) as archive:
    destinations = {"SELF": f"127.0.0.1:{own}", "OTHER": f"127.0.0.1:{other}"}
    archive.serve(("127.0.0.1", int(port)), destinations=destinations)
"""

_DCMQRSCP = """
NetworkTCPPort = {port}
MaxPDUSize = 131072
MaxAssociations = 16
HostTable BEGIN
self = (SELF, 127.0.0.1, {own})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
ARCHIVE {storage} RW (200, 1024mb) ANY
AETable END
"""


class Served(NamedTuple):
    """A running archive, filled."""

    process: Background
    port: int
    #: Where its move destination SELF has to listen.
    own: int


def _filled(process: Background, own: int) -> Served:
    try:
        with Client(f"ARCHIVE@127.0.0.1:{process.port}", "SELF") as client:
            report = client.store(FILES)
        assert report.ok and report.completed == len(FILES), str(report)
    except BaseException:
        process.stop()
        raise
    return Served(process, process.port, own)


def ours(folder: Path, other: int) -> Served:
    """Ours. Its move destination OTHER listens on the port `other`."""
    port, own = free_port(), free_port()
    archive = folder / "archive"
    process = Background(port, sys.executable, "-c", _SERVE, archive, port, own, other, log=folder / "log")
    return _filled(process, own)


def dcmqrscp(folder: Path) -> Served:
    """DCMTK's."""
    port, own, storage = free_port(), free_port(), folder / "storage"
    storage.mkdir()
    (folder / "dcmqrscp.cfg").write_text(_DCMQRSCP.format(port=port, own=own, storage=storage))
    return _filled(Background(port, "dcmqrscp", "-c", folder / "dcmqrscp.cfg", log=folder / "log"), own)


def orthanc(folder: Path) -> Served:
    """Orthanc."""
    port, own = free_port(), free_port()
    settings = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "DicomAet": "ARCHIVE",
        "DicomPort": port,
        "HttpServerEnabled": False,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowMove": True,
        "DicomCheckCalledAet": False,
        "DicomModalities": {"self": ["SELF", "127.0.0.1", own]},
        "Plugins": [],
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    shutil.rmtree(folder / "storage", ignore_errors=True)
    return _filled(Background(port, "Orthanc", folder / "orthanc.json", log=folder / "log"), own)
