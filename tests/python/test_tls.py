"""TLS by the core: both roles, what is agreed on, each way in which it fails."""

from __future__ import annotations

import logging
import shutil
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
from certificates import Certificates
from conftest import wait_until
from dimsefast import (
    TLS,
    AssociationTimeout,
    PeerUnreachable,
    TLSFailed,
    build_context,
    build_role,
    evt,
)
from dimsefast.sop_class import CTImageStorage
from faces import AE, Client, face  # noqa: F401
from pydicom import dcmread
from scripted import raw_listener
from service_cases import CT, EXPLICIT, FIND, GET, encoded, provider, query
from tls_cases import ECHO, big_object, client_tls, connect, hospital, server_tls  # noqa: F401


def test_both_ends_show_what_was_agreed_on(server_tls: TLS, client_tls: TLS) -> None:
    with provider(tls=server_tls) as server, connect(server, client_tls) as assoc:
        assert assoc.send_c_echo().Status == 0x0000
        (acceptor,) = server.active_associations
        for end, peer in ((assoc, "archive"), (acceptor, "modality")):
            assert end.tls.version == "TLSv1.3" and end.tls.cipher_suite.startswith("TLS_AES_")
            assert f"CN={peer}" in end.tls.peer_subject
            assert ssl.DER_cert_to_PEM_cert(end.tls.peer_certificate).startswith("-----BEGIN")
    assert assoc.is_released


def test_plain_associations_have_no_tls() -> None:
    with provider() as server, connect(server, None) as assoc:
        assert assoc.tls is None


def test_the_next_association_resumes_and_still_knows_its_peer(server_tls: TLS, client_tls: TLS) -> None:
    with provider(tls=server_tls) as server:
        for _ in range(3):
            with connect(server, client_tls) as assoc:
                assert assoc.send_c_echo().Status == 0x0000
                (acceptor,) = server.active_associations
                assert "CN=modality" in acceptor.tls.peer_subject and "CN=archive" in assoc.tls.peer_subject
            wait_until(lambda: not server.active_associations)


@pytest.mark.parametrize("max_pdu", [16384, 262144])
def test_objects_arrive_as_they_are(server_tls: TLS, client_tls: TLS, tmp_path: Path, max_pdu: int) -> None:
    kept: list[Any] = []

    def on_store(event: Any) -> int:
        kept.append(event.encoded_dataset(include_meta=False))
        return 0

    big = big_object()
    contexts = [build_context(CTImageStorage, EXPLICIT)]
    with provider((evt.EVT_C_STORE, on_store), tls=server_tls) as server:
        server.ae.maximum_pdu_size = max_pdu
        with connect(server, client_tls, contexts) as assoc:
            assert assoc.send_c_store(CT).Status == 0x0000
            assert assoc.send_c_store(big).Status == 0x0000
    assert kept[0] == encoded(CT) and big[0x00091010].value in kept[1]
    with provider(tls=server_tls, store_to=tmp_path) as server, connect(server, client_tls, contexts) as assoc:
        assert all(result.status == 0 for result in assoc.store([CT, big] * 3))
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".dcm", ".dcm"]
    uid = dcmread(CT, stop_before_pixels=True).SOPInstanceUID
    assert encoded(tmp_path / f"{uid}.dcm") == encoded(CT)


def test_a_requestor_receives_more_than_it_reads_at_once(server_tls: TLS, client_tls: TLS) -> None:
    """What is decrypted already is nothing that the socket wakes anybody for."""
    big, received, produced = big_object(), [], []

    def on_get(event: Any) -> Any:
        yield 4
        for _ in range(4):
            yield 0xFF00, big

    def on_find(event: Any) -> Any:
        for number in range(10_000):
            produced.append(number)
            yield 0xFF00, query(PatientID=str(number))

    def on_store(event: Any) -> int:
        received.append(event.encoded_dataset(include_meta=False))
        return 0

    contexts = [build_context(uid, EXPLICIT) for uid in (FIND, GET, CTImageStorage)]
    with provider((evt.EVT_C_GET, on_get), (evt.EVT_C_FIND, on_find), tls=server_tls) as server:
        options: Any = {
            "evt_handlers": [(evt.EVT_C_STORE, on_store)],
            "ext_neg": [build_role(CTImageStorage, scp_role=True)],
        }
        with connect(server, client_tls, contexts, **options) as assoc:
            assert [status.Status for status, _ in assoc.send_c_get(query(), GET)][-1] == 0x0000
            assert len(received) == 4 and all(big[0x00091010].value in data for data in received)
            responses = assoc.send_c_find(query(PatientID=""), FIND)
            next(responses)
            # More have come than are taken in (4,096 responses): the rest waits, and is taken later.
            wait_until(lambda: len(produced) > 6_000, "more than are taken in")
            found = [identifier.PatientID for _, identifier in responses if identifier is not None]
            assert found == [str(number) for number in range(1, 10_000)]


