"""Odd but honest peers: they just work."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from dimsefast import AE, sop_class
from pydicom import Dataset

from tests.conformance.pdus import NAMES
from tests.conformance.runner import Target
from tests.conformance.script import Wire
from tests.python.scripted import NO_DATASET, Command, Peer, acceptor, requestor

from .test_hostile import CONTEXTS, serving


@pytest.mark.parametrize("title", ["'PROVIDER", "'PROVIDER+00*8", "20*3+'PROVIDER", "00*2+'PROVIDER+20*2"])
def test_t01_titles_are_compared_after_trimming(title: str) -> None:
    with serving(require_called_aet=True, require_calling_aet=["MODALITY"]) as server:
        target = Target("127.0.0.1", server.port, "PROVIDER")
        with target.connect() as stream:
            wire = Wire(stream, "PROVIDER", "MODALITY", target.limit)
            wire.run(f"associate called={title} calling={title.replace('PROVIDER', 'MODALITY')}")
            wire.run("release-rq")
            wire.expect("release-rp")


def test_t07_move_responses_with_a_dataset_or_without_counters() -> None:
    model = str(sop_class.StudyRootQueryRetrieveInformationModelMove)

    def serve(peer: Peer) -> None:
        request = peer.next_message()
        answer: Command = {0x0002: model, 0x0100: 0x8021, 0x0120: request.id}
        peer.send_message(1, {**answer, 0x0900: 0xFF00, 0x1020: 1, 0x1021: 1}, b"\x10\0\x20\0\2\0\0\0ID")
        peer.send_message(1, {**answer, 0x0900: 0xB000, 0x1021: 1, 0x0800: NO_DATASET})
        assert peer.read_message() is None

    identifier = Dataset()
    identifier.QueryRetrieveLevel, identifier.StudyInstanceUID = "STUDY", "1.2.3"
    with acceptor(serve) as port:
        ae = AE("REQUESTOR")
        ae.add_requested_context(model, NAMES["implicit"])
        with ae.connect("127.0.0.1", port) as association:
            (pending, none), (final, listed) = association.send_c_move(identifier, "DESTINATION", model)
    assert (pending.Status, pending.NumberOfCompletedSuboperations, none) == (0xFF00, 1, None)
    assert final.Status == 0xB000 and "NumberOfFailedSuboperations" not in final
    assert listed is not None and not listed.FailedSOPInstanceUIDList


@pytest.mark.parametrize("padding", ["", "\0", " ", "\0\0\0", "  "])
def test_t12_uids_are_echoed_padding_included(tmp_path: Path, padding: str) -> None:
    sent = {0x0002: NAMES["ct"] + padding, 0x1000: "1.2.3.4.55" + padding}
    with serving(store_to=tmp_path) as server, requestor(server.port, CONTEXTS) as peer:
        command: Command = {0x0100: 0x0001, 0x0110: 1, 0x0700: 0, **sent}
        peer.send_message(3, command, b"\x10\0\x20\0\2\0\0\0ID")
        _, body = peer.read_pdu()
        for number, value in sent.items():
            even = value.encode() + b"\0" * (len(value) % 2)
            assert number.to_bytes(2, "little") + len(even).to_bytes(4, "little") + even in body
    assert [path.name for path in tmp_path.iterdir()] == ["1.2.3.4.55.dcm"]


def test_t13_both_ends_turn_nagle_off() -> None:
    with serving() as server:
        ae = AE("HONEST")
        ae.add_requested_context(NAMES["verification"])
        with ae.connect("127.0.0.1", server.port):
            found = dict(_connected_sockets(server.port))
            assert set(found) == {"acceptor", "requestor"}
            assert all(found.values())


def _connected_sockets(port: int) -> list[tuple[str, bool]]:
    """Which end of a connection to `port` each socket of this process is, and whether TCP_NODELAY is set on it."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            stream = socket.socket(fileno=os.dup(int(name)))
        except OSError:
            continue
        with stream:
            try:
                own, peer = stream.getsockname(), stream.getpeername()
                nodelay = bool(stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            except OSError:
                continue
            if port in (own[1], peer[1]):
                found.append(("acceptor" if own[1] == port else "requestor", nodelay))
    return found
