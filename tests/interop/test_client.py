"""`Client` against archives that are not ours: dcmqrscp and Orthanc."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dimsefast import Client, StatusError, query
from pydicom import dcmread

from .conftest import Sample, equal
from .test_dcmtk import dcmqrscp
from .test_orthanc import Orthanc, orthanc

__all__ = ["dcmqrscp", "orthanc"]


@pytest.fixture
def client(request: pytest.FixtureRequest, samples: dict[str, Sample]) -> Iterator[Client]:
    """One of the two, which holds the CT and the RGB image."""
    if request.param == "dcmqrscp":
        port, own, _ = request.getfixturevalue("dcmqrscp")
        peer = f"ARCHIVE@127.0.0.1:{port}"
    else:
        found: Orthanc = request.getfixturevalue("orthanc")
        peer, own = f"ORTHANC@127.0.0.1:{found.port}", found.own
    with Client(peer, "SELF", f"127.0.0.1:{own}") as made:
        assert made.store([samples["explicit"].path, samples["implicit"].path]).ok
        yield made


both = pytest.mark.parametrize("client", ["dcmqrscp", "orthanc"], indirect=True)


def study_of(sample: Sample) -> str:
    return str(dcmread(sample.path).StudyInstanceUID)


@both
def test_echo_and_find(client: Client, samples: dict[str, Sample]) -> None:
    assert client.echo() > 0
    assert samples["explicit"].patient_id in {found.PatientID for found in client.find(query.patient())}
    (study,) = client.find(query.study(study_instance_uid=study_of(samples["explicit"])))
    (series,) = client.find(query.series(study_instance_uid=study.StudyInstanceUID))
    assert series.Modality == "CT"
    for _ in client.find(query.study()):
        break
    assert client.echo() > 0


@both
def test_move_to_ourselves(client: Client, samples: dict[str, Sample], tmp_path: Path) -> None:
    found = samples["explicit"]
    report = client.move(query.study(study_instance_uid=study_of(found)), receive=tmp_path)
    assert (report.ok, report.completed, report.received, report.missing) == (True, 1, 1, 0), str(report)
    assert equal(tmp_path / f"{found.sop_instance}.dcm", found)


@both
def test_move_to_nobody(client: Client, samples: dict[str, Sample]) -> None:
    with pytest.raises(StatusError, match="NOBODY"):
        report = client.move(query.study(study_instance_uid=study_of(samples["explicit"])), to="NOBODY")
        raise AssertionError(report)


@both
def test_get(client: Client, samples: dict[str, Sample], tmp_path: Path) -> None:
    found = samples["explicit"]
    keys = query.study(study_instance_uid=study_of(found))
    report = client.get(keys, into=tmp_path)
    assert (report.ok, report.completed, report.received) == (True, 1, 1), str(report)
    assert equal(tmp_path / f"{found.sop_instance}.dcm", found)
    again = client.get(keys, into=tmp_path, skip_existing=True)
    assert (again.ok, again.received, again.existing) == (True, 0, 1)


@both
def test_store_skips_what_is_there(client: Client, samples: dict[str, Sample]) -> None:
    report = client.store(samples["explicit"].path, skip_existing=True)
    assert (report.ok, report.completed, report.existing) == (True, 0, 1)
