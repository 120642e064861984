"""Results of storage commitment that wait outlive the process, and are given up at some time."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import AE, Archive, StatusError, build_context
from dimsefast.archive.commitment_store import KeptRequests
from dimsefast.archive.provider import Provider
from dimsefast.sop_class import CTImageStorage, StorageCommitmentPushModel
from dimsefast.workflow import CommitmentRequest, CommitmentResult, Reference, Refusal, StorageCommitmentUser

from .contents import made

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))
from serving import Served

LIMIT = 30.0
CT = str(CTImageStorage)
UID = str(made(1).SOPInstanceUID)


def kept(folder: Path) -> list[Path]:
    return list((folder / ".dimsefast" / "commitments").iterdir())


def request(title: str = "MODALITY", uid: str = "1.2.3", age: float = 0) -> CommitmentRequest:
    return CommitmentRequest(title, "ARCHIVE", uid, (Reference(CT, UID), Reference(CT, "1.9")), time.time() - age)


class Listener:
    """The requestor's own server, at a port that is known before it listens."""

    def __init__(self) -> None:
        self.results: list[CommitmentResult] = []
        self.came = threading.Event()
        self.user = StorageCommitmentUser(self._take)
        with self.listen() as server:
            self.port = server.port

    def _take(self, result: CommitmentResult) -> None:
        self.results.append(result)
        self.came.set()

    def listen(self, port: int = 0) -> Any:
        return AE("MODALITY").start_server(
            ("127.0.0.1", port), block=False, contexts=self.user.contexts, evt_handlers=self.user.handlers
        )


@contextmanager
def process(folder: Path, *flags: Any) -> Iterator[Served]:
    """A server that the test ends."""
    server = Served(folder, folder.with_name("log"), *flags)
    try:
        yield server
    finally:
        server.process.kill()
        server.wait()


@pytest.mark.parametrize("durability", ["process", "power"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_result_that_waits_is_reported_after_a_restart(tmp_path: Path, number: int, durability: str) -> None:
    listener, folder = Listener(), tmp_path / "archive"
    flags = ["--destination", f"MODALITY=127.0.0.1:{listener.port}", "--no-report-on-same-association"]
    flags += ["--durability", durability]
    contexts = [build_context(CT, "1.2.840.10008.1.2.1"), build_context(StorageCommitmentPushModel)]
    asking = StorageCommitmentUser()
    with process(folder, *flags) as server:
        with AE("MODALITY").connect("127.0.0.1", server.port, ae_title="ARCHIVE", contexts=contexts) as association:
            assert association.send_c_store(made(1)).Status == 0
            asking.request(association, [(CT, UID), (CT, "1.9")], "1.2.3.4")
        assert server.end(number) == (0 if number == signal.SIGTERM else -number)
    assert len(kept(folder)) == 1 and not listener.results
    with listener.listen(listener.port), process(folder, *flags) as server:
        assert listener.came.wait(LIMIT)
        wait_until(lambda: not kept(folder), "what was taken is not kept")
        assert server.end() == 0
    (result,) = listener.results
    assert result.transaction_uid == "1.2.3.4"
    assert result.committed == ((CT, UID),) and result.failed == ((CT, "1.9", 0x0112),)


def test_each_is_reported_once_by_who_knows_the_destination(tmp_path: Path) -> None:
    listener = Listener()
    folder = tmp_path / "archive"
    with Archive(folder) as archive:
        for number in range(3):
            archive.storage.commitments.put(request(uid=f"1.2.{number}"))
        archive.storage.commitments.put(request("ELSEWHERE"))
    with Archive(folder) as archive, listener.listen(listener.port):
        # One that knows nobody, and two that know the same.
        for destinations in ({}, *[{"MODALITY": f"127.0.0.1:{listener.port}"}] * 2):
            Provider(archive, destinations=destinations)
        wait_until(lambda: len(kept(folder)) == 1, "only the one with an unknown destination is kept")
    assert sorted(result.transaction_uid for result in listener.results) == ["1.2.0", "1.2.1", "1.2.2"]


def test_what_is_older_than_a_day_is_given_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "archive"
    with Archive(folder) as archive:
        archive.storage.commitments.put(request(uid="1.2.1", age=24 * 3600 + 1))
        archive.storage.commitments.put(request(uid="1.2.2", age=23 * 3600))
    with Archive(folder) as archive:
        # Nobody listens there.
        provider = Provider(archive, destinations={"MODALITY": "127.0.0.1:9"})
        assert provider is not None and len(kept(folder)) == 1
    assert "a result for MODALITY is given up, it is too old: 1.2.1" in caplog.text
    assert len(kept(folder)) == 1


def test_what_is_damaged_or_unfinished_holds_nothing_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = KeptRequests(tmp_path, fsync=True)
    asked = request()
    store.put(asked)
    for name, text in (("a.json", "{"), ("b.json", "[1]"), ("c.json", "{}"), ("d.part", "{")):
        (tmp_path / name).write_text(text)
    store = KeptRequests(tmp_path, fsync=True)
    assert caplog.text.count("is no request for storage commitment") == 3
    assert not (tmp_path / "d.part").exists()
    assert store.take_left(lambda title: title == "OTHER") == []
    assert store.take_left(lambda title: title == "MODALITY") == [asked]
    assert store.take_left(lambda title: True) == []
    store.remove(asked)
    store.remove(asked)
    assert KeptRequests(tmp_path, fsync=False).take_left(lambda title: True) == []


def test_names_of_peers_lead_nowhere(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    store = KeptRequests(folder, fsync=False)
    asked = request("../../x", uid="/etc/passwd")
    store.put(asked)
    assert [path.parent for path in tmp_path.rglob("*.json")] == [folder]
    assert KeptRequests(folder, fsync=False).take_left(lambda title: True) == [asked]


def test_a_request_that_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    user = StorageCommitmentUser()
    with Archive(folder) as archive:
        server: Any = archive.serve(("127.0.0.1", 0), block=False)
        with server, AE("MODALITY").connect(*server.address, contexts=user.contexts) as association:
            (folder / ".dimsefast" / "commitments").rmdir()
            with pytest.raises(Refusal):
                archive.storage.commitments.put(request())
            for _ in range(2):
                with pytest.raises(StatusError, match="0213"):
                    user.request(association, [(CT, UID)], "1.2.3")
