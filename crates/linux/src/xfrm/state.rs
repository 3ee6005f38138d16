//! Security associations as the kernel takes and shows them (RFC 4301 §4.4.2, xfrm.h).

use std::fmt;
use std::net::IpAddr;

use crate::prefix::Family;
use crate::xfrm::algorithm::Algorithm;
use crate::xfrm::octets::{ADDRESS, Reader, Writer, address, family_of};
use crate::xfrm::replay::Replay;
use crate::xfrm::selector;

/// The length of `struct xfrm_usersa_info`.
pub(crate) const INFO: usize = 224;
/// The length of `struct xfrm_usersa_id`.
pub(crate) const ID: usize = 24;
/// ESP as a protocol number.
pub(crate) const ESP: u8 = 50;
/// `XFRMA_ENCAP`.
const ENCAP: u16 = 4;
/// `XFRMA_REPLAY_THRESH`: tell after so many packets.
pub(crate) const REPLAY_THRESHOLD: u16 = 11;
/// `XFRMA_ETIMER_THRESH`: tell after so long.
const TIMER_THRESHOLD: u16 = 12;
/// `XFRMA_MARK`.
pub(crate) const MARK: u16 = 21;
/// `XFRMA_OFFLOAD_DEV`.
const OFFLOAD: u16 = 28;
/// `XFRMA_SET_MARK`, and the bits of it that count.
const SET_MARK: u16 = 29;
const SET_MARK_MASK: u16 = 30;
/// `UDP_ENCAP_ESPINUDP` (udp.h).
const ESP_IN_UDP: u16 = 2;
/// `XFRM_STATE_AF_UNSPEC`.
const FLAG_ANY_FAMILY: u8 = 32;
/// `XFRM_STATE_ESN`.
const FLAG_ESN: u8 = 128;
/// `XFRM_OFFLOAD_INBOUND`.
const OFFLOAD_INBOUND: u8 = 2;
/// How long an SA that is in use waits before it tells how far it has come, in ticks of the
/// kernel's clock: 10 to 100 ms, as the kernel was built.
const TELL_AFTER: u32 = 10;

/// How ESP wraps packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// The IP header stays.
    Transport,
    /// The whole packet goes into another one.
    Tunnel,
}

impl Mode {
    pub(crate) fn number(self) -> u8 {
        match self {
            Mode::Transport => 0,
            Mode::Tunnel => 1,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Mode> {
        let modes = [Mode::Transport, Mode::Tunnel];
        modes.into_iter().find(|mode| mode.number() == number)
    }
}

/// A mark and the bits of it that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The value.
    pub value: u32,
    /// The bits.
    pub mask: u32,
}

impl Mark {
    pub(crate) fn write(self, out: &mut Writer) {
        let at = out.begin(MARK);
        out.u32(self.value);
        out.u32(self.mask);
        out.end(at);
    }

    pub(crate) fn read(attributes: Reader<'_>) -> Option<Mark> {
        let mut value = attributes.attribute(MARK)?;
        let (value, mask) = (value.u32()?, value.u32()?);
        (mask != 0).then_some(Mark { value, mask })
    }
}

/// What names an ESP SA (RFC 4301 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SaId {
    /// The outer destination address.
    pub destination: IpAddr,
    /// The SPI.
    pub spi: u32,
}

impl SaId {
    /// `struct xfrm_usersa_id`.
    pub(crate) fn write(&self, out: &mut Writer) {
        out.address(self.destination);
        out.be32(self.spi);
        out.family(Family::of(self.destination));
        out.u8(ESP);
        out.zeros(1);
    }

    /// Reads one; `None` for other protocols than ESP as well.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<SaId> {
        let mut part = reader.part(ID)?;
        let destination = part.bytes(ADDRESS)?;
        let spi = part.be32()?;
        let family = family_of(part.u16()?)?;
        (part.u8()? == ESP).then_some(SaId {
            destination: address(destination, family)?,
            spi,
        })
    }
}

impl fmt::Display for SaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SPI {:08x} to {}", self.spi, self.destination)
    }
}

/// When an SA is to be asked about (soft) and when it must not be used any more (hard).
///
/// The kernel looks before each packet: an SA that has carried `hard_packets` takes no other one,
/// and is gone when somebody tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Bytes after which [`Event::Expire`](crate::xfrm::Event::Expire) is told.
    pub soft_bytes: u64,
    /// Bytes after which it ends.
    pub hard_bytes: u64,
    /// Packets after which it is told.
    pub soft_packets: u64,
    /// Packets after which it ends.
    pub hard_packets: u64,
}

impl Lifetimes {
    /// No limits.
    pub const NONE: Lifetimes = Lifetimes {
        soft_bytes: u64::MAX,
        hard_bytes: u64::MAX,
        soft_packets: u64::MAX,
        hard_packets: u64::MAX,
    };

    /// `struct xfrm_lifetime_cfg`; none of the limits in seconds.
    pub(crate) fn write(&self, out: &mut Writer) {
        for limit in [
            self.soft_bytes,
            self.hard_bytes,
            self.soft_packets,
            self.hard_packets,
        ] {
            out.u64(limit);
        }
        out.zeros(4 * 8);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Lifetimes> {
        let mut part = reader.part(64)?;
        Some(Lifetimes {
            soft_bytes: part.u64()?,
            hard_bytes: part.u64()?,
            soft_packets: part.u64()?,
            hard_packets: part.u64()?,
        })
    }
}

/// A device that is to do the cryptography (`XFRMA_OFFLOAD_DEV`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offload {
    /// Its index; `None` for the one to which the route between the SA's addresses leads.
    pub interface: Option<u32>,
    /// Whether the SA is inbound.
    pub inbound: bool,
}

