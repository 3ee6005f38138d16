//! Filters of Windows as filters of the SPD: packets both ways, where one side is this host.

use std::net::IpAddr;

use policy::{AddressRange, AddressSpec, Directions, PortRange};

use crate::model::{Address, Filter};

/// What an address of a filter stands for on this host, when it is no address yet.
pub type Resolve<'a> = &'a mut dyn FnMut(&Address) -> Result<Vec<IpAddr>, String>;

/// The filters of the SPD that are about the same packets.
///
/// A Windows filter says what a packet looks like and not which way it goes, so that one without
/// `me` is about packets from here and to here: it becomes two. With `tunnel` the packets of one
/// direction are named and those of the other are meant too, because an SA pair has both.
///
/// # Errors
/// What `resolve` says of a name or a special server.
pub fn expand(
    filter: &Filter,
    tunnel: bool,
    resolve: Resolve<'_>,
) -> Result<Vec<policy::Filter>, String> {
    let (source, destination) = (
        specs(&filter.source, resolve)?,
        specs(&filter.destination, resolve)?,
    );
    let ports = |port: u16| match port {
        0 => Vec::new(),
        port => vec![PortRange::single(port)],
    };
    let of = |outbound: bool| {
        let (local, remote) = match outbound {
            true => (&source, &destination),
            false => (&destination, &source),
        };
        let (local_ports, remote_ports) = match outbound {
            true => (filter.source_port, filter.destination_port),
            false => (filter.destination_port, filter.source_port),
        };
        let directions = match (filter.mirrored || tunnel, outbound) {
            (true, _) => Directions::Both,
            (false, true) => Directions::Outbound,
            (false, false) => Directions::Inbound,
        };
        policy::Filter {
            local: local.clone(),
            remote: remote.clone(),
            protocol: filter.protocol,
            local_ports: ports(local_ports),
            remote_ports: ports(remote_ports),
            directions,
        }
    };
    let outbound = filter.destination != Address::Me;
    let inbound = filter.source != Address::Me && !tunnel;
    let mut filters = Vec::new();
    if outbound {
        filters.push(of(true));
    }
    if inbound {
        filters.push(of(false));
    }
    // `any` to `any` is the same whichever side is ours.
    filters.dedup();
    Ok(filters)
}

fn specs(address: &Address, resolve: Resolve<'_>) -> Result<Vec<AddressSpec>, String> {
    let hosts = match address {
        Address::Me => return Ok(vec![AddressSpec::Me]),
        Address::Any => return Ok(vec![AddressSpec::Any]),
        Address::Range(range) => return Ok(vec![AddressSpec::Range(*range)]),
        Address::Special(_) | Address::Name(_) => resolve(address)?,
    };
    let host = |address: IpAddr| AddressSpec::Range(AddressRange::host(address));
    match hosts.is_empty() {
        true => Err(format!("`{address}` has no address at the moment")),
        false => Ok(hosts.into_iter().map(host).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(source: Address, destination: Address, mirrored: bool) -> Filter {
        Filter {
            source,
            destination,
            protocol: 6,
            source_port: 0,
            destination_port: 110,
            mirrored,
            description: String::new(),
        }
    }

    fn host(text: &str) -> Address {
        Address::Range(AddressRange::host(text.parse().unwrap()))
    }

    fn expanded(filter: &Filter, tunnel: bool) -> Vec<(Directions, usize, usize)> {
        let mut nobody = |_: &Address| Err("nobody".to_owned());
        let filters = expand(filter, tunnel, &mut nobody).unwrap();
        let shape = |filter: &policy::Filter| {
            (
                filter.directions,
                filter.local_ports.len(),
                filter.remote_ports.len(),
            )
        };
        filters.iter().map(shape).collect()
    }

    #[test]
    fn one_side_is_ours() {
        use Directions::{Both, Inbound, Outbound};
        let to = |mirrored| filter(Address::Me, host("10.0.0.1"), mirrored);
        assert_eq!(expanded(&to(true), false), [(Both, 0, 1)]);
        assert_eq!(expanded(&to(false), false), [(Outbound, 0, 1)]);
        let from = |mirrored| filter(Address::Any, Address::Me, mirrored);
        assert_eq!(expanded(&from(true), false), [(Both, 1, 0)]);
        assert_eq!(expanded(&from(false), false), [(Inbound, 1, 0)]);
        let between = |mirrored| filter(host("10.0.0.2"), host("10.0.0.1"), mirrored);
        assert_eq!(
            expanded(&between(true), false),
            [(Both, 0, 1), (Both, 1, 0)]
        );
        assert_eq!(
            expanded(&between(false), false),
            [(Outbound, 0, 1), (Inbound, 1, 0)]
        );
        assert_eq!(expanded(&between(false), true), [(Both, 0, 1)]);
    }

    #[test]
    fn a_name_without_an_address_protects_nothing_silently() {
        let named = filter(Address::Me, Address::Name("mail.example".into()), true);
        assert!(expand(&named, false, &mut |_| Ok(Vec::new())).is_err());
        let two = ["10.0.0.1", "fd00::1"]
            .map(|text| text.parse().unwrap())
            .to_vec();
        let found = expand(&named, false, &mut |_| Ok(two.clone())).unwrap();
        assert_eq!(found[0].remote.len(), 2);
    }
}
