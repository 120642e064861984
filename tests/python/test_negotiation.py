"""Negotiation between two of us: user identity, extended negotiation, contexts, roles, asynchronous operations."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import wait_until
from dimsefast import AssociationRejected, build_context, build_role, evt
from dimsefast.pdu_primitives import SOPClassExtendedNegotiation, UserIdentityNegotiation
from dimsefast.sop_class import CTImageStorage, Verification
from faces import AE, face  # noqa: F401
from service_cases import FIND, connect, provider

ECHO = [build_context(Verification)]


def test_user_identity_and_extended_negotiation_reach_the_handlers() -> None:
    identity = UserIdentityNegotiation()
    identity.user_identity_type = 2
    identity.primary_field, identity.secondary_field = b"name", b"secret"
    identity.positive_response_requested = True
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid, extended.service_class_application_information = FIND, b"\1\1"

    def on_user(event: Any) -> Any:
        assert event.user_id_type == 2 and event.primary_field == b"name"
        return event.secondary_field == b"secret", b"welcome"

    handlers = [(evt.EVT_USER_ID, on_user), (evt.EVT_SOP_EXTENDED, lambda event: {FIND: event.app_info[FIND][:1]})]
    with provider(*handlers) as server:
        with connect(server, FIND, ext_neg=[identity, extended]) as assoc:
            assert assoc.acceptor.user_identity.server_response == b"welcome"
            assert assoc.acceptor.sop_class_extended == {FIND: b"\1"}
        identity.secondary_field = b"guessed"
        with pytest.raises(AssociationRejected):
            connect(server, FIND, ext_neg=[identity])


def test_what_was_negotiated_can_be_looked_at_late_and_is_the_same_each_time() -> None:
    contexts = [build_context(Verification), build_context(CTImageStorage), build_context("1.2.3")]
    with provider(contexts=(Verification, CTImageStorage)) as server:
        assoc = connect(server, contexts=contexts, ext_neg=[build_role(CTImageStorage, scp_role=True)])
        (acceptor,) = server.active_associations
        assoc.release()
        wait_until(lambda: not server.active_associations)
    for side, as_scu in ((assoc, False), (acceptor, True)):
        proposed = side.requestor.requested_contexts
        assert [(cx.context_id, cx.abstract_syntax) for cx in proposed] == [
            (1, Verification),
            (3, CTImageStorage),
            (5, "1.2.3"),
        ]
        assert [len(cx.transfer_syntax) for cx in proposed] == [4, 4, 4] and proposed[0].result is None
        assert [cx.context_id for cx in side.accepted_contexts] == [1, 3]
        assert [len(cx.transfer_syntax) for cx in side.accepted_contexts] == [1, 1]
        assert (side.accepted_contexts[1].as_scu, side.accepted_contexts[1].as_scp) == (as_scu, not as_scu)
        (rejected,) = side.rejected_contexts
        assert (rejected.context_id, rejected.result, len(rejected.transfer_syntax)) == (5, 3, 4)
        assert [cx.result for cx in side.acceptor.get_contexts("pcdrl")] == [0, 0, 3]
        assert side.requestor.role_selection[CTImageStorage].scp_role is True
        assert side.requestor.extended_negotiation == [build_role(CTImageStorage, scp_role=True)]
        assert side.acceptor.extended_negotiation == [build_role(CTImageStorage, scp_role=True)]
        # Looked at twice, they are the same objects; the lists of results are new ones.
        assert side.requestor.requested_contexts is proposed
        assert side.requestor.extended_negotiation[0] is side.requestor.extended_negotiation[0]
        assert side.accepted_contexts[0] is side.accepted_contexts[0]
        assert side.accepted_contexts is not side.accepted_contexts
    assert [context.abstract_syntax for context in acceptor.acceptor.supported_contexts] == [
        Verification,
        CTImageStorage,
    ]
    # A side may be kept when its association is not.
    user = assoc.requestor
    del assoc, side
    assert len(user.requested_contexts) == 3 and user.ae_title == "REQUESTOR"


def test_contexts_that_change_are_proposed_as_they_are_then() -> None:
    ae = AE()
    ae.add_requested_context(Verification, "1.2.840.10008.1.2.2")
    with provider() as server:
        for syntaxes in (["1.2.840.10008.1.2.2"], ["1.2.840.10008.1.2.2", "1.2.840.10008.1.2"]):
            with ae.connect("127.0.0.1", server.port) as assoc:
                assert assoc.requestor.requested_contexts[0].transfer_syntax == syntaxes
                assert assoc.send_c_echo().Status == 0
            ae.requested_contexts[0].transfer_syntax.append("1.2.840.10008.1.2")  # type: ignore[arg-type]
        assert ae.requested_contexts[0].context_id is None


@pytest.mark.parametrize("proposed", [(True, True), (True, False), (False, True), None])
@pytest.mark.parametrize("supported", [(True, True), (True, False), (False, True), (None, None), (True, None)])
def test_roles(proposed: tuple[bool, bool] | None, supported: tuple[bool | None, bool | None]) -> None:
    ae = AE("PROVIDER")
    ae.add_supported_context(CTImageStorage, None, *supported)
    ae.add_supported_context(Verification)
    with ae.start_server(("127.0.0.1", 0), block=False) as server:
        roles = [] if proposed is None else [build_role(CTImageStorage, *proposed)]
        with connect(server, CTImageStorage, Verification, ext_neg=roles) as assoc:
            context = next(c for c in assoc.acceptor.get_contexts("pcdrl") if c.abstract_syntax == CTImageStorage)
            if proposed is None or None in supported:
                expected = (True, False)
            else:
                expected = (proposed[0] and bool(supported[0]), proposed[1] and bool(supported[1]))
            assert (context.as_scu, context.as_scp) == expected
            assert context.result == (0 if any(expected) else 1)


def test_asynchronous_operations_only_where_both_want_them() -> None:
    ae = AE("PROVIDER")
    ae.add_supported_context(Verification)
    with ae.start_server(("127.0.0.1", 0), block=False) as server:
        scu = AE()
        scu.asynchronous_operations = (5, 3)
        with scu.connect("127.0.0.1", server.port, contexts=ECHO) as assoc:
            assert assoc.acceptor.asynchronous_operations == (1, 1)
        ae.asynchronous_operations = (2, 4)
        with scu.connect("127.0.0.1", server.port, contexts=ECHO) as assoc:
            assert assoc.acceptor.asynchronous_operations == (4, 2)
