//! ML-KEM (FIPS 203): a key encapsulation where the other groups have a Diffie-Hellman exchange
//! (draft-ietf-ipsecme-ikev2-mlkem).

use libcrux_ml_kem::{mlkem768, mlkem1024};
use zeroize::{Zeroize, Zeroizing};

use crate::random::Random;
use crate::secret::Secret;

/// Octets of the seed of a key pair: d and z of FIPS 203.
const SEED: usize = 64;
/// Octets of the randomness of an encapsulation: m of FIPS 203.
const MESSAGE: usize = 32;

/// A parameter set.
#[derive(Clone, Copy)]
pub(crate) enum MlKem {
    Bits768,
    Bits1024,
}

/// A private key, kept as its seed: the whole is made again for its one use, which is cheaper than
/// to keep and to replicate it.
pub(crate) struct KemKey {
    kem: MlKem,
    seed: Zeroizing<[u8; SEED]>,
}

/// Calls the functions of a parameter set.
macro_rules! with {
    ($kem:expr, $module:ident => $body:expr) => {
        match $kem {
            MlKem::Bits768 => {
                use mlkem768 as $module;
                $body
            }
            MlKem::Bits1024 => {
                use mlkem1024 as $module;
                $body
            }
        }
    };
}

impl MlKem {
    /// Length of a seed in bytes.
    pub(crate) fn seed_length(self) -> usize {
        SEED
    }

    /// The key of a seed; `None` for one of another length.
    pub(crate) fn key(self, seed: &Secret) -> Option<KemKey> {
        let seed = Zeroizing::new(<[u8; SEED]>::try_from(seed.as_bytes()).ok()?);
        Some(KemKey { kem: self, seed })
    }

    /// A ciphertext for the holder of the public key, and the secret in it. `None` when the octets
    /// are no public key: of another length, or with a coefficient that is not reduced (FIPS 203
    /// section 7.2).
    pub(crate) fn encapsulate(
        self,
        public: &[u8],
        random: &mut dyn Random,
    ) -> Option<(Vec<u8>, Secret)> {
        let mut message = Zeroizing::new([0; MESSAGE]);
        random.fill(&mut *message);
        with!(self, kem => {
            let public = public.try_into().ok()?;
            if !kem::validate_public_key(&public) {
                return None;
            }
            let (ciphertext, mut shared) = kem::encapsulate(&public, *message);
            let secret = Secret::from_slice(&shared);
            shared.zeroize();
            Some((ciphertext.as_slice().to_vec(), secret))
        })
    }
}

impl KemKey {
    /// The public key.
    pub(crate) fn public(&self) -> Vec<u8> {
        with!(self.kem, kem => {
            let (mut private, public) = kem::generate_key_pair(*self.seed).into_parts();
            private[0..].zeroize();
            public.as_slice().to_vec()
        })
    }

    /// The secret in a ciphertext: one that nobody knows if it was made for another key, or was
    /// changed. `None` for one of another length.
    pub(crate) fn decapsulate(&self, ciphertext: &[u8]) -> Option<Secret> {
        with!(self.kem, kem => {
            let ciphertext = ciphertext.try_into().ok()?;
            let (mut private, _) = kem::generate_key_pair(*self.seed).into_parts();
            let mut shared = kem::decapsulate(&private, &ciphertext);
            private[0..].zeroize();
            let secret = Secret::from_slice(&shared);
            shared.zeroize();
            Some(secret)
        })
    }
}
