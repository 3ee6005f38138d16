//! Diffie-Hellman with the checks of RFC 6989: MODP (RFC 3526), ECP (RFC 5903), X25519 (RFC 8031);
//! and ML-KEM (FIPS 203), which takes its place.

mod ec;
mod ml_kem;
mod modp;

use std::fmt;

use crate::dh::ec::{Curve, CurveKey};
use crate::dh::ml_kem::{KemKey, MlKem};
use crate::dh::modp::Modp;
use crate::random::Random;
use crate::secret::Secret;
use crate::suite::Group;

/// How often a private key is drawn before the generator is called broken. A sound one needs a
/// second draw with a probability below 2^-31.
const DRAWS: u32 = 64;

/// A private key and its public value, for one exchange.
pub struct DhKeyPair {
    group: Group,
    /// As it was drawn: what another member of a cluster needs to finish the exchange.
    drawn: Secret,
    private: Private,
    public: Vec<u8>,
}

enum Private {
    Modp(Modp, Secret),
    Curve(CurveKey),
    Kem(KemKey),
}

/// How a group is computed.
enum Arithmetic {
    Modp(Modp),
    Curve(Curve),
    Kem(MlKem),
}

fn arithmetic(group: Group) -> Arithmetic {
    match group {
        Group::Modp768 => Arithmetic::Modp(Modp::Bits768),
        Group::Modp1024 => Arithmetic::Modp(Modp::Bits1024),
        Group::Modp1536 => Arithmetic::Modp(Modp::Bits1536),
        Group::Modp2048 => Arithmetic::Modp(Modp::Bits2048),
        Group::Modp3072 => Arithmetic::Modp(Modp::Bits3072),
        Group::Modp4096 => Arithmetic::Modp(Modp::Bits4096),
        Group::Ecp256 => Arithmetic::Curve(Curve::P256),
        Group::Ecp384 => Arithmetic::Curve(Curve::P384),
        Group::Ecp521 => Arithmetic::Curve(Curve::P521),
        Group::Curve25519 => Arithmetic::Curve(Curve::X25519),
        Group::MlKem768 => Arithmetic::Kem(MlKem::Bits768),
        Group::MlKem1024 => Arithmetic::Kem(MlKem::Bits1024),
    }
}

impl DhKeyPair {
    /// Draws a private key from the caller's generator and computes its public value.
    ///
    /// The same random bytes give the same key pair.
    ///
    /// # Errors
    /// [`DhError::BrokenRandom`] when the generator gives only unusable keys (all zeros, say).
    pub fn generate(group: Group, random: &mut dyn Random) -> Result<Self, DhError> {
        let length = match arithmetic(group) {
            Arithmetic::Modp(modp) => modp.exponent_length(),
            Arithmetic::Curve(curve) => curve.scalar_length(),
            Arithmetic::Kem(kem) => kem.seed_length(),
        };
        for _ in 0..DRAWS {
            if let Some(pair) = Self::from_private(group, Secret::random(length, random)) {
                return Ok(pair);
            }
        }
        Err(DhError::BrokenRandom { group })
    }

    /// The pair with this private key: big-endian for MODP and ECP, RFC 7748 order for X25519, the
    /// seed (d and z) for ML-KEM. `None` for a key that its group does not have.
    #[must_use]
    pub fn from_private(group: Group, private: Secret) -> Option<Self> {
        let drawn = private.duplicate();
        let (private, public) = match arithmetic(group) {
            Arithmetic::Modp(modp) => {
                let exponent = modp.exponent(private)?;
                let public = modp.public(&exponent);
                (Private::Modp(modp, exponent), public)
            }
            Arithmetic::Curve(curve) => {
                let key = CurveKey::from_scalar(curve, &curve.masked(private))?;
                let public = key.public()?;
                (Private::Curve(key), public)
            }
            Arithmetic::Kem(kem) => {
                let key = kem.key(&private)?;
                let public = key.public();
                (Private::Kem(key), public)
            }
        };
        Some(DhKeyPair {
            group,
            drawn,
            private,
            public,
        })
    }

    /// The group.
    #[must_use]
    pub fn group(&self) -> Group {
        self.group
    }

    /// The private key, as [`DhKeyPair::from_private`] takes it: for the member of a cluster that
    /// may have to finish the exchange.
    #[must_use]
    pub fn private(&self) -> &Secret {
        &self.drawn
    }

