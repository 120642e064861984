//! What a server has done so far, counted as it happens: a few relaxed additions for each message, so that it is always on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use dimsefast_protocol::command::{CommandField, Status};

use crate::connection::Connection;
use crate::core::Core;
use crate::ending::End;
use crate::message::Message;

/// The operations that are told apart (PS3.7 Annex E), as requests.
const OPERATIONS: [(CommandField, &str); 11] = [
    (CommandField::C_ECHO_RQ, "C-ECHO"),
    (CommandField::C_STORE_RQ, "C-STORE"),
    (CommandField::C_FIND_RQ, "C-FIND"),
    (CommandField::C_GET_RQ, "C-GET"),
    (CommandField::C_MOVE_RQ, "C-MOVE"),
    (CommandField::N_EVENT_REPORT_RQ, "N-EVENT-REPORT"),
    (CommandField::N_GET_RQ, "N-GET"),
    (CommandField::N_SET_RQ, "N-SET"),
    (CommandField::N_ACTION_RQ, "N-ACTION"),
    (CommandField::N_CREATE_RQ, "N-CREATE"),
    (CommandField::N_DELETE_RQ, "N-DELETE"),
];

/// Statuses of one operation that are told apart; peers cannot make it more, handlers should not.
const STATUSES: usize = 256;

/// A counter.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of one server.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    pub(crate) connections: Count,
    accepted: Count,
    rejected: Count,
    released: Count,
    aborted: Count,
    operations: [Operation; OPERATIONS.len()],
}

#[derive(Debug, Default)]
struct Operation {
    succeeded: Count,
    unanswered: Count,
    bytes: Count,
    nanoseconds: Count,
    pending: Count,
    sub_operations: Count,
    /// Final statuses other than success.
    others: Mutex<BTreeMap<u16, u64>>,
}

/// What one request has come to by now.
#[derive(Debug)]
pub(crate) struct Tally {
    begun: Option<Instant>,
    /// Its final status; [`NONE`] before that.
    status: AtomicU32,
    pending: Count,
    /// Bytes of the datasets of its responses.
    sent: Count,
}

const NONE: u32 = u32::MAX;

impl Default for Tally {
    fn default() -> Self {
        Self { begun: None, status: AtomicU32::new(NONE), pending: Count::default(), sent: Count::default() }
    }
}

impl Tally {
    /// The clock of a request begins to run.
    pub(crate) fn begin(&mut self) {
        self.begun = Some(Instant::now());
    }

    /// The same request, with nothing answered so far.
    pub(crate) fn begun_with(other: &Self) -> Self {
        Self { begun: other.begun, ..Self::default() }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        let status = self.status.load(Ordering::Relaxed);
        Outcome {
            status: (status != NONE).then_some(Status(status as u16)),
            pending: self.pending.value(),
            time: self.begun.map_or(Duration::ZERO, |begun| begun.elapsed()),
        }
    }

    pub(crate) fn answered(&self, status: Status, length: u64) {
        self.sent.add(length);
        if status.is_pending() {
            self.pending.add(1);
        } else {
            self.status.store(u32::from(status.0), Ordering::Relaxed);
        }
    }
}

/// What one accepted association has been answered where it was read or by the service, for a line in a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AssociationCounts {
    /// C-ECHO requests.
    pub echoes: u64,
    /// Objects that were stored, with success or a warning.
    pub stored: u64,
    /// Objects that were not.
    pub not_stored: u64,
    /// Bytes of the datasets that were stored.
    pub bytes: u64,
}

impl AssociationCounts {
    fn count(&mut self, message: &Message) {
        let status = message.tally.status.load(Ordering::Relaxed);
        match message.command.command_field() {
            CommandField::C_ECHO_RQ => self.echoes += 1,
            // PS3.7 Annex C: success, and the warnings of C-STORE.
            CommandField::C_STORE_RQ if status == 0 || status & 0xF000 == 0xB000 => {
                self.stored += 1;
                self.bytes += message.data.as_ref().map_or(0, crate::sink::Received::len);
            }
            CommandField::C_STORE_RQ => self.not_stored += 1,
            _ => {}
        }
    }
}

/// How a request was answered.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// The final status; `None` where there was none.
    pub status: Option<Status>,
    /// Pending responses.
    pub pending: u64,
    /// Since its command set came.
    pub time: Duration,
}

/// What a server has done, at one moment.
#[derive(Debug, Clone, Default)]
pub struct ServerStatistics {
    /// Transport connections that were accepted.
    pub connections: u64,
    /// Associations that have a seat now.
    pub open: u64,
    /// Associations that were accepted.
    pub accepted: u64,
    /// Associations that were rejected.
    pub rejected: u64,
    /// Associations that ended by A-RELEASE.
    pub released: u64,
    /// Associations that ended in any other way.
    pub aborted: u64,
    /// By operation, those only that there were.
    pub operations: Vec<OperationStatistics>,
}

