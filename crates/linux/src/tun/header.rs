//! The 10-byte header before each packet of a TUN device (virtio 1.2 §5.1.6, `virtio_net_hdr`).

/// How the kernel may cut a packet, or has joined it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum GsoType {
    /// One packet as it is.
    #[default]
    None,
    /// TCP over IPv4, segments of `gso_size` payload bytes.
    TcpV4,
    /// TCP over IPv6, segments of `gso_size` payload bytes.
    TcpV6,
    /// UDP datagrams of `gso_size` payload bytes each, IPv4 or IPv6 (`VIRTIO_NET_HDR_GSO_UDP_L4`).
    UdpSegments,
    /// A value that this code does not know.
    Other(u8),
}

impl GsoType {
    fn value(self) -> u8 {
        match self {
            GsoType::None => 0,
            GsoType::TcpV4 => 1,
            GsoType::TcpV6 => 4,
            GsoType::UdpSegments => 5,
            GsoType::Other(value) => value,
        }
    }

    fn from_value(value: u8) -> GsoType {
        match value {
            0 => GsoType::None,
            1 => GsoType::TcpV4,
            4 => GsoType::TcpV6,
            5 => GsoType::UdpSegments,
            value => GsoType::Other(value),
        }
    }
}

/// What the kernel must know of a packet beside its bytes. The default: one packet, its
/// checksums complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct VirtioNetHeader {
    /// [`NEEDS_CHECKSUM`](Self::NEEDS_CHECKSUM), [`DATA_VALID`](Self::DATA_VALID) or 0.
    pub flags: u8,
    /// How to cut the packet.
    pub gso_type: GsoType,
    /// TCP with explicit congestion notification (`VIRTIO_NET_HDR_GSO_ECN`).
    pub ecn: bool,
    /// The length of the IP and transport headers in bytes, a hint.
    pub hdr_len: u16,
    /// Payload bytes per segment; 0 without GSO.
    pub gso_size: u16,
    /// Where the transport header begins, counted from the IP header.
    pub csum_start: u16,
    /// Where the checksum lies, counted from `csum_start`.
    pub csum_offset: u16,
}

impl VirtioNetHeader {
    /// The header's length in bytes.
    pub const LENGTH: usize = 10;
    /// The transport checksum holds only the pseudo-header: complete it from `csum_start`.
    pub const NEEDS_CHECKSUM: u8 = 1;
    /// The checksums have been verified. Only read: the kernel ignores it in what is written,
    /// and verifies unless [`NEEDS_CHECKSUM`](Self::NEEDS_CHECKSUM) is set, which it trusts.
    pub const DATA_VALID: u8 = 2;
    const ECN: u8 = 0x80;

    /// The header as the kernel wants it, in this machine's byte order.
    pub fn encode(&self) -> [u8; VirtioNetHeader::LENGTH] {
        let ecn = if self.ecn { VirtioNetHeader::ECN } else { 0 };
        let [h0, h1] = self.hdr_len.to_ne_bytes();
        let [g0, g1] = self.gso_size.to_ne_bytes();
        let [s0, s1] = self.csum_start.to_ne_bytes();
        let [o0, o1] = self.csum_offset.to_ne_bytes();
        [
            self.flags,
            self.gso_type.value() | ecn,
            h0,
            h1,
            g0,
            g1,
            s0,
            s1,
            o0,
            o1,
        ]
    }

    /// Splits what a read answered into the header and the packet; `None` when it is shorter
    /// than a header.
    pub fn decode(bytes: &[u8]) -> Option<(VirtioNetHeader, &[u8])> {
        let (head, packet) = bytes.split_first_chunk::<{ VirtioNetHeader::LENGTH }>()?;
        let [flags, gso, h0, h1, g0, g1, s0, s1, o0, o1] = *head;
        let header = VirtioNetHeader {
            flags,
            gso_type: GsoType::from_value(gso & !VirtioNetHeader::ECN),
            ecn: gso & VirtioNetHeader::ECN != 0,
            hdr_len: u16::from_ne_bytes([h0, h1]),
            gso_size: u16::from_ne_bytes([g0, g1]),
            csum_start: u16::from_ne_bytes([s0, s1]),
            csum_offset: u16::from_ne_bytes([o0, o1]),
        };
        Some((header, packet))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_what_it_encodes() {
        for gso_type in [
            GsoType::None,
            GsoType::TcpV4,
            GsoType::TcpV6,
            GsoType::UdpSegments,
            GsoType::Other(3),
        ] {
            for ecn in [false, true] {
                let header = VirtioNetHeader {
                    flags: VirtioNetHeader::NEEDS_CHECKSUM,
                    gso_type,
                    ecn,
                    hdr_len: 40,
                    gso_size: 1348,
                    csum_start: 20,
                    csum_offset: 16,
                };
                let mut bytes = header.encode().to_vec();
                bytes.extend([0x45, 0]);
                assert_eq!(
                    VirtioNetHeader::decode(&bytes),
                    Some((header, &[0x45, 0][..]))
                );
            }
        }
        assert_eq!(VirtioNetHeader::decode(&[0; 9]), None);
        assert_eq!(VirtioNetHeader::default().encode(), [0; 10]);
    }
}
