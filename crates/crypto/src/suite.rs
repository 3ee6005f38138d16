//! The algorithms that can be negotiated, by IANA name and number (RFC 7296 section 3.3.2).
//!
//! Those that say they are legacy are here for peers that have nothing else. The policy keeps them
//! apart: no SA of IKEv2 has them, and none of a peer that was not said to be of their generation.

use std::fmt;

use wire::ike::numbers;

/// ENCR, transform type 1: how payloads and packets are encrypted.
///
/// Every value that [`Encryption::from_id`] returns can be sealed and opened here. A value built
/// by hand with another `key_bits` names nothing and is refused by
/// [`crate::cipher::SealingKey::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encryption {
    /// ENCR_AES_GCM_16 (RFC 4106, RFC 5282), 128 or 256 bits.
    AesGcm16 {
        /// Length of the AES key in bits, without the salt.
        key_bits: u16,
    },
    /// ENCR_CHACHA20_POLY1305 (RFC 7634), always 256 bits.
    ChaCha20Poly1305,
    /// ENCR_AES_CBC (RFC 3602), 128, 192 or 256 bits; needs an [`Integrity`] beside it.
    AesCbc {
        /// Length of the AES key in bits.
        key_bits: u16,
    },
    /// ENCR_3DES (RFC 2451): three keys of 56 bits in CBC mode. Legacy.
    TripleDesCbc,
    /// ENCR_DES (RFC 2405): one key of 56 bits in CBC mode, which anybody can find. Legacy.
    DesCbc,
    /// ENCR_NULL (RFC 2410): what is only authenticated. Legacy, and for ESP alone.
    Null,
}

/// Length of the salt that ends the key material of an AEAD, in bytes (RFC 4106 section 8.1).
pub(crate) const SALT_LENGTH: usize = 4;

impl Encryption {
    /// Every algorithm this crate can run, strongest general choice first.
    pub const ALL: [Encryption; 9] = [
        Encryption::AesGcm16 { key_bits: 256 },
        Encryption::AesGcm16 { key_bits: 128 },
        Encryption::ChaCha20Poly1305,
        Encryption::AesCbc { key_bits: 256 },
        Encryption::AesCbc { key_bits: 192 },
        Encryption::AesCbc { key_bits: 128 },
        Encryption::TripleDesCbc,
        Encryption::DesCbc,
        Encryption::Null,
    ];

