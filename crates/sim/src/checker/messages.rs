//! S2: no IKE message ID is used again with another content.

use std::collections::HashMap;

use wire::ike::{ExchangeType, Header, PayloadType};

/// The SPIs, who speaks, request or response, and the number.
type Name = (u64, u64, bool, bool, u32);

#[derive(Default)]
pub(crate) struct Messages {
    digests: HashMap<Name, [u8; 32]>,
    /// What was encrypted under an IV of a key, which the SPIs and the speaker name.
    ivs: HashMap<(u64, u64, bool, [u8; IV]), [u8; 32]>,
}

/// Octets of an IV that are looked at: all of an AEAD's (RFC 5282 section 3.1).
const IV: usize = 8;
/// Where it lies: behind the IKE header and that of the Encrypted payload.
const IV_AT: usize = 28 + 4;

impl Messages {
    /// A host sends an IKE message. Only what an IKE SA protects counts: an IKE_SA_INIT request may
    /// come again with a cookie or another group (RFC 7296 section 2.6), and who does not know an
    /// IKE SA answers in clear with its numbers (section 2.21.4).
    pub(crate) fn on_wire(&mut self, bytes: &[u8]) -> Option<String> {
        let header = match Header::parse(bytes) {
            Ok(header) => header,
            Err(why) => return Some(format!("an IKE message that nobody can read: {why}")),
        };
        let in_clear = header.next_payload != PayloadType::ENCRYPTED;
        if in_clear || header.exchange == ExchangeType::IKE_SA_INIT {
            return None;
        }
        let Header {
            initiator_spi,
            responder_spi,
            flags,
            message_id,
            ..
        } = header;
        let name = (
            initiator_spi,
            responder_spi,
            flags.initiator,
            flags.response,
            message_id,
        );
        let digest = crypto::hash::sha256(&[bytes]);
        if let Some(iv) = bytes.get(IV_AT..).and_then(|rest| rest.first_chunk::<IV>()) {
            let name = (initiator_spi, responder_spi, flags.initiator, *iv);
            let first = *self.ivs.entry(name).or_insert(digest);
            if first != digest {
                return Some(format!(
                    "an IV of {initiator_spi:016x} is used again, for message {message_id}"
                ));
            }
        }
        let first = *self.digests.entry(name).or_insert(digest);
        (first != digest).then(|| {
            let kind = if flags.response {
                "response"
            } else {
                "request"
            };
            format!("{kind} {message_id} of {initiator_spi:016x} is sent with another content")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::ike::Flags;

    fn message(exchange: ExchangeType, response: bool, id: u32, content: u8) -> Vec<u8> {
        let flags = Flags {
            initiator: true,
            version: false,
            response,
        };
        let header = Header::new(7, 8, exchange, flags, id);
        let mut bytes = Vec::new();
        let next_payload = PayloadType::ENCRYPTED;
        Header {
            length: 29,
            next_payload,
            ..header
        }
        .emit(&mut bytes);
        bytes.push(content);
        bytes
    }

    #[test]
    fn the_same_number_must_have_the_same_content() {
        let mut messages = Messages::default();
        let informational = ExchangeType::INFORMATIONAL;
        assert_eq!(messages.on_wire(&message(informational, false, 2, 1)), None);
        assert_eq!(messages.on_wire(&message(informational, false, 2, 1)), None);
        assert_eq!(messages.on_wire(&message(informational, true, 2, 9)), None);
        assert_eq!(messages.on_wire(&message(informational, false, 3, 9)), None);
        assert!(
            messages
                .on_wire(&message(informational, false, 2, 2))
                .is_some()
        );
        let init = ExchangeType::IKE_SA_INIT;
        assert_eq!(messages.on_wire(&message(init, false, 0, 1)), None);
        assert_eq!(messages.on_wire(&message(init, false, 0, 2)), None);
    }
}
