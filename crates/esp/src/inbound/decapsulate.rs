//! From a decrypted payload to an IP packet that the SA's selectors allow (RFC 4301 5.2).

use std::net::IpAddr;
use std::ops::Range;

use policy::child::Mode;
use policy::sa::{Encapsulation, Hosts};
use policy::selector::{Direction, Endpoint, Selectors, TrafficSelector, sides};
use wire::ip::{Flow, Packet, checksum, protocol, tcp, udp, v4, v6};

use crate::discard::Discard;
use crate::inbound::sa::{InboundSa, Payload};

/// Destination options headers looked past, more than any sender has reason to use.
const MAX_OPTIONS_HEADERS: usize = 4;
/// Hops left to packets of transport mode, whose own header stayed outside.
const HOP_LIMIT: u8 = 64;

/// ECN field: not capable, capable (two ways), congestion experienced (RFC 3168 5).
const ECN: u8 = 0b11;
const NOT_ECT: u8 = 0b00;
const ECT_1: u8 = 0b01;
const ECT_0: u8 = 0b10;
const CE: u8 = 0b11;

/// A packet for the host: a header that is made here, in transport mode, and the place of the rest.
pub(crate) struct Inner {
    header: [u8; v6::HEADER],
    header_length: usize,
    /// Where the rest is in the datagram.
    pub(crate) place: Range<usize>,
    /// The transport checksum is known to be right.
    pub(crate) intact: bool,
    /// What the selectors were asked about.
    pub(crate) flow: Flow,
    /// The packet begins or ends a connection, or there is none.
    pub(crate) brief: bool,
}

impl Inner {
    /// The IP header of transport mode; empty in tunnel mode, where the packet has its own.
    pub(crate) fn header(&self) -> &[u8] {
        self.header.get(..self.header_length).unwrap_or_default()
    }
}

/// Makes a packet of a payload and checks it against the selectors of its SA. `traffic_class` is
/// that of the outer header.
pub(crate) fn decapsulate(
    sa: &InboundSa,
    datagram: &mut [u8],
    payload: Payload,
    traffic_class: u8,
) -> Result<Inner, Discard> {
    match sa.mode() {
        Mode::Transport => transport(sa, datagram, payload, traffic_class),
        Mode::Tunnel => tunnel(sa, datagram, payload, traffic_class),
    }
}

/// The header is made of the addresses that the SA was agreed between, not of those on the
/// datagram: these are what was authenticated, and what the checksums inside were made with.
fn transport(
    sa: &InboundSa,
    datagram: &mut [u8],
    payload: Payload,
    traffic_class: u8,
) -> Result<Inner, Discard> {
    let content = datagram
        .get_mut(payload.range.clone())
        .ok_or(Discard::InnerMalformed)?;
    let Hosts { local, remote } = sa.hosts();
    let (protocol, skip) = match remote {
        IpAddr::V4(_) => (payload.next_header, 0),
        IpAddr::V6(_) => behind_options(payload.next_header, content)?,
    };
    let length = content.len();
    let upper = content.get_mut(skip..).ok_or(Discard::InnerMalformed)?;
    let flow = transport_flow(remote, local, protocol, upper).ok_or(Discard::InnerMalformed)?;
    if !sa.selectors().contains(&flow, Direction::Inbound) {
        return Err(Discard::Selectors);
    }
    let brief = is_brief(protocol, upper);
    let intact = match (sa.encapsulation(), sa.written()) {
        (Encapsulation::None, _) => false,
        (Encapsulation::Udp { .. } | Encapsulation::Tcp { .. }, Some(written)) => {
            translate_checksum(&flow, written, upper);
            false
        }
        (Encapsulation::Udp { .. } | Encapsulation::Tcp { .. }, None) => {
            correct_checksum(&flow, upper)
        }
    };
    let mut header = [0; v6::HEADER];
    let header_length = match (remote, local) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let total = u16::try_from(v4::HEADER + length).map_err(|_| Discard::InboundTooLong)?;
            let fields = v4::Header {
                traffic_class,
                dont_fragment: true,
                hop_limit: HOP_LIMIT,
                ..v4::Header::new(src, dst, payload.next_header, total)
            };
            if let Some(space) = header.first_chunk_mut() {
                *space = fields.emit();
            }
            v4::HEADER
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let length = u16::try_from(length).map_err(|_| Discard::InboundTooLong)?;
            let fields = v6::Header {
                traffic_class,
                hop_limit: HOP_LIMIT,
                ..v6::Header::new(src, dst, payload.next_header, length)
            };
            header = fields.emit();
            v6::HEADER
        }
        _ => return Err(Discard::InnerMalformed),
    };
    Ok(Inner {
        header,
        header_length,
        place: payload.range,
        intact,
        flow,
        brief,
    })
}

