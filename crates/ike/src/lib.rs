//! IKEv2 (RFC 7296) and IKEv1 (RFC 2409) as a state machine that owns its state and none of its
//! surroundings.
//!
//! An [`Endpoint`] has four verbs: [`Endpoint::handle_datagram`], [`Endpoint::handle_command`],
//! [`Endpoint::handle_timeout`] and [`Endpoint::poll_output`]. After each input the caller drains
//! the outputs until [`Output::Wait`] and does what they say **in their order**: an inbound SA is
//! installed before the message leaves that lets the peer use it. Time and randomness are
//! arguments; equal seeds and inputs give equal outputs.
//!
//! Failures have three tiers. [`Discard`]: a datagram was refused and nothing changed.
//! [`Error`]: an exchange or an SA ended, told by an [`Event`]. [`ApiMisuse`]: the caller erred.
//! Nothing that comes from the network makes a public function fail.
#![forbid(unsafe_code)]

mod carrier;
mod command;
mod config;
mod context;
mod discard;
mod endpoint;
mod error;
mod event;
mod gss;
mod id;
pub mod limits;
mod output;
mod pair;
mod path;
mod record;
mod retransmit;
mod silence;
mod status;
mod ticket_keys;
mod timer;
mod v1;
mod v2;

pub use command::{Acquire, Command, Stream, Usage};
pub use config::{ChildRule, Config, Cookies, Puzzles};
pub use discard::{Discard, Discards};
pub use endpoint::Endpoint;
pub use error::{
    ApiMisuse, Difference, Error, Incompatible, Misbehaved, NotAuthentic, PpkRefusal,
    PrincipalRefusal, ProposalRefusal, RedirectRefusal, SelectorRefusal,
};
pub use event::{Audit, AuditMode, Doubt, Event, FailurePoint, Reason};
pub use gss::{AskGss, GssAnswer, GssContext, GssStep};
pub use id::{IkeSaId, Role};
pub use output::{AskStatus, Datagram, IkeKeys, Install, IsakmpKey, Outbound, Output};
pub use record::{BadRecord, Directory, FindRule, Pair, Record, Recorded, Takeover};
pub use status::{ChildState, ChildStatus, IkeState, IkeStatus, Movable};
pub use ticket_keys::{TicketKey, TicketKeys};
pub use timer::Timer;
