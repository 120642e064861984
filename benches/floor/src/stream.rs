//! A blocking connection: one buffer that the socket is read into, and the PDUs in it, cut where the data ends.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use crate::pdu::{self, invalid};

/// Larger ones have been measured to be no faster: what is read should still be in the cache when the file is written.
const BUFFER: usize = 256 * 1024;

pub struct Stream {
    socket: TcpStream,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// What is still to come of the present P-DATA-TF, and of its present fragment.
    pdu_left: usize,
    fragment_left: usize,
    context: u8,
    control: u8,
}

/// The next piece of what the peer sends.
pub enum Incoming<'a> {
    /// Some of a message; `last` where it ends the command set or the dataset.
    Piece { context: u8, command: bool, last: bool, bytes: &'a [u8] },
    /// Any other PDU, whole.
    Pdu { kind: u8, body: &'a [u8] },
    /// The peer closed between two PDUs.
    End,
}

impl Stream {
    pub fn new(socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        let buffer = vec![0; BUFFER].into_boxed_slice();
        Ok(Self { socket, buffer, start: 0, end: 0, pdu_left: 0, fragment_left: 0, context: 0, control: 0 })
    }

    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    pub fn incoming(&mut self) -> io::Result<Incoming<'_>> {
        if self.pdu_left == 0 {
            if self.start == self.end && !self.fill()? {
                return Ok(Incoming::End);
            }
            let header = self.take(6)?;
            let kind = header[0];
            let length = u32::from_be_bytes([header[2], header[3], header[4], header[5]]) as usize;
            if kind != pdu::P_DATA_TF {
                return Ok(Incoming::Pdu { kind, body: self.take(length)? });
            }
            self.pdu_left = length;
        }
        if self.fragment_left == 0 {
            let header = self.take(6)?;
            let length = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
            (self.context, self.control) = (header[4], header[5]);
            if length < 2 || length + 4 > self.pdu_left {
                return Err(invalid("a fragment longer than its PDU"));
            }
            self.fragment_left = length - 2;
            self.pdu_left -= 6;
        }
        if self.start == self.end && self.fragment_left > 0 && !self.fill()? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let size = self.fragment_left.min(self.end - self.start);
        let bytes = &self.buffer[self.start..self.start + size];
        self.start += size;
        self.fragment_left -= size;
        self.pdu_left -= size;
        let (command, last) = pdu::control(self.control);
        Ok(Incoming::Piece { context: self.context, command, last: last && self.fragment_left == 0, bytes })
    }

    /// Exactly `size` bytes.
    fn take(&mut self, size: usize) -> io::Result<&[u8]> {
        if size > self.buffer.len() {
            return Err(invalid("a PDU of unreasonable length"));
        }
        while self.end - self.start < size {
            if self.start + size > self.buffer.len() {
                self.buffer.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            }
            if !self.fill()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let bytes = &self.buffer[self.start..self.start + size];
        self.start += size;
        Ok(bytes)
    }

    /// Reads what there is; false at the end of the stream.
    fn fill(&mut self) -> io::Result<bool> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        let size = loop {
            match self.socket.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => break done?,
            }
        };
        self.end += size;
        Ok(size > 0)
    }
}
