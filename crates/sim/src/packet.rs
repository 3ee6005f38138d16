//! The packets of the simulated applications: TCP segments that carry one numbered message each.

use std::net::IpAddr;

use wire::ip::{Flow, Packet, checksum, protocol, tcp, v4, v6};

/// The port of the protected service.
pub const SERVICE: u16 = 110;
/// The port of a service that no rule is about.
pub const OPEN: u16 = 25;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A question of the front end.
    Request,
    /// The answer to it.
    Reply {
        /// The request's number.
        to: u64,
    },
    /// Something that a service says unasked.
    Push,
}

/// A message. No two have the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its number.
    pub id: u64,
    /// What it is.
    pub kind: Kind,
}

/// Octets of a message before its filling.
const FIXED: usize = 17;

impl Message {
    /// The packet of this message, with `filling` octets behind it that follow from its number.
    /// `None` when source and destination are of two families.
    #[must_use]
    pub fn packet(&self, flow: &Flow, filling: usize) -> Option<Vec<u8>> {
        let mut segment = Vec::with_capacity(tcp::HEADER + FIXED + filling);
        segment.extend(flow.src_port.to_be_bytes());
        segment.extend(flow.dst_port.to_be_bytes());
        segment.extend((self.id as u32).to_be_bytes());
        segment.extend([0, 0, 0, 1, 5 << 4, tcp::ACK | tcp::PSH, 0x20, 0, 0, 0, 0, 0]);
        let (kind, to) = match self.kind {
            Kind::Request => (1, 0),
            Kind::Reply { to } => (2, to),
            Kind::Push => (3, 0),
        };
        segment.push(kind);
        segment.extend(self.id.to_be_bytes());
        segment.extend(to.to_be_bytes());
        segment.extend((0..filling as u64).map(|place| (place * 31).wrapping_add(self.id) as u8));
        let sum = checksum::transport(flow.src, flow.dst, protocol::TCP, &[&segment]);
        segment[tcp::CHECKSUM..tcp::CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
        let mut packet = ip_header(flow.src, flow.dst, segment.len() as u16)?;
        packet.extend(segment);
        Some(packet)
    }

    /// Reads a packet that [`packet`](Self::packet) may have made.
    #[must_use]
    pub fn parse(octets: &[u8]) -> Option<(Flow, Message)> {
        let packet = Packet::parse(octets).ok()?;
        let flow = Flow::of_packet(&packet).ok()?;
        let fixed: &[u8; FIXED] = packet.payload().get(tcp::HEADER..)?.first_chunk()?;
        let [kind, rest @ ..] = fixed;
        let (id, to) = rest.split_first_chunk::<8>()?;
        let to = u64::from_be_bytes(to.try_into().ok()?);
        let kind = match kind {
            1 => Kind::Request,
            2 => Kind::Reply { to },
            3 => Kind::Push,
            _ => return None,
        };
        let id = u64::from_be_bytes(*id);
        Some((flow, Message { id, kind }))
    }
}

/// What must arrive as it was sent: everything behind the IP header.
#[must_use]
pub fn payload(octets: &[u8]) -> &[u8] {
    Packet::parse(octets).map_or(&[], |packet| packet.payload())
}

fn ip_header(src: IpAddr, dst: IpAddr, length: u16) -> Option<Vec<u8>> {
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let total = v4::HEADER as u16 + length;
            Some(
                v4::Header::new(src, dst, protocol::TCP, total)
                    .emit()
                    .to_vec(),
            )
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => Some(
            v6::Header::new(src, dst, protocol::TCP, length)
                .emit()
                .to_vec(),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_from_its_packet() {
        for (src, dst) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
            let flow = Flow {
                src: src.parse().unwrap(),
                dst: dst.parse().unwrap(),
                protocol: protocol::TCP,
                src_port: 40_000,
                dst_port: SERVICE,
            };
            for kind in [Kind::Request, Kind::Reply { to: 9 }, Kind::Push] {
                let message = Message { id: 77, kind };
                let packet = message.packet(&flow, 30).unwrap();
                assert_eq!(Message::parse(&packet), Some((flow, message)));
            }
        }
    }
}
