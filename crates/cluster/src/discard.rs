//! Datagrams that were refused: nothing changed, one counter per reason.

use std::fmt;

/// Why a datagram was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    /// Shorter or longer than any heartbeat.
    Length,
    /// Not a heartbeat of this protocol and version.
    Magic,
    /// The authentication tag does not fit: another key, or damage.
    Tag,
    /// Authenticated, but not well formed: a member of another version.
    Malformed,
    /// From this node itself, or from another process under its name.
    OwnName,
    /// From a node that is not in the configuration.
    UnknownSender,
    /// From an earlier process of the sender, or from one that came to light without proof that
    /// it is alive now.
    OldIncarnation,
    /// Not newer than what was heard already: a replay, or overtaken on the way.
    Stale,
    /// A further copy that came on another path, as it should.
    Copy,
    /// From a process that was reported dead.
    DeclaredDead,
}

impl Discard {
    /// Every reason, in the order of their counters.
    pub const ALL: [Self; 10] = [
        Self::Length,
        Self::Magic,
        Self::Tag,
        Self::Malformed,
        Self::OwnName,
        Self::UnknownSender,
        Self::OldIncarnation,
        Self::Stale,
        Self::Copy,
        Self::DeclaredDead,
    ];
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Length => "length",
            Self::Magic => "magic",
            Self::Tag => "tag",
            Self::Malformed => "malformed",
            Self::OwnName => "own-name",
            Self::UnknownSender => "unknown-sender",
            Self::OldIncarnation => "old-incarnation",
            Self::Stale => "stale",
            Self::Copy => "copy",
            Self::DeclaredDead => "declared-dead",
        })
    }
}

/// How many datagrams were refused, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discards([u64; Discard::ALL.len()]);

impl Discards {
    pub(crate) fn count(&mut self, why: Discard) {
        for (counter, reason) in self.0.iter_mut().zip(Discard::ALL) {
            *counter += u64::from(reason == why);
        }
    }

    /// The counter of one reason.
    #[must_use]
    pub fn of(&self, why: Discard) -> u64 {
        self.iter()
            .find(|(reason, _)| *reason == why)
            .map_or(0, |(_, count)| count)
    }

    /// Every reason with its counter.
    pub fn iter(&self) -> impl Iterator<Item = (Discard, u64)> + '_ {
        Discard::ALL.into_iter().zip(self.0)
    }

    /// All of them together, without the copies that several paths bring by design.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.iter()
            .filter(|(why, _)| *why != Discard::Copy)
            .map(|(_, count)| count)
            .sum()
    }
}
