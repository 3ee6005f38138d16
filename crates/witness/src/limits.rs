//! What this client bounds, and why.

use std::time::Duration;

/// Octets of a value: an owner, an epoch and a set of names fit many times.
pub const VALUE_MAX: usize = 4096;
/// Octets of a key, the prefix included: the names of a cluster and of a group.
pub const KEY_MAX: usize = 512;
/// Records under the prefix: 256 groups of 64 buckets. More is another program's doing.
pub const RECORDS_MAX: usize = 16_384;
/// Endpoints: etcd advises against more than seven members.
pub const ENDPOINTS_MAX: usize = 9;
/// Proposals without an outcome, at once: each holds up to [`VALUE_MAX`] octets.
pub const PROPOSALS_MAX: usize = 1024;
/// News that nobody has taken yet; beyond, the witness waits for its reader.
pub const NEWS_MAX: usize = 1024;
/// Records per answer when everything is read: keeps an answer far below [`MESSAGE_MAX`].
pub(crate) const PAGE: u64 = 128;
/// Octets of one message from etcd: its own bound (1.5 MiB and 512 KiB for the frame).
pub(crate) const MESSAGE_MAX: usize = 2 * 1024 * 1024;
/// Octets of headers that etcd may send with an answer; its own are below 500.
pub(crate) const HEADERS_MAX: u32 = 16 * 1024;
/// Characters of etcd's own words in a sentence of ours.
pub(crate) const WORDS_MAX: usize = 300;
/// A proposal is also sent to the next member when one has not answered for this long: several
/// times what a healthy cluster needs, and what a dead member costs at most.
pub const HEDGE: Duration = Duration::from_millis(75);
/// A member that has not answered a proposal for this long is sent it again: what it passed on to a
/// leader that died is lost.
pub(crate) const RESEND: Duration = Duration::from_millis(250);
/// Copies of one proposal: three members, for more than five seconds.
pub(crate) const COPIES_MAX: usize = 64;
/// How often an idle connection proves that its member has a majority.
pub const CHECK: Duration = Duration::from_secs(1);
/// A check that takes longer fails, and the watch moves to another member: with [`CHECK`] it bounds
/// how long a frozen member can keep changes from us.
pub const CHECK_PATIENCE: Duration = Duration::from_millis(500);
/// How often a member in trouble is asked again: an election lasts about a second.
pub(crate) const RECHECK: Duration = Duration::from_millis(200);
/// First and longest pause between attempts to connect.
pub(crate) const RECONNECT: (Duration, Duration) =
    (Duration::from_millis(100), Duration::from_secs(1));
/// For TCP, TLS and HTTP/2 together; a member in the same site needs a few milliseconds.
pub(crate) const CONNECT: Duration = Duration::from_secs(2);
/// How long etcd may take for its first word after the handshake of TLS, before we speak.
pub(crate) const FIRST_WORD: Duration = Duration::from_millis(250);
/// The kernel gives up a connection whose octets are not acknowledged for this long; the checks
/// have given it up long before.
pub(crate) const UNACKNOWLEDGED: Duration = Duration::from_secs(10);
/// Shortest and longest time that a request may be given.
pub(crate) const REQUEST_TIMEOUT: (Duration, Duration) =
    (Duration::from_millis(50), Duration::from_secs(60));
