"""Where associations come from and go to: IPv6, both at once, addresses to bind, keep-alive."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from dimsefast import PeerUnreachable, Receiver, build_context
from dimsefast.sop_class import Verification
from faces import AE, Client, face  # noqa: F401
from service_cases import provider

ECHO = [build_context(Verification)]


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


#: Whether this machine's localhost is both: many have it as 127.0.0.1 alone.
BOTH = {found[4][0] for found in socket.getaddrinfo("localhost", None)} == {"127.0.0.1", "::1"}

ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")


def listening(*address: Any) -> Any:
    ae = AE("PROVIDER")
    ae.add_supported_context(Verification)
    return ae.start_server(address, block=False)


@ipv6
@pytest.mark.parametrize("address", [("::1", 0), ("::1", 0, 0, 0)])
@pytest.mark.parametrize("peer", ["::1", ("::1", 0, 0)])
def test_ipv6(address: Any, peer: Any) -> None:
    with listening(*address) as server:
        assert server.address_info.is_ipv6 and server.address[0] == "::1"
        assert server.address_info.as_tuple == ("::1", server.port, 0, 0)
        with AE().connect(peer, server.port, contexts=ECHO) as assoc:
            assert assoc.send_c_echo().Status == 0x0000
            (acceptor,) = server.active_associations
            assert acceptor.requestor.address == "::1" and assoc.acceptor.address == "::1"


@ipv6
def test_both_at_once_and_each_alone() -> None:
    with listening("::", 0) as server:
        for host in ("127.0.0.1", "::1", "localhost"):
            with AE().connect(host, server.port, contexts=ECHO) as assoc:
                assert assoc.send_c_echo().Status == 0x0000
                (acceptor,) = server.active_associations
                # An IPv4 peer is one, whatever the socket makes of it.
                assert acceptor.requestor.address in ("127.0.0.1", "::1")
                assert host == "localhost" or acceptor.requestor.address == host
            acceptor.join(30)
    with listening("::1", 0) as server, pytest.raises(PeerUnreachable):
        AE().connect("127.0.0.1", server.port, contexts=ECHO)


@ipv6
@pytest.mark.skipif(not BOTH, reason="localhost is one address here")
def test_a_name_is_tried_address_by_address() -> None:
    for host in ("127.0.0.1", "::1"):
        with listening(host, 0) as server, AE().connect("localhost", server.port, contexts=ECHO) as assoc:
            assert assoc.send_c_echo().Status == 0x0000


@ipv6
@pytest.mark.parametrize(
    ("host", "bind"), [("::1", ("::1", 0)), ("::1", ("::1", 0, 0, 0)), ("127.0.0.1", ("127.0.0.1", 0))]
)
def test_the_address_to_bind(host: str, bind: Any) -> None:
    with listening("::", 0) as server:
        with AE().connect(host, server.port, contexts=ECHO, bind_address=bind) as assoc:
            assert assoc.requestor.address == host
        if BOTH:
            # Those that it cannot be bound for are left out.
            with AE().connect("localhost", server.port, contexts=ECHO, bind_address=bind) as assoc:
                assert assoc.requestor.address == host
        other = "127.0.0.1" if host == "::1" else "::1"
        with pytest.raises(PeerUnreachable, match="another family"):
            AE().connect(other, server.port, contexts=ECHO, bind_address=bind)


@ipv6
def test_the_client_and_its_receiver(tmp_path: Any) -> None:
    with listening("::1", 0) as server, Client(f"PROVIDER@[::1]:{server.port}") as client:
        client.echo()
    with Receiver("STORE", "[::1]:0", tmp_path) as receiver, Client(f"STORE@{receiver.address}") as client:
        client.echo()


def sockets_with(port: int) -> Iterator[socket.socket]:
    """Copies of this process's sockets that are connected, one end being at this port."""
    for name in os.listdir("/proc/self/fd"):
        try:
            if not os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(name))) as copy:
                if copy.family in (socket.AF_INET, socket.AF_INET6) and port in (
                    copy.getpeername()[1],
                    copy.getsockname()[1],
                ):
                    yield copy
        except OSError:
            continue


@pytest.mark.parametrize("idle", [None, 40.0])
def test_keep_alive(idle: float | None) -> None:
    server = provider()
    with server:
        server.ae.keep_alive = idle
        ae = AE()
        ae.keep_alive = idle
        with ae.connect("127.0.0.1", server.port, contexts=ECHO):
            found = 0
            for copy in sockets_with(server.port):
                found += 1
                assert copy.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == (idle is not None)
                assert copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                if idle is not None:
                    assert copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 40
            assert found == 2
