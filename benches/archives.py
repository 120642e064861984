"""Servers that hold objects, and tell of them or send them: dimsefast, dcmqrscp, Orthanc."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

from objects import Objects, Setting
from process import Server, free_port, program, run
from servers import LARGEST_PDU, script

#: Starts an archive of some objects that can send them to the AE "DEST", on a port of this machine. The folder is for
#: what it needs for this one time.
ArchiveKind = Callable[[Setting, Path, Objects, int], Server]

#: The port of a destination that nobody is going to ask for. Orthanc does not start with 0.
NOWHERE = 104

CONFIGURATION = """
NetworkTCPPort = {port}
MaxPDUSize = 131072
MaxAssociations = 16
HostTable BEGIN
destination = (DEST, 127.0.0.1, {destination})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
{title} {storage} RW (10, 1024mb) ANY
AETable END
"""


def own(setting: Setting, _: Path, objects: Objects, destination: int) -> Server:
    """A handler in Python that yields paths."""
    return Server(script("serve.py", "retrieve", objects.folder, destination), setting.work)


@cache
def _indexed(setting: Setting, objects: Path) -> Path:
    """dcmqrscp's index of the objects in a folder: it is made once, and only read afterwards."""
    storage = setting.work / f"{objects.name}-index"
    storage.mkdir()
    run([program("dcmqridx"), storage, *sorted(objects.iterdir())], setting.work)
    return storage


def dcmqrscp(setting: Setting, folder: Path, objects: Objects, destination: int) -> Server:
    return dcmqrscp_with(setting, folder, _indexed(setting, objects.folder), destination)


def dcmqrscp_with(setting: Setting, folder: Path, storage: Path, destination: int, title: str = "ARCHIVE") -> Server:
    """With this storage area, under this AE title."""
    port, configuration = free_port(), folder / "dcmqrscp.cfg"
    configuration.write_text(CONFIGURATION.format(port=port, destination=destination, title=title, storage=storage))
    return Server([program("dcmqrscp"), *LARGEST_PDU, "-c", configuration], setting.work, port)


def orthanc(setting: Setting, folder: Path, objects: Objects, destination: int) -> Server:
    """It is filled the first time, over the network, and keeps its storage for the next."""
    storage = setting.work / f"{objects.folder.name}-orthanc"
    empty = not storage.exists()
    server = orthanc_with(setting, folder, storage, destination)
    try:
        if empty:
            run([setting.floor, "send", "127.0.0.1", server.port, "--objects", objects.folder], setting.work)
    except BaseException:
        server.stop()
        raise
    return server


def orthanc_with(setting: Setting, folder: Path, storage: Path, destination: int) -> Server:
    """With this storage area."""
    port = free_port()
    settings = {
        "StorageDirectory": str(storage),
        "IndexDirectory": str(storage),
        "DicomAet": "ARCHIVE",
        "DicomPort": port,
        "HttpServerEnabled": False,
        "MaximumPduLength": 131072,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "DicomCheckCalledAet": False,
        "SynchronousCMove": True,
        "StoreMD5ForAttachments": False,
        "DicomModalities": {"destination": ["DEST", "127.0.0.1", destination]},
        "Plugins": [],
    }
    configuration = folder / "orthanc.json"
    configuration.write_text(json.dumps(settings))
    return Server([program("Orthanc"), configuration], setting.work, port)
