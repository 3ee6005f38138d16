//! Tickets by value: what is needed to resume an IKE SA, sealed for ourselves and kept by the peer
//! (RFC 5723 section 6 and appendix A).

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use crypto::{Encryption, Group, Integrity, OpeningKey, Prf, Random, SealingKey, Secret, prf_plus};
use policy::additional::{self, Additional};
use policy::identity::Identity;
use policy::proposal::IkeSuite;
use zeroize::Zeroizing;

use crate::ticket_keys::{TicketKey, TicketKeys};

/// The format. Another one is another number.
const VERSION: u8 = 2;
/// Version, key id and the name of the ticket.
const HEADER: usize = 1 + 4 + NAME;
/// Octets of a ticket's name.
const NAME: usize = 32;
const CIPHER: Encryption = Encryption::AesGcm16 { key_bits: 256 };
const ICV: usize = 16;
/// Every ticket has a key of its own, so that this one is used once.
const IV: [u8; 8] = [0; 8];

/// A ticket that a peer granted us, with what only we know of it.
pub(crate) struct Held {
    pub(crate) ticket: Vec<u8>,
    pub(crate) until: Instant,
    pub(crate) suite: IkeSuite,
    /// SK_d of the IKE SA for which it was granted.
    pub(crate) sk_d: Secret,
    pub(crate) remote_id: Identity,
}

/// Random octets that name a ticket.
pub(crate) type Name = [u8; NAME];

/// What is in a ticket of ours.
pub(crate) struct Contents {
    /// When it expires, in seconds since 1970.
    pub(crate) expires: u64,
    pub(crate) suite: IkeSuite,
    pub(crate) sk_d: Secret,
    /// Who got it, and who we were.
    pub(crate) holder: Identity,
    pub(crate) granter: Identity,
    /// The [binding](policy::RemoteAuth::binding) of what the holder had authenticated with.
    pub(crate) binding: [u8; 32],
}

/// Seals a ticket under the newest key. `None` when there is no key, or an identity is too long.
pub(crate) fn seal(
    keys: &TicketKeys,
    contents: &Contents,
    random: &mut dyn Random,
) -> Option<Vec<u8>> {
    let key = keys.keys.first()?;
    let mut name = [0; NAME];
    random.fill(&mut name);
    let header = [&[VERSION][..], &key.id.to_be_bytes(), &name].concat();
    let mut text = contents.encode()?;
    let mut icv = [0; ICV];
    let octets = ticket_key(key, &name)?;
    let sealing = SealingKey::new(CIPHER, None, octets.as_bytes(), &[]).ok()?;
    sealing.seal(&IV, &header, &[], &mut text, &mut icv).ok()?;
    Some([&header[..], &text, &icv].concat())
}

/// Opens a ticket of ours, whichever member granted it, if it has not expired.
pub(crate) fn open(keys: &TicketKeys, ticket: &[u8], now: Instant) -> Option<(Name, Contents)> {
    let (header, rest) = ticket.split_at_checked(HEADER)?;
    let (version, rest_of_header) = header.split_first()?;
    let (id, name) = rest_of_header.split_first_chunk::<4>()?;
    let (id, name) = (u32::from_be_bytes(*id), Name::try_from(name).ok()?);
    let key = keys.keys.iter().find(|key| key.id == id)?;
    if *version != VERSION {
        return None;
    }
    let (text, icv) = rest.split_at_checked(rest.len().checked_sub(ICV)?)?;
    let octets = ticket_key(key, &name)?;
    let opening = OpeningKey::new(CIPHER, None, octets.as_bytes(), &[]).ok()?;
    let mut text = Zeroizing::new(text.to_vec());
    opening.open(&IV, header, &[], &mut text, icv).ok()?;
    let contents = Contents::decode(&text)?;
    (contents.expires > keys.seconds(now)).then_some((name, contents))
}

fn ticket_key(key: &TicketKey, name: &Name) -> Option<Secret> {
    let seed = [&b"session ticket"[..], name];
    let secret = key.secret.as_bytes();
    prf_plus(Prf::HmacSha2_256, secret, &seed, CIPHER.key_length()).ok()
}

