//! The bodies of the fuzz targets over their corpus.

#![allow(
    clippy::duplicate_mod,
    reason = "two bodies begin with the same association, and each is a program of its own elsewhere"
)]

#[path = "../../../fuzz/bodies/assembler.rs"]
mod assembler;
#[path = "../../../fuzz/bodies/association.rs"]
mod association;
#[path = "../../../fuzz/bodies/command.rs"]
mod command;
#[path = "../../../fuzz/bodies/pdu.rs"]
mod pdu;

fn over_corpus(target: &str, body: fn(&[u8])) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut inputs = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        body(&bytes);
        // Every beginning of it, too: a cheap neighbourhood.
        (0..bytes.len().min(512)).for_each(|length| body(&bytes[..length]));
        inputs += 1;
    }
    assert!(inputs >= 10, "only {inputs} inputs");
}

#[test]
fn pdu_corpus() {
    over_corpus("pdu", pdu::run);
}

#[test]
fn command_corpus() {
    over_corpus("command", command::run);
}

#[test]
fn association_corpus() {
    over_corpus("association", association::run);
}

#[test]
fn assembler_corpus() {
    over_corpus("assembler", assembler::run);
}
