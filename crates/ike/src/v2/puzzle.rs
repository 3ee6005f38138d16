//! Client puzzles: an initiator shows that it has done some work (RFC 8019 sections 3 and 7.1).
//!
//! A solution is four different keys of one length, for each of which the PRF of the cookie ends
//! with as many zero bits as were asked for. To check it costs one to four HMACs and no memory.

use std::time::Instant;

use crypto::Prf;
use crypto::hmac::{HmacKey, MAX_OUTPUT};
use wire::ike::{Notify, Payload};

use crate::limits;

/// Keys of a solution.
const KEYS: usize = 4;
/// Octets of the keys that we try: more than the hardest puzzle needs.
const KEY: usize = 4;
/// Keys that are tried for a puzzle of no bits, twice as many for each bit more: four times what
/// four keys take on average.
const PATIENCE: u32 = 16;

/// A puzzle that we can pose, check and solve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Puzzle {
    pub(crate) prf: Prf,
    pub(crate) difficulty: u8,
}

impl Puzzle {
    /// The payload that poses it.
    pub(crate) fn payload(self) -> Payload {
        let (prf, difficulty) = (self.prf.id(), self.difficulty);
        Payload::Notify(wire::ike::Puzzle { prf, difficulty }.to_notify())
    }

    /// A puzzle of a peer; `None` if we do not know its PRF or it is too hard for us.
    pub(crate) fn of(notify: &Notify) -> Option<Self> {
        let wire::ike::Puzzle { prf, difficulty } = wire::ike::Puzzle::of(notify)?;
        let prf = Prf::from_id(prf).filter(|prf| !prf.is_legacy())?;
        (difficulty <= limits::PUZZLE_DIFFICULTY).then_some(Puzzle { prf, difficulty })
    }

    /// Whether the octets of a PS payload solve it for a cookie.
    pub(crate) fn is_solved(self, cookie: &[u8], solution: &[u8]) -> bool {
        let length = solution.len() / KEYS;
        let fits = (1..=self.prf.output_length()).contains(&length);
        if !fits || !solution.len().is_multiple_of(KEYS) {
            return false;
        }
        let keys = || solution.chunks_exact(length);
        let is_new = |(place, key): (usize, &[u8])| !keys().take(place).any(|other| other == key);
        keys().enumerate().all(is_new) && keys().all(|key| self.fits(cookie, key))
    }

    fn fits(self, cookie: &[u8], key: &[u8]) -> bool {
        let mut output = [0; MAX_OUTPUT];
        HmacKey::for_prf(self.prf, key).sign(&[cookie], &mut output);
        let digest = output.get(..self.prf.output_length()).unwrap_or_default();
        zero_bits(digest) >= u32::from(self.difficulty)
    }
}

/// Zero bits at the end.
fn zero_bits(octets: &[u8]) -> u32 {
    let mut bits = 0;
    for octet in octets.iter().rev() {
        bits += octet.trailing_zeros();
        if *octet != 0 {
            break;
        }
    }
    bits
}

/// A puzzle that we are solving, a little at a time.
pub(crate) struct Solver {
    puzzle: Puzzle,
    pub(crate) cookie: Vec<u8>,
    found: Vec<u8>,
    next: u32,
    /// When the next part of the work is due.
    pub(crate) due: Instant,
}

/// What came of a part of the work.
pub(crate) enum Progress {
    /// There is more to do.
    Working,
    /// The octets of the PS payload.
    Solved(Vec<u8>),
    /// Luck has left us: we go on without.
    GivenUp,
}

impl Solver {
    pub(crate) fn new(puzzle: Puzzle, cookie: Vec<u8>, now: Instant) -> Self {
        Solver {
            puzzle,
            cookie,
            found: Vec::with_capacity(KEYS * KEY),
            next: 0,
            due: now,
        }
    }

