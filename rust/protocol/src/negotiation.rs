//! What comes of the presentation contexts and roles that were proposed (PS3.8 9.3.3.2, PS3.7 D.3.3.4).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::pdu::{AssociateAc, AssociateRq, ProposedContext, Role};
use crate::types::{ContextResult, Uid};

/// What an acceptor supports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupportedContext {
    /// What it is for.
    pub abstract_syntax: Uid,
    /// The transfer syntaxes that it takes, in any order.
    pub transfer_syntaxes: Vec<Uid>,
    /// Whether the requestor may be SCU; `None` for no negotiation of roles.
    pub scu_role: Option<bool>,
    /// Whether the requestor may be SCP; `None` for no negotiation of roles.
    pub scp_role: Option<bool>,
}

/// A presentation context after negotiation, from the local side's point of view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NegotiatedContext {
    /// Its ID.
    pub id: u8,
    /// What it is for.
    pub abstract_syntax: Uid,
    /// The one transfer syntax in use; `None` where it was not accepted.
    pub transfer_syntax: Option<Uid>,
    /// What was proposed.
    pub proposed_transfer_syntaxes: Vec<Uid>,
    /// Whether it may be used.
    pub result: ContextResult,
    /// Whether this side may invoke operations as SCU.
    pub as_scu: bool,
    /// Whether this side may perform operations as SCP.
    pub as_scp: bool,
}

/// The acceptor's answer: a context for each one proposed, and the role selections to send back.
///
/// The first proposed transfer syntax that is supported is taken. With `unrestricted_storage` every abstract syntax that is not
/// supported is accepted as it is proposed, in the roles that are proposed.
pub fn negotiate_as_acceptor(
    rq: &AssociateRq,
    supported: &[SupportedContext],
    unrestricted_storage: bool,
) -> (Vec<NegotiatedContext>, Vec<Role>) {
    let by_syntax: BTreeMap<&[u8], &SupportedContext> =
        supported.iter().map(|context| (context.abstract_syntax.trimmed(), context)).collect();
    let proposed_roles: BTreeMap<&[u8], &Role> =
        rq.user.roles.iter().map(|role| (role.sop_class.trimmed(), role)).collect();
    let mut replies: BTreeMap<&[u8], Role> = BTreeMap::new();
    let mut contexts = Vec::with_capacity(rq.contexts.len());
    for proposed in &rq.contexts {
        let name = proposed.abstract_syntax.trimmed();
        let known = by_syntax.get(name);
        let mut context = unanswered(proposed);
        let Some(syntax) = (match known {
            Some(known) => {
                let taken = proposed.transfer_syntaxes.iter().find(|syntax| known.transfer_syntaxes.contains(syntax));
                context.result = ContextResult::TRANSFER_SYNTAXES_NOT_SUPPORTED;
                taken
            }
            None if unrestricted_storage => proposed.transfer_syntaxes.first(),
            None => None,
        }) else {
            contexts.push(context);
            continue;
        };
        context.result = ContextResult::ACCEPTED;
        context.transfer_syntax = Some(syntax.clone());
        // The default: the requestor is SCU.
        (context.as_scu, context.as_scp) = (false, true);
        let own = known.map_or((Some(true), Some(true)), |known| (known.scu_role, known.scp_role));
        if let (Some(role), (Some(scu), Some(scp))) = (proposed_roles.get(name), own) {
            let (scu, scp) = (role.scu && scu, role.scp && scp);
            (context.as_scp, context.as_scu) = (scu, scp);
            if scu || scp {
                replies.insert(name, Role { sop_class: proposed.abstract_syntax.clone(), scu, scp });
            } else {
                context.result = ContextResult::USER_REJECTED;
                context.transfer_syntax = None;
            }
        }
        contexts.push(context);
    }
    (contexts, replies.into_values().collect())
}

/// What the acceptor's answer means for the requestor. Answers to contexts that were never proposed are ignored; a context without an
/// answer is rejected by the provider.
pub fn negotiate_as_requestor(rq: &AssociateRq, ac: &AssociateAc) -> Vec<NegotiatedContext> {
    let negotiate = |proposed: &ProposedContext| {
        let mut context = unanswered(proposed);
        let Some(reply) = ac.contexts.iter().find(|reply| reply.id == proposed.id) else {
            context.result = ContextResult::NO_REASON;
            return context;
        };
        context.result = reply.result;
        if reply.result != ContextResult::ACCEPTED {
            return context;
        }
        // An accepted context without its transfer syntax can only mean the only one there was to choose.
        let only = proposed.transfer_syntaxes.first().filter(|_| proposed.transfer_syntaxes.len() == 1);
        context.transfer_syntax = reply.transfer_syntax.clone().or_else(|| only.cloned());
        if context.transfer_syntax.is_none() {
            context.result = ContextResult::NO_REASON;
            return context;
        }
        let of = |roles: &[Role]| roles.iter().find(|role| role.sop_class == proposed.abstract_syntax).cloned();
        (context.as_scu, context.as_scp) = match (of(&rq.user.roles), of(&ac.user.roles)) {
            (Some(asked), Some(granted)) => (asked.scu && granted.scu, asked.scp && granted.scp),
            // Without an answer the default roles hold (PS3.7 D.3.3.4).
            _ => (true, false),
        };
        context
    };
    rq.contexts.iter().map(negotiate).collect()
}

fn unanswered(proposed: &ProposedContext) -> NegotiatedContext {
    NegotiatedContext {
        id: proposed.id,
        abstract_syntax: proposed.abstract_syntax.clone(),
        transfer_syntax: None,
        proposed_transfer_syntaxes: proposed.transfer_syntaxes.clone(),
        result: ContextResult::ABSTRACT_SYNTAX_NOT_SUPPORTED,
        as_scu: false,
        as_scp: false,
    }
}
