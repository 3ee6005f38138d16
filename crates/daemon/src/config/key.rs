//! Keys in the file, or in files of their own: read, decoded, and weighed.

use std::path::PathBuf;

use policy::Secret;
use policy::psk::{self, WeakPsk};

use crate::config::diagnostic::{Problems, Span};
use crate::config::section::{Bad, Section};
use crate::config::value;

/// Whether a file may be read by others than its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// It must not: it holds a key.
    Secret,
    /// It may: certificates and lists of revocations.
    Public,
}

/// Reads another file that the policy names; the error is a sentence's end: "it does not exist".
pub type ReadFile<'a> = &'a mut dyn FnMut(&str, Secrecy) -> Result<Vec<u8>, String>;

/// The file with an OCSP response for a certificate of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnStatus {
    /// As the policy file names it: sought beside it.
    pub file: PathBuf,
    /// SHA-256 of the certificate.
    pub certificate: [u8; 32],
}

/// Where keys come from.
pub(crate) struct Keys<'a> {
    /// Reads the files that the policy names.
    pub(crate) read_file: ReadFile<'a>,
    /// Others than its owner may read the policy file; cleared once that has been said.
    pub(crate) open: bool,
    /// Seconds since 1970, by which certificates are judged.
    pub(crate) now: u64,
    /// Files with what responders say of our own certificates, as they are found.
    pub(crate) own_statuses: Vec<OwnStatus>,
    /// The files that Kerberos is configured in.
    pub(crate) krb5_conf: Vec<String>,
}

/// Longest key in bytes; more adds nothing.
const MAX_KEY: usize = 256;

/// A key and where it comes from.
pub(crate) struct FoundKey {
    pub(crate) secret: Secret,
    pub(crate) span: Span,
}

/// Reads the key under `inline` or the one in the file that `in_file` names. Exactly one of them
/// must be there.
pub(crate) fn read(
    section: &mut Section<'_>,
    problems: &mut Problems,
    keys: &mut Keys<'_>,
    inline: &'static str,
    in_file: &'static str,
) -> Option<FoundKey> {
    let (here, there) = (section.has(inline), section.has(in_file));
    let span = section.span_of(if here { inline } else { in_file });
    if here {
        problems.secret(span.clone());
        if std::mem::take(&mut keys.open) {
            let message = "others than its owner may read this file and the keys in it".to_owned();
            let remedy = format!("`chmod 600` the file, or use `{in_file}`");
            problems.warn(span.clone(), message, "a key".to_owned(), remedy);
        }
    }
    let inside = section.read(problems, inline, |value| {
        decode(value::text(value)?.as_bytes())
    });
    let outside = section.read(problems, in_file, |value| {
        let path = value::text(value)?;
        let shown = path.escape_debug();
        let bytes = (keys.read_file)(path, Secrecy::Secret).map_err(|reason| {
            let reason = format!("the key in `{shown}` cannot be read: {reason}");
            Bad::new(reason, "make the file with `holdfast psk` in it, mode 0600")
        })?;
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        decode(line.strip_suffix(b"\r").unwrap_or(line))
    });
    match (here, there) {
        (true, true) => {
            let message = format!("{} has two keys", section.title);
            let remedy = format!("keep `{inline}` or `{in_file}`, not both");
            problems.error(
                span.clone(),
                message,
                "the one here, another there".into(),
                remedy,
            );
        }
        (false, false) => {
            let message = format!("{} has no key", section.title);
            let remedy = format!("add `{inline}` with the output of `holdfast psk`");
            problems.error(
                section.span.clone(),
                message,
                "it is missing here".into(),
                remedy,
            );
        }
        _ => {}
    }
    inside.or(outside).map(|secret| FoundKey { secret, span })
}

/// Reports a key that can be guessed: as an error, or as a warning where that is wanted.
pub(crate) fn weigh(key: &FoundKey, title: &str, wanted: bool, problems: &mut Problems) {
    let Err(WeakPsk { bits }) = psk::check(key.secret.as_bytes()) else {
        return;
    };
    let message =
        format!("the key of {title} is weak: whoever takes part in one exchange could find it out");
    let label = format!(
        "about {bits} bits of strength; {} are needed",
        psk::MINIMUM_BITS
    );
    let remedy = "use the output of `holdfast psk`".to_owned();
    if wanted {
        problems.warn(key.span.clone(), message, label, remedy);
    } else {
        let remedy = format!("{remedy}, or set `allow_weak_psk = true` if you must");
        problems.error(key.span.clone(), message, label, remedy);
    }
}

/// The bytes that a key's text means: hexadecimal after `0x`, base64 after `0s`, else as it is.
fn decode(text: &[u8]) -> Result<Secret, Bad> {
    let decoded = if let Some(digits) = text.strip_prefix(b"0x") {
        hexadecimal(digits).ok_or("after `0x` there must be pairs of hexadecimal digits")?
    } else if let Some(letters) = text.strip_prefix(b"0s") {
        base64(letters).ok_or("after `0s` there must be base64")?
    } else {
        text.to_vec()
    };
    let length = decoded.len();
    let secret = Secret::new(decoded);
    match length {
        1..=MAX_KEY => Ok(secret),
        0 => Err("the key is empty".into()),
        _ => Err(Bad::new(
            format!("the key has {length} bytes"),
            format!("use at most {MAX_KEY}; 32 are plenty"),
        )),
    }
}

impl From<&str> for Bad {
    fn from(reason: &str) -> Self {
        Bad::new(reason, "use the output of `holdfast psk` as it is")
    }
}

fn hexadecimal(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: &u8| {
        char::from(*byte)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    digits.chunks(2).map(pair).collect()
}

/// Base64 with or without padding (RFC 4648 section 4).
fn base64(letters: &[u8]) -> Option<Vec<u8>> {
    let padding = letters
        .iter()
        .rev()
        .take_while(|byte| **byte == b'=')
        .count();
    let letters = letters.get(..letters.len() - padding)?;
    let value = |byte: &u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    if padding > 2 || letters.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(letters.len() / 4 * 3 + 3);
    for group in letters.chunks(4) {
        let mut bits = 0u32;
        for letter in group {
            bits = bits << 6 | u32::from(value(letter)?);
        }
        bits <<= 6 * (4 - group.len());
        let [_, first, second, third] = bits.to_be_bytes();
        bytes.extend([first, second, third].iter().take(group.len() - 1));
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Option<Vec<u8>> {
        decode(text.as_bytes())
            .ok()
            .map(|secret| secret.as_bytes().to_vec())
    }

    #[test]
    fn three_ways_to_write_a_key() {
        assert_eq!(decoded("plain = text"), Some(b"plain = text".to_vec()));
        assert_eq!(decoded("0x00fFa1"), Some(vec![0, 255, 161]));
        // RFC 4648 section 10.
        for (text, bytes) in [
            ("0sZg==", "f"),
            ("0sZm8=", "fo"),
            ("0sZm9v", "foo"),
            ("0sZm9vYg", "foob"),
            ("0sZm9vYmE=", "fooba"),
            ("0sZm9vYmFy", "foobar"),
        ] {
            assert_eq!(decoded(text), Some(bytes.as_bytes().to_vec()), "{text}");
        }
        for text in ["", "0x", "0x1", "0xzz", "0sZ", "0sZ*==", "0s===="] {
            assert_eq!(decoded(text), None, "{text}");
        }
        assert!(decode(&[b'a'; 256]).is_ok());
        assert!(decode(&[b'a'; 257]).is_err());
    }
}
