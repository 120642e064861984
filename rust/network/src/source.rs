//! Objects to be sent: the dataset of a file, as it is or in another transfer syntax, read piece by piece.
//!
//! Between Implicit VR Little Endian, Explicit VR Little Endian and Explicit VR Big Endian the header is converted in memory, and the pixel data, which
//! differs by its header and perhaps its byte order only, is streamed. A deflated dataset is inflated into a temporary file first, and one
//! that is to be deflated is deflated into one.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use dimsefast_identifier::codec::{PixelData, Syntax, Writer, length_up_to};
use dimsefast_identifier::codec::{Record, TransferSyntax, record, transcode};
use dimsefast_identifier::{Tag, codec};

use crate::part10;

/// What comes before the pixel data, and behind it, is refused above this length, in bytes: it is held in memory.
const HELD_LIMIT: u64 = 64 << 20;

/// The last element before any of the pixel data elements: (7FE0,0008), (7FE0,0009) and (7FE0,0010).
pub(crate) const BEFORE_PIXEL_DATA: Tag = Tag(0x7FE0_0007);

/// The dataset of an object, ready to be read from anywhere.
#[derive(Debug)]
pub struct Source {
    /// What comes before the part that is in the file.
    head: Vec<u8>,
    file: File,
    /// Where that part begins in the file, and how long it is.
    offset: u64,
    length: u64,
    /// The size of the words whose bytes change places; 1 for none.
    word: usize,
    /// What comes behind it.
    tail: Vec<u8>,
}

