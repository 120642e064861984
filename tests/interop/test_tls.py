"""TLS with real peers: DCMTK's programs and pynetdicom, in both directions, and each way in which it fails."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from certificates import Certificates
from conftest import wait_until
from dimsefast import AE, TLS, AssociationAborted, TLSFailed, build_context, evt, presentation, sop_class

from .conftest import REQUIRED, Background, Sample, call, encoded, equal, free_port

if REQUIRED:
    import pynetdicom
else:
    pynetdicom = pytest.importorskip("pynetdicom", reason="pynetdicom is not installed: make peers")
from pynetdicom import evt as theirs

ECHO = [build_context(sop_class.Verification)]


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def receiver(hospital: Certificates, tmp_path: Path) -> Iterator[Any]:
    """A C-STORE receiver of ours that requires certificates, and its folder."""
    with receiving(hospital.tls("receiver"), tmp_path / "received") as server:
        yield server


def receiving(tls: TLS, folder: Path) -> Any:
    folder.mkdir()
    ae = AE("RECEIVER")
    for context in presentation.VerificationPresentationContexts + presentation.AllStoragePresentationContexts:
        ae.add_supported_context(context.abstract_syntax, presentation.ALL_TRANSFER_SYNTAXES)
    server: Any = ae.start_server(("127.0.0.1", 0), block=False, store_to=folder, tls=tls)
    server.folder = folder
    return server


def dcmtk(hospital: Certificates, name: str, **options: Any) -> list[Any]:
    """DCMTK's options for a node with a certificate that trusts the CA."""
    certificate, key = hospital.issue(name, **options)
    return ["+tls", key, certificate, "+cf", hospital.ca]


def connect(port: int, tls: TLS | None = None, **options: Any) -> Any:
    return AE("REQUESTOR").connect("127.0.0.1", port, ae_title="THEIRS", tls=tls, **options)


# DCMTK


#: Those that have suites in common with ours: PS3.15 B.10 (DCMTK's default), B.9 and B.11.
COMMON = ("+py", "+px", "+pz")
#: Those that have none: PS3.15 B.3, and IHE's without encryption.
OTHERS = ("+pa", "+pn")


@pytest.mark.parametrize("ours", ["bcp195", "non-downgrading"])
@pytest.mark.parametrize("profile", COMMON)
def test_echoscu_of_each_profile(hospital: Certificates, tmp_path: Path, profile: str, ours: Any) -> None:
    with receiving(hospital.tls("receiver", profile=ours), tmp_path / "received") as server:
        output = call("echoscu", "-v", *dcmtk(hospital, "echoscu"), profile, "127.0.0.1", server.port)
    assert "Received Echo Response (Success)" in output


@pytest.mark.parametrize("profile", OTHERS)
def test_echoscu_of_a_profile_that_is_refused(
    hospital: Certificates, receiver: Any, caplog: pytest.LogCaptureFixture, profile: str
) -> None:
    call("echoscu", *dcmtk(hospital, "echoscu"), profile, "127.0.0.1", receiver.port, check=False)
    wait_until(lambda: "TLS with 127.0.0.1:" in caplog.text, "the line about the peer")
    assert "nothing in common with the peer's TLS" in caplog.text and "profiles of both sides" in caplog.text


def test_findscu(hospital: Certificates) -> None:
    def on_find(event: Any) -> Iterator[Any]:
        assert "CN=findscu" in event.assoc.tls.peer_subject
        for number in range(300):
            match = event.identifier
            match.PatientID = f"P{number}"
            yield 0xFF00, match

    find = sop_class.PatientRootQueryRetrieveInformationModelFind
    ae = AE("FINDER")
    ae.add_supported_context(find)
    handlers = [(evt.EVT_C_FIND, on_find)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers, tls=hospital.tls("finder"))
    keys = ["-P", "-k", "QueryRetrieveLevel=PATIENT", "-k", "PatientID"]
    with server:
        output = call("findscu", "-v", *dcmtk(hospital, "findscu"), *keys, "127.0.0.1", server.port)
    assert output.count("(0010,0020) LO [P") == 300


