"""A receiver that is killed at any moment: what it has acknowledged is there, whole, and indexed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import AE, AssociationError, _core, build_context
from dimsefast.archive import Archive
from dimsefast.archive.schema import instance
from pydicom.filebase import DicomBytesIO
from pydicom.uid import CTImageStorage
from sqlalchemy import select

from archive.contents import counts_are_right, made

UID = "1.2.826.0.1.3680043.8.498.1{:08}"
EXPLICIT = "1.2.840.10008.1.2.1"
SENDERS = 3


class Objects:
    """What was sent, by SOP Instance UID: what counts as stored, and what was under way at the end."""

    def __init__(self) -> None:
        template = made(1, SOPInstanceUID=UID.format(0), StudyDescription="version 0", StudyInstanceUID=UID.format(0))
        template.file_meta.MediaStorageSOPInstanceUID = template.SOPInstanceUID
        template.save_as(buffer := DicomBytesIO())
        self._template = buffer.getvalue()
        self._lock = threading.Lock()
        self._count = 0
        self.acknowledged: dict[str, bytes] = {}
        self.under_way: dict[str, bytes] = {}
        #: UIDs of what was sent in this round.
        self.touched: set[str] = set()

    def next(self, chance: random.Random) -> tuple[str, bytes]:
        """A new object, mostly; one that came before, or one like that with something else in it."""
        with self._lock:
            kind, version = chance.random(), 0
            uid = UID.format(chance.randint(1, max(self._count, 1)))
            if kind < 0.2 and uid in self.acknowledged and uid not in self.under_way:
                version = chance.randrange(1, 10) if kind < 0.1 else 0
            else:
                self._count += 1
                uid = UID.format(self._count)
            data = self._template.replace(UID.format(0).encode(), uid.encode())
            data = data.replace(b"version 0", b"version %d" % version)
            self.under_way[uid] = data
            self.touched.add(uid)
            return uid, data

    def stored(self, uid: str) -> None:
        with self._lock:
            self.acknowledged[uid] = self.under_way.pop(uid)

    def has_stored(self) -> bool:
        """Whether something was stored in this round."""
        with self._lock:
            return bool(self.touched - self.under_way.keys())


def send(port: int, objects: Objects, chance: random.Random) -> None:
    """Sends until the receiver is no more."""
    ae = AE()
    ae.dimse_timeout = 20
    try:
        with ae.connect("127.0.0.1", port, contexts=[build_context(CTImageStorage, EXPLICIT)]) as peer:
            while True:
                uid, data = objects.next(chance)
                if peer.send_c_store(data).get("Status") != 0:
                    return
                objects.stored(uid)
    except (AssociationError, RuntimeError):
        return


class Receiver:
    """A process that receives into an archive, and can be begun again."""

    def __init__(self, durability: str) -> None:
        command = [sys.executable, "-m", "archive.serving", durability]
        where = Path(__file__).parents[1]
        self._process = subprocess.Popen(command, cwd=where, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = 0

    def begin(self, folder: Path) -> int:
        """Serves; the port."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{folder}\n")
        self._process.stdin.flush()
        port, self.pid = map(int, self._line().split())
        return port

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def kill(self) -> None:
        """Kills it, if it serves."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            self.pid = 0
            assert self._line() == "over\n"

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        with self._process:
            self._process.kill()


def dataset(data: bytes) -> bytes:
    return data[_core.parse_file_meta(data)[3] :]


def check(archive: Archive, objects: Objects, touched: set[str] | None = None) -> None:
    """Looks at everything, or at what was touched."""
    archive.up_to_date()
    with archive.database.reading() as connection:
        columns = select(instance.c.sop_instance_uid, instance.c.name)
        names = {uid: name for uid, name in connection.execute(columns)}
    assert set(objects.acknowledged) <= set(names), "something that was acknowledged is not indexed"
    for name, _ in archive.storage.names():
        uid = Path(name).stem
        if touched is None or uid in touched:
            data = dataset(archive.storage.path(name).read_bytes())
            sent = [known[uid] for known in (objects.acknowledged, objects.under_way) if uid in known]
            assert data in [dataset(one) for one in sent], f"{name} is not what was sent"
            names.pop(uid, None)
    assert not names.keys() & (names if touched is None else touched), "something that is indexed has no file"
    assert not list(archive.folder.glob(".*.part")), "something unfinished was left"
    assert not archive.storage.failed.exists()


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("durability", "rounds"), [("process", 40), ("power", 10)])
def test_what_was_acknowledged_survives_being_killed(tmp_path: Path, durability: Any, rounds: int) -> None:
    objects, chance = Objects(), random.Random(durability)
    folder = tmp_path / "archive"
    with Receiver(durability) as receiver:
        for _ in range(rounds):
            port = receiver.begin(folder)
            seeds = [random.Random(chance.random()) for _ in range(SENDERS)]
            senders = [threading.Thread(target=send, args=(port, objects, seed)) for seed in seeds]
            for sender in senders:
                sender.start()
            wait_until(objects.has_stored, "the first object")
            # Not a wait for something: the moment at which it is killed.
            time.sleep(chance.uniform(0.0, 0.15))
            receiver.kill()
            for sender in senders:
                sender.join()
            with Archive(folder, durability=durability) as archive:
                check(archive, objects, objects.touched)
            objects.touched = set(objects.under_way)
        assert len(objects.acknowledged) > 5 * rounds
        with Archive(folder, durability=durability) as archive:
            counts_are_right(archive)
            assert archive.reindex().failed == []
            check(archive, objects)