impl Source {
    /// The dataset of the DICOM file at `path`, which begins at `offset` and ends with the file.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(path: &Path, offset: u64) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len().saturating_sub(offset);
        Ok(Self { head: Vec::new(), file, offset, length, word: 1, tail: Vec::new() })
    }

    /// The same in another transfer syntax; neither may be an encapsulated one.
    ///
    /// # Errors
    /// `InvalidData` for what is no dataset; what the file system says.
    pub fn open_converted(path: &Path, offset: u64, from: TransferSyntax, to: TransferSyntax) -> io::Result<Self> {
        let mut source = Self::open(path, offset)?;
        if from == to {
            return Ok(source);
        }
        if from.deflated {
            source = source.inflated()?;
        }
        // Where only deflation differs, too: group lengths are left out.
        source = source.converted(path, from.syntax, to.syntax)?;
        if to.deflated { source.deflated() } else { Ok(source) }
    }

    /// How many bytes the dataset has.
    pub fn len(&self) -> u64 {
        self.head.len() as u64 + self.length + self.tail.len() as u64
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends `length` bytes of the dataset from `at` on.
    ///
    /// # Errors
    /// What the file system says; `UnexpectedEof` where the file has become shorter.
    pub fn read_at(&self, mut at: u64, mut length: usize, out: &mut Vec<u8>) -> io::Result<()> {
        let head = self.head.len() as u64;
        if at < head {
            let start = at as usize;
            let taken = length.min(self.head.len() - start);
            out.extend_from_slice(&self.head[start..start + taken]);
            (at, length) = (at + taken as u64, length - taken);
        }
        if length > 0 && at - head < self.length {
            let within = at - head;
            let taken = usize::try_from(self.length - within).unwrap_or(usize::MAX).min(length);
            self.read_file(within, taken, out)?;
            (at, length) = (at + taken as u64, length - taken);
        }
        if length > 0 {
            let start = (at - head - self.length) as usize;
            out.extend_from_slice(&self.tail[start..start + length]);
        }
        Ok(())
    }

    fn read_file(&self, at: u64, length: usize, out: &mut Vec<u8>) -> io::Result<()> {
        if self.word == 1 {
            return read_exact_at(&self.file, self.offset + at, length, out);
        }
        // Whole words: a piece may begin or end within one.
        let word = self.word as u64;
        let first = at / word * word;
        let last = (at + length as u64).next_multiple_of(word).min(self.length);
        let mut words = Vec::with_capacity((last - first) as usize);
        read_exact_at(&self.file, self.offset + first, (last - first) as usize, &mut words)?;
        codec::write::swap_words(&mut words, self.word);
        let start = (at - first) as usize;
        out.extend_from_slice(&words[start..start + length]);
        Ok(())
    }

    /// The header converted, the pixel data streamed, what stands behind it converted.
    fn converted(self, path: &Path, from: Syntax, to: Syntax) -> io::Result<Self> {
        let broken = |what: &str| part10::invalid(path, what);
        let header = self.header(path, from)?;
        let from = record::actual_syntax(&header, from);
        let mut head = convert(&header, from, to).map_err(|error| broken(&error.to_string()))?;
        let mut rest = Vec::new();
        let begin = header.len() as u64;
        self.read_at(begin, usize::try_from(self.length - begin).unwrap_or(usize::MAX).min(16), &mut rest)?;
        if rest.is_empty() {
            return Ok(Self { head, length: 0, ..self });
        }
        let pixel =
            PixelData::parse(&rest, from).ok_or_else(|| broken("it ends in the middle of an element's header"))?;
        if !pixel.is_pixel_data() {
            head.extend(self.tail_from(begin, path, from, to)?);
            return Ok(Self { head, length: 0, ..self });
        }
        let length = pixel.length.ok_or_else(|| broken("its pixel data is encapsulated: it cannot be converted"))?;
        let value = begin + pixel.value as u64;
        let behind = value.checked_add(length.into()).filter(|end| *end <= self.length);
        let behind = behind.ok_or_else(|| broken("its pixel data is longer than the file"))?;
        let mut writer = Writer::new(to);
        writer.open_element(pixel.tag, pixel.vr, length);
        head.extend(writer.finish());
        let mut tail = self.tail_from(behind, path, from, to)?;
        if length % 2 == 1 {
            tail.insert(0, 0);
        }
        let word = if from.big_endian == to.big_endian { 1 } else { pixel.vr.word() };
        Ok(Self { head, file: self.file, offset: self.offset + value, length: length.into(), word, tail })
    }

    /// What stands behind the pixel data, or in its place, converted.
    fn tail_from(&self, at: u64, path: &Path, from: Syntax, to: Syntax) -> io::Result<Vec<u8>> {
        let length = self.length - at;
        if length > HELD_LIMIT {
            return Err(part10::invalid(path, "what stands behind the pixel data is too long"));
        }
        let mut tail = Vec::new();
        self.read_at(at, length as usize, &mut tail)?;
        convert(&tail, from, to).map_err(|error| part10::invalid(path, &error.to_string()))
    }

    /// The bytes up to the pixel data.
    fn header(&self, path: &Path, syntax: Syntax) -> io::Result<Vec<u8>> {
        let mut header = Vec::new();
        let mut piece = 16 << 10;
        loop {
            let left = self.length - header.len() as u64;
            self.read_at(header.len() as u64, usize::try_from(left).unwrap_or(usize::MAX).min(piece), &mut header)?;
            let actual = record::actual_syntax(&header, syntax);
            if let Some(length) = length_up_to(&header, actual, BEFORE_PIXEL_DATA) {
                header.truncate(length);
                return Ok(header);
            }
            if header.len() as u64 == self.length {
                return Ok(header);
            }
            if header.len() as u64 > HELD_LIMIT {
                return Err(part10::invalid(path, "its header does not end"));
            }
            piece = header.len();
        }
    }

    fn inflated(self) -> io::Result<Self> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut inflated = flate2::read::DeflateDecoder::new(file.take(self.length));
        Self::temporary(|out| io::copy(&mut inflated, out))
    }

    fn deflated(self) -> io::Result<Self> {
        let deflated = Self::temporary(|out| {
            let mut deflater = flate2::write::DeflateEncoder::new(out, flate2::Compression::default());
            let mut piece = Vec::new();
            let (mut at, length) = (0, self.len());
            while at < length {
                piece.clear();
                self.read_at(at, usize::try_from(length - at).unwrap_or(usize::MAX).min(256 << 10), &mut piece)?;
                deflater.write_all(&piece)?;
                at += piece.len() as u64;
            }
            deflater.finish().map(|_| 0)
        })?;
        // PS3.5 A.5: padded to an even length.
        let tail = vec![0; (deflated.length % 2) as usize];
        Ok(Self { tail, ..deflated })
    }

    /// What `write` puts into a temporary file, which has no name any more.
    fn temporary(write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<u64>) -> io::Result<Self> {
        static UNIQUE: AtomicU64 = AtomicU64::new(0);
        let name = format!("dimsefast-{}-{}.object", std::process::id(), UNIQUE.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        std::fs::remove_file(&path)?;
        let mut out = BufWriter::with_capacity(256 << 10, &file);
        write(&mut out)?;
        out.flush()?;
        drop(out);
        let length = file.metadata()?.len();
        Ok(Self { head: Vec::new(), file, offset: 0, length, word: 1, tail: Vec::new() })
    }
}

