//! What an association wants its service to do, in order.

use std::collections::VecDeque;

use crate::message::Message;
use crate::trace::Trace;

/// Something that happened to an association and that somebody may want to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The transport connection is open.
    ConnectionOpen,
    /// An association was requested.
    Requested,
    /// It was accepted.
    Accepted,
    /// It was rejected.
    Rejected,
    /// It is established.
    Established,
    /// It was released.
    Released,
    /// It was aborted, by either side or by the loss of the transport.
    Aborted,
    /// The transport connection is closed.
    ConnectionClosed,
}

impl Notice {
    /// Its bit in [`Connection::watch_notices`](crate::Connection::watch_notices).
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A piece of work for the service.
#[derive(Debug)]
pub enum Job {
    /// Tell whom it concerns.
    Notice(Notice),
    /// Tell those who look on.
    Trace(Trace),
    /// Take the [`Bridge`](crate::tls::Bridge), see [`Connection::take_bridge`](crate::Connection::take_bridge).
    Secure,
    /// Answer the A-ASSOCIATE-RQ that was received.
    Negotiate,
    /// Perform a DIMSE request.
    Request(Box<Message>),
}

impl Job {
    /// Which bookkeeping its end belongs to.
    pub fn kind(&self) -> JobKind {
        match self {
            Self::Notice(_) | Self::Trace(_) | Self::Negotiate => JobKind::Serial,
            Self::Request(_) => JobKind::Request,
            Self::Secure => JobKind::Apart,
        }
    }
}

/// The bookkeeping that a job belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobKind {
    /// One at a time, and requests that came later wait for it.
    Serial,
    /// At most the window's number at a time.
    Request,
    /// None: it is never in the queue.
    Apart,
}

/// The queue of one association. Notices run in order, one at a time; requests run up to the performed operations window
/// at a time; a request waits for the notices before it, a notice never for a request.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    queue: VecDeque<Job>,
    serial_running: bool,
    requests_running: usize,
    /// Requests performed at the same time; 0 as 1.
    pub(crate) window: usize,
}

impl Jobs {
    pub(crate) fn push(&mut self, job: Job) {
        self.queue.push_back(job);
    }

    /// Takes out the next job that may run now, and counts it as running.
    pub(crate) fn start(&mut self) -> Option<Job> {
        if self.serial_running {
            return None;
        }
        let blocked = self.requests_running >= self.window.max(1);
        let at = self.queue.iter().position(|job| !blocked || job.kind() == JobKind::Serial)?;
        let job = self.queue.remove(at)?;
        match job.kind() {
            JobKind::Serial => self.serial_running = true,
            JobKind::Request => self.requests_running += 1,
            JobKind::Apart => {}
        }
        Some(job)
    }

    /// Takes out the next request that may run now, and counts it as running; notices stay for the caller that tells them.
    pub(crate) fn start_request_for_service(&mut self) -> Option<Job> {
        if self.serial_running || self.requests_running >= self.window.max(1) {
            return None;
        }
        self.start_request().map(Job::Request)
    }

    /// Takes out the next request for a caller that performs it itself, and counts it as running.
    pub(crate) fn start_request(&mut self) -> Option<Box<Message>> {
        let at = self.queue.iter().position(|job| job.kind() == JobKind::Request)?;
        match self.queue.remove(at)? {
            Job::Request(message) => {
                self.requests_running += 1;
                Some(message)
            }
            Job::Notice(_) | Job::Secure | Job::Trace(_) | Job::Negotiate => None,
        }
    }

    /// Takes out the next job where that is no request, and counts it as running.
    pub(crate) fn start_serial(&mut self) -> Option<Job> {
        if self.serial_running {
            return None;
        }
        let at = self.queue.iter().position(|job| job.kind() == JobKind::Serial)?;
        self.serial_running = true;
        self.queue.remove(at)
    }

    /// Whether everybody has been told of everything so far.
    pub(crate) fn is_told(&self) -> bool {
        !self.serial_running && !self.queue.iter().any(|job| job.kind() == JobKind::Serial)
    }

    pub(crate) fn done(&mut self, kind: JobKind) {
        match kind {
            JobKind::Serial => self.serial_running = false,
            JobKind::Request => self.requests_running = self.requests_running.saturating_sub(1),
            JobKind::Apart => {}
        }
    }

    /// Requests that wait can never be answered any more.
    pub(crate) fn drop_requests(&mut self) {
        self.queue.retain(|job| job.kind() == JobKind::Serial);
    }

    /// Whether a handler works on a request.
    pub(crate) fn is_performing(&self) -> bool {
        self.requests_running > 0
    }

    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty() && !self.serial_running && self.requests_running == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dimsefast_protocol::command;

    fn request(id: u16) -> Job {
        Job::Request(Box::new(Message::new(1, command::c_echo_rq(id, &"1.2.840.10008.1.1".into()), None)))
    }

    #[test]
    fn a_request_waits_for_the_notices_before_it_and_a_notice_never_for_a_request() {
        let mut jobs = Jobs::default();
        jobs.push(Job::Notice(Notice::Established));
        jobs.push(request(1));
        jobs.push(request(2));
        assert!(matches!(jobs.start(), Some(Job::Notice(Notice::Established))));
        assert!(jobs.start().is_none());
        jobs.done(JobKind::Serial);
        assert!(matches!(jobs.start(), Some(Job::Request(_))));
        assert!(jobs.start().is_none(), "the window is one");
        jobs.push(Job::Notice(Notice::Aborted));
        assert!(matches!(jobs.start(), Some(Job::Notice(Notice::Aborted))));
        jobs.done(JobKind::Serial);
        jobs.drop_requests();
        jobs.done(JobKind::Request);
        assert!(jobs.is_idle());
    }

    #[test]
    fn a_request_goes_to_the_service_past_the_notices_of_a_caller() {
        let mut jobs = Jobs::default();
        jobs.push(Job::Notice(Notice::Established));
        (1..=2).for_each(|id| jobs.push(request(id)));
        assert!(matches!(jobs.start_request_for_service(), Some(Job::Request(_))));
        assert!(jobs.start_request_for_service().is_none(), "the window is one");
        jobs.done(JobKind::Request);
        assert!(jobs.start_request_for_service().is_some());
        assert!(matches!(jobs.start(), Some(Job::Notice(Notice::Established))));
    }

    #[test]
    fn a_wider_window_runs_that_many_requests() {
        let mut jobs = Jobs { window: 2, ..Jobs::default() };
        (1..=3).for_each(|id| jobs.push(request(id)));
        assert!(jobs.start().is_some() && jobs.start().is_some() && jobs.start().is_none());
        jobs.done(JobKind::Request);
        assert!(jobs.start().is_some());
    }
}
