//! Messages on the stream: a length of four bytes, most significant first, then the message.

use crate::limits::MAX_MESSAGE;
use zeroize::Zeroizing;

/// Bytes before each message.
pub(crate) const HEADER: usize = 4;

/// A message on its way, wiped when dropped.
pub(crate) type Message = Zeroizing<Vec<u8>>;

/// A message longer than [`MAX_MESSAGE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong(pub(crate) u32);

/// The header of a message; `None` when it is too long to be sent.
pub(crate) fn header(message: &[u8]) -> Option<[u8; HEADER]> {
    let length = u32::try_from(message.len()).ok()?;
    (message.len() <= MAX_MESSAGE).then(|| length.to_be_bytes())
}

/// Takes messages out of a stream of bytes, however it is cut.
pub(crate) struct Deframer {
    header: [u8; HEADER],
    header_length: usize,
    /// The message that has begun, with its whole capacity, and its length.
    body: Option<(Message, usize)>,
}

impl Deframer {
    pub(crate) fn new() -> Self {
        Self {
            header: [0; HEADER],
            header_length: 0,
            body: None,
        }
    }

    /// Takes bytes from the front of `input` up to the end of the next message, which it gives;
    /// `None` when the input ends before.
    ///
    /// # Errors
    /// [`TooLong`]: nothing behind it can be understood.
    pub(crate) fn next(&mut self, input: &mut &[u8]) -> Result<Option<Message>, TooLong> {
        if self.body.is_none() {
            let part = cut(input, HEADER - self.header_length);
            self.header[self.header_length..][..part.len()].copy_from_slice(part);
            self.header_length += part.len();
            if self.header_length < HEADER {
                return Ok(None);
            }
            self.header_length = 0;
            let announced = u32::from_be_bytes(self.header);
            let length = announced as usize;
            if length > MAX_MESSAGE {
                return Err(TooLong(announced));
            }
            // The whole capacity at once: a vector that grows leaves copies behind.
            self.body = Some((Zeroizing::new(Vec::with_capacity(length)), length));
        }
        let Some((body, length)) = &mut self.body else {
            return Ok(None);
        };
        let part = cut(input, *length - body.len());
        body.extend_from_slice(part);
        if body.len() < *length {
            return Ok(None);
        }
        Ok(self.body.take().map(|(message, _)| message))
    }
}

/// Cuts at most `length` bytes off the front.
fn cut<'a>(input: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (part, rest) = input.split_at(length.min(input.len()));
    *input = rest;
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(message: &[u8]) -> Vec<u8> {
        [&header(message).unwrap()[..], message].concat()
    }

    #[test]
    fn messages_come_out_however_the_stream_is_cut() {
        let messages: Vec<Vec<u8>> = [0usize, 1, 3, 4, 5, 300, 0, 70_000]
            .map(|length| (0..length).map(|index| index as u8).collect())
            .into();
        let stream = messages.iter().flat_map(|message| framed(message));
        let stream: Vec<u8> = stream.collect();
        for piece in [1, 2, 3, 5, 7, 64, 4096, stream.len()] {
            let mut deframer = Deframer::new();
            let mut found = Vec::new();
            for mut input in stream.chunks(piece) {
                while let Some(message) = deframer.next(&mut input).unwrap() {
                    found.push(message.to_vec());
                }
                assert!(input.is_empty());
            }
            assert_eq!(found, messages, "pieces of {piece}");
        }
    }

    #[test]
    fn the_longest_message_passes_and_one_byte_more_does_not() {
        let longest = vec![7; MAX_MESSAGE];
        let stream = framed(&longest);
        let found = Deframer::new().next(&mut &stream[..]).unwrap().unwrap();
        assert!(*found == longest);
        assert_eq!(header(&vec![7; MAX_MESSAGE + 1]), None);
        let length = MAX_MESSAGE as u32 + 1;
        let found = Deframer::new().next(&mut &length.to_be_bytes()[..]);
        assert_eq!(found.err(), Some(TooLong(length)));
    }
}
