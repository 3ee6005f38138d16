//! What is searched: a configuration, its bounds, and which rules are left out.

use crate::rule::Rule;
use std::fmt;

/// A way to be a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Configuration {
    /// Two nodes and nobody else.
    TwoNodes,
    /// Two nodes and a witness.
    TwoNodesAndWitness,
    /// Three nodes and a witness.
    ThreeNodesAndWitness,
}

impl Configuration {
    /// How many nodes hold copies.
    #[must_use]
    pub fn nodes(self) -> usize {
        match self {
            Self::TwoNodes | Self::TwoNodesAndWitness => 2,
            Self::ThreeNodesAndWitness => 3,
        }
    }

    /// Whether a witness keeps owner, epoch and in-sync set.
    #[must_use]
    pub fn witness(self) -> bool {
        self != Self::TwoNodes
    }
}

impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::TwoNodes => "two nodes",
            Self::TwoNodesAndWitness => "two nodes, witness",
            Self::ThreeNodesAndWitness => "three nodes, witness",
        })
    }
}

/// How far the search goes. Everything that costs one of these happens at most so often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Sequence numbers per SA, at most [`crate::wire::SEQUENCES`].
    pub sequences: u8,
    /// IKE message IDs per SA, at most [`crate::wire::IDS`].
    pub ids: u8,
    /// Pairs of SAs, at most [`crate::wire::PAIRS`].
    pub pairs: u8,
    /// Crashes.
    pub crashes: u8,
    /// Connections that an owner loses, rightly or wrongly.
    pub breaks: u8,
    /// Nodes that become the owner, rightly or wrongly.
    pub takeovers: u8,
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sequences,
            ids,
            pairs,
            crashes,
            breaks,
            takeovers,
        } = self;
        write!(
            f,
            "{sequences} sequence numbers, {ids} message IDs, {pairs} SA pairs, "
        )?;
        write!(
            f,
            "{crashes} crashes, {breaks} lost connections, {takeovers} takeovers"
        )
    }
}

/// Sequence numbers in a block.
pub const BLOCK: u8 = 2;

/// What is searched.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Who takes part.
    pub configuration: Configuration,
    /// How far the search goes.
    pub bounds: Bounds,
    /// The rules that nobody follows.
    pub removed: Vec<Rule>,
}

impl Setting {
    /// Whether the nodes follow `rule`.
    #[must_use]
    pub fn holds(&self, rule: Rule) -> bool {
        !self.removed.contains(&rule)
    }

    /// The nodes.
    pub fn nodes(&self) -> std::ops::Range<usize> {
        0..self.configuration.nodes()
    }

    /// Whether a witness takes part.
    #[must_use]
    pub fn witness(&self) -> bool {
        self.configuration.witness()
    }
}
