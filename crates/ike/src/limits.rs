//! Every bound of this crate, each with its reason.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Half-open responders kept at once; beyond it the oldest gives way (RFC 7296 section 2.6).
pub const HALF_OPEN: usize = 1_000;

/// Half-open responders kept for one source: an IPv4 /24 or an IPv6 /64.
pub const HALF_OPEN_PER_SOURCE: usize = 100;

/// How long a half-open responder waits for IKE_AUTH: longer than a patient initiator's first
/// five retransmissions, shorter than a flood needs to hurt.
pub const HALF_OPEN_LIFE: Duration = Duration::from_secs(30);

/// IKE SAs that this host may have at once, established or not.
pub const IKE_SAS: usize = 200_000;

/// Child SA pairs under one IKE SA.
pub const CHILDREN: usize = 256;

/// Most children in the record of one IKE SA: each may stand beside the one that takes its place.
pub const RECORDED_CHILDREN: usize = 2 * CHILDREN;

/// Requests that wait for the window of one IKE SA; more than any rule set asks for.
pub const QUEUE: usize = 64;

/// Own requests in flight at once, however large the peer says its window is.
pub const WINDOW: u32 = 4;

/// Times that a request starts anew because of COOKIE or INVALID_KE_PAYLOAD (section 2.6.1).
pub const RESTARTS: u8 = 3;

/// Times that an exchange is tried again after TEMPORARY_FAILURE (section 2.25).
pub const TEMPORARY_FAILURES: u8 = 8;

/// Deletes of children that we do not know yet, remembered while a request for one is in flight.
pub const DELETED_EARLY: usize = 16;

/// Other addresses of a peer that are remembered (RFC 4555 section 3.4).
pub const ADDITIONAL_ADDRESSES: usize = 8;

/// Times that a change of addresses is asked for again when a NAT was not to be on the way (RFC
/// 4555 section 3.9).
pub const UNEXPECTED_NATS: u8 = 3;

/// Transmissions of a request without an answer after which another path may be better: with our
/// ladder half a second.
pub const SILENT_PATH: usize = 5;

/// How long a peer that may be on its way to another address is asked after the ladder's end, since
/// it was heard last (RFC 4555 section 3.11).
pub const ROAMING: Duration = Duration::from_secs(5 * 60);

/// Gap between two transmissions to such a peer.
pub const ROAMING_REPEAT: Duration = Duration::from_secs(10);

/// How long to wait after TEMPORARY_FAILURE; as much again is added at random.
pub const TEMPORARY_WAIT: Duration = Duration::from_millis(500);

/// Octets of a cookie that is accepted and returned (RFC 7296 section 2.6).
pub const COOKIE: usize = 64;

/// Zero bits of the hardest puzzle that we solve (RFC 8019): about four million HMACs.
pub const PUZZLE_DIFFICULTY: u8 = 20;

/// Keys that are tried for a puzzle at a time: about a millisecond, which heartbeats can wait.
pub const PUZZLE_CHUNK: u32 = 1_000;

/// Rest after each of these, for everything else.
pub const PUZZLE_PAUSE: Duration = Duration::from_millis(1);

/// Handshakes begun per second by initiators that return a cookie and do not solve the puzzle:
/// most do not know what it is (RFC 8019 section 7.1.4).
pub const UNSOLVED: u32 = 10;

/// Age at which the secret of our own cookies is replaced; the one before stays valid as long.
pub const COOKIE_SECRET_LIFE: Duration = Duration::from_secs(120);

/// Times that a peer may send us to another gateway within [`REDIRECT_PERIOD`] (RFC 5685 section
/// 9).
pub const REDIRECTS: usize = 5;

/// The time in which redirections are counted.
pub const REDIRECT_PERIOD: Duration = Duration::from_secs(300);

/// How long a peer that we sent to another gateway may take to go (RFC 5685 section 5): a handshake
/// with all its retransmissions, while its old SAs still carry its traffic.
pub const REDIRECT_GRACE: Duration = Duration::from_secs(30);

