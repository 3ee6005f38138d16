//! What the nodes of a world are told: rules, peers, the cluster.

use std::sync::Arc;

use cluster::{ClusterKey, GroupConfig, GroupName, NodeName};
use ike::Cookies;
use node::{ClusterConfig, Config, GroupAddresses, Recovery};
use policy::pad::Childless;
use policy::{
    Action, AddressRange, AddressSpec, Auth, ChildTemplate, Directions, Filter, Identity,
    IkeTemplate, IkeVersion, Negotiate, Origin, Pad, Peer, PeerName, PortRange, Rule, RuleName,
    Secret, version,
};
use std::net::{IpAddr, SocketAddr};
use wire::ip::protocol;

use crate::addresses::{CLIENT, PATHS};
use crate::frame::{FRONT, HostId, SECOND_FRONT, THIRD, is_front};
use crate::packet::SERVICE;
use crate::settings::Settings;

/// The one rule that negotiates, the same on every host.
pub(crate) const RULE: &str = "mail";
const CLUSTER_PORT: u16 = 4510;
/// The nodes that prefer a group each.
const NODES: usize = 2;

/// A name could only be refused for its form, and these have it.
pub(crate) fn node_name(host: HostId) -> NodeName {
    let text = match host {
        FRONT => "f",
        1 => "a",
        2 => "b",
        THIRD => "c",
        _ => "g",
    };
    NodeName::new(text).unwrap_or_else(|error| unreachable!("{error}"))
}

/// The host of this name.
pub(crate) fn host_of(name: &NodeName) -> Option<HostId> {
    (0..=THIRD).find(|host| node_name(*host) == *name)
}

/// As [`node_name`].
pub(crate) fn group_name(group: usize) -> GroupName {
    let text = match group {
        0 => "mail",
        1 => "web",
        _ => "client",
    };
    GroupName::new(text).unwrap_or_else(|error| unreachable!("{error}"))
}

/// What a host is told when it starts.
pub(crate) fn config(settings: &Settings, host: HostId) -> Config {
    Config {
        rules: vec![rule(settings, host)],
        pad: Arc::new(Pad::new(vec![peer(settings, host)])),
        cookies: Cookies::From(100),
        puzzles: None,
        // A checker sees to it that no key is ever on the network.
        export_keys: settings.replicate.is_some(),
        recovery: recovery(settings, host),
        cluster: (!settings.groups_of(host).is_empty()).then(|| member(settings, host)),
    }
}

fn cluster_key() -> ClusterKey {
    ClusterKey::from_slice(b"another secret of the same world")
        .unwrap_or_else(|error| unreachable!("{error}"))
}

/// The members of the cluster make the same crash tokens, as real ones do.
fn recovery(settings: &Settings, host: HostId) -> Recovery {
    let secret =
        (!settings.groups_of(host).is_empty()).then(|| cluster_key().derive("crash tokens"));
    Recovery {
        qcd_secret: secret.map(Arc::new),
        tickets: None,
    }
}

fn groups(settings: &Settings) -> Vec<IpAddr> {
    (0..settings.groups)
        .map(|group| settings.addresses().group(group))
        .collect()
}

fn rule(settings: &Settings, host: HostId) -> Rule {
    let hosts = |list: &[IpAddr]| -> Vec<AddressSpec> {
        list.iter()
            .map(|address| AddressSpec::Range(AddressRange::host(*address)))
            .collect()
    };
    let front = hosts(&[settings.addresses().client()]);
    let groups = hosts(&groups(settings));
    let service = vec![PortRange::single(SERVICE)];
    let me = settings.me.then(|| vec![AddressSpec::Me]);
    let (local, remote, local_ports, remote_ports) = match is_front(host) {
        true => (me.unwrap_or(front), groups, Vec::new(), service),
        false => (me.unwrap_or(groups), front, service, Vec::new()),
    };
    let filter = Filter {
        local,
        remote,
        protocol: protocol::TCP,
        local_ports,
        remote_ports,
        directions: Directions::Both,
    };
    let child = ChildTemplate {
        proposals: settings.esp.clone(),
        lifetime: settings.child,
        idle: settings.timers.idle,
        ..ChildTemplate::transport()
    };
    Rule {
        name: RuleName::new(RULE),
        filters: vec![filter],
        action: Action::Negotiate(Negotiate::require(Arc::new(child))),
        peer: Some(peer_name(host)),
        origin: Origin::File,
    }
}

/// What a host calls its one peer.
pub(crate) fn peer_name(host: HostId) -> PeerName {
    PeerName::new(if is_front(host) { "cluster" } else { "front" })
}

fn peer(settings: &Settings, host: HostId) -> Peer {
    let front = Identity::Fqdn("front.example".to_owned());
    let cluster = Identity::Fqdn("mail.example".to_owned());
    let (addresses, local_id, remote_id) = match is_front(host) {
        true => (groups(settings), front, cluster),
        false => (vec![settings.addresses().client()], cluster, front),
    };
    let secret = Secret::from_slice(b"a secret of the simulated world!");
    Peer {
        name: peer_name(host),
        addresses: addresses.into_iter().map(AddressRange::host).collect(),
        local_id,
        remote_id,
        auth: Auth::psk(secret),
        alternatives: Vec::new(),
        ike: ike(settings, host),
    }
}

fn ike(settings: &Settings, host: HostId) -> IkeTemplate {
    let template = IkeTemplate {
        port: settings.port,
        lifetime: settings.ike,
        ..IkeTemplate::with_timers(&settings.timers)
    };
    if settings.version == IkeVersion::V2 {
        return template;
    }
    IkeTemplate {
        version: settings.version,
        legacy: settings.legacy,
        proposals: version::default_ike(settings.version, settings.legacy),
        advertise_fast_failover: settings.fast_failover.advertised,
        quick_modes: settings.quick_modes,
        assume_fast_failover: settings.fast_failover.assumed && is_front(host),
        // As for a peer of a policy: what IKEv1 has not is off.
        qcd: false,
        sync: false,
        resumption: false,
        fragment_size: None,
        childless: Childless::Never,
        ..template
    }
}

fn member(settings: &Settings, host: HostId) -> ClusterConfig {
    let others = settings.members(host).into_iter();
    let peers = others.map(|other| cluster::Peer {
        name: node_name(other),
        addresses: (0..PATHS)
            .map(|path| SocketAddr::new(settings.addresses().own(other, path), CLUSTER_PORT))
            .collect(),
    });
    // The first group prefers the first node, the second one the second.
    let prefer = |group: usize| {
        let owners = match group {
            CLIENT => vec![node_name(FRONT), node_name(SECOND_FRONT)],
            _ => {
                let third = settings.witness.then_some(THIRD);
                let nodes = [1 + group, NODES - group].into_iter().chain(third);
                nodes.map(node_name).collect()
            }
        };
        GroupConfig::new(group_name(group), owners)
    };
    let key = cluster_key();
    let groups = settings.groups_of(host).map(prefer).collect();
    let member = cluster::Config {
        heartbeat: settings.heartbeat,
        missed: settings.missed,
        witness: settings.witness,
        ..cluster::Config::new(node_name(host), key, peers.collect(), groups)
    };
    let addresses = settings.groups_of(host).map(|group| GroupAddresses {
        group: group_name(group),
        addresses: vec![settings.addresses().group(group)],
    });
    ClusterConfig {
        member,
        groups: addresses.collect(),
        replicate: settings.replicate,
    }
}
