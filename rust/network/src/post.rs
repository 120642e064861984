//! Sending a message without a thread that waits for it: put out at once where it fits into one batch, fed by a task on the runtime where it
//! does not.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::connection::Connection;
use crate::message::Payload;
use crate::observe::{Observer, Want};
use crate::process;
use crate::send::Outgoing;
use crate::source::Source;
use crate::waiting::WaitError;

/// The dataset of a message, kept for as long as it is being sent.
pub enum Payloads {
    /// Encoded bytes.
    Bytes(Vec<u8>),
    /// An object's file.
    Object(Arc<Source>),
}

impl Payloads {
    fn payload(&self) -> Payload<'_> {
        match self {
            Self::Bytes(bytes) => Payload::Bytes(bytes),
            Self::Object(source) => Payload::Object(source),
        }
    }
}

/// A message on its way out.
pub struct Post {
    state: Arc<Mutex<State>>,
}

enum State {
    Waiting(Box<Outgoing>),
    Feeding,
    Over(Result<(), WaitError>),
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Post {
    /// What was prepared.
    pub fn new(outgoing: Outgoing) -> Self {
        Self { state: Arc::new(Mutex::new(State::Waiting(Box::new(outgoing)))) }
    }

    /// Goes on with it: whether it is over. Where it is not, the observer is told when this is to be called again. `payload` is asked for
    /// the dataset where that is more than one batch; `timeout` is for a peer that takes nothing any more.
    ///
    /// # Errors
    /// [`WaitError`]; after a failure in the middle the association is aborted.
    pub fn advance(
        &self,
        connection: &Arc<Connection>,
        payload: impl FnOnce() -> Payloads,
        timeout: Option<Duration>,
        observer: &Arc<dyn Observer>,
        token: u64,
    ) -> Result<bool, WaitError> {
        let mut state = locked(&self.state);
        match std::mem::replace(&mut *state, State::Over(Ok(()))) {
            State::Over(result) => result.map(|()| true),
            State::Feeding => {
                *state = State::Feeding;
                Ok(false)
            }
            State::Waiting(mut outgoing) => {
                let begun = connection.with(|core, now| {
                    if core.is_over() {
                        return Err(WaitError::Ended);
                    }
                    if core.observe(Want::Room, observer.clone(), token) {
                        core.put_out(now, &mut outgoing.batch)?;
                        core.sending = !outgoing.done;
                        return Ok(true);
                    }
                    Ok(false)
                })?;
                if !begun {
                    *state = State::Waiting(outgoing);
                    return Ok(false);
                }
                if outgoing.done {
                    return Ok(true);
                }
                *state = State::Feeding;
                drop(state);
                self.feed(connection.clone(), *outgoing, payload(), timeout, observer.clone(), token)?;
                Ok(false)
            }
        }
    }

    fn feed(
        &self,
        connection: Arc<Connection>,
        outgoing: Outgoing,
        payload: Payloads,
        timeout: Option<Duration>,
        observer: Arc<dyn Observer>,
        token: u64,
    ) -> io::Result<()> {
        let state = self.state.clone();
        process::current().runtime()?.spawn(async move {
            let sent = feed(&connection, outgoing, &payload, timeout).await;
            connection.with(|core, _| core.sending = false);
            if sent.is_err() {
                // The peer has the beginning of a message that will never be whole.
                connection.abort();
            }
            *locked(&state) = State::Over(sent);
            observer.fulfilled(token);
        });
        Ok(())
    }
}

/// Feeds the rest of a message whose first batch has been put out.
async fn feed(
    connection: &Arc<Connection>,
    mut outgoing: Outgoing,
    payload: &Payloads,
    timeout: Option<Duration>,
) -> Result<(), WaitError> {
    while !outgoing.done {
        outgoing.batch.clear();
        // The file may be on a slow disk.
        tokio::task::block_in_place(|| outgoing.fill(payload.payload()))?;
        written(connection, timeout).await?;
        connection.with(|core, now| core.put_out(now, &mut outgoing.batch))?;
    }
    Ok(())
}

/// Waits until everything has left, for as long as it becomes less.
async fn written(connection: &Arc<Connection>, timeout: Option<Duration>) -> Result<(), WaitError> {
    struct Signal(Notify);
    impl Observer for Signal {
        fn fulfilled(&self, _: u64) {
            self.0.notify_one();
        }
    }
    let signal = Arc::new(Signal(Notify::new()));
    // Nobody else has this token: those of event loops are counted.
    let token = (Arc::as_ptr(&signal) as u64) | 1 << 63;
    if !connection.observe(Want::Written(0), signal.clone(), token) {
        let mut left = connection.unwritten();
        loop {
            let Some(timeout) = timeout else {
                signal.0.notified().await;
                break;
            };
            if tokio::time::timeout(timeout, signal.0.notified()).await.is_ok() {
                break;
            }
            let now = connection.unwritten();
            if now >= left {
                connection.forget_observer(token);
                return Err(WaitError::Timeout);
            }
            left = now;
        }
    }
    if connection.end().is_some() { Err(WaitError::Ended) } else { Ok(()) }
}