    /// The public value, as a KE payload carries it: x | y for ECP (RFC 5903 section 7), 32
    /// bytes for Curve25519, padded to the modulus for MODP, the encapsulation key for ML-KEM.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// The shared secret g^ir, after checking the value with which the peer answered: for ML-KEM
    /// the ciphertext.
    ///
    /// # Errors
    /// The peer's value is refused: see the variants of [`DhError`].
    pub fn agree(self, peer_public: &[u8]) -> Result<Secret, DhError> {
        let group = self.group;
        check_length(group, group.answer_length(), peer_public)?;
        match self.private {
            // Every ciphertext has a secret (FIPS 203 section 7.3).
            Private::Kem(key) => key
                .decapsulate(peer_public)
                .ok_or(DhError::NotAKey { group }),
            Private::Modp(modp, _) if !modp.in_range(peer_public) => {
                Err(DhError::OutOfRange { group })
            }
            Private::Modp(modp, exponent) => Ok(modp.power(peer_public, &exponent)),
            Private::Curve(key) => key.agree(peer_public).ok_or(match group {
                Group::Curve25519 => DhError::SmallOrder { group },
                _ => DhError::NotOnCurve { group },
            }),
        }
    }
}

/// The responder's part of an exchange that the peer began with this public value: what to answer,
/// and the shared secret.
///
/// # Errors
/// The peer's value is refused: see the variants of [`DhError`].
pub fn respond(
    group: Group,
    peer_public: &[u8],
    random: &mut dyn Random,
) -> Result<(Vec<u8>, Secret), DhError> {
    if let Arithmetic::Kem(kem) = arithmetic(group) {
        check_length(group, group.public_length(), peer_public)?;
        let both = kem.encapsulate(peer_public, random);
        return both.ok_or(DhError::NotAKey { group });
    }
    let pair = DhKeyPair::generate(group, random)?;
    let public = pair.public().to_vec();
    Ok((public, pair.agree(peer_public)?))
}

fn check_length(group: Group, expected: usize, value: &[u8]) -> Result<(), DhError> {
    let received = value.len();
    match expected == received {
        true => Ok(()),
        false => Err(DhError::WrongLength {
            group,
            expected,
            received,
        }),
    }
}

/// Why a key exchange was refused (RFC 6989 section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DhError {
    /// The public value does not have the one length its group allows.
    WrongLength {
        /// The group negotiated.
        group: Group,
        /// Length of its public values, in bytes.
        expected: usize,
        /// Length of the value received, in bytes.
        received: usize,
    },
    /// MODP: the public value is not between 1 and p - 1.
    OutOfRange {
        /// The group negotiated.
        group: Group,
    },
    /// ECP: a coordinate is not below the field's prime, or the point is not on the curve.
    NotOnCurve {
        /// The group negotiated.
        group: Group,
    },
    /// X25519: the public value leads to a shared secret of zeros, whatever our key.
    SmallOrder {
        /// The group negotiated.
        group: Group,
    },
    /// ML-KEM: the public value is not an encapsulation key (FIPS 203 section 7.2).
    NotAKey {
        /// The group negotiated.
        group: Group,
    },
    /// Our own generator of random bytes gave no usable private key.
    BrokenRandom {
        /// The group negotiated.
        group: Group,
    },
}

impl fmt::Display for DhError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DhError::WrongLength {
                group,
                expected,
                received,
            } => write!(
                f,
                "the peer's public value for {group} has {received} bytes, it must have {expected}"
            ),
            DhError::OutOfRange { group } => {
                write!(
                    f,
                    "the peer's public value for {group} is not between 1 and p - 1"
                )
            }
            DhError::NotOnCurve { group } => {
                write!(
                    f,
                    "the peer's public value for {group} is not a point on the curve"
                )
            }
            DhError::SmallOrder { group } => {
                write!(
                    f,
                    "the peer's public value for {group} makes the shared secret zero"
                )
            }
            DhError::NotAKey { group } => {
                write!(
                    f,
                    "the peer's public value for {group} is not an encapsulation key"
                )
            }
            DhError::BrokenRandom { group } => write!(
                f,
                "no usable private key for {group}: the source of random bytes is broken"
            ),
        }
    }
}

impl std::error::Error for DhError {}
