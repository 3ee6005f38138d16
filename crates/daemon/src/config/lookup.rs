//! What DNS names and special servers are on this host, at the moment in which a policy is read.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};

use netsh::filters::Resolve;
use netsh::model::{Address, Server};

const RESOLV_CONF: &str = "/etc/resolv.conf";
const ROUTES: &str = "/proc/net/route";
const LEASES: &str = "/run/systemd/netif/leases";

/// What an address stands for, where that takes no time in which heartbeats would wait: a reload is
/// read in their thread, and DNS may take seconds.
pub(crate) fn outside_clusters(
    clustered: bool,
    address: &Address,
    resolve: Resolve<'_>,
) -> Result<Vec<IpAddr>, String> {
    match address {
        Address::Name(name) if clustered => Err(format!(
            "`{name}` is not looked up in a cluster, whose heartbeats would wait"
        )),
        _ => resolve(address),
    }
}

/// The addresses of a name or of special servers. It waits for the answers of DNS.
///
/// # Errors
/// Why there is none, as the beginning of a sentence.
pub(crate) fn addresses(address: &Address) -> Result<Vec<IpAddr>, String> {
    match address {
        Address::Name(name) => {
            let found = (name.as_str(), 0).to_socket_addrs();
            let found = found.map_err(|why| format!("`{name}` cannot be looked up ({why})"))?;
            let mut found: Vec<IpAddr> = found.map(|socket| socket.ip()).collect();
            found.sort_unstable();
            found.dedup();
            Ok(found)
        }
        Address::Special(Server::Dns) => read(RESOLV_CONF).map(|text| name_servers(&text)),
        Address::Special(Server::Gateway) => read(ROUTES).map(|text| gateways(&text)),
        Address::Special(Server::Dhcp) => dhcp_servers(),
        Address::Special(Server::Wins) => {
            Err("`wins` stands for servers that no host of this kind knows".to_owned())
        }
        Address::Me | Address::Any | Address::Range(_) => Ok(Vec::new()),
    }
}

fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|why| format!("{path} cannot be read ({why})"))
}

/// `nameserver` of resolv.conf(5).
fn name_servers(text: &str) -> Vec<IpAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        let is_server = words.next() == Some("nameserver");
        let address = words.next().filter(|_| is_server)?;
        address.split('%').next()?.parse().ok()
    };
    text.lines().filter_map(server).collect()
}

/// Gateways of the default routes, of /proc/net/route: in hexadecimal, as memory has them.
fn gateways(text: &str) -> Vec<IpAddr> {
    let gateway = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (to, via, mask) = (words.get(1)?, words.get(2)?, words.get(7)?);
        let via = u32::from_str_radix(via, 16).ok().filter(|via| *via != 0)?;
        let is_default = [to, mask].iter().all(|word| **word == "00000000");
        let octets = via.to_ne_bytes();
        is_default.then_some(IpAddr::V4(Ipv4Addr::from(octets)))
    };
    text.lines().skip(1).filter_map(gateway).collect()
}

/// The servers of the leases that systemd-networkd holds.
fn dhcp_servers() -> Result<Vec<IpAddr>, String> {
    let leases = fs::read_dir(LEASES)
        .map_err(|_| format!("`dhcp` is not known, because there are no leases in {LEASES}"))?;
    let mut servers = Vec::new();
    for lease in leases.flatten() {
        let text = fs::read_to_string(lease.path()).unwrap_or_default();
        servers.extend(lease_server(&text));
    }
    Ok(servers)
}

fn lease_server(text: &str) -> Option<IpAddr> {
    let server = text
        .lines()
        .find_map(|line| line.strip_prefix("SERVER_ADDRESS="));
    server?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_this_host() {
        let text = "# comment\nnameserver 10.0.0.53\nsearch example\nnameserver fe80::1%eth0\n";
        let found = name_servers(text);
        assert_eq!(
            found,
            ["10.0.0.53", "fe80::1"].map(|text| text.parse::<IpAddr>().unwrap())
        );
        let gateway = u32::from_ne_bytes([10, 0, 0, 254]);
        let text = format!(
            "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n\
             eth0\t00000000\t{gateway:08X}\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
             eth0\t0000000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"
        );
        assert_eq!(gateways(&text), ["10.0.0.254".parse::<IpAddr>().unwrap()]);
        let lease = "ADDRESS=10.0.0.5\nSERVER_ADDRESS=10.0.0.1\n";
        assert_eq!(lease_server(lease), Some("10.0.0.1".parse().unwrap()));
        let literal = Address::Name("127.0.0.1".to_owned());
        assert_eq!(addresses(&literal), Ok(vec!["127.0.0.1".parse().unwrap()]));
        assert!(addresses(&Address::Special(Server::Wins)).is_err());
    }
}
