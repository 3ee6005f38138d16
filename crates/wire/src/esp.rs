//! ESP packets (RFC 4303 section 2) and what arrives on UDP port 4500 (RFC 3948 section 2).

mod header;
mod trailer;
mod udp;

pub use header::{HEADER, Header, SPI_MIN};
pub use trailer::{MalformedTrailer, TRAILER, Trailer, padding, write_trailer};
pub use udp::{KEEPALIVE, NON_ESP_MARKER, UdpEncap, classify, with_marker};

#[cfg(test)]
mod tests;
