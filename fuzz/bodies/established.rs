//! An acceptor that is established, for the targets that are about what comes then.

use std::time::Duration;

use dimsefast_protocol::association::{Association, Config, NetworkTimeoutResponse};
use dimsefast_protocol::limits::Limits;
use dimsefast_protocol::negotiation::{SupportedContext, SupportedContexts, negotiate_as_acceptor};
use dimsefast_protocol::pdu::{AssociateAc, AssociateRq, ContextReply, ProposedContext, UserInformation};
use dimsefast_protocol::types::{AeTitle, Uid};

/// Small, so that a fuzzer reaches them.
pub(crate) fn limits() -> Limits {
    Limits { association_pdu: 2048, data_pdu_slack: 64, items: 64, contexts: 8, command_set: 512, message: Some(4096) }
}

pub(crate) fn config() -> Config {
    Config {
        limits: limits(),
        max_pdu_length: 1024,
        acse_timeout: Some(Duration::from_secs(30)),
        network_timeout: Some(Duration::from_secs(60)),
        network_timeout_response: NetworkTimeoutResponse::default(),
        pdu_timeout: Some(Duration::from_secs(20)),
    }
}

/// Proposes contexts 1 and 3.
pub(crate) fn request() -> AssociateRq {
    let title = |text| AeTitle::new(text).expect("a valid title");
    let proposed = |id| ProposedContext {
        id,
        abstract_syntax: "1.2.840.10008.1.1".into(),
        transfer_syntaxes: vec!["1.2.840.10008.1.2".into()],
    };
    AssociateRq {
        protocol_version: 1,
        called: title("CALLED"),
        calling: title("CALLING"),
        application_context: "1.2.840.10008.3.1.1.1".into(),
        contexts: vec![proposed(1), proposed(3)],
        user: UserInformation { max_length: Some(512), ..UserInformation::default() },
    }
}

pub(crate) fn reply(request: &AssociateRq) -> AssociateAc {
    AssociateAc {
        protocol_version: 1,
        called: request.called.clone(),
        calling: request.calling.clone(),
        application_context: request.application_context.clone(),
        contexts: request
            .contexts
            .iter()
            .map(|context| ContextReply {
                id: context.id,
                result: dimsefast_protocol::types::ContextResult::ACCEPTED,
                transfer_syntax: context.transfer_syntaxes.first().cloned(),
            })
            .collect(),
        user: UserInformation { max_length: Some(1024), ..UserInformation::default() },
    }
}

/// Accepts what was asked for, if anything was.
pub(crate) fn accept(association: &mut Association, now: Duration) {
    let Some(request) = association.request().cloned() else { return };
    let supported = SupportedContexts::from(vec![SupportedContext {
        abstract_syntax: Uid::from("1.2.840.10008.1.1"),
        transfer_syntaxes: vec!["1.2.840.10008.1.2".into()],
        scu_role: None,
        scp_role: None,
    }]);
    let (contexts, _) = negotiate_as_acceptor(&request, &supported, false);
    // Refused where the state is another: then nothing happens.
    let _ = association.accept(now, reply(&request), contexts);
}
