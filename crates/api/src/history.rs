//! Who moved what, when, why, and how long the gap was, as one member knows it.

use serde::{Deserialize, Serialize};

/// The answer of `holdfast cluster history`; each line of the history's file is one [`Move`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The member that was asked.
    pub node: String,
    /// The moves that it remembers, oldest first.
    pub moves: Vec<Move>,
}

/// A group got another owner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Move {
    /// When this member learnt of it, by its own clock (RFC 3339, UTC).
    pub time: String,
    /// The group.
    pub group: String,
    /// The owner before; `null` where there was none, or none is known here.
    pub from: Option<String>,
    /// The new owner.
    pub to: String,
    /// The epoch that began.
    pub epoch: u64,
    /// `first_start`, `planned`, `shutdown`, `failback`, `failure`, `node_down` or `conflict`.
    pub reason: String,
    /// Whether the new owner goes on with the SAs of the one before; known to the new owner, and
    /// only with `replicate`.
    pub inherited: Option<bool>,
    /// How many IKE SAs it goes on with.
    pub ike_sas: Option<u64>,
    /// How long each step took.
    pub phases: Phases,
    /// What the new owner can say of the interruption, in ms: from the last sign of the owner
    /// before (its last heartbeat, or the word that its gate is closed) to the first packet that
    /// was sealed or opened here. When that owner's last packet passed is not known here. `null`
    /// where there was no such sign, no packet within a minute, or this is not the new owner.
    pub gap_ms: Option<f64>,
}

/// The steps of a move in ms; `null` is not known here, or did not happen.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Phases {
    /// Detection: how long the owner before had been silent when it counted as down.
    pub silence_ms: Option<f64>,
    /// From there to the new owner's decision.
    pub decision_ms: Option<f64>,
    /// A planned move. At the new owner: from the word that the gate of the one before is closed to
    /// the open gate here. At the owner before: from its closed gate until it gave the group away.
    pub handover_ms: Option<f64>,
    /// From the decision until the addresses were up and announced.
    pub addresses_ms: Option<f64>,
    /// From the decision until the services had started.
    pub online_ms: Option<f64>,
    /// From the decision to the first packet that was sealed here.
    pub first_sealed_ms: Option<f64>,
    /// From the decision to the first packet that was opened here.
    pub first_opened_ms: Option<f64>,
}
