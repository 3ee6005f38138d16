//! The ESP trailer: padding, its length and the next header (RFC 4303 sections 2.4 to 2.6).

use std::fmt;

/// Octets of the trailer without its padding.
pub const TRAILER: usize = 2;

/// Padding counts 1, 2, 3, ... up to 255, the most that its length can say.
const PADDING: [u8; 255] = {
    let mut padding = [0; 255];
    let mut index = 0;
    while index < 255 {
        padding[index] = index as u8 + 1;
        index += 1;
    }
    padding
};

/// What decrypted octets end with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// Octets of the payload before the padding.
    pub payload_length: usize,
    /// The payload's protocol; 59 for a dummy packet.
    pub next_header: u8,
}

/// Decrypted octets that do not end with a right trailer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedTrailer;

impl fmt::Display for MalformedTrailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the padding is longer than the packet or is not 1, 2, 3 and so on")
    }
}

impl std::error::Error for MalformedTrailer {}

impl Trailer {
    /// Reads the trailer at the end of decrypted octets and checks the padding's content.
    ///
    /// # Errors
    /// When the padding does not fit or does not count 1, 2, 3, ...
    #[inline]
    pub fn parse(plaintext: &[u8]) -> Result<Trailer, MalformedTrailer> {
        let (rest, &[length, next_header]) = plaintext
            .split_last_chunk::<TRAILER>()
            .ok_or(MalformedTrailer)?;
        let length = usize::from(length);
        let payload_length = rest.len().checked_sub(length).ok_or(MalformedTrailer)?;
        if rest.get(payload_length..) != PADDING.get(..length) {
            return Err(MalformedTrailer);
        }
        Ok(Trailer {
            payload_length,
            next_header,
        })
    }
}

/// How many octets of padding a payload needs, so that with its trailer it fills whole blocks of
/// the cipher and whole words of four octets. `block` is 1 for a cipher without blocks.
#[inline]
pub fn padding(payload_length: usize, block: usize) -> usize {
    let length = payload_length + TRAILER;
    length.next_multiple_of(block.max(4)) - length
}

/// Writes padding, its length and the next header into `room`, exactly as long as all three.
/// False, and nothing written, when that is under 2 or over 257 octets.
#[inline]
pub fn write_trailer(room: &mut [u8], next_header: u8) -> bool {
    let Some((padding, end)) = room.split_last_chunk_mut::<TRAILER>() else {
        return false;
    };
    let Some(pattern) = PADDING.get(..padding.len()) else {
        return false;
    };
    padding.copy_from_slice(pattern);
    *end = [padding.len() as u8, next_header];
    true
}
