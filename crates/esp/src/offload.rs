//! What a TUN device says beside the bytes of a packet: how to cut it, how it was joined
//! (virtio 1.2 5.1.6).

/// How a packet larger than the path is to be cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Segmentation {
    /// It is one packet.
    #[default]
    None,
    /// TCP over IPv4.
    TcpV4,
    /// TCP over IPv6.
    TcpV6,
    /// UDP over either: every segment becomes a datagram.
    Udp,
}

/// The descriptor of one packet read from, or written to, a TUN device. The default describes a
/// single packet whose checksums are complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// How to cut the packet.
    pub segmentation: Segmentation,
    /// The first segment alone carries the CWR flag (RFC 3168 6.1.2).
    pub ecn: bool,
    /// The transport checksum holds only the pseudo-header's sum and is to be completed.
    pub needs_checksum: bool,
    /// Payload bytes per segment; 0 without segmentation.
    pub segment_size: u16,
    /// Length of the IP and transport headers in bytes. A hint: never trusted on input.
    pub header_length: u16,
    /// Where the checksummed part begins, in bytes from the start of the IP header.
    pub checksum_start: u16,
    /// Where the checksum is, in bytes from `checksum_start`.
    pub checksum_offset: u16,
}

impl Offload {
    /// One packet, complete.
    pub const NONE: Offload = Offload {
        segmentation: Segmentation::None,
        ecn: false,
        needs_checksum: false,
        segment_size: 0,
        header_length: 0,
        checksum_start: 0,
        checksum_offset: 0,
    };
}
