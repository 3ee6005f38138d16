//! Every limit of the crate in one place, each with its reason.

use std::time::Duration;

/// Longest name of a node or a group, in bytes: names travel in every heartbeat.
pub const MAX_NAME: usize = 32;

/// Most other nodes of one cluster.
pub const MAX_PEERS: usize = 15;

/// Most addresses (paths) of one peer: each is another copy of every heartbeat.
pub const MAX_PATHS: usize = 8;

/// Most groups; the size of the heartbeat is checked as well.
pub const MAX_GROUPS: usize = 64;

/// Longest heartbeat in bytes: the smallest IPv6 MTU (1,280) less IPv6 and UDP headers, so that
/// a heartbeat is never sent in fragments.
pub const MAX_HEARTBEAT: usize = 1_232;

/// Shortest heartbeat interval: below this a plain scheduler's jitter looks like silence.
pub const MIN_INTERVAL: Duration = Duration::from_millis(1);

/// Longest heartbeat interval; beyond it a "heartbeat" detects nothing in useful time.
pub const MAX_INTERVAL: Duration = Duration::from_secs(60);

/// Fewest missed heartbeats that mean silence: one lost datagram must not move a service.
pub const MIN_MISSED: u32 = 2;

/// Most missed heartbeats.
pub const MAX_MISSED: u32 = 100;

/// Shortest time that a starting node listens before it claims groups.
pub const MIN_JOIN: Duration = Duration::from_millis(500);

/// Longest time that a starting node may listen.
pub const MAX_JOIN: Duration = Duration::from_secs(6 * 3_600);

/// Longest restart period and failback hold time: 30 days.
pub const MAX_PERIOD: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Shortest secret in bytes: the output of the HMAC (RFC 2104 section 3).
pub const MIN_KEY: usize = 32;

/// Longest secret in bytes; more adds nothing to HMAC-SHA-256.
pub const MAX_KEY: usize = 256;

/// Most further keys that are accepted while a key is being changed.
pub const MAX_ACCEPTED_KEYS: usize = 3;

/// Most failures remembered per group, and so the highest restart threshold.
pub const MAX_RESTARTS: u32 = 1_000;

/// Most earlier incarnations of a peer that are remembered in order to refuse them.
pub const MAX_RETIRED: usize = 8;

/// Most requests to other nodes that wait for their turn.
pub const MAX_REQUESTS: usize = 16;

/// How often an owner that misses a member has its record written again, as a sign of life for who
/// does not hear it.
pub(crate) const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// How long a record must have stood without one before a member that it does not name begins
/// without SAs: three signs of life, and time for an election of the witness.
pub(crate) const OUTSIDER: Duration = Duration::from_secs(4);
