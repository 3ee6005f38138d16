//! Packets in, packets out: ESP in transport and tunnel mode without sockets or clocks (RFC 4303).
//!
//! - [`outbound`]: from a packet of the host to sealed datagrams: policy, SAs, segmentation.
//! - [`inbound`]: from a datagram to packets for the host: replay, ICV, selectors, coalescing.
//! - [`reservation`]: sequence numbers reserved before they are used. Who may use an SA is decided
//!   per bucket, by gates in [`outbound`] and [`inbound`].
//! - [`outer`]: the header around a datagram. [`mtu`]: what fits.
//! - [`replay`]: the anti-replay window. [`sad`]: SAs by SPI. [`offload`]: what a TUN device says
//!   beside a packet. [`discard`] and [`counters`]: everything that is counted.
//!
//! Time is the caller's monotonic clock in nanoseconds. Nothing is allocated and no lock is taken
//! per packet once the buffers of the batches have grown to their working size.
#![forbid(unsafe_code)]

pub mod counters;
mod cover;
pub mod discard;
mod due;
mod gate;
pub mod inbound;
pub mod mtu;
pub mod offload;
pub mod outbound;
pub mod outer;
pub mod replay;
pub mod reservation;
pub mod sad;
pub mod sharing;

#[cfg(test)]
mod fixtures;

pub use counters::{Counting, SaCounters, SaUsage};
pub use discard::{Counts, Discard};
pub use inbound::{Arrival, Inbound, InboundBatch, InboundSa, UnknownSpi, Write};
pub use mtu::Overhead;
pub use offload::{Offload, Segmentation};
pub use outbound::{Acquire, Outbound, OutboundBatch, OutboundSa, Path, Run, Sent};
pub use replay::WindowImage;
pub use reservation::{NotGranted, Refill};
pub use sharing::{Refusal, Sharing};
