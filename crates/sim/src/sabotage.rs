//! Hosts that break a promise on purpose: a checker that no sabotage sets off proves nothing.

/// What every host of the world does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Every 50th ESP datagram is sent again as if its number were new.
    RepeatSequence,
    /// The replay window is forgotten before every datagram.
    SkipReplayCheck,
    /// Packets that wait for an SA are sent in clear.
    SendClear,
    /// Packets in clear are let in, whatever the policy says.
    AcceptClear,
    /// A bit of what was received is changed before the application gets it.
    Forge,
    /// The front end never removes an SA pair from ESP.
    KeepPairs,
    /// A new outbound SA never carries traffic: its packets wait for ever.
    NeverActivate,
    /// Groups are said to have stopped, and go on.
    KeepGroups,
    /// IKE requests that are sent again are changed.
    ChangeRequests,
    /// Packets that wait for an SA never make the node negotiate one.
    NeverAcquire,
    /// The driver tells its node of a group that there is not.
    InventGroup,
    /// The data plane reserves no sequence numbers.
    NoReservation,
    /// What an IKE SA says leaves before the other members have stored it.
    NoOutputCommit,
}
