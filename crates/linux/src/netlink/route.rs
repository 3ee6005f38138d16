//! Routes of any table, and the kernel's own choice of one (RTM_NEWROUTE, RTM_GETROUTE).

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteMetric, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::error::Error;
use crate::netlink::socket::Netlink;
use crate::prefix::{Family, Prefix};

/// Marks the routes and rules that are Holdfast's own (`protocol` of rtnetlink; 4 to 255 are
/// free for programs), so that a new daemon finds what a killed one left.
pub const OWNER: u8 = 72;

/// The table that `ip route` shows.
pub const MAIN_TABLE: u32 = 254;

/// What a route does with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteKind {
    /// Sends it on.
    Unicast,
    /// Delivers it to this host.
    Local,
    /// Drops it silently.
    Blackhole,
    /// Drops it; the sender learns that the host is unreachable.
    Unreachable,
    /// Drops it; the sender learns that it is forbidden.
    Prohibit,
    /// Goes on with the next rule.
    Throw,
    /// Anything else, by its number (`RTN_BROADCAST`, ...).
    Other(u8),
}

/// A route of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The destination; its family is the route's.
    pub destination: Prefix,
    /// The next hop; `None` when the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// The outgoing interface.
    pub link: Option<u32>,
    /// The source address that the host prefers on this route.
    pub source: Option<IpAddr>,
    /// The table, 1 to 2^32 - 1.
    pub table: u32,
    /// The largest packet on this route in bytes; TCP takes its segment size from it.
    pub mtu: Option<u32>,
    /// The lower wins; `None` is the family's default (0 or 1,024).
    pub metric: Option<u32>,
    /// What the route does.
    pub kind: RouteKind,
    /// Who added it: [`OWNER`], or a number of rtnetlink(7) (2 the kernel, 4 an operator).
    pub owner: u8,
}

impl Route {
    /// A route of ours to `destination` in `table`, to be completed.
    pub fn new(destination: Prefix, table: u32) -> Route {
        Route {
            destination: destination.network(),
            gateway: None,
            link: None,
            source: None,
            table,
            mtu: None,
            metric: None,
            kind: RouteKind::Unicast,
            owner: OWNER,
        }
    }
}

/// How the kernel would send to a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteTo {
    /// The source address that it prefers.
    pub source: Option<IpAddr>,
    /// The outgoing interface.
    pub link: Option<u32>,
    /// The next hop, when the destination is not on the link.
    pub gateway: Option<IpAddr>,
    /// The route's own MTU in bytes, when it has one.
    pub mtu: Option<u32>,
    /// What the route does; `Local` for an address of this host.
    pub kind: RouteKind,
}

impl Netlink {
    /// The routes of a family in one table (`None`: in all, cached ones excepted).
    ///
    /// # Errors
    /// A sentence.
    pub fn routes(&mut self, family: Family, table: Option<u32>) -> Result<Vec<Route>, Error> {
        let mut message = RouteMessage::default();
        message.header.address_family = address_family(family);
        if let Some(table) = table {
            message.attributes.push(RouteAttribute::Table(table));
        }
        let request = RouteNetlinkMessage::GetRoute(message);
        let objects = match self.dump(request, || format!("list the {family} routes")) {
            // Strict checks answer that a table that never had a route does not exist.
            Err(error) if error.os_error() == Some(libc::ENOENT) => return Ok(Vec::new()),
            answer => answer?,
        };
        let routes = objects.iter().filter_map(from_message);
        Ok(routes
            .filter(|route| table.is_none_or(|table| route.table == table))
            .collect())
    }

    /// Adds a route, or replaces the one with the same destination, table and metric.
    ///
    /// # Errors
    /// A sentence, for example that the gateway cannot be reached.
    pub fn add_route(&mut self, route: &Route) -> Result<(), Error> {
        let request = RouteNetlinkMessage::NewRoute(message(route));
        self.change(request, NLM_F_CREATE | NLM_F_REPLACE, || {
            format!(
                "add the route to {} to table {}",
                route.destination, route.table
            )
        })
    }

    /// Removes a route. Answers whether it was there.
    ///
    /// # Errors
    /// A sentence.
    pub fn delete_route(&mut self, route: &Route) -> Result<bool, Error> {
        let request = RouteNetlinkMessage::DelRoute(message(route));
        self.change_unless(
            &[libc::ESRCH, libc::ENODEV, libc::ENOENT],
            request,
            0,
            || {
                format!(
                    "remove the route to {} from table {}",
                    route.destination, route.table
                )
            },
        )
    }

