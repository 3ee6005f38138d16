//! S3: no packet of a protected selector is on the wire in clear.

use wire::ip::Flow;

use crate::addresses::Addresses;

pub(crate) struct Clear {
    addresses: Addresses,
}

impl Clear {
    pub(crate) fn new(addresses: Addresses) -> Self {
        Clear { addresses }
    }

    /// A whole packet is put on the wire as it is.
    pub(crate) fn on_wire(&self, packet: &[u8]) -> Option<String> {
        let flow = match Flow::of(packet) {
            Ok(flow) => flow,
            Err(why) => return Some(format!("a packet that nobody can read leaves: {why}")),
        };
        let protected = self.addresses.is_protected(&flow);
        protected.then(|| format!("{flow} leaves in clear"))
    }

    /// A packet that came in clear is given to an application.
    pub(crate) fn accepted(&self, packet: &[u8]) -> Option<String> {
        let flow = Flow::of(packet).ok()?;
        let protected = self.addresses.is_protected(&flow);
        protected.then(|| format!("{flow} is accepted in clear"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Kind, Message, OPEN, SERVICE};
    use wire::ip::protocol;

    #[test]
    fn protected_packets_in_clear_are_found_both_ways() {
        let addresses = Addresses {
            ipv6: false,
            front_cluster: false,
        };
        let clear = Clear::new(addresses);
        let message = Message {
            id: 1,
            kind: Kind::Request,
        };
        for (port, found) in [(SERVICE, true), (OPEN, false)] {
            let flow = Flow {
                src: addresses.own(0, 0),
                dst: addresses.group(1),
                protocol: protocol::TCP,
                src_port: 40_000,
                dst_port: port,
            };
            for flow in [flow, flow.reversed()] {
                let packet = message.packet(&flow, 0).unwrap();
                assert_eq!(clear.on_wire(&packet).is_some(), found);
                assert_eq!(clear.accepted(&packet).is_some(), found);
            }
        }
        assert!(clear.on_wire(&[1, 2, 3]).is_some());
    }
}
