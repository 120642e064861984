//! What comes of the presentation contexts and roles that were proposed (PS3.8 9.3.3.2, PS3.7 D.3.3.4).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::pdu::{AssociateAc, AssociateRq, ContextReply, ProposedContext, Role};
use crate::types::{ContextResult, Uid};

/// What an acceptor supports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupportedContext {
    /// What it is for.
    pub abstract_syntax: Uid,
    /// The transfer syntaxes that it takes; their order counts for [`SupportedContexts::in_own_order`].
    pub transfer_syntaxes: Vec<Uid>,
    /// Whether the requestor may be SCU; `None` for no negotiation of roles.
    pub scu_role: Option<bool>,
    /// Whether the requestor may be SCP; `None` for no negotiation of roles.
    pub scp_role: Option<bool>,
}

/// All that an acceptor supports, put in order once, for every request that comes. Of several for one abstract syntax the last counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SupportedContexts {
    contexts: Vec<SupportedContext>,
    strict_roles: bool,
    /// Whether the transfer syntaxes are in the order in which they are preferred, and not sorted.
    own_order: bool,
}

impl SupportedContexts {
    /// An acceptor that takes the first of its own transfer syntaxes that is proposed. One that is made by `From` takes the first proposed one
    /// that it supports.
    #[must_use]
    pub fn in_own_order(contexts: Vec<SupportedContext>) -> Self {
        Self { contexts: by_abstract_syntax(contexts), strict_roles: false, own_order: true }
    }

    /// Where the requestor may not be SCU, nothing is accepted without role selection, either: then it would be SCU by default
    /// (PS3.7 D.3.3.4).
    #[must_use]
    pub fn with_strict_roles(self) -> Self {
        Self { strict_roles: true, ..self }
    }

    /// Whether nothing is supported.
    pub fn is_empty(&self) -> bool {
        self.contexts.is_empty()
    }

    fn find(&self, abstract_syntax: &Uid) -> Option<&SupportedContext> {
        let behind = self.contexts.partition_point(|context| context.abstract_syntax <= *abstract_syntax);
        self.contexts[..behind].last().filter(|context| context.abstract_syntax == *abstract_syntax)
    }

    /// The transfer syntax for a proposed context that is supported.
    fn choose<'a>(&'a self, known: &'a SupportedContext, proposed: &'a ProposedContext) -> Option<&'a Uid> {
        if self.own_order {
            return known.transfer_syntaxes.iter().find(|syntax| proposed.transfer_syntaxes.contains(syntax));
        }
        proposed.transfer_syntaxes.iter().find(|syntax| known.transfer_syntaxes.binary_search(syntax).is_ok())
    }
}

/// Those for one abstract syntax stay in their order.
fn by_abstract_syntax(mut contexts: Vec<SupportedContext>) -> Vec<SupportedContext> {
    contexts.sort_by(|a, b| a.abstract_syntax.cmp(&b.abstract_syntax));
    contexts
}

impl From<Vec<SupportedContext>> for SupportedContexts {
    fn from(contexts: Vec<SupportedContext>) -> Self {
        let mut contexts = by_abstract_syntax(contexts);
        for context in &mut contexts {
            context.transfer_syntaxes.sort_unstable();
        }
        Self { contexts, strict_roles: false, own_order: false }
    }
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
    /// Whether it may be used.
    pub result: ContextResult,
    /// Whether this side may invoke operations as SCU.
    pub as_scu: bool,
    /// Whether this side may perform operations as SCP.
    pub as_scp: bool,
}

/// The acceptor's answer: a context for each one proposed, in their order, and the role selections to send back.
///
/// Whose order of transfer syntaxes counts is `supported`'s to say. With `unrestricted_storage` every abstract syntax that is not
/// supported is accepted as it is proposed, in the roles that are proposed.
pub fn negotiate_as_acceptor(
    rq: &AssociateRq,
    supported: &SupportedContexts,
    unrestricted_storage: bool,
) -> (Vec<NegotiatedContext>, Vec<Role>) {
    let proposed_roles: BTreeMap<&Uid, &Role> = rq.user.roles.iter().map(|role| (&role.sop_class, role)).collect();
    let mut replies: BTreeMap<&Uid, Role> = BTreeMap::new();
    let mut contexts = Vec::with_capacity(rq.contexts.len());
    for proposed in &rq.contexts {
        let name = &proposed.abstract_syntax;
        let known = supported.find(name);
        let mut context = unanswered(proposed);
        let Some(syntax) = (match known {
            Some(known) => {
                context.result = ContextResult::TRANSFER_SYNTAXES_NOT_SUPPORTED;
                supported.choose(known, proposed)
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
                replies.insert(name, Role { sop_class: name.clone(), scu, scp });
            } else {
                context.result = ContextResult::USER_REJECTED;
                context.transfer_syntax = None;
            }
        } else if supported.strict_roles && own.0 == Some(false) {
            context.result = ContextResult::USER_REJECTED;
            context.transfer_syntax = None;
            context.as_scp = false;
        }
        contexts.push(context);
    }
    (contexts, replies.into_values().collect())
}

/// What the acceptor's answer means for the requestor: a context for each one proposed, in their order. Answers to contexts that were never
/// proposed are ignored; a context without an answer is rejected by the provider.
pub fn negotiate_as_requestor(rq: &AssociateRq, ac: &AssociateAc) -> Vec<NegotiatedContext> {
    let mut replies: [Option<&ContextReply>; 256] = [None; 256];
    for reply in &ac.contexts {
        replies[usize::from(reply.id)].get_or_insert(reply);
    }
    let (asked, granted) = (first_roles(&rq.user.roles), first_roles(&ac.user.roles));
    let negotiate = |proposed: &ProposedContext| {
        let mut context = unanswered(proposed);
        let Some(reply) = replies[usize::from(proposed.id)] else {
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
        let name = &proposed.abstract_syntax;
        (context.as_scu, context.as_scp) = match (asked.get(name), granted.get(name)) {
            (Some(asked), Some(granted)) => (asked.scu && granted.scu, asked.scp && granted.scp),
            // Without an answer the default roles hold (PS3.7 D.3.3.4).
            _ => (true, false),
        };
        context
    };
    rq.contexts.iter().map(negotiate).collect()
}

/// By SOP class; of several the first.
fn first_roles(roles: &[Role]) -> BTreeMap<&Uid, &Role> {
    roles.iter().rev().map(|role| (&role.sop_class, role)).collect()
}

fn unanswered(proposed: &ProposedContext) -> NegotiatedContext {
    NegotiatedContext {
        id: proposed.id,
        abstract_syntax: proposed.abstract_syntax.clone(),
        transfer_syntax: None,
        result: ContextResult::ABSTRACT_SYNTAX_NOT_SUPPORTED,
        as_scu: false,
        as_scp: false,
    }
}
