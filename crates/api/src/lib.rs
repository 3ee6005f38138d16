//! What the outside may ask and see: the one contract of daemon, command line and dashboard.
//!
//! A client connects to the control socket, writes one [`Request`] as a line of JSON and reads one
//! [`Reply`] as a line of JSON. Names are snake_case, times are seconds or RFC 3339 UTC, counts are
//! integers, what is unknown is `null`; secrets are never part of an answer.
#![forbid(unsafe_code)]

mod cluster;
mod dynamic;
mod explain;
mod history;
mod monitor;
mod request;
mod status;

pub use cluster::{ClusterStatus, GroupStatus, LinkStatus, NodeStatus, ReplicationStatus, Runway};
pub use dynamic::{DynamicChange, DynamicChanged, DynamicRules, PolicyText};
pub use explain::{Explanation, Passed};
pub use history::{History, Move, Phases};
pub use monitor::{MainMode, MainModeSa, QuickMode, QuickModeSa};
pub use request::{ErrorCode, Failure, MAX_REQUEST, Reply, Request, SCHEMA};
pub use status::{ChildSa, Counter, IkeSa, PathMtu, Plane, RuleStatus, SoftSa, Status};
