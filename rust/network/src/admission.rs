//! Admitting associations: what an acceptor offers, who gets a seat, and the answer to an A-ASSOCIATE-RQ.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dimsefast_protocol::association::NetworkTimeoutResponse;
use dimsefast_protocol::negotiation::{NegotiatedContext, SupportedContexts, negotiate_as_acceptor};
use dimsefast_protocol::pdu::{
    AssociateAc, AssociateRj, AssociateRq, AsyncOps, ContextReply, Role, SopExtended, UserInformation,
};
use dimsefast_protocol::types::{AeTitle, RejectReason, RejectResult, RejectSource, Uid};

use crate::connect::Security;
use crate::connection::Connection;
use crate::core::Core;
use crate::jobs::Notice;
use crate::listen::Server;
use crate::proxy::Proxies;
use crate::quota::{Meters, Party, Quota, Share};
use crate::sink::StorePlan;

/// What an acceptor offers and asks. Can be changed while the server runs.
#[derive(Clone)]
pub struct AcceptorConfig {
    /// Its own AE titles.
    pub ae_titles: Vec<AeTitle>,
    /// Whether the called AE title must be one of them.
    pub require_called: bool,
    /// Calling AE titles that are let in; empty for all.
    pub require_calling: Vec<AeTitle>,
    /// Supported presentation contexts.
    pub contexts: SupportedContexts,
    /// In their place, by calling AE title without padding. Who is offered nothing is rejected.
    pub contexts_by_calling: HashMap<Vec<u8>, Arc<SupportedContexts>>,
    /// Accept any abstract syntax as a storage class.
    pub unrestricted_storage: bool,
    /// Associations at the same time.
    pub maximum_associations: usize,
    /// Associations at the same time of one calling AE title; `None` for no limit.
    pub maximum_per_calling: Option<usize>,
    /// What one calling AE title may use.
    pub quota_per_calling: Option<Quota>,
    /// What one address may use.
    pub quota_per_address: Option<Quota>,
    /// Maximum length received, in bytes; 0 for no limit.
    pub max_pdu_length: u32,
    /// Time-outs.
    pub acse_timeout: Option<Duration>,
    /// Idle time-out.
    pub network_timeout: Option<Duration>,
    /// What is done when it has passed.
    pub network_timeout_response: NetworkTimeoutResponse,
    /// (invoked, performed) operations; (1, 1) is not negotiated.
    pub async_ops: (u16, u16),
    /// Implementation Class UID.
    pub implementation_uid: Uid,
    /// Implementation version name.
    pub implementation_version: Option<Vec<u8>>,
    /// Where received objects go.
    pub store: StorePlan,
    /// What is beneath the associations.
    pub security: Security,
    /// Who must begin with a header of the PROXY protocol; `None` for nobody.
    pub proxies: Option<Proxies>,
    /// After how much silence the system asks whether the peer is still there; `None` for never.
    pub keepalive: Option<Duration>,
    /// See [`Connection::watch_notices`].
    pub bound: u32,
}

impl AcceptorConfig {
    /// The presentation contexts for the AE that calls.
    fn offered_to(&self, calling: &AeTitle) -> &SupportedContexts {
        self.contexts_by_calling.get(calling.trimmed()).map_or(&self.contexts, |contexts| &**contexts)
    }
}

/// What the service adds to an A-ASSOCIATE-AC.
#[derive(Debug, Clone, Default)]
pub struct NegotiationReply {
    /// Asynchronous operations window (invoked, performed).
    pub async_ops: Option<(u16, u16)>,
    /// Application information by SOP class.
    pub sop_extended: Vec<(Uid, Vec<u8>)>,
    /// Server response to the user identity.
    pub user_identity: Option<Vec<u8>>,
}