    /// Tries a few keys.
    pub(crate) fn work(&mut self, now: Instant) -> Progress {
        let most = PATIENCE << self.puzzle.difficulty.min(limits::PUZZLE_DIFFICULTY);
        let end = self.next.saturating_add(limits::PUZZLE_CHUNK).min(most);
        while self.next < end {
            let key = self.next.to_be_bytes();
            self.next += 1;
            if self.puzzle.fits(&self.cookie, &key) {
                self.found.extend_from_slice(&key);
            }
            if self.found.len() == KEYS * KEY {
                return Progress::Solved(std::mem::take(&mut self.found));
            }
        }
        self.due = now + limits::PUZZLE_PAUSE;
        match self.next < most {
            true => Progress::Working,
            false => Progress::GivenUp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOKIE: &[u8] = b"a cookie of a test";

    #[allow(clippy::disallowed_methods)]
    fn now() -> Instant {
        Instant::now()
    }

    fn solve(puzzle: Puzzle) -> Vec<u8> {
        let mut solver = Solver::new(puzzle, COOKIE.to_vec(), now());
        loop {
            match solver.work(now()) {
                Progress::Working => {}
                Progress::Solved(solution) => return solution,
                Progress::GivenUp => panic!("no luck with {puzzle:?}"),
            }
        }
    }

    #[test]
    fn what_is_solved_is_a_solution_for_its_cookie_alone() {
        for prf in Prf::ALL {
            for difficulty in [0, 1, 8, 12] {
                let puzzle = Puzzle { prf, difficulty };
                let solution = solve(puzzle);
                assert_eq!(solution.len(), 16);
                assert!(puzzle.is_solved(COOKIE, &solution), "{puzzle:?}");
                let another = puzzle.is_solved(b"another cookie", &solution);
                assert!(difficulty < 8 || !another, "{puzzle:?}");
                let harder = Puzzle {
                    difficulty: difficulty + 40,
                    ..puzzle
                };
                assert!(!harder.is_solved(COOKIE, &solution), "{puzzle:?}");
            }
        }
    }

    #[test]
    fn four_different_keys_of_one_length_that_the_prf_takes() {
        let puzzle = Puzzle {
            prf: Prf::HmacSha2_256,
            difficulty: 0,
        };
        let solved = |solution: &[u8]| puzzle.is_solved(COOKIE, solution);
        assert!(solved(&[1, 2, 3, 4]));
        assert!(solved(&(0..128).collect::<Vec<u8>>()));
        for wrong in [
            &[][..],
            &[1, 2, 3],
            &[1, 2, 3, 4, 5],
            &[1, 2, 3, 1],
            &[1, 1, 1, 1],
            &(0..132).collect::<Vec<u8>>(),
        ] {
            assert!(!solved(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn one_bad_key_of_four_is_too_many() {
        let puzzle = Puzzle {
            prf: Prf::HmacSha2_256,
            difficulty: 10,
        };
        let good = solve(puzzle);
        for place in 0..4 {
            let mut bad = good.clone();
            bad[place * 4] ^= 0x80;
            assert!(!puzzle.is_solved(COOKIE, &bad), "{place}");
        }
    }

    #[test]
    fn zero_bits_are_counted_from_the_end() {
        for (octets, bits) in [
            (&[][..], 0),
            (&[1], 0),
            (&[0x80], 7),
            (&[1, 0], 8),
            (&[2, 0, 0], 17),
            (&[0, 0], 16),
        ] {
            assert_eq!(zero_bits(octets), bits, "{octets:?}");
        }
    }

    #[test]
    fn what_is_too_hard_is_not_begun() {
        let posed = |difficulty| Puzzle {
            prf: Prf::HmacSha2_256,
            difficulty,
        };
        let seen = |puzzle: Puzzle| match puzzle.payload() {
            Payload::Notify(notify) => Puzzle::of(&notify),
            _ => None,
        };
        let most = limits::PUZZLE_DIFFICULTY;
        assert_eq!(seen(posed(most)), Some(posed(most)));
        assert_eq!(seen(posed(most + 1)), None);
        let sha1 = wire::ike::Puzzle {
            prf: 2,
            difficulty: 1,
        };
        assert_eq!(Puzzle::of(&sha1.to_notify()), None);
    }
}
