//! Addresses of interfaces (RTM_NEWADDR and its like, rtnetlink(7)).

use std::net::IpAddr;
use std::time::Duration;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags as Flags, AddressMessage, CacheInfo,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::error::Error;
use crate::netlink::link::Link;
use crate::netlink::route::RouteKind;
use crate::netlink::socket::Netlink;
use crate::poll::{Events, Poller};
use crate::prefix::{Family, Prefix};

/// How often the route to a new IPv6 address is asked for without a pause: about 1 ms.
const SETTLE: usize = 100;
/// How often after that, on an interface that is running, and the pause before each question: the
/// kernel may be busy with other interfaces. The heartbeats of a cluster's member wait meanwhile,
/// so this stays far below any time after which it counts as lost.
const SETTLE_LATE: usize = 5;
const PAUSE: Duration = Duration::from_millis(1);

/// How an address is added. The default is what an operator gets from `ip address add`, except
/// that IPv6 duplicate address detection is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct AddressFlags {
    /// IPv6: wait about a second to see whether another host has the address, and only then
    /// use it. A virtual address that moves cannot wait.
    pub detect_duplicates: bool,
    /// The host does not choose it as the source of what it sends by itself.
    pub deprecated: bool,
    /// No route to the prefix is added with it.
    pub no_prefix_route: bool,
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The interface.
    pub link: u32,
    /// The address with the length of its prefix, host bits kept.
    pub prefix: Prefix,
    /// It cannot be used yet: duplicate address detection runs.
    pub tentative: bool,
    /// The host does not choose it as a source by itself.
    pub deprecated: bool,
    /// IPv4: another address of the same prefix was there first.
    pub secondary: bool,
}

impl Netlink {
    /// All addresses of all interfaces.
    ///
    /// # Errors
    /// A sentence.
    pub fn addresses(&mut self) -> Result<Vec<Address>, Error> {
        let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        let objects = self.dump(request, || "list the addresses".into())?;
        Ok(objects.iter().filter_map(from_message).collect())
    }

    /// Adds an address to an interface. Answers whether it was new; with other flags than
    /// before they are changed. Without duplicate address detection, and on an interface that
    /// is running, packets to the address are received when this returns, unless the kernel is
    /// busy with its interfaces for more than about 6 ms.
    ///
    /// # Errors
    /// A sentence, for example that IPv6 is disabled on the interface.
    pub fn add_address(
        &mut self,
        link: u32,
        prefix: Prefix,
        flags: AddressFlags,
    ) -> Result<bool, Error> {
        let known = self
            .addresses()?
            .into_iter()
            .any(|address| address.link == link && address.prefix == prefix);
        let mut bits = Flags::empty();
        if prefix.family() == Family::V6 && !flags.detect_duplicates {
            bits |= Flags::Nodad;
        }
        if flags.no_prefix_route {
            bits |= Flags::Noprefixroute;
        }
        let mut message = message(link, prefix);
        message.attributes.push(AddressAttribute::Flags(bits));
        if flags.deprecated {
            let mut times = CacheInfo::default();
            times.ifa_valid = u32::MAX;
            times.ifa_preferred = 0;
            message.attributes.push(AddressAttribute::CacheInfo(times));
        }
        let request = RouteNetlinkMessage::NewAddress(message);
        self.change(request, NLM_F_CREATE | NLM_F_REPLACE, || {
            format!("add the address {prefix} to interface {link}")
        })?;
        if bits.contains(Flags::Nodad) {
            self.settle(link, prefix.address());
        }
        Ok(!known)
    }

    /// Asks until the kernel delivers packets for a new IPv6 address: it adds the route to it
    /// on a thread of its own, mostly within microseconds. That thread needs the lock of all
    /// interfaces, which may be held for long where namespaces or interfaces come and go. On an
    /// interface that is not running the route will not come.
    fn settle(&mut self, link: u32, address: IpAddr) {
        for _ in 0..SETTLE {
            if self.delivers(address) {
                return;
            }
            std::thread::yield_now();
        }
        let runs = |links: Vec<Link>| links.iter().any(|one| one.index == link && one.running);
        let (true, Ok(pause)) = (self.links().is_ok_and(runs), Poller::new()) else {
            return;
        };
        let mut nothing = Events::with_capacity(1);
        for _ in 0..SETTLE_LATE {
            let _ = pause.wait(&mut nothing, Some(PAUSE));
            if self.delivers(address) {
                return;
            }
        }
    }

    /// Whether packets to an address are for this host.
    pub(crate) fn delivers(&mut self, address: IpAddr) -> bool {
        let route = self.route_get(address, 0);
        route.is_ok_and(|route| route.kind == RouteKind::Local)
    }

    /// Removes an address from an interface. Answers whether it was there.
    ///
    /// # Errors
    /// A sentence.
    pub fn delete_address(&mut self, link: u32, prefix: Prefix) -> Result<bool, Error> {
        let request = RouteNetlinkMessage::DelAddress(message(link, prefix));
        self.change_unless(&[libc::EADDRNOTAVAIL, libc::ENODEV], request, 0, || {
            format!("remove the address {prefix} from interface {link}")
        })
    }
}

fn message(link: u32, prefix: Prefix) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = link;
    message.header.prefix_len = prefix.length();
    message.header.family = match prefix.family() {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    };
    message
        .attributes
        .push(AddressAttribute::Local(prefix.address()));
    message
        .attributes
        .push(AddressAttribute::Address(prefix.address()));
    message
}

/// Reads an address out of a reply or a notification.
pub(crate) fn from_message(message: &RouteNetlinkMessage) -> Option<Address> {
    let (RouteNetlinkMessage::NewAddress(message) | RouteNetlinkMessage::DelAddress(message)) =
        message
    else {
        return None;
    };
    let mut local: Option<IpAddr> = None;
    let mut address: Option<IpAddr> = None;
    let mut flags = Flags::from_bits_retain(message.header.flags.bits().into());
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(value) => local = Some(*value),
            AddressAttribute::Address(value) => address = Some(*value),
            AddressAttribute::Flags(value) => flags = *value,
            _ => {}
        }
    }
    Some(Address {
        link: message.header.index,
        // On a point-to-point link `Address` is the peer's, `Local` is ours.
        prefix: Prefix::new(local.or(address)?, message.header.prefix_len),
        tentative: flags.contains(Flags::Tentative),
        deprecated: flags.contains(Flags::Deprecated),
        secondary: flags.contains(Flags::Secondary),
    })
}
