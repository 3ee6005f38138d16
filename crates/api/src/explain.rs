//! What happens to a packet, and why.

use serde::{Deserialize, Serialize};

/// The answer of `holdfast explain`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The packet, in words.
    pub packet: String,
    /// `outbound`, `inbound` or `forwarded`, as seen from this host.
    pub direction: String,
    /// The rule that decides; `null` when none matches and the packet passes as it is.
    pub rule: Option<String>,
    /// Where that rule comes from: `file`, `persistent` or `dynamic`.
    #[serde(default)]
    pub origin: Option<String>,
    /// `permit`, `block`, `require`, `request` or `pass`.
    pub action: String,
    /// The peer that a negotiation would be with.
    pub peer: Option<String>,
    /// The selectors that would be negotiated.
    pub selectors: Vec<String>,
    /// Is there an SA for it now?
    pub protected_now: Option<bool>,
    /// The rules tried before, each with the first difference.
    pub passed: Vec<Passed>,
    /// All of it as sentences.
    pub text: String,
}

/// A rule that did not match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    /// Its name.
    pub rule: String,
    /// The first thing in which the packet differs.
    pub difference: String,
}
