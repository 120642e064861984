//! PDUs: golden bytes, round trips, and whatever a peer may send.

mod golden;

use dimsefast_protocol::limits::Limits;
use dimsefast_protocol::pdu::{
    Abort, AssociateAc, AssociateRj, AssociateRq, AsyncOps, ContextReply, ProposedContext, Role, SopCommonExtended,
    SopExtended, UnknownItem, UserIdentity, UserInformation,
};
use dimsefast_protocol::types::{
    AbortReason, AbortSource, AeTitle, ContextResult, RejectReason, RejectResult, RejectSource, Uid,
};
use golden::golden;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

#[test]
fn golden_request_in_both_directions() {
    let bytes = golden(include_str!("../../../tests/data/pdu/associate_rq.txt"));
    let request = AssociateRq::decode(&bytes[6..], &Limits::default()).expect("valid");
    assert_eq!(request.called.to_string_lossy(), "ANY-SCP");
    assert_eq!(request.calling.to_string_lossy(), "ECHOSCU");
    assert_eq!(request.contexts.len(), 1);
    assert_eq!(request.contexts[0].abstract_syntax, "1.2.840.10008.1.1".into());
    assert_eq!(request.user.max_length, Some(16382));
    assert_eq!(request.user.async_ops, Some(AsyncOps { invoked: 5, performed: 2 }));
    let identity = request.user.user_identity.as_ref().expect("there");
    assert_eq!((identity.kind, &*identity.primary, &*identity.secondary), (2, &b"name"[..], &b"word"[..]));
    let mut encoded = Vec::new();
    request.encode(&mut encoded);
    assert_eq!(encoded, bytes);
}

#[test]
fn every_truncation_is_an_error_or_ends_between_items() {
    let bytes = golden(include_str!("../../../tests/data/pdu/associate_rq.txt"));
    let body = &bytes[6..];
    let whole = (0..body.len()).filter(|end| AssociateRq::decode(&body[..*end], &Limits::default()).is_ok());
    // Behind the fixed part, the application context, and the presentation context.
    assert_eq!(whole.collect::<Vec<_>>(), [68, 93, 143]);
}

#[test]
fn a_context_that_is_rejected_may_lack_its_transfer_syntax_or_have_rubbish() {
    let mut body = vec![0; 68];
    body.extend([0x21, 0, 0, 4, 1, 0, 3, 0]);
    body.extend([0x21, 0, 0, 7, 3, 0, 4, 0, 0x40, 0, 9]);
    let accept = AssociateAc::decode(&body, &Limits::default()).expect("tolerated");
    assert_eq!(accept.contexts.iter().map(|c| c.result.0).collect::<Vec<_>>(), [3, 4]);
    body.extend([0x21, 0, 0, 7, 5, 0, 0, 0, 0x40, 0, 9]);
    assert!(AssociateAc::decode(&body, &Limits::default()).is_err(), "an accepted one may not");
}

#[test]
fn more_items_than_the_limit_are_refused_before_they_are_kept() {
    let mut body = vec![0; 68];
    let items: Vec<u8> = [0x60, 0, 0, 0].repeat(100);
    body.extend([0x50, 0]);
    body.extend(u16::try_from(items.len()).expect("fits").to_be_bytes());
    body.extend(items);
    assert!(AssociateRq::decode(&body, &Limits { items: 101, ..Limits::default() }).is_ok());
    assert!(AssociateRq::decode(&body, &Limits { items: 100, ..Limits::default() }).is_err());
    let mut body = vec![0; 68];
    body.extend([0x20, 0, 0, 4, 1, 0, 0, 0].repeat(129));
    assert!(AssociateRq::decode(&body, &Limits::default()).is_err());
}

fn uid() -> impl Strategy<Value = Uid> {
    vec(any::<u8>(), 0..70).prop_map(Uid::new)
}

fn title() -> impl Strategy<Value = AeTitle> {
    any::<[u8; 16]>().prop_map(AeTitle::from_wire)
}

