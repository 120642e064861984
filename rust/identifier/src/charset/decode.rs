//! The characters of one set to Unicode.

use super::terms::Set;
use encoding_rs::Encoding;

/// Where the Web's reading of JIS X 0208 differs from the standard's own: the former follows Microsoft's full-width characters.
const JISX0208_FORMS: &[(char, char)] = &[('～', '〜'), ('∥', '‖'), ('－', '−'), ('￠', '¢'), ('￡', '£'), ('￢', '¬')];

/// Appends the text of bytes that are all of one set. What cannot be decoded becomes U+FFFD.
pub(super) fn append(text: &mut String, set: Set, bytes: &[u8]) {
    let web = |encoding: &'static Encoding, bytes: &[u8]| encoding.decode_without_bom_handling(bytes).0.into_owned();
    match set {
        // Bytes above 7FH have no meaning in ISO-IR 6. Whoever sends them nevertheless means Latin-1, or windows-1252.
        Set::Ascii => text.push_str(&web(encoding_rs::WINDOWS_1252, bytes)),
        Set::Single(encoding) => text.push_str(&web(encoding, bytes)),
        Set::Jisx0201 => text.extend(web(encoding_rs::SHIFT_JIS, bytes).chars().map(standard_form)),
        Set::Jisx0208 => text.extend(web(encoding_rs::EUC_JP, &upper(bytes)).chars().map(standard_form)),
        Set::Jisx0212 => bytes.chunks(2).for_each(|pair| text.push_str(&jisx0212(pair))),
        Set::Ksx1001 => text.push_str(&web(encoding_rs::EUC_KR, bytes)),
        Set::Gb2312 | Set::Gbk => text.push_str(&web(encoding_rs::GBK, bytes)),
        Set::Gb18030 => text.push_str(&web(encoding_rs::GB18030, bytes)),
        Set::Utf8 => text.push_str(&String::from_utf8_lossy(bytes)),
    }
}

/// One character of JIS X 0212: in EUC-JP it follows 8FH.
pub(super) fn jisx0212(pair: &[u8]) -> String {
    let mut euc = vec![0x8F];
    euc.extend(upper(pair));
    match &*encoding_rs::EUC_JP.decode_without_bom_handling(&euc).0 {
        "～" => "~".to_owned(),
        character => character.to_owned(),
    }
}

/// The character of JIS X 0208 in the place of the Web's.
pub(super) fn standard_form(web: char) -> char {
    JISX0208_FORMS.iter().find(|(from, _)| *from == web).map_or(web, |&(_, to)| to)
}

/// The Web's character for one of JIS X 0208; None for one that is only the Web's.
pub(super) fn web_form(character: char) -> Option<char> {
    match JISX0208_FORMS.iter().find(|&&(web, standard)| web == character || standard == character) {
        Some(&(web, standard)) => (standard == character).then_some(web),
        None => Some(character),
    }
}

/// From G0 to where EUC has it.
fn upper(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| byte | 0x80).collect()
}
