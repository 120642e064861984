//! The receiver: a thread for each connection, which answers C-ECHO and C-STORE with Success.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

use crate::command::{self, C_ECHO_RQ, C_STORE_RQ, Command};
use crate::file::Sink;
use crate::pdu::{self, Context, invalid};
use crate::stream::{Incoming, Stream};

/// So many connections at once. The threads are there before them: making one takes longer than a short association.
const THREADS: usize = 64;

/// Prints its port and serves until its standard input ends: it cannot outlive the program that started it.
pub fn receive(port: u16, folder: Option<PathBuf>) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("{}", listener.local_addr()?.port());
    io::stdout().flush()?;
    for _ in 0..THREADS {
        let (listener, folder) = (listener.try_clone()?, folder.clone());
        thread::spawn(move || {
            for socket in listener.incoming() {
                if let Err(error) = socket.and_then(|socket| serve(socket, folder.as_deref())) {
                    eprintln!("an association ended: {error}");
                }
            }
        });
    }
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn serve(socket: TcpStream, folder: Option<&Path>) -> io::Result<()> {
    let mut stream = Stream::new(socket)?;
    let proposed = match stream.incoming()? {
        Incoming::Pdu { kind: pdu::ASSOCIATE_RQ, body } => pdu::read_associate(body)?.contexts,
        Incoming::End => return Ok(()),
        _ => return Err(invalid("something else than an A-ASSOCIATE-RQ")),
    };
    stream.write(&pdu::associate_ac(&proposed))?;
    let mut bytes = Vec::new();
    loop {
        match stream.incoming()? {
            Incoming::Piece { command: true, last, bytes: piece, context } => {
                bytes.extend_from_slice(piece);
                if last {
                    perform(&mut stream, &command::read(&bytes)?, context, &proposed, folder)?;
                    bytes.clear();
                }
            }
            Incoming::Pdu { kind: pdu::RELEASE_RQ, .. } => return stream.write(&pdu::release(pdu::RELEASE_RP)),
            Incoming::Pdu { kind: pdu::ABORT, .. } | Incoming::End => return Ok(()),
            _ => return Err(invalid("a PDU or dataset out of order")),
        }
    }
}

fn perform(
    stream: &mut Stream,
    request: &Command,
    context: u8,
    proposed: &[Context],
    folder: Option<&Path>,
) -> io::Result<()> {
    match (request.field, request.has_dataset) {
        (C_ECHO_RQ, false) => {}
        (C_STORE_RQ, true) => {
            let sink = folder.map(|folder| {
                let syntax = proposed.iter().find(|proposed| proposed.id == context);
                let syntax = syntax.and_then(|context| context.transfer_syntaxes.first());
                let syntax = syntax.ok_or_else(|| invalid("a message in no context"))?;
                Sink::create(folder, &request.sop_class, &request.sop_instance, syntax)
            });
            take_dataset(stream, sink.transpose()?)?;
        }
        _ => return Err(invalid("a request that is neither C-ECHO nor C-STORE")),
    }
    let response = command::response(request);
    stream.write(&[&pdu::data_header(context, true, true, response.len())[..], &response].concat())
}

fn take_dataset(stream: &mut Stream, mut sink: Option<Sink>) -> io::Result<()> {
    loop {
        let Incoming::Piece { command: false, last, bytes, .. } = stream.incoming()? else {
            return Err(invalid("a dataset that stopped"));
        };
        if let Some(sink) = &mut sink {
            sink.write(bytes)?;
        }
        if last {
            return sink.map_or(Ok(()), Sink::finish);
        }
    }
}
