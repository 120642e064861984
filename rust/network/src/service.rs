//! What a connection has its service do, and what the service says of it.

use std::sync::Arc;

use crate::connection::Connection;
use crate::core::Core;
use crate::jobs::{Job, JobKind};
use crate::sink::Answer;
use crate::trace::TRACE;

impl Connection {
    /// Sets which notices and requests go to the service: bits of [`Notice::bit`](crate::Notice::bit), [`BOUND_ECHO`](crate::BOUND_ECHO),
    /// [`BOUND_STORE`](crate::BOUND_STORE), [`BOUND_NEGOTIATION`](crate::BOUND_NEGOTIATION), and the TRACE ones.
    pub fn watch_notices(&self, bits: u32) {
        let mut core = self.lock();
        let changes = (core.bound ^ bits) & TRACE != 0;
        core.bound = bits;
        if changes {
            core.set_traced();
        }
    }

    /// A job that was submitted is finished; the next one that was waiting for it is handed to the caller.
    pub fn job_done(self: &Arc<Self>, kind: JobKind) -> Option<Job> {
        let (next, more) = self.finish(kind, |core| (core.jobs.start(), core.start_jobs()));
        self.submit(more);
        if next.is_none() {
            self.leave_server();
        }
        next
    }

    /// A job that a caller performed on its own thread is finished; the caller takes the next one when it wants.
    pub fn finish_job(&self, kind: JobKind) {
        self.finish(kind, |_| ());
    }

    /// A job is finished: `then` takes out what had to wait for it. Reading goes on where there were too many.
    fn finish<R>(&self, kind: JobKind, then: impl FnOnce(&mut Core) -> R) -> R {
        let (result, goes_on) = self.with(|core, now| {
            let stopped = !core.wants_input();
            core.jobs.done(kind);
            core.mark_busy(now);
            let result = then(core);
            let goes_on = stopped && core.wants_input();
            if goes_on && core.driving.is_none() {
                self.rest(core);
            }
            (result, goes_on)
        });
        if goes_on {
            self.wake_driver();
        }
        result
    }

    /// The service had its turn with the message that is coming in. Nothing where the association is over.
    pub fn proceed(&self, answer: &Answer) {
        self.with(|core, now| {
            core.proceed(now, answer);
            if core.driving.is_none() {
                self.rest(core);
            }
        });
        self.wake_driver();
    }

    /// Takes a finished connection out of its server's list.
    pub(crate) fn leave_server(&self) {
        if let Some(server) = self.server.upgrade()
            && self.is_finished()
        {
            server.forget(self);
        }
    }

    /// Takes the jobs that may run now, for a caller that performs them on its own thread.
    pub fn take_job(&self) -> Option<Job> {
        self.lock().jobs.start()
    }

    /// Whether it is over and everybody has been told.
    pub fn is_finished(&self) -> bool {
        let core = self.lock();
        core.transport.is_none() && core.jobs.is_idle()
    }

    pub(crate) fn submit(self: &Arc<Self>, jobs: Vec<Job>) {
        for job in jobs {
            self.service.submit(self.clone(), job);
        }
    }
}
