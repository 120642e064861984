//! What comes of proposed contexts and roles, on either side.

mod common;

use common::{CT, EXPLICIT, IMPLICIT, VERIFICATION};
use dimsefast_protocol::negotiation::{
    SupportedContext, SupportedContexts, negotiate_as_acceptor, negotiate_as_requestor,
};
use dimsefast_protocol::pdu::{AssociateAc, AssociateRq, ContextReply, ProposedContext, Role};
use dimsefast_protocol::types::ContextResult;

const DEFLATED: &str = "1.2.840.10008.1.2.1.99";

fn supported(contexts: &[(&str, &[&str])]) -> SupportedContexts {
    let context = |(abstract_syntax, syntaxes): &(&str, &[&str])| SupportedContext {
        abstract_syntax: (*abstract_syntax).into(),
        transfer_syntaxes: syntaxes.iter().map(|syntax| (*syntax).into()).collect(),
        scu_role: Some(true),
        scp_role: Some(true),
    };
    contexts.iter().map(context).collect::<Vec<_>>().into()
}

fn request(contexts: &[(u8, &str, &[&str])], roles: &[(&str, bool, bool)]) -> AssociateRq {
    let mut request = common::request();
    request.contexts = contexts
        .iter()
        .map(|(id, abstract_syntax, syntaxes)| ProposedContext {
            id: *id,
            abstract_syntax: (*abstract_syntax).into(),
            transfer_syntaxes: syntaxes.iter().map(|syntax| (*syntax).into()).collect(),
        })
        .collect();
    request.user.roles =
        roles.iter().map(|(class, scu, scp)| Role { sop_class: (*class).into(), scu: *scu, scp: *scp }).collect();
    request
}

#[test]
fn the_acceptor_takes_the_first_proposed_transfer_syntax_that_it_supports() {
    let rq = request(
        &[
            (1, CT, &[DEFLATED, EXPLICIT, IMPLICIT]),
            (3, CT, &[IMPLICIT, EXPLICIT]),
            (5, CT, &[DEFLATED]),
            (7, "1.2.3", &[IMPLICIT]),
            // Padding is no part of a UID.
            (9, "1.2.840.10008.1.1\0", &["1.2.840.10008.1.2\0"]),
        ],
        &[],
    );
    let all = supported(&[(VERIFICATION, &[IMPLICIT]), (CT, &[IMPLICIT, EXPLICIT]), ("1.2.4", &[IMPLICIT])]);
    let (contexts, _) = negotiate_as_acceptor(&rq, &all, false);
    let found: Vec<_> = contexts.iter().map(|context| (context.id, context.result.0)).collect();
    assert_eq!(found, [(1, 0), (3, 0), (5, 4), (7, 3), (9, 0)]);
    assert_eq!(contexts[0].transfer_syntax, Some(EXPLICIT.into()));
    assert_eq!(contexts[1].transfer_syntax, Some(IMPLICIT.into()));
    let (contexts, _) = negotiate_as_acceptor(&rq, &all, true);
    assert_eq!(contexts[3].transfer_syntax, Some(IMPLICIT.into()));
    assert_eq!(contexts[2].result, ContextResult::TRANSFER_SYNTAXES_NOT_SUPPORTED);
}

#[test]
fn the_acceptor_may_prefer_its_own_order() {
    let rq = request(&[(1, CT, &[DEFLATED, EXPLICIT, IMPLICIT]), (3, CT, &[EXPLICIT]), (5, CT, &[DEFLATED])], &[]);
    let context = |syntaxes: &[&str]| SupportedContext {
        abstract_syntax: CT.into(),
        transfer_syntaxes: syntaxes.iter().map(|syntax| (*syntax).into()).collect(),
        scu_role: None,
        scp_role: None,
    };
    for (first, second) in [(IMPLICIT, EXPLICIT), (EXPLICIT, IMPLICIT)] {
        let all = SupportedContexts::in_own_order(vec![context(&[DEFLATED]), context(&[first, second])]);
        let (contexts, _) = negotiate_as_acceptor(&rq, &all, false);
        let found: Vec<_> = contexts.into_iter().map(|context| context.transfer_syntax).collect();
        assert_eq!(found, [Some(first.into()), Some(EXPLICIT.into()), None]);
    }
}

#[test]
fn of_several_supported_contexts_for_one_abstract_syntax_the_last_counts() {
    let rq = request(&[(1, CT, &[IMPLICIT, EXPLICIT])], &[]);
    let all = supported(&[(CT, &[IMPLICIT]), (VERIFICATION, &[IMPLICIT]), (CT, &[EXPLICIT])]);
    let (contexts, _) = negotiate_as_acceptor(&rq, &all, false);
    assert_eq!(contexts[0].transfer_syntax, Some(EXPLICIT.into()));
}

#[test]
fn of_several_answers_to_one_context_or_role_the_first_counts() {
    let rq = request(
        &[(1, CT, &[IMPLICIT]), (3, CT, &[IMPLICIT, EXPLICIT]), (5, VERIFICATION, &[IMPLICIT])],
        &[(CT, true, true), (CT, false, false)],
    );
    let reply = |id, result, syntax: Option<&str>| ContextReply {
        id,
        result: ContextResult(result),
        transfer_syntax: syntax.map(Into::into),
    };
    let role = |scu, scp| Role { sop_class: CT.into(), scu, scp };
    let (called, calling) = (rq.called.clone(), rq.calling.clone());
    let mut user = rq.user.clone();
    user.roles = vec![role(false, true), role(true, false)];
    let ac = AssociateAc {
        protocol_version: 1,
        called,
        calling,
        application_context: rq.application_context.clone(),
        contexts: vec![reply(3, 0, None), reply(1, 0, None), reply(1, 3, None), reply(99, 0, Some(IMPLICIT))],
        user,
    };
    let contexts = negotiate_as_requestor(&rq, &ac);
    let found: Vec<_> = contexts.iter().map(|context| (context.id, context.result.0)).collect();
    // Only one transfer syntax was to choose from; which of two is not known; no answer at all.
    assert_eq!(found, [(1, 0), (3, 2), (5, 2)]);
    assert_eq!((contexts[0].as_scu, contexts[0].as_scp), (false, true));
}

#[test]
fn with_strict_roles_a_refused_scu_role_is_refused_without_role_selection_too() {
    let offered = |scu, scp| {
        SupportedContexts::from(vec![SupportedContext {
            abstract_syntax: CT.into(),
            transfer_syntaxes: vec![IMPLICIT.into()],
            scu_role: Some(scu),
            scp_role: Some(scp),
        }])
    };
    let silent = request(&[(1, CT, &[IMPLICIT])], &[]);
    let receiving = request(&[(1, CT, &[IMPLICIT])], &[(CT, false, true)]);
    let result = |rq: &AssociateRq, offered: &SupportedContexts| {
        let (contexts, _) = negotiate_as_acceptor(rq, offered, false);
        (contexts[0].result, contexts[0].as_scp)
    };
    assert_eq!(result(&silent, &offered(false, true)), (ContextResult::ACCEPTED, true), "the default role");
    let strict = offered(false, true).with_strict_roles();
    assert_eq!(result(&silent, &strict), (ContextResult::USER_REJECTED, false));
    assert_eq!(result(&receiving, &strict), (ContextResult::ACCEPTED, false));
    assert_eq!(result(&silent, &offered(true, false).with_strict_roles()), (ContextResult::ACCEPTED, true));
}
