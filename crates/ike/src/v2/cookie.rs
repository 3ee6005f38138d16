//! Stateless cookies: an initiator proves that it receives at its address (RFC 7296 section 2.6).

use std::net::IpAddr;
use std::time::Instant;

use crypto::hmac::HmacKey;
use crypto::{Prf, Random, Secret};

use crate::limits;

const MAC: usize = 16;
/// The generation of the secret, then the MAC.
const LENGTH: usize = 1 + MAC;

struct CookieSecret {
    generation: u8,
    key: HmacKey,
}

/// The secret that cookies are made from, and the one before it.
#[derive(Default)]
pub(crate) struct CookieJar {
    current: Option<(CookieSecret, Instant)>,
    previous: Option<CookieSecret>,
}

/// What a cookie is bound to.
#[derive(Clone, Copy)]
pub(crate) struct Claim<'a> {
    pub(crate) nonce: &'a [u8],
    pub(crate) address: IpAddr,
    pub(crate) initiator_spi: u64,
}

impl CookieJar {
    /// The cookie to ask for. Replaces a secret that is too old.
    pub(crate) fn make(
        &mut self,
        claim: Claim<'_>,
        now: Instant,
        random: &mut dyn Random,
    ) -> Vec<u8> {
        let age = |at: Instant| now.saturating_duration_since(at);
        let fresh = |(_, at): &(_, Instant)| age(*at) < limits::COOKIE_SECRET_LIFE;
        if !self.current.as_ref().is_some_and(fresh) {
            self.rotate(now, random);
        }
        self.current
            .as_ref()
            .map(|(secret, _)| secret.cookie(claim).to_vec())
            .unwrap_or_default()
    }

    /// Whether a cookie is one of ours for this claim.
    pub(crate) fn verify(&self, claim: Claim<'_>, cookie: &[u8]) -> bool {
        let current = self.current.as_ref().map(|(secret, _)| secret);
        [current, self.previous.as_ref()]
            .into_iter()
            .flatten()
            .any(|secret| crypto::constant_time_eq(&secret.cookie(claim), cookie))
    }

    fn rotate(&mut self, now: Instant, random: &mut dyn Random) {
        let previous = self.current.take();
        let old_enough =
            |at: &Instant| now.saturating_duration_since(*at) < 2 * limits::COOKIE_SECRET_LIFE;
        let generation = previous
            .as_ref()
            .map_or(0, |(one, _)| one.generation.wrapping_add(1));
        self.previous = previous
            .filter(|(_, at)| old_enough(at))
            .map(|(secret, _)| secret);
        let mut drawn = vec![0; 32];
        random.fill(&mut drawn);
        let drawn = Secret::new(drawn);
        let key = HmacKey::for_prf(Prf::HmacSha2_256, drawn.as_bytes());
        self.current = Some((CookieSecret { generation, key }, now));
    }
}

impl CookieSecret {
    /// The generation, then a MAC over Ni | IPi | SPIi.
    fn cookie(&self, claim: Claim<'_>) -> [u8; LENGTH] {
        let (four, sixteen);
        let address: &[u8] = match claim.address {
            IpAddr::V4(address) => {
                four = address.octets();
                &four
            }
            IpAddr::V6(address) => {
                sixteen = address.octets();
                &sixteen
            }
        };
        let spi = claim.initiator_spi.to_be_bytes();
        let mut cookie = [self.generation; LENGTH];
        let claimed: [&[u8]; 4] = [&[self.generation], claim.nonce, address, &spi];
        self.key.sign(&claimed, &mut cookie[1..]);
        cookie
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto::SeededRandom;
    use std::time::Duration;

    fn claim<'a>(nonce: &'a [u8], address: &str, initiator_spi: u64) -> Claim<'a> {
        Claim {
            nonce,
            address: address.parse().unwrap(),
            initiator_spi,
        }
    }

    #[allow(clippy::disallowed_methods)]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_cookie_is_good_for_its_claim_only() {
        let (mut jar, mut random, now) = (CookieJar::default(), SeededRandom::new(1), start());
        let good = claim(b"nonce", "192.0.2.1", 7);
        let cookie = jar.make(good, now, &mut random);
        assert!(jar.verify(good, &cookie));
        assert!(!jar.verify(claim(b"other", "192.0.2.1", 7), &cookie));
        assert!(!jar.verify(claim(b"nonce", "192.0.2.2", 7), &cookie));
        assert!(!jar.verify(claim(b"nonce", "2001:db8::1", 7), &cookie));
        assert!(!jar.verify(claim(b"nonce", "192.0.2.1", 8), &cookie));
        assert!(!jar.verify(good, &cookie[..16]));
        assert!(!jar.verify(good, &[]));
    }

    #[test]
    fn a_cookie_outlives_one_change_of_the_secret_and_not_two() {
        let (mut jar, mut random, now) = (CookieJar::default(), SeededRandom::new(2), start());
        let good = claim(b"nonce", "192.0.2.1", 7);
        let first = jar.make(good, now, &mut random);
        let later = now + limits::COOKIE_SECRET_LIFE;
        let second = jar.make(good, later, &mut random);
        assert_ne!(first, second);
        assert!(jar.verify(good, &first) && jar.verify(good, &second));
        jar.make(
            good,
            later + limits::COOKIE_SECRET_LIFE + Duration::from_secs(1),
            &mut random,
        );
        assert!(!jar.verify(good, &first) && jar.verify(good, &second));
    }

    #[test]
    fn a_jar_without_a_secret_accepts_nothing() {
        assert!(!CookieJar::default().verify(claim(b"nonce", "192.0.2.1", 7), &[]));
    }
}
