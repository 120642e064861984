//! What is measured: so many objects, echoes or associations, and what they took.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use crate::pdu::invalid;
use crate::requestor::{Association, contexts};

type Address<'a> = (&'a str, u16);

/// What was done, printed as one line of JSON.
pub struct Done {
    count: usize,
    bytes: u64,
    seconds: f64,
    cpu: f64,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, bytes, seconds, cpu } = self;
        write!(f, "{{\"count\": {count}, \"bytes\": {bytes}, \"seconds\": {seconds:.6}, \"cpu\": {cpu:.2}}}")
    }
}

/// CPU seconds of this process so far, in hundredths, as Linux tells them; 0 elsewhere.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program may have spaces, and ends with the last parenthesis: user and system time are fields 14 and 15.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Measures from here, where the associations are there, to the last response.
fn measured(count: usize, work: impl FnOnce() -> io::Result<u64>) -> io::Result<Done> {
    let (cpu, start) = (cpu_seconds(), Instant::now());
    let bytes = work()?;
    Ok(Done { count, bytes, seconds: start.elapsed().as_secs_f64(), cpu: cpu_seconds() - cpu })
}

/// Stores the first `count` objects of a folder, by name, split among associations that send at the same time.
pub fn send(address: Address<'_>, folder: &Path, count: usize, senders: usize) -> io::Result<Done> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    paths.sort();
    paths.truncate(count);
    let proposed = contexts(2);
    let open = |_| Association::request(address, &proposed);
    let mut associations = (0..senders).map(open).collect::<io::Result<Vec<_>>>()?;
    let done = measured(paths.len(), || {
        thread::scope(|scope| {
            let share = |at: usize, association| {
                let own = paths.iter().skip(at).step_by(senders);
                scope.spawn(move || store_all(association, own))
            };
            let threads: Vec<_> = associations.iter_mut().enumerate().map(|(at, open)| share(at, open)).collect();
            let ended = threads.into_iter().map(|thread| thread.join().map_err(|_| invalid("a sender panicked"))?);
            ended.sum()
        })
    })?;
    associations.into_iter().try_for_each(Association::release)?;
    Ok(done)
}

fn store_all<'a>(association: &mut Association, mut paths: impl Iterator<Item = &'a PathBuf>) -> io::Result<u64> {
    paths.try_fold(0, |sum, path| Ok(sum + association.store(path)?))
}

/// Sends C-ECHO `count` times over one association.
pub fn echo(address: Address<'_>, count: usize) -> io::Result<Done> {
    let mut association = Association::request(address, &contexts(2))?;
    let done = measured(count, || (0..count).try_for_each(|_| association.echo()).map(|()| 0))?;
    association.release()?;
    Ok(done)
}

/// Connects, associates, echoes and releases `count` times.
pub fn associate(address: Address<'_>, count: usize, number: usize) -> io::Result<Done> {
    let proposed = contexts(number);
    measured(count, || {
        for _ in 0..count {
            let mut association = Association::request(address, &proposed)?;
            association.echo()?;
            association.release()?;
        }
        Ok(0)
    })
}
