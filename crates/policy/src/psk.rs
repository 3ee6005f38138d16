//! How strong a pre-shared key is: an estimate of its entropy.
//!
//! Whoever takes part in one exchange as an active attacker can test guesses of the key at leisure
//! (CVE-2018-5389), so a key must have as many bits as the ciphers. What people think up has not.

mod alphabet;
mod pattern;

use alphabet::{effective_alphabet, without_padding};
use pattern::{Pattern, longest};
use std::fmt;

/// Keys with fewer estimated bits are refused, unless the policy says that they are wanted.
pub const MINIMUM_BITS: u32 = 128;

/// A key that is too weak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeakPsk {
    /// The estimate, in bits.
    pub bits: u32,
}

impl fmt::Display for WeakPsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the key has an estimated strength of {} bits; an attacker who takes part in one \
             exchange could find out a key with less than {MINIMUM_BITS} at leisure",
            self.bits
        )
    }
}

impl std::error::Error for WeakPsk {}

/// Checks a key.
///
/// # Errors
/// [`WeakPsk`] when it has less than [`MINIMUM_BITS`] bits of estimated entropy.
pub fn check(key: &[u8]) -> Result<(), WeakPsk> {
    let bits = estimate(key);
    if bits < MINIMUM_BITS {
        Err(WeakPsk { bits })
    } else {
        Ok(())
    }
}

/// Estimated entropy in bits: for each byte the logarithm of the alphabet it comes from, with
/// everything that follows a pattern counted as next to nothing.
///
/// * The alphabet is what the whole key shows: decimal or hexadecimal digits, base64, the classes
///   of characters in it (lower case, upper case, digits, the others), or any byte. It counts as no
///   larger than one from which so few different bytes could have come by chance.
/// * Of a run of 5 or more bytes that are equal, neighbours (`12345`) or neighbours on a keyboard
///   (`qwert`) only the first counts. What repeats 5 or more bytes of the key before it, whatever
///   their case, and a word that is in everybody's list of passwords count 8 bits.
/// * A key that looks like words counts 2 bits for each letter of them and 3 for what is between.
///
/// It is meant to err on the low side: 16 random bytes, as they are, in hexadecimal or in base64,
/// are about the least that passes.
#[must_use]
pub fn estimate(key: &[u8]) -> u32 {
    let key = without_padding(key);
    let full = (effective_alphabet(key) as f64).log2();
    let words = looks_like_words(key);
    let (mut bits, mut at) = (0.0, 0);
    while at < key.len() {
        let one = if words { full.min(3.0) } else { full };
        let word = letter_run(key.get(at..).unwrap_or_default());
        let (taken, worth) = match longest(key, at) {
            Some(Pattern::Run(length)) => (length, one),
            Some(Pattern::Known(length)) => (length, one.max(KNOWN)),
            None if words && word >= SHORT_WORD => (word, word as f64 * full.min(2.0)),
            None => (1, one),
        };
        bits += worth;
        at += taken.max(1);
    }
    bits.round() as u32
}

/// What a repetition or a famous word is worth, in bits: which one it is, and where.
const KNOWN: f64 = 8.0;
/// Letters in a row that may be a word, once the key looks like words.
const SHORT_WORD: usize = 3;
/// Letters in a row that make a key look like words.
const WORD: usize = 5;

/// Whether more than half of the key is letters in a row that could be spoken, with nearly as many
/// vowels as words have (three tenths; random letters have two).
fn looks_like_words(key: &[u8]) -> bool {
    let (mut letters, mut vowels) = (0, 0);
    let mut rest = key;
    while !rest.is_empty() {
        let run = letter_run(rest).max(1);
        let (word, tail) = rest.split_at_checked(run).unwrap_or((rest, &[]));
        if run >= WORD && can_be_spoken(word) {
            letters += run;
            let vowel = |byte: &&u8| b"aeiouAEIOU".contains(byte);
            vowels += word.iter().filter(vowel).count();
        }
        rest = tail;
    }
    2 * letters > key.len() && 4 * vowels >= letters
}

/// Whether there are never more than four consonants in a row.
fn can_be_spoken(word: &[u8]) -> bool {
    let mut parts = word.split(|letter| b"aeiouyAEIOUY".contains(letter));
    parts.all(|consonants| consonants.len() <= 4)
}

