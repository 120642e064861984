"""Behind a real load balancer that says who the peer is: haproxy, with both versions of the PROXY protocol."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import AE, AssociationRejected, Quota, sop_class
from dimsefast.server import AssociationServer

from .conftest import Background, free_port

CONFIGURATION = """
defaults
    mode tcp
    timeout connect 30s
    timeout client 60s
    timeout server 60s
frontend dicom
    bind 127.0.0.1:{port}
    default_backend archive
backend archive
    server archive 127.0.0.1:{target} {option}
"""


@contextmanager
def haproxy(folder: Path, target: int, option: str) -> Iterator[int]:
    """Its port; what comes to it goes on to the port `target`."""
    port, file = free_port(), folder / "haproxy.cfg"
    file.write_text(CONFIGURATION.format(port=port, target=target, option=option))
    running = Background(port, "haproxy", "-db", "-f", file, log=folder / "log")
    try:
        yield port
    finally:
        running.stop()


@contextmanager
def serving(**options: Any) -> Iterator[AssociationServer]:
    ae = AE("SERVER")
    ae.maximum_associations = 50
    for name, value in options.items():
        setattr(ae, name, value)
    ae.add_supported_context(sop_class.Verification)
    server = ae.start_server(("127.0.0.1", 0), block=False, proxy_protocol=["127.0.0.1"])
    assert server is not None
    with server:
        yield server


def connect(port: int, address: str) -> Any:
    ae = AE("MODALITY")
    ae.add_requested_context(sop_class.Verification)
    return ae.connect("127.0.0.1", port, bind_address=(address, 0))


@pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2"])
def test_the_peer_is_the_one_in_front_of_it(tmp_path: Path, option: str) -> None:
    with serving() as server, haproxy(tmp_path, server.port, option) as port:
        for address in ("127.0.0.2", "127.0.0.3"):
            with connect(port, address) as association:
                assert association.send_c_echo().Status == 0x0000
                (acceptor,) = server.active_associations
                assert acceptor.requestor.address == address
            wait_until(lambda: not server.active_associations, "the end of the association")


@pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2"])
def test_quotas_are_those_of_the_address_in_front_of_it(tmp_path: Path, option: str) -> None:
    quota = Quota(associations=1)
    with serving(quota_per_address=quota) as server, haproxy(tmp_path, server.port, option) as port:
        with connect(port, "127.0.0.2"):
            with pytest.raises(AssociationRejected) as caught:
                connect(port, "127.0.0.2")
            # PS3.8 Table 9-21: transient, local limit exceeded.
            assert (caught.value.result, caught.value.source, caught.value.reason) == (2, 3, 2)
            with connect(port, "127.0.0.3") as other:
                assert other.send_c_echo().Status == 0x0000
        wait_until(lambda: not server.active_associations, "the end of the associations")
        connect(port, "127.0.0.2").release()


@pytest.mark.parametrize("option", ["send-proxy check inter 50ms", "send-proxy-v2 check inter 50ms check-send-proxy"])
def test_its_checks_cost_nothing(tmp_path: Path, option: str, caplog: pytest.LogCaptureFixture) -> None:
    with serving() as server, haproxy(tmp_path, server.port, option) as port:
        # Connections of its own, with a header that says so, without one, or with nothing at all.
        for _ in range(10):
            with connect(port, "127.0.0.2") as association:
                assert association.send_c_echo().Status == 0x0000
        wait_until(lambda: not server.active_associations, "the end of the associations")
    assert "Traceback" not in caplog.text