/// Octets of our nonces: at least half the key size of any PRF here (RFC 7296 section 2.10).
pub const NONCE: usize = 32;

/// How long a first message is sent by UDP without an answer before a TCP connection is tried
/// beside it, with a peer that has `Tcp::Fallback`: longer than any round trip.
pub const TCP_FALLBACK: Duration = Duration::from_secs(1);

/// The gap between attempts to open a lost TCP connection again doubles so often, from 1 s: 32 s.
pub const STREAM_GAPS: u32 = 5;

/// How long an exchange waits for an answer at least while there is no connection: long enough for
/// the peer to have found out and to open another, whose attempts are at most 32 s apart.
pub const STREAM_PATIENCE: Duration = Duration::from_secs(60);

/// Octets of a message that is put together of fragments (RFC 7383): what a message may have.
pub const REASSEMBLED: usize = 65_535;

/// How long a CREATE_CHILD_SA waits for the peer's next additional key exchange (RFC 9370).
pub const FOLLOWUP: Duration = Duration::from_secs(30);

/// Octets by which the peer names such a CREATE_CHILD_SA.
pub const LINK: usize = 16;

/// How long a replaced IKE SA still answers while it waits for the peer's Delete.
pub const REPLACED_LIFE: Duration = Duration::from_secs(60);

/// How long a replaced child waits for the peer's Delete before it is deleted from here.
pub const REPLACED_CHILD_LIFE: Duration = Duration::from_secs(10);

/// How long a silent IKE SA that is being replaced still receives, while its replacement comes to
/// be. Its peer finds out by itself that it is gone: nothing can be said on it.
pub const SILENT_LIFE: Duration = Duration::from_secs(10);

/// How long a deleted IKE SA repeats its last response, in case that was lost.
pub const CLOSED_LIFE: Duration = Duration::from_secs(10);

/// The longest that any timer runs: ten years, so that no setting overflows the clock.
pub const FOREVER: Duration = Duration::from_secs(10 * 365 * 86_400);

/// The longest that an address that leaves waits for the peers' answers to its Deletes.
pub const RELEASE: Duration = Duration::from_millis(100);

/// Gap between the repetitions of a Delete while its address leaves.
pub const RELEASE_REPEAT: Duration = Duration::from_millis(15);

/// Answers to messages of unknown IKE SAs, per second.
pub const UNKNOWN_SPI_ANSWERS: u32 = 100;

/// Unprotected hints that are looked at, per second.
pub const HINTS: u32 = 1_000;

/// Gap between two liveness checks of one IKE SA that hints caused.
pub const HINT_GAP: Duration = Duration::from_secs(1);

/// Gap between two negotiations with one peer that unknown ESP SPIs caused.
pub const INVALID_SPI_GAP: Duration = Duration::from_millis(250);

/// Gap between the keepalives of a host behind a NAT (RFC 3948 section 4).
pub const NAT_KEEPALIVE: Duration = Duration::from_secs(20);

/// Crash tokens of one message that are looked at: the least that a taker must (RFC 6290 section
/// 4.2).
pub const CRASH_TOKENS: usize = 4;

/// Message ids to go on from must be below this: half of all, so that none is used up soon.
pub const SYNCED_MESSAGE_ID: u32 = 1 << 31;

/// ESP numbers that a child may skip in its life because the peer's cluster asked for it. With
/// extended numbers a jump of 2^32 less the window is fatal (RFC 4303 appendix A2), and without
/// them this is a quarter of all numbers; RFC 6311 section 5.2 speaks of as many.
pub const SKIPPED: u64 = 1 << 30;

/// How often a ticket is shown before a full handshake is tried: the peer may be one that knows
/// nothing of tickets any more. The third time is 125 ms after the first, by our ladder.
pub const RESUME_TRIES: usize = 3;

/// Authorities that one CERTREQ names; each costs 20 octets of a message that is not fragmented.
pub const ASKED_AUTHORITIES: usize = 32;

