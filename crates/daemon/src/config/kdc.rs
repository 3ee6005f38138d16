//! Where the KDCs of a realm are, and rules that would keep every ticket from this host (KB254949).

use std::net::{IpAddr, SocketAddr};

use policy::auth::Method;
use policy::selector::{SelectorPair, TrafficSelector};
use policy::{Action, AddressRange, Direction, Entry, Peer, PortRange, Rule, Spd};

use crate::config::basis::ReadPeer;
use crate::config::diagnostic::Problems;
use crate::config::rule::ReadRule;

/// The port of a KDC (RFC 4120 section 7.2.3).
pub(crate) const PORT: u16 = 88;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// The KDCs that a `krb5.conf` lists for some realms, as far as they are addresses: no name is
/// looked up, and no other file is read.
pub(crate) fn configured(text: &str, realms: &[&str]) -> Vec<SocketAddr> {
    let (mut in_realms, mut realm, mut found) = (false, None, Vec::new());
    for line in text.lines().map(str::trim) {
        if line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(section) = line.strip_prefix('[') {
            in_realms = section.starts_with("realms]");
            realm = None;
            continue;
        }
        if line.starts_with('}') {
            realm = None;
        }
        let Some((key, value)) = line.split_once('=').filter(|_| in_realms) else {
            continue;
        };
        let (key, value) = (key.trim(), value.trim());
        if value.starts_with('{') {
            realm = Some(key);
        } else if key.trim_end_matches('*') == "kdc"
            && realm.is_some_and(|one| realms.contains(&one))
        {
            found.extend(server(value));
        }
    }
    found
}

/// `10.0.0.88`, `10.0.0.88:750`, `[fd00::88]:88`, and with `tcp/` or `udp/` before it.
fn server(value: &str) -> Option<SocketAddr> {
    let value = value.split_whitespace().next()?;
    let value = ["tcp/", "udp/"]
        .iter()
        .find_map(|kind| value.strip_prefix(kind))
        .unwrap_or(value);
    let bare = value.trim_start_matches('[').trim_end_matches(']');
    let alone = bare.parse().map(|address: IpAddr| (address, PORT).into());
    value.parse().or(alone).ok()
}

/// No rule that Kerberos is to prove may cover a KDC: its ticket is needed first.
pub(crate) fn check(rules: &[ReadRule], spd: &Spd, peers: &[ReadPeer], problems: &mut Problems) {
    let mut kdcs: Vec<SocketAddr> = peers.iter().flat_map(|read| read.kdcs.clone()).collect();
    kdcs.sort_unstable();
    kdcs.dedup();
    for (number, read) in rules.iter().enumerate() {
        let traps = |kdc: &&SocketAddr| {
            let waits = needs_kerberos(&read.rule, peers, kdc.ip());
            waits
                && [TCP, UDP]
                    .iter()
                    .any(|protocol| decides(spd, number, **kdc, *protocol))
        };
        let Some(kdc) = kdcs.iter().find(traps) else {
            continue;
        };
        let (name, address, port) = (&read.rule.name, kdc.ip(), kdc.port());
        let message = format!(
            "the rule `{name}` is negotiated by Kerberos and covers the KDC {address} itself, \
             whose ticket the negotiation needs (KB254949)"
        );
        let label = format!("{address} port {port} is within");
        let remedy = format!(
            "use certificates or a pre-shared key for this rule, or let the KDC pass with a rule \
             of `action = \"permit\"`, `remote = \"{address}\"`, `remote_ports = {port}`"
        );
        problems.error(read.remote_span.clone(), message, label, remedy);
    }
}

/// Whether traffic to that address would wait for Kerberos under the rule, or for nobody at all.
fn needs_kerberos(rule: &Rule, peers: &[ReadPeer], address: IpAddr) -> bool {
    let Action::Negotiate(negotiate) = &rule.action else {
        return false;
    };
    let by_kerberos = |peer: &Peer| peer.by(Method::Kerberos).is_some();
    let mut all = peers.iter().map(|read| &read.peer);
    if let Some(name) = &rule.peer {
        return all.any(|peer| peer.name == *name && by_kerberos(peer));
    }
    let there: Vec<&Peer> = all.filter(|peer| peer.has_address(address)).collect();
    match there.is_empty() {
        true => negotiate.required,
        false => there.into_iter().any(by_kerberos),
    }
}

/// Whether the rule decides about some of the traffic to a KDC.
fn decides(spd: &Spd, rule: usize, kdc: SocketAddr, protocol: u8) -> bool {
    let to_kdc = TrafficSelector {
        protocol,
        ports: PortRange::single(kdc.port()),
        addresses: AddressRange::host(kdc.ip()),
    };
    let outbound = |entry: &&Entry| entry.takes(Direction::Outbound);
    let entries: Vec<&Entry> = spd.entries().iter().filter(outbound).collect();
    entries.iter().enumerate().any(|(index, entry)| {
        let remote = entry.pair.remote.intersect(&to_kdc);
        let Some(remote) = remote.filter(|_| entry.rule == rule) else {
            return false;
        };
        let local = TrafficSelector {
            protocol,
            ..entry.pair.local
        };
        let traffic = SelectorPair { local, remote };
        let mut before = entries.iter().take(index);
        !before.any(|earlier| earlier.pair.covers(&traffic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kdcs_of_a_krb5_conf() {
        let text = "[libdefaults]\n default_realm = R\n kdc = 9.9.9.9\n[realms]\n\
                    R = {\n  kdc = 10.0.0.88\n  kdc = tcp/10.0.0.89:750 # old\n  kdc = dc.example\n\
                    \x20 admin_server = 10.0.0.90\n  kdc = [fd00::88]\n#  kdc = 10.0.0.91\n\
                    \x20 kdc = [fd00::89]:1088\n }\n S = {\n  kdc = 10.1.0.88\n }\n\
                    [domain_realm]\n kdc = 9.9.9.8\n";
        let found = |realms: &[&str]| -> Vec<String> {
            let found = configured(text, realms);
            found.iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            found(&["R"]),
            [
                "10.0.0.88:88",
                "10.0.0.89:750",
                "[fd00::88]:88",
                "[fd00::89]:1088"
            ]
        );
        assert_eq!(found(&["S", "T"]), ["10.1.0.88:88"]);
        assert!(found(&["T"]).is_empty());
        assert!(configured("[realms]\nR = {\n kdc = \n", &["R"]).is_empty());
    }
}
