//! A number or an IV that came twice, told in one sentence.

use std::fmt;
use std::net::IpAddr;

/// An SA that a peer reads: its key generation, as far as a wire shows it.
pub(crate) type Sa = (u32, IpAddr);

/// What came twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A sequence number.
    Sequence,
    /// An explicit IV.
    Iv,
}

/// Something that came twice under one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Repeat {
    /// What it is.
    pub(crate) what: What,
    /// SPI and destination.
    pub(crate) sa: Sa,
    /// The number or IV.
    pub(crate) value: u128,
    /// Who sent it now.
    pub(crate) node: &'static str,
    /// When, in microseconds since the oracle began.
    pub(crate) at: u64,
    /// Who had sent it.
    pub(crate) earlier: &'static str,
    /// Between which times, in microseconds.
    pub(crate) times: (u64, u64),
}

impl fmt::Display for Repeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((spi, destination), node, earlier) = (self.sa, self.node, self.earlier);
        match self.what {
            What::Sequence => write!(f, "number {}", self.value)?,
            What::Iv => write!(f, "IV {:#x}", self.value)?,
        }
        let [at, since, until] = [self.at, self.times.0, self.times.1].map(seconds);
        write!(
            f,
            " of SPI {spi:#010x} to {destination} from {node} at {at:.6} s, which {earlier} had \
             sent between {since:.6} and {until:.6} s"
        )
    }
}

/// Microseconds since the oracle began, as people read a capture.
pub(crate) fn seconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1e6
}
