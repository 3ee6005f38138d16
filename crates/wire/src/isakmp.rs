//! IKEv1 messages (RFC 2407 to 2409): what the octets mean, and nothing about what to do.
//!
//! [`decode_header`] reads the header of a datagram (without its non-ESP marker) and gives its
//! body; [`decode_payloads`] reads that body, or what it was after decryption; [`encode`],
//! [`encode_payloads`] and [`encode_encrypted`] go the other way. Hashes cover octets as they were
//! received: [`Chain`] and [`Located`] hold on to them.

mod certificate;
mod delete;
mod display;
mod fragment;
mod header;
mod identification;
mod kinds;
pub mod limits;
mod message;
mod nat;
mod notification;
mod notify_type;
pub mod numbers;
mod payload;
mod sa;
mod transform;
pub mod vendor;

pub use crate::attribute::Attribute;
pub use crate::malformed::{Malformed, Reason};
pub use crate::writer::TooLong;
pub use certificate::{Certificate, CertificateRequest};
pub use delete::Delete;
pub use fragment::Fragment;
pub use header::{Flags, Header, decode_header, major_version};
pub use identification::Identification;
pub use kinds::{ExchangeType, PayloadType, ProtocolId};
pub use message::{Chain, Located, decode_payloads, encode, encode_encrypted, encode_payloads};
pub use nat::{NatDetection, NatNumbers, NatOriginalAddress};
pub use notification::Notification;
pub use notify_type::NotifyType;
pub use payload::{Payload, Unknown};
pub use sa::{Proposal, SecurityAssociation};
pub use transform::Transform;

#[cfg(test)]
mod tests;