    /// The algorithm with this transform ID and Key Length attribute (in bits), if it is offered.
    ///
    /// AES needs the attribute and ChaCha20-Poly1305 must not have one (RFC 7634 section 4).
    #[must_use]
    pub fn from_id(id: u16, key_bits: Option<u16>) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|known| known.id() == id && known.key_bits_attribute() == key_bits)
    }

    /// The transform ID.
    #[must_use]
    pub fn id(self) -> u16 {
        match self {
            Encryption::AesCbc { .. } => numbers::ENCR_AES_CBC,
            Encryption::AesGcm16 { .. } => numbers::ENCR_AES_GCM_16,
            Encryption::ChaCha20Poly1305 => numbers::ENCR_CHACHA20_POLY1305,
            Encryption::TripleDesCbc => numbers::ENCR_3DES,
            Encryption::DesCbc => numbers::ENCR_DES,
            Encryption::Null => numbers::ENCR_NULL,
        }
    }

    /// The Key Length attribute in bits, where the transform carries one.
    #[must_use]
    pub fn key_bits_attribute(self) -> Option<u16> {
        match self {
            Encryption::AesGcm16 { key_bits } | Encryption::AesCbc { key_bits } => Some(key_bits),
            Encryption::ChaCha20Poly1305
            | Encryption::TripleDesCbc
            | Encryption::DesCbc
            | Encryption::Null => None,
        }
    }

    /// The IANA name, without the key length.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Encryption::AesGcm16 { .. } => "ENCR_AES_GCM_16",
            Encryption::ChaCha20Poly1305 => "ENCR_CHACHA20_POLY1305",
            Encryption::AesCbc { .. } => "ENCR_AES_CBC",
            Encryption::TripleDesCbc => "ENCR_3DES",
            Encryption::DesCbc => "ENCR_DES",
            Encryption::Null => "ENCR_NULL",
        }
    }

    /// Key material to take from the key derivation, in bytes; for an AEAD it includes the salt.
    #[must_use]
    pub fn key_length(self) -> usize {
        match self {
            Encryption::AesGcm16 { key_bits } => usize::from(key_bits) / 8 + SALT_LENGTH,
            Encryption::ChaCha20Poly1305 => 32 + SALT_LENGTH,
            Encryption::AesCbc { key_bits } => usize::from(key_bits) / 8,
            Encryption::TripleDesCbc => 24,
            Encryption::DesCbc => 8,
            Encryption::Null => 0,
        }
    }

    /// Length of the IV that travels with each packet, in bytes.
    #[must_use]
    pub fn iv_length(self) -> usize {
        match self {
            Encryption::AesCbc { .. } => 16,
            Encryption::Null => 0,
            _ => 8,
        }
    }

    /// Length of the AEAD tag in bytes; 0 for a cipher whose ICV comes from an [`Integrity`].
    #[must_use]
    pub fn icv_length(self) -> usize {
        if self.is_aead() { 16 } else { 0 }
    }

    /// Length of the ICV of a packet in bytes: the AEAD's tag, or the integrity algorithm's.
    #[must_use]
    pub fn icv_length_with(self, integrity: Option<Integrity>) -> usize {
        if self.is_aead() {
            self.icv_length()
        } else {
            integrity.map_or(0, Integrity::icv_length)
        }
    }

    /// The plaintext must be a multiple of this many bytes (1 for an AEAD and for ENCR_NULL; ESP
    /// pads to 4 anyway).
    #[must_use]
    pub fn block_length(self) -> usize {
        match self {
            Encryption::AesCbc { .. } => 16,
            Encryption::TripleDesCbc | Encryption::DesCbc => 8,
            _ => 1,
        }
    }

    /// Whether the cipher authenticates by itself, so that no [`Integrity`] goes with it.
    #[must_use]
    pub fn is_aead(self) -> bool {
        matches!(
            self,
            Encryption::AesGcm16 { .. } | Encryption::ChaCha20Poly1305
        )
    }

    /// Whether it is of the generation of Windows 2003 and before, for peers that have nothing
    /// else: it can be broken, or it conceals nothing.
    #[must_use]
    pub fn is_legacy(self) -> bool {
        matches!(
            self,
            Encryption::TripleDesCbc | Encryption::DesCbc | Encryption::Null
        )
    }
}

impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self.key_bits_attribute() {
            Some(bits) => write!(f, " {bits}"),
            None => Ok(()),
        }
    }
}

/// INTEG, transform type 3: the ICV of ciphers that are not AEADs (RFC 4868).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Integrity {
    /// AUTH_HMAC_SHA2_256_128.
    HmacSha2_256_128,
    /// AUTH_HMAC_SHA2_384_192.
    HmacSha2_384_192,
    /// AUTH_HMAC_SHA2_512_256.
    HmacSha2_512_256,
    /// AUTH_HMAC_SHA1_96 (RFC 2404). Legacy.
    HmacSha1_96,
    /// AUTH_HMAC_MD5_96 (RFC 2403). Legacy.
    HmacMd5_96,
}

impl Integrity {
    /// Every algorithm this crate can run.
    pub const ALL: [Integrity; 5] = [
        Integrity::HmacSha2_256_128,
        Integrity::HmacSha2_384_192,
        Integrity::HmacSha2_512_256,
        Integrity::HmacSha1_96,
        Integrity::HmacMd5_96,
    ];

    /// The algorithm with this transform ID, if it is offered.
    #[must_use]
    pub fn from_id(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.id() == id)
    }

    /// The transform ID.
    #[must_use]
    pub fn id(self) -> u16 {
        match self {
            Integrity::HmacSha2_256_128 => numbers::AUTH_HMAC_SHA2_256_128,
            Integrity::HmacSha2_384_192 => numbers::AUTH_HMAC_SHA2_384_192,
            Integrity::HmacSha2_512_256 => numbers::AUTH_HMAC_SHA2_512_256,
            Integrity::HmacSha1_96 => numbers::AUTH_HMAC_SHA1_96,
            Integrity::HmacMd5_96 => numbers::AUTH_HMAC_MD5_96,
        }
    }

    /// The IANA name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Integrity::HmacSha2_256_128 => "AUTH_HMAC_SHA2_256_128",
            Integrity::HmacSha2_384_192 => "AUTH_HMAC_SHA2_384_192",
            Integrity::HmacSha2_512_256 => "AUTH_HMAC_SHA2_512_256",
            Integrity::HmacSha1_96 => "AUTH_HMAC_SHA1_96",
            Integrity::HmacMd5_96 => "AUTH_HMAC_MD5_96",
        }
    }

    /// Length of the key in bytes: the hash's output (RFC 4868 section 2.6).
    #[must_use]
    pub fn key_length(self) -> usize {
        match self {
            Integrity::HmacSha2_256_128 => 32,
            Integrity::HmacSha2_384_192 => 48,
            Integrity::HmacSha2_512_256 => 64,
            Integrity::HmacSha1_96 => 20,
            Integrity::HmacMd5_96 => 16,
        }
    }

    /// Length of the ICV in bytes: half the hash's output, and 12 of the old hashes.
    #[must_use]
    pub fn icv_length(self) -> usize {
        match self {
            Integrity::HmacSha1_96 | Integrity::HmacMd5_96 => 12,
            _ => self.key_length() / 2,
        }
    }

    /// Whether it is of the generation of Windows 2003 and before.
    #[must_use]
    pub fn is_legacy(self) -> bool {
        matches!(self, Integrity::HmacSha1_96 | Integrity::HmacMd5_96)
    }
}

