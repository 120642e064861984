//! Bytes as A-ASSOCIATE PDUs: no panic, memory that grows with what came, and what was understood once is understood again.

use dimsefast_protocol::limits::Limits;
use dimsefast_protocol::negotiation::{
    SupportedContext, SupportedContexts, negotiate_as_acceptor, negotiate_as_requestor,
};
use dimsefast_protocol::pdu::{Abort, AssociateAc, AssociateRj, AssociateRq};

/// Length of a PDU header, in bytes.
const HEADER: usize = 6;

/// The first byte says which PDU the rest is the body of: both A-ASSOCIATE PDUs have items, the others 4 bytes.
pub(crate) fn run(data: &[u8]) {
    let Some((&selector, body)) = data.split_first() else { return };
    let limits = Limits::default();
    match selector % 3 {
        0 => {
            let Ok(request) = AssociateRq::decode(body, &limits) else { return };
            assert!(request.contexts.len() <= limits.contexts);
            let mut once = Vec::new();
            request.encode(&mut once);
            let again = AssociateRq::decode(&once[HEADER..], &limits);
            if fits(once.len(), body) {
                assert_eq!(again.as_ref(), Ok(&request), "what was written is the same request");
            }
            negotiate(&request);
        }
        1 => {
            let Ok(accept) = AssociateAc::decode(body, &limits) else { return };
            assert!(accept.contexts.len() <= limits.contexts);
            let mut once = Vec::new();
            accept.encode(&mut once);
            let again = AssociateAc::decode(&once[HEADER..], &limits);
            if fits(once.len(), body) {
                assert_eq!(again.as_ref(), Ok(&accept), "what was written is the same answer");
            }
            // The answer to what was never asked for.
            let mut request = Vec::new();
            request.extend_from_slice(body);
            if let Ok(request) = AssociateRq::decode(&request, &limits) {
                assert_eq!(negotiate_as_requestor(&request, &accept).len(), request.contexts.len());
            }
        }
        _ => {
            let Some(four) = body.first_chunk::<4>() else { return };
            let mut out = Vec::new();
            let reject = AssociateRj::decode(*four);
            reject.encode(&mut out);
            assert!(!reject.words().is_empty());
            Abort::decode(*four).encode(&mut out);
            assert_eq!(out.len(), 20, "both have a length of 4");
        }
    }
}

/// Whether what was decoded can be said within one item's 65,535 bytes: items of a type that comes once may have come often, and a
/// value that is missing is written as an empty one, so what is written can be longer than what came.
fn fits(written: usize, body: &[u8]) -> bool {
    assert!(written <= 2 * body.len() + 1024, "{written} bytes of {}", body.len());
    written < usize::from(u16::MAX)
}

fn negotiate(request: &AssociateRq) {
    // Every second proposal is supported, with the roles that are asked for.
    let supported = request.contexts.iter().step_by(2).map(|context| SupportedContext {
        abstract_syntax: context.abstract_syntax.clone(),
        transfer_syntaxes: context.transfer_syntaxes.clone(),
        scu_role: Some(true),
        scp_role: Some(true),
    });
    let supported = SupportedContexts::from(supported.collect::<Vec<_>>());
    for unrestricted in [false, true] {
        let (contexts, roles) = negotiate_as_acceptor(request, &supported, unrestricted);
        assert_eq!(contexts.len(), request.contexts.len());
        assert!(roles.len() <= contexts.len());
    }
}
