//! What an IKE SA knows for the day when it, or the peer's copy of it, is lost or stale (RFC 6290).

/// Part of an established IKE SA; whoever replaces it begins with one of its own.
#[derive(Default)]
pub(crate) struct Recovery {
    /// The crash tokens that the peer gave last.
    pub(crate) tokens: Vec<Vec<u8>>,
}
