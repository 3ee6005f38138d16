//! ESP packets (RFC 4303 section 2), what arrives on UDP port 4500 (RFC 3948 section 2) and in TCP
//! (RFC 9329).

mod header;
mod stream;
mod trailer;
mod udp;

pub use header::{HEADER, Header, SPI_MIN};
pub use stream::{
    BadStream, Piece, STREAM_LENGTH, STREAM_MESSAGE, STREAM_PREFIX, StreamReader, stream_length,
};
pub use trailer::{MalformedTrailer, TRAILER, Trailer, padding, write_trailer};
pub use udp::{KEEPALIVE, NON_ESP_MARKER, UdpEncap, classify, with_marker};

#[cfg(test)]
mod tests;
