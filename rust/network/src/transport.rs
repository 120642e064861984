//! Non-blocking byte transports beneath an association.
//!
//! Whoever holds a connection's lock may read and write; nobody ever blocks in here. `WouldBlock` means "wait for the
//! descriptor (or the peer) first".

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::tls;
use crate::watch::WatchedSocket;

/// The two ends of a connection, and what is between.
pub(crate) struct Ends {
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) tls: Option<Arc<tls::Session>>,
}

/// A non-blocking, ordered, reliable stream of bytes.
pub trait Transport: Send {
    /// Reads what is there. `Ok(0)` is the end of the stream.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Reads at most `most` bytes, appended to `into`.
    fn append(&mut self, into: &mut Vec<u8>, most: usize) -> io::Result<usize> {
        let start = into.len();
        into.resize(start + most, 0);
        let read = self.read(&mut into[start..]);
        into.truncate(start + *read.as_ref().unwrap_or(&0));
        read
    }

    /// Writes what fits.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Writes what fits of several pieces, one behind the other.
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write(slices.iter().find(|slice| !slice.is_empty()).map_or(&[], |slice| slice))
    }

    /// Writes what a transport holds that keeps what it was given for a while. `WouldBlock` where something is left.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// About how many bytes it holds that are still to be written; 0 for none.
    fn unsent(&self) -> usize {
        0
    }

    /// Whether it holds bytes that were received already: they can be read before the descriptor is ready.
    fn has_input(&self) -> bool {
        false
    }

    /// Asks for immediate acknowledgement of what was read so far. The kernel forgets it, so it is asked for again around
    /// every read while a message is coming in: a peer with Nagle's algorithm on waits for the acknowledgement of the
    /// last small segment before it sends the next one.
    fn acknowledge_now(&self) {}

    /// Closes both directions; reads and writes fail from here on.
    fn close(&mut self);

    /// The descriptor to wait on, where there is one.
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn quick_ack(socket: impl AsFd) {
    // A refusal costs speed and nothing else.
    let _ = rustix::net::sockopt::set_tcp_quickack(socket, true);
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn quick_ack<S>(_socket: S) {}

/// Receives at most `most` bytes behind what `into` holds.
fn receive(socket: impl AsFd, into: &mut Vec<u8>, most: usize) -> io::Result<usize> {
    into.reserve(most);
    let (initialized, _) =
        rustix::net::recv(socket, &mut into.spare_capacity_mut()[..most], rustix::net::RecvFlags::empty())?.0;
    let length = initialized.len();
    // SAFETY: so many bytes behind the length were written, within the capacity.
    unsafe { into.set_len(into.len() + length) };
    Ok(length)
}

/// What every TCP connection of an association is set to: small messages leave at once, and where it is wanted the system asks a peer that has
/// been silent for so long whether it is still there.
pub(crate) fn prepare(socket: impl AsFd, keepalive: Option<Duration>) -> io::Result<()> {
    let socket = socket2::SockRef::from(&socket);
    socket.set_tcp_nodelay(true)?;
    if let Some(idle) = keepalive {
        let between = (idle / 4).max(Duration::from_secs(1));
        let asked = socket2::TcpKeepalive::new().with_time(idle.max(Duration::from_secs(1))).with_interval(between);
        socket.set_tcp_keepalive(&asked)?;
    }
    Ok(())
}

/// TCP driven by a blocking caller with poll(2).
pub(crate) struct CallerTcp(Arc<WatchedSocket>);

impl CallerTcp {
    /// Takes a connected, non-blocking socket.
    pub(crate) fn new(socket: Arc<WatchedSocket>) -> Self {
        Self(socket)
    }
}

impl Transport for CallerTcp {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.0.stream).read(buffer)
    }

    fn append(&mut self, into: &mut Vec<u8>, most: usize) -> io::Result<usize> {
        receive(&*self.0, into, most)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&self.0.stream).write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        (&self.0.stream).write_vectored(slices)
    }

    fn acknowledge_now(&self) {
        quick_ack(&*self.0);
    }

    fn close(&mut self) {
        self.0.leave();
        let _ = self.0.stream.shutdown(Shutdown::Both);
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }
}

/// TCP driven by the runtime; the task that drives it holds the other reference and waits for readiness.
pub(crate) struct RuntimeTcp(Arc<tokio::net::TcpStream>);

impl RuntimeTcp {
    /// Takes a stream registered with the runtime.
    pub(crate) fn new(stream: Arc<tokio::net::TcpStream>) -> Self {
        Self(stream)
    }
}

impl Transport for RuntimeTcp {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }

    fn append(&mut self, into: &mut Vec<u8>, most: usize) -> io::Result<usize> {
        // Through the runtime, which must learn where nothing more was there.
        self.0.try_io(tokio::io::Interest::READABLE, || receive(&*self.0, into, most))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn acknowledge_now(&self) {
        quick_ack(&*self.0);
    }

    fn close(&mut self) {
        let _ = socket2::SockRef::from(&*self.0).shutdown(Shutdown::Both);
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }
}

/// One direction of a [`MemoryTransport`].
#[derive(Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    closed: bool,
}

/// Two byte queues: the transport of tests, and of anything that moves the bytes itself.
pub struct MemoryTransport {
    incoming: Arc<Mutex<Pipe>>,
    outgoing: Arc<Mutex<Pipe>>,
    capacity: usize,
}

impl MemoryTransport {
    /// Two joined ends, each direction holding at most `capacity` bytes.
    pub fn pair(capacity: usize) -> (Self, Self) {
        let (a, b) = (Arc::new(Mutex::new(Pipe::default())), Arc::new(Mutex::new(Pipe::default())));
        (Self { incoming: a.clone(), outgoing: b.clone(), capacity }, Self { incoming: b, outgoing: a, capacity })
    }
}

fn locked(pipe: &Mutex<Pipe>) -> std::sync::MutexGuard<'_, Pipe> {
    pipe.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Transport for MemoryTransport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut pipe = locked(&self.incoming);
        if pipe.bytes.is_empty() && !pipe.closed {
            return Err(ErrorKind::WouldBlock.into());
        }
        pipe.bytes.read(buffer)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut pipe = locked(&self.outgoing);
        if pipe.closed {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let room = self.capacity - pipe.bytes.len();
        if room == 0 && !bytes.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let length = bytes.len().min(room);
        pipe.bytes.extend(&bytes[..length]);
        Ok(length)
    }

    fn close(&mut self) {
        locked(&self.incoming).closed = true;
        locked(&self.outgoing).closed = true;
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_pair_carries_bytes_and_back_pressure() {
        let (mut a, mut b) = MemoryTransport::pair(4);
        let mut buffer = [0; 8];
        assert_eq!(b.read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(a.write(b"abcdef").unwrap(), 4);
        assert_eq!(a.write(b"ef").unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(b.read(&mut buffer).unwrap(), 4);
        assert_eq!(&buffer[..4], b"abcd");
        a.close();
        assert_eq!(b.read(&mut buffer).unwrap(), 0);
        assert_eq!(b.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    }
}
