"""pynetdicom: all six services in both directions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dimsefast import AE, build_context, build_role, sop_class
from pydicom import Dataset, dcmread

from .conftest import REQUIRED, SAMPLES, Provider, Sample, encoded, free_port, query, same

if REQUIRED:
    import pynetdicom
else:
    pynetdicom = pytest.importorskip("pynetdicom", reason="pynetdicom is not installed: make peers")
from pynetdicom import ALL_TRANSFER_SYNTAXES
from pynetdicom import evt as theirs

FIND = sop_class.PatientRootQueryRetrieveInformationModelFind
MOVE = sop_class.PatientRootQueryRetrieveInformationModelMove
GET = sop_class.PatientRootQueryRetrieveInformationModelGet
PDU_SIZES = [128, 4096, 16382, 0]


class TheirProvider:
    """pynetdicom serving everything, keeping what it is sent."""

    def __init__(self, samples: dict[str, Sample], maximum_pdu_size: int = 16382) -> None:
        self.received: list[tuple[str, bytes]] = []
        self.destinations: dict[str, tuple[str, int]] = {}
        self.endless = False
        self.ae = pynetdicom.AE("THEIRS")
        self.ae.maximum_pdu_size = maximum_pdu_size
        for uid in (sop_class.Verification, FIND, MOVE, GET):
            self.ae.add_supported_context(str(uid))
        for found in samples.values():
            self.ae.add_supported_context(found.sop_class, ALL_TRANSFER_SYNTAXES, True, True)
            self.ae.add_requested_context(found.sop_class, found.transfer_syntax)
        self.samples = samples
        handlers = [
            (theirs.EVT_C_STORE, self.on_store),
            (theirs.EVT_C_FIND, self.on_find),
            (theirs.EVT_C_MOVE, self.on_move),
            (theirs.EVT_C_GET, self.on_get),
        ]
        self.port = free_port()
        self.server = self.ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)

    def on_store(self, event: Any) -> int:
        self.received.append((str(event.context.transfer_syntax), event.request.DataSet.getvalue()))
        return 0

    def on_find(self, event: Any) -> Any:
        number = 0
        while self.endless or number < 5:
            if event.is_cancelled:
                yield 0xFE00, None
                return
            if self.endless:
                time.sleep(0.01)  # its reactor does not read while its handler produces without a pause
            yield 0xFF00, query(PatientID=str(number), PatientName="Theirs^Ünïcode")
            number += 1

    def on_get(self, event: Any) -> Any:
        yield 1
        yield 0xFF00, dcmread(self.samples["explicit"].path)

    def on_move(self, event: Any) -> Any:
        if event.move_destination not in self.destinations:
            yield None, None
            return
        yield self.destinations[event.move_destination]
        yield from self.on_get(event)


@pytest.fixture
def their_provider(samples: dict[str, Sample]) -> Iterator[Any]:
    made: list[TheirProvider] = []

    def make(maximum_pdu_size: int = 16382) -> TheirProvider:
        made.append(TheirProvider(samples, maximum_pdu_size))
        return made[-1]

    yield make
    for provider in made:
        provider.ae.shutdown()


def ours(port: int, *uids: str, **options: Any) -> Any:
    contexts = options.pop("contexts", None) or [build_context(uid) for uid in uids]
    return AE("OURS").connect("127.0.0.1", port, ae_title="THEIRS", contexts=contexts, **options)


def them(provider: Provider, contexts: Any, **options: Any) -> Any:
    ae = pynetdicom.AE("THEIRS")
    ae.requested_contexts = contexts
    assoc = ae.associate("127.0.0.1", provider.port, ae_title="PROVIDER", **options)
    assert assoc.is_established
    return assoc


def their_context(uid: str, syntaxes: Any = None) -> Any:
    return pynetdicom.build_context(str(uid), syntaxes) if syntaxes else pynetdicom.build_context(str(uid))


def final(responses: Any) -> Dataset:
    *_, (status, _) = responses
    return status


# Our requestor against their provider


@pytest.mark.parametrize("size", PDU_SIZES)
def test_our_echo_and_find(their_provider: Any, size: int) -> None:
    provider = their_provider(size)
    with ours(provider.port, sop_class.Verification, FIND, max_pdu=size) as assoc:
        assert assoc.send_c_echo().Status == 0
        responses = list(assoc.send_c_find(query(PatientID="*"), FIND))
        assert [status.Status for status, _ in responses] == [0xFF00] * 5 + [0]
        assert [str(i.PatientID) for _, i in responses if i is not None] == ["0", "1", "2", "3", "4"]


def test_our_cancel(their_provider: Any) -> None:
    provider = their_provider()
    provider.endless = True
    with ours(provider.port, FIND) as assoc:
        statuses = []
        for status, _ in assoc.send_c_find(query(PatientID="*"), FIND, msg_id=4):
            statuses.append(status.Status)
            if len(statuses) == 2:
                assoc.send_c_cancel(4, query_model=FIND)
        assert statuses[-1] == 0xFE00
        provider.endless = False
        assert final(assoc.send_c_find(query(PatientID="*"), FIND)).Status == 0


@pytest.mark.parametrize("family", SAMPLES)
def test_our_store(their_provider: Any, samples: dict[str, Sample], family: str) -> None:
    provider, found = their_provider(), samples[family]
    with ours(provider.port, contexts=[build_context(found.sop_class, [found.transfer_syntax])]) as assoc:
        assert assoc.send_c_store(found.path).Status == 0
        assert assoc.send_c_store(dcmread(found.path)).Status == 0
    assert provider.received[0] == (found.transfer_syntax, encoded(found.path))
    assert provider.received[1][0] == found.transfer_syntax


@pytest.mark.parametrize("size", PDU_SIZES)
def test_our_store_into_its_pdu_sizes(their_provider: Any, samples: dict[str, Sample], size: int) -> None:
    provider, found = their_provider(size), samples["explicit"]
    with ours(provider.port, contexts=[build_context(found.sop_class, [found.transfer_syntax])]) as assoc:
        assert assoc.send_c_store(found.path).Status == 0
    assert provider.received == [(found.transfer_syntax, encoded(found.path))]


def test_our_get(their_provider: Any, samples: dict[str, Sample], tmp_path: Path) -> None:
    provider, found = their_provider(), samples["explicit"]
    contexts = [build_context(GET), build_context(found.sop_class, [found.transfer_syntax])]
    roles = [build_role(found.sop_class, scp_role=True)]
    with ours(provider.port, contexts=contexts, ext_neg=roles, store_to=tmp_path) as assoc:
        status = final(assoc.send_c_get(query(PatientID="1CT1"), GET))
    assert (status.Status, status.NumberOfCompletedSuboperations) == (0, 1)
    (copy,) = tmp_path.iterdir()
    assert dcmread(copy).PixelData == dcmread(found.path).PixelData


def test_our_move_to_ourselves_and_to_nobody(
    their_provider: Any, samples: dict[str, Sample], receiver: tuple[int, Path]
) -> None:
    provider = their_provider()
    provider.destinations["OURS"] = ("127.0.0.1", receiver[0])
    with ours(provider.port, MOVE) as assoc:
        status = final(assoc.send_c_move(query(PatientID="1CT1"), "OURS", MOVE))
        assert (status.Status, status.NumberOfCompletedSuboperations) == (0, 1)
        assert final(assoc.send_c_move(query(PatientID="1CT1"), "NOBODY", MOVE)).Status == 0xA801
    (copy,) = receiver[1].iterdir()
    assert dcmread(copy).PixelData == dcmread(samples["explicit"].path).PixelData


# Their requestor against our provider


@pytest.mark.parametrize("size", PDU_SIZES)
def test_their_echo_and_find(filled: Provider, samples: dict[str, Sample], size: int) -> None:
    assoc = them(filled, [their_context(sop_class.Verification), their_context(FIND)], max_pdu=size)
    assert assoc.send_c_echo().Status == 0
    study = dcmread(samples["explicit"].path).StudyInstanceUID
    keys = query("STUDY", PatientID="1CT1", StudyInstanceUID=study, PatientName="")
    responses = list(assoc.send_c_find(keys, str(FIND)))
    assert [status.Status for status, _ in responses] == [0xFF00, 0]
    assert responses[0][1].PatientName == "CompressedSamples^CT1"
    assoc.release()


def test_their_query_with_a_bad_level(filled: Provider) -> None:
    assoc = them(filled, [their_context(FIND)])
    ((status, _),) = assoc.send_c_find(query("SERIES", SeriesInstanceUID=""), str(FIND))
    assert (status.Status, status.OffendingElement) == (0xA900, 0x00100020)
    assoc.release()


@pytest.mark.parametrize("family", SAMPLES)
def test_their_store(empty: Any, samples: dict[str, Sample], family: str) -> None:
    provider, found = empty(), samples[family]
    assoc = them(provider, [their_context(found.sop_class, found.transfer_syntax)])
    pynetdicom._config.STORE_SEND_CHUNKED_DATASET = True
    try:
        assert assoc.send_c_store(found.path).Status == 0
    finally:
        pynetdicom._config.STORE_SEND_CHUNKED_DATASET = False
    assoc.release()
    assert same(provider.stored(found), found)


@pytest.mark.parametrize("size", [8, 9, 128, 4096, 0])
def test_their_store_into_our_pdu_sizes(empty: Any, samples: dict[str, Sample], size: int) -> None:
    provider, found = empty(size), samples["JPEG extended"]
    assoc = them(provider, [their_context(found.sop_class, found.transfer_syntax)])
    assert assoc.send_c_store(dcmread(found.path)).Status == 0
    assoc.release()
    assert dcmread(provider.stored(found)).PixelData == dcmread(found.path).PixelData


def test_their_get(filled: Provider, samples: dict[str, Sample]) -> None:
    received: list[bytes] = []

    def on_store(event: Any) -> int:
        received.append(event.request.DataSet.getvalue())
        return 0

    found = samples["explicit"]
    assoc = them(
        filled,
        [their_context(GET), their_context(found.sop_class, found.transfer_syntax)],
        ext_neg=[pynetdicom.build_role(found.sop_class, scp_role=True)],
        evt_handlers=[(theirs.EVT_C_STORE, on_store)],
    )
    study = dcmread(found.path).StudyInstanceUID
    status = final(assoc.send_c_get(query("STUDY", PatientID="1CT1", StudyInstanceUID=study), str(GET)))
    assoc.release()
    assert (status.Status, status.NumberOfCompletedSuboperations) == (0, 1)
    assert received == [encoded(found.path)]


def test_their_move_of_everything_to_a_third_party(
    filled: Provider, samples: dict[str, Sample], receiver: tuple[int, Path]
) -> None:
    filled.destinations["THIRD"] = ("127.0.0.1", receiver[0])
    assoc = them(filled, [their_context(MOVE)])
    responses = list(assoc.send_c_move(query(PatientID="*"), "THIRD", str(MOVE)))
    assoc.release()
    assert responses[-1][0].Status == 0
    assert responses[-1][0].NumberOfCompletedSuboperations == len(samples)
    assert len(responses) == len(samples) + 1
    assert {encoded(copy) for copy in receiver[1].iterdir()} == {encoded(found.path) for found in samples.values()}


def test_their_move_to_their_own_receiver(their_provider: Any, filled: Provider, samples: dict[str, Sample]) -> None:
    own = their_provider()
    filled.destinations["THEIRS"] = ("127.0.0.1", own.port)
    assoc = them(filled, [their_context(MOVE)])
    study = dcmread(samples["explicit"].path).StudyInstanceUID
    status = final(assoc.send_c_move(query("STUDY", PatientID="1CT1", StudyInstanceUID=study), "THEIRS", str(MOVE)))
    assoc.release()
    assert status.Status == 0
    assert own.received == [(samples["explicit"].transfer_syntax, encoded(samples["explicit"].path))]


def test_their_abort_in_the_middle_of_a_query(filled: Provider) -> None:
    assoc = them(filled, [their_context(FIND)])
    for _ in assoc.send_c_find(query(PatientID="*"), str(FIND)):
        assoc.abort()
        break
    with ours(filled.port, sop_class.Verification) as again:
        assert again.send_c_echo().Status == 0
