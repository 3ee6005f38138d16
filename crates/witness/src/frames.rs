//! gRPC's frames: messages, each with its length before it.

use crate::limits::MESSAGE_MAX;
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// A flag (compressed or not) and 32 bits of length.
const HEAD: usize = 5;

/// A message as it is sent.
pub(crate) fn frame(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(HEAD + message.len());
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.put_slice(message);
    frame.freeze()
}

/// Puts messages together again from the pieces in which they come. Holds at most one message and
/// one piece.
#[derive(Debug, Default)]
pub(crate) struct Frames(BytesMut);

impl Frames {
    /// Takes a piece.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.0.extend_from_slice(piece);
    }

    /// The next message that is complete.
    ///
    /// # Errors
    /// A clause that follows "it sent a message that", when it is compressed, which was not agreed,
    /// or longer than [`MESSAGE_MAX`].
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, &'static str> {
        let Some((mut head, rest)) = self.0.split_at_checked(HEAD) else {
            return Ok(None);
        };
        if head.get_u8() != 0 {
            return Err("is compressed, which was not agreed");
        }
        let length = head.get_u32() as usize;
        if length > MESSAGE_MAX {
            return Err("is longer than 2 MiB; somebody else keeps large values under our prefix");
        }
        if rest.len() < length {
            return Ok(None);
        }
        self.0.advance(HEAD);
        Ok(Some(self.0.split_to(length).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_make_the_same_messages(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..10),
            piece in 1usize..100,
        ) {
            let stream: Vec<u8> = messages.iter().flat_map(|m| frame(m)).collect();
            let mut frames = Frames::default();
            let mut got = Vec::new();
            for piece in stream.chunks(piece) {
                frames.push(piece);
                while let Some(message) = frames.next().unwrap() {
                    got.push(message.to_vec());
                }
            }
            prop_assert_eq!(got, messages);
        }
    }

    #[test]
    fn long_and_compressed_messages_are_refused_at_their_heads() {
        let mut frames = Frames::default();
        frames.push(&[0, 0, 0x20, 0, 1]);
        assert!(frames.next().unwrap_err().contains("2 MiB"));
        let mut frames = Frames::default();
        frames.push(&[1, 0, 0, 0, 0]);
        assert!(frames.next().unwrap_err().contains("compressed"));
    }
}