fn tunnel(
    sa: &InboundSa,
    datagram: &mut [u8],
    payload: Payload,
    traffic_class: u8,
) -> Result<Inner, Discard> {
    let version = match payload.next_header {
        protocol::IPV4 => 4,
        protocol::IPV6 => 6,
        _ => return Err(Discard::NextHeader),
    };
    let content = datagram
        .get_mut(payload.range.clone())
        .ok_or(Discard::InnerMalformed)?;
    let packet = Packet::parse(content).map_err(|_| Discard::InnerMalformed)?;
    if packet.version() != version {
        return Err(Discard::InnerMalformed);
    }
    let flow = Flow::of_packet(&packet).map_err(|_| Discard::InnerMalformed)?;
    if packet
        .fragment()
        .is_some_and(|fragment| fragment.offset != 0)
    {
        check_fragment(sa.selectors(), &flow)?;
    } else if !sa.selectors().contains(&flow, Direction::Inbound) {
        return Err(Discard::Selectors);
    }
    // Bytes behind the packet's own length hide its size (RFC 4303 2.7) and end here.
    let place = payload.range.start..payload.range.start + packet.total_length();
    let brief = is_brief(flow.protocol, packet.payload());
    let inner = packet.traffic_class();
    let class = merge_ecn(inner, traffic_class)?;
    if class != inner {
        set_traffic_class(content, class);
    }
    Ok(Inner {
        header: [0; v6::HEADER],
        header_length: 0,
        place,
        intact: false,
        flow,
        brief,
    })
}

/// Whether a packet belongs to no TCP connection in the midst of its life.
fn is_brief(protocol: u8, upper: &[u8]) -> bool {
    let marks = tcp::SYN | tcp::FIN | tcp::RST;
    protocol != protocol::TCP || upper.get(13).is_none_or(|flags| flags & marks != 0)
}

/// A fragment other than the first shows no ports: only selectors that name none can hold it.
fn check_fragment(selectors: &Selectors, flow: &Flow) -> Result<(), Discard> {
    let (local, remote) = sides(flow, Direction::Inbound);
    let holds = |list: &[TrafficSelector], side: Endpoint, ports: bool| {
        list.iter().any(|selector| {
            (selector.protocol == 0 || selector.protocol == flow.protocol)
                && selector.addresses.contains(side.address)
                && (!ports || selector.ports.is_any())
        })
    };
    if holds(&selectors.local, local, true) && holds(&selectors.remote, remote, true) {
        Ok(())
    } else if holds(&selectors.local, local, false) && holds(&selectors.remote, remote, false) {
        Err(Discard::InboundFragment)
    } else {
        Err(Discard::Selectors)
    }
}

/// The upper layer and where it begins behind destination options, the only extension headers that
/// can be inside ESP in transport mode (RFC 4303 3.1.1).
fn behind_options(next_header: u8, content: &[u8]) -> Result<(u8, usize), Discard> {
    let (mut next, mut skip) = (next_header, 0);
    for _ in 0..=MAX_OPTIONS_HEADERS {
        match next {
            protocol::DESTINATION_OPTIONS => {
                let header = content.get(skip..).ok_or(Discard::InnerMalformed)?;
                let [following, length, ..] = *header else {
                    return Err(Discard::InnerMalformed);
                };
                skip += (usize::from(length) + 1) * 8;
                next = following;
            }
            protocol::HOP_BY_HOP | protocol::ROUTING | protocol::FRAGMENT => {
                return Err(Discard::NextHeader);
            }
            _ => return Ok((next, skip)),
        }
    }
    Err(Discard::InnerMalformed)
}

/// Where the upper layer's checksum is, of those that cover the addresses as well (RFC 9293 3.1,
/// RFC 768, RFC 3828 3.1, RFC 4340 9, RFC 4443 2.3).
fn checksum_at(protocol: u8) -> Option<usize> {
    match protocol {
        protocol::TCP => Some(tcp::CHECKSUM),
        protocol::UDP | protocol::UDP_LITE | protocol::DCCP => Some(udp::CHECKSUM),
        protocol::ICMPV6 => Some(2),
        _ => None,
    }
}

