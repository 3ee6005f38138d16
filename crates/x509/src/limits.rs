//! Every bound of this crate, each with its reason.

/// Octets of one certificate: ten times what they have in use, a tenth of a datagram's most.
pub const CERTIFICATE: usize = 16 * 1024;

/// Certificates of one chain, the peer's own included: more than any authority has levels.
pub const CHAIN: usize = 8;

/// Octets of a distinguished name: what an identification payload may have.
pub const NAME: usize = 2 * 1024;

/// Attributes of a distinguished name.
pub const ATTRIBUTES: usize = 32;

/// Authorities of one peer.
pub const AUTHORITIES: usize = 256;

/// Octets of an OCSP response: one answer, and the certificates of its responder.
pub const RESPONSE: usize = 16 * 1024;

/// Octets of the URL of a responder.
pub const RESPONDER: usize = 1024;

/// Seconds by which the clock of an OCSP responder may differ from ours.
pub const SKEW: u64 = 300;

/// Seconds for which an OCSP response is believed that does not say for how long it may be.
pub const MOMENT: u64 = 60;