@pytest.mark.parametrize("size", [4096, 131072])
def test_storescu(hospital: Certificates, receiver: Any, samples: dict[str, Sample], size: int) -> None:
    found = samples["explicit"]
    call("storescu", *dcmtk(hospital, "storescu"), "-pdu", size, "-xe", "127.0.0.1", receiver.port, found.path)
    assert equal(receiver.folder / f"{found.sop_instance}.dcm", found)


@pytest.mark.parametrize(("fault", "words"), [("expired", "expired"), ("stranger", "no CA that is trusted")])
def test_storescu_with_a_bad_certificate(
    hospital: Certificates,
    receiver: Any,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    fault: str,
    words: str,
) -> None:
    issuer = Certificates(tmp_path / "other", "Elsewhere") if fault == "stranger" else hospital
    options = dcmtk(issuer, "bad", expired=fault == "expired")
    # It must trust us, so that it is the one who fails.
    output = call("echoscu", *options, "+cf", hospital.ca, "127.0.0.1", receiver.port, check=False)
    assert "F: " in output or "E: " in output, output
    wait_until(lambda: words in caplog.text, "the line about the certificate")


def test_plain_echoscu_at_a_tls_port(receiver: Any, caplog: pytest.LogCaptureFixture) -> None:
    call("echoscu", "127.0.0.1", receiver.port, check=False)
    wait_until(lambda: "plain DICOM" in caplog.text, "the line about plain DICOM")


@pytest.fixture(scope="module")
def storescp(hospital: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Background]:
    with running_storescp(tmp_path_factory.mktemp("storescp"), *dcmtk(hospital, "storescp")) as peer:
        yield peer


@contextmanager
def running_storescp(folder: Path, *options: Any) -> Iterator[Any]:
    port = free_port()
    peer: Any = Background(port, "storescp", *options, "+B", "+xa", "-od", folder, port, log=folder.with_suffix(".log"))
    peer.folder = folder
    try:
        yield peer
    finally:
        peer.stop()


@pytest.mark.parametrize("profile", COMMON)
def test_storescp_of_each_profile(hospital: Certificates, tmp_path: Path, profile: str) -> None:
    with running_storescp(tmp_path, *dcmtk(hospital, "storescp"), profile) as peer:
        with connect(peer.port, hospital.tls("modality"), contexts=ECHO) as assoc:
            assert assoc.send_c_echo().Status == 0x0000
            # DCMTK leaves TLS 1.3 out of B.11.
            assert profile != "+pz" or assoc.tls.version == "TLSv1.2"


@pytest.mark.parametrize("profile", OTHERS)
def test_storescp_of_a_profile_that_is_refused(hospital: Certificates, tmp_path: Path, profile: str) -> None:
    with running_storescp(tmp_path, *dcmtk(hospital, "storescp"), profile) as peer:
        with pytest.raises(TLSFailed, match=rf"THEIRS@127\.0\.0\.1:{peer.port}.*no cipher suite in common") as caught:
            connect(peer.port, hospital.tls("modality"), contexts=ECHO)
    assert caught.value.kind == "nothing in common"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("expired", "expired"), ("name", "wrong name"), ("stranger", "untrusted"), ("revoked", "revoked")],
)
def test_storescp_with_a_bad_certificate(hospital: Certificates, tmp_path: Path, fault: str, kind: str) -> None:
    issuer = Certificates(tmp_path / "other", "Elsewhere") if fault == "stranger" else hospital
    names = ("elsewhere",) if fault == "name" else ()
    certificate, key = issuer.issue(f"storescp-{fault}", *names, expired=fault == "expired")
    lists = [hospital.revoke(certificate)] if fault == "revoked" else []
    with running_storescp(tmp_path, "+tls", key, certificate, "+cf", hospital.ca) as peer:
        with pytest.raises(TLSFailed, match=rf"THEIRS@127\.0\.0\.1:{peer.port}") as caught:
            connect(peer.port, hospital.tls("wary", revocation_lists=lists), contexts=ECHO)
    assert caught.value.kind == kind


