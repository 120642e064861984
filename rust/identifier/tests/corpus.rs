//! The bodies of the fuzz targets over their corpus.

#[path = "../../../fuzz/bodies/codec.rs"]
mod codec;
#[path = "../../../fuzz/bodies/matcher.rs"]
mod matcher;

fn over_corpus(target: &str, body: fn(&[u8])) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut inputs = 0;
    #[expect(clippy::disallowed_methods, reason = "the crate has no I/O, its tests may read their corpus")]
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
fn codec_corpus() {
    over_corpus("codec", codec::run);
}

#[test]
fn matcher_corpus() {
    over_corpus("matcher", matcher::run);
}
