//! The cluster as one member sees it: nodes, links, groups, and how far their copies have come.

use crate::plane::DataPlane;
use ::cluster::{GroupName, GroupState, NodeState};
use api::{ClusterStatus, GroupStatus, LinkStatus, NodeStatus, ReplicationStatus, Runway};
use link::Links;
use node::Node;
use std::time::{Duration, Instant, SystemTime};

/// Where it is known from.
pub(crate) struct Sources<'a> {
    /// Members, groups and copies.
    pub(crate) node: &'a Node,
    /// What pairs have sent.
    pub(crate) plane: &'a dyn DataPlane,
    /// What waits to be sent; `None` where nothing is replicated.
    pub(crate) links: Option<&'a Links>,
    /// The end of this node's certificate.
    pub(crate) certified_until: Option<SystemTime>,
}

/// The cluster as this member sees it; `None` on a single host.
pub(crate) fn cluster(of: &Sources<'_>, takeover: &str, now: Instant) -> Option<ClusterStatus> {
    let status = of.node.cluster()?.status(now);
    let mut copies = of.node.replication_status(now);
    let mut replication = |group: &GroupName| {
        let place = copies.iter().position(|one| one.group == *group)?;
        Some(replicated(&copies.swap_remove(place), of))
    };
    let groups = status.groups.iter().map(|group| {
        let mut known = of.node.groups().iter();
        let known = known.find(|known| known.group == group.name);
        let addresses = known.map_or(&[][..], |known| &known.addresses);
        GroupStatus {
            name: group.name.to_string(),
            owner: group.owner.as_ref().map(ToString::to_string),
            state: group_state(group.state).to_owned(),
            epoch: group.epoch,
            addresses: addresses.iter().map(ToString::to_string).collect(),
            since_s: group.since.as_secs_f64(),
            replication: replication(&group.name),
        }
    });
    let groups = groups.collect();
    let nodes = status.nodes.iter().map(|node| NodeStatus {
        name: node.name.to_string(),
        state: node_state(node).to_owned(),
        silence_ms: node.last_heartbeat.map(milliseconds),
        link: of
            .links
            .filter(|_| node.name != status.node)
            .map(|links| link(links, node.name.as_str())),
    });
    let until = |at| humantime::format_rfc3339_seconds(at).to_string();
    Some(ClusterStatus {
        node: status.node.to_string(),
        takeover: takeover.to_owned(),
        certificate_until: of.certified_until.map(until),
        witness: status.witness,
        nodes: nodes.collect(),
        groups,
    })
}

fn link(links: &Links, to: &str) -> LinkStatus {
    let waiting = links.waiting(to);
    LinkStatus {
        up: waiting.is_some(),
        waiting_bytes: waiting.map_or(0, number),
    }
}

fn replicated(copy: &node::ReplicationStatus, of: &Sources<'_>) -> ReplicationStatus {
    let part = copy.part.as_ref();
    let owner = part.is_some_and(|part| part.owner);
    let names = |list: Option<&Vec<::cluster::NodeName>>| -> Vec<String> {
        let list = list.into_iter().flatten();
        list.map(ToString::to_string).collect()
    };
    let runway = || {
        runway(of.node.granted(&copy.group), |child| {
            of.plane.pace_of(child)
        })
    };
    ReplicationStatus {
        part: match part {
            Some(_) if owner => "owner",
            Some(_) => "copy",
            None => "none",
        }
        .to_owned(),
        state: state(copy).to_owned(),
        of: part
            .and_then(|part| part.of.as_ref())
            .map(ToString::to_string),
        in_sync: names(part.map(|part| &part.in_sync)),
        filling: names(part.map(|part| &part.filling)),
        lost: names(part.map(|part| &part.bound)),
        position: part.map_or(0, |part| part.position),
        committed: part.map_or(0, |part| part.committed),
        lag_ms: copy.behind.map_or(0.0, milliseconds),
        runway: owner.then(runway).flatten(),
        ike_sas: number(copy.ike_sas),
        inherited: number(copy.inherited),
        pairs: number(copy.pairs),
        held: number(copy.held),
        to_replace: number(copy.to_replace),
    }
}

fn state(copy: &node::ReplicationStatus) -> &'static str {
    match &copy.part {
        None => "none",
        Some(_) if copy.silent => "silent",
        Some(part) if part.owner && !part.bound.is_empty() => "bound",
        Some(part) if part.owner && part.in_sync.is_empty() => "alone",
        Some(part) if part.owner => "guarded",
        Some(part) if part.in_sync.is_empty() => "filling",
        Some(_) => "in_sync",
    }
}

/// What pairs have left below their ceilings, given how far each has come and how fast it goes.
fn runway<T>(
    granted: impl Iterator<Item = (T, u64)>,
    pace: impl Fn(T) -> Option<(u64, f64)>,
) -> Option<Runway> {
    let mut found: Option<Runway> = None;
    for (child, ceiling) in granted {
        let Some((last, rate)) = pace(child) else {
            continue;
        };
        let numbers = ceiling.saturating_sub(last.saturating_add(1));
        let seconds = (rate > 0.0).then(|| numbers as f64 / rate);
        let found = found.get_or_insert(Runway { numbers, seconds });
        found.numbers = found.numbers.min(numbers);
        found.seconds = match (found.seconds, seconds) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
    found
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn node_state(node: &::cluster::NodeStatus) -> &'static str {
    match node.state {
        NodeState::Joining => "joining",
        NodeState::Up if node.paused => "paused",
        NodeState::Up => "up",
        NodeState::Leaving => "leaving",
        NodeState::Down | NodeState::Unknown => "down",
    }
}

fn group_state(state: GroupState) -> &'static str {
    match state {
        GroupState::Offline => "offline",
        GroupState::Starting => "starting",
        GroupState::Online => "online",
        GroupState::Stopping => "stopping",
        GroupState::Failed => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runway_is_that_of_the_pair_which_has_least() {
        let paces = [
            None,
            Some((999, 0.0)),
            Some((100, 50.0)),
            Some((10, 1000.0)),
        ];
        let of = |granted: &[(usize, u64)]| runway(granted.iter().copied(), |pair| paces[pair]);
        assert_eq!(of(&[(0, 1024)]), None, "none has sent");
        let idle = of(&[(0, 5), (1, 1100)]).unwrap();
        assert_eq!((idle.numbers, idle.seconds), (100, None));
        let all = of(&[(1, 1100), (2, 201), (3, 2011)]).unwrap();
        assert_eq!((all.numbers, all.seconds), (100, Some(2.0)));
        let beyond = of(&[(2, 50)]).unwrap();
        assert_eq!((beyond.numbers, beyond.seconds), (0, Some(0.0)));
    }
}
