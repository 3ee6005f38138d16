//! How much of everything a message may hold; each limit bounds memory before authentication.

pub use crate::ike::limits::{
    FRAGMENTS, IDENTIFICATION, MESSAGE, NONCE_MAX, NOTIFY_DATA, PAYLOADS, PROPOSALS, TRAILING,
};

/// Transforms of one proposal. Where IKEv2 lists each algorithm once, here every combination of
/// them is a transform: the longest lists of real peers have some tens.
pub const TRANSFORMS: usize = 128;

/// Attributes of one transform. RFC 2409 defines sixteen, of which some may come twice.
pub const ATTRIBUTES: usize = 32;

/// Octets of an attribute's value: the longest real one is a name in GSS identities.
pub const ATTRIBUTE: usize = 2_048;

/// Octets of a public Diffie-Hellman value: MODP-8192's.
pub const KEY_EXCHANGE: usize = 1_024;

/// Octets of a nonce, least (RFC 2409 section 5).
pub const NONCE_MIN: usize = 8;

/// Octets of a hash or signature: above the signature of an RSA key of 8,192 bits, and above a
/// hash that GSS has wrapped.
pub const HASH: usize = 2_048;

/// Octets of any SPI: two cookies (RFC 2408 section 3.5).
pub const SPI: u8 = 16;

/// SPIs of one Delete payload. Two kilobytes of them are more than an unfragmented datagram holds.
pub const DELETED: usize = 512;

/// Octets after the last payload of a decrypted body. Whole blocks need 15 at most, some peers pad
/// by a block more, and RFC 2409 sets no bound; IKEv2's padding says its own length in an octet.
pub const PADDING: usize = 255;
