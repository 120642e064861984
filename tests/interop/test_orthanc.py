"""Orthanc: a real archive, run by hand with its own configuration, in both directions."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import wait_until
from dimsefast import AE, build_context, build_role, sop_class
from dimsefast.workflow import StorageCommitmentProvider, StorageCommitmentUser
from pydicom import dcmread

from .conftest import Background, Provider, Sample, equal, free_port, query

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))
from serving import served

FIND = sop_class.PatientRootQueryRetrieveInformationModelFind
MOVE = sop_class.PatientRootQueryRetrieveInformationModelMove
GET = sop_class.PatientRootQueryRetrieveInformationModelGet

#: Orthanc takes these into its index and gives them back as they came.
FAMILIES = ["explicit", "implicit", "big endian", "JPEG baseline", "JPEG extended", "JPEG lossless", "JPEG 2000", "RLE"]


class Orthanc(NamedTuple):
    """A running one."""

    port: int
    http: int
    own: int

    def rest(self, path: str, body: Any = None, method: str | None = None) -> Any:
        data = None if body is None else (body if isinstance(body, bytes) else json.dumps(body).encode())
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory, filled: Provider) -> Iterator[Orthanc]:
    folder = tmp_path_factory.mktemp("orthanc")
    found = Orthanc(free_port(), free_port(), free_port())
    settings = {
        "Name": "peer",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "DicomAet": "ORTHANC",
        "DicomPort": found.port,
        "HttpPort": found.http,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowEcho": True,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowMove": True,
        "DicomAlwaysAllowGet": True,
        "DicomCheckCalledAet": False,
        "SynchronousCMove": True,
        "StoreMD5ForAttachments": False,
        "OverwriteInstances": True,
        "DicomModalities": {
            "ours": ["PROVIDER", "127.0.0.1", filled.port],
            "self": ["SELF", "127.0.0.1", found.own],
        },
        "Plugins": [],
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    peer = Background(found.port, "Orthanc", folder / "orthanc.json", log=folder / "log")
    wait_until(lambda: _answers(found), "Orthanc's REST interface")
    filled.destinations["ORTHANC"] = ("127.0.0.1", found.port)
    yield found
    peer.stop()


def _answers(orthanc: Orthanc) -> bool:
    try:
        return bool(orthanc.rest("/system"))
    except OSError:
        return False


def connect(orthanc: Orthanc, *uids: str, **options: Any) -> Any:
    contexts = options.pop("contexts", None) or [build_context(uid) for uid in uids]
    return AE("SELF").connect("127.0.0.1", orthanc.port, ae_title="ORTHANC", contexts=contexts, **options)


def stored(orthanc: Orthanc, found: Sample) -> None:
    with connect(orthanc, contexts=[build_context(found.sop_class, [found.transfer_syntax])]) as assoc:
        assert assoc.send_c_store(found.path).Status == 0


# Our requestor against Orthanc


@pytest.mark.parametrize("max_pdu", [4096, 16382, 262144])
def test_echo(orthanc: Orthanc, max_pdu: int) -> None:
    with connect(orthanc, sop_class.Verification, max_pdu=max_pdu) as assoc:
        assert [assoc.send_c_echo().Status for _ in range(3)] == [0, 0, 0]


@pytest.mark.parametrize("family", FAMILIES)
def test_store(orthanc: Orthanc, samples: dict[str, Sample], family: str, tmp_path: Path) -> None:
    found = samples[family]
    stored(orthanc, found)
    (instance,) = orthanc.rest("/tools/find", {"Level": "Instance", "Query": {"SOPInstanceUID": found.sop_instance}})
    copy = tmp_path / "copy.dcm"
    with urllib.request.urlopen(f"http://127.0.0.1:{orthanc.http}/instances/{instance}/file", timeout=30) as answer:
        copy.write_bytes(answer.read())
    assert equal(copy, found)


def test_find(orthanc: Orthanc, samples: dict[str, Sample]) -> None:
    stored(orthanc, samples["explicit"])
    with connect(orthanc, FIND) as assoc:
        responses = list(assoc.send_c_find(query(PatientID="1CT1", PatientName=""), FIND))
        assert [status.Status for status, _ in responses] == [0xFF00, 0]
        assert responses[0][1].PatientName == "CompressedSamples^CT1"
        for _ in assoc.send_c_find(query(PatientID="*"), FIND):
            break
        assert len(list(assoc.send_c_find(query(PatientID="1CT1"), FIND))) == 2


def test_move_to_ourselves(orthanc: Orthanc, samples: dict[str, Sample], tmp_path: Path) -> None:
    found = samples["explicit"]
    stored(orthanc, found)
    ae = AE("SELF")
    ae.add_supported_context(found.sop_class, [found.transfer_syntax])
    with (
        ae.start_server(("127.0.0.1", orthanc.own), block=False, store_to=tmp_path),  # type: ignore[union-attr]
        connect(orthanc, MOVE) as assoc,
    ):
        *_, (status, _) = assoc.send_c_move(query(PatientID="1CT1"), "SELF", MOVE)
        assert status.Status == 0
        (copy,) = tmp_path.iterdir()
        assert equal(copy, found)


def test_move_to_a_third_ae(orthanc: Orthanc, samples: dict[str, Sample], filled: Provider) -> None:
    stored(orthanc, samples["explicit"])
    before = set(filled.folder.iterdir())
    with connect(orthanc, MOVE) as assoc:
        *_, (status, _) = assoc.send_c_move(query(PatientID="1CT1"), "PROVIDER", MOVE)
    assert status.Status == 0
    copy = filled.stored(samples["explicit"])
    assert equal(copy, samples["explicit"])
    if copy not in before:
        copy.unlink()


def test_get(orthanc: Orthanc, samples: dict[str, Sample], tmp_path: Path) -> None:
    found = samples["explicit"]
    stored(orthanc, found)
    contexts = [build_context(GET), build_context(found.sop_class, [found.transfer_syntax])]
    roles = [build_role(found.sop_class, scp_role=True)]
    with connect(orthanc, contexts=contexts, ext_neg=roles, store_to=tmp_path) as assoc:
        *_, (status, _) = assoc.send_c_get(query(PatientID="1CT1"), GET)
    assert status.Status == 0
    (copy,) = tmp_path.iterdir()
    assert equal(copy, found)


def test_orthanc_commits(orthanc: Orthanc, samples: dict[str, Sample]) -> None:
    """It reports over an association that it opens to our server."""
    found = samples["explicit"]
    stored(orthanc, found)
    user = StorageCommitmentUser()
    own: Any = AE("SELF").start_server(
        ("127.0.0.1", orthanc.own), block=False, contexts=user.contexts, evt_handlers=user.handlers
    )
    with own, connect(orthanc, contexts=user.contexts) as assoc:
        wanted = [(found.sop_class, found.sop_instance), (found.sop_class, "1.2.3.404")]
        result = user.request(assoc, wanted).wait(30)
    assert result.committed == ((found.sop_class, found.sop_instance),)
    assert result.failed == ((found.sop_class, "1.2.3.404", 0x0112),)


# Orthanc against our provider


def test_orthanc_echoes(orthanc: Orthanc) -> None:
    orthanc.rest("/modalities/ours/echo", {})


@pytest.mark.parametrize("family", ["explicit", "JPEG extended", "RLE"])
def test_orthanc_stores(orthanc: Orthanc, samples: dict[str, Sample], filled: Provider, family: str) -> None:
    found = samples[family]
    answer = orthanc.rest("/instances", found.path.read_bytes())
    copy = filled.stored(found)
    copy.unlink(missing_ok=True)
    orthanc.rest("/modalities/ours/store", {"Resources": [answer["ID"]], "Synchronous": True})
    assert equal(copy, found)


def test_orthanc_queries_and_retrieves(orthanc: Orthanc, samples: dict[str, Sample]) -> None:
    found = samples["explicit"]
    for instance in orthanc.rest("/tools/find", {"Level": "Instance", "Query": {"SOPInstanceUID": found.sop_instance}}):
        urllib.request.urlopen(
            urllib.request.Request(f"http://127.0.0.1:{orthanc.http}/instances/{instance}", method="DELETE"), timeout=30
        ).close()
    study = str(dcmread(found.path).StudyInstanceUID)
    answer = orthanc.rest(
        "/modalities/ours/query", {"Level": "Study", "Query": {"StudyInstanceUID": study, "PatientID": "1CT1"}}
    )
    answers = orthanc.rest(f"/queries/{answer['ID']}/answers")
    assert len(answers) == 1
    orthanc.rest(f"/queries/{answer['ID']}/answers/0/retrieve", b"ORTHANC")
    assert orthanc.rest("/tools/find", {"Level": "Instance", "Query": {"SOPInstanceUID": found.sop_instance}})


def test_orthanc_asks_for_commitment(orthanc: Orthanc, samples: dict[str, Sample]) -> None:
    """Our report goes over an association that we open to it."""
    found = samples["explicit"]
    addresses = {"ORTHANC": ("127.0.0.1", orthanc.port)}
    provider = StorageCommitmentProvider(lambda _: {found.sop_instance: found.sop_class}, addresses)
    server: Any = AE("COMMITS").start_server(
        ("127.0.0.1", 0), block=False, contexts=provider.contexts, evt_handlers=provider.handlers
    )
    with provider, server:
        orthanc.rest("/modalities/commits", ["COMMITS", "127.0.0.1", server.port], "PUT")
        instances = [[found.sop_class, found.sop_instance], [found.sop_class, "1.2.3.404"]]
        answer = orthanc.rest("/modalities/commits/storage-commitment", {"DicomInstances": instances})
        wait_until(lambda: orthanc.rest(answer["Path"])["Status"] != "Pending")
        report = orthanc.rest(answer["Path"])
    assert [item["SOPInstanceUID"] for item in report["Success"]] == [found.sop_instance]
    assert [(item["SOPInstanceUID"], item["FailureReason"]) for item in report["Failures"]] == [("1.2.3.404", 0x0112)]


def test_orthanc_asks_a_served_archive_for_commitment(
    orthanc: Orthanc, samples: dict[str, Sample], tmp_path: Path
) -> None:
    """For what it has stored there."""
    found = samples["explicit"]
    answer = orthanc.rest("/instances", found.path.read_bytes())
    with served(tmp_path / "archive", "--destination", f"ORTHANC=127.0.0.1:{orthanc.port}") as server:
        orthanc.rest("/modalities/archive", ["ARCHIVE", "127.0.0.1", server.port], "PUT")
        orthanc.rest("/modalities/archive/store", {"Resources": [answer["ID"]], "Synchronous": True})
        instances = [[found.sop_class, found.sop_instance], [found.sop_class, "1.2.3.404"]]
        answer = orthanc.rest("/modalities/archive/storage-commitment", {"DicomInstances": instances})
        wait_until(lambda: orthanc.rest(answer["Path"])["Status"] != "Pending")
        report = orthanc.rest(answer["Path"])
    assert report["RemoteAET"] == "ARCHIVE"
    assert [item["SOPInstanceUID"] for item in report["Success"]] == [found.sop_instance]
    assert [(item["SOPInstanceUID"], item["FailureReason"]) for item in report["Failures"]] == [("1.2.3.404", 0x0112)]
