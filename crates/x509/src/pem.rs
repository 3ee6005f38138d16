//! PEM (RFC 7468): what is between the lines `-----BEGIN` and `-----END`.

use base64ct::{Base64, Encoding};
use crypto::Secret;
use zeroize::Zeroizing;

/// A block. It may hold a private key, so it is wiped.
pub struct Block {
    /// What it says it is: `CERTIFICATE`.
    pub label: String,
    /// Its DER.
    pub der: Secret,
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// The blocks of a PEM file, in order; `None` when there is none or one is broken. What stands
/// between them is not looked at.
#[must_use]
pub fn blocks(octets: &[u8]) -> Option<Vec<Block>> {
    let text = std::str::from_utf8(octets).ok()?;
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(BEGIN) {
        let (label, after) = after.split_once(DASHES)?;
        let end = format!("{END}{label}{DASHES}");
        let (body, after) = after.split_once(&end)?;
        blocks.push(Block {
            label: label.to_owned(),
            der: decode(body)?,
        });
        rest = after;
    }
    (!blocks.is_empty()).then_some(blocks)
}

fn decode(body: &str) -> Option<Secret> {
    // Filled without growing: a vector that grows leaves octets behind.
    let mut letters = Zeroizing::new(Vec::with_capacity(body.len()));
    letters.extend(body.bytes().filter(|octet| !octet.is_ascii_whitespace()));
    let mut der = Zeroizing::new(vec![0; letters.len() / 4 * 3]);
    let decoded = Base64::decode(letters.as_slice(), &mut der).ok()?;
    Some(Secret::from_slice(decoded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_with_text_around_them() {
        let text = b"Subject: x\n-----BEGIN A B-----\nAQID\nBA==\n-----END A B-----\n\
                     and\r\n-----BEGIN C-----\r\nAA==\r\n-----END C-----";
        let found = blocks(text).unwrap();
        let found: Vec<(&str, &[u8])> = found
            .iter()
            .map(|block| (block.label.as_str(), block.der.as_bytes()))
            .collect();
        assert_eq!(found, [("A B", &[1, 2, 3, 4][..]), ("C", &[0])]);
    }

    #[test]
    fn what_is_broken() {
        for text in [
            "",
            "-----BEGIN A-----",
            "-----BEGIN A-----\nAA==\n-----END B-----",
            "-----BEGIN A-----\nA*==\n-----END A-----",
            "-----BEGIN A-----\nAAA\n-----END A-----",
        ] {
            assert!(blocks(text.as_bytes()).is_none(), "{text}");
        }
    }
}
