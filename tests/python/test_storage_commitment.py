"""Storage Commitment: both sides, over the same association and over a new one, and what is refused."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from conftest import wait_until
from dimsefast import AssociationAborted, StatusError, aio, build_context, evt
from dimsefast.negotiation import SOPClassExtendedNegotiation
from dimsefast.sop_class import CTImageStorage, MRImageStorage, StorageCommitmentPushModel, Verification
from dimsefast.workflow import (
    Combined,
    FailedReference,
    MppsProvider,
    Reference,
    StorageCommitmentProvider,
    reporting,
)
from faces import AE, StorageCommitmentUser, face  # noqa: F401
from pydicom import Dataset
from scripted import requestor

LIMIT = 30.0
INSTANCE = "1.2.840.10008.1.20.1.1"
HELD: dict[str, str | int] = {"1.1": CTImageStorage, "1.2": CTImageStorage, "1.3": 0x0213}
ONE = [(CTImageStorage, "1.1")]


def held(references: Sequence[Reference]) -> Mapping[str, str | int]:
    return {reference.sop_instance: HELD[reference.sop_instance] for reference in references if reference[1] in HELD}


def serve(provider: Any, **options: Any) -> Any:
    server = AE("PROVIDER").start_server(
        ("127.0.0.1", 0), block=False, contexts=provider.contexts, evt_handlers=provider.handlers, **options
    )
    assert server is not None
    return server


def connect(server: Any, user: Any, handlers: bool = True, title: str = "USER") -> Any:
    ae = AE(title)
    given = user.handlers if handlers else []
    return ae.connect("127.0.0.1", server.port, ae_title="PROVIDER", contexts=user.contexts, evt_handlers=given)


@pytest.fixture
def provider() -> Iterator[StorageCommitmentProvider]:
    with StorageCommitmentProvider(held, retry_after=()) as made:
        yield made


@pytest.fixture
def own() -> Iterator[tuple[Any, Any]]:
    """A user whose own server takes reports."""
    user = StorageCommitmentUser()
    with serve(user) as server:
        yield user, server


# Results


def test_everything_is_committed_over_the_same_association(provider: StorageCommitmentProvider) -> None:
    user = StorageCommitmentUser()
    instance = Dataset()
    instance.SOPClassUID, instance.SOPInstanceUID = CTImageStorage, "1.2"
    with serve(provider) as server, connect(server, user) as assoc:
        transaction = user.request(assoc, [*ONE, instance])
        result = transaction.wait(LIMIT)
        assert result.ok and result.transaction_uid == transaction.uid and transaction.result == result
        assert result.committed == ((CTImageStorage, "1.1"), (CTImageStorage, "1.2")) == transaction.references
        assert user.request(assoc, ONE, "1.2.3").wait(LIMIT).transaction_uid == "1.2.3"


def test_all_of_it_in_one_call(provider: StorageCommitmentProvider) -> None:
    user = StorageCommitmentUser()
    with serve(provider) as server:
        assert user.commit(AE("USER"), *server.address, ONE, ae_title="PROVIDER").ok
        server.bind(evt.EVT_N_ACTION, lambda event: (0x0000, None))
        with pytest.raises(TimeoutError, match="within 0"):
            user.commit(AE("USER"), *server.address, ONE, timeout=0)


def test_each_failure_has_its_reason(provider: StorageCommitmentProvider) -> None:
    user = StorageCommitmentUser()
    wanted = [*ONE, (MRImageStorage, "1.2"), (CTImageStorage, "1.3"), (CTImageStorage, "1.4")]
    with serve(provider) as server, connect(server, user) as assoc:
        result = user.request(assoc, wanted).wait(LIMIT)
    assert not result.ok and result.committed == ((CTImageStorage, "1.1"),)
    assert result.failed == (
        FailedReference(MRImageStorage, "1.2", 0x0119),
        FailedReference(CTImageStorage, "1.3", 0x0213),
        FailedReference(CTImageStorage, "1.4", 0x0112),
    )
    assert str(result.failed[2]) == "1.4: no such SOP instance (0112H)"


def test_what_cannot_be_found_out_is_a_processing_failure() -> None:
    def unable(references: Sequence[Reference]) -> Mapping[str, str | int]:
        raise OSError("the index is locked")

    user = StorageCommitmentUser()
    with StorageCommitmentProvider(unable, retrieve_ae_title="ARCHIVE") as provider, serve(provider) as server:
        with connect(server, user) as assoc:
            result = user.request(assoc, ONE).wait(LIMIT)
    assert result.failed == (FailedReference(CTImageStorage, "1.1", 0x0110),) and not result.committed
    assert result.retrieve_ae_title == "ARCHIVE"


def test_a_transaction_uid_that_is_in_use() -> None:
    """The second request is answered while the first one is still being looked into."""
    proceed, asked = threading.Event(), threading.Event()

    def slow(references: Sequence[Reference]) -> Mapping[str, str | int]:
        asked.set()
        assert proceed.wait(LIMIT)
        return held(references)

    results: list[Any] = []
    user = StorageCommitmentUser(results.append)
    with StorageCommitmentProvider(slow) as provider, serve(provider) as server, connect(server, user) as assoc:
        first = user.request(assoc, ONE, "1.9")
        assert asked.wait(LIMIT)
        second = user.request(assoc, ONE, "1.9")
        proceed.set()
        wait_until(lambda: len(results) == 2)
        assert first is not second
        assert [result.ok for result in results] == [True, False]
        assert results[1].failed == (FailedReference(CTImageStorage, "1.1", 0x0131),)
        # It is free again once the first one is over.
        assert user.request(assoc, ONE, "1.9").wait(LIMIT).ok


# The way of the report


def test_a_report_after_the_requestor_has_left(own: tuple[Any, Any]) -> None:
    user, server = own
    gone = threading.Event()

    def later(references: Sequence[Reference]) -> Mapping[str, str | int]:
        assert gone.wait(LIMIT)
        return held(references)

    with StorageCommitmentProvider(later, {"USER": server.address}) as provider, serve(provider) as theirs:
        with connect(theirs, user) as assoc:
            transaction = user.request(assoc, ONE)
        gone.set()
        assert transaction.wait(LIMIT).ok


def test_a_report_over_a_new_association_has_the_scp_role(own: tuple[Any, Any]) -> None:
    user, server = own
    roles: list[Any] = []

    def on_established(event: Any) -> None:
        (context,) = event.assoc.accepted_contexts
        asking = event.assoc.requestor
        roles.append((asking.ae_title, asking.maximum_length, context.as_scu, context.as_scp))

    server.bind(evt.EVT_ESTABLISHED, on_established)
    addresses = {"USER": (*server.address, {"max_pdu": 4096})}
    # PS3.4 J.3.3.1.2: under the AE title that the request came to, which need not be that of the AE.
    provider = StorageCommitmentProvider(held, addresses.get, same_association=False)
    with provider, serve(provider, ae_title="COMMITTER") as theirs:
        with connect(theirs, user, handlers=False) as assoc:
            assert user.request(assoc, ONE).wait(LIMIT).ok
            assert assoc.is_established
    assert roles == [("COMMITTER", 4096, True, False)]


def test_a_requestor_that_does_not_take_reports_gets_it_at_its_server(own: tuple[Any, Any]) -> None:
    user, server = own
    with StorageCommitmentProvider(held, {"USER": server.address}) as provider, serve(provider) as theirs:
        with connect(theirs, user, handlers=False) as assoc:
            assert user.request(assoc, ONE).wait(LIMIT).ok


def test_a_report_is_tried_again_until_the_requestor_is_there() -> None:
    """The user's server begins to listen after the first attempt has failed."""
    user = StorageCommitmentUser()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    asked: list[str] = []

    def address(title: str) -> tuple[str, int]:
        asked.append(title)
        return "127.0.0.1", port

    with StorageCommitmentProvider(held, address, retry_after=[0.02] * 1000) as provider, serve(provider) as server:
        with connect(server, user, handlers=False) as assoc:
            transaction = user.request(assoc, ONE)
        wait_until(lambda: len(asked) > 2)
        contexts, handlers = user.contexts, user.handlers
        ae = AE("USER")
        own = ae.start_server(("127.0.0.1", port), block=False, contexts=contexts, evt_handlers=handlers)
        assert own is not None
        with own:
            assert transaction.wait(LIMIT).ok
    assert set(asked) == {"USER"}


