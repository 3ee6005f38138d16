//! Safe doors to the Linux kernel: sockets, TUN, netlink, XFRM, nftables, namespaces, captures;
//! and to Kerberos, whose library is written in C as well.
//!
//! Nothing here waits, keeps a clock or owns a loop: sockets are non-blocking and implement
//! [`AsFd`](std::os::fd::AsFd), so that any loop can wait for them. All `unsafe` code of the
//! project lives in this crate, in files named `sys.rs`.
//!
//! Functions that set something up answer with [`Error`], a sentence for people; functions on
//! the packet path answer with [`std::io::Error`].

mod batch;
mod error;
mod message;
mod prefix;
mod sys;
#[cfg(test)]
mod testing;

pub mod announce;
pub mod gss;
pub mod icmp;
pub mod netlink;
pub mod netns;
pub mod nft;
pub mod packet;
pub mod poll;
pub mod process;
pub mod raw;
pub mod tun;
pub mod udp;
pub mod xfrm;

pub use batch::{Place, RecvBatch};
pub use error::Error;
pub use message::{Message, Received, ReceivedMut};
pub use prefix::{Family, Prefix};