def test_requestors_wait_and_are_watched_as_on_tcp(server_tls: TLS, client_tls: TLS) -> None:
    with provider(tls=server_tls) as server:
        assoc = connect(server, client_tls)
        (acceptor,) = server.active_associations
        acceptor.abort()
        wait_until(lambda: assoc.is_aborted)
        assoc = connect(server, client_tls)
        assoc.network_timeout = 0.3
        wait_until(lambda: assoc.is_aborted)


# Each failure: typed, on one line, with the peer's name


def check_failure(
    kind: str, words: str, port: int, tls: TLS | None, caplog: pytest.LogCaptureFixture | None = None
) -> None:
    """Connecting raises, associating gives an aborted association that says the same, and the acceptor logs."""
    with pytest.raises(TLSFailed, match=words) as caught:
        AE().connect("127.0.0.1", port, contexts=ECHO, ae_title="PEER", tls=tls)
    assert caught.value.kind == kind and caught.value.peer == f"PEER@127.0.0.1:{port}"
    assert "\n" not in str(caught.value) and isinstance(caught.value, ConnectionError)
    assoc = AE().associate("127.0.0.1", port, contexts=ECHO, ae_title="PEER", tls=tls)
    assert assoc.is_aborted and not assoc.is_established and not assoc.is_rejected
    assert assoc.failure is not None and assoc.failure == str(caught.value)
    if caplog is not None:
        wait_until(lambda: "TLS with 127.0.0.1:" in caplog.text, "the acceptor's line")


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("expired", "expired", "has expired"),
        ("name", "wrong name", 'not for "127.0.0.1" but for .*elsewhere'),
        ("stranger", "untrusted", "no CA that is trusted here"),
    ],
)
def test_a_bad_certificate(
    hospital: Certificates,
    client_tls: TLS,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    fault: str,
    kind: str,
    words: str,
) -> None:
    issuer = Certificates(tmp_path, "Elsewhere") if fault == "stranger" else hospital
    names = ("elsewhere",) if fault == "name" else ()
    files = issuer.issue(f"bad-{fault}", *names, expired=fault == "expired")
    with provider(tls=TLS(*files, ca=hospital.ca)) as server:
        check_failure(kind, words, server.port, client_tls, caplog)
        assert connect(server, TLS(*hospital.issue("lax"), verify_peer="none")).send_c_echo().Status == 0
    if fault == "name":
        with provider(tls=TLS(*files, ca=hospital.ca)) as server:
            by_name, by_trust = hospital.tls("a", server_name="elsewhere"), hospital.tls("b", check_server_name=False)
            # RFC 6066 3: addresses are not asked for.
            for tls, asked_for in ((by_name, "elsewhere"), (by_trust, None)):
                with connect(server, tls) as assoc:
                    assert assoc.send_c_echo().Status == 0
                    (acceptor,) = server.active_associations
                    assert acceptor.tls.server_name == asked_for
                wait_until(lambda: not server.active_associations)


def test_a_requestor_whose_certificate_is_missing_or_bad(
    hospital: Certificates, server_tls: TLS, caplog: pytest.LogCaptureFixture
) -> None:
    with provider(tls=server_tls) as server:
        check_failure("refused", "requires a certificate", server.port, TLS(ca=hospital.ca), caplog)
        expired = TLS(*hospital.issue("late", expired=True), ca=hospital.ca)
        check_failure("refused", "our certificate has expired", server.port, expired, caplog)
        assert "no certificate" in caplog.text and "has expired" in caplog.text
    asking = hospital.tls("asking", verify_peer="request")
    with provider(tls=asking) as server, connect(server, TLS(ca=hospital.ca)) as assoc:
        assert assoc.send_c_echo().Status == 0
        assert server.active_associations[0].tls.peer_certificate is None


