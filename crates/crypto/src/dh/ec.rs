//! The elliptic curve groups: ECP (RFC 5903) and Curve25519 (RFC 8031).

use aws_lc_rs::agreement::{self, Algorithm, PrivateKey, UnparsedPublicKey};

use crate::secret::Secret;

/// A curve, by the form its public values have in a KE payload.
#[derive(Clone, Copy)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
    X25519,
}

/// SEC 1 writes a point as this octet and x | y; IKE writes x | y only (RFC 5903 section 7).
const UNCOMPRESSED: u8 = 4;

/// A private key on a curve; the library wipes it when it is dropped.
pub(crate) struct CurveKey {
    curve: Curve,
    key: PrivateKey,
}

impl Curve {
    /// Length of a private scalar in bytes.
    pub(crate) fn scalar_length(self) -> usize {
        match self {
            Curve::P256 | Curve::X25519 => 32,
            Curve::P384 => 48,
            Curve::P521 => 66,
        }
    }

    /// Drops the bits that no scalar has, so that a draw is rarely refused: 521 bits leave one
    /// in the first of 66 bytes.
    pub(crate) fn masked(self, scalar: Secret) -> Secret {
        match (self, scalar.as_bytes()) {
            (Curve::P521, [first, rest @ ..]) => Secret::joined(&[&[first & 1], rest]),
            _ => scalar,
        }
    }

    fn algorithm(self) -> &'static Algorithm {
        match self {
            Curve::P256 => &agreement::ECDH_P256,
            Curve::P384 => &agreement::ECDH_P384,
            Curve::P521 => &agreement::ECDH_P521,
            Curve::X25519 => &agreement::X25519,
        }
    }

    fn is_point(self) -> bool {
        !matches!(self, Curve::X25519)
    }
}

impl CurveKey {
    /// The key with this scalar; `None` unless 0 < scalar < order of the curve.
    pub(crate) fn from_scalar(curve: Curve, scalar: &Secret) -> Option<Self> {
        let zero = scalar.as_bytes().iter().fold(0, |all, byte| all | byte) == 0;
        if zero && curve.is_point() {
            return None;
        }
        let key = PrivateKey::from_private_key(curve.algorithm(), scalar.as_bytes()).ok()?;
        Some(CurveKey { curve, key })
    }

    /// The public value as a KE payload carries it.
    pub(crate) fn public(&self) -> Option<Vec<u8>> {
        let public = self.key.compute_public_key().ok()?;
        match public.as_ref() {
            [UNCOMPRESSED, point @ ..] if self.curve.is_point() => Some(point.to_vec()),
            value if !self.curve.is_point() => Some(value.to_vec()),
            _ => None,
        }
    }

    /// The shared secret: x of the common point, or X25519's output. `None` when the peer's value
    /// is not a point of the curve, or when X25519 gives all zeros (RFC 8031 section 2).
    pub(crate) fn agree(&self, peer: &[u8]) -> Option<Secret> {
        let mut encoded = Vec::with_capacity(peer.len() + 1);
        if self.curve.is_point() {
            encoded.push(UNCOMPRESSED);
        }
        encoded.extend_from_slice(peer);
        let peer = UnparsedPublicKey::new(self.curve.algorithm(), encoded);
        agreement::agree(&self.key, peer, (), |shared| Ok(Secret::from_slice(shared))).ok()
    }
}
