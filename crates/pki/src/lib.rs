//! Certificates for peers: authorities, what they sign, and what they take back.
//!
//! [`Authority`] makes certificates as IKE wants them (RFC 4945) and revocation lists (RFC 5280);
//! [`show()`] says what is in a file and what is wrong with it. Everything is in files: [`files`]
//! writes them whole or not at all. The time of day is an argument.
#![forbid(unsafe_code)]

mod authority;
mod certificate;
mod crl;
mod error;
pub mod files;
mod identity;
mod key;
pub mod limits;
mod p12;
mod paper;
mod request;
mod responder;
mod serial;
mod show;
#[cfg(test)]
mod tests;
mod time;

pub use authority::{Authority, CERTIFICATE, KEY, NewAuthority};
pub use certificate::{CLUSTER, Made};
pub use crl::{FILE as CRL, MadeList, Reason};
pub use error::{Error, FileError, moment};
pub use identity::Identity;
pub use key::KeyKind;
pub use p12::Bundle;
pub use request::{Issued, Request, Usage};
pub use responder::Responder;
pub use serial::Serial;
pub use show::{Shown, Value, show};
