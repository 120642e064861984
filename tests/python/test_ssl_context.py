"""TLS by Python's own ssl.SSLContext, as programs written for pynetdicom have it."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from certificates import Certificates
from conftest import wait_until
from dimsefast import AssociationAborted, AssociationTimeout, TLSFailed, build_context, evt
from dimsefast.sop_class import CTImageStorage, Verification
from faces import AE, face  # noqa: F401
from scripted import raw_listener
from service_cases import CT, EXPLICIT, encoded, provider
from test_process import run
from tls_cases import big_object, hospital  # noqa: F401

CONTEXTS = [build_context(CTImageStorage, EXPLICIT), build_context(Verification)]


def connect(server: Any, **options: Any) -> Any:
    ae = AE("REQUESTOR")
    return ae.connect("127.0.0.1", server.port, contexts=CONTEXTS, ae_title="PROVIDER", **options)


@pytest.mark.parametrize(("by_context", "of_context"), [(True, True), (True, False), (False, True)])
def test_every_pair(hospital: Certificates, tmp_path: Path, by_context: bool, of_context: bool) -> None:
    client = hospital.context("modality", server_side=False)
    requestor: Any = {"tls_args": (client, "localhost")} if by_context else {"tls": hospital.tls("modality")}
    context = hospital.context("archive", server_side=True)
    acceptor: Any = {"ssl_context": context} if of_context else {"tls": hospital.tls("archive")}
    big = big_object()
    with provider(store_to=tmp_path, **acceptor) as server, connect(server, **requestor) as assoc:
        assert server.ssl_context is (context if of_context else None)
        assert assoc.send_c_echo().Status == 0x0000
        (served,) = server.active_associations
        for end, peer in ((assoc, "archive"), (served, "modality")):
            assert end.tls.version == "TLSv1.3" and f"CN={peer}" in end.tls.peer_subject
        assert (served.requestor.address, served.requestor.port) == (assoc.requestor.address, assoc.requestor.port)
        assert all(result.status == 0 for result in assoc.store([CT, big, CT]))
    assert assoc.is_released
    assert {encoded(path) for path in tmp_path.iterdir() if path.stat().st_size < 1_000_000} == {encoded(CT)}


def test_many_at_once_and_handlers(hospital: Certificates) -> None:
    seen: list[str] = []

    def on_store(event: Any) -> int:
        seen.append(event.assoc.tls.version)
        return 0

    context = hospital.context("archive", server_side=True)
    client = hospital.context("modality", server_side=False)
    with provider((evt.EVT_C_STORE, on_store), ssl_context=context) as server:
        associations = [connect(server, tls_args=(client, None)) for _ in range(8)]
        for assoc in associations:
            assert assoc.send_c_store(CT).Status == 0x0000
        for assoc in associations:
            assoc.release()
    assert seen == ["TLSv1.3"] * 8


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("expired", "expired", "certificate has expired"),
        ("name", "wrong name", "IP address mismatch"),
        ("stranger", "untrusted", "self-signed certificate in certificate chain"),
    ],
)
def test_a_bad_certificate(hospital: Certificates, tmp_path: Path, fault: str, kind: str, words: str) -> None:
    issuer = Certificates(tmp_path, "Elsewhere") if fault == "stranger" else hospital
    names = ("elsewhere",) if fault == "name" else ()
    context = issuer.context(f"bad-{fault}", True, fault == "expired", *names)
    client = hospital.context("modality", server_side=False)
    with provider(ssl_context=context) as server:
        with pytest.raises(TLSFailed, match=words) as caught:
            connect(server, tls_args=(client, None))
        assert caught.value.kind == kind and caught.value.peer.endswith(f"@127.0.0.1:{server.port}")
        assoc = AE().associate("127.0.0.1", server.port, contexts=CONTEXTS, tls_args=(client, None))
        assert assoc.is_aborted and assoc.failure is not None and words in assoc.failure


def test_plain_dicom_on_either_side(hospital: Certificates, caplog: pytest.LogCaptureFixture) -> None:
    client = hospital.context("modality", server_side=False)
    with provider() as server, pytest.raises(TLSFailed) as caught:
        connect(server, tls_args=(client, None))
    assert caught.value.kind in ("not TLS", "closed")
    with provider(ssl_context=hospital.context("archive", server_side=True)) as server:
        # OpenSSL closes without an alert: what the peer speaks remains unsaid.
        with pytest.raises(AssociationAborted, match="closed by the peer"):
            connect(server)
        wait_until(lambda: "TLS with 127.0.0.1:" in caplog.text)


def test_contexts_that_cannot_be_used(hospital: Certificates) -> None:
    with pytest.raises(ValueError, match="cannot be used on this side"):
        provider(ssl_context=ssl.create_default_context())
    with pytest.raises(ValueError, match="two ways"):
        provider(ssl_context=hospital.context("archive", server_side=True), tls=hospital.tls("archive"))
    with pytest.raises(TypeError, match=r"SSLContext"):
        provider(ssl_context=object())


def test_a_silent_peer_has_the_acse_timeout(hospital: Certificates) -> None:
    ae = AE()
    ae.acse_timeout = 0.3
    client = hospital.context("modality", server_side=False)
    with raw_listener() as port, pytest.raises(AssociationTimeout, match="TLS handshake"):
        ae.connect("127.0.0.1", port, contexts=CONTEXTS, tls_args=(client, None))
    with provider(ssl_context=hospital.context("archive", server_side=True)) as server:
        server.ae.acse_timeout = 0.3
        with socket.create_connection(("127.0.0.1", server.port)) as stream:
            stream.settimeout(30)
            assert stream.recv(10) == b""


def test_aborts_pass_at_once(hospital: Certificates) -> None:
    client = hospital.context("modality", server_side=False)
    with provider(ssl_context=hospital.context("archive", server_side=True)) as server:
        assoc = connect(server, tls_args=(client, None))
        (acceptor,) = server.active_associations
        assoc.abort()
        wait_until(lambda: acceptor.is_aborted)
        assert acceptor._ending() == "aborted by peer A-ABORT received"
        assoc = connect(server, tls_args=(client, None))
    wait_until(lambda: assoc.is_aborted)


def scripted(hospital: Certificates) -> str:
    archive, modality = hospital.issue("archive"), hospital.issue("modality")
    return f"""
        import ssl
        from dimsefast import TLS
        CA = {str(hospital.ca)!r}
        server_tls = TLS({str(archive[0])!r}, {str(archive[1])!r}, ca=CA)
        client_tls = TLS({str(modality[0])!r}, {str(modality[1])!r}, ca=CA)
        server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=CA)
        server_context.load_cert_chain({str(archive[0])!r}, {str(archive[1])!r})
        client_context = ssl.create_default_context(cafile=CA)
        client_context.load_cert_chain({str(modality[0])!r}, {str(modality[1])!r})
        def serve(**options):
            ae = AE("PROVIDER")
            ae.add_supported_context(Verification)
            return ae.start_server(("127.0.0.1", 0), block=False, **options)
        WAYS = [({{"tls": server_tls}}, {{"tls": client_tls}}),
                ({{"ssl_context": server_context}}, {{"tls_args": (client_context, None)}})]
    """


@pytest.mark.blocking
def test_a_script_that_ends_with_everything_open_tells_its_peer(hospital: Certificates) -> None:
    ended = []

    def on_abort(event: Any) -> None:
        ended.append(event.assoc._ending())

    context = hospital.context("archive", server_side=True)
    with provider((evt.EVT_ABORTED, on_abort), ssl_context=context) as server:
        done = run(
            scripted(hospital)
            + f"""
        associations = [AE().connect("127.0.0.1", {server.port}, contexts=ECHO, **way) for _, way in WAYS]
        servers = [serve(**way) for way, _ in WAYS]
        print("end")
        """
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")
        wait_until(lambda: len(ended) == 2)
    assert ended == ["aborted by peer A-ABORT received"] * 2


@pytest.mark.blocking
def test_a_child_of_a_fork_leaves_its_parents_associations_alone(hospital: Certificates) -> None:
    done = run(
        scripted(hospital)
        + """
        for server_way, client_way in WAYS:
            server = serve(**server_way)
            assoc = AE().connect("127.0.0.1", server.port, contexts=ECHO, **client_way)
            assert assoc.send_c_echo().Status == 0
            pid = os.fork()
            if pid == 0:
                try:
                    own = serve(**server_way)
                    with AE().connect("127.0.0.1", own.port, contexts=ECHO, **client_way) as mine:
                        assert mine.send_c_echo().Status == 0
                    own.shutdown()
                    try:
                        assoc.send_c_echo()
                    except RuntimeError:
                        os._exit(0)
                finally:
                    os._exit(1)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            assert assoc.send_c_echo().Status == 0
            assoc.release()
            assert assoc.is_released
            server.shutdown()
        print("end")
        """
    )
    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr


@pytest.mark.blocking
def test_ctrl_c_ends_a_handshake(hospital: Certificates) -> None:
    with raw_listener() as port:
        done = run(
            scripted(hospital)
            + f"""
        for _, way in WAYS[:1]:
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                AE().connect("127.0.0.1", {port}, contexts=ECHO, **way)
            except KeyboardInterrupt:
                print("interrupted")
        """
        )
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr
