//! Where owner, epoch and in-sync set are kept, changed only by compare-and-swap: etcd.
//!
//! A [`Witness`] keeps one connection to each member of an etcd cluster (3.4 and later), in clear
//! or over TLS 1.3 with a client certificate, and offers two things:
//!
//! * **Compare-and-swap** of small records: [`Witness::propose`] puts a value under a key if the
//!   key's revision is still the expected one. What became of it comes as [`News::Outcome`].
//! * **A watch**: whatever stands under the prefix comes as [`News::State`], then each change, in
//!   order. After a change of member everything is read again, linearizably, and the watch goes on
//!   from the revision of that reading: nothing that stands is ever missed, while values that came
//!   and went during the interruption are not told.
//!
//! How it stays quick when a member dies: every connection is kept warm and is checked once a
//! second by a linearizable read, which only a majority can answer; a proposal that one member has
//! not answered after [`limits::HEDGE`] is also sent to the next. That is safe: of several copies
//! of one compare-and-swap at most one succeeds, and when a later copy fails because an earlier one
//! succeeded, the answer carries the value that stands, which is then recognised as our own.
//! So **a value should name its proposer** wherever it matters who won: two proposers of equal
//! values may both be told that their value stands.
//!
//! It speaks gRPC itself: HTTP/2 by `h2`, and the dozen messages it needs by hand. etcd's gateway
//! for JSON is no way out: it ignores whom a client certificate names, so that etcd's own
//! permissions cannot be used, and it may be turned off.
//!
//! All connections must lead to one etcd cluster: the first that answers sets the identity, and a
//! member of another cluster is refused. A cluster that was restored from a backup counts as
//! another, since its revisions may have gone back; then the program has to be started again.
#![forbid(unsafe_code)]

mod connect;
mod connection;
mod endpoint;
mod error;
mod failure;
mod frames;
mod handle;
pub mod limits;
mod member;
mod members;
mod messages;
mod news;
mod proposals;
mod protobuf;
mod race;
mod settings;
mod status;
mod tls;
mod watcher;

pub use error::{Error, Refused};
pub use handle::Witness;
pub use news::{News, NotDone};
pub use settings::{Settings, Tls};
