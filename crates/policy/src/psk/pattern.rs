//! Parts of a key that follow a pattern, so that who guesses needs few guesses for them.

/// Shorter runs and repetitions happen by chance in good keys.
const SHORTEST: usize = 5;

/// The rows of keyboards, in either direction.
const ROWS: [&[u8]; 8] = [
    b"qwertyuiop",
    b"qwertzuiop",
    b"asdfghjkl",
    b"zxcvbnm",
    b"yxcvbnm",
    b"azertyuiop",
    b"qsdfghjklm",
    b"1234567890",
];

/// What everybody tries first, and what is near at hand in this trade.
const FAMOUS: [&[u8]; 24] = [
    b"password",
    b"passwort",
    b"secret",
    b"geheim",
    b"welcome",
    b"letmein",
    b"changeme",
    b"admin",
    b"master",
    b"dragon",
    b"monkey",
    b"football",
    b"iloveyou",
    b"sunshine",
    b"trustno1",
    b"login",
    b"holdfast",
    b"strongswan",
    b"libreswan",
    b"ipsec",
    b"preshared",
    b"tunnel",
    b"cisco",
    b"example",
];

/// A part of a key that is not worth its length, with that length.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Equal bytes or neighbours: worth its first byte.
    Run(usize),
    /// A repetition or a famous word.
    Known(usize),
}

/// The longest pattern that begins at this place.
pub(crate) fn longest(key: &[u8], at: usize) -> Option<Pattern> {
    let rest = key.get(at..).unwrap_or_default();
    let run = sequence(rest).max(keyboard(rest));
    let known = repetition(key, at).max(famous(rest));
    match run.max(known) {
        0 => None,
        _ if run >= known => Some(Pattern::Run(run)),
        _ => Some(Pattern::Known(known)),
    }
}

/// A length that is no chance.
fn long(length: usize) -> usize {
    if length >= SHORTEST { length } else { 0 }
}

/// How many bytes from the start are all equal, or all one more or one less than the one before.
fn sequence(bytes: &[u8]) -> usize {
    let follows = |step: i16| {
        let holds = |pair: &&[u8]| match pair {
            [a, b] => i16::from(b.to_ascii_lowercase()) - i16::from(a.to_ascii_lowercase()) == step,
            _ => false,
        };
        bytes.windows(2).take_while(holds).count() + 1
    };
    let found = [0, 1, -1].into_iter().map(follows).max();
    long(found.unwrap_or(0).min(bytes.len()))
}

/// How many bytes from the start lie side by side on a keyboard.
fn keyboard(bytes: &[u8]) -> usize {
    let along = |row: &[u8]| {
        let place = |byte: &u8| row.iter().position(|key| *key == byte.to_ascii_lowercase());
        let follows = |step: isize| {
            let holds = |pair: &&[u8]| match pair {
                [a, b] => place(a)
                    .zip(place(b))
                    .is_some_and(|(a, b)| a.checked_add_signed(step) == Some(b)),
                _ => false,
            };
            bytes.windows(2).take_while(holds).count() + 1
        };
        follows(1).max(follows(-1))
    };
    let found = ROWS.into_iter().map(along).max();
    long(found.unwrap_or(0).min(bytes.len()))
}

/// How many bytes from this place stood before it, in either case.
fn repetition(key: &[u8], at: usize) -> usize {
    let rest = key.get(at..).unwrap_or_default();
    let same = |from: usize| {
        let before = key.get(from..).unwrap_or_default().iter();
        let pairs = before.zip(rest);
        pairs.take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count()
    };
    long((0..at).map(same).max().unwrap_or(0))
}

/// The length of a famous word at the start, also with digits and signs for letters.
fn famous(bytes: &[u8]) -> usize {
    let starts = |word: &&&[u8]| {
        let mut pairs = bytes.iter().zip(word.iter());
        bytes.len() >= word.len() && pairs.all(|(byte, letter)| stands_for(*byte, *letter))
    };
    let found = FAMOUS.iter().filter(starts).map(|word| word.len()).max();
    found.unwrap_or(0)
}

fn stands_for(byte: u8, letter: u8) -> bool {
    let other = match byte {
        b'0' => b"o",
        b'1' | b'!' => b"i",
        b'3' => b"e",
        b'4' | b'@' => b"a",
        b'5' | b'$' => b"s",
        b'7' => b"t",
        _ => b" ",
    };
    byte.to_ascii_lowercase() == letter || *other == [letter] || (byte == b'1' && letter == b'l')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_found_where_they_begin() {
        for (key, at, pattern) in [
            ("aaaaa", 0, Some(Pattern::Run(5))),
            ("98765x", 0, Some(Pattern::Run(5))),
            ("x8901234", 1, None),
            ("x7890", 1, None),
            ("POIUYx", 0, Some(Pattern::Run(5))),
            ("Zaq12Zaq12", 5, Some(Pattern::Known(5))),
            ("Zaq12zAQ12!", 5, Some(Pattern::Known(5))),
            ("$3cr37", 0, Some(Pattern::Known(6))),
            ("h0ldfa57x", 0, Some(Pattern::Known(8))),
            ("secre", 0, None),
            ("", 0, None),
        ] {
            assert_eq!(longest(key.as_bytes(), at), pattern, "{key}");
        }
    }
}
