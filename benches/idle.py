"""Associations that do nothing: opens so many over raw sockets, says so, and holds them until its standard input ends.

python benches/idle.py PORT COUNT
"""

from __future__ import annotations

import socket
import struct
import sys

VERIFICATION, IMPLICIT = b"1.2.840.10008.1.1", b"1.2.840.10008.1.2"
APPLICATION_CONTEXT, CLASS_UID = b"1.2.840.10008.3.1.1.1", b"1.2.826.0.1.3680043.8.498.1"
A_ASSOCIATE_AC = 2


def item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(value)) + value


def associate_rq() -> bytes:
    context = b"\1\0\0\0" + item(0x30, VERIFICATION) + item(0x40, IMPLICIT)
    user = item(0x51, struct.pack(">I", 16384)) + item(0x52, CLASS_UID)
    body = struct.pack(">HH16s16s32x", 1, 0, b"ANY-SCP".ljust(16), b"IDLE".ljust(16))
    body += item(0x10, APPLICATION_CONTEXT) + item(0x20, context) + item(0x50, user)
    return struct.pack(">BBI", 1, 0, len(body)) + body


def exactly(peer: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = peer.recv(size - len(data))
        if not more:
            raise SystemExit("the server closed a connection")
        data += more
    return data


def main(port: int, count: int) -> None:
    request, held = associate_rq(), []
    for _ in range(count):
        peer = socket.create_connection(("127.0.0.1", port))
        peer.sendall(request)
        kind, length = struct.unpack(">BxI", exactly(peer, 6))
        exactly(peer, length)
        if kind != A_ASSOCIATE_AC:
            raise SystemExit(f"PDU {kind:02X}H in answer to an A-ASSOCIATE-RQ")
        held.append(peer)
    print("ready", flush=True)
    sys.stdin.read()
    for peer in held:
        # Whatever came is an A-ABORT or the end: an idle association hears nothing.
        peer.setblocking(False)
        try:
            peer.recv(1)
        except BlockingIOError:
            continue
        raise SystemExit("the server ended an idle association")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
