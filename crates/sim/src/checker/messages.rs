//! S2: no IKE message ID is used again with another content.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use wire::ike::{ExchangeType, Header, PayloadType};
use wire::isakmp;

/// The SPIs, who speaks, request or response, and the number.
type Name = (u64, u64, bool, bool, u32);

#[derive(Default)]
pub(crate) struct Messages {
    digests: HashMap<Name, [u8; 32]>,
    /// What was encrypted under an IV of a key, which the SPIs and the speaker name.
    ivs: HashMap<(u64, u64, bool, [u8; IV]), [u8; 32]>,
    /// What was said in an exchange of IKEv1.
    said: HashMap<Exchange, BTreeSet<[u8; 32]>>,
}

/// The cookies, who speaks, the exchange type, and the message id.
type Exchange = (u64, u64, IpAddr, u8, u32);

/// Octets of an IV that are looked at: all of an AEAD's (RFC 5282 section 3.1).
const IV: usize = 8;
/// Where it lies: behind the IKE header and that of the Encrypted payload.
const IV_AT: usize = 28 + 4;

impl Messages {
    /// An address sends an IKE message of any version.
    pub(crate) fn on_wire(&mut self, from: IpAddr, bytes: &[u8]) -> Option<String> {
        match isakmp::major_version(bytes) {
            Some(1) => self.version_1(from, bytes),
            _ => self.version_2(bytes),
        }
    }

    /// In IKEv1 a message id names an exchange, in which each side says one thing, and two in quick
    /// mode (RFC 2409 sections 5.5 and 5.7). What is not encrypted is the beginning of main mode,
    /// or a hint.
    fn version_1(&mut self, from: IpAddr, bytes: &[u8]) -> Option<String> {
        let header = match isakmp::decode_header(bytes) {
            Ok((header, _)) => header,
            Err(why) => return Some(format!("an ISAKMP message that nobody can read: {why}")),
        };
        if !header.flags.encryption {
            return None;
        }
        let most = match header.exchange {
            isakmp::ExchangeType::QUICK_MODE => 2,
            _ => 1,
        };
        let cookies = (header.initiator_cookie, header.responder_cookie);
        let (exchange, id) = (header.exchange, header.message_id);
        let said = self
            .said
            .entry((cookies.0, cookies.1, from, exchange.0, id))
            .or_default();
        said.insert(crypto::hash::sha256(&[bytes]));
        (said.len() > most).then(|| {
            format!(
                "{exchange:?} {id:08x} of {:016x} has more than {most} messages of {from}",
                cookies.0
            )
        })
    }

    /// A host sends a message of IKEv2. Only what an IKE SA protects counts: an IKE_SA_INIT request
    /// may come again with a cookie or another group (RFC 7296 section 2.6), and who does not know
    /// an IKE SA answers in clear with its numbers (section 2.21.4).
    fn version_2(&mut self, bytes: &[u8]) -> Option<String> {
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
        assert_eq!(
            messages.version_2(&message(informational, false, 2, 1)),
            None
        );
        assert_eq!(
            messages.version_2(&message(informational, false, 2, 1)),
            None
        );
        assert_eq!(
            messages.version_2(&message(informational, true, 2, 9)),
            None
        );
        assert_eq!(
            messages.version_2(&message(informational, false, 3, 9)),
            None
        );
        assert!(
            messages
                .version_2(&message(informational, false, 2, 2))
                .is_some()
        );
        let init = ExchangeType::IKE_SA_INIT;
        assert_eq!(messages.version_2(&message(init, false, 0, 1)), None);
        assert_eq!(messages.version_2(&message(init, false, 0, 2)), None);
    }

    #[test]
    fn an_exchange_of_ikev1_has_so_many_messages_of_each_side() {
        let says = |exchange: isakmp::ExchangeType, encryption, content: u8| {
            let flags = isakmp::Flags {
                encryption,
                ..isakmp::Flags::default()
            };
            let header = isakmp::Header::new(7, 8, exchange, flags, 5);
            let mut bytes = Vec::new();
            isakmp::Header {
                length: 29,
                ..header
            }
            .emit(&mut bytes);
            bytes.push(content);
            bytes
        };
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let quick = isakmp::ExchangeType::QUICK_MODE;
        let mut messages = Messages::default();
        for (from, content) in [(one, 1), (one, 1), (other, 2), (one, 3), (other, 4)] {
            let message = says(quick, true, content);
            assert_eq!(messages.on_wire(from, &message), None);
        }
        assert!(messages.on_wire(one, &says(quick, true, 5)).is_some());
        let informational = isakmp::ExchangeType::INFORMATIONAL;
        let tells = |encryption, content| says(informational, encryption, content);
        assert_eq!(messages.on_wire(one, &tells(true, 1)), None);
        assert_eq!(messages.on_wire(one, &tells(false, 2)), None);
        assert!(messages.on_wire(one, &tells(true, 3)).is_some());
    }
}
