//! Golden bytes: hexadecimal digits with comments, as they are in `tests/data`.

pub(crate) fn golden(text: &str) -> Vec<u8> {
    let hex = text.lines().filter(|line| !line.starts_with('#')).flat_map(|line| {
        let data = line.split('#').next().unwrap_or_default();
        data.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    });
    hex.map(|byte| u8::from_str_radix(&byte, 16).expect("hex")).collect()
}
