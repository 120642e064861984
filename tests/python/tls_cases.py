"""What the tests of TLS share: certificates of a hospital, the settings of both sides, an object of some size."""

from __future__ import annotations

import os
from typing import Any

import pytest
from certificates import Certificates
from dimsefast import TLS, build_context
from dimsefast.sop_class import CTImageStorage, Verification
from faces import AE
from pydicom import Dataset, FileMetaDataset
from service_cases import EXPLICIT

ECHO = [build_context(Verification)]


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def server_tls(hospital: Certificates) -> TLS:
    return hospital.tls("archive")


@pytest.fixture(scope="module")
def client_tls(hospital: Certificates) -> TLS:
    return hospital.tls("modality")


def connect(server: Any, tls: TLS | None, contexts: Any = ECHO, **options: Any) -> Any:
    ae = AE("REQUESTOR")
    ae.acse_timeout = 30
    return ae.connect("127.0.0.1", server.port, contexts=contexts, ae_title="PROVIDER", tls=tls, **options)


def big_object() -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, "1.2.3.4.5"
    dataset.add_new(0x00091010, "OB", os.urandom(6_000_000))
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = EXPLICIT
    return dataset
