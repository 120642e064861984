//! Cutting messages into P-DATA-TF PDUs (PS3.8 9.3.5 and Annex E).

use alloc::vec::Vec;

/// Length of the PDU header, the PDV length, the context ID and the message control header together, in bytes.
pub const HEADER: usize = 12;

/// The largest even number of bytes of a message in one PDU for a peer with this maximum length (0 for no limit), never above
/// `ceiling`. `None` where the peer leaves no room: a maximum of 1 to 7.
pub const fn max_fragment(max_pdu_length: u32, ceiling: usize) -> Option<usize> {
    // PS3.8 D.1: the maximum counts the PDV item with its length: 4 bytes of length, 1 context ID, 1 control header.
    let room = match max_pdu_length {
        0 => ceiling,
        1..=7 => return None,
        length => {
            let room = length as usize - 6;
            if room < ceiling { room } else { ceiling }
        }
    };
    Some(room & !1)
}

/// The 12 bytes in front of the payload of a PDU with one PDV.
pub const fn data_pdu_header(context_id: u8, is_command: bool, last: bool, payload: usize) -> [u8; HEADER] {
    // PS3.8 9.3.5.1: the item length counts the context ID and the message control header.
    let item = (payload as u32) + 2;
    let pdu = (item + 4).to_be_bytes();
    let item = item.to_be_bytes();
    // PS3.8 E.2: bit 0 for a command, bit 1 for the last fragment.
    let control = (is_command as u8) | ((last as u8) << 1);
    [4, 0, pdu[0], pdu[1], pdu[2], pdu[3], item[0], item[1], item[2], item[3], context_id, control]
}

/// Appends a command set in as many PDUs as it takes.
pub fn append_command(output: &mut Vec<u8>, context_id: u8, command: &[u8], max_fragment: usize) {
    for (piece, last) in fragments(command, max_fragment) {
        output.extend_from_slice(&data_pdu_header(context_id, true, last, piece.len()));
        output.extend_from_slice(piece);
    }
}

/// Pieces of at most `max_fragment` bytes, each with whether it is the last. Nothing at all is one empty last piece.
pub fn fragments(data: &[u8], max_fragment: usize) -> impl Iterator<Item = (&[u8], bool)> {
    let mut rest = Some(data);
    core::iter::from_fn(move || {
        let data = rest?;
        if data.len() <= max_fragment {
            rest = None;
            return Some((data, true));
        }
        let (piece, left) = data.split_at(max_fragment);
        rest = Some(left);
        Some((piece, false))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_fragment_is_even_and_fits() {
        assert_eq!(max_fragment(0, 1000), Some(1000));
        assert_eq!(max_fragment(16384, 1 << 20), Some(16378));
        assert_eq!(max_fragment(16383, 1 << 20), Some(16376));
        assert_eq!(max_fragment(8, 1 << 20), Some(2));
        for hostile in 1..8 {
            assert_eq!(max_fragment(hostile, 1 << 20), None);
        }
    }

    #[test]
    fn nothing_is_one_last_fragment() {
        assert_eq!(fragments(b"", 4).collect::<Vec<_>>(), [(&b""[..], true)]);
        assert_eq!(fragments(b"abcdef", 4).collect::<Vec<_>>(), [(&b"abcd"[..], false), (&b"ef"[..], true)]);
        assert_eq!(fragments(b"abcd", 4).collect::<Vec<_>>(), [(&b"abcd"[..], true)]);
    }
}
