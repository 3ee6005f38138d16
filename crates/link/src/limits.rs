//! Every limit of this crate, each with its reason.

use std::time::Duration;

/// The longest name of a node, in bytes: what `cluster` accepts.
pub const MAX_NAME: usize = 32;

/// The longest message, in bytes: a snapshot is sent in pieces, so that nothing waits for long
/// behind one message and a peer cannot make us allocate more than this at once.
pub const MAX_MESSAGE: usize = 4 << 20;

/// What may wait for one peer, in bytes, unless the settings say otherwise: a peer that is this
/// far behind is faster brought into step by a fresh copy.
pub const DEFAULT_QUEUE: usize = 64 << 20;

/// News that may wait for the owner. Then reading stops, and TCP makes the senders wait.
pub const MAX_NEWS: usize = 256;

/// What is sealed and written at once, in bytes: four full TLS records.
pub(crate) const MAX_BATCH: usize = 60 << 10;

/// What is read at once, in bytes: one full TLS record and a little, so that others get a turn.
pub(crate) const READ_BUFFER: usize = 32 << 10;

/// Handshakes that run at a time for addresses of the configured peers, and as many for all
/// others: a crowd of strangers costs little and cannot keep a member out.
pub const MAX_HANDSHAKES: usize = 16;

/// Reports of refused connections per second: a scan must not fill the log or the queue of news.
pub(crate) const MAX_REFUSALS: u32 = 8;

/// How long an authority is valid; longer than a machine lives.
pub(crate) const VALIDITY: Duration = Duration::from_secs(3652 * 24 * 3600);
