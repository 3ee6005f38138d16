//! The applications of a host: the front end asks, the services of a group answer and speak.

use wire::ip::{Flow, protocol};

use crate::addresses::Addresses;
use crate::frame::HostId;
use crate::packet::{Kind, Message, OPEN, SERVICE};

/// The first port of the front end's connections; there are a few at a time.
const CLIENT: u16 = 40_000;
const CONNECTIONS: u64 = 8;

/// Makes the messages of one host.
pub(crate) struct Applications {
    host: HostId,
    addresses: Addresses,
    filling: usize,
    count: u64,
}

impl Applications {
    pub(crate) fn new(host: HostId, addresses: Addresses, filling: usize) -> Self {
        Applications {
            host,
            addresses,
            filling,
            count: 0,
        }
    }

    /// A question to a group, on the protected port.
    pub(crate) fn probe(&mut self, group: usize) -> Option<Vec<u8>> {
        self.ask(group, SERVICE)
    }

    /// A question to a group, on a port that no rule is about.
    pub(crate) fn open(&mut self, group: usize) -> Option<Vec<u8>> {
        self.ask(group, OPEN)
    }

    /// Something that a group's service tells the front end unasked.
    pub(crate) fn push(&mut self, group: usize) -> Option<Vec<u8>> {
        let message = Message {
            id: self.next(),
            kind: Kind::Push,
        };
        let flow = Flow {
            src: self.addresses.group(group),
            dst: self.addresses.client(),
            protocol: protocol::TCP,
            src_port: SERVICE,
            dst_port: CLIENT + (message.id % CONNECTIONS) as u16,
        };
        message.packet(&flow, self.length(message.id))
    }

    /// The answer to a packet that arrived, if it is a question.
    pub(crate) fn answer(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let (flow, question) = Message::parse(packet)?;
        if question.kind != Kind::Request {
            return None;
        }
        let message = Message {
            id: self.next(),
            kind: Kind::Reply { to: question.id },
        };
        message.packet(&flow.reversed(), self.length(message.id))
    }

    fn ask(&mut self, group: usize, port: u16) -> Option<Vec<u8>> {
        let message = Message {
            id: self.next(),
            kind: Kind::Request,
        };
        let flow = Flow {
            src: self.addresses.client(),
            dst: self.addresses.group(group),
            protocol: protocol::TCP,
            src_port: CLIENT + (message.id % CONNECTIONS) as u16,
            dst_port: port,
        };
        message.packet(&flow, self.length(message.id))
    }

    fn next(&mut self) -> u64 {
        self.count += 1;
        (self.host as u64) << 48 | self.count
    }

    fn length(&self, id: u64) -> usize {
        id.wrapping_mul(0x9e37_79b9) as usize % (self.filling + 1)
    }
}