impl fmt::Display for Integrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// PRF, transform type 2: the keyed function of IKE's key derivation (RFC 4868).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Prf {
    /// PRF_HMAC_SHA2_256.
    HmacSha2_256,
    /// PRF_HMAC_SHA2_384.
    HmacSha2_384,
    /// PRF_HMAC_SHA2_512.
    HmacSha2_512,
    /// PRF_HMAC_SHA1 (RFC 2104). Legacy.
    HmacSha1,
    /// PRF_HMAC_MD5 (RFC 2104). Legacy.
    HmacMd5,
}

impl Prf {
    /// Every algorithm this crate can run.
    pub const ALL: [Prf; 5] = [
        Prf::HmacSha2_256,
        Prf::HmacSha2_384,
        Prf::HmacSha2_512,
        Prf::HmacSha1,
        Prf::HmacMd5,
    ];

    /// The algorithm with this transform ID, if it is offered.
    #[must_use]
    pub fn from_id(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.id() == id)
    }

    /// The transform ID.
    #[must_use]
    pub fn id(self) -> u16 {
        match self {
            Prf::HmacSha2_256 => numbers::PRF_HMAC_SHA2_256,
            Prf::HmacSha2_384 => numbers::PRF_HMAC_SHA2_384,
            Prf::HmacSha2_512 => numbers::PRF_HMAC_SHA2_512,
            Prf::HmacSha1 => numbers::PRF_HMAC_SHA1,
            Prf::HmacMd5 => numbers::PRF_HMAC_MD5,
        }
    }

    /// The IANA name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Prf::HmacSha2_256 => "PRF_HMAC_SHA2_256",
            Prf::HmacSha2_384 => "PRF_HMAC_SHA2_384",
            Prf::HmacSha2_512 => "PRF_HMAC_SHA2_512",
            Prf::HmacSha1 => "PRF_HMAC_SHA1",
            Prf::HmacMd5 => "PRF_HMAC_MD5",
        }
    }

    /// Length of the output in bytes, and the preferred length of a key (RFC 7296 section 2.13).
    #[must_use]
    pub fn output_length(self) -> usize {
        match self {
            Prf::HmacSha2_256 => 32,
            Prf::HmacSha2_384 => 48,
            Prf::HmacSha2_512 => 64,
            Prf::HmacSha1 => 20,
            Prf::HmacMd5 => 16,
        }
    }

    /// Whether it is of the generation of Windows 2003 and before.
    #[must_use]
    pub fn is_legacy(self) -> bool {
        matches!(self, Prf::HmacSha1 | Prf::HmacMd5)
    }
}

impl fmt::Display for Prf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// KE, transform types 4 and 6 to 12: Diffie-Hellman groups, and what takes their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// 2048-bit MODP group, 14 (RFC 3526 section 3).
    Modp2048,
    /// 3072-bit MODP group, 15 (RFC 3526 section 4).
    Modp3072,
    /// 4096-bit MODP group, 16 (RFC 3526 section 5).
    Modp4096,
    /// 256-bit random ECP group, 19: NIST P-256 (RFC 5903).
    Ecp256,
    /// 384-bit random ECP group, 20: NIST P-384 (RFC 5903).
    Ecp384,
    /// 521-bit random ECP group, 21: NIST P-521 (RFC 5903).
    Ecp521,
    /// Curve25519, 31: X25519 (RFC 8031).
    Curve25519,
    /// ML-KEM-768, 36 (draft-ietf-ipsecme-ikev2-mlkem).
    MlKem768,
    /// ML-KEM-1024, 37 (draft-ietf-ipsecme-ikev2-mlkem).
    MlKem1024,
    /// 1536-bit MODP group, 5 (RFC 3526 section 2). Legacy.
    Modp1536,
    /// 1024-bit MODP group, 2 (RFC 2409 section 6.2). Legacy.
    Modp1024,
    /// 768-bit MODP group, 1 (RFC 2409 section 6.1). Legacy.
    Modp768,
}

