//! The TCP header (RFC 9293 section 3.1).

use crate::ip::malformed::Malformed;

/// Octets of a header without options.
pub const HEADER: usize = 20;

/// The offset of the checksum.
pub const CHECKSUM: usize = 16;

/// The flag octet's bit: the sender has no more data.
pub const FIN: u8 = 0x01;
/// The flag octet's bit: synchronize sequence numbers.
pub const SYN: u8 = 0x02;
/// The flag octet's bit: reset the connection.
pub const RST: u8 = 0x04;
/// The flag octet's bit: deliver at once.
pub const PSH: u8 = 0x08;
/// The flag octet's bit: the acknowledgment number counts.
pub const ACK: u8 = 0x10;
/// The flag octet's bit: the urgent pointer counts.
pub const URG: u8 = 0x20;
/// The flag octet's bit: echo of congestion (RFC 3168).
pub const ECE: u8 = 0x40;
/// The flag octet's bit: the congestion window is reduced (RFC 3168).
pub const CWR: u8 = 0x80;

/// A view of a segment.
#[derive(Clone, Copy, Debug)]
pub struct Tcp<'a> {
    octets: &'a [u8],
    fixed: &'a [u8; HEADER],
    data: usize,
}

impl<'a> Tcp<'a> {
    /// Reads the header of a segment that is not a later fragment.
    ///
    /// # Errors
    /// When it is short or its own length impossible.
    #[inline]
    pub fn parse(octets: &'a [u8]) -> Result<Self, Malformed> {
        let fixed = octets.first_chunk::<HEADER>().ok_or(Malformed::Truncated)?;
        let data = usize::from(fixed[12] >> 4) * 4;
        if data < HEADER || data > octets.len() {
            return Err(Malformed::HeaderLength);
        }
        Ok(Tcp {
            octets,
            fixed,
            data,
        })
    }

    /// The source port.
    pub fn src_port(&self) -> u16 {
        u16::from_be_bytes([self.fixed[0], self.fixed[1]])
    }

    /// The destination port.
    pub fn dst_port(&self) -> u16 {
        u16::from_be_bytes([self.fixed[2], self.fixed[3]])
    }

    /// The sequence number of the first octet of data.
    pub fn sequence(&self) -> u32 {
        u32::from_be_bytes([self.fixed[4], self.fixed[5], self.fixed[6], self.fixed[7]])
    }

    /// The next sequence number that the sender expects.
    pub fn acknowledgment(&self) -> u32 {
        u32::from_be_bytes([self.fixed[8], self.fixed[9], self.fixed[10], self.fixed[11]])
    }

    /// Octets of the header, options included: the offset of the data.
    pub fn data_offset(&self) -> usize {
        self.data
    }

    /// The flag octet.
    pub fn flags(&self) -> u8 {
        self.fixed[13]
    }

    /// The window, not scaled.
    pub fn window(&self) -> u16 {
        u16::from_be_bytes([self.fixed[14], self.fixed[15]])
    }

    /// The checksum as it stands.
    pub fn checksum(&self) -> u16 {
        u16::from_be_bytes([self.fixed[16], self.fixed[17]])
    }

    /// The options, undecoded.
    pub fn options(&self) -> &'a [u8] {
        self.octets.get(HEADER..self.data).unwrap_or_default()
    }

    /// The data.
    pub fn data(&self) -> &'a [u8] {
        self.octets.get(self.data..).unwrap_or_default()
    }
}
