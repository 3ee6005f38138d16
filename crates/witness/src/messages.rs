//! etcd's messages (its `rpc.proto` and `kv.proto`): what we ask, and what we read of the answers.

mod answers;
mod requests;

pub(crate) use answers::{Change, Range, Record, Swap, WatchNote};
pub(crate) use requests::{RangeRequest, end_of_prefix, swap, watch};

/// Paths of the procedures.
pub(crate) mod path {
    /// Reads.
    pub(crate) const RANGE: &str = "/etcdserverpb.KV/Range";
    /// Compares and swaps.
    pub(crate) const TXN: &str = "/etcdserverpb.KV/Txn";
    /// Watches.
    pub(crate) const WATCH: &str = "/etcdserverpb.Watch/Watch";
}
