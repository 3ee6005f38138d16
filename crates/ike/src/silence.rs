//! An IKE SA that another member of the cluster may go on with says nothing (RFC 6027 section 3).

/// Whether an IKE SA of a cluster may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// It may.
    None,
    /// Another member cannot be told what happens here, and may go on with what it has.
    Frozen,
    /// Another member may have gone on with it, and nobody remembers how far.
    Forsaken,
}
