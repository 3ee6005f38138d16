//! What IP Security Monitor of Windows shows, as far as it is counted here: `holdfast sa main-mode`
//! and `holdfast sa quick-mode`.

use crate::plane::{DataPlane, Mailbox};
use crate::status;
use api::{Counter, MainMode, MainModeSa, QuickMode, QuickModeSa};
use ike::{ChildStatus, Discard, Event, IkeStatus};
use node::Node;
use policy::child::Mode;
use std::time::Instant;

/// What has happened since the daemon began.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// SAs asked for, by packets and by operators.
    pub(crate) acquires: u64,
    /// IKE messages that the kernel did not take.
    pub(crate) send_failures: u64,
    /// Pairs of SAs that the plane took, refused, and gave up.
    pub(crate) additions: u64,
    pub(crate) addition_failures: u64,
    pub(crate) deletions: u64,
    /// Traffic that goes in clear for a while, because its rule only requests protection.
    pub(crate) soft: u64,
    acquire_failures: u64,
    authentication_failures: u64,
    negotiation_failures: u64,
    main_modes: u64,
    quick_modes: u64,
    rekeys: u64,
}

impl Counts {
    pub(crate) fn take(&mut self, event: &Event) {
        match event {
            Event::IkeEstablished { .. } => self.main_modes += 1,
            Event::ChildEstablished { replaces, .. } => {
                self.quick_modes += 1;
                self.rekeys += u64::from(replaces.is_some());
            }
            Event::AcquireFailed { .. } => self.acquire_failures += 1,
            Event::HandshakeFailed { .. } | Event::ChildFailed { .. } => {
                self.negotiation_failures += 1;
                let number = event.audit().map(|audit| audit.number);
                self.authentication_failures += u64::from(matches!(number, Some(544 | 545)));
            }
            _ => {}
        }
    }
}

/// Where it is read.
pub(crate) struct Sources<'a> {
    pub(crate) node: &'a Node,
    pub(crate) plane: &'a dyn DataPlane,
    pub(crate) mailbox: &'a Mailbox,
    pub(crate) counts: &'a Counts,
}

/// SAs of main mode, and the statistics of IKE.
pub(crate) fn main_mode(from: &Sources<'_>, now: Instant) -> MainMode {
    let all = from.node.ike().status(now);
    let refused = |reasons: &[Discard]| {
        let discards = from.node.ike().discards();
        reasons.iter().map(|reason| discards.get(*reason)).sum()
    };
    let counts = from.counts;
    let queued: usize = all.iter().map(|sa| sa.queued).sum();
    let statistics = [
        ("Active Acquire", number(queued)),
        ("Acquire Failures", counts.acquire_failures),
        ("Receive Failures", from.mailbox.dropped()),
        ("Send Failures", counts.send_failures),
        ("Authentication Failures", counts.authentication_failures),
        ("Negotiation Failures", counts.negotiation_failures),
        (
            "Invalid Cookies Received",
            refused(&[Discard::UnknownSpi, Discard::WrongPeerSpi]),
        ),
        ("Total Acquire", counts.acquires),
        ("Key Additions", counts.additions),
        ("Key Addition Failures", counts.addition_failures),
        ("ISADB List Size", number(all.len())),
        ("IKE Main Mode", counts.main_modes),
        ("IKE Quick Mode", counts.quick_modes),
        ("Soft Associations", counts.soft),
        (
            "Invalid Packets Received",
            refused(&[
                Discard::Malformed,
                Discard::UnexpectedPayloads,
                Discard::UnexpectedExchange,
                Discard::NotEncrypted,
                Discard::WrongDirection,
            ]),
        ),
    ];
    MainMode {
        sas: all.iter().map(main_mode_sa).collect(),
        statistics: named(statistics),
    }
}

/// Pairs of SAs, and the statistics of ESP.
pub(crate) fn quick_mode(from: &Sources<'_>, now: Instant) -> QuickMode {
    let all = from.node.ike().status(now);
    let children = || all.iter().flat_map(|sa| sa.children.iter());
    let tunnels = children()
        .filter(|child| child.mode == Mode::Tunnel)
        .count();
    let queued: usize = all.iter().map(|sa| sa.queued).sum();
    let (totals, counts, discards) = (from.plane.totals(), from.counts, from.plane.discards());
    let dropped = |names: &[&str]| {
        let of = discards
            .iter()
            .filter(|(name, _)| names.contains(&name.as_str()));
        of.map(|(_, count)| count).sum()
    };
    let statistics = [
        ("Active Security Associations", number(children().count())),
        ("Pending Key Operations", number(queued)),
        ("Key Additions", counts.additions),
        ("Key Deletions", counts.deletions),
        ("Rekeys", counts.rekeys),
        ("Active Tunnels", number(tunnels)),
        ("Bad SPI Packets", dropped(&BAD_SPI)),
        ("Packets Not Decrypted", dropped(&NOT_DECRYPTED)),
        ("Packets Not Authenticated", dropped(&NOT_AUTHENTICATED)),
        ("Packets With Replay Detection", dropped(&REPLAYED)),
        ("Confidential Bytes Sent", totals.bytes_out),
        ("Confidential Bytes Received", totals.bytes_in),
    ];
    let pairs = all.iter().flat_map(|sa| {
        let version = sa.version.to_string();
        let row = move |child| quick_mode_sa(version.clone(), child, from.plane);
        sa.children.iter().map(row)
    });
    QuickMode {
        sas: pairs.collect(),
        statistics: named(statistics),
    }
}