def no_address(title: str) -> tuple[str, int]:
    raise LookupError(title)


@pytest.mark.parametrize("addresses", [None, {}, no_address, {"USER": ("127.0.0.1", "no port")}, {"USER": "nonsense"}])
def test_a_requestor_that_nobody_can_reach_is_given_up(caplog: pytest.LogCaptureFixture, addresses: Any) -> None:
    user = StorageCommitmentUser()
    options: dict[str, Any] = {"same_association": False, "retry_after": []}
    with StorageCommitmentProvider(held, addresses, **options) as provider, serve(provider) as server:
        with connect(server, user) as assoc:
            transaction = user.request(assoc, ONE)
            wait_until(lambda: "given up" in caplog.text)
    with pytest.raises(TimeoutError, match=transaction.uid):
        transaction.wait(0)


def test_a_requestor_that_refuses_a_report_is_not_asked_for_ever() -> None:
    """Those behind it wait."""
    asked: list[str] = []
    came = threading.Event()

    def refuse(event: Any) -> tuple[int, None]:
        uid = str(event.event_information.TransactionUID)
        asked.append(uid)
        if uid == "1.2.2":
            came.set()
        return (0x0110 if uid == "1.2.1" else 0x0000), None

    user = StorageCommitmentUser()
    with serve(user) as own:
        own.unbind(evt.EVT_N_EVENT_REPORT, dict(user.handlers)[evt.EVT_N_EVENT_REPORT])
        own.bind(evt.EVT_N_EVENT_REPORT, refuse)
        addresses = {"USER": ("127.0.0.1", own.port)}
        options: dict[str, Any] = {"same_association": False, "retry_after": [0.01] * 1000}
        with StorageCommitmentProvider(held, addresses, **options) as provider, serve(provider) as server:
            with connect(server, user, handlers=False) as assoc:
                user.request(assoc, ONE, "1.2.1")
                user.request(assoc, ONE, "1.2.2")
                assert came.wait(LIMIT)
    assert asked == ["1.2.1"] * reporting.MOST_REFUSALS + ["1.2.2"]


