//! Stateless cookies: an initiator proves that it receives at its address (RFC 7296 section 2.6).

use std::net::IpAddr;
use std::time::Instant;

use crypto::hmac::HmacKey;
use crypto::{Prf, Random, Secret};

use crate::limits;
use crate::v2::puzzle::Puzzle;

const MAC: usize = 16;
/// The generation of the secret, the puzzle that belongs to the cookie, then the MAC.
const LENGTH: usize = 1 + PUZZLE + MAC;
/// The number of the PRF and the difficulty; zeros without a puzzle.
const PUZZLE: usize = 3;

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
    /// The cookie to ask for, with a puzzle if it has one. Replaces a secret that is too old.
    pub(crate) fn make(
        &mut self,
        claim: Claim<'_>,
        puzzle: Option<Puzzle>,
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
            .map(|(secret, _)| secret.cookie(claim, written(puzzle)).to_vec())
            .unwrap_or_default()
    }

    /// The puzzle of a cookie, if that is one of ours for this claim and has one.
    ///
    /// # Errors
    /// The cookie is not one of ours.
    pub(crate) fn verify(
        &self,
        claim: Claim<'_>,
        cookie: &[u8],
    ) -> Result<Option<Puzzle>, NotOurs> {
        let puzzle = cookie
            .get(1..1 + PUZZLE)
            .and_then(|octets| octets.try_into().ok());
        let puzzle = puzzle.ok_or(NotOurs)?;
        let current = self.current.as_ref().map(|(secret, _)| secret);
        let mut secrets = [current, self.previous.as_ref()].into_iter().flatten();
        let made = |secret: &CookieSecret| secret.cookie(claim, puzzle);
        match secrets.any(|secret| crypto::constant_time_eq(&made(secret), cookie)) {
            true => Ok(read(puzzle)),
            false => Err(NotOurs),
        }
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

/// A cookie that we did not make, or for somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotOurs;

fn written(puzzle: Option<Puzzle>) -> [u8; PUZZLE] {
    let Some(Puzzle { prf, difficulty }) = puzzle else {
        return [0; PUZZLE];
    };
    let [high, low] = prf.id().to_be_bytes();
    [high, low, difficulty]
}

fn read([high, low, difficulty]: [u8; PUZZLE]) -> Option<Puzzle> {
    let prf = Prf::from_id(u16::from_be_bytes([high, low]))?;
    Some(Puzzle { prf, difficulty })
}

impl CookieSecret {
    /// The generation, the puzzle, then a MAC over both and Ni | IPi | SPIi.
    fn cookie(&self, claim: Claim<'_>, puzzle: [u8; PUZZLE]) -> [u8; LENGTH] {
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
        let claimed: [&[u8]; 5] = [&[self.generation], &puzzle, claim.nonce, address, &spi];
        let (head, mac) = cookie.split_at_mut(1 + PUZZLE);
        head[1..].copy_from_slice(&puzzle);
        self.key.sign(&claimed, mac);
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
        let cookie = jar.make(good, None, now, &mut random);
        assert_eq!(jar.verify(good, &cookie), Ok(None));
        for other in [
            claim(b"other", "192.0.2.1", 7),
            claim(b"nonce", "192.0.2.2", 7),
            claim(b"nonce", "2001:db8::1", 7),
            claim(b"nonce", "192.0.2.1", 8),
        ] {
            assert_eq!(jar.verify(other, &cookie), Err(NotOurs));
        }
        assert_eq!(jar.verify(good, &cookie[..16]), Err(NotOurs));
        assert_eq!(jar.verify(good, &[]), Err(NotOurs));
    }

    #[test]
    fn nobody_can_take_the_puzzle_out_of_a_cookie_or_make_it_easier() {
        let (mut jar, mut random, now) = (CookieJar::default(), SeededRandom::new(3), start());
        let good = claim(b"nonce", "192.0.2.1", 7);
        let puzzle = Puzzle {
            prf: Prf::HmacSha2_384,
            difficulty: 17,
        };
        let cookie = jar.make(good, Some(puzzle), now, &mut random);
        assert_eq!(jar.verify(good, &cookie), Ok(Some(puzzle)));
        let plain = jar.make(good, None, now, &mut random);
        assert_eq!(plain.len(), cookie.len());
        for place in 1..4 {
            let mut other = cookie.clone();
            other[place] ^= 1;
            assert_eq!(jar.verify(good, &other), Err(NotOurs));
            let mut mixed = cookie.clone();
            mixed[1..4].copy_from_slice(&plain[1..4]);
            assert_eq!(jar.verify(good, &mixed), Err(NotOurs));
        }
    }

    #[test]
    fn a_cookie_outlives_one_change_of_the_secret_and_not_two() {
        let (mut jar, mut random, now) = (CookieJar::default(), SeededRandom::new(2), start());
        let good = claim(b"nonce", "192.0.2.1", 7);
        let is_good = |jar: &CookieJar, cookie: &[u8]| jar.verify(good, cookie).is_ok();
        let first = jar.make(good, None, now, &mut random);
        let later = now + limits::COOKIE_SECRET_LIFE;
        let second = jar.make(good, None, later, &mut random);
        assert_ne!(first, second);
        assert!(is_good(&jar, &first) && is_good(&jar, &second));
        jar.make(
            good,
            None,
            later + limits::COOKIE_SECRET_LIFE + Duration::from_secs(1),
            &mut random,
        );
        assert!(!is_good(&jar, &first) && is_good(&jar, &second));
    }

    #[test]
    fn a_jar_without_a_secret_accepts_nothing() {
        let nobody = claim(b"nonce", "192.0.2.1", 7);
        assert_eq!(
            CookieJar::default().verify(nobody, &[0; LENGTH]),
            Err(NotOurs)
        );
    }
}
