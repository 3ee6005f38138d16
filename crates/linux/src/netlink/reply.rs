//! The kernel's answers: cutting a datagram into messages, errors with their extended text
//! (RFC 3549 §2.3.2, netlink extended acknowledgements).

/// The length of `struct nlmsghdr`.
const HEADER: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// The error's copy of the request holds its header only.
const NLM_F_CAPPED: u16 = 0x100;
/// Attributes follow the error's copy of the request.
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLMSGERR_ATTR_MSG: u16 = 1;

/// One message out of a datagram.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply<'a> {
    /// An object: its message type and what follows the netlink header.
    Object(u16, &'a [u8]),
    /// The end of a dump or the acknowledgement of a request.
    Done,
    /// A refusal: the error number and the kernel's own text.
    Refused(i32, Option<String>),
}

/// The messages of one datagram, each with its sequence number.
pub(crate) struct Replies<'a> {
    rest: &'a [u8],
}

impl<'a> Replies<'a> {
    pub(crate) fn new(datagram: &'a [u8]) -> Replies<'a> {
        Replies { rest: datagram }
    }
}

impl<'a> Iterator for Replies<'a> {
    type Item = (u32, Reply<'a>);

    fn next(&mut self) -> Option<(u32, Reply<'a>)> {
        let length = usize::try_from(u32_at(self.rest, 0)?).ok()?;
        let message = self
            .rest
            .get(..length)
            .filter(|message| message.len() >= HEADER)?;
        self.rest = self.rest.get(aligned(length)..).unwrap_or(&[]);
        let kind = u16_at(message, 4)?;
        let flags = u16_at(message, 6)?;
        let sequence = u32_at(message, 8)?;
        let body = message.get(HEADER..)?;
        let reply = match kind {
            NLMSG_ERROR | NLMSG_DONE => end(kind, flags, body),
            kind => Reply::Object(kind, body),
        };
        Some((sequence, reply))
    }
}

/// Reads an error or the end of a dump, whose bodies both begin with a negative error number.
fn end<'a>(kind: u16, flags: u16, body: &[u8]) -> Reply<'a> {
    let code = u32_at(body, 0).map_or(0, u32::cast_signed);
    if code == 0 {
        return Reply::Done;
    }
    let mut attributes = 4;
    if kind == NLMSG_ERROR {
        let request = u32_at(body, 4).and_then(|length| usize::try_from(length).ok());
        let copied = if flags & NLM_F_CAPPED != 0 {
            HEADER
        } else {
            request.unwrap_or(HEADER)
        };
        attributes += aligned(copied);
    }
    let text = (flags & NLM_F_ACK_TLVS != 0)
        .then(|| body.get(attributes..).and_then(message_text))
        .flatten();
    Reply::Refused(code.wrapping_neg(), text)
}

/// Finds the text among the attributes of an extended acknowledgement.
fn message_text(mut attributes: &[u8]) -> Option<String> {
    loop {
        let length = usize::from(u16_at(attributes, 0)?);
        let kind = u16_at(attributes, 2)?;
        let value = attributes.get(4..length)?;
        if kind == NLMSGERR_ATTR_MSG {
            let text = value.strip_suffix(&[0]).unwrap_or(value);
            return Some(String::from_utf8_lossy(text).into_owned());
        }
        attributes = attributes.get(aligned(length)..)?;
    }
}

fn aligned(length: usize) -> usize {
    length.saturating_add(3) & !3
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|bytes| u16::from_ne_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|bytes| u32::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = (16 + body.len() as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(9u32.to_ne_bytes());
        bytes.extend(0u32.to_ne_bytes());
        bytes.extend(body);
        bytes.resize(aligned(bytes.len()), 0);
        bytes
    }

    fn refusal(flags: u16) -> Vec<u8> {
        let mut body = (-22i32).to_ne_bytes().to_vec();
        let request = message(24, 0, &[7; 8]);
        body.extend(if flags & NLM_F_CAPPED != 0 {
            &request[..16]
        } else {
            &request[..]
        });
        let text = b"Invalid prefix\0";
        // An attribute of another kind first.
        body.extend(8u16.to_ne_bytes());
        body.extend(2u16.to_ne_bytes());
        body.extend([1, 2, 3, 4]);
        body.extend((4 + text.len() as u16).to_ne_bytes());
        body.extend(1u16.to_ne_bytes());
        body.extend(text);
        message(2, flags, &body)
    }

    #[test]
    fn reads_the_extended_text() {
        for flags in [NLM_F_ACK_TLVS, NLM_F_ACK_TLVS | NLM_F_CAPPED] {
            let bytes = refusal(flags);
            let replies: Vec<_> = Replies::new(&bytes).collect();
            assert_eq!(
                replies,
                [(9, Reply::Refused(22, Some("Invalid prefix".into())))]
            );
        }
        let bytes = refusal(0);
        let replies: Vec<_> = Replies::new(&bytes).collect();
        assert_eq!(replies, [(9, Reply::Refused(22, None))]);
    }

    #[test]
    fn reads_objects_and_the_end() {
        let mut bytes = message(16, 2, &[1, 2, 3]);
        bytes.extend(message(3, 2, &0i32.to_ne_bytes()));
        let replies: Vec<_> = Replies::new(&bytes).collect();
        assert_eq!(
            replies,
            [(9, Reply::Object(16, &[1, 2, 3])), (9, Reply::Done)]
        );
    }

    #[test]
    fn survives_every_cut_and_every_length() {
        let whole = refusal(NLM_F_ACK_TLVS);
        for cut in 0..whole.len() {
            assert!(Replies::new(&whole[..cut]).count() <= 1);
        }
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                assert!(Replies::new(&bytes).count() <= whole.len());
            }
        }
    }
}
