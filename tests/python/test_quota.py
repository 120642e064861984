"""Quotas for each address and each calling AE title."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import AE, AssociationRejected, Quota, sop_class
from dimsefast.quota import LEAST_BYTES_PER_SECOND
from dimsefast.server import AssociationServer
from dimsefast.storing import DISCARD
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from tests.conformance.script import Wire

VERIFICATION, CT = str(sop_class.Verification), str(sop_class.CTImageStorage)


@contextmanager
def serving(**quotas: Quota) -> Iterator[AssociationServer]:
    ae = AE("SERVER")
    ae.maximum_associations = 50
    for name, quota in quotas.items():
        setattr(ae, name, quota)
    ae.add_supported_context(VERIFICATION)
    ae.add_supported_context(CT)
    server = ae.start_server(("127.0.0.1", 0), block=False, store_to=DISCARD)
    assert server is not None
    with server:
        yield server


def connect(server: AssociationServer, title: str) -> Any:
    ae = AE(title)
    ae.add_requested_context(VERIFICATION)
    ae.add_requested_context(CT)
    return ae.connect("127.0.0.1", server.port)


@pytest.mark.parametrize("quota", ["quota_per_address", "quota_per_calling_aet"])
def test_associations_of_a_party_are_limited(quota: str) -> None:
    with serving(**{quota: Quota(associations=2)}) as server:
        held = [connect(server, "ONE"), connect(server, "ONE")]
        with pytest.raises(AssociationRejected) as caught:
            connect(server, "ONE")
        # PS3.8 Table 9-21: transient, local limit exceeded.
        assert (caught.value.result, caught.value.source, caught.value.reason) == (2, 3, 2)
        if quota == "quota_per_calling_aet":
            connect(server, "OTHER").release()
        held.pop().release()
        wait_until(lambda: len(server.active_associations) == 1)
        held.append(connect(server, "ONE"))
        for association in held:
            association.release()


def test_requests_beyond_a_quota_are_all_answered() -> None:
    with serving(quota_per_calling_aet=Quota(requests_per_second=20)) as server:
        # Two associations share the quota.
        with connect(server, "EAGER") as one, connect(server, "EAGER") as other:
            for _ in range(20):
                assert one.send_c_echo().Status == other.send_c_echo().Status == 0x0000


def test_requests_beyond_a_quota_wait_and_those_of_others_do_not() -> None:
    # The next one is due in 11 days.
    with serving(quota_per_calling_aet=Quota(requests_per_second=1e-6)) as server:
        server.ae.network_timeout = None
        with socket.create_connection(("127.0.0.1", server.port)) as stream:
            wire = Wire(stream, "SERVER", "EAGER", 30)
            for step in ("associate ctx=1/verification/implicit", "echo", "expect rsp 8030 0000 1", "echo id=2"):
                wire.run(step)
            for number in range(10):
                association = connect(server, f"MODEST{number}")
                assert association.send_c_echo().Status == 0x0000
                # Nothing more of it is read, a release neither.
                association.abort()
            assert wire.outcome(["silence"]) == "silence"


def make_object(length: int) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CT, "1.2.3"
    dataset.add_new(0x7FE00010, "OW", bytes(length))
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def test_bytes_beyond_a_quota_all_arrive() -> None:
    with serving(quota_per_address=Quota(bytes_per_second=2_000_000)) as server:
        with connect(server, "SENDER") as association:
            for _ in range(5):
                assert association.send_c_store(make_object(500_000)).Status == 0x0000


def test_bytes_beyond_a_quota_are_held_back_and_those_of_others_are_not() -> None:
    length = 128 << 20
    with serving(quota_per_calling_aet=Quota(bytes_per_second=LEAST_BYTES_PER_SECOND)) as server:
        server.ae.network_timeout = None
        statuses: list[Any] = []
        association = connect(server, "EAGER")
        # At this rate it takes half an hour.
        sending = threading.Thread(target=lambda: statuses.append(association.send_c_store(make_object(length))))
        sending.start()
        for number in range(100):
            with connect(server, f"MODEST{number}") as other:
                assert other.send_c_store(make_object(50_000)).Status == 0x0000
        assert not statuses, "the object is still on its way"
        association.abort()
        sending.join(30)
        assert "Status" not in statuses[0]


def test_a_pause_does_not_end_the_association() -> None:
    with serving(quota_per_address=Quota(requests_per_second=1)) as server:
        server.ae.network_timeout = 2
        with connect(server, "EAGER") as association:
            for _ in range(4):
                assert association.send_c_echo().Status == 0x0000
            assert association.is_established


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"associations": 0}, "associations"),
        ({"bytes_per_second": LEAST_BYTES_PER_SECOND - 1}, "bytes"),
        ({"bytes_per_second": float("nan")}, "bytes"),
        ({"requests_per_second": 0}, "requests"),
    ],
)
def test_limits_that_are_none(limits: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=f"a quota of {words}"):
        Quota(**limits)


def test_a_quota_is_a_quota() -> None:
    ae = AE()
    assert ae.quota_per_address is None and ae.quota_per_calling_aet is None
    for value in (10, "none", (1, None, None)):
        with pytest.raises(TypeError, match="a quota is a Quota or None"):
            ae.quota_per_address = value  # type: ignore[assignment]
