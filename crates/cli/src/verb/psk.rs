//! `holdfast psk`: a fresh pre-shared key.

use crate::failure::Failure;
use crate::verb::output::{self, say};
use api::ErrorCode;
use serde_json::json;

/// The key's length in bytes: 256 bits, twice what is needed.
const LENGTH: usize = 32;

/// Prints a key in base64, which every IKE daemon takes as it is.
///
/// # Errors
/// When the system has no randomness.
pub(crate) fn run(as_json: bool) -> Result<(), Failure> {
    let mut key = [0; LENGTH];
    getrandom::fill(&mut key).map_err(|error| {
        let sentence = format!("the system gives no random numbers: {error}");
        Failure::new(ErrorCode::Failed, sentence)
    })?;
    let text = base64(&key);
    match as_json {
        true => output::json(json!({ "psk": text })),
        false => say!("{text}"),
    }
    Ok(())
}

/// RFC 4648 section 4, with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let octet = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = octet(0) << 16 | octet(1) << 8 | octet(2);
        for place in 0..4 {
            let letter = LETTERS.get((bits >> (18 - 6 * place) & 63) as usize);
            let letter = letter.filter(|_| place <= group.len());
            text.push(letter.map_or('=', |letter| char::from(*letter)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        // RFC 4648 section 10.
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xff; LENGTH]).len(), 44);
    }
}
