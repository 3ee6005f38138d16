//! Who owns what: membership, groups and epochs of a cluster, without sockets, clock or threads.
//!
//! A [`Member`] is one node's part. Its peers and it exchange one kind of datagram, the
//! authenticated heartbeat, which says everything every time; from what is heard, and what is no
//! longer heard, each node derives who owns each group:
//!
//! * A **claim** (owner, epoch) replaces another only if it is better, and every node agrees on
//!   which of two is better; so heartbeats may come twice, late, or not at all.
//! * A **planned move** costs one message flight after the group has stopped; the message is
//!   repeated with every heartbeat until the new owner's own heartbeat shows that it came.
//! * A **crash** is noticed when the last heartbeat is heartbeat × missed old, on every path.
//! * After a **start**, and after a **freeze** (this node's own last heartbeat is older than the
//!   detection time), a node takes, gives and starts nothing until every peer has acknowledged a
//!   heartbeat that was sent since, or a bounded time is over. It lets go at once of what it has
//!   lost.
//! * **Two owners** (a partition that healed): the higher epoch wins, then the preferred owner,
//!   then the first name. The loser stops at once; the winner announces its addresses again when
//!   the loser has let go of them. Where only one of the two hears the other, it gives way.
//! * A **process that dies** is noticed at once, where another on its host outlives it and sends
//!   its farewell: sealed by that life beforehand, good for that life alone.
//! * **More than one heartbeat interval late** itself, a node gives the others one more interval
//!   (up to twice the detection time): their heartbeats may lie unread in its socket.
//!
//! A [`Replicator`] stands beside the member: it keeps copies of what a group's owner knows at the
//! other members, over ordered links, and says which of them could go on at this moment.
//!
//! Where more will go: a bucket of a load-balanced address is a group.
//!
//! Without a witness, two nodes that cannot hear each other both own everything: that is what
//! a group's epoch is for, and what the takeover of live security associations must survive.
#![forbid(unsafe_code)]

mod claim;
mod codec;
mod command;
mod config;
mod discard;
mod event;
mod group;
mod heartbeat;
mod key;
pub mod limits;
mod member;
mod names;
mod output;
mod parcel;
mod parts;
mod peer;
mod pulse;
mod reason;
mod replica;
mod requests;
mod settle;
mod status;
mod view;
mod witness;

pub use command::{ApiMisuse, Command};
pub use config::{Config, ConfigError};
pub use discard::{Discard, Discards};
pub use event::Event;
pub use key::{BadKey, ClusterKey};
pub use member::Member;
pub use names::{BadName, GroupName, NodeName};
pub use output::{Farewell, Output, Timer};
pub use parcel::Parcel;
pub use parts::{Failback, GroupConfig, Peer};
pub use reason::{DownReason, MoveReason, Refusal, StartReason, StopReason};
pub use replica::{ReplicaOutput, ReplicaStatus, Replicator, Standing};
pub use status::{GroupState, GroupStatus, NodeState, NodeStatus, PathStatus, Phase, Status};
pub use witness::WitnessAnswer;
