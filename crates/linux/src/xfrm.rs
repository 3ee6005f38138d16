//! The kernel's own IPsec by netlink: SAs, policies and their events (RFC 4301 §4.4, xfrm.h).
//!
//! An [`Xfrm`] is a door to one network namespace. It never waits for anything but the kernel's
//! answer. Numbers in messages are in the byte order of the host, addresses, ports and SPIs in
//! that of the network; keys are wiped once they are sent.

mod algorithm;
mod blocks;
mod event;
mod octets;
mod policy;
mod replay;
mod request;
mod selector;
mod socket;
mod state;

pub use algorithm::{Algorithm, Cipher, Hash};
pub use blocks::port_blocks;
pub use event::{Acquire, Event, Moved, XfrmMonitor};
pub use policy::{Direction, Policy, PolicyAction, Template};
pub use replay::Replay;
pub use request::{Migration, MigrationKey, is_missing, is_refused};
pub use selector::{PortBlock, Selector};
pub use socket::Xfrm;
pub use state::{Lifetimes, Mark, Mode, Offload, Sa, SaId, SaInfo};

#[cfg(test)]
mod tests;