/// The names of counters of ESP, in user space and in the kernel.
const BAD_SPI: [&str; 2] = ["unknown_spi", "XfrmInNoStates"];
const NOT_DECRYPTED: [&str; 4] = [
    "inbound_short",
    "inbound_alignment",
    "padding",
    "XfrmInHdrError",
];
const NOT_AUTHENTICATED: [&str; 2] = ["authentication", "XfrmInStateProtoError"];
const REPLAYED: [&str; 4] = [
    "sequence_zero",
    "replay_old",
    "replay_seen",
    "XfrmInStateSeqError",
];

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn named<const N: usize>(all: [(&str, u64); N]) -> Vec<Counter> {
    let counter = |(name, count): (&str, u64)| Counter {
        name: name.to_owned(),
        count,
    };
    all.into_iter().map(counter).collect()
}

fn main_mode_sa(sa: &IkeStatus) -> MainModeSa {
    let suite = sa.suite;
    let integrity = suite.map(|suite| match suite.integrity {
        Some(integrity) => integrity.to_string(),
        None => suite.prf.to_string(),
    });
    MainModeSa {
        version: sa.version.to_string(),
        me: sa.local.to_string(),
        peer: sa.remote.to_string(),
        peer_name: sa.peer.as_ref().map(ToString::to_string),
        peer_id: sa.remote_id.as_ref().map(ToString::to_string),
        authentication: sa.authentication.map(str::to_owned),
        encryption: suite.map(|suite| suite.encryption.to_string()),
        integrity,
        diffie_hellman: suite.map(|suite| suite.group.to_string()),
        state: status::ike_state(sa.state).to_owned(),
        quick_modes: sa.children.len(),
    }
}

fn quick_mode_sa(version: String, child: &ChildStatus, plane: &dyn DataPlane) -> QuickModeSa {
    let usage = plane.usage_of(child.child);
    let list = |side: &[policy::TrafficSelector]| side.iter().map(ToString::to_string).collect();
    QuickModeSa {
        version,
        me: list(&child.selectors.local),
        peer: list(&child.selectors.remote),
        negotiation_policy: child.rule.to_string(),
        mode: child.mode.to_string(),
        esp_confidentiality: child.suite.encryption.to_string(),
        esp_integrity: child.suite.integrity.map(|one| one.to_string()),
        state: status::child_state(child.state).to_owned(),
        bytes_received: usage.map_or(0, |usage| usage.inbound.bytes),
        bytes_sent: usage.map_or(0, |usage| usage.outbound.bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ike::{Error, NotAuthentic, Role};

    #[test]
    fn failures_are_counted_by_what_they_are() {
        let mut counts = Counts::default();
        let here = std::net::SocketAddr::from(([10, 0, 0, 1], 500));
        let failed = |error| Event::HandshakeFailed {
            peer: None,
            role: Role::Responder,
            local: here,
            remote: here,
            error,
        };
        counts.take(&failed(Error::Limit("pairs")));
        let said = "mail".to_owned();
        counts.take(&failed(Error::NotAuthentic(NotAuthentic::Auth { said })));
        counts.take(&failed(Error::Unopened));
        assert_eq!(counts.negotiation_failures, 3);
        assert_eq!(counts.authentication_failures, 2);
        assert_eq!(counts.main_modes, 0);
    }

    #[test]
    fn counters_of_esp_have_the_names_that_are_looked_for() {
        let known: Vec<&str> = esp::Discard::ALL.iter().map(|one| one.name()).collect();
        let all = BAD_SPI.iter().chain(&NOT_DECRYPTED);
        let all = all.chain(&NOT_AUTHENTICATED).chain(&REPLAYED);
        for name in all.filter(|name| !name.starts_with("Xfrm")) {
            assert!(known.contains(name), "{name}");
        }
    }
}
