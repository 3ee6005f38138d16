//! Two ends of an SA pair and packets for them, for tests and measurements.
#![allow(dead_code)] // Every user needs a part of it.

use std::net::IpAddr;

use crypto::{Encryption, Integrity, Secret};
use policy::child::Mode;
use policy::names::{PeerName, RuleName};
use policy::range::{AddressRange, PortRange};
use policy::sa::{ChildId, Encapsulation, KeyMaterial, SaSpec, Translation};
use policy::selector::{Selectors, TrafficSelector};
use wire::ip::{checksum, protocol, tcp, v4, v6};

/// What distinguishes one SA pair from another in these tests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) mode: Mode,
    pub(crate) encryption: Encryption,
    pub(crate) integrity: Option<Integrity>,
    pub(crate) esn: bool,
    pub(crate) ipv6: bool,
}

impl Pair {
    pub(crate) const PLAIN: Pair = Pair {
        mode: Mode::Transport,
        encryption: Encryption::AesGcm16 { key_bits: 128 },
        integrity: None,
        esn: false,
        ipv6: false,
    };

    pub(crate) fn tunnel(self) -> Pair {
        Pair {
            mode: Mode::Tunnel,
            ..self
        }
    }

    /// Every mode, cipher, integrity algorithm, kind of sequence number and family.
    pub(crate) fn all() -> Vec<Pair> {
        let mut pairs = Vec::new();
        for encryption in Encryption::ALL {
            let integrities: Vec<_> = match encryption.is_aead() {
                true => vec![None],
                false => Integrity::ALL.map(Some).to_vec(),
            };
            for integrity in integrities {
                for (mode, esn, ipv6) in [Mode::Transport, Mode::Tunnel]
                    .into_iter()
                    .flat_map(|mode| [(mode, false), (mode, true)])
                    .flat_map(|(mode, esn)| [(mode, esn, false), (mode, esn, true)])
                {
                    pairs.push(Pair {
                        mode,
                        encryption,
                        integrity,
                        esn,
                        ipv6,
                    });
                }
            }
        }
        pairs
    }

    pub(crate) fn here(self) -> IpAddr {
        address(self.ipv6, 1)
    }

    pub(crate) fn there(self) -> IpAddr {
        address(self.ipv6, 2)
    }

    /// The end that sends to [`Pair::there`], for all traffic between the two hosts.
    pub(crate) fn spec(self) -> SaSpec {
        let side = |address| vec![TrafficSelector::all(AddressRange::host(address))];
        let selectors = Selectors {
            local: side(self.here()),
            remote: side(self.there()),
        };
        self.spec_for(selectors, 1)
    }

    /// The same with other selectors and another number, from which SPIs and keys follow.
    pub(crate) fn spec_for(self, selectors: Selectors, number: u64) -> SaSpec {
        let keys = |direction: u8| KeyMaterial {
            encryption: Secret::new(bytes(self.encryption.key_length(), direction, number)),
            integrity: Secret::new(bytes(
                self.integrity.map_or(0, Integrity::key_length),
                direction ^ 0x55,
                number,
            )),
        };
        SaSpec {
            id: ChildId(number),
            rule: RuleName::new("mail"),
            peer: PeerName::new("there"),
            mode: self.mode,
            encapsulation: Encapsulation::None,
            local: self.here(),
            remote: self.there(),
            nat: Translation::default(),
            outer: policy::child::OuterHeader::default(),
            inbound_spi: 0x1000_0000 | number as u32,
            outbound_spi: 0x2000_0000 | number as u32,
            encryption: self.encryption,
            integrity: self.integrity,
            esn: self.esn,
            replay_window: 1024,
            selectors,
            inbound_keys: keys(1),
            outbound_keys: keys(2),
        }
    }
}

/// The other end of an SA pair.
pub(crate) fn mirrored(spec: &SaSpec) -> SaSpec {
    let copy = |keys: &KeyMaterial| KeyMaterial {
        encryption: keys.encryption.duplicate(),
        integrity: keys.integrity.duplicate(),
    };
    let encapsulation = match spec.encapsulation {
        Encapsulation::Udp {
            local_port,
            remote_port,
        } => Encapsulation::Udp {
            local_port: remote_port,
            remote_port: local_port,
        },
        Encapsulation::Tcp {
            local_port,
            remote_port,
        } => Encapsulation::Tcp {
            local_port: remote_port,
            remote_port: local_port,
        },
        Encapsulation::None => Encapsulation::None,
    };
    SaSpec {
        id: spec.id,
        rule: spec.rule.clone(),
        peer: spec.peer.clone(),
        mode: spec.mode,
        encapsulation,
        local: spec.remote,
        remote: spec.local,
        nat: Translation::default(),
        outer: spec.outer,
        inbound_spi: spec.outbound_spi,
        outbound_spi: spec.inbound_spi,
        encryption: spec.encryption,
        integrity: spec.integrity,
        esn: spec.esn,
        replay_window: spec.replay_window,
        selectors: Selectors {
            local: spec.selectors.remote.clone(),
            remote: spec.selectors.local.clone(),
        },
        inbound_keys: copy(&spec.outbound_keys),
        outbound_keys: copy(&spec.inbound_keys),
    }
}

