//! Bytes that are wiped when dropped and cannot be printed, cloned or compared by accident.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::random::Random;

/// Secret bytes on the heap, wiped on drop.
///
/// There is no `Debug`, `Clone` or `PartialEq`: a secret is never printed, a copy is always
/// asked for by name ([`Secret::duplicate`]), a comparison never leaks where it differed.
///
/// ```compile_fail
/// println!("{:?}", crypto::Secret::empty());
/// ```
///
/// ```compile_fail
/// let copy = crypto::Secret::empty().clone();
/// ```
///
/// ```compile_fail
/// let equal = crypto::Secret::empty() == crypto::Secret::empty();
/// ```
pub struct Secret(Zeroizing<Box<[u8]>>);

impl Secret {
    /// Takes over the bytes. The vector must not have been grown on the way here: the buffers a
    /// growing vector leaves behind are not wiped.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        let mut bytes = Zeroizing::new(bytes);
        let exact = match bytes.capacity() == bytes.len() {
            true => std::mem::take(&mut *bytes).into_boxed_slice(),
            // To cut it to its size would leave the octets behind, unwiped, if it moved.
            false => Box::from(&bytes[..]),
        };
        Secret(Zeroizing::new(exact))
    }

    /// An empty secret, such as the integrity key that goes with an AEAD.
    #[must_use]
    pub fn empty() -> Self {
        Secret::new(Vec::new())
    }

    /// Copies the bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Self {
        Secret::new(bytes.to_vec())
    }

    /// Copies the parts, one behind the other, into one secret.
    #[must_use]
    pub fn joined(parts: &[&[u8]]) -> Self {
        // `concat` allocates once, so nothing is left behind by a growing vector.
        Secret::new(parts.concat())
    }

    /// `length` bytes from the caller's generator.
    #[must_use]
    pub fn random(length: usize, random: &mut dyn Random) -> Self {
        let mut bytes = vec![0; length];
        random.fill(&mut bytes);
        Secret::new(bytes)
    }

    /// The bytes themselves. Do not copy them into anything that is not wiped.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A second copy, for the few places that need one: replication and pre-shared keys.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Secret::from_slice(self.as_bytes())
    }

    /// Whether the bytes are equal, in time that depends on the lengths only.
    #[must_use]
    pub fn constant_time_eq(&self, other: &Secret) -> bool {
        self.as_bytes().ct_eq(other.as_bytes()).into()
    }

    /// Cuts the secret into consecutive pieces, as SK_d, SK_ai, ... are taken from a key stream
    /// (RFC 7296 section 2.14). A length of 0 gives an empty piece.
    ///
    /// # Errors
    /// [`WrongSplit`] unless the lengths add up to exactly the length of the secret.
    pub fn split(&self, lengths: &[usize]) -> Result<Vec<Secret>, WrongSplit> {
        let wanted = lengths
            .iter()
            .fold(0usize, |sum, length| sum.saturating_add(*length));
        let wrong = WrongSplit {
            wanted,
            available: self.len(),
        };
        if wanted != self.len() {
            return Err(wrong);
        }
        let mut rest = self.as_bytes();
        let mut pieces = Vec::with_capacity(lengths.len());
        for length in lengths {
            let (piece, tail) = rest.split_at_checked(*length).ok_or(wrong)?;
            pieces.push(Secret::from_slice(piece));
            rest = tail;
        }
        Ok(pieces)
    }
}

/// The pieces asked for do not add up to the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongSplit {
    /// Sum of the lengths asked for, in bytes.
    pub wanted: usize,
    /// Length of the secret, in bytes.
    pub available: usize,
}

impl fmt::Display for WrongSplit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WrongSplit { wanted, available } = self;
        write!(
            f,
            "a secret of {available} bytes cannot be cut into pieces of {wanted} in total"
        )
    }
}

impl std::error::Error for WrongSplit {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_gives_the_pieces_in_order() {
        let secret = Secret::new((0..10).collect());
        let pieces = secret.split(&[3, 0, 7]).unwrap();
        let bytes: Vec<&[u8]> = pieces.iter().map(Secret::as_bytes).collect();
        assert_eq!(bytes, [&[0, 1, 2][..], &[], &[3, 4, 5, 6, 7, 8, 9]]);
    }

    #[test]
    fn split_refuses_lengths_that_do_not_add_up() {
        let secret = Secret::new(vec![1; 10]);
        for (lengths, wanted) in [
            (&[3, 8][..], 11),
            (&[3, 6], 9),
            (&[], 0),
            (&[usize::MAX, 11], usize::MAX),
        ] {
            let expected = WrongSplit {
                wanted,
                available: 10,
            };
            assert_eq!(secret.split(lengths).err(), Some(expected));
        }
    }

    #[test]
    fn spare_room_is_not_kept() {
        let mut roomy = Vec::with_capacity(64);
        roomy.extend_from_slice(b"abc");
        assert_eq!(Secret::new(roomy).as_bytes(), b"abc");
        assert_eq!(std::mem::size_of::<Secret>(), 16);
    }

    #[test]
    fn joined_duplicate_and_comparison_agree() {
        let secret = Secret::joined(&[b"ab", b"", b"c"]);
        assert!(secret.constant_time_eq(&Secret::from_slice(b"abc")));
        assert!(secret.constant_time_eq(&secret.duplicate()));
        assert!(!secret.constant_time_eq(&Secret::from_slice(b"abd")));
        assert!(!secret.constant_time_eq(&Secret::from_slice(b"abcd")));
    }
}