/// A length before its octets.
const LENGTH: usize = 2;

impl Contents {
    fn encode(&self) -> Option<Zeroizing<Vec<u8>>> {
        let expires = self.expires.to_be_bytes();
        let suite = encode_suite(self.suite);
        let (holder, granter) = (encode_id(&self.holder)?, encode_id(&self.granter)?);
        let parts = [&expires[..], &suite, &self.binding, &holder, &granter];
        // Put together at once: a vector that grows would leave parts of the key behind.
        let all = [parts.concat().as_slice(), self.sk_d.as_bytes()].concat();
        Some(Zeroizing::new(all))
    }

    fn decode(text: &[u8]) -> Option<Self> {
        let (expires, rest) = text.split_first_chunk()?;
        let (suite, rest) = rest.split_first_chunk()?;
        let (binding, rest) = rest.split_first_chunk()?;
        let (holder, rest) = decode_id(rest)?;
        let (granter, sk_d) = decode_id(rest)?;
        let suite = decode_suite(*suite)?;
        (sk_d.len() == suite.prf.output_length()).then(|| Contents {
            expires: u64::from_be_bytes(*expires),
            suite,
            sk_d: Secret::from_slice(sk_d),
            holder,
            granter,
            binding: *binding,
        })
    }
}

/// Octets of the numbers of a suite: five, and one for each additional key exchange.
const SUITE: usize = 2 * (5 + additional::MOST);

/// Transform ids of IANA: cipher and its key length, integrity, PRF, group, additional key
/// exchanges; 0 for none.
fn encode_suite(suite: IkeSuite) -> [u8; SUITE] {
    let numbers = [
        suite.encryption.id(),
        suite.encryption.key_bits_attribute().unwrap_or(0),
        suite.integrity.map_or(0, Integrity::id),
        suite.prf.id(),
        suite.group.id(),
    ];
    let mut octets = [0; SUITE];
    let places = octets.chunks_mut(2);
    let numbers = numbers.into_iter().chain(suite.additional.ids());
    for (place, number) in places.zip(numbers) {
        place.copy_from_slice(&number.to_be_bytes());
    }
    octets
}

fn decode_suite(octets: [u8; SUITE]) -> Option<IkeSuite> {
    let (numbers, _) = octets.as_chunks::<2>();
    let [cipher, key_bits, integrity, prf, group, additional @ ..] = numbers else {
        return None;
    };
    let number = |octets: &[u8; 2]| u16::from_be_bytes(*octets);
    let additional: [[u8; 2]; additional::MOST] = additional.try_into().ok()?;
    let some = |octets| Some(number(octets)).filter(|number| *number != 0);
    let integrity = match some(integrity) {
        Some(id) => Some(Integrity::from_id(id)?),
        None => None,
    };
    Some(IkeSuite {
        encryption: Encryption::from_id(number(cipher), some(key_bits))?,
        integrity,
        prf: Prf::from_id(number(prf))?,
        group: Group::from_id(number(group))?,
        additional: Additional::from_ids(additional.map(u16::from_be_bytes))?,
    })
}