def test_storescp_that_knows_ours_as_revoked(hospital: Certificates, tmp_path: Path) -> None:
    certificate, key = hospital.issue("lost")
    options = [*dcmtk(hospital, "storescp"), "+crl", hospital.revoke(certificate)]
    with running_storescp(tmp_path, *options) as peer:
        with pytest.raises(TLSFailed, match="our certificate has been revoked") as caught:
            connect(peer.port, TLS(certificate, key, ca=hospital.ca), contexts=ECHO)
        assert caught.value.kind == "refused"
        with connect(peer.port, hospital.tls("modality"), contexts=ECHO) as assoc:
            assert assoc.send_c_echo().Status == 0x0000


def test_storescp(hospital: Certificates, storescp: Any, samples: dict[str, Sample]) -> None:
    found = samples["explicit"]
    contexts = [*ECHO, build_context(found.sop_class, found.transfer_syntax)]
    with connect(storescp.port, hospital.tls("modality"), contexts=contexts) as assoc:
        assert assoc.tls.version in ("TLSv1.2", "TLSv1.3") and "CN=storescp" in assoc.tls.peer_subject
        assert assoc.send_c_echo().Status == 0x0000
        assert all(result.status == 0 for result in assoc.store([found.path] * 5))
    assert {encoded(path) for path in storescp.folder.iterdir()} == {encoded(found.path)}


def test_storescp_requires_a_certificate_and_has_one_that_we_do_not_trust(
    hospital: Certificates, storescp: Any, tmp_path: Path
) -> None:
    with pytest.raises(TLSFailed) as caught:
        connect(storescp.port, TLS(ca=hospital.ca), contexts=ECHO)
    assert caught.value.kind in ("refused", "nothing in common")
    stranger = Certificates(tmp_path, "Elsewhere")
    with pytest.raises(TLSFailed, match="no CA that is trusted") as caught:
        connect(storescp.port, stranger.tls("stranger"), contexts=ECHO)
    assert caught.value.kind == "untrusted"


# pynetdicom


def old(context: ssl.SSLContext) -> ssl.SSLContext:
    """What speaks TLS 1.1 at best."""
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    return context


