//! What IKE_INTERMEDIATE leaves behind on both sides: the octets of it that AUTH covers (RFC 9242
//! section 3.3.2).

use crypto::{DhKeyPair, Secret};
use wire::ike::{Header, PayloadType};

use crate::error::Misbehaved;
use crate::v2::contents::Contents;
use crate::v2::keys::Keys;
use crate::v2::message::Inner;

/// Octets of the header of every payload.
const GENERIC_HEADER: usize = 4;

/// IntAuth_i and IntAuth_r, so far.
#[derive(Default)]
pub(crate) struct IntAuth {
    initiator: Vec<u8>,
    responder: Vec<u8>,
}

impl IntAuth {
    /// Takes note of a message, with the keys that protect it. Lengths are what they would be
    /// without encryption and fragments, so that both sides see the same octets.
    pub(crate) fn note(&mut self, keys: &Keys, header: &Header, inner: &Inner) {
        let by_initiator = header.flags.initiator;
        let payload = GENERIC_HEADER + inner.text.len();
        let mut octets = Vec::with_capacity(Header::LENGTH + GENERIC_HEADER);
        Header {
            next_payload: PayloadType::ENCRYPTED,
            length: (Header::LENGTH + payload) as u32,
            ..*header
        }
        .emit(&mut octets);
        let [high, low] = (payload as u16).to_be_bytes();
        octets.extend_from_slice(&[inner.first.0, 0, high, low]);
        let so_far = match by_initiator {
            true => &mut self.initiator,
            false => &mut self.responder,
        };
        let prf = keys.suite().prf;
        let parts = [&so_far[..], &octets, &inner.text];
        *so_far = prf
            .compute(keys.sk_p(by_initiator), &parts)
            .as_bytes()
            .to_vec();
    }

    /// What AUTH covers, with the message id of IKE_AUTH: nothing, if there was no such exchange.
    pub(crate) fn octets(&self, message_id: u32) -> Vec<u8> {
        if self.initiator.is_empty() {
            return Vec::new();
        }
        [
            &self.initiator[..],
            &self.responder,
            &message_id.to_be_bytes(),
        ]
        .concat()
    }
}

/// The secret of an additional key exchange that the peer answered.
///
/// # Errors
/// The answer is not one to this exchange.
pub(crate) fn answer_of(dh: DhKeyPair, contents: &Contents<'_>) -> Result<Secret, Misbehaved> {
    let ke = contents.ke()?;
    if ke.group != dh.group().id() {
        return Err(Misbehaved::ChoseWhatWasNotOffered);
    }
    dh.agree(&ke.data).map_err(|_| Misbehaved::KeyExchange)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v2::fragments::Fragments;
    use crate::v2::keys::{Nonces, Spis};
    use crate::v2::message::{open, protect_inner};
    use crypto::{Encryption, Group, Integrity, Prf};
    use policy::Additional;
    use policy::proposal::IkeSuite;
    use wire::ike::{ExchangeType, Flags, Payload, VendorId, decode};

    fn keys(aead: bool) -> Keys {
        let encryption = match aead {
            true => Encryption::AesGcm16 { key_bits: 256 },
            false => Encryption::AesCbc { key_bits: 128 },
        };
        let suite = IkeSuite {
            encryption,
            integrity: (!aead).then_some(Integrity::HmacSha2_256_128),
            prf: Prf::HmacSha2_256,
            group: Group::Curve25519,
            additional: Additional::NONE,
        };
        let (initiator, responder) = (&b"one"[..], &b"another"[..]);
        let nonces = Nonces {
            initiator,
            responder,
        };
        let spis = Spis {
            initiator: 1,
            responder: 2,
        };
        Keys::initial(suite, &Secret::from_slice(b"shared"), nonces, spis)
    }

    fn header(initiator: bool, message_id: u32) -> Header {
        let flags = Flags {
            initiator,
            version: false,
            response: !initiator,
        };
        Header::new(1, 2, ExchangeType::IKE_INTERMEDIATE, flags, message_id)
    }

    fn inner(octets: usize) -> Inner {
        Inner::of(&[Payload::VendorId(VendorId(vec![7; octets]))]).unwrap()
    }

    /// However a message travels, both sides take the same note of it.
    #[test]
    fn cipher_padding_and_fragments_do_not_show() {
        for (aead, longest) in [
            (true, None),
            (false, None),
            (true, Some(300)),
            (false, Some(333)),
        ] {
            let (mut sender, receiver) = (keys(aead), keys(aead));
            let (mut ours, mut theirs) = (IntAuth::default(), IntAuth::default());
            for (initiator, id) in [(true, 1), (false, 1), (true, 2), (false, 2)] {
                let (header, inner) = (header(initiator, id), inner(1_000));
                ours.note(&sender, &header, &inner);
                let sealed = protect_inner(&mut sender, &header, &inner, longest).unwrap();
                assert_eq!(sealed.len() > 1, longest.is_some());
                let mut fragments = Fragments::new(true);
                for octets in &sealed {
                    let decoded = decode(octets).unwrap();
                    if let Some(opened) = open(&receiver, &mut fragments, &decoded).unwrap() {
                        theirs.note(&receiver, &decoded.header, &opened.inner);
                    }
                }
            }
            assert_eq!(ours.octets(3), theirs.octets(3));
            assert_eq!(ours.octets(3).len(), 32 + 32 + 4);
        }
    }

    #[test]
    fn every_part_counts_and_nothing_is_nothing() {
        let noted = |messages: &[(bool, u32, usize)]| {
            let mut int_auth = IntAuth::default();
            for (initiator, id, octets) in messages {
                int_auth.note(&keys(true), &header(*initiator, *id), &inner(*octets));
            }
            int_auth.octets(9)
        };
        assert!(noted(&[]).is_empty());
        let all = [
            noted(&[(true, 1, 20), (false, 1, 20)]),
            noted(&[(true, 1, 21), (false, 1, 20)]),
            noted(&[(true, 1, 20), (false, 1, 21)]),
            noted(&[(true, 2, 20), (false, 1, 20)]),
            noted(&[(true, 1, 20), (false, 1, 20), (true, 1, 20)]),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(!all[index + 1..].contains(one), "{index}");
        }
    }
}