fn encode_id(identity: &Identity) -> Option<Vec<u8>> {
    if *identity == Identity::Any {
        return None;
    }
    // The address stands in for `Any` only.
    let (kind, data) = identity.to_wire(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let length = u16::try_from(data.len()).ok()?.to_be_bytes();
    Some([&[kind][..], &length, &data].concat())
}

fn decode_id(octets: &[u8]) -> Option<(Identity, &[u8])> {
    let (kind, rest) = octets.split_first()?;
    let (length, rest) = rest.split_first_chunk::<LENGTH>()?;
    let (data, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some((Identity::from_wire(*kind, data), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto::SeededRandom;
    use std::sync::Arc;
    use std::time::Duration;

    fn keys(ids: &[u32], now: Instant) -> TicketKeys {
        let key = |id: &u32| {
            let secret = Secret::from_slice(&[*id as u8; 32]);
            Arc::new(TicketKey { id: *id, secret })
        };
        TicketKeys {
            keys: ids.iter().map(key).collect(),
            clock: (now, 1_000),
            lifetime: Duration::from_secs(100),
        }
    }

    fn contents(encryption: Encryption, integrity: Option<Integrity>) -> Contents {
        Contents {
            expires: 1_100,
            suite: IkeSuite {
                encryption,
                integrity,
                prf: Prf::HmacSha2_384,
                group: Group::Ecp256,
                additional: Additional::from_ids([36, 0, 37, 0, 0, 0, 0]).unwrap(),
            },
            sk_d: Secret::from_slice(&[9; 48]),
            holder: Identity::Fqdn("front.example".to_owned()),
            granter: Identity::Address("2001:db8::1".parse().unwrap()),
            binding: [4; 32],
        }
    }

    #[allow(clippy::disallowed_methods)]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn every_suite_comes_back() {
        let (now, mut random) = (start(), SeededRandom::new(1));
        for encryption in Encryption::ALL {
            let integrity = (!encryption.is_aead()).then_some(Integrity::HmacSha2_512_256);
            let before = contents(encryption, integrity);
            let sealed = seal(&keys(&[1], now), &before, &mut random).unwrap();
            let (_, after) = open(&keys(&[1], now), &sealed, now).unwrap();
            assert_eq!((after.suite, after.expires), (before.suite, 1_100));
            assert_eq!(
                (&after.holder, &after.granter),
                (&before.holder, &before.granter)
            );
            assert_eq!(after.binding, before.binding);
            assert!(after.sk_d.constant_time_eq(&before.sk_d));
        }
    }

    #[test]
    fn older_keys_open_and_unknown_ones_do_not() {
        let (now, mut random) = (start(), SeededRandom::new(2));
        let before = contents(Encryption::ChaCha20Poly1305, None);
        let sealed = seal(&keys(&[1], now), &before, &mut random).unwrap();
        assert!(open(&keys(&[3, 2, 1], now), &sealed, now).is_some());
        assert!(open(&keys(&[3, 2], now), &sealed, now).is_none());
        let mut false_friend = keys(&[1], now);
        false_friend.keys = vec![Arc::new(TicketKey {
            id: 1,
            secret: Secret::from_slice(&[8; 32]),
        })];
        assert!(open(&false_friend, &sealed, now).is_none());
        assert!(seal(&keys(&[], now), &before, &mut random).is_none());
    }

    #[test]
    fn it_expires_at_the_same_time_everywhere() {
        let (now, mut random) = (start(), SeededRandom::new(3));
        let before = contents(Encryption::ChaCha20Poly1305, None);
        let here = keys(&[1], now);
        let sealed = seal(&here, &before, &mut random).unwrap();
        assert!(open(&here, &sealed, now + Duration::from_secs(99)).is_some());
        assert!(open(&here, &sealed, now + Duration::from_secs(100)).is_none());
        // A member that came up later counts its own moments.
        let mut there = keys(&[1], now + Duration::from_secs(5_000));
        there.clock.1 = 1_099;
        assert!(open(&there, &sealed, there.clock.0).is_some());
        there.clock.1 = 1_100;
        assert!(open(&there, &sealed, there.clock.0).is_none());
    }

    #[test]
    fn no_changed_bit_and_no_shorter_ticket_opens() {
        let (now, mut random) = (start(), SeededRandom::new(4));
        let keys = keys(&[1], now);
        let before = contents(Encryption::AesGcm16 { key_bits: 128 }, None);
        let sealed = seal(&keys, &before, &mut random).unwrap();
        for length in 0..sealed.len() {
            assert!(open(&keys, &sealed[..length], now).is_none());
        }
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&keys, &changed, now).is_none(), "{bit}");
        }
        let again = seal(&keys, &before, &mut random).unwrap();
        assert_ne!(sealed, again);
        assert_eq!(open(&keys, &again, now).unwrap().0, again[5..37]);
        assert!(
            !sealed.windows(8).any(|octets| octets == [9; 8]),
            "SK_d is not to be seen"
        );
    }
}
