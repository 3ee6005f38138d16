//! The UDP header (RFC 768).

use crate::ip::malformed::Malformed;

/// Octets of the header.
pub const HEADER: usize = 8;

/// The offset of the checksum.
pub const CHECKSUM: usize = 6;

/// A view of a datagram.
#[derive(Clone, Copy, Debug)]
pub struct Udp<'a> {
    fixed: &'a [u8; HEADER],
    data: &'a [u8],
}

impl<'a> Udp<'a> {
    /// Reads a datagram that is not fragmented; octets behind its length are cut off.
    ///
    /// # Errors
    /// When it is shorter than its header or its length says.
    #[inline]
    pub fn parse(octets: &'a [u8]) -> Result<Self, Malformed> {
        let (fixed, rest) = octets
            .split_first_chunk::<HEADER>()
            .ok_or(Malformed::Truncated)?;
        let length = usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
        let data = length.checked_sub(HEADER).ok_or(Malformed::HeaderLength)?;
        let data = rest.get(..data).ok_or(Malformed::TotalLength)?;
        Ok(Udp { fixed, data })
    }

    /// The source port.
    pub fn src_port(&self) -> u16 {
        u16::from_be_bytes([self.fixed[0], self.fixed[1]])
    }

    /// The destination port.
    pub fn dst_port(&self) -> u16 {
        u16::from_be_bytes([self.fixed[2], self.fixed[3]])
    }

    /// Octets of the datagram, header included.
    pub fn length(&self) -> usize {
        HEADER + self.data.len()
    }

    /// The checksum as it stands; zero for none.
    pub fn checksum(&self) -> u16 {
        u16::from_be_bytes([self.fixed[6], self.fixed[7]])
    }

    /// The data.
    pub fn data(&self) -> &'a [u8] {
        self.data
    }
}

/// A header with checksum zero, none, for a datagram of `length` octets, header included.
pub fn header(src_port: u16, dst_port: u16, length: u16) -> [u8; HEADER] {
    let [s0, s1] = src_port.to_be_bytes();
    let [d0, d1] = dst_port.to_be_bytes();
    let [l0, l1] = length.to_be_bytes();
    [s0, s1, d0, d1, l0, l1, 0, 0]
}