def test_revoked_certificates_of_either_side(
    hospital: Certificates, server_tls: TLS, client_tls: TLS, caplog: pytest.LogCaptureFixture
) -> None:
    files = hospital.issue("revoked")
    revoked, lists = TLS(*files, ca=hospital.ca), [hospital.revoke(files[0])]
    wary = hospital.tls("wary", revocation_lists=lists)
    with provider(tls=revoked) as server:
        check_failure("revoked", "has been revoked", server.port, wary, caplog)
        assert connect(server, client_tls).send_c_echo().Status == 0
    with provider(tls=wary) as server:
        check_failure("refused", "our certificate has been revoked", server.port, revoked, caplog)
        assert connect(server, client_tls).send_c_echo().Status == 0


def test_a_list_that_has_changed_ends_what_was_trusted(
    hospital: Certificates, server_tls: TLS, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also for a requestor that could resume: its session is not taken up with the list it came before."""
    files = hospital.issue("dismissed")
    dismissed, current = TLS(*files, ca=hospital.ca), tmp_path / "current.crl"
    shutil.copy(hospital.revoke(hospital.issue("somebody")[0]), current)

    def is_taken(server: Any) -> bool:
        assoc = AE().associate("127.0.0.1", server.port, contexts=ECHO, tls=dismissed)
        taken = bool(assoc.is_established)
        assoc.release()
        return taken

    with provider(tls=hospital.tls("listing", revocation_lists=[current])) as server:
        assert is_taken(server) and is_taken(server)
        shutil.copy(hospital.revoke(files[0]), current)
        wait_until(lambda: not is_taken(server), "the list")
        assert not is_taken(server) and "has been revoked" in caplog.text


@pytest.mark.parametrize(("protocols", "selected"), [([], None), (["dicom"], "dicom"), (["h2", "dicom"], "dicom")])
def test_the_application_protocol_is_dicom(
    hospital: Certificates, server_tls: TLS, protocols: list[str], selected: str | None
) -> None:
    context = hospital.context("modality", server_side=False)
    context.set_alpn_protocols(protocols)
    with provider(tls=server_tls) as server, socket.create_connection(("127.0.0.1", server.port)) as stream:
        with context.wrap_socket(stream, server_hostname="localhost") as secured:
            assert secured.selected_alpn_protocol() == selected


def test_who_asks_for_another_application_protocol_is_refused(
    hospital: Certificates, server_tls: TLS, caplog: pytest.LogCaptureFixture
) -> None:
    context = hospital.context("browser", server_side=False)
    context.set_alpn_protocols(["http/1.1"])
    with provider(tls=server_tls) as server, socket.create_connection(("127.0.0.1", server.port)) as stream:
        with pytest.raises(OSError):
            context.wrap_socket(stream, server_hostname="localhost")
        wait_until(lambda: "other protocols than DICOM" in caplog.text)


def test_plain_dicom_at_a_tls_port_and_tls_at_a_plain_port(
    server_tls: TLS, client_tls: TLS, caplog: pytest.LogCaptureFixture
) -> None:
    with provider(tls=server_tls) as server:
        check_failure("not TLS", "the peer speaks TLS", server.port, None, caplog)
        assert "the peer speaks plain DICOM" in caplog.text
    caplog.clear()
    with provider() as server:
        check_failure("not TLS", "answers in plain DICOM", server.port, client_tls)
        wait_until(lambda: "is that of a TLS record" in caplog.text)


def test_a_peer_that_closes_or_says_nothing(client_tls: TLS) -> None:
    with raw_listener(close=True) as port, pytest.raises(TLSFailed, match="closed during the TLS handshake") as caught:
        AE().connect("127.0.0.1", port, contexts=ECHO, tls=client_tls)
    assert caught.value.kind == "closed"
    ae = AE()
    ae.acse_timeout = 0.3
    with raw_listener() as port, pytest.raises(AssociationTimeout, match="TLS handshake was not finished in time"):
        ae.connect("127.0.0.1", port, contexts=ECHO, tls=client_tls)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(PeerUnreachable):
        AE().connect("127.0.0.1", port, contexts=ECHO, tls=client_tls)


def old(context: ssl.SSLContext) -> ssl.SSLContext:
    """What speaks TLS 1.1 at best."""
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    return context


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_versions(
    hospital: Certificates, server_tls: TLS, client_tls: TLS, caplog: pytest.LogCaptureFixture
) -> None:
    context = old(hospital.context("antique", server_side=True))
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for _ in range(2):
            stream, _ = listener.accept()
            try:
                context.wrap_socket(stream, server_side=True)
            except OSError:
                stream.close()

    thread = threading.Thread(target=serve)
    thread.start()
    check_failure("version", "TLS 1.2 and 1.3", listener.getsockname()[1], client_tls)
    thread.join()
    listener.close()
    with provider(tls=server_tls) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as stream, pytest.raises(OSError):
            old(hospital.context("antique", server_side=False)).wrap_socket(stream, server_hostname="localhost")
        wait_until(lambda: "version of TLS is too old" in caplog.text)


# Configuration


def test_what_is_no_good_is_refused_with_the_reason(hospital: Certificates, tmp_path: Path) -> None:
    certificate, key = hospital.issue("files")
    with pytest.raises(ValueError, match="belong together"):
        TLS(certificate)
    with pytest.raises(FileNotFoundError, match="missing"):
        TLS(tmp_path / "missing.pem", key)
    with pytest.raises(ValueError, match=r"files\.pem.*no private key"):
        TLS(certificate, certificate)
    for profile in ("basic", "aes", "downgrading", "extended", "modified"):
        with pytest.raises(ValueError, match=r'profile \(PS3\.15 B\.\d.* is not supported: .*; use "bcp195"'):
            TLS(profile=profile)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no TLS profile"):
        TLS(profile="best")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="verify_peer"):
        TLS(verify_peer="perhaps")  # type: ignore[arg-type]
    for unfit, words in ((TLS(ca=hospital.ca), "needs a certificate"), (TLS(certificate, key), "ca=")):
        with pytest.raises(ValueError, match=words):
            provider(tls=unfit)
    with pytest.raises(TypeError, match="its own argument"):
        provider(tls=ssl.create_default_context())
    assert "bcp195" in repr(TLS(ca=hospital.ca))


@pytest.mark.parametrize("profile", ["bcp195", "non-downgrading"])
def test_profiles_and_tls_1_2(hospital: Certificates, profile: Any) -> None:
    with provider(tls=hospital.tls("profiled", profile=profile)) as server:
        context = hospital.context("modality", server_side=False)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with socket.create_connection(("127.0.0.1", server.port)) as stream:
            with context.wrap_socket(stream, server_hostname="localhost") as secured:
                cipher = secured.cipher()
                assert cipher is not None and cipher[0].startswith("ECDHE-RSA-AES")
        # DHE and CBC are nobody's.
        context.set_ciphers("DHE+AESGCM:ECDHE+AES:!AESGCM" if profile == "bcp195" else "DHE+AESGCM")
        with socket.create_connection(("127.0.0.1", server.port)) as stream, pytest.raises(OSError):
            context.wrap_socket(stream, server_hostname="localhost")


def test_a_renewed_certificate_needs_no_restart(
    hospital: Certificates, client_tls: TLS, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    issuer = Certificates(tmp_path)
    tls = TLS(*issuer.issue("renewed"), ca=hospital.ca)

    def subject(port: int) -> str:
        with AE().connect("127.0.0.1", port, contexts=ECHO, tls=TLS(*files, ca=issuer.ca)) as assoc:
            return str(assoc.tls.peer_subject)

    files = hospital.issue("renewing-client")
    with provider(tls=tls) as server:
        assert "CN=renewed" in subject(server.port)
        fresh = issuer.issue("fresh")
        for name, source in zip(("renewed.pem", "renewed.key"), fresh, strict=True):
            (tmp_path / name).write_bytes(source.read_bytes())
        wait_until(lambda: "CN=fresh" in subject(server.port), "the renewed certificate")
        (tmp_path / "renewed.pem").write_text("broken")
        wait_until(lambda: "CN=fresh" in subject(server.port) and "goes on" in caplog.text, "the line about the file")
        with pytest.raises(ValueError, match=r"renewed\.pem"):
            tls.reload()
        (tmp_path / "renewed.pem").write_bytes(fresh[0].read_bytes())
        tls.reload()


# The client


def test_the_client_finds_stores_and_receives_by_tls(hospital: Certificates, server_tls: TLS, tmp_path: Path) -> None:
    with provider(tls=server_tls, store_to=tmp_path) as server:
        peer = f"PROVIDER@127.0.0.1:{server.port}"
        with Client(peer, tls=hospital.tls("client")) as client:
            client.echo()
            assert client.store(CT).ok
        with Client(peer) as client, pytest.raises(TLSFailed, match="the peer speaks TLS"):
            client.echo()
    assert len(list(tmp_path.iterdir())) == 1


def test_nothing_is_logged_for_a_look_at_the_port(server_tls: TLS, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), provider(tls=server_tls) as server:
        for _ in range(5):
            socket.create_connection(("127.0.0.1", server.port)).close()
        wait_until(lambda: not server._core.connections())
    assert "TLS with" not in caplog.text
