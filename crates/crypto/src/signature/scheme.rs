//! Signature schemes, and how RFC 7427 names them: the DER of an AlgorithmIdentifier.

use std::fmt;

use wire::ike::numbers::{HASH_IDENTITY, HASH_SHA2_256, HASH_SHA2_384, HASH_SHA2_512};

/// A hash that a signature may be made over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashAlgorithm {
    /// SHA2-256.
    Sha2_256,
    /// SHA2-384.
    Sha2_384,
    /// SHA2-512.
    Sha2_512,
}

impl HashAlgorithm {
    /// All of them, the shortest first.
    pub const ALL: [HashAlgorithm; 3] = [
        HashAlgorithm::Sha2_256,
        HashAlgorithm::Sha2_384,
        HashAlgorithm::Sha2_512,
    ];

    /// The number in SIGNATURE_HASH_ALGORITHMS (RFC 7427 section 7).
    #[must_use]
    pub fn id(self) -> u16 {
        match self {
            HashAlgorithm::Sha2_256 => HASH_SHA2_256,
            HashAlgorithm::Sha2_384 => HASH_SHA2_384,
            HashAlgorithm::Sha2_512 => HASH_SHA2_512,
        }
    }

    /// Octets of its output, and of the salt of RSA-PSS.
    fn length(self) -> u8 {
        match self {
            HashAlgorithm::Sha2_256 => 32,
            HashAlgorithm::Sha2_384 => 48,
            HashAlgorithm::Sha2_512 => 64,
        }
    }

    /// Last arc of its object identifier below 2.16.840.1.101.3.4.2.
    fn arc(self) -> u8 {
        match self {
            HashAlgorithm::Sha2_256 => 1,
            HashAlgorithm::Sha2_384 => 2,
            HashAlgorithm::Sha2_512 => 3,
        }
    }
}

/// A way to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureScheme {
    /// RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2).
    RsaPkcs1(HashAlgorithm),
    /// RSASSA-PSS with MGF1 of the same hash and a salt of its length (RFC 8017 section 8.1).
    RsaPss(HashAlgorithm),
    /// ECDSA on the curve of the key; the signature is the DER of r and s (RFC 5758).
    Ecdsa(HashAlgorithm),
    /// Ed25519 (RFC 8420).
    Ed25519,
}

const NULL: &[u8] = &[0x05, 0x00];
/// Tag and value of an INTEGER 1 in `[3]`: the trailer field of RSA-PSS, which DER leaves out.
const TRAILER: &[u8] = &[0xa3, 0x03, 0x02, 0x01, 0x01];
const SEQUENCE: u8 = 0x30;
/// 1.2.840.113549.1.1, less its last arc.
const PKCS1: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
const MGF1: u8 = 8;
const RSASSA_PSS: u8 = 10;

impl SignatureScheme {
    /// All of them.
    pub const ALL: [SignatureScheme; 10] = {
        use HashAlgorithm::{Sha2_256, Sha2_384, Sha2_512};
        use SignatureScheme::{Ecdsa, Ed25519, RsaPkcs1, RsaPss};
        [
            RsaPss(Sha2_256),
            RsaPss(Sha2_384),
            RsaPss(Sha2_512),
            RsaPkcs1(Sha2_256),
            RsaPkcs1(Sha2_384),
            RsaPkcs1(Sha2_512),
            Ecdsa(Sha2_256),
            Ecdsa(Sha2_384),
            Ecdsa(Sha2_512),
            Ed25519,
        ]
    };

    /// The number of the hash that a peer must have offered (RFC 7427 section 7, RFC 8420).
    #[must_use]
    pub fn hash_id(self) -> u16 {
        match self {
            SignatureScheme::RsaPkcs1(hash)
            | SignatureScheme::RsaPss(hash)
            | SignatureScheme::Ecdsa(hash) => hash.id(),
            SignatureScheme::Ed25519 => HASH_IDENTITY,
        }
    }

    /// The DER of its AlgorithmIdentifier (RFC 7427 appendix A).
    #[must_use]
    pub fn algorithm_identifier(self) -> Vec<u8> {
        self.encode(NULL, &[])
    }

    /// The scheme of an AlgorithmIdentifier. The few forms in which others write it are known by
    /// their octets: hashes with and without NULL, and RSA-PSS with its trailer field, as RFC 7427
    /// appendix A.4.3 prints it.
    #[must_use]
    pub fn from_algorithm_identifier(der: &[u8]) -> Option<Self> {
        let is = |scheme: &SignatureScheme| {
            let forms = [(NULL, &[][..]), (NULL, TRAILER), (&[], &[]), (&[], TRAILER)];
            let forms = forms.map(|(null, trailer)| scheme.encode(null, trailer));
            forms.iter().any(|form| form == der)
        };
        SignatureScheme::ALL.into_iter().find(is)
    }