prop_compose! {
    fn user()(
        max_length in option::of(any::<u32>()),
        implementation_class_uid in option::of(uid()),
        implementation_version in option::of(vec(any::<u8>(), 0..20)),
        async_ops in option::of((any::<u16>(), any::<u16>())),
        roles in vec((uid(), any::<bool>(), any::<bool>()), 0..3),
        sop_extended in vec((uid(), vec(any::<u8>(), 0..9)), 0..3),
        sop_common in vec((uid(), uid(), vec(uid(), 0..3)), 0..3),
        user_identity in option::of((any::<u8>(), any::<bool>(), vec(any::<u8>(), 0..9), vec(any::<u8>(), 0..9))),
        user_identity_response in option::of(vec(any::<u8>(), 0..9)),
        unknown in vec((0x5a..=0xffu8, vec(any::<u8>(), 0..9)), 0..3),
    ) -> UserInformation {
        UserInformation {
            max_length,
            implementation_class_uid,
            implementation_version: implementation_version.map(Into::into),
            async_ops: async_ops.map(|(invoked, performed)| AsyncOps { invoked, performed }),
            roles: roles.into_iter().map(|(sop_class, scu, scp)| Role { sop_class, scu, scp }).collect(),
            sop_extended: sop_extended.into_iter().map(|(sop_class, info)| SopExtended { sop_class, info }).collect(),
            sop_common: sop_common
                .into_iter()
                .map(|(sop_class, service_class, related)| SopCommonExtended { sop_class, service_class, related })
                .collect(),
            user_identity: user_identity.map(|(kind, positive_response, primary, secondary)| UserIdentity {
                kind,
                positive_response,
                primary,
                secondary,
            }),
            user_identity_response,
            unknown: unknown.into_iter().map(|(kind, data)| UnknownItem { kind, data }).collect(),
        }
    }
}

proptest! {
    #[test]
    fn requests_survive_a_round_trip(
        protocol_version in any::<u16>(), called in title(), calling in title(), application_context in uid(),
        contexts in vec((any::<u8>(), uid(), vec(uid(), 0..4)), 0..6), user in user(),
    ) {
        let contexts = contexts
            .into_iter()
            .map(|(id, abstract_syntax, transfer_syntaxes)| ProposedContext { id, abstract_syntax, transfer_syntaxes })
            .collect();
        let request = AssociateRq { protocol_version, called, calling, application_context, contexts, user };
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        prop_assert_eq!(u32::from_be_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]) as usize, bytes.len() - 6);
        let decoded = AssociateRq::decode(&bytes[6..], &Limits::default()).expect("valid");
        let mut again = Vec::new();
        decoded.encode(&mut again);
        prop_assert_eq!(again, bytes);
        prop_assert_eq!(decoded, request);
    }

    #[test]
    fn accepts_survive_a_round_trip(
        called in title(), calling in title(), application_context in uid(),
        contexts in vec((any::<u8>(), any::<u8>(), option::of(uid())), 0..6), user in user(),
    ) {
        let contexts = contexts
            .into_iter()
            .map(|(id, result, transfer_syntax)| ContextReply { id, result: ContextResult(result), transfer_syntax })
            .collect();
        let accept = AssociateAc { protocol_version: 1, called, calling, application_context, contexts, user };
        let mut bytes = Vec::new();
        accept.encode(&mut bytes);
        prop_assert_eq!(AssociateAc::decode(&bytes[6..], &Limits::default()).expect("valid"), accept);
    }

    #[test]
    fn short_pdus_survive_a_round_trip(a in any::<u8>(), b in any::<u8>(), c in any::<u8>()) {
        let reject = AssociateRj { result: RejectResult(a), source: RejectSource(b), reason: RejectReason(c) };
        let abort = Abort { source: AbortSource(a), reason: AbortReason(b) };
        let mut bytes = Vec::new();
        reject.encode(&mut bytes);
        prop_assert_eq!(AssociateRj::decode(bytes[6..].try_into().expect("four")), reject);
        bytes.clear();
        abort.encode(&mut bytes);
        prop_assert_eq!(Abort::decode(bytes[6..].try_into().expect("four")), abort);
        prop_assert!(!reject.words().is_empty() && !abort.reason.to_string().is_empty());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..400), head in any::<bool>()) {
        let mut body = if head { vec![0; 68] } else { Vec::new() };
        body.extend(bytes);
        let _ = AssociateRq::decode(&body, &Limits::default());
        let _ = AssociateAc::decode(&body, &Limits::default());
    }
}