fn convert(bytes: &[u8], from: Syntax, to: Syntax) -> Result<Vec<u8>, codec::CodecError> {
    let entries = record::parse(bytes, from)?;
    Ok(transcode::transcode(Record::new(bytes, &entries), from, to))
}

/// Appends exactly `length` bytes of the file from `offset` on.
fn read_exact_at(file: &File, mut offset: u64, length: usize, out: &mut Vec<u8>) -> io::Result<()> {
    out.reserve(length);
    let mut left = length;
    while left > 0 {
        let (read, _) = rustix::io::pread(file, &mut out.spare_capacity_mut()[..left], offset)?;
        let read = read.len();
        if read == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file has become shorter"));
        }
        // SAFETY: pread has initialized this many bytes of the spare capacity. Filling the buffer with zeros first, as safe code has to, took 4 % of
        // a sender's time.
        unsafe { out.set_len(out.len() + read) };
        offset += read as u64;
        left -= read;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(syntax: Syntax, columns: u16, pixels: &[u16], trailing: bool) -> Vec<u8> {
        use dimsefast_identifier::Vr;
        let number = |value: u16| if syntax.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        let mut writer = Writer::new(syntax);
        writer.element(Tag(0x0010_0010), Vr::PN, b"A^B ");
        let sequence = writer.begin_sequence(Tag(0x0040_0100), true);
        let item = writer.begin_item(false);
        writer.element(Tag(0x0028_0011), Vr::US, &number(7));
        writer.end_item(item);
        writer.end_sequence(sequence);
        writer.element(Tag(0x0028_0011), Vr::US, &number(columns));
        let pixels: Vec<u8> = pixels.iter().flat_map(|pixel| number(*pixel)).collect();
        writer.element(Tag::PIXEL_DATA, Vr::OW, &pixels);
        if trailing {
            writer.element(Tag(0xFFFC_FFFC), Vr::OB, b"\0\0");
        }
        writer.finish()
    }

    fn whole(source: &Source, piece: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while (out.len() as u64) < source.len() {
            let length = (source.len() as usize - out.len()).min(piece);
            source.read_at(out.len() as u64, length, &mut out).unwrap();
        }
        out
    }

    #[test]
    fn every_syntax_becomes_every_other_in_pieces_of_any_size() {
        let syntaxes = [
            ("1.2.840.10008.1.2", Syntax::IMPLICIT),
            ("1.2.840.10008.1.2.1", Syntax::EXPLICIT),
            ("1.2.840.10008.1.2.2", Syntax::BIG_ENDIAN),
            ("1.2.840.10008.1.2.1.99", Syntax::EXPLICIT),
        ];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("object");
        let pixels: Vec<u16> = (0..20_000).collect();
        for trailing in [false, true] {
            for (from, from_syntax) in syntaxes {
                let from = TransferSyntax::from_uid(from.as_bytes());
                let dataset = write(from_syntax, 3, &pixels, trailing);
                let stored = if from.deflated { codec::deflate::deflate(&dataset) } else { dataset };
                std::fs::write(&path, [b"meta".as_slice(), &stored].concat()).unwrap();
                for (to, to_syntax) in syntaxes {
                    let to = TransferSyntax::from_uid(to.as_bytes());
                    for piece in [1 << 20, 4097, 999] {
                        let source = Source::open_converted(&path, 4, from, to).unwrap();
                        assert_eq!(source.len() % 2, 0);
                        let mut sent = whole(&source, piece);
                        if to.deflated {
                            sent = codec::deflate::inflate(&sent).unwrap();
                        }
                        assert_eq!(sent, write(to_syntax, 3, &pixels, trailing), "{from:?} to {to:?} by {piece}");
                    }
                }
            }
        }
    }

    /// A sequence behind the pixel data, or where there is none, is converted as any other: its items are no pixels.
    #[test]
    fn a_sequence_behind_the_header_is_converted_and_group_lengths_are_left_out() {
        use dimsefast_identifier::Vr;
        let signed = |syntax: Syntax, group_lengths: bool, pixels: bool, undefined: bool| {
            let number = |value: u16| if syntax.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
            let mut writer = Writer::new(syntax);
            if group_lengths {
                writer.element(Tag(0x0010_0000), Vr::UL, &[0, 0, 0, 0]);
            }
            writer.element(Tag(0x0010_0010), Vr::PN, b"A^B ");
            if pixels {
                writer.element(Tag::PIXEL_DATA, Vr::OW, &[number(1), number(2)].concat());
            }
            let sequence = writer.begin_sequence(Tag(0xFFFA_FFFA), undefined);
            let item = writer.begin_item(undefined);
            writer.element(Tag(0x0400_0005), Vr::US, &number(7));
            writer.end_item(item);
            writer.end_sequence(sequence);
            writer.finish()
        };
        let syntaxes = [
            ("1.2.840.10008.1.2", Syntax::IMPLICIT),
            ("1.2.840.10008.1.2.1", Syntax::EXPLICIT),
            ("1.2.840.10008.1.2.2", Syntax::BIG_ENDIAN),
            ("1.2.840.10008.1.2.1.99", Syntax::EXPLICIT),
        ];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("object");
        for (pixels, undefined) in [(false, false), (false, true), (true, false), (true, true)] {
            for (from, from_syntax) in syntaxes {
                let from = TransferSyntax::from_uid(from.as_bytes());
                let dataset = signed(from_syntax, true, pixels, undefined);
                std::fs::write(&path, if from.deflated { codec::deflate::deflate(&dataset) } else { dataset }).unwrap();
                for (to, to_syntax) in syntaxes {
                    let to = TransferSyntax::from_uid(to.as_bytes());
                    if from == to {
                        continue;
                    }
                    let mut sent = whole(&Source::open_converted(&path, 0, from, to).unwrap(), 1 << 20);
                    if to.deflated {
                        sent = codec::deflate::inflate(&sent).unwrap();
                    }
                    assert_eq!(sent, signed(to_syntax, false, pixels, undefined), "{from:?} to {to:?}");
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_converted_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("broken.dcm");
        std::fs::write(&path, [0xE0, 0x7F, 0x10, 0, b'O', b'B', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE, 0xFF, 0, 0xE0])
            .unwrap();
        let known = |uid: &str| TransferSyntax::from_uid(uid.as_bytes());
        let converted = Source::open_converted(&path, 0, known("1.2.840.10008.1.2.1"), known("1.2.840.10008.1.2"));
        let message = converted.unwrap_err().to_string();
        assert!(message.contains("broken.dcm") && message.contains("encapsulated"), "{message}");
    }
}
