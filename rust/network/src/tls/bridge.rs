//! Handing a connection to somebody who encrypts apart from the core.

use std::io;
use std::net::TcpStream;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use crate::connection::Connection;

/// What the service gets: it moves bytes between the two until either ends, and then closes both.
#[derive(Debug)]
pub struct Bridge {
    /// The connection with the peer.
    pub peer: OwnedFd,
    /// The association's other end, in plain DICOM.
    pub association: OwnedFd,
}

/// Puts a bridge between a connected socket and an association: the association's stream, and what the service gets.
pub(crate) fn pair(peer: impl Into<OwnedFd>) -> io::Result<(TcpStream, Bridge)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (near, association) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // A stream socket of another family: everything but its addresses and TCP's own options works as on TCP.
    Ok((TcpStream::from(near), Bridge { peer: peer.into(), association }))
}

impl Connection {
    /// The bridge that is to encrypt this connection, once.
    pub fn take_bridge(&self) -> Option<Bridge> {
        self.lock().bridge.take()
    }
}