/// A host of the test network.
pub(crate) fn address(ipv6: bool, host: u8) -> IpAddr {
    match ipv6 {
        false => IpAddr::from([10, 0, 0, host]),
        true => IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, u16::from(host)]),
    }
}

/// One TCP port of one host.
pub(crate) fn tcp_port(host: IpAddr, port: u16) -> TrafficSelector {
    TrafficSelector {
        protocol: protocol::TCP,
        ports: PortRange::single(port),
        addresses: AddressRange::host(host),
    }
}

/// Bytes that differ from place to place.
pub(crate) fn bytes(length: usize, seed: u8, number: u64) -> Vec<u8> {
    (0..length as u64)
        .map(|place| (place * 7 + number * 13) as u8 ^ seed)
        .collect()
}

/// A TCP packet to be varied.
#[derive(Clone, Debug)]
pub(crate) struct TcpPacket {
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    pub(crate) src_port: u16,
    pub(crate) dst_port: u16,
    pub(crate) sequence: u32,
    pub(crate) acknowledgment: u32,
    pub(crate) flags: u8,
    pub(crate) options: Vec<u8>,
    pub(crate) identification: u16,
    pub(crate) dont_fragment: bool,
    pub(crate) traffic_class: u8,
    pub(crate) data: Vec<u8>,
}

impl TcpPacket {
    /// From port 40000 of host 1 to port 110 of host 2.
    pub(crate) fn new(ipv6: bool, data: Vec<u8>) -> Self {
        TcpPacket {
            src: address(ipv6, 1),
            dst: address(ipv6, 2),
            src_port: 40_000,
            dst_port: 110,
            sequence: 0xffff_f000,
            acknowledgment: 77,
            flags: tcp::ACK,
            options: vec![1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2],
            identification: 0,
            dont_fragment: true,
            traffic_class: 0,
            data,
        }
    }

    /// Length of the IP and TCP headers.
    pub(crate) fn header_length(&self) -> usize {
        let ip = if self.src.is_ipv4() {
            v4::HEADER
        } else {
            v6::HEADER
        };
        ip + tcp::HEADER + self.options.len()
    }

    /// The packet with right checksums.
    pub(crate) fn emit(&self) -> Vec<u8> {
        let mut segment = Vec::new();
        segment.extend(self.src_port.to_be_bytes());
        segment.extend(self.dst_port.to_be_bytes());
        segment.extend(self.sequence.to_be_bytes());
        segment.extend(self.acknowledgment.to_be_bytes());
        segment.push((self.options.len() as u8 / 4 + 5) << 4);
        segment.extend([self.flags, 0x20, 0, 0, 0, 0, 0]);
        segment.extend(&self.options);
        segment.extend(&self.data);
        let sum = checksum::transport(self.src, self.dst, protocol::TCP, &[&segment]);
        segment[tcp::CHECKSUM..tcp::CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
        let mut packet = self.ip_header(segment.len(), protocol::TCP);
        packet.extend(segment);
        packet
    }

    /// An IP header of this packet's addresses.
    pub(crate) fn ip_header(&self, length: usize, protocol: u8) -> Vec<u8> {
        match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => v4::Header {
                identification: self.identification,
                dont_fragment: self.dont_fragment,
                traffic_class: self.traffic_class,
                ..v4::Header::new(src, dst, protocol, (v4::HEADER + length) as u16)
            }
            .emit()
            .to_vec(),
            (IpAddr::V6(src), IpAddr::V6(dst)) => v6::Header {
                traffic_class: self.traffic_class,
                ..v6::Header::new(src, dst, protocol, length as u16)
            }
            .emit()
            .to_vec(),
            _ => panic!("addresses of two families"),
        }
    }

    /// The packet as a TUN device gives it: the checksum left to be completed.
    pub(crate) fn emit_partial(&self) -> Vec<u8> {
        let mut packet = self.emit();
        let at = self.header_length() - self.options.len() - tcp::HEADER;
        let length = packet.len() - at;
        let sum =
            checksum::Sum::pseudo_header(self.src, self.dst, protocol::TCP, length as u32).finish();
        packet[at + tcp::CHECKSUM..at + tcp::CHECKSUM + 2].copy_from_slice(&(!sum).to_be_bytes());
        packet
    }
}
