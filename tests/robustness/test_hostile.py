"""Hostile or broken input: it costs the sender its association, and nobody else anything."""

from __future__ import annotations

import logging
import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import AE, evt
from dimsefast.server import AssociationServer
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset

from tests.conformance.pdus import COMMANDS, NAMES, Words, associate_rq, pdu, pdv
from tests.python.scripted import DATA, Peer, encode_command, requestor

CONTEXTS = {1: (NAMES["verification"], NAMES["implicit"]), 3: (NAMES["ct"], NAMES["implicit"])}


@contextmanager
def serving(*handlers: Any, store_to: Path | None = None, **options: Any) -> Iterator[AssociationServer]:
    ae = AE("PROVIDER")
    ae.maximum_associations = 500
    for key, value in options.items():
        setattr(ae, key, value)
    for name in ("verification", "ct", "find"):
        ae.add_supported_context(NAMES[name], [NAMES["implicit"], NAMES["explicit"]])
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(handlers), store_to=store_to)
    assert server is not None
    with server:
        yield server


def echoes(server: AssociationServer) -> bool:
    ae = AE("HONEST")
    ae.add_requested_context(NAMES["verification"])
    with ae.connect("127.0.0.1", server.port) as association:
        return bool(association.send_c_echo().Status == 0x0000)