/// Has a checksum that was right for the addresses as the peer wrote them be right for those that
/// the packet gets here (RFC 3948 3.1.2). What was wrong stays wrong: the host is to see it.
fn translate_checksum(flow: &Flow, written: Hosts, upper: &mut [u8]) {
    let (before, after) = ((written.remote, written.local), (flow.src, flow.dst));
    let at = checksum_at(flow.protocol).filter(|_| before != after);
    let Some((at, field)) = at.and_then(|at| Some((at, upper.get(at..)?.first_chunk()?))) else {
        return;
    };
    let checksum = u16::from_be_bytes(*field);
    let optional = flow.protocol == protocol::UDP;
    if optional && checksum == 0 {
        return;
    }
    put(
        upper,
        at,
        match checksum::readdress(checksum, before, after) {
            0 if optional => 0xffff,
            checksum => checksum,
        },
    );
}

/// Makes a TCP or UDP checksum right for the addresses that the packet gets here: behind a NAT the
/// sender made it for others, which are not known (RFC 3948 3.1.2). The ICV has already shown that
/// nothing was changed. Says whether there is a checksum, which is then right.
fn correct_checksum(flow: &Flow, upper: &mut [u8]) -> bool {
    let at = match flow.protocol {
        protocol::TCP => tcp::CHECKSUM,
        protocol::UDP => udp::CHECKSUM,
        _ => return false,
    };
    let Some([c0, c1]) = upper
        .get(at..)
        .and_then(|field| field.first_chunk())
        .copied()
    else {
        return false;
    };
    let Flow {
        src, dst, protocol, ..
    } = *flow;
    if protocol == protocol::UDP && [c0, c1] == [0, 0] {
        return false;
    }
    if !checksum::is_right(src, dst, protocol, &[upper]) {
        put(upper, at, 0);
        let right = checksum::transport(src, dst, protocol, &[upper]);
        put(upper, at, right);
    }
    true
}

fn put(octets: &mut [u8], at: usize, value: u16) {
    if let Some(field) = octets.get_mut(at..at + 2) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}

/// What policy sees of a payload in transport mode; `None` when it ends before its ports.
fn transport_flow(src: IpAddr, dst: IpAddr, protocol: u8, upper: &[u8]) -> Option<Flow> {
    let (src_port, dst_port) = match (protocol, upper) {
        (
            protocol::TCP | protocol::UDP | protocol::DCCP | protocol::SCTP | protocol::UDP_LITE,
            _,
        ) => {
            let [s0, s1, d0, d1] = *upper.first_chunk()?;
            (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]))
        }
        (protocol::ICMP | protocol::ICMPV6, _) => (u16::from_be_bytes(*upper.first_chunk()?), 0),
        (protocol::MOBILITY, [_, _, kind, ..]) => (u16::from_be_bytes([*kind, 0]), 0),
        (protocol::MOBILITY, _) => return None,
        _ => (0, 0),
    };
    Some(Flow {
        src,
        dst,
        protocol,
        src_port,
        dst_port,
    })
}

/// The traffic class of a packet that leaves a tunnel (RFC 6040 4.2).
fn merge_ecn(inner: u8, outer: u8) -> Result<u8, Discard> {
    let rest = inner & !ECN;
    match (inner & ECN, outer & ECN) {
        (NOT_ECT, CE) => Err(Discard::Congestion),
        (_, CE) => Ok(rest | CE),
        (ECT_0, ECT_1) => Ok(rest | ECT_1),
        _ => Ok(inner),
    }
}

/// Changes the traffic class of a packet, and the IPv4 header checksum with it.
fn set_traffic_class(packet: &mut [u8], class: u8) {
    match packet {
        [first, second, ..] if *first >> 4 == 6 => {
            *first = 0x60 | class >> 4;
            *second = class << 4 | *second & 0x0f;
        }
        [first, second, _, _, _, _, _, _, _, _, c0, c1, ..] => {
            let before = u16::from_be_bytes([*c0, *c1]);
            let after = checksum::update(before, &[*first, *second], &[*first, class]);
            *second = class;
            [*c0, *c1] = after.to_be_bytes();
        }
        _ => {}
    }
}
