//! From how many different bytes each byte of a key was chosen.

/// A key in base64 without the `=` at its end, which are no secret.
pub(crate) fn without_padding(key: &[u8]) -> &[u8] {
    let padding = key.iter().rev().take_while(|byte| **byte == b'=').count();
    let rest = key.len().checked_sub(padding);
    let rest = rest.and_then(|length| key.get(..length)).unwrap_or(key);
    match padding <= 2 && key.len().is_multiple_of(4) && is_base64(rest) {
        true => rest,
        false => key,
    }
}

/// The number of bytes to choose from, as far as the key's own bytes bear it out.
pub(crate) fn effective_alphabet(key: &[u8]) -> usize {
    let mut seen = [false; 256];
    for byte in key {
        if let Some(seen) = seen.get_mut(usize::from(*byte)) {
            *seen = true;
        }
    }
    let different = seen.iter().filter(|seen| **seen).count();
    // Larger ones would have given a third more different bytes, on average.
    let bound = 1.3 * different as f64;
    let largest = (different + 1..=alphabet(key)).find(|size| expected(*size, key.len()) >= bound);
    let size = largest.map_or(alphabet(key), |size| size - 1);
    size.max(1)
}

/// How many different symbols are expected among `length` ones out of `size`.
fn expected(size: usize, length: usize) -> f64 {
    let size = size as f64;
    let absent = (1.0 - 1.0 / size).powf(length as f64);
    size * (1.0 - absent)
}

fn is_hexadecimal(key: &[u8]) -> bool {
    let lower = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let upper = |byte: &u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
    key.iter().all(lower) || key.iter().all(upper)
}

/// In either alphabet of RFC 4648.
fn is_base64(key: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    let for_urls = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    key.iter().all(plain) || key.iter().all(for_urls)
}

/// What the classes of the key's bytes allow.
fn alphabet(key: &[u8]) -> usize {
    let has = |class: fn(&u8) -> bool| key.iter().any(class);
    if has(|byte| !byte.is_ascii_graphic() && *byte != b' ') {
        return 256;
    }
    if key.iter().all(u8::is_ascii_digit) {
        return 10;
    }
    if is_hexadecimal(key) {
        return 16;
    }
    let classes: [(bool, usize); 4] = [
        (has(u8::is_ascii_lowercase), 26),
        (has(u8::is_ascii_uppercase), 26),
        (has(u8::is_ascii_digit), 10),
        (has(|byte| !byte.is_ascii_alphanumeric()), 33),
    ];
    let present = classes.iter().filter(|(present, _)| *present);
    let sum: usize = present.map(|(_, size)| size).sum();
    if is_base64(key) { sum.min(64) } else { sum }
}
