"""DCMTK: its programs against our provider, our requestor against its programs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import AE, build_context, build_role, sop_class
from pydicom import Dataset, dcmread

from .conftest import SAMPLES, Background, Provider, Sample, call, encoded, equal, free_port, query, same

FIND = sop_class.PatientRootQueryRetrieveInformationModelFind
MOVE = sop_class.PatientRootQueryRetrieveInformationModelMove
GET = sop_class.PatientRootQueryRetrieveInformationModelGet
STUDY_FIND = sop_class.StudyRootQueryRetrieveInformationModelFind

#: storescu's option that proposes the transfer syntax.
PROPOSE = {
    "explicit": "-xe",
    "implicit": "-xi",
    "big endian": "-xb",
    "deflated": "-xd",
    "JPEG baseline": "-xy",
    "JPEG extended": "-xx",
    "JPEG lossless": "-xs",
    "JPEG 2000": "-xw",
    "JPEG 2000 lossless": "-xv",
    "RLE": "-xr",
}
PDU_SIZES = [4096, 16384, 131072]


def last_status(responses: Any) -> Dataset:
    *_, (status, _) = responses
    return status


def one_study(samples: dict[str, Sample]) -> list[str]:
    """Keys for the one study of the CT image: an object without a Patient ID matches any (PS3.4 C.2.2.1.2)."""
    study = dcmread(samples["explicit"].path).StudyInstanceUID
    return ["-k", "QueryRetrieveLevel=STUDY", "-k", "PatientID=1CT1", "-k", f"StudyInstanceUID={study}"]


# Its programs against our provider


@pytest.mark.parametrize("size", PDU_SIZES)
def test_echoscu(filled: Provider, size: int) -> None:
    output = call("echoscu", "-v", "-pdu", size, "-aec", "PROVIDER", "127.0.0.1", filled.port)
    assert "Received Echo Response (Success)" in output


@pytest.mark.parametrize("family", SAMPLES)
def test_storescu(empty: Callable[..., Provider], samples: dict[str, Sample], family: str) -> None:
    provider, found = empty(), samples[family]
    call("storescu", PROPOSE[family], "-aec", "PROVIDER", "127.0.0.1", provider.port, found.path)
    assert equal(provider.stored(found), found)


@pytest.mark.parametrize("size", [8, 11, 128, 4096, 0])
def test_storescu_into_small_and_unlimited_pdus(
    empty: Callable[..., Provider], samples: dict[str, Sample], size: int
) -> None:
    # DCMTK does not send into less than 4096: it must be told so, not hang.
    provider, found = empty(size), samples["explicit"]
    output = call("storescu", "-v", "-xe", "-aec", "PROVIDER", "127.0.0.1", provider.port, found.path, check=False)
    if size in (8, 11):
        assert "Max" in output or "PDU" in output or equal(provider.stored(found), found), output
    else:
        assert equal(provider.stored(found), found), output


@pytest.mark.parametrize("size", PDU_SIZES)
def test_storescu_with_its_own_pdu_size(empty: Callable[..., Provider], samples: dict[str, Sample], size: int) -> None:
    provider, found = empty(), samples["explicit"]
    call("storescu", "-xe", "-pdu", size, "--max-send-pdu", size, "127.0.0.1", provider.port, found.path)
    assert equal(provider.stored(found), found)


@pytest.mark.parametrize("size", PDU_SIZES)
def test_findscu(filled: Provider, tmp_path: Path, samples: dict[str, Sample], size: int) -> None:
    study = dcmread(samples["explicit"].path).StudyInstanceUID
    keys = [
        "-k",
        "QueryRetrieveLevel=STUDY",
        "-k",
        "PatientID=1CT1",
        "-k",
        f"StudyInstanceUID={study}",
        "-k",
        "StudyDate",
    ]
    call("findscu", "-P", "-pdu", size, "-X", "-od", tmp_path, *keys, "127.0.0.1", filled.port)
    (response,) = tmp_path.glob("rsp*")
    found = dcmread(response)
    original = dcmread(samples["explicit"].path)
    assert (found.StudyInstanceUID, found.StudyDate) == (original.StudyInstanceUID, original.StudyDate)
    assert found.RetrieveAETitle == "PROVIDER"


def test_findscu_with_a_wild_card_and_a_wrong_level(filled: Provider) -> None:
    output = call(
        "findscu", "-v", "-P", "-k", "QueryRetrieveLevel=PATIENT", "-k", "PatientName=Comp*", "127.0.0.1", filled.port
    )
    assert len(re.findall(r"Find Response: \d+ \(Pending\)|Pending", output)) >= 1
    assert "CompressedSamples^CT1" in output
    output = call(
        "findscu",
        "-v",
        "-P",
        "-k",
        "QueryRetrieveLevel=SERIES",
        "-k",
        "SeriesInstanceUID",
        "127.0.0.1",
        filled.port,
        check=False,
    )
    assert "0xa900" in output.lower() or "IdentifierDoesNotMatchSOPClass" in output or "DoesNotMatch" in output, output


def test_findscu_cancels(filled: Provider) -> None:
    keys = ["-k", "QueryRetrieveLevel=PATIENT", "-k", "PatientID"]
    output = call("findscu", "-v", "-P", "--cancel", "1", *keys, "127.0.0.1", filled.port)
    assert "Cancel" in output


@pytest.mark.parametrize("size", PDU_SIZES)
def test_movescu_is_its_own_receiver(filled: Provider, tmp_path: Path, samples: dict[str, Sample], size: int) -> None:
    port = free_port()
    filled.destinations["MOVESCU"] = ("127.0.0.1", port)
    keys = one_study(samples)
    call("movescu", "-P", "-pdu", size, "+xa", "--port", port, "-od", tmp_path, *keys, "127.0.0.1", filled.port)
    (copy,) = tmp_path.iterdir()
    assert equal(copy, samples["explicit"])


def test_movescu_to_a_third_party_in_all_transfer_syntaxes(
    filled: Provider, receiver: tuple[int, Path], samples: dict[str, Sample]
) -> None:
    port, folder = receiver
    filled.destinations["RECEIVER"] = ("127.0.0.1", port)
    keys = ["-k", "QueryRetrieveLevel=PATIENT", "-k", "PatientID=*"]
    output = call("movescu", "-v", "-P", "-aem", "RECEIVER", *keys, "127.0.0.1", filled.port)
    assert "Success" in output
    copies = {encoded(copy) for copy in folder.iterdir()}
    assert copies == {encoded(found.path) for found in samples.values()}


def test_movescu_to_an_unknown_destination(filled: Provider) -> None:
    keys = ["-k", "QueryRetrieveLevel=PATIENT", "-k", "PatientID=1CT1"]
    output = call("movescu", "-v", "-P", "-aem", "NOBODY", *keys, "127.0.0.1", filled.port, check=False)
    assert "MoveDestinationUnknown" in output or "a801" in output.lower(), output


@pytest.mark.parametrize("size", PDU_SIZES)
def test_getscu(filled: Provider, tmp_path: Path, samples: dict[str, Sample], size: int) -> None:
    keys = one_study(samples)
    call("getscu", "-P", "-pdu", size, "+B", "-od", tmp_path, *keys, "127.0.0.1", filled.port)
    (copy,) = tmp_path.iterdir()
    assert same(copy, samples["explicit"])


# Our requestor against storescp


@pytest.fixture(scope="module")
def storescp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    folder, port = tmp_path_factory.mktemp("storescp"), free_port()
    peer = Background(
        port, "storescp", "+xa", "+B", "-od", folder, port, log=tmp_path_factory.mktemp("log") / "storescp"
    )
    yield port, folder
    peer.stop()


@pytest.mark.parametrize("family", SAMPLES)
def test_storing_at_storescp(storescp: tuple[int, Path], samples: dict[str, Sample], family: str) -> None:
    port, folder = storescp
    found = samples[family]
    for old in folder.iterdir():
        old.unlink()
    contexts = [build_context(found.sop_class, [found.transfer_syntax])]
    with AE().connect("127.0.0.1", port, contexts=contexts) as assoc:
        assert assoc.send_c_store(found.path).Status == 0x0000
    (copy,) = folder.iterdir()
    assert same(copy, found)


@pytest.mark.parametrize("size", PDU_SIZES)
def test_storing_into_its_pdu_sizes(tmp_path: Path, samples: dict[str, Sample], size: int) -> None:
    port, folder = free_port(), tmp_path / "objects"
    folder.mkdir()
    peer = Background(port, "storescp", "+B", "-pdu", size, "-od", folder, port, log=tmp_path / "log")
    try:
        contexts = [build_context(samples["explicit"].sop_class, [samples["explicit"].transfer_syntax])]
        with AE().connect("127.0.0.1", port, contexts=contexts) as assoc:
            assert assoc.acceptor.maximum_length == size
            assert assoc.send_c_store(samples["explicit"].path).Status == 0x0000
    finally:
        peer.stop()
    (copy,) = folder.iterdir()
    assert same(copy, samples["explicit"])


# Our requestor against dcmqrscp


@pytest.fixture(scope="module")
def dcmqrscp(tmp_path_factory: pytest.TempPathFactory, samples: dict[str, Sample]) -> Iterator[tuple[int, int, int]]:
    """A filled archive: its port, and the ports where it finds SELF and THIRD."""
    folder = tmp_path_factory.mktemp("dcmqrscp")
    (folder / "objects").mkdir()
    port, own, third = free_port(), free_port(), free_port()
    (folder / "dcmqrscp.cfg").write_text(
        f"""NetworkTCPPort = {port}