/// How long a handshake waits for what a responder says of a certificate: less than a peer that
/// is as patient as we are repeats its request.
pub const STATUS_WAIT: Duration = Duration::from_secs(4);

/// Questions to responders that are not answered yet.
pub const STATUS_QUESTIONS: usize = 64;

/// Certificates of which it is known whether they still hold.
pub const STATUSES: usize = 4_096;

/// Seconds in which no responder is asked for the same again, whatever came of it.
pub const STATUS_AGAIN: u64 = 10;

/// OCSP responses of one message that are looked at: one counts.
pub const STAPLED: usize = 2;

/// Security contexts that handshakes may have at once: each is a few kilobytes outside of this
/// crate, and whoever has a ticket can make one.
pub const GSS_CONTEXTS: usize = 256;

/// How long a handshake waits for a step of its security context: the library asks a KDC that is
/// silent for 18 s, and then says so.
pub const GSS_WAIT: Duration = Duration::from_secs(30);

/// When a security context is forgotten that nobody has ended: longer than any handshake.
pub const GSS_LIFE: Duration = Duration::from_secs(120);

/// Tokens of one side in one handshake: Kerberos needs one.
pub const GSS_TOKENS: usize = 8;

/// Octets of a datagram that this crate reads: no PSK exchange comes near it.
pub const DATAGRAM: usize = 65_535;

/// Events per second that tell of refused handshakes: anybody can cause these.
pub const UNAUTHENTICATED_NEWS: u32 = 20;

/// Peers of whose unknown ESP SPIs we remember when we last acted upon one.
pub const CALLED: usize = 10_000;

/// Quick modes of ours under way at once under one ISAKMP SA: some peers lose count of more.
pub const QUICK_MODES: usize = 8;

/// Message ids of a peer that are remembered for an ISAKMP SA: none is taken twice, or a recorded
/// message could be played again. When half of them are used another main mode is begun.
pub const MESSAGE_IDS: usize = 4_096;

/// How long a pair is given up after by whoever has a peer in a cluster ([MS-IKEE] section 3.5.2).
pub const FAST_FAILOVER_IDLE: Duration = Duration::from_secs(60);

/// Transmissions of R-U-THERE without an answer after which the peer is called anew as well: it may
/// be there and have lost the ISAKMP SA, and could not say so. With our ladder 125 ms.
pub const EARLY_MAIN_MODE: usize = 3;

/// How long a quick mode of ours is remembered when it is over, for a peer that has not got the
/// last message, and for CONNECTED.
pub const QUICK_LINGER: Duration = Duration::from_secs(30);

/// How long a new pair waits before it sends to a peer that makes its SAs when it reads our
/// confirmation: strongSwan takes some milliseconds for it, and what comes before is lost. Twice as
/// long as the peer took for its answer, within this.
pub const QUICK_SETTLES: RangeInclusive<Duration> =
    Duration::from_millis(20)..=Duration::from_millis(250);

/// How long a pair that we have replaced still receives before we delete it: the peer sends on the
/// new one once it has our confirmation, which may have to be sent again.
pub const QUICK_REPLACED_LIFE: Duration = Duration::from_secs(5);

/// How long a pair that the peer has replaced waits at most for its Delete.
pub const QUICK_REPLACED_PATIENCE: Duration = Duration::from_secs(60);

/// How much longer than the peer's Delete can take it waits: the peer's clock began later.
pub const QUICK_REPLACED_SLACK: Duration = Duration::from_secs(2);

/// How long the answer to an acknowledged delete is remembered: as long as Windows repeats it.
pub const DELETE_LINGER: Duration = Duration::from_secs(64);

/// How long parts of a message of IKEv1 wait for the others ([MS-IKEE] section 3.3).
pub const FRAGMENTS_LIFE: Duration = Duration::from_secs(70);

/// How often a Delete is sent that nobody acknowledges.
pub const PLAIN_DELETES: usize = 2;
