//! Between the kernel's virtio header and what the ESP pipeline knows of a packet.

use esp::{Offload, Segmentation};
use linux::tun::{GsoType, VirtioNetHeader};

/// What the kernel said of a packet that it gave us; `None` for a kind that we never asked for.
pub(crate) fn from_kernel(header: &VirtioNetHeader) -> Option<Offload> {
    let segmentation = match header.gso_type {
        GsoType::None => Segmentation::None,
        GsoType::TcpV4 => Segmentation::TcpV4,
        GsoType::TcpV6 => Segmentation::TcpV6,
        GsoType::UdpSegments => Segmentation::Udp,
        GsoType::Other(_) => return None,
    };
    Some(Offload {
        segmentation,
        ecn: header.ecn,
        needs_checksum: header.flags & VirtioNetHeader::NEEDS_CHECKSUM != 0,
        segment_size: header.gso_size,
        header_length: header.hdr_len,
        checksum_start: header.csum_start,
        checksum_offset: header.csum_offset,
    })
}

/// What we say to the kernel of a packet that we give it.
pub(crate) fn to_kernel(offload: &Offload) -> VirtioNetHeader {
    let gso_type = match offload.segmentation {
        Segmentation::None => GsoType::None,
        Segmentation::TcpV4 => GsoType::TcpV4,
        Segmentation::TcpV6 => GsoType::TcpV6,
        Segmentation::Udp => GsoType::UdpSegments,
    };
    VirtioNetHeader {
        flags: if offload.needs_checksum {
            VirtioNetHeader::NEEDS_CHECKSUM
        } else {
            0
        },
        gso_type,
        ecn: offload.ecn,
        hdr_len: offload.header_length,
        gso_size: offload.segment_size,
        csum_start: offload.checksum_start,
        csum_offset: offload.checksum_offset,
    }
}
