//! Algorithms by their IANA names, and secrets that wipe themselves.
//!
//! Every cryptographic operation of the product goes through this crate. It has no clock, no
//! files and no source of randomness of its own: random bytes come from the caller's [`Random`],
//! except those within a [`signature`].
//! What is offered to a peer is what [`suite`] can name, and [`self_test()`] proves each of it.
#![forbid(unsafe_code)]

pub mod cipher;
pub mod dh;
pub mod hash;
pub mod hmac;
pub mod prf;
pub mod random;
pub mod secret;
pub mod self_test;
pub mod signature;
pub mod suite;

pub use cipher::{AuthenticationFailed, OpeningKey, SealingKey};
pub use dh::{DhError, DhKeyPair, respond};
pub use hmac::constant_time_eq;
pub use prf::prf_plus;
pub use random::{Random, SeededRandom};
pub use secret::Secret;
pub use self_test::{SelfTestError, self_test};
pub use signature::{PrivateKey, PublicKey, SignatureScheme};
pub use suite::{Encryption, Group, Integrity, Prf};
