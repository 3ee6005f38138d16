//! Digital signatures as IKEv2 has them (RFC 7427, RFC 4754, RFC 8420), and RSA as IKEv1 has it.
//!
//! What is accepted is strict: RSA keys of 2048 to 8192 bits with an exponent of at least 65537, a
//! salt as long as the hash, the three NIST curves, Ed25519. AWS-LC itself draws the numbers that
//! ECDSA and RSA-PSS need for each signature: one that came twice would give the key away.

mod private;
mod public;
mod rfc2409;
mod scheme;

pub use private::{BadPrivateKey, PrivateKey, SigningFailed};
pub use public::{BadPublicKey, KeyKind, PublicKey};
pub use scheme::{HashAlgorithm, SignatureScheme};