/// The acceptor's side of a connection that is not yet, or was, admitted.
pub(crate) struct Admission {
    server: Arc<Server>,
    /// The calling AE title that has a seat.
    calling: Option<Vec<u8>>,
    /// Where the peer is.
    address: IpAddr,
    /// The quotas that it has a part in.
    pub(crate) shares: Vec<Share>,
}

impl Admission {
    /// Of a connection that has asked for nothing yet.
    pub(crate) fn new(server: Arc<Server>, address: IpAddr) -> Self {
        Self { server, calling: None, address, shares: Vec::new() }
    }

    /// Takes a seat, and the parts in the quotas; false where there is no room. Nothing where it has one.
    fn take_seat(&mut self, config: &AcceptorConfig, request: &AssociateRq) -> bool {
        if self.calling.is_some() {
            return true;
        }
        let calling = request.calling.trimmed().to_vec();
        let mut seats = self.server.seats();
        let Some(shares) = seats.share(config, self.address, &calling) else { return false };
        if !seats.take(config, &calling) {
            return false;
        }
        drop(seats);
        self.shares = shares;
        self.calling = Some(calling);
        true
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if let Some(calling) = self.calling.take() {
            self.server.seats().leave(&calling);
        }
    }
}

#[derive(Default)]
pub(crate) struct Seats {
    taken: usize,
    by_calling: HashMap<Vec<u8>, usize>,
    meters: Meters,
}

impl Seats {
    fn take(&mut self, config: &AcceptorConfig, calling: &[u8]) -> bool {
        let own = self.by_calling.get(calling).copied().unwrap_or(0);
        if self.taken >= config.maximum_associations || config.maximum_per_calling.is_some_and(|limit| own >= limit) {
            return false;
        }
        self.taken += 1;
        *self.by_calling.entry(calling.to_vec()).or_default() += 1;
        true
    }

    /// The parts in the quotas that there are; `None` where one of them has no room.
    fn share(&mut self, config: &AcceptorConfig, address: IpAddr, calling: &[u8]) -> Option<Vec<Share>> {
        let parties = [
            config.quota_per_address.map(|quota| (Party::Address(address), quota)),
            config.quota_per_calling.map(|quota| (Party::Calling(calling.to_vec()), quota)),
        ];
        let now = Instant::now();
        parties.into_iter().flatten().map(|(party, quota)| self.meters.share(now, party, quota)).collect()
    }

    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    fn leave(&mut self, calling: &[u8]) {
        self.taken = self.taken.saturating_sub(1);
        if let Some(own) = self.by_calling.get_mut(calling) {
            *own -= 1;
            if *own == 0 {
                self.by_calling.remove(calling);
            }
        }
    }
}

impl Connection {
    /// Answers an A-ASSOCIATE-RQ that was handed to the service.
    pub fn accept(&self, reply: NegotiationReply) {
        self.with(|core, now| core.answer_request(now, Some(reply)));
    }

    /// Refuses it.
    pub fn reject(&self, reject: AssociateRj) {
        self.with(|core, now| core.refuse(now, reject));
    }
}

impl Core {
    /// Accepts or rejects the A-ASSOCIATE-RQ by the server's configuration and `reply`.
    pub(crate) fn answer_request(&mut self, now: Duration, reply: Option<NegotiationReply>) {
        let Some(request) = self.association.request().cloned() else { return };
        let Some(admission) = &mut self.admission else { return };
        let config = admission.server.config();
        if let Some(reject) = refusal(&config, &request) {
            return self.refuse(now, reject);
        }
        if !admission.take_seat(&config, &request) {
            // PS3.8 9.3.4: the local limit is exceeded.
            return self.refuse(now, reject(RejectResult::TRANSIENT, RejectSource::PRESENTATION, 2));
        }
        let offered = config.offered_to(&request.calling);
        let (contexts, roles) = negotiate_as_acceptor(&request, offered, config.unrestricted_storage);
        let reply = reply.unwrap_or_default();
        let window = reply.async_ops.or_else(|| granted_window(config.async_ops, request.user.async_ops));
        self.jobs.window = window.map_or(1, |(performed, _)| if performed == 0 { 16 } else { usize::from(performed) });
        let accept = accept(&config, &request, &contexts, roles, window, reply);
        if self.association.accept(now, accept, contexts).is_ok() {
            self.notify(Notice::Accepted);
            self.establish();
        }
    }