impl Group {
    /// Every group this crate can run, cheapest first at equal strength, legacy ones last.
    pub const ALL: [Group; 12] = [
        Group::Curve25519,
        Group::Ecp256,
        Group::Ecp384,
        Group::Ecp521,
        Group::Modp2048,
        Group::Modp3072,
        Group::Modp4096,
        Group::MlKem768,
        Group::MlKem1024,
        Group::Modp1536,
        Group::Modp1024,
        Group::Modp768,
    ];

    /// The group with this transform ID, if it is offered.
    #[must_use]
    pub fn from_id(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.id() == id)
    }

    /// The transform ID.
    #[must_use]
    pub fn id(self) -> u16 {
        match self {
            Group::Modp2048 => numbers::MODP_2048,
            Group::Modp3072 => numbers::MODP_3072,
            Group::Modp4096 => numbers::MODP_4096,
            Group::Ecp256 => numbers::ECP_256,
            Group::Ecp384 => numbers::ECP_384,
            Group::Ecp521 => numbers::ECP_521,
            Group::Curve25519 => numbers::CURVE25519,
            Group::MlKem768 => numbers::ML_KEM_768,
            Group::MlKem1024 => numbers::ML_KEM_1024,
            Group::Modp1536 => numbers::MODP_1536,
            Group::Modp1024 => numbers::MODP_1024,
            Group::Modp768 => numbers::MODP_768,
        }
    }

    /// The name in IANA's list of key exchange methods.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Group::Modp2048 => "2048-bit MODP Group",
            Group::Modp3072 => "3072-bit MODP Group",
            Group::Modp4096 => "4096-bit MODP Group",
            Group::Ecp256 => "256-bit random ECP group",
            Group::Ecp384 => "384-bit random ECP group",
            Group::Ecp521 => "521-bit random ECP group",
            Group::Curve25519 => "Curve25519",
            Group::MlKem768 => "ML-KEM-768",
            Group::MlKem1024 => "ML-KEM-1024",
            Group::Modp1536 => "1536-bit MODP Group",
            Group::Modp1024 => "1024-bit MODP Group",
            Group::Modp768 => "768-bit MODP Group",
        }
    }

    /// Whether it encapsulates a key: the two sides' values differ in kind, and only who begins has
    /// a key pair.
    #[must_use]
    pub fn is_kem(self) -> bool {
        matches!(self, Group::MlKem768 | Group::MlKem1024)
    }

    /// Whether it is of the generation of Windows 2003 and before: too short for today.
    #[must_use]
    pub fn is_legacy(self) -> bool {
        matches!(self, Group::Modp1536 | Group::Modp1024 | Group::Modp768)
    }

    /// Exact length of the public value that begins an exchange, in bytes.
    #[must_use]
    pub fn public_length(self) -> usize {
        match self {
            Group::Modp2048 => 256,
            Group::Modp3072 => 384,
            Group::Modp4096 => 512,
            Group::Ecp256 => 64,
            Group::Ecp384 => 96,
            Group::Ecp521 => 132,
            Group::Curve25519 => 32,
            Group::MlKem768 => 1184,
            Group::MlKem1024 => 1568,
            Group::Modp1536 => 192,
            Group::Modp1024 => 128,
            Group::Modp768 => 96,
        }
    }

    /// Exact length of the value that answers it, in bytes: for ML-KEM the ciphertext.
    #[must_use]
    pub fn answer_length(self) -> usize {
        match self {
            Group::MlKem768 => 1088,
            _ => self.public_length(),
        }
    }

    /// Length of the shared secret, in bytes: x only for ECP, the full modulus for MODP.
    #[must_use]
    pub fn secret_length(self) -> usize {
        match self {
            Group::Ecp256 | Group::Ecp384 | Group::Ecp521 => self.public_length() / 2,
            Group::MlKem768 | Group::MlKem1024 => 32,
            _ => self.public_length(),
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
