//! The task on the runtime that drives a connection.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::connection::{Connection, Driver};
use crate::drive::Drove;

/// Drives a connection until its transport is closed.
pub(crate) async fn run(connection: Arc<Connection>, stream: Arc<TcpStream>) {
    let Driver::Runtime { notify } = &connection.driver else { return };
    let timer = tokio::time::sleep(Duration::ZERO);
    tokio::pin!(timer);
    let mut scheduled: Option<tokio::time::Instant> = None;
    loop {
        let (drove, read, write, deadline, jobs, closed) = {
            let mut core = connection.lock();
            let drove = core.drive(connection.now(), true);
            // While a request is being performed no idle time runs: look again when it could be over at the earliest.
            let deadline = core
                .association
                .poll_timeout()
                .or_else(|| core.network_timeout.map(|timeout| connection.now() + timeout));
            let deadline = [deadline, core.paused_until].into_iter().flatten().min();
            let jobs = core.start_jobs();
            let (read, write, closed) = (core.wants_input(), core.has_output(), core.transport.is_none());
            connection.tell(core);
            (drove, read, write, deadline, jobs, closed)
        };
        connection.submit(jobs);
        if closed {
            break;
        }
        if drove == Drove::Yielded {
            tokio::task::yield_now().await;
            continue;
        }
        let deadline = deadline.map(|deadline| tokio::time::Instant::from_std(connection.epoch + deadline));
        if let Some(deadline) = deadline
            && scheduled.is_none_or(|scheduled| deadline < scheduled)
        {
            timer.as_mut().reset(deadline);
            scheduled = Some(deadline);
        }
        tokio::select! {
            _ = stream.readable(), if read => {}
            _ = stream.writable(), if write => {}
            () = notify.notified() => {}
            () = &mut timer, if scheduled.is_some() => scheduled = None,
        }
    }
    connection.leave_server();
}
