//! IKEv2 messages (RFC 7296 section 3): what the octets mean, and nothing about what to do.
//!
//! [`decode`] reads a datagram (without its non-ESP marker) up to and including an undecrypted SK
//! or SKF payload; [`decode_payloads`] reads what was inside it; [`encode`] and
//! [`encode_protected`] go the other way. [`Decoded::octets`] are the exact octets received, which
//! AUTH signs (RFC 7296 section 2.15).

mod auth;
mod certificate;
mod configuration;
mod delete;
mod encrypted;
mod first_request;
mod header;
mod identification;
mod key_exchange;
mod kinds;
pub mod limits;
mod message;
mod mobility;
mod nonce;
mod notify;
mod notify_type;
pub mod numbers;
mod payload;
mod puzzle;
mod redirect;
mod sa;
mod selectors;
mod takeover;
mod transform;
mod vendor;

pub use crate::attribute::Attribute;
pub use crate::malformed::{Malformed, Reason};
pub use crate::writer::TooLong;
pub use auth::AuthPayload;
pub use certificate::{Cert, CertReq};
pub use configuration::{Configuration, ConfigurationAttribute};
pub use delete::Delete;
pub use encrypted::{Encrypted, Fragment, Layout, Parts, Protected, encode_protected, unpad};
pub use first_request::{FirstRequest, first_request};
pub use header::{Flags, Header};
pub use identification::Identification;
pub use key_exchange::KePayload;
pub use kinds::{ExchangeType, PayloadType, ProtocolId, TransformType};
pub use message::{Decoded, Message, decode, decode_payloads, encode, encode_payloads};
pub use mobility::NoNatsAllowed;
pub use nonce::Nonce;
pub use notify::Notify;
pub use notify_type::NotifyType;
pub use payload::{Payload, Unknown, unsupported_critical};
pub use puzzle::Puzzle;
pub use redirect::{Gateway, Redirect};
pub use sa::{Proposal, SaPayload};
pub use selectors::{Selector, TrafficSelectors};
pub use takeover::{LifetimeTicket, MessageIdSync, ReplayCounterSync};
pub use transform::Transform;
pub use vendor::VendorId;

#[cfg(test)]
mod tests;