/// The requests of one operation.
#[derive(Debug, Clone)]
pub struct OperationStatistics {
    /// Its name in PS3.7.
    pub name: &'static str,
    /// Bytes of datasets: received, sent in responses, sent in sub-operations.
    pub bytes: u64,
    /// From the command set of the request to its final response.
    pub time: Duration,
    /// Pending responses: of a C-FIND its matches.
    pub pending: u64,
    /// Objects that were sent for it.
    pub sub_operations: u64,
    /// Requests whose association was over before they could be answered.
    pub unanswered: u64,
    /// Requests by final status.
    pub statuses: BTreeMap<u16, u64>,
}

impl Statistics {
    fn operation(&self, field: CommandField) -> Option<&Operation> {
        let at = OPERATIONS.iter().position(|(known, _)| *known == field)?;
        self.operations.get(at)
    }

    /// A request is over.
    fn count(&self, message: &Message) {
        let (Some(operation), tally) = (self.operation(message.command.command_field()), &message.tally) else {
            return;
        };
        let received = message.data.as_ref().map_or(0, crate::sink::Received::len);
        operation.bytes.add(received + tally.sent.value());
        if let Some(begun) = tally.begun {
            operation.nanoseconds.add(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
        }
        operation.pending.add(tally.pending.value());
        match tally.status.load(Ordering::Relaxed) {
            NONE => operation.unanswered.add(1),
            0 => operation.succeeded.add(1),
            status => {
                let mut others = operation.others.lock().unwrap_or_else(PoisonError::into_inner);
                let status = status as u16;
                if others.len() < STATUSES || others.contains_key(&status) {
                    *others.entry(status).or_default() += 1;
                }
            }
        }
    }

    /// What was counted by now, without the associations that are open.
    pub(crate) fn snapshot(&self) -> ServerStatistics {
        let operations = OPERATIONS.iter().zip(&self.operations).filter_map(|((_, name), operation)| {
            let mut statuses = operation.others.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let succeeded = operation.succeeded.value();
            if succeeded > 0 {
                statuses.insert(0, succeeded);
            }
            let unanswered = operation.unanswered.value();
            (unanswered > 0 || !statuses.is_empty()).then(|| OperationStatistics {
                name,
                bytes: operation.bytes.value(),
                time: Duration::from_nanos(operation.nanoseconds.value()),
                pending: operation.pending.value(),
                sub_operations: operation.sub_operations.value(),
                unanswered,
                statuses,
            })
        });
        ServerStatistics {
            connections: self.connections.value(),
            open: 0,
            accepted: self.accepted.value(),
            rejected: self.rejected.value(),
            released: self.released.value(),
            aborted: self.aborted.value(),
            operations: operations.collect(),
        }
    }
}

impl Core {
    /// An association was established.
    pub(crate) fn count_accepted(&self) {
        if let Some(statistics) = &self.statistics {
            statistics.accepted.add(1);
        }
    }

    /// An association is over. Connections that never asked for one are none.
    pub(crate) fn count_end(&self, end: &End) {
        if let Some(statistics) = self.statistics.as_ref().filter(|_| self.association.request().is_some()) {
            let ended = match end {
                End::Rejected(_) => &statistics.rejected,
                End::Released => &statistics.released,
                End::Aborted { .. } => &statistics.aborted,
            };
            ended.add(1);
        }
    }

    /// A request is over.
    pub(crate) fn count_request(&mut self, message: &Message) {
        if let Some(statistics) = &self.statistics {
            statistics.count(message);
            self.counts.count(message);
        }
    }
}

impl Connection {
    /// What this association has been answered by now.
    pub fn counts(&self) -> AssociationCounts {
        self.lock().counts
    }

    /// An object of `length` bytes was sent for a request (`field`) of this association.
    pub fn count_sub_operation(&self, field: CommandField, length: u64) {
        let core = self.lock();
        if let Some(operation) = core.statistics.as_ref().and_then(|statistics| statistics.operation(field)) {
            operation.sub_operations.add(1);
            operation.bytes.add(length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Received;
    use dimsefast_protocol::command;

    fn echo() -> Message {
        Message::new(1, command::c_echo_rq(1, &"1.2.840.10008.1.1".into()), None)
    }

    #[test]
    fn requests_are_counted_by_operation_and_final_status() {
        let statistics = Statistics::default();
        for (status, length) in [(0xFF00, 10), (0xFF00, 20), (0xA700, 0)] {
            let mut message = Message::new(1, command::c_echo_rq(1, &"1.2".into()), Some(Received::Passed(100)));
            message.tally.begin();
            message.tally.answered(Status(status), length);
            statistics.count(&message);
        }
        let message = echo();
        message.tally.answered(Status::SUCCESS, 0);
        statistics.count(&message);
        let found = statistics.snapshot();
        assert_eq!(found.operations.len(), 1);
        let echo = &found.operations[0];
        assert_eq!((echo.name, echo.bytes, echo.pending, echo.unanswered), ("C-ECHO", 330, 2, 2));
        assert_eq!(echo.statuses, BTreeMap::from([(0, 1), (0xA700, 1)]));
        assert!(echo.time > Duration::ZERO);
    }

    #[test]
    fn statuses_without_end_take_no_memory_without_end() {
        let statistics = Statistics::default();
        for status in 1..2000 {
            let message = echo();
            message.tally.answered(Status(status), 0);
            statistics.count(&message);
        }
        assert_eq!(statistics.snapshot().operations[0].statuses.len(), STATUSES);
    }
}
