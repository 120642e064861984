//! The deflated transfer syntax (PS3.5 A.5): the whole dataset as one raw deflate stream.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::CodecError;

/// What a deflated identifier may become in any case, in bytes.
const FREE: usize = 1 << 20;

/// How many times its size it may become above that. Text deflates 3 to 10 times, an empty image 1000 times.
const RATIO: usize = 100;

/// What it may become at all, in bytes.
const LIMIT: usize = 64 << 20;

/// Inflates an identifier.
///
/// # Errors
/// Where it is no deflate stream, or becomes larger than any honest one.
pub fn inflate(bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
    let limit = bytes.len().saturating_mul(RATIO).clamp(FREE, LIMIT);
    let mut inflater = Decompress::new(false);
    let mut out = Vec::with_capacity(bytes.len().saturating_mul(4).clamp(64, FREE));
    loop {
        // Bounded by the input, which is in memory.
        let at = inflater.total_in() as usize;
        let status = inflater
            .decompress_vec(&bytes[at..], &mut out, FlushDecompress::None)
            .map_err(|_| CodecError::new(at, None, "it is no deflated dataset"))?;
        if status == Status::StreamEnd {
            return Ok(out);
        }
        if out.len() < out.capacity() {
            return Err(CodecError::new(bytes.len(), None, "the deflated dataset ends early"));
        }
        if out.len() >= limit {
            return Err(CodecError::new(at, None, "the deflated dataset becomes too large"));
        }
        out.reserve(out.len().min(limit - out.len()).max(64));
    }
}

/// Inflates the beginning of a dataset as its bytes pass, in pieces of any size and constant memory.
#[derive(Debug)]
pub struct Inflater {
    inner: Decompress,
}

impl Default for Inflater {
    fn default() -> Self {
        Self { inner: Decompress::new(false) }
    }
}

impl Inflater {
    /// How much is inflated at a time, in bytes.
    const PIECE: usize = 16 << 10;

    /// Takes the next piece, and gives what it becomes to `take`, which says whether it wants more. False where it does not, or the stream is
    /// at its end.
    ///
    /// # Errors
    /// Where it is no deflate stream.
    pub fn feed(&mut self, bytes: &[u8], take: &mut dyn FnMut(&[u8]) -> bool) -> Result<bool, CodecError> {
        let mut out = vec![0; Self::PIECE];
        let mut at = 0;
        loop {
            let (before_in, before_out) = (self.inner.total_in(), self.inner.total_out());
            let status = self
                .inner
                .decompress(&bytes[at..], &mut out, FlushDecompress::None)
                .map_err(|_| CodecError::new(at, None, "it is no deflated dataset"))?;
            // Both are bounded by the buffers.
            at += (self.inner.total_in() - before_in) as usize;
            let length = (self.inner.total_out() - before_out) as usize;
            if length > 0 && !take(&out[..length]) || status == Status::StreamEnd {
                return Ok(false);
            }
            if at == bytes.len() && length < out.len() {
                return Ok(true);
            }
        }
    }
}

/// Deflates a dataset; padded to an even length.
pub fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut deflater = Compress::new(Compression::default(), false);
    let mut out = Vec::with_capacity(bytes.len() / 2 + 64);
    // The only error is a wrong state, which a stream of its own cannot have.
    while let Ok(Status::Ok | Status::BufError) =
        deflater.compress_vec(&bytes[deflater.total_in() as usize..], &mut out, FlushCompress::Finish)
    {
        out.reserve(out.len().max(64));
    }
    if out.len() % 2 == 1 {
        out.push(0);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_deflated_is_inflated() {
        for length in [0, 1, 100, 1 << 20] {
            let bytes: Vec<u8> = (0..length).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
            let deflated = deflate(&bytes);
            assert_eq!(deflated.len() % 2, 0);
            assert_eq!(inflate(&deflated).unwrap(), bytes);
        }
    }

    #[test]
    fn pieces_of_any_size_are_inflated_until_nobody_wants_more() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let deflated = deflate(&bytes);
        for piece in [1, 1000, deflated.len()] {
            let (mut inflater, mut out) = (Inflater::default(), Vec::new());
            let more = deflated.chunks(piece).all(|piece| {
                inflater
                    .feed(piece, &mut |inflated| {
                        out.extend_from_slice(inflated);
                        true
                    })
                    .unwrap()
            });
            assert!(!more && out == bytes);
            let (mut inflater, mut taken) = (Inflater::default(), 0);
            let more = deflated.chunks(piece).all(|piece| {
                inflater
                    .feed(piece, &mut |inflated| {
                        taken += inflated.len();
                        taken < 1000
                    })
                    .unwrap()
            });
            assert!(!more && taken < 1000 + Inflater::PIECE);
        }
        assert!(Inflater::default().feed(&[0xFF; 40], &mut |_| true).is_err());
    }

    #[test]
    fn a_bomb_is_refused_and_a_stream_that_ends_early() {
        let bomb = deflate(&vec![0; 32 << 20]);
        assert!(inflate(&bomb).unwrap_err().problem.contains("too large"));
        let deflated = deflate(&[7; 10_000]);
        for length in 0..deflated.len() - 2 {
            assert!(inflate(&deflated[..length]).is_err(), "{length}");
        }
        assert!(inflate(&[0xFF; 40]).is_err());
    }
}