    fn encode(self, null: &[u8], trailer: &[u8]) -> Vec<u8> {
        match self {
            SignatureScheme::RsaPkcs1(hash) => sequence(&[PKCS1, &[10 + hash.arc()], NULL]),
            SignatureScheme::RsaPss(hash) => {
                let digest = digest(hash, null);
                let mask = sequence(&[PKCS1, &[MGF1], &digest]);
                let salt = [0x02, 0x01, hash.length()];
                let parameters = sequence(&[
                    &tagged(0xa0, &[&digest]),
                    &tagged(0xa1, &[&mask]),
                    &tagged(0xa2, &[&salt]),
                    trailer,
                ]);
                sequence(&[PKCS1, &[RSASSA_PSS], &parameters])
            }
            SignatureScheme::Ecdsa(hash) => {
                let prefix = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
                sequence(&[&prefix, &[1 + hash.arc()]])
            }
            SignatureScheme::Ed25519 => sequence(&[&[0x06, 0x03, 0x2b, 0x65, 0x70]]),
        }
    }
}

fn digest(hash: HashAlgorithm, null: &[u8]) -> Vec<u8> {
    let prefix = [0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];
    sequence(&[&prefix, &[hash.arc()], null])
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tagged(SEQUENCE, parts)
}

/// Everything here is shorter than 128 octets, so that a length is one octet.
fn tagged(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let value = parts.concat();
    let length = u8::try_from(value.len()).unwrap_or(u8::MAX);
    [&[tag, length], &value[..]].concat()
}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HashAlgorithm::Sha2_256 => "SHA2-256",
            HashAlgorithm::Sha2_384 => "SHA2-384",
            HashAlgorithm::Sha2_512 => "SHA2-512",
        })
    }
}

impl fmt::Display for SignatureScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SignatureScheme::RsaPkcs1(hash) => write!(f, "RSA PKCS #1 v1.5 with {hash}"),
            SignatureScheme::RsaPss(hash) => write!(f, "RSA-PSS with {hash}"),
            SignatureScheme::Ecdsa(hash) => write!(f, "ECDSA with {hash}"),
            SignatureScheme::Ed25519 => f.write_str("Ed25519"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text
            .bytes()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect();
        let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
        digits.chunks(2).map(|one| pair(one).unwrap()).collect()
    }

    #[test]
    fn the_octets_of_rfc_7427_appendix_a() {
        let sha256 = HashAlgorithm::Sha2_256;
        let of = SignatureScheme::algorithm_identifier;
        let rsa = "300d 0609 2a86 4886 f70d 0101 0b05 00";
        assert_eq!(of(SignatureScheme::RsaPkcs1(sha256)), hex(rsa));
        let ecdsa = "300a 0608 2a86 48ce 3d04 0302";
        assert_eq!(of(SignatureScheme::Ecdsa(sha256)), hex(ecdsa));
        let pss = "3046 0609 2a86 4886 f70d 0101 0a30 39a0 0f30 0d06 0960 8648 0165 0304
                   0201 0500 a11c 301a 0609 2a86 4886 f70d 0101 0830 0d06 0960 8648 0165
                   0304 0201 0500 a203 0201 20a3 0302 0101";
        let printed = SignatureScheme::from_algorithm_identifier(&hex(pss));
        assert_eq!(printed, Some(SignatureScheme::RsaPss(sha256)));
        // RFC 8420 section 3.
        assert_eq!(of(SignatureScheme::Ed25519), hex("3005 0603 2b65 70"));
    }

    #[test]
    fn every_scheme_is_known_by_its_octets_and_nothing_else_is() {
        for scheme in SignatureScheme::ALL {
            let der = scheme.algorithm_identifier();
            assert_eq!(
                SignatureScheme::from_algorithm_identifier(&der),
                Some(scheme)
            );
            for bit in 0..der.len() * 8 {
                let mut changed = der.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                let found = SignatureScheme::from_algorithm_identifier(&changed);
                assert_ne!(found, Some(scheme), "{scheme}, bit {bit}");
            }
            for length in 0..der.len() {
                assert_eq!(
                    SignatureScheme::from_algorithm_identifier(&der[..length]),
                    None
                );
            }
        }
    }
}
