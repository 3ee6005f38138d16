//! The header around an ESP datagram, for whoever has no socket that makes it
//! (RFC 4301 5.1.2, RFC 3948 2.1).

use std::net::IpAddr;

use policy::sa::Encapsulation;
use wire::ip::{checksum, protocol, udp, v4, v6};

use crate::outbound::Path;

/// Hops that the outer header allows.
const HOP_LIMIT: u8 = 64;

/// Appends the whole IP packet that carries `datagram` along `path` to `out`. DSCP, ECN and
/// "don't fragment" are those of the path; `identification` is for IPv4. A UDP
/// checksum is zero with IPv4 and right with IPv6, where it may not be zero.
///
/// Says `false`, and appends nothing, when the datagram is too long, goes into a TCP stream, or the
/// addresses are of two families. A clear packet is appended as it is.
#[must_use]
pub fn append(path: &Path, datagram: &[u8], identification: u16, out: &mut Vec<u8>) -> bool {
    let Path::Esp {
        local,
        remote,
        encapsulation,
        traffic_class,
        dont_fragment,
    } = *path
    else {
        out.extend_from_slice(datagram);
        return true;
    };
    let (next_header, udp) = match encapsulation {
        Encapsulation::None => (protocol::ESP, None),
        Encapsulation::Udp {
            local_port,
            remote_port,
        } => (protocol::UDP, Some((local_port, remote_port))),
        // A stream has no datagrams.
        Encapsulation::Tcp { .. } => return false,
    };
    let length = datagram.len() + if udp.is_some() { udp::HEADER } else { 0 };
    let Ok(total) = u16::try_from(v6::HEADER + length) else {
        return false;
    };
    let length = total - v6::HEADER as u16;
    match (local, remote) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let header = v4::Header {
                traffic_class,
                dont_fragment,
                identification,
                hop_limit: HOP_LIMIT,
                ..v4::Header::new(src, dst, next_header, length + v4::HEADER as u16)
            };
            out.extend_from_slice(&header.emit());
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let header = v6::Header {
                traffic_class,
                hop_limit: HOP_LIMIT,
                ..v6::Header::new(src, dst, next_header, length)
            };
            out.extend_from_slice(&header.emit());
        }
        _ => return false,
    }
    if let Some((local_port, remote_port)) = udp {
        let mut header = udp::header(local_port, remote_port, length);
        if local.is_ipv6() {
            let parts = [&header[..], datagram];
            let sum = checksum::transport(local, remote, protocol::UDP, &parts);
            if let Some(field) = header.last_chunk_mut() {
                *field = sum.to_be_bytes();
            }
        }
        out.extend_from_slice(&header);
    }
    out.extend_from_slice(datagram);
    true
}

#[cfg(test)]
mod tests {
    use wire::ip::Packet;

    use super::*;
    use crate::fixtures::address;

    fn path(ipv6: bool, encapsulation: Encapsulation) -> Path {
        let (local, remote) = (address(ipv6, 1), address(ipv6, 2));
        Path::Esp {
            local,
            remote,
            encapsulation,
            traffic_class: 0xb8,
            dont_fragment: false,
        }
    }

    #[test]
    fn the_datagram_is_what_the_header_says() {
        let udp = Encapsulation::Udp {
            local_port: 4500,
            remote_port: 9999,
        };
        for ipv6 in [false, true] {
            let mut out = Vec::new();
            assert!(append(
                &path(ipv6, Encapsulation::None),
                &[7; 40],
                9,
                &mut out
            ));
            let packet = Packet::parse(&out).unwrap();
            assert_eq!(
                (packet.src(), packet.dst()),
                (address(ipv6, 1), address(ipv6, 2))
            );
            assert_eq!(
                (packet.protocol(), packet.traffic_class()),
                (protocol::ESP, 0xb8)
            );
            assert_eq!((packet.payload(), packet.hop_limit()), (&[7; 40][..], 64));

            out.clear();
            assert!(append(&path(ipv6, udp), &[7; 40], 9, &mut out));
            let packet = Packet::parse(&out).unwrap();
            let view = wire::ip::udp::Udp::parse(packet.payload()).unwrap();
            assert_eq!(
                (view.src_port(), view.dst_port(), view.length()),
                (4500, 9999, 48)
            );
            assert_eq!(view.data(), [7; 40]);
            let right = checksum::is_right(
                packet.src(),
                packet.dst(),
                protocol::UDP,
                &[packet.payload()],
            );
            assert_eq!((right, view.checksum() == 0), (ipv6, !ipv6));
        }
        assert!(!append(&path(true, udp), &[0; 65_500], 0, &mut Vec::new()));
    }

    /// The outer header of the packet in RFC 7634 Appendix A.
    #[test]
    fn the_header_of_rfc_7634() {
        let path = Path::Esp {
            local: IpAddr::from([203, 0, 113, 153]),
            remote: IpAddr::from([203, 0, 113, 5]),
            encapsulation: Encapsulation::None,
            traffic_class: 0,
            dont_fragment: false,
        };
        let mut out = Vec::new();
        assert!(append(&path, &[0; 120], 0x2345, &mut out));
        let expected = [
            0x45, 0, 0, 0x8c, 0x23, 0x45, 0, 0, 0x40, 0x32, 0xde, 0x5b, 0xcb, 0, 0x71, 0x99, 0xcb,
            0, 0x71, 5,
        ];
        assert_eq!(out[..20], expected);
    }
}
