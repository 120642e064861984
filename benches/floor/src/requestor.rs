//! The requestor: one association, one request at a time.

use std::fs::File;
use std::io::{self, IoSliceMut, Read};
use std::net::TcpStream;
use std::path::Path;

use crate::command::{self, C_ECHO_RQ, C_STORE_RQ, RESPONSE};
use crate::file::Source;
use crate::pdu::{self, CT_IMAGE_STORAGE, Context, DATA_HEADER, EXPLICIT, VERIFICATION, invalid};
use crate::stream::{Incoming, Stream};

/// What we send at most in one P-DATA-TF, whatever the peer takes.
const LARGEST: usize = 262_144;
/// About so much is read from a file and written to the socket at once.
const BATCH: usize = 524_288;

pub struct Association {
    stream: Stream,
    /// Bytes of a fragment.
    fragment: usize,
    contexts: Vec<Context>,
    last_id: u16,
    batch: Vec<u8>,
}

/// Verification once, then CT Image Storage.
pub fn contexts(number: usize) -> Vec<Context> {
    let context = |at: usize| Context {
        id: (2 * at + 1) as u8,
        abstract_syntax: if at == 0 { VERIFICATION } else { CT_IMAGE_STORAGE }.to_owned(),
        transfer_syntaxes: vec![EXPLICIT.to_owned()],
    };
    (0..number).map(context).collect()
}

impl Association {
    /// `proposed` is from [`contexts`].
    pub fn request(address: (&str, u16), proposed: &[Context]) -> io::Result<Self> {
        let mut stream = Stream::new(TcpStream::connect(address)?)?;
        stream.write(&pdu::associate_rq(proposed))?;
        let Incoming::Pdu { kind: pdu::ASSOCIATE_AC, body } = stream.incoming()? else {
            return Err(invalid("the association was not accepted"));
        };
        let mut reply = pdu::read_associate(body)?;
        for context in &mut reply.contexts {
            let asked = proposed.get(usize::from(context.id) / 2).ok_or_else(|| invalid("a context not proposed"))?;
            context.abstract_syntax.clone_from(&asked.abstract_syntax);
        }
        // PS3.8 D.1: 0 is no limit; the length counts the fragment's own header of six bytes.
        let maximum = if reply.maximum == 0 { LARGEST } else { reply.maximum.min(LARGEST) };
        let fragment =
            maximum.checked_sub(6).filter(|size| *size >= 2).ok_or_else(|| invalid("too small a maximum"))?;
        Ok(Self { stream, fragment: fragment & !1, contexts: reply.contexts, last_id: 0, batch: Vec::new() })
    }

    fn next_id(&mut self) -> u16 {
        self.last_id = self.last_id.wrapping_add(1);
        self.last_id
    }

    fn context(&self, class: &str, syntax: Option<&str>) -> io::Result<u8> {
        let fits = |context: &&Context| {
            context.abstract_syntax == class && syntax.is_none_or(|syntax| context.transfer_syntaxes[0] == syntax)
        };
        self.contexts.iter().find(fits).map(|context| context.id).ok_or_else(|| invalid("no accepted context"))
    }

    /// The command's PDU alone: a command set is far shorter than any maximum in use.
    fn command(&mut self, context: u8, command: &[u8]) {
        self.batch.clear();
        self.batch.extend_from_slice(&pdu::data_header(context, true, true, command.len()));
        self.batch.extend_from_slice(command);
    }

    pub fn echo(&mut self) -> io::Result<()> {
        let (context, id) = (self.context(VERIFICATION, None)?, self.next_id());
        self.command(context, &command::echo_request(id));
        self.stream.write(&self.batch)?;
        self.response(C_ECHO_RQ, id)
    }

    /// Stores one file. Returns the size of its dataset.
    pub fn store(&mut self, path: &Path) -> io::Result<u64> {
        let mut source = Source::open(path)?;
        let size = source.left;
        let (context, id) = (self.context(&source.sop_class, Some(&source.transfer_syntax))?, self.next_id());
        self.command(context, &command::store_request(id, &source.sop_class, &source.sop_instance));
        while source.left > 0 {
            self.append_data(context, &mut source.file, &mut source.left)?;
            self.stream.write(&self.batch)?;
            self.batch.clear();
        }
        self.response(C_STORE_RQ, id)?;
        Ok(size)
    }

    /// Lays out the next PDUs in the batch and reads the file into the gaps between their headers.
    fn append_data(&mut self, context: u8, file: &mut File, left: &mut u64) -> io::Result<()> {
        let begin = self.batch.len();
        let fragments = BATCH.div_ceil(self.fragment) as u64;
        let size = (*left).min(fragments * self.fragment as u64) as usize;
        self.batch.resize(begin + size + DATA_HEADER * size.div_ceil(self.fragment), 0);
        let mut gaps = Vec::new();
        for pdu in self.batch[begin..].chunks_mut(self.fragment + DATA_HEADER) {
            let (header, gap) = pdu.split_at_mut(DATA_HEADER);
            *left -= gap.len() as u64;
            header.copy_from_slice(&pdu::data_header(context, false, *left == 0, gap.len()));
            gaps.push(IoSliceMut::new(gap));
        }
        let mut gaps = &mut gaps[..];
        while !gaps.is_empty() {
            let read = file.read_vectored(gaps)?;
            if read == 0 {
                return Err(invalid("a file that became shorter"));
            }
            IoSliceMut::advance_slices(&mut gaps, read);
        }
        Ok(())
    }

    /// Waits for the response to a request, which must be Success.
    fn response(&mut self, field: u16, id: u16) -> io::Result<()> {
        let mut bytes = Vec::new();
        loop {
            let Incoming::Piece { command: true, last, bytes: piece, .. } = self.stream.incoming()? else {
                return Err(invalid("the peer ended the association"));
            };
            bytes.extend_from_slice(piece);
            if last {
                break;
            }
        }
        let response = command::read(&bytes)?;
        if (response.field, response.id, response.has_dataset) != (field | RESPONSE, id, false) {
            return Err(invalid("a response to something else"));
        }
        if response.status != 0 {
            return Err(io::Error::other(format!("status {:04X}H", response.status)));
        }
        Ok(())
    }

    pub fn release(mut self) -> io::Result<()> {
        self.stream.write(&pdu::release(pdu::RELEASE_RQ))?;
        match self.stream.incoming()? {
            Incoming::Pdu { kind: pdu::RELEASE_RP, .. } => Ok(()),
            _ => Err(invalid("the release was not confirmed")),
        }
    }
}
