//! The rules, one name each, so that each can be left out.

/// A rule of the takeover that a search can leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// Rule 1: the owner uses no sequence number at or above its ceiling.
    ReserveBeforeUse,
    /// Rule 1: a ceiling counts when all in-sync members have acknowledged it, not when it is sent.
    CeilingNeedsAcknowledgement,
    /// Rule 1: the survivor starts at the stored ceiling, not at the last `next` it heard of.
    StartAtTheCeiling,
    /// Rule 2: the IV carries the activation. Rule 1 alone keeps IVs apart too: this is the second
    /// of two layers. So leaving it out alone breaks nothing; without both, IVs repeat.
    EpochInIv,
    /// Rule 3: an IKE message leaves when every in-sync member has stored it, not before.
    CommitBeforeTransmit,
    /// Rule 3: the survivor sends again what is stored, and makes no message in its place.
    ResendWhatIsStored,
    /// Rule 4: the in-sync set shrinks before the owner goes on alone. Without a witness it cannot
    /// shrink, so that the owner stays below its ceiling and silent on the replicated IKE SA.
    ShrinkBeforeAlone,
    /// Rule 4 without a witness, its half for IKE: nothing more is sent on the replicated IKE SA.
    AloneSilentOnIke,
    /// Rule 4: every change of the witness's record is compared with the record.
    CompareAndSwap,
    /// Rule 4: whoever has taken over acknowledges nothing of an older epoch.
    PromiseAfterTakeover,
    /// Rule 4: a returning member's acknowledgements are needed from the moment when its snapshot
    /// leaves, not from when it has acknowledged that, or the witness has confirmed the member.
    CountFromTheSnapshot,
    /// Rule 4: the in-sync set names lives of nodes, not nodes. A node that lost its memory has
    /// also lost its promise: what it held is never extended with its new life. With a witness it
    /// is taken out of the in-sync set before it is synced again; without one, the pair of SAs is
    /// used up to its acknowledged ceiling and replaced.
    SetNamesIncarnations,
    /// Rule 4: with the answer that removes a member its connection ends, so that no
    /// acknowledgement from before it counts for what it is sent afterwards.
    RemovedIsDisconnected,
    /// Rule 5: a member that is not provably in sync never sends on an inherited SA.
    InSyncOnly,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 14] = [
        Self::ReserveBeforeUse,
        Self::CeilingNeedsAcknowledgement,
        Self::StartAtTheCeiling,
        Self::EpochInIv,
        Self::CommitBeforeTransmit,
        Self::ResendWhatIsStored,
        Self::ShrinkBeforeAlone,
        Self::AloneSilentOnIke,
        Self::CompareAndSwap,
        Self::PromiseAfterTakeover,
        Self::CountFromTheSnapshot,
        Self::SetNamesIncarnations,
        Self::RemovedIsDisconnected,
        Self::InSyncOnly,
    ];

    /// What nodes do that do not follow it.
    #[must_use]
    pub fn without(self) -> &'static str {
        match self {
            Self::ReserveBeforeUse => "the owner ignores its ceiling",
            Self::CeilingNeedsAcknowledgement => "a ceiling counts when it is sent",
            Self::StartAtTheCeiling => "the survivor starts at the last `next` it heard",
            Self::EpochInIv => "the IV is the sequence number alone",
            Self::CommitBeforeTransmit => "IKE messages leave before they are stored",
            Self::ResendWhatIsStored => "the survivor makes its own in place of stored messages",
            Self::ShrinkBeforeAlone => "the owner goes on alone at once",
            Self::AloneSilentOnIke => "alone, the owner goes on with the replicated IKE SA",
            Self::CompareAndSwap => "the in-sync set is written without comparing",
            Self::PromiseAfterTakeover => "the survivor still acknowledges the old epoch",
            Self::CountFromTheSnapshot => "a joining member counts only when it is confirmed",
            Self::SetNamesIncarnations => "a restarted member is taken for the one it was",
            Self::RemovedIsDisconnected => "a removed member's old acknowledgements count",
            Self::InSyncOnly => "a member out of sync sends on an inherited SA",
        }
    }
}
