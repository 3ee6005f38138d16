//! The algorithms of an SA under the names of the kernel's crypto API (RFC 4106, 7634, 3602, 4868,
//! and RFC 2403, 2404, 2405, 2410 and 2451 for old peers).

use std::fmt;

use crate::xfrm::octets::Writer;

/// `XFRMA_ALG_CRYPT`.
const CRYPT: u16 = 2;
/// `XFRMA_ALG_AEAD`.
const AEAD: u16 = 18;
/// `XFRMA_ALG_AUTH_TRUNC`.
const AUTH_TRUNC: u16 = 20;
/// Octets of an algorithm's name in a message.
const NAME: usize = 64;
/// Bits of the ICV of both AEADs.
const AEAD_ICV: u32 = 128;

/// The hash below an HMAC, with the length to which its RFC cuts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// HMAC-SHA2-256, cut to 128 bits.
    Sha256,
    /// HMAC-SHA2-384, cut to 192 bits.
    Sha384,
    /// HMAC-SHA2-512, cut to 256 bits.
    Sha512,
    /// HMAC-SHA1, cut to 96 bits.
    Sha1,
    /// HMAC-MD5, cut to 96 bits.
    Md5,
}

impl Hash {
    /// The kernel's name, and the bits of the ICV.
    fn name(self) -> (&'static str, u32) {
        match self {
            Hash::Sha256 => ("hmac(sha256)", 128),
            Hash::Sha384 => ("hmac(sha384)", 192),
            Hash::Sha512 => ("hmac(sha512)", 256),
            Hash::Sha1 => ("hmac(sha1)", 96),
            Hash::Md5 => ("hmac(md5)", 96),
        }
    }
}

/// A cipher that does not authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// AES in CBC mode.
    AesCbc,
    /// 3DES in CBC mode.
    TripleDesCbc,
    /// DES in CBC mode.
    DesCbc,
    /// None: the packet is only authenticated.
    Null,
}

impl Cipher {
    /// The kernel's name.
    fn name(self) -> &'static str {
        match self {
            Cipher::AesCbc => "cbc(aes)",
            Cipher::TripleDesCbc => "cbc(des3_ede)",
            Cipher::DesCbc => "cbc(des)",
            Cipher::Null => "ecb(cipher_null)",
        }
    }
}

/// What an SA encrypts and authenticates with. It borrows keys, so it has no `Debug`.
#[derive(Clone, Copy)]
pub enum Algorithm<'a> {
    /// AES-GCM with 16 octets of ICV; the key ends with the 4 octets of salt.
    AesGcm(&'a [u8]),
    /// ChaCha20-Poly1305; the key ends with the 4 octets of salt.
    ChaCha20Poly1305(&'a [u8]),
    /// A cipher and an HMAC.
    WithHmac {
        /// The cipher.
        cipher: Cipher,
        /// The cipher's key.
        key: &'a [u8],
        /// The hash of the HMAC.
        hash: Hash,
        /// The HMAC's key.
        hash_key: &'a [u8],
    },
}

impl Algorithm<'_> {
    /// Adds the attributes that give the kernel algorithm and key.
    pub(crate) fn write(&self, out: &mut Writer) {
        match self {
            Algorithm::AesGcm(key) => write(out, AEAD, "rfc4106(gcm(aes))", key, Some(AEAD_ICV)),
            Algorithm::ChaCha20Poly1305(key) => {
                let name = "rfc7539esp(chacha20,poly1305)";
                write(out, AEAD, name, key, Some(AEAD_ICV));
            }
            Algorithm::WithHmac {
                cipher,
                key,
                hash,
                hash_key,
            } => {
                let (name, bits) = hash.name();
                write(out, AUTH_TRUNC, name, hash_key, Some(bits));
                write(out, CRYPT, cipher.name(), key, None);
            }
        }
    }
}

/// Names the algorithm, never the key.
impl fmt::Display for Algorithm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Algorithm::AesGcm(_) => f.write_str("rfc4106(gcm(aes))"),
            Algorithm::ChaCha20Poly1305(_) => f.write_str("rfc7539esp(chacha20,poly1305)"),
            Algorithm::WithHmac { cipher, hash, .. } => {
                write!(f, "{} with {}", cipher.name(), hash.name().0)
            }
        }
    }
}

/// `struct xfrm_algo`, `xfrm_algo_auth` or `xfrm_algo_aead`: a name, the key's bits, the bits of
/// the ICV for the latter two, the key.
fn write(out: &mut Writer, kind: u16, name: &str, key: &[u8], icv: Option<u32>) {
    let at = out.begin(kind);
    out.name(name, NAME);
    out.u32(u32::try_from(key.len() * 8).unwrap_or(u32::MAX));
    if let Some(bits) = icv {
        out.u32(bits);
    }
    out.bytes(key);
    out.end(at);
}
