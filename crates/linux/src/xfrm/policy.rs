//! Policies as the kernel takes and shows them (RFC 4301 §4.4.1, xfrm.h).

use std::fmt;
use std::net::IpAddr;

use crate::prefix::Family;
use crate::xfrm::octets::{ADDRESS, Reader, Writer, address, family_of};
use crate::xfrm::selector::{self, Selector};
use crate::xfrm::state::{ESP, Lifetimes, Mark, Mode};

/// The length of `struct xfrm_userpolicy_info`.
pub(crate) const INFO: usize = 168;
/// `XFRMA_TMPL`.
pub(crate) const TEMPLATES: u16 = 5;
/// The length of `struct xfrm_user_tmpl`.
const TEMPLATE: usize = 64;

/// Which packets meet a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// Those to this host.
    In,
    /// Those that leave it, its own and others'.
    Out,
    /// Those that it forwards, as they came in.
    Forward,
}

impl Direction {
    /// All of them.
    pub const ALL: [Direction; 3] = [Direction::In, Direction::Out, Direction::Forward];

    /// `XFRM_POLICY_IN`, `XFRM_POLICY_OUT`, `XFRM_POLICY_FWD`.
    pub(crate) fn number(self) -> u8 {
        match self {
            Direction::In => 0,
            Direction::Out => 1,
            Direction::Forward => 2,
        }
    }

    fn from_number(number: u8) -> Option<Direction> {
        let all = Direction::ALL.into_iter();
        all.into_iter().find(|one| one.number() == number)
    }

    fn word(self) -> &'static str {
        match self {
            Direction::In => "in",
            Direction::Out => "out",
            Direction::Forward => "forward",
        }
    }
}

/// The SA that a policy asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template {
    /// The number that the SA must have.
    pub reqid: u32,
    /// The mode that it must have.
    pub mode: Mode,
    /// The outer addresses, source first; `None`, in transport mode only: those of the packet.
    pub outer: Option<(IpAddr, IpAddr)>,
    /// Whether packets pass without it where there is none.
    pub optional: bool,
}

/// What happens to the packets of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyAction {
    /// They are dropped.
    Block,
    /// They pass, in clear.
    Allow,
    /// They pass through this SA.
    Protect(Template),
}

/// A policy. The kernel holds one for each direction, selector and mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Which way the packets go.
    pub direction: Direction,
    /// Which packets.
    pub selector: Selector,
    /// Its place: the lowest that matches decides.
    pub priority: u32,
    /// Its number, unique; 0: the kernel chooses. The lowest three bits say the direction, see
    /// [`Policy::number`].
    pub index: u32,
    /// What happens.
    pub action: PolicyAction,
    /// Only packets with this mark.
    pub mark: Option<Mark>,
}

impl Policy {
    /// A number that the kernel accepts for a policy of this direction.
    pub fn number(direction: Direction, counter: u32) -> u32 {
        counter << 3 | u32::from(direction.number())
    }

    /// `struct xfrm_userpolicy_info` and the attributes.
    pub(crate) fn write(&self, out: &mut Writer) {
        self.selector.write(out);
        Lifetimes::NONE.write(out);
        out.zeros(32);
        out.u32(self.priority);
        out.u32(self.index);
        out.u8(self.direction.number());
        out.u8(u8::from(self.action == PolicyAction::Block));
        // No flags; an SA may be shared; padding.
        out.zeros(2 + 4);
        if let PolicyAction::Protect(template) = self.action {
            let at = out.begin(TEMPLATES);
            template.write(out, self.selector.family());
            out.end(at);
        }
        if let Some(mark) = self.mark {
            mark.write(out);
        }
    }

    /// `struct xfrm_userpolicy_id` and the mark: what names it.
    pub(crate) fn write_id(&self, out: &mut Writer) {
        self.selector.write(out);
        // By its selector, not by its number.
        out.u32(0);
        out.u8(self.direction.number());
        out.zeros(3);
        if let Some(mark) = self.mark {
            mark.write(out);
        }
    }

    /// Reads one as it is listed. `None` for those of sockets, and for what this door cannot say.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Policy> {
        let mut part = reader.part(INFO)?;
        let selector = Selector::read(&mut part)?;
        part.bytes(64 + 32)?;
        let (priority, index) = (part.u32()?, part.u32()?);
        let direction = Direction::from_number(part.u8()?)?;
        let blocks = part.u8()? != 0;
        let attributes = *reader;
        let template = attributes.attribute(TEMPLATES);
        let action = match (blocks, template) {
            (true, _) => PolicyAction::Block,
            (false, None) => PolicyAction::Allow,
            (false, Some(mut template)) => PolicyAction::Protect(Template::read(&mut template)?),
        };
        Some(Policy {
            direction,
            selector,
            priority,
            index,
            action,
            mark: Mark::read(attributes),
        })
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.direction.word(), self.selector)
    }
}

impl Template {
    /// `struct xfrm_user_tmpl`. Without outer addresses its family is that of the packets.
    fn write(&self, out: &mut Writer, family: Family) {
        let family = self.outer.map_or(family, |(source, _)| Family::of(source));
        let any = family.unspecified();
        let (source, destination) = self.outer.unwrap_or((any, any));
        out.address(destination);
        // Any SPI.
        out.be32(0);
        out.u8(ESP);
        out.zeros(3);
        out.family(family);
        out.zeros(2);
        out.address(source);
        out.u32(self.reqid);
        out.u8(self.mode.number());
        out.u8(0);
        out.u8(self.optional.into());
        out.zeros(1);
        // Any algorithm: the SA was negotiated.
        (0..3).for_each(|_| out.u32(u32::MAX));
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Template> {
        let mut part = reader.part(TEMPLATE)?;
        let destination = part.bytes(ADDRESS)?;
        part.bytes(8)?;
        let family = family_of(part.u16()?)?;
        part.bytes(2)?;
        let source = part.bytes(ADDRESS)?;
        let reqid = part.u32()?;
        let mode = Mode::from_number(part.u8()?)?;
        part.u8()?;
        let optional = part.u8()? != 0;
        let outer = (address(source, family)?, address(destination, family)?);
        let any = outer.0.is_unspecified() && outer.1.is_unspecified();
        Some(Template {
            reqid,
            mode,
            outer: (!any).then_some(outer),
            optional,
        })
    }
}

/// Where a policy's selector ends in a message that holds one.
pub(crate) const SELECTOR: usize = selector::LENGTH;
