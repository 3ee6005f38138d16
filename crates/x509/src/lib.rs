//! Certificates of peers: what is in them, who they are for, and whether an authority that we
//! trust vouches for them (RFC 5280, RFC 4945). No clock, no files: the time is an argument, in
//! seconds since 1970, and certificates are octets.
//!
//! - [`certificate`]: one certificate, decoded; [`identity`]: which IKE identities it is for.
//! - [`authorities`]: whom we trust, and what they have revoked; [`refusal`]: why not this one.
//! - [`status`]: whether one still holds, as a responder of its issuer says (RFC 6960).
//! - [`name`]: distinguished names, as text, as DER, and compared as X.501 says.
//! - [`pem`]: the text form of certificates and keys.
//! - [`limits`]: every bound.
#![forbid(unsafe_code)]

pub mod authorities;
pub mod certificate;
pub mod identity;
pub mod limits;
pub mod name;
pub mod pem;
pub mod refusal;
mod signature;
pub mod status;
mod time;

pub use authorities::{Authorities, BadAuthorities, Revocation, RevocationList, Usage};
pub use certificate::{BadCertificate, Certificate};
pub use name::{BadName, DistinguishedName};
pub use refusal::{Refusal, Why};
pub use status::{Issuer, Online, Status, Subject, Trouble};
pub use time::date;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