/// How many letters of one case the bytes start with; the first may be upper case before lower.
fn letter_run(bytes: &[u8]) -> usize {
    let lower = |bytes: &[u8]| {
        bytes
            .iter()
            .take_while(|byte| byte.is_ascii_lowercase())
            .count()
    };
    let upper = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_uppercase())
        .count();
    let capital = match bytes {
        [first, rest @ ..] if first.is_ascii_uppercase() => 1 + lower(rest),
        _ => lower(bytes),
    };
    capital.max(upper)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto::random::{Random, SeededRandom};

    #[test]
    fn what_people_think_up_is_weak() {
        for key in [
            "",
            "secret",
            "correct horse battery staple",
            "holdfast-preshared-key-for-the-mail-servers",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "0123456789abcdef0123456789abcdef",
            "abcabcabcabcabcabcabcabcabcabcabcabcabcabc",
            "Sommer2024!Sommer2024!Sommer2024!",
            "00000000000000000000000000000000",
            "Sommer2024!Winter2025!Herbst2026!",
            "Sommer2024!sommer2025!SOMMER2026!",
            "qwertyuiopasdfghjklzxcvbnm1234567890!",
            "P4ssw0rd!Secret#Welcome?Letmein$Admin1",
            "MyCompanyVPN-Berlin-Hamburg-2019-xK9",
            "0110100110010110100101100110100110010110011010010110100110010110",
            "AbCdEfGhIjKlMnOpQrStUvWxYz",
            "12345678901234567890123456789012345678",
        ] {
            let bits = estimate(key.as_bytes());
            assert!(check(key.as_bytes()).is_err(), "{key}: {bits} bits");
        }
    }

    #[test]
    fn random_keys_are_strong() {
        let mut random = SeededRandom::new(7);
        for _ in 0..2000 {
            let mut raw = [0; 32];
            random.fill(&mut raw);
            assert!(check(&raw).is_ok(), "{raw:?} {} bits", estimate(&raw));
            let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(
                check(hex.as_bytes()).is_ok(),
                "{hex}: {} bits",
                estimate(hex.as_bytes())
            );
            let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            let mut more = [0; 43];
            random.fill(&mut more);
            let base64 = more.map(|byte| letters[usize::from(byte % 64)]);
            assert!(
                check(&base64).is_ok(),
                "{} {} bits",
                String::from_utf8_lossy(&base64),
                estimate(&base64)
            );
        }
    }

    /// How many of 1000 random keys of 16 bytes are taken for weak, written in this way.
    fn refused(write: fn(&[u8; 16]) -> Vec<u8>) -> usize {
        let mut random = SeededRandom::new(8);
        let weak = (0..1000).filter(|_| {
            let mut raw = [0; 16];
            random.fill(&mut raw);
            check(&write(&raw)).is_err()
        });
        weak.count()
    }

    #[test]
    fn sixteen_random_bytes_are_nearly_always_enough_however_they_are_written() {
        let hexadecimal = |raw: &[u8; 16]| {
            let digits = raw.iter().map(|byte| format!("{byte:02x}"));
            digits.collect::<String>().into_bytes()
        };
        assert!(refused(hexadecimal) < 10, "{}", refused(hexadecimal));
        assert!(refused(|raw| raw.to_vec()) < 10);
        // Its last letter has four possible values only.
        let base64 = |raw: &[u8; 16]| {
            let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            let bits = u128::from_be_bytes(*raw);
            let letter = |place: u32| match place {
                21 => bits << 4 & 63,
                _ => bits >> (122 - 6 * place) & 63,
            };
            let text = (0..22).map(|place| letters[letter(place) as usize]);
            text.chain(*b"==").collect()
        };
        assert!(refused(base64) < 50, "{}", refused(base64));
    }

    #[test]
    fn every_letter_more_is_no_less() {
        let mut random = SeededRandom::new(9);
        for _ in 0..200 {
            let mut raw = [0; 48];
            random.fill(&mut raw);
            let text: Vec<u8> = raw.iter().map(|byte| b'!' + byte % 94).collect();
            assert!(estimate(&text) > estimate(&text[..24]));
        }
        // The longest key that a policy can have, of the worst kind, is done at once.
        assert!(estimate(&[b'a'; 256]) < 32);
    }
}