MaxPDUSize = 131072
MaxAssociations = 16
HostTable BEGIN
self = (SELF, 127.0.0.1, {own})
third = (THIRD, 127.0.0.1, {third})
all = self, third
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
ARCHIVE {folder / "objects"} RW (200, 1024mb) ANY
AETable END
"""
    )
    peer = Background(port, "dcmqrscp", "-c", folder / "dcmqrscp.cfg", log=folder / "log")
    for family in ("explicit", "implicit"):
        found = samples[family]
        with AE("SELF").connect(
            "127.0.0.1", port, ae_title="ARCHIVE", contexts=[build_context(found.sop_class, [found.transfer_syntax])]
        ) as assoc:
            assert assoc.send_c_store(found.path).Status == 0x0000
    yield port, own, third
    peer.stop()


def archive(port: int, *uids: str, **options: Any) -> Any:
    contexts = options.pop("contexts", None) or [build_context(uid) for uid in uids]
    return AE("SELF").connect("127.0.0.1", port, ae_title="ARCHIVE", contexts=contexts, **options)


def test_dcmqrscp_echo(dcmqrscp: tuple[int, int, int]) -> None:
    with archive(dcmqrscp[0], sop_class.Verification) as assoc:
        assert [assoc.send_c_echo().Status for _ in range(3)] == [0, 0, 0]


@pytest.mark.parametrize("max_pdu", [4096, 16382, 262144, 0])
def test_dcmqrscp_find(dcmqrscp: tuple[int, int, int], samples: dict[str, Sample], max_pdu: int) -> None:
    with archive(dcmqrscp[0], FIND, STUDY_FIND, max_pdu=max_pdu) as assoc:
        responses = list(assoc.send_c_find(query(PatientID="*", PatientName=""), FIND))
        assert {i.PatientID for _, i in responses if i is not None} == {
            samples["explicit"].patient_id,
            samples["implicit"].patient_id,
        }
        assert responses[-1][0].Status == 0x0000
        studies = list(assoc.send_c_find(query("STUDY", PatientID="1CT1", StudyInstanceUID=""), STUDY_FIND))
        assert len(studies) == 2


def test_dcmqrscp_find_is_left_early(dcmqrscp: tuple[int, int, int]) -> None:
    with archive(dcmqrscp[0], FIND) as assoc:
        for _ in assoc.send_c_find(query(PatientID="*"), FIND):
            break
        assert len(list(assoc.send_c_find(query(PatientID="1CT1"), FIND))) == 2


def test_dcmqrscp_move_to_ourselves(dcmqrscp: tuple[int, int, int], tmp_path: Path, samples: dict[str, Sample]) -> None:
    port, own, _ = dcmqrscp
    found = samples["explicit"]
    ae = AE("SELF")
    ae.add_supported_context(found.sop_class, [found.transfer_syntax])
    with (
        ae.start_server(("127.0.0.1", own), block=False, store_to=tmp_path),  # type: ignore[union-attr]
        archive(port, MOVE) as assoc,
    ):
        responses = list(assoc.send_c_move(query(PatientID="1CT1"), "SELF", MOVE))
        assert responses[-1][0].Status == 0x0000
        assert responses[-1][0].NumberOfCompletedSuboperations == 1
        (copy,) = tmp_path.iterdir()
        assert equal(copy, found)


def test_dcmqrscp_move_to_a_third_ae(
    dcmqrscp: tuple[int, int, int], tmp_path: Path, samples: dict[str, Sample]
) -> None:
    port, _, third = dcmqrscp
    folder = tmp_path / "objects"
    folder.mkdir()
    peer = Background(third, "storescp", "+B", "-od", folder, third, log=tmp_path / "log")
    try:
        with archive(port, MOVE) as assoc:
            assert last_status(assoc.send_c_move(query(PatientID="1CT1"), "THIRD", MOVE)).Status == 0x0000
            assert last_status(assoc.send_c_move(query(PatientID="1CT1"), "NOBODY", MOVE)).Status == 0xA801
    finally:
        peer.stop()
    (copy,) = folder.iterdir()
    assert equal(copy, samples["explicit"])


def test_dcmqrscp_get(dcmqrscp: tuple[int, int, int], tmp_path: Path, samples: dict[str, Sample]) -> None:
    found = samples["explicit"]
    contexts = [build_context(GET), build_context(found.sop_class, [found.transfer_syntax])]
    roles = [build_role(found.sop_class, scp_role=True)]
    with archive(dcmqrscp[0], contexts=contexts, ext_neg=roles, store_to=tmp_path) as assoc:
        assert last_status(assoc.send_c_get(query(PatientID="1CT1"), GET)).Status == 0x0000
    (copy,) = tmp_path.iterdir()
    assert equal(copy, found)


def test_dcmqrscp_rejects_an_unknown_title(dcmqrscp: tuple[int, int, int]) -> None:
    assoc = AE().associate("127.0.0.1", dcmqrscp[0], contexts=[build_context(FIND)], ae_title="UNKNOWN")
    assert assoc.is_rejected


# The stock pair of everybody: Nagle on, delayed acknowledgements


def test_a_storescu_with_nagle_on_is_served(empty: Callable[..., Provider], samples: dict[str, Sample]) -> None:
    provider = empty()
    started = time.monotonic()
    call("storescu", "--repeat", "20", "-xe", "127.0.0.1", provider.port, samples["explicit"].path)
    assert equal(provider.stored(samples["explicit"]), samples["explicit"])
    assert time.monotonic() - started < 60
    wait_until(lambda: not provider.server.active_associations)