def test_a_result_is_given_up_so_long_after_its_request(caplog: pytest.LogCaptureFixture) -> None:
    user = StorageCommitmentUser()
    options: dict[str, Any] = {"same_association": False, "retry_after": [1000.0], "give_up_after": 999.0}
    with StorageCommitmentProvider(held, {"USER": ("127.0.0.1", 9)}, **options) as provider, serve(provider) as server:
        with connect(server, user, handlers=False) as assoc:
            user.request(assoc, ONE)
        wait_until(lambda: "could not be delivered and is given up" in caplog.text)


def test_a_requestor_that_takes_no_reports_is_refused_at_some_point(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "MOST_WAITING", 2)
    user = StorageCommitmentUser()
    with StorageCommitmentProvider(held, {"USER": ("127.0.0.1", 9)}, retry_after=[1000]) as provider:
        with serve(provider) as server, connect(server, user, handlers=False) as assoc:
            user.request(assoc, ONE)
            user.request(assoc, ONE)
            wait_until(lambda: provider._reporter.is_full("USER"))
            with pytest.raises(StatusError, match="resource limitation"):
                user.request(assoc, ONE)
            with connect(server, user, title="OTHER") as other:
                assert user.request(other, ONE).wait(LIMIT).ok


def test_closing_ends_the_attempts() -> None:
    user = StorageCommitmentUser()
    with StorageCommitmentProvider(held, {"USER": ("127.0.0.1", 9)}, retry_after=[1000]) as provider:
        with serve(provider) as server, connect(server, user, handlers=False) as assoc:
            user.request(assoc, ONE)
    assert not [thread for thread in threading.enumerate() if "reports" in thread.name]


# What is refused


def test_a_user_without_references_or_context(provider: StorageCommitmentProvider) -> None:
    user = StorageCommitmentUser()
    with serve(provider) as server, connect(server, user) as assoc:
        with pytest.raises(ValueError, match="at least one"):
            user.request(assoc, [])
        with pytest.raises(StatusError, match="invalid argument value"):
            user.request(assoc, [("", "1.1")])
        server.bind(evt.EVT_N_ACTION, lambda event: event.assoc.abort())
        with pytest.raises(AssociationAborted, match="no valid answer"):
            user.request(assoc, ONE)


def information(transaction: str = "1.5", references: Any = ((CTImageStorage, "1.1"),)) -> Dataset:
    dataset = Dataset()
    if transaction:
        dataset.TransactionUID = transaction
    items = []
    for sop_class, sop_instance in references:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop_instance
        items.append(item)
    dataset.ReferencedSOPSequence = items
    return dataset


