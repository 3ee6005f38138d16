//! The ESP header (RFC 4303 sections 2.1 and 2.2).

/// Octets of the header.
pub const HEADER: usize = 8;

/// The least SPI that an SA may have: zero marks IKE, up to 255 are reserved.
pub const SPI_MIN: u32 = 256;

/// The fields in the clear before the IV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The receiver's name for the SA.
    pub spi: u32,
    /// The sequence number's low 32 bits.
    pub sequence: u32,
}

impl Header {
    /// Reads a header; with it comes everything behind it. `None` when there are under 8 octets.
    #[inline]
    pub fn parse(octets: &[u8]) -> Option<(Header, &[u8])> {
        let (&[s0, s1, s2, s3, n0, n1, n2, n3], rest) = octets.split_first_chunk::<HEADER>()?;
        let spi = u32::from_be_bytes([s0, s1, s2, s3]);
        Some((
            Header {
                spi,
                sequence: u32::from_be_bytes([n0, n1, n2, n3]),
            },
            rest,
        ))
    }

    /// The header's octets.
    #[inline]
    pub fn emit(self) -> [u8; HEADER] {
        let [s0, s1, s2, s3] = self.spi.to_be_bytes();
        let [n0, n1, n2, n3] = self.sequence.to_be_bytes();
        [s0, s1, s2, s3, n0, n1, n2, n3]
    }
}
