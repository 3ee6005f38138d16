//! How much of everything a message may hold; each limit bounds memory before authentication.

/// Octets of a message: what a UDP datagram can carry, and what a payload length can say.
pub const MESSAGE: usize = 65_535;

/// Octets tolerated after the end that the header gives: some peers pad to a multiple of four.
pub const TRAILING: usize = 3;

/// Payloads of one message, or inside one SK payload. Real messages have under twenty.
pub const PAYLOADS: usize = 64;

/// Proposals of one SA payload.
pub const PROPOSALS: usize = 64;

/// Transforms of one proposal. strongSwan's longest default proposal has about forty.
pub const TRANSFORMS: usize = 64;

/// Attributes of one transform. RFC 7296 defines a single one.
pub const ATTRIBUTES: usize = 8;

/// Selectors of one TS payload.
pub const SELECTORS: usize = 64;

/// Attributes of one Configuration payload.
pub const CONFIGURATION_ATTRIBUTES: usize = 64;

/// Octets of an identity: longer than any name or distinguished name in use.
pub const IDENTIFICATION: usize = 2_048;

/// Octets of a notification's data.
pub const NOTIFY_DATA: usize = 4_096;

/// Octets of public key exchange data: above ML-KEM-1024's 1,568 and MODP-8192's 1,024.
pub const KEY_EXCHANGE: usize = 2_048;

/// Octets of a nonce, least and most (RFC 7296 section 3.9).
pub const NONCE_MIN: usize = 16;
/// Octets of a nonce, most (RFC 7296 section 3.9).
pub const NONCE_MAX: usize = 256;

/// Fragments of one message (RFC 7383).
pub const FRAGMENTS: u16 = 64;

/// Octets of a crash token, least (RFC 6290 section 4.1).
pub const CRASH_TOKEN_MIN: usize = 16;
/// Octets of a crash token, most (RFC 6290 section 4.1).
pub const CRASH_TOKEN_MAX: usize = 128;

/// Octets of COOKIE2, least (RFC 4555 section 4.2.5).
pub const COOKIE2_MIN: usize = 8;
/// Octets of COOKIE2, most (RFC 4555 section 4.2.5).
pub const COOKIE2_MAX: usize = 64;
