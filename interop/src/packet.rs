//! IP packets made by hand: echo requests and replies (RFC 792, RFC 4443 section 4), UDP, headers.

use std::net::IpAddr;

use wire::ip::{Packet, checksum, protocol, udp, v4, v6};

/// An IP packet of these addresses around a payload.
pub(crate) fn ip(source: IpAddr, destination: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = match (source, destination) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let length = v4::HEADER + payload.len();
            v4::Header::new(src, dst, protocol, length as u16)
                .emit()
                .to_vec()
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            v6::Header::new(src, dst, protocol, payload.len() as u16)
                .emit()
                .to_vec()
        }
        _ => Vec::new(),
    };
    packet.extend_from_slice(payload);
    packet
}

/// A UDP datagram in an IP packet.
pub(crate) fn udp(source: IpAddr, destination: IpAddr, ports: [u16; 2], data: &[u8]) -> Vec<u8> {
    let length = (udp::HEADER + data.len()) as u16;
    let mut payload = udp::header(ports[0], ports[1], length).to_vec();
    payload.extend_from_slice(data);
    complete(source, destination, protocol::UDP, payload, udp::CHECKSUM)
}

/// An echo request or reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Echo {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) reply: bool,
    pub(crate) identifier: u16,
    pub(crate) sequence: u16,
    pub(crate) data: Vec<u8>,
}

/// Where an ICMP message has its checksum.
const CHECKSUM: usize = 2;

impl Echo {
    /// The packet.
    pub(crate) fn emit(&self) -> Vec<u8> {
        let (number, kind) = match (self.source.is_ipv4(), self.reply) {
            (true, false) => (protocol::ICMP, 8),
            (true, true) => (protocol::ICMP, 0),
            (false, false) => (protocol::ICMPV6, 128),
            (false, true) => (protocol::ICMPV6, 129),
        };
        let mut message = vec![kind, 0, 0, 0];
        message.extend(self.identifier.to_be_bytes());
        message.extend(self.sequence.to_be_bytes());
        message.extend_from_slice(&self.data);
        complete(self.source, self.destination, number, message, CHECKSUM)
    }

    /// Reads one whose checksum is right.
    pub(crate) fn parse(packet: &[u8]) -> Option<Echo> {
        let packet = Packet::parse(packet).ok()?;
        let (source, destination) = (packet.src(), packet.dst());
        let message = packet.payload();
        let (head, data) = message.split_first_chunk::<8>()?;
        let reply = match (packet.protocol(), head[0]) {
            (protocol::ICMP, 8) | (protocol::ICMPV6, 128) => false,
            (protocol::ICMP, 0) | (protocol::ICMPV6, 129) => true,
            _ => return None,
        };
        let right = match packet.protocol() {
            protocol::ICMP => checksum::of(message) == 0,
            number => checksum::is_right(source, destination, number, &[message]),
        };
        right.then(|| Echo {
            source,
            destination,
            reply,
            identifier: u16::from_be_bytes([head[4], head[5]]),
            sequence: u16::from_be_bytes([head[6], head[7]]),
            data: data.to_vec(),
        })
    }

    /// The reply to a request.
    pub(crate) fn answer(&self) -> Echo {
        Echo {
            source: self.destination,
            destination: self.source,
            reply: true,
            ..self.clone()
        }
    }
}

/// Writes the checksum and puts an IP header in front.
fn complete(
    source: IpAddr,
    destination: IpAddr,
    number: u8,
    mut payload: Vec<u8>,
    at: usize,
) -> Vec<u8> {
    let sum = match number {
        protocol::ICMP => checksum::of(&payload),
        _ => checksum::transport(source, destination, number, &[&payload]),
    };
    if let Some(room) = payload.get_mut(at..at + 2) {
        room.copy_from_slice(&sum.to_be_bytes());
    }
    ip(source, destination, number, &payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echoes_of_both_families() {
        for (source, destination) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
            let echo = Echo {
                source: source.parse().unwrap(),
                destination: destination.parse().unwrap(),
                reply: false,
                identifier: 7,
                sequence: 9,
                data: vec![1, 2, 3],
            };
            assert_eq!(Echo::parse(&echo.emit()), Some(echo.clone()));
            let mut damaged = echo.answer().emit();
            assert!(Echo::parse(&damaged).unwrap().reply);
            *damaged.last_mut().unwrap() ^= 1;
            assert_eq!(Echo::parse(&damaged), None);
        }
    }
}
