//! Telling neighbours that an address has moved here: gratuitous ARP (RFC 5227 §3, RFC 826)
//! and unsolicited neighbour advertisements (RFC 4861 §4.4, §7.2.6).
//!
//! One call sends once; repeating it is the caller's matter.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::Error;
use crate::netlink::Netlink;
use crate::packet::PacketSocket;

/// The Ethernet broadcast address.
const BROADCAST: [u8; 6] = [0xff; 6];
/// The Ethernet address of the multicast group of all IPv6 nodes (RFC 2464 §7).
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
/// All nodes on the link (RFC 4291 §2.7.1).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ETHERTYPE_ARP: [u8; 2] = [0x08, 0x06];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
const ICMPV6: u8 = 58;

/// Announces addresses on one Ethernet interface.
#[derive(Debug)]
pub struct Announcer {
    socket: PacketSocket,
    mac: [u8; 6],
}

impl Announcer {
    /// Prepares to announce on an interface of this thread's network namespace. Make it ahead:
    /// sending is then one system call per frame.
    ///
    /// # Errors
    /// A sentence, for example that the interface has no Ethernet address.
    pub fn open(interface: &str) -> Result<Announcer, Error> {
        let mac = Netlink::open()?.link(interface)?.mac.ok_or_else(|| {
            let what = format!("announce addresses on {interface}");
            Error::other(what, "the interface has no Ethernet address")
        })?;
        Ok(Announcer {
            socket: PacketSocket::sender(interface)?,
            mac,
        })
    }

    /// The Ethernet address that is announced.
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Announces one address: for IPv4 a gratuitous request and a gratuitous reply (some
    /// neighbours heed only the one, some only the other), for IPv6 one advertisement.
    ///
    /// # Errors
    /// Those of send(2), for example `ENETDOWN` when the interface is down.
    pub fn announce(&self, address: IpAddr) -> io::Result<()> {
        match address {
            IpAddr::V4(address) => {
                self.socket
                    .send(&gratuitous_arp(self.mac, address, ArpForm::Request))?;
                self.socket
                    .send(&gratuitous_arp(self.mac, address, ArpForm::Reply))
            }
            IpAddr::V6(address) => self.socket.send(&advertisement(self.mac, address)),
        }
    }
}

/// The two forms of a gratuitous ARP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ArpForm {
    Request,
    Reply,
}

/// An ARP frame to everyone in which sender and target are `address` (RFC 5227 §1.2, §3).
fn gratuitous_arp(mac: [u8; 6], address: Ipv4Addr, form: ArpForm) -> Vec<u8> {
    let operation = match form {
        ArpForm::Request => [0, 1],
        ArpForm::Reply => [0, 2],
    };
    let target = match form {
        ArpForm::Request => [0; 6],
        ArpForm::Reply => BROADCAST,
    };
    let mut frame = Vec::with_capacity(60);
    frame.extend(BROADCAST);
    frame.extend(mac);
    frame.extend(ETHERTYPE_ARP);
    // Ethernet, IPv4, address lengths.
    frame.extend([0, 1, 0x08, 0x00, 6, 4]);
    frame.extend(operation);
    frame.extend(mac);
    frame.extend(address.octets());
    frame.extend(target);
    frame.extend(address.octets());
    // The least that an Ethernet frame holds without its check sequence.
    frame.resize(60, 0);
    frame
}

/// An unsolicited neighbour advertisement to all nodes that overrides what they know.
fn advertisement(mac: [u8; 6], address: Ipv6Addr) -> Vec<u8> {
    // Type 136, code 0, checksum, flags: override only (0x20) with 29 reserved bits.
    let mut message = vec![136, 0, 0, 0, 0x20, 0, 0, 0];
    message.extend(address.octets());
    // Option: target link-layer address, of 1 unit of 8 bytes.
    message.extend([2, 1]);
    message.extend(mac);
    let sum = checksum(address, ALL_NODES, &message);
    message.splice(2..4, sum.to_be_bytes());

    let mut frame = Vec::with_capacity(14 + 40 + message.len());
    frame.extend(ALL_NODES_MAC);
    frame.extend(mac);
    frame.extend(ETHERTYPE_IPV6);
    frame.extend([0x60, 0, 0, 0]);
    frame.extend((message.len() as u16).to_be_bytes());
    // Receivers discard it with any other hop limit than 255 (RFC 4861 §7.1.2).
    frame.extend([ICMPV6, 255]);
    frame.extend(address.octets());
    frame.extend(ALL_NODES.octets());
    frame.extend(message);
    frame
}

/// The checksum of an ICMPv6 message with its pseudo-header (RFC 4443 §2.3, RFC 8200 §8.1).
fn checksum(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    let length = (message.len() as u32).to_be_bytes();
    let next = [0, 0, 0, ICMPV6];
    let parts: [&[u8]; 5] = [
        &source.octets(),
        &destination.octets(),
        &length,
        &next,
        message,
    ];
    let mut sum = 0u32;
    // Every part but the last has an even length, so that pairs never cross parts.
    for pair in parts.iter().flat_map(|part| part.chunks(2)) {
        let high = pair.first().copied().unwrap_or(0);
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_be_bytes([high, low]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests;