    pub(crate) fn refuse(&mut self, now: Duration, reject: AssociateRj) {
        // It fails only where the peer has gone already.
        let _ = self.association.reject(now, reject);
    }
}

/// The asynchronous operations window (PS3.7 D.3.3.3) that the acceptor answers, as the requestor sees it: each side's
/// limit for the other. `None` for the default of (1, 1), which is not answered, and where none was proposed.
fn granted_window((invoked, performed): (u16, u16), proposed: Option<AsyncOps>) -> Option<(u16, u16)> {
    let smaller = |own: u16, theirs: u16| if own == 0 || theirs == 0 { own.max(theirs) } else { own.min(theirs) };
    let proposed = proposed.filter(|_| (invoked, performed) != (1, 1))?;
    Some((smaller(performed, proposed.invoked), smaller(invoked, proposed.performed)))
}

fn accept(
    config: &AcceptorConfig,
    request: &AssociateRq,
    contexts: &[NegotiatedContext],
    roles: Vec<Role>,
    window: Option<(u16, u16)>,
    reply: NegotiationReply,
) -> AssociateAc {
    let answers = contexts.iter().zip(&request.contexts).map(|(context, proposed)| ContextReply {
        id: context.id,
        result: context.result,
        // Not significant where it is rejected, but there has to be one (PS3.8 9.3.3.2).
        transfer_syntax: context.transfer_syntax.clone().or_else(|| proposed.transfer_syntaxes.first().cloned()),
    });
    let extended = reply.sop_extended.into_iter().map(|(sop_class, info)| SopExtended { sop_class, info });
    AssociateAc {
        protocol_version: 1,
        called: request.called.clone(),
        calling: request.calling.clone(),
        application_context: request.application_context.clone(),
        contexts: answers.collect(),
        user: UserInformation {
            max_length: Some(config.max_pdu_length),
            implementation_class_uid: Some(config.implementation_uid.clone()),
            implementation_version: config.implementation_version.clone().map(Into::into),
            async_ops: window.map(|(invoked, performed)| AsyncOps { invoked, performed }),
            roles,
            sop_extended: extended.collect(),
            user_identity_response: reply.user_identity,
            ..UserInformation::default()
        },
    }
}

fn reject(result: RejectResult, source: RejectSource, reason: u8) -> AssociateRj {
    AssociateRj { result, source, reason: RejectReason(reason) }
}

/// Why a request cannot be admitted, whatever room there is (PS3.8 9.3.4).
fn refusal(config: &AcceptorConfig, request: &AssociateRq) -> Option<AssociateRj> {
    if request.protocol_version & 1 == 0 {
        return Some(reject(RejectResult::PERMANENT, RejectSource::ACSE, 2));
    }
    if request.application_context.trimmed() != b"1.2.840.10008.3.1.1.1" {
        return Some(reject(RejectResult::PERMANENT, RejectSource::USER, 2));
    }
    let wanted = &config.require_calling;
    if !wanted.is_empty() && !wanted.iter().any(|title| title.matches(&request.calling)) {
        return Some(reject(RejectResult::PERMANENT, RejectSource::USER, 3));
    }
    if config.offered_to(&request.calling).is_empty() && !config.unrestricted_storage {
        return Some(reject(RejectResult::PERMANENT, RejectSource::USER, 3));
    }
    if config.require_called && !config.ae_titles.iter().any(|title| title.matches(&request.called)) {
        return Some(reject(RejectResult::PERMANENT, RejectSource::USER, 7));
    }
    None
}
