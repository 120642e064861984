//! Opening an association without a thread that waits for it: the runtime connects, and drives it from then on.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::connect::{Opened, Request, check_family};
use crate::connection::{Connection, Driver, Service};
use crate::observe::Observer;
use crate::process;
use crate::task;
use crate::transport::{self, RuntimeTcp};

/// A connection that is being made.
pub struct Connecting {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    made: Option<io::Result<Arc<Connection>>>,
    abandoned: bool,
    task: Option<AbortHandle>,
}

impl Connecting {
    /// Begins to connect, and then to send the A-ASSOCIATE-RQ. The observer is told when [`take`](Self::take) has the result, whose
    /// negotiation is awaited with [`Want::Negotiated`](crate::Want::Negotiated).
    ///
    /// # Errors
    /// Where there is no runtime to be had.
    pub fn begin(
        request: Request,
        service: Arc<dyn Service>,
        observer: Arc<dyn Observer>,
        token: u64,
    ) -> io::Result<Arc<Self>> {
        let connecting = Arc::new(Self { state: Mutex::default() });
        let runtime = process::current().runtime()?;
        let task = runtime.spawn({
            let connecting = connecting.clone();
            async move {
                let made = open(request, service).await;
                let mut state = connecting.locked();
                match (state.abandoned, made) {
                    (true, Ok(connection)) => {
                        drop(state);
                        connection.abort();
                    }
                    (true, Err(_)) => {}
                    (false, made) => {
                        state.made = Some(made);
                        drop(state);
                        observer.fulfilled(token);
                    }
                }
            }
        });
        connecting.locked().task = Some(task.abort_handle());
        Ok(connecting)
    }

    /// The connection, once; none while it is being made.
    ///
    /// # Errors
    /// What the name service or TCP says; `TimedOut` after the connect time-out.
    pub fn take(&self) -> Option<io::Result<Arc<Connection>>> {
        self.locked().made.take()
    }

    /// Nobody wants it any more.
    pub fn abandon(&self) {
        let mut state = self.locked();
        state.abandoned = true;
        let made = state.made.take();
        if let Some(task) = state.task.take() {
            task.abort();
        }
        drop(state);
        if let Some(Ok(connection)) = made {
            connection.abort();
        }
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn open(request: Request, service: Arc<dyn Service>) -> io::Result<Arc<Connection>> {
    // Files may be read.
    let tls = tokio::task::block_in_place(|| request.tls())?;
    let connecting = connect(&request.host, request.port, request.bind);
    let stream = match request.connect_timeout {
        Some(timeout) => tokio::time::timeout(timeout, connecting)
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer within the connection time-out"))??,
        None => connecting.await?,
    };
    let (peer, local) = (stream.peer_addr()?, stream.local_addr()?);
    transport::prepare(&stream, request.keepalive)?;
    let (stream, bridge) = request.security.bridge_on_runtime(stream)?;
    let stream = Arc::new(stream);
    let transport = Box::new(RuntimeTcp::new(stream.clone()));
    let driver = Driver::Runtime { notify: Notify::new() };
    let opened = Opened { peer, local, transport, tls, bridge, driver, socket: None };
    let connection = opened.begin(request, service)?;
    tokio::spawn(task::run(connection.clone(), stream));
    Ok(connection)
}

async fn connect(host: &str, port: u16, bind: Option<SocketAddr>) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in tokio::net::lookup_host((host, port)).await? {
        if let Err(error) = check_family(bind, address) {
            failure = error;
            continue;
        }
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        if let Some(bind) = bind {
            socket.set_reuseaddr(true)?;
            socket.bind(bind)?;
        }
        match socket.connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}
