//! The least that a correct DICOM peer does, on blocking sockets: what a faster library could reach at best.
//!
//! It negotiates what the benchmarks need and nothing else, and trusts its peer to be one of them: it is no example of how to
//! write a peer for the world.

mod command;
mod file;
mod pdu;
mod receiver;
mod requestor;
mod stream;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "usage:
  floor receive PORT [--folder FOLDER]            port 0 takes a free one; prints it; without a folder drops what it gets
  floor send HOST PORT --objects FOLDER [--count N] [--senders N]
  floor echo HOST PORT N
  floor associate HOST PORT N [--contexts N]      2 to 128";

/// What was asked for: positional arguments, then `--name value` pairs.
struct Arguments {
    positional: Vec<String>,
    options: Vec<(String, String)>,
}

impl Arguments {
    fn parse(mut given: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut positional, mut options) = (Vec::new(), Vec::new());
        while let Some(argument) = given.next() {
            match argument.strip_prefix("--") {
                Some(name) => {
                    let value = given.next().ok_or_else(|| format!("{argument} needs a value"))?;
                    options.push((name.to_owned(), value));
                }
                None => positional.push(argument),
            }
        }
        Ok(Self { positional, options })
    }

    fn text(&self, at: usize) -> Result<&str, String> {
        self.positional.get(at).map(String::as_str).ok_or_else(|| USAGE.to_owned())
    }

    fn number(&self, at: usize) -> Result<usize, String> {
        number(self.text(at)?)
    }

    fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    fn option_number(&self, name: &str, default: usize) -> Result<usize, String> {
        self.option(name).map_or(Ok(default), number)
    }

    fn address(&self) -> Result<(&str, u16), String> {
        Ok((self.text(1)?, port(self.number(2)?)?))
    }
}

fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("{text} is not a number"))
}

fn port(number: usize) -> Result<u16, String> {
    u16::try_from(number).map_err(|_| format!("{number} is not a port"))
}

fn run() -> Result<(), String> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let done = match arguments.text(0)? {
        "receive" => {
            let folder = arguments.option("folder").map(PathBuf::from);
            return receiver::receive(port(arguments.number(1)?)?, folder).map_err(|error| error.to_string());
        }
        "send" => {
            let folder = arguments.option("objects").ok_or(USAGE)?;
            let count = arguments.option_number("count", usize::MAX)?;
            work::send(arguments.address()?, folder.as_ref(), count, arguments.option_number("senders", 1)?)
        }
        "echo" => work::echo(arguments.address()?, arguments.number(3)?),
        "associate" => {
            let contexts = arguments.option_number("contexts", 2)?;
            work::associate(arguments.address()?, arguments.number(3)?, contexts)
        }
        _ => return Err(USAGE.to_owned()),
    };
    println!("{}", done.map_err(|error| error.to_string())?);
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}