def resident() -> int:
    """Memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def raw(server: AssociationServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


@pytest.mark.parametrize("instance", ["../../escape", "/etc/escape", "..\\escape", "..", "a\0b", "\x1b[31m", "x" * 300])
def test_h01_a_uid_is_never_a_path_and_is_echoed_as_it_came(tmp_path: Path, instance: str) -> None:
    folder = tmp_path / "deep" / "inside"
    folder.mkdir(parents=True)
    with serving(store_to=folder) as server, requestor(server.port, CONTEXTS) as peer:
        peer.send_store(3, 1, NAMES["ct"], instance, struct.pack("<HHI", 0x0010, 0x0020, 2) + b"ID")
        answer = peer.next_message()
        assert answer.command[0x1000] == instance.encode().rstrip(b"\0 ")
    everything = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    assert all(path.parent == Path("deep/inside") for path in everything), everything
    assert len(everything) == (answer.status[1] == 0x0000)


def test_h03_requests_full_of_items_retain_little() -> None:
    # 65 kB of sub-items without a value, again and again: what is kept is in proportion to what was sent.
    context = "01000000+30000011+'verification+40000011+'implicit+99000000*16000"
    request = associate_rq(Words([f"context={context}"]), "PROVIDER", "HOSTILE")
    with serving() as server:
        before = resident()
        streams = [raw(server) for _ in range(40)]
        for stream in streams:
            stream.sendall(request)
            assert stream.recv(1)[0] in (2, 7)
        assert resident() - before < 64 << 20
        for stream in streams:
            stream.close()
        assert echoes(server)


def test_h04_a_dataset_that_never_ends_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    handled: list[Any] = []
    piece = pdu(DATA, struct.pack(">IBB", 65536 + 2, 3, 0) + bytes(65536))
    with serving((evt.EVT_C_STORE, handled.append)) as server, raw(server) as stream:
        stream.sendall(associate_rq(Words([]), "PROVIDER", "HOSTILE"))
        peer = Peer(stream)
        peer.read_pdu()
        peer.send_pdu(DATA, _store_command())
        before = resident()
        # 160 MiB, of which 64 may be in memory.
        for _ in range(160 * 16):
            stream.sendall(piece)
        assert resident() - before < 130 << 20
        assert server.active_associations, "it was all taken"
        stream.close()
        wait_until(lambda: not server.active_associations, "the end of the association")
        assert echoes(server)
    assert not handled
    assert not list(tmp_path.iterdir()), "the temporary file is gone"


def _store_command() -> bytes:
    return pdv(3, 3, encode_command(COMMANDS["store"]))


def test_h09_control_characters_do_not_reach_the_log(caplog: pytest.LogCaptureFixture) -> None:
    request = associate_rq(Words(["called=0a1b+'[31m%s%n", "calling=0d0a1b+'$(x)`y`"]), "PROVIDER", "HOSTILE")
    with caplog.at_level(logging.DEBUG, "dimsefast"), serving() as server:
        with raw(server) as stream:
            stream.sendall(request + bytes([99]) * 10)
            Peer(stream).read_pdu()
        wait_until(lambda: not server.active_associations, "the end of the association")
        assert echoes(server)
        wait_until(lambda: "$(x)" in caplog.text, "a record that names the peer")
    for record in caplog.records:
        assert record.getMessage().isprintable(), record.getMessage()


def test_h10_slow_peers_are_ended_and_nobody_else_waits() -> None:
    request = associate_rq(Words([]), "PROVIDER", "SLOW")
    with serving(acse_timeout=1.0, network_timeout=1.0) as server:
        with raw(server) as before, raw(server) as within:
            within.sendall(request)
            Peer(within).read_pdu()
            ended = threading.Event()
            at = 0
            # A byte now and then, for as long as it takes.
            while not ended.is_set():
                for stream, bytes_ in ((before, request), (within, pdu(DATA, bytes(1000)))):
                    try:
                        stream.sendall(bytes_[at : at + 1])
                    except OSError:
                        ended.set()
                at += at < 50
                assert echoes(server)
        wait_until(lambda: not server.active_associations, "the end of the slow ones")


def test_h11_probes_and_resets_leave_nothing() -> None:
    request = associate_rq(Words([]), "PROVIDER", "PROBE")
    with serving() as server:
        assert echoes(server)
        threads = threading.active_count()
        for number in range(300):
            stream = raw(server)
            if number % 3:
                stream.sendall(request[: 50 if number % 3 == 1 else None])
            if number % 2:
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            stream.close()
        wait_until(lambda: not server._core.connections(), "the end of all connections")
        assert threading.active_count() <= threads + 2
        assert echoes(server)


def test_h11_a_peer_that_never_closes_loses_its_seat() -> None:
    with serving(acse_timeout=0.3, maximum_associations=1) as server:
        with raw(server) as stream:
            stream.sendall(associate_rq(Words([]), "PROVIDER", "HOSTILE"))
            peer = Peer(stream)
            peer.read_pdu()
            stream.sendall(b"\xff" * 10)
            assert peer.read_pdu()[0] == 7
            # The A-ABORT was read, and the connection stays open at this end.
            wait_until(lambda: not server._core.connections(), "the end of the connection")
            assert echoes(server)


def test_h15_logs_have_no_patient_data(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    secret = "Confidential^Cora"
    identifier = Dataset()
    identifier.QueryRetrieveLevel, identifier.PatientName, identifier.PatientID = "STUDY", secret, "SECRET-ID"

    def find(event: Any) -> Iterator[tuple[int, Dataset]]:
        yield 0xFF00, identifier
        raise RuntimeError("something else")

    with caplog.at_level(logging.DEBUG), serving((evt.EVT_C_FIND, find), store_to=tmp_path) as server:
        ae = AE("HONEST")
        for name in ("find", "ct"):
            ae.add_requested_context(NAMES[name], NAMES["implicit"])
        with ae.connect("127.0.0.1", server.port) as association:
            assert len(list(association.send_c_find(identifier, NAMES["find"]))) == 2
            stored = Dataset()
            stored.update(identifier)
            del stored.QueryRetrieveLevel
            stored.SOPClassUID, stored.SOPInstanceUID = NAMES["ct"], "1.2.3.4"
            stored.file_meta = _file_meta()
            assert association.send_c_store(stored).Status == 0x0000
        wait_until(lambda: "something else" in caplog.text, "the record of the handler's error")
    text = "\n".join(f"{record.getMessage()} {record.exc_text or ''}" for record in caplog.records)
    assert secret not in text and "SECRET-ID" not in text


def _file_meta() -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = NAMES["implicit"]
    return meta
