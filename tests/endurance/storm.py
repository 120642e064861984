"""`make storm`: idle associations, silent and slow peers beside an honest one, connections that come and go."""

from __future__ import annotations

import argparse
import resource
import socket
import struct
import threading
import time

from tests.conformance.pdus import Words, associate_rq
from tests.python.scripted import ASSOCIATE_AC, Peer

from .measure import Receiver, percentiles, receiver, wait_for

#: Growth of the receiver that is no leak: allocators keep some, in bytes.
TOLERATED = 24 << 20

REQUEST = associate_rq(Words(["ctx=1/verification/implicit"]), "RECEIVER", "STORM")


def idle(count: int) -> None:
    """So many associations that do nothing."""
    with receiver(count + 10, 600) as target:
        before = target.usage()
        begin = time.perf_counter()
        streams = []
        for _ in range(count):
            stream = target.socket()
            stream.sendall(REQUEST)
            assert Peer(stream).read_pdu()[0] == ASSOCIATE_AC
            streams.append(stream)
        seconds = time.perf_counter() - begin
        full = target.usage()
        print(f"{count} idle associations: opened at {count / seconds:.0f} a second; {before} -> {full}")
        print(f"  {(full.resident - before.resident) / count / 1000:.1f} kB each")
        print(f"  echo beside them: {percentiles([target.echoes() for _ in range(100)])}")
        assert full.threads <= before.threads + 8, "threads do not grow with associations"
        for stream in streams:
            stream.close()
        wait_for(lambda: target.usage().descriptors <= before.descriptors + 2, "the end of all descriptors")
        print(f"  closed: {target.usage()}")


def slow(silent: int, senders: int, seconds: float) -> None:
    """Silent connections, and peers that send a byte a second, while an honest peer is answered."""
    with receiver(10, 30) as target:
        over = threading.Event()
        alone = percentiles([target.echoes() for _ in range(200)])
        streams = [target.socket() for _ in range(silent + senders)]
        dribbling = threading.Thread(target=dribble, args=(streams[silent:], over))
        dribbling.start()
        latencies, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            latencies.append(target.echoes())
        over.set()
        dribbling.join()
        print(f"{silent} silent and {senders} byte-a-second peers: {target.usage()}")
        print(f"  echo without them: {alone}\n  echo beside them: {percentiles(latencies)}")
        for stream in streams:
            stream.close()


def dribble(streams: list[socket.socket], over: threading.Event) -> None:
    at = 0
    while not over.wait(1.0):
        for stream in streams:
            try:
                stream.sendall(REQUEST[at : at + 1])
            except OSError:
                continue
        at += 1


def churn(count: int) -> None:
    """So many connections that come and go, half of them with a reset, at three points of an association."""
    with receiver(1000, 30) as target:
        _come_and_go(target, min(count, 5000))
        before = target.usage()
        begin = time.perf_counter()
        _come_and_go(target, count)
        seconds = time.perf_counter() - begin
        wait_for(lambda: target.usage().descriptors <= before.descriptors + 2, "the end of all descriptors")
        after = target.usage()
        print(f"{count} connections that came and went: {count / seconds:.0f} a second; {before} -> {after}")
        print(f"  echo afterwards: {percentiles([target.echoes() for _ in range(100)])}")
        assert after.resident - before.resident < TOLERATED, "memory does not grow"
        assert after.threads <= before.threads + 4, "threads do not grow"


def _come_and_go(target: Receiver, count: int) -> None:
    for number in range(count):
        with target.socket() as stream:
            point = number // 2 % 3
            if point:
                stream.sendall(REQUEST if point == 2 else REQUEST[:40])
            if number % 2:
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.endurance.storm", description=__doc__)
    parser.add_argument("--idle", type=int, default=5000)
    parser.add_argument("--silent", type=int, default=200)
    parser.add_argument("--senders", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30, help="for silent and slow peers")
    parser.add_argument("--connections", type=int, default=100_000)
    arguments = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    idle(arguments.idle)
    slow(arguments.silent, arguments.senders, arguments.seconds)
    churn(arguments.connections)


if __name__ == "__main__":
    main()
