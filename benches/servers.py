"""The servers of the cells: dimsefast, the floor, DCMTK, pynetdicom. Archives are in `archives.py`.

DCMTK is tuned wherever it is not said to be stock: without Nagle's algorithm, in PDUs of 128 KiB, and with the dataset
written as it came.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import secured
from objects import Setting
from process import Server, free_port, program

HERE = Path(__file__).parent
#: DCMTK's largest.
LARGEST_PDU = ["-pdu", "131072"]

#: Starts a server that may write into a folder.
ServerKind = Callable[[Setting, Path], Server]


def script(name: str, *arguments: object) -> list[object]:
    """The command that runs one of the benchmark's own scripts."""
    return [sys.executable, HERE / name, *arguments]


def own(kind: str, *arguments: str) -> ServerKind:
    """A server of dimsefast that does not write."""
    return lambda setting, _: Server(script("serve.py", kind, *arguments), setting.work)


def own_folder(setting: Setting, folder: Path) -> Server:
    """Writes what it gets into the folder, as all kinds named so."""
    return Server(script("serve.py", "folder", folder), setting.work)


def own_folder_tls(setting: Setting, folder: Path) -> Server:
    return Server(script("serve.py", secured.option(setting), "folder", folder), setting.work)


def floor_folder(setting: Setting, folder: Path) -> Server:
    return Server([setting.floor, "receive", "0", "--folder", folder], setting.work)


def floor_discard(setting: Setting, _: Path) -> Server:
    return Server([setting.floor, "receive", "0"], setting.work)


def storescp(setting: Setting, folder: Path, *options: str) -> Server:
    return _storescp([program("storescp")], setting, folder, *options)


def storescp_tls(setting: Setting, folder: Path) -> Server:
    return _storescp(secured.dcmtk(setting, "storescp"), setting, folder)


def _storescp(command: list[object], setting: Setting, folder: Path, *options: str) -> Server:
    port = free_port()
    return Server([*command, *LARGEST_PDU, "+B", *options, "-od", folder, port], setting.work, port)


def storescp_fork(setting: Setting, folder: Path) -> Server:
    """One process for each association: the only way to have several at once."""
    return storescp(setting, folder, "--fork")


def storescp_ignore(setting: Setting, folder: Path) -> Server:
    return storescp(setting, folder, "--ignore")


def storescp_stock(setting: Setting, folder: Path) -> Server:
    port = free_port()
    return Server([program("storescp"), "-od", folder, port], setting.work, port, nodelay=False)


def pynetdicom_folder(setting: Setting, folder: Path) -> Server:
    return Server(script("store_pynetdicom.py", "serve", folder), setting.work)