/// An SA to be installed. It borrows keys, so it has no `Debug`.
pub struct Sa<'a> {
    /// Its name.
    pub id: SaId,
    /// The outer source address.
    pub source: IpAddr,
    /// The number by which policies ask for it.
    pub reqid: u32,
    /// Transport or tunnel.
    pub mode: Mode,
    /// Algorithms and keys.
    pub algorithm: Algorithm<'a>,
    /// Whether sequence numbers have 64 bits.
    pub esn: bool,
    /// Where its numbers begin.
    pub replay: Replay,
    /// Its limits.
    pub lifetimes: Lifetimes,
    /// Source and destination port where ESP is in UDP (RFC 3948), as its packets have them.
    pub encapsulation: Option<(u16, u16)>,
    /// Only for packets with this mark.
    pub mark: Option<Mark>,
    /// The mark that its ESP packets get.
    pub output_mark: Option<u32>,
    /// The device that does the work.
    pub offload: Option<Offload>,
}

impl Sa<'_> {
    /// `struct xfrm_usersa_info` and the attributes.
    pub(crate) fn write(&self, out: &mut Writer) {
        selector::write_none(out);
        write_id(out, self.id);
        out.address(self.source);
        self.lifetimes.write(out);
        out.zeros(32 + 12);
        // No sequence number of an ACQUIRE.
        out.u32(0);
        out.u32(self.reqid);
        out.family(Family::of(self.id.destination));
        out.u8(self.mode.number());
        // The window is in the attribute.
        out.u8(0);
        let esn = if self.esn { FLAG_ESN } else { 0 };
        // A tunnel carries both families.
        let tunnel = if self.mode == Mode::Tunnel {
            FLAG_ANY_FAMILY
        } else {
            0
        };
        out.u8(esn | tunnel);
        out.zeros(7);
        self.algorithm.write(out);
        self.replay.write(out);
        // The first packet starts the clock by which it tells from then on.
        out.attribute_u32(REPLAY_THRESHOLD, 1);
        out.attribute_u32(TIMER_THRESHOLD, TELL_AFTER);
        if let Some((source, destination)) = self.encapsulation {
            let at = out.begin(ENCAP);
            out.u16(ESP_IN_UDP);
            out.be16(source);
            out.be16(destination);
            out.zeros(2 + ADDRESS);
            out.end(at);
        }
        if let Some(mark) = self.mark {
            mark.write(out);
        }
        if let Some(mark) = self.output_mark {
            out.attribute_u32(SET_MARK, mark);
            out.attribute_u32(SET_MARK_MASK, u32::MAX);
        }
        if let Some(offload) = self.offload {
            let at = out.begin(OFFLOAD);
            out.u32(offload.interface.unwrap_or(0));
            out.u8(if offload.inbound { OFFLOAD_INBOUND } else { 0 });
            out.zeros(3);
            out.end(at);
        }
    }
}

/// `struct xfrm_id`: destination, SPI, protocol, padding.
pub(crate) fn write_id(out: &mut Writer, id: SaId) {
    out.address(id.destination);
    out.be32(id.spi);
    out.u8(ESP);
    out.zeros(3);
}

/// What the kernel tells of an SA; never its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaInfo {
    /// Its name.
    pub id: SaId,
    /// The outer source address.
    pub source: IpAddr,
    /// The number by which policies ask for it.
    pub reqid: u32,
    /// Its mode; `None` for one that this door does not know.
    pub mode: Option<Mode>,
    /// Whether sequence numbers have 64 bits.
    pub esn: bool,
    /// Its limits.
    pub lifetimes: Lifetimes,
    /// Packets that it has carried.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How far it has come; `None` where that was not told.
    pub replay: Option<Replay>,
    /// The marks that its packets must have.
    pub mark: Option<Mark>,
}

impl SaInfo {
    /// Reads a `struct xfrm_usersa_info`, then `attributes`: those that follow it, or those around
    /// it in a notification of its end. `None` for other protocols than ESP.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<SaInfoBody> {
        let mut part = reader.part(INFO)?;
        part.bytes(selector::LENGTH)?;
        let destination = part.bytes(ADDRESS)?;
        let (spi, protocol) = (part.be32()?, part.u8()?);
        part.bytes(3)?;
        let source = part.bytes(ADDRESS)?;
        let lifetimes = Lifetimes::read(&mut part)?;
        let (bytes, packets) = (part.u64()?, part.u64()?);
        // Times of adding and first use; statistics; a sequence number.
        part.bytes(16 + 12 + 4)?;
        let reqid = part.u32()?;
        let family = family_of(part.u16()?)?;
        let mode = Mode::from_number(part.u8()?);
        part.u8()?;
        let esn = part.u8()? & FLAG_ESN != 0;
        (protocol == ESP).then_some(SaInfoBody(SaInfo {
            id: SaId {
                destination: address(destination, family)?,
                spi,
            },
            source: address(source, family)?,
            reqid,
            mode,
            esn,
            lifetimes,
            packets,
            bytes,
            replay: None,
            mark: None,
        }))
    }
}

/// An SA of which the attributes are still to be read.
pub(crate) struct SaInfoBody(SaInfo);

impl SaInfoBody {
    pub(crate) fn with(self, attributes: Reader<'_>) -> SaInfo {
        SaInfo {
            replay: Replay::read(attributes),
            mark: Mark::read(attributes),
            ..self.0
        }
    }
}