@pytest.mark.parametrize(
    ("action", "sop_class", "sop_instance", "dataset", "status"),
    [
        (1, StorageCommitmentPushModel, INSTANCE, information(""), 0x0115),
        (1, StorageCommitmentPushModel, INSTANCE, information(references=()), 0x0115),
        (1, StorageCommitmentPushModel, INSTANCE, information(references=[(CTImageStorage, "")]), 0x0115),
        (1, StorageCommitmentPushModel, INSTANCE, None, 0x0115),
        (2, StorageCommitmentPushModel, INSTANCE, information(), 0x0123),
        (1, StorageCommitmentPushModel, "1.2.3", information(), 0x0112),
        (1, CTImageStorage, INSTANCE, information(), 0x0118),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    provider: StorageCommitmentProvider, action: int, sop_class: str, sop_instance: str, dataset: Any, status: int
) -> None:
    meta = StorageCommitmentPushModel
    with serve(provider) as server, connect(server, StorageCommitmentUser()) as assoc:
        answer, _ = assoc.send_n_action(dataset, action, sop_class, sop_instance, meta_uid=meta)
        assert (answer.Status, bool(answer.ErrorComment)) == (status, True)


@pytest.mark.parametrize(
    ("event_type", "sop_instance", "status"), [(3, INSTANCE, 0x0113), (1, "1.2.3", 0x0112), (1, INSTANCE, 0x0115)]
)
def test_a_report_that_makes_no_sense_is_refused(event_type: int, sop_instance: str, status: int) -> None:
    user = StorageCommitmentUser()
    with serve(user) as server, connect(server, user) as assoc:
        uid = StorageCommitmentPushModel
        answer, _ = assoc.send_n_event_report(information(), event_type, uid, sop_instance)
        assert answer.Status == status


def test_a_dataset_that_is_none_is_a_processing_failure(provider: StorageCommitmentProvider) -> None:
    elements: dict[int, Any] = {0x0100: 0x0130, 0x0110: 1, 0x0003: StorageCommitmentPushModel, 0x1001: INSTANCE}
    with serve(provider) as server:
        with requestor(server.port, {1: (StorageCommitmentPushModel, "1.2.840.10008.1.2")}) as peer:
            peer.send_message(1, {**elements, 0x1008: 1}, b"\xff" * 100)
            assert peer.next_message().status == (1, 0x0110)


# Together with others


def test_services_are_served_together(provider: StorageCommitmentProvider) -> None:
    seen: list[Any] = []

    def on_extended(event: Any, argument: str) -> dict[str, bytes]:
        seen.append((argument, event.app_info))
        return {}

    class Echo:
        contexts = StorageCommitmentUser().contexts
        handlers = (
            (evt.EVT_C_ECHO, lambda event: 0x0210),
            (evt.EVT_ESTABLISHED, seen.append),
            (evt.EVT_SOP_EXTENDED, on_extended, ["given"]),
        )

    with pytest.raises(ValueError, match="told apart"):
        Combined(provider, Echo())
    Echo.contexts = [build_context(Verification)]
    combined = Combined(provider, MppsProvider(), Echo())
    assert len(combined.contexts) == 4
    user = StorageCommitmentUser()
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid, extended.service_class_application_information = Verification, b"1"
    contexts = [*user.contexts, *Echo.contexts]
    with combined, serve(combined) as server:
        with AE("USER").connect(
            "127.0.0.1", server.port, contexts=contexts, evt_handlers=user.handlers, ext_neg=[extended]
        ) as assoc:
            assert user.request(assoc, ONE).wait(LIMIT).ok
            assert assoc.send_c_echo().Status == 0x0210
    wait_until(lambda: len(seen) == 2)
    assert seen[0] == ("given", {Verification: b"1"})


@pytest.mark.blocking
@pytest.mark.parametrize("same", [True, False])
def test_a_provider_on_a_server_of_asyncio(own: tuple[Any, Any], same: bool) -> None:
    user, server = own
    answered: list[Any] = []

    async def main() -> None:
        provider = StorageCommitmentProvider(held, {"USER": server.address}, same_association=same)
        ae = aio.AE("PROVIDER")
        with provider:
            serving = await ae.start_server(
                ("127.0.0.1", 0), block=False, contexts=provider.contexts, evt_handlers=provider.handlers
            )
            async with serving:
                answered.append(await asyncio.to_thread(ask, serving))

    def ask(serving: Any) -> Any:
        with connect(serving, user) as assoc:
            return user.request(assoc, ONE).wait(LIMIT)

    asyncio.run(main())
    assert [result.ok for result in answered] == [True]
