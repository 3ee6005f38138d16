//! Links, addresses, routes and policy rules by rtnetlink (RFC 3549, rtnetlink(7)).
//!
//! A [`Netlink`] speaks with the network namespace of the thread that opened it, whichever
//! thread uses it later. Additions and removals are idempotent: they answer whether anything
//! changed.

mod address;
mod link;
mod monitor;
mod notices;
mod owned;
mod reply;
mod route;
mod rule;
mod socket;

pub use address::{Address, AddressFlags};
pub use link::{Link, index_of};
pub use monitor::{Event, Monitor};
pub(crate) use notices::Notices;
pub(crate) use reply::{Replies, Reply};
pub use route::{MAIN_TABLE, OWNER, Route, RouteKind, RouteTo};
pub use rule::{Rule, RuleAction};
pub use socket::Netlink;

#[cfg(test)]
mod tests;