class TheirReceiver:
    """pynetdicom over ssl, keeping what it is sent."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self.received: list[bytes] = []
        ae = pynetdicom.AE("THEIRS")
        ae.add_supported_context(str(sop_class.Verification))
        ae.add_supported_context(str(sop_class.CTImageStorage), pynetdicom.ALL_TRANSFER_SYNTAXES)
        self.port = free_port()
        self.server = ae.start_server(
            ("127.0.0.1", self.port),
            block=False,
            ssl_context=context,
            evt_handlers=[(theirs.EVT_C_STORE, self.on_store)],
        )

    def on_store(self, event: Any) -> int:
        self.received.append(event.request.DataSet.getvalue())
        return 0


@pytest.fixture
def their_receiver() -> Iterator[Callable[..., TheirReceiver]]:
    made: list[TheirReceiver] = []

    def make(context: ssl.SSLContext | None) -> TheirReceiver:
        made.append(TheirReceiver(context))
        return made[-1]

    yield make
    for receiver in made:
        receiver.server.shutdown()


@pytest.mark.parametrize("by_context", [False, True])
def test_pynetdicom_receives(
    hospital: Certificates,
    their_receiver: Callable[..., TheirReceiver],
    samples: dict[str, Sample],
    by_context: bool,
) -> None:
    peer, found = their_receiver(hospital.context("theirs", server_side=True)), samples["explicit"]
    contexts = [*ECHO, build_context(found.sop_class, found.transfer_syntax)]
    options: Any = {"tls": hospital.tls("ours")}
    if by_context:
        options = {"tls_args": (hospital.context("ours", server_side=False), "localhost")}
    with connect(peer.port, contexts=contexts, **options) as assoc:
        assert assoc.send_c_echo().Status == 0x0000
        assert assoc.send_c_store(found.path).Status == 0x0000
    assert peer.received == [encoded(found.path)]


@pytest.mark.parametrize("by_context", [False, True])
def test_pynetdicom_sends(
    hospital: Certificates, receiver: Any, samples: dict[str, Sample], tmp_path: Path, by_context: bool
) -> None:
    found, server = samples["explicit"], receiver
    if by_context:
        ae = AE("CONTEXT")
        ae.add_supported_context(sop_class.CTImageStorage, presentation.ALL_TRANSFER_SYNTAXES)
        server = ae.start_server(
            ("127.0.0.1", 0), block=False, store_to=tmp_path, ssl_context=hospital.context("ours", server_side=True)
        )
    requestor = pynetdicom.AE("THEIRS")
    requestor.add_requested_context(found.sop_class, found.transfer_syntax)
    context = hospital.context("theirs", server_side=False)
    assoc = requestor.associate("127.0.0.1", server.port, tls_args=(context, "localhost"))
    assert assoc.is_established
    assert assoc.send_c_store(str(found.path)).Status == 0x0000
    assoc.release()
    stored = tmp_path if by_context else receiver.folder
    assert encoded(stored / f"{found.sop_instance}.dcm") == encoded(found.path)
    if by_context:
        server.shutdown()


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("expired", "expired"), ("name", "wrong name"), ("stranger", "untrusted"), ("old", "version")],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_pynetdicom_with_a_bad_certificate(
    hospital: Certificates, their_receiver: Callable[..., TheirReceiver], tmp_path: Path, fault: str, kind: str
) -> None:
    issuer = Certificates(tmp_path, "Elsewhere") if fault == "stranger" else hospital
    names = ("elsewhere",) if fault == "name" else ()
    context = issuer.context(f"theirs-{fault}", True, fault == "expired", *names)
    peer = their_receiver(old(context) if fault == "old" else context)
    with pytest.raises(TLSFailed) as caught:
        connect(peer.port, hospital.tls("ours"), contexts=ECHO)
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    ("fault", "words"), [("expired", "has expired"), ("stranger", "no CA that is trusted"), ("old", "too old")]
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_pynetdicom_requesting_with_a_fault(
    hospital: Certificates,
    receiver: Any,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    fault: str,
    words: str,
) -> None:
    issuer = Certificates(tmp_path / "other", "Elsewhere") if fault == "stranger" else hospital
    context = issuer.context(f"their-{fault}", False, fault == "expired")
    context.load_verify_locations(hospital.ca)
    if fault == "old":
        old(context)
    requestor = pynetdicom.AE("THEIRS")
    requestor.add_requested_context(str(sop_class.Verification))
    assoc = requestor.associate("127.0.0.1", receiver.port, tls_args=(context, "localhost"))
    assert not assoc.is_established
    wait_until(lambda: words in caplog.text, "the acceptor's line")


def test_pynetdicom_in_plain_dicom_at_either_end(
    hospital: Certificates, receiver: Any, their_receiver: Callable[..., TheirReceiver]
) -> None:
    requestor = pynetdicom.AE("THEIRS")
    requestor.add_requested_context(str(sop_class.Verification))
    assert not requestor.associate("127.0.0.1", receiver.port).is_established
    with pytest.raises(TLSFailed) as caught:
        connect(their_receiver(None).port, hospital.tls("ours"), contexts=ECHO)
    assert caught.value.kind in ("not TLS", "closed")
    # OpenSSL closes without an alert.
    secured = their_receiver(hospital.context("theirs", server_side=True))
    with pytest.raises(AssociationAborted, match="closed by the peer"):
        connect(secured.port, contexts=ECHO)


def test_the_provider_moves_to_a_tls_destination(
    hospital: Certificates, receiver: Any, samples: dict[str, Sample]
) -> None:
    """`(addr, port, options)` of a C-MOVE handler may have TLS."""
    found = samples["explicit"]

    def on_move(event: Any) -> Iterator[Any]:
        yield "127.0.0.1", receiver.port, {"tls": hospital.tls("mover")}
        yield 1
        yield 0xFF00, found.path

    move = sop_class.PatientRootQueryRetrieveInformationModelMove
    ae = AE("MOVER")
    ae.add_supported_context(move)
    server: Any = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_MOVE, on_move)])
    output = call(
        "movescu",
        "-P",
        "-k",
        "QueryRetrieveLevel=PATIENT",
        "-k",
        "PatientID=1CT1",
        "-aem",
        "RECEIVER",
        "127.0.0.1",
        server.port,
    )
    assert "E: " not in output
    assert encoded(receiver.folder / f"{found.sop_instance}.dcm") == encoded(found.path)
    server.shutdown()
