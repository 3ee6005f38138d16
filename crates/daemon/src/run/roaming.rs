//! A host that moves: its IKE SAs follow its routes (RFC 4555 sections 3.5 and 3.11).

use crate::run::Daemon;
use ike::{IkeSaId, Movable};
use linux::netlink::{Address, RouteTo};
use node::Command;
use std::net::IpAddr;
use std::time::Instant;

/// The loopback interface, which is always the first.
const LOOPBACK: u32 = 1;

impl Daemon {
    /// Addresses, links or routes of this host are others: whose own address is gone, or is not on
    /// the way to its peer any more, goes on from the address that the host would send from now.
    pub(crate) fn roam(&mut self) {
        let movable = self.node.ike().movable();
        if movable.is_empty() {
            return;
        }
        let addresses = match self.netlink.addresses() {
            Ok(addresses) => addresses,
            Err(error) => return self.log.failure("kernel", &error.to_string()),
        };
        for sa in movable {
            let peers = std::iter::once(sa.remote).chain(sa.others.iter().copied());
            // Without a route to the peer there is nothing to do before the next change.
            let mut ways = peers.filter_map(|remote| Some((remote, self.way_to(remote)?)));
            let Some((remote, route)) = ways.next() else {
                continue;
            };
            if remote == sa.remote && stays(sa.local, &route, &addresses) {
                continue;
            }
            self.relocate(&sa, remote, &route);
        }
    }

    /// The peer of an IKE SA does not answer: its next address is tried, in turn.
    pub(crate) fn try_another_path(&mut self, ike: IkeSaId) {
        let movable = self.node.ike().movable();
        let Some(sa) = movable.into_iter().find(|sa| sa.ike == ike) else {
            return;
        };
        for remote in sa.others.iter().copied().chain([sa.remote]) {
            if let Some(route) = self.way_to(remote) {
                return self.relocate(&sa, remote, &route);
            }
        }
    }

    fn way_to(&mut self, remote: IpAddr) -> Option<RouteTo> {
        let route = self.netlink.route_get(remote, self.config.plane.mark);
        route.ok().filter(|route| route.source.is_some())
    }

    fn relocate(&mut self, sa: &Movable, remote: IpAddr, route: &RouteTo) {
        let Some(local) = route.source else { return };
        let ike = sa.ike;
        let command = Command::Relocate { ike, local, remote };
        let _ = self.node.handle_command(command, Instant::now());
    }
}

/// Whether an address is still here, and on the way: on the interface that packets leave by, or on
/// none in particular.
fn stays(local: IpAddr, route: &RouteTo, addresses: &[Address]) -> bool {
    let usable = addresses.iter().filter(|one| !one.tentative);
    let mut here = usable.filter(|one| one.prefix.address() == local);
    here.any(|one| one.link == LOOPBACK || route.link.is_none_or(|link| link == one.link))
}

#[cfg(test)]
mod tests {
    use super::*;
    use linux::netlink::RouteKind;

    fn address(text: &str, link: u32) -> Address {
        Address {
            link,
            prefix: text.parse().unwrap(),
            tentative: false,
            deprecated: false,
            secondary: false,
        }
    }

    #[test]
    fn an_address_stays_while_it_is_on_the_way_to_the_peer() {
        let by = |link| RouteTo {
            source: Some("192.0.2.9".parse().unwrap()),
            link: Some(link),
            gateway: None,
            mtu: None,
            kind: RouteKind::Unicast,
        };
        let all = [
            address("192.0.2.1/24", 3),
            address("192.0.2.2/24", 4),
            address("198.51.100.1/32", LOOPBACK),
        ];
        let stays = |text: &str, link| stays(text.parse().unwrap(), &by(link), &all);
        assert!(stays("192.0.2.1", 3), "though another is preferred");
        assert!(!stays("192.0.2.1", 4), "packets leave by another interface");
        assert!(!stays("192.0.2.7", 3), "it is gone");
        assert!(
            stays("198.51.100.1", 4),
            "it is on no interface in particular"
        );
    }
}
