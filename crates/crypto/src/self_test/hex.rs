//! Hexadecimal text to bytes at compile time.

/// The bytes of a text of exactly 2 * N hexadecimal digits; anything else does not compile.
pub(crate) const fn hex<const N: usize>(text: &str) -> [u8; N] {
    let text = text.as_bytes();
    assert!(
        text.len() == 2 * N,
        "the text does not have two digits for each byte"
    );
    let mut bytes = [0; N];
    let mut at = 0;
    while at < N {
        bytes[at] = digit(text[2 * at]) << 4 | digit(text[2 * at + 1]);
        at += 1;
    }
    bytes
}

const fn digit(character: u8) -> u8 {
    match character {
        b'0'..=b'9' => character - b'0',
        b'a'..=b'f' => character - b'a' + 10,
        _ => panic!("not a lower case hexadecimal digit"),
    }
}