    /// How the kernel would send a packet with this routing mark to `destination`.
    ///
    /// # Errors
    /// A sentence, for example that the network is unreachable.
    pub fn route_get(&mut self, destination: IpAddr, mark: u32) -> Result<RouteTo, Error> {
        let what = || format!("find the route to {destination}");
        let mut message = RouteMessage::default();
        message.header.address_family = address_family(Family::of(destination));
        message.header.destination_prefix_length = Family::of(destination).bits();
        message
            .attributes
            .push(RouteAttribute::Destination(destination.into()));
        if mark != 0 {
            message.attributes.push(RouteAttribute::Mark(mark));
        }
        let objects = self.get(RouteNetlinkMessage::GetRoute(message), what)?;
        let route = objects.iter().find_map(from_message);
        let route = route.ok_or_else(|| Error::other(what(), "the kernel answered no route"))?;
        Ok(RouteTo {
            source: route.source,
            link: route.link,
            gateway: route.gateway,
            mtu: route.mtu,
            kind: route.kind,
        })
    }
}

pub(crate) fn address_family(family: Family) -> AddressFamily {
    match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}

fn message(route: &Route) -> RouteMessage {
    let mut message = RouteMessage::default();
    let header = &mut message.header;
    header.address_family = address_family(route.destination.family());
    header.destination_prefix_length = route.destination.length();
    header.protocol = route.owner.into();
    header.kind = match route.kind {
        RouteKind::Unicast => RouteType::Unicast,
        RouteKind::Local => RouteType::Local,
        RouteKind::Blackhole => RouteType::BlackHole,
        RouteKind::Unreachable => RouteType::Unreachable,
        RouteKind::Prohibit => RouteType::Prohibit,
        RouteKind::Throw => RouteType::Throw,
        RouteKind::Other(number) => number.into(),
    };
    header.scope = match (route.kind, route.gateway) {
        (RouteKind::Unicast, None) => RouteScope::Link,
        (RouteKind::Local, _) => RouteScope::Host,
        _ => RouteScope::Universe,
    };
    let attributes = &mut message.attributes;
    attributes.push(RouteAttribute::Destination(
        route.destination.network().address().into(),
    ));
    attributes.push(RouteAttribute::Table(route.table));
    attributes.extend(
        route
            .gateway
            .map(|address| RouteAttribute::Gateway(address.into())),
    );
    attributes.extend(route.link.map(RouteAttribute::Oif));
    attributes.extend(
        route
            .source
            .map(|address| RouteAttribute::PrefSource(address.into())),
    );
    attributes.extend(route.metric.map(RouteAttribute::Priority));
    attributes.extend(
        route
            .mtu
            .map(|mtu| RouteAttribute::Metrics(vec![RouteMetric::Mtu(mtu)])),
    );
    message
}

/// Reads a route out of a reply or a notification; `None` for cached routes of IPv6 and for
/// other families.
pub(crate) fn from_message(message: &RouteNetlinkMessage) -> Option<Route> {
    let (RouteNetlinkMessage::NewRoute(message) | RouteNetlinkMessage::DelRoute(message)) = message
    else {
        return None;
    };
    let header = &message.header;
    let family = match header.address_family {
        AddressFamily::Inet => Family::V4,
        AddressFamily::Inet6 => Family::V6,
        _ => return None,
    };
    let mut route = Route::new(Prefix::any(family), header.table.into());
    route.kind = match header.kind {
        RouteType::Unicast => RouteKind::Unicast,
        RouteType::Local => RouteKind::Local,
        RouteType::BlackHole => RouteKind::Blackhole,
        RouteType::Unreachable => RouteKind::Unreachable,
        RouteType::Prohibit => RouteKind::Prohibit,
        RouteType::Throw => RouteKind::Throw,
        other => RouteKind::Other(other.into()),
    };
    route.owner = header.protocol.into();
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => {
                let length = header.destination_prefix_length;
                route.destination = Prefix::new(ip(address)?, length);
            }
            RouteAttribute::Gateway(address) => route.gateway = ip(address),
            RouteAttribute::PrefSource(address) => route.source = ip(address),
            RouteAttribute::Oif(index) => route.link = Some(*index),
            RouteAttribute::Table(table) => route.table = *table,
            RouteAttribute::Priority(metric) => route.metric = Some(*metric),
            RouteAttribute::Metrics(metrics) => {
                route.mtu = metrics.iter().find_map(|metric| match metric {
                    RouteMetric::Mtu(mtu) => Some(*mtu),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    Some(route)
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some(IpAddr::V4(*address)),
        RouteAddress::Inet6(address) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}
