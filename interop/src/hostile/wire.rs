//! What passes on the wire: real shapes to damage, and packets that must not pass in clear.
//!
//! This is a measuring instrument, so it shares no code with what it measures.

use linux::packet::Frame;

/// The port that the policy protects.
pub(crate) const PROTECTED: u16 = 7;
const ETHERNET: usize = 14;
const ICMP: u8 = 1;
const UDP: u8 = 17;
const TCP: u8 = 6;
const ESP: u8 = 50;

/// Datagrams as they were sent, without IP and UDP headers.
#[derive(Default)]
pub(crate) struct Shapes {
    pub(crate) ike: Vec<Vec<u8>>,
    pub(crate) esp: Vec<Vec<u8>>,
}

impl Shapes {
    /// Keeps the IKE messages and ESP packets.
    pub(crate) fn see(&mut self, frame: &Frame<'_>) {
        let Some((protocol, payload)) = ipv4(frame.bytes) else {
            return;
        };
        match protocol {
            ESP => self.esp.push(payload.to_vec()),
            UDP if ports(payload).is_some_and(|ports| ports.contains(&500)) => {
                self.ike.push(payload.get(8..).unwrap_or_default().to_vec());
            }
            _ => {}
        }
    }
}

/// What a capture counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) esp: u64,
    pub(crate) clear: u64,
}

impl Counts {
    /// Counts ESP, and what of the protected port can be read, be it in an ICMP error.
    pub(crate) fn see(&mut self, frame: &Frame<'_>) {
        let Some((protocol, payload)) = ipv4(frame.bytes) else {
            return;
        };
        let quoted = || payload.get(8..).and_then(ip).filter(|_| protocol == ICMP);
        if protocol == ESP {
            self.esp += 1;
        } else if protected(protocol, payload)
            || quoted().is_some_and(|(protocol, payload)| protected(protocol, payload))
        {
            self.clear += 1;
        }
    }
}

fn protected(protocol: u8, payload: &[u8]) -> bool {
    [UDP, TCP].contains(&protocol) && ports(payload).is_some_and(|ports| ports.contains(&PROTECTED))
}

fn ports(payload: &[u8]) -> Option<[u16; 2]> {
    let &[s0, s1, d0, d1] = payload.first_chunk()?;
    Some([u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])])
}

/// Protocol and payload of an Ethernet frame that carries the first fragment of an IPv4 packet.
fn ipv4(frame: &[u8]) -> Option<(u8, &[u8])> {
    (frame.get(12..ETHERNET)? == [8, 0]).then_some(())?;
    ip(frame.get(ETHERNET..)?)
}

fn ip(packet: &[u8]) -> Option<(u8, &[u8])> {
    let header = packet.first_chunk::<20>()?;
    let first = u16::from_be_bytes([header[6], header[7]]) & 0x1fff == 0;
    let length = usize::from(header[0] & 15) * 4;
    (header[0] >> 4 == 4 && first).then_some(())?;
    Some((header[9], packet.get(length..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet;

    fn counts(packet: &[u8]) -> Counts {
        let mut frame = vec![0; 12];
        frame.extend([8, 0]);
        frame.extend(packet);
        let mut counts = Counts::default();
        let time = std::time::SystemTime::UNIX_EPOCH;
        let length = frame.len();
        counts.see(&Frame {
            time,
            outgoing: false,
            length,
            bytes: &frame,
        });
        counts
    }

    #[test]
    fn tells_clear_text_from_esp() {
        let [a, b] = ["10.0.0.1", "10.0.0.2"].map(|text| text.parse().unwrap());
        let clear = packet::udp(a, b, [40_000, PROTECTED], b"secret");
        assert_eq!(counts(&clear), Counts { esp: 0, clear: 1 });
        assert_eq!(counts(&packet::udp(b, a, [PROTECTED, 9], b"")).clear, 1);
        assert_eq!(
            counts(&packet::udp(a, b, [40_000, 80], b"")),
            Counts::default()
        );
        assert_eq!(
            counts(&packet::ip(a, b, ESP, &[0; 40])),
            Counts { esp: 1, clear: 0 }
        );
        let mut error = vec![3, 3, 0, 0, 0, 0, 0, 0];
        error.extend(&clear);
        assert_eq!(
            counts(&packet::ip(b, a, ICMP, &error)),
            Counts { esp: 0, clear: 1 }
        );
    }
}
