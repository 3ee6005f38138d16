//! What is delivered was sent by an application, unchanged, and a protected packet comes once.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use wire::ip::Flow;

use crate::addresses::Addresses;
use crate::frame::HostId;
use crate::packet::{Kind, Message, payload};
use crate::settings::Settings;

struct Sent {
    flow: Flow,
    kind: Kind,
    digest: [u8; 32],
    at: Duration,
    delivered: Option<(HostId, Duration)>,
}

/// A change of the host that uses a group's SAs.
struct Opened {
    at: Duration,
    host: HostId,
    group: IpAddr,
    /// Up to when this host knew the inbound windows of every other.
    known: BTreeMap<HostId, Duration>,
}

/// Everything that applications gave to their hosts, and what came of it.
pub struct Delivery {
    addresses: Addresses,
    strict: bool,
    /// Who heard from whom how far its windows had moved, and when that was.
    told: BTreeMap<(HostId, HostId), Duration>,
    opened: Vec<Opened>,
    sent: BTreeMap<u64, Sent>,
    /// When answers to protected requests came, and how long each took.
    answers: Vec<(Duration, Duration)>,
    /// When the last of them came, by group.
    last: BTreeMap<IpAddr, Duration>,
}

/// A time without answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// When the last answer before it came.
    pub from: Duration,
    /// When the first answer after it came.
    pub to: Duration,
}

impl Outage {
    /// How long it was.
    #[must_use]
    pub fn gap(&self) -> Duration {
        self.to - self.from
    }
}

impl Delivery {
    pub(crate) fn new(settings: &Settings) -> Self {
        Delivery {
            addresses: settings.addresses(),
            strict: settings.replicate.is_none_or(|how| how.strict),
            told: BTreeMap::new(),
            opened: Vec::new(),
            sent: BTreeMap::new(),
            answers: Vec::new(),
            last: BTreeMap::new(),
        }
    }

    pub(crate) fn offered(&mut self, at: Duration, packet: &[u8]) {
        if let Some((flow, message)) = Message::parse(packet) {
            let digest = crypto::hash::sha256(&[payload(packet)]);
            let sent = Sent {
                flow,
                kind: message.kind,
                digest,
                at,
                delivered: None,
            };
            self.sent.insert(message.id, sent);
        }
    }

    /// A member has heard how far another's windows had moved at a moment.
    pub(crate) fn told(&mut self, from: HostId, to: HostId, reported: Duration) {
        self.told.insert((from, to), reported);
    }

    /// A host uses a group's SAs from now on.
    pub(crate) fn opened(&mut self, at: Duration, host: HostId, group: usize) {
        let told = self.told.iter().filter(|((_, to), _)| *to == host);
        let known = told.map(|((from, _), at)| (*from, *at)).collect();
        let group = self.addresses.group(group);
        let last = self
            .opened
            .iter()
            .rfind(|opened| opened.group == group && opened.at <= at);
        if last.is_some_and(|last| last.host == host) {
            return;
        }
        self.opened.push(Opened {
            at,
            host,
            group,
            known,
        });
    }

    /// Whether what one host delivered at a moment may come again: the next host that used these
    /// SAs could not know of it yet.
    fn may_come_again(&self, (host, at): (HostId, Duration), group: IpAddr) -> bool {
        if self.strict {
            return false;
        }
        let of_group = |opened: &&Opened| opened.group == group;
        let (before, after): (Vec<&Opened>, Vec<&Opened>) = self
            .opened
            .iter()
            .filter(of_group)
            .partition(|opened| opened.at <= at);
        // One that had stopped, or was cut off, delivers what came when the group was not its any
        // more: the owner does not hear of it.
        if before.last().is_some_and(|owner| owner.host != host) {
            return true;
        }
        let heir = after.iter().find(|opened| opened.host != host);
        heir.is_some_and(|heir| heir.known.get(&host).is_none_or(|knew| *knew < at))
    }

    pub(crate) fn delivered(
        &mut self,
        at: Duration,
        host: HostId,
        packet: &[u8],
    ) -> Option<String> {
        let Some((flow, message)) = Message::parse(packet) else {
            return Some("a packet is delivered that no application makes".to_owned());
        };
        let id = message.id;
        let protected = self.addresses.is_protected(&flow);
        let Some(sent) = self.sent.get_mut(&id).filter(|sent| sent.flow == flow) else {
            return Some(format!(
                "{flow}, message {id:x}, is delivered and was never sent"
            ));
        };
        if !protected {
            // Nobody promised anything for what travels in clear.
            return None;
        }
        if sent.digest != crypto::hash::sha256(&[payload(packet)]) {
            return Some(format!("{flow}, message {id:x}, is delivered changed"));
        }
        if let Some(before) = sent.delivered.replace((host, at)) {
            let allowed = before.0 != host && self.may_come_again(before, flow.dst);
            return (!allowed).then(|| {
                let (first, when) = (before.0, before.1.as_secs_f64());
                format!(
                    "{flow}, message {id:x}, is delivered again; host {first} had it at {when:.6} s"
                )
            });
        }
        if let Kind::Reply { to } = message.kind
            && let Some(request) = self.sent.get(&to)
        {
            self.answers.push((at, at - request.at));
            self.last.insert(flow.src, at);
        }
        None
    }

    /// How many requests were made, and how many answers came, from one moment to another.
    #[must_use]
    pub fn requests(&self, from: Duration, to: Duration) -> (usize, usize) {
        let within = |at: Duration| from <= at && at < to;
        let requests = self.sent.values().filter(|sent| {
            sent.kind == Kind::Request && within(sent.at) && self.addresses.is_protected(&sent.flow)
        });
        let answers = self.answers.iter().filter(|(at, took)| within(*at - *took));
        (requests.count(), answers.count())
    }

    /// Protected messages that were sent between two moments and never arrived.
    #[must_use]
    pub fn lost(&self, from: Duration, to: Duration) -> usize {
        let lost = |sent: &&Sent| {
            (from..to).contains(&sent.at)
                && sent.delivered.is_none()
                && self.addresses.is_protected(&sent.flow)
        };
        self.sent.values().filter(lost).count()
    }

    /// When the last answer came before a moment, and the first one after it.
    #[must_use]
    pub fn outage(&self, around: Duration) -> Option<Outage> {
        let from = self
            .answers
            .iter()
            .map(|(at, _)| *at)
            .filter(|at| *at <= around)
            .max()?;
        let to = self
            .answers
            .iter()
            .map(|(at, _)| *at)
            .filter(|at| *at > around)
            .min()?;
        Some(Outage { from, to })
    }

    /// The longest time without an answer between two moments.
    #[must_use]
    pub fn longest(&self, from: Duration, to: Duration) -> Option<Outage> {
        let within = |at: &Duration| (from..=to).contains(at);
        let mut moments: Vec<Duration> = self
            .answers
            .iter()
            .map(|(at, _)| *at)
            .filter(within)
            .collect();
        moments.sort_unstable();
        let gaps = moments.windows(2).map(|two| Outage {
            from: two[0],
            to: two[1],
        });
        gaps.max_by_key(Outage::gap)
    }

    /// When a group last answered.
    #[must_use]
    pub fn last_answer(&self, group: usize) -> Option<Duration> {
        self.last.get(&self.addresses.group(group)).copied()
    }

    /// How many answers came in all.
    #[must_use]
    pub fn answers(&self) -> usize {
        self.answers.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::SERVICE;
    use wire::ip::protocol;

    const SECOND: Duration = Duration::from_secs(1);

    fn packet(addresses: Addresses, id: u64, kind: Kind) -> Vec<u8> {
        let flow = Flow {
            src: addresses.own(0, 0),
            dst: addresses.group(0),
            protocol: protocol::TCP,
            src_port: 40_000,
            dst_port: SERVICE,
        };
        let flow = if kind == Kind::Request {
            flow
        } else {
            flow.reversed()
        };
        Message { id, kind }.packet(&flow, 20).unwrap()
    }

    #[test]
    fn what_was_not_sent_or_comes_twice_or_changed_is_found() {
        let addresses = Settings::modern().addresses();
        let mut delivery = Delivery::new(&Settings::modern());
        let first = packet(addresses, 1, Kind::Request);
        delivery.offered(SECOND, &first);
        assert_eq!(delivery.delivered(SECOND, 1, &first), None);
        assert!(
            delivery
                .delivered(SECOND, 1, &first)
                .unwrap()
                .contains("again")
        );
        let unsent = packet(addresses, 2, Kind::Request);
        assert!(
            delivery
                .delivered(SECOND, 1, &unsent)
                .unwrap()
                .contains("never sent")
        );
        let mut changed = packet(addresses, 3, Kind::Request);
        delivery.offered(SECOND, &changed);
        *changed.last_mut().unwrap() ^= 1;
        assert!(
            delivery
                .delivered(SECOND, 1, &changed)
                .unwrap()
                .contains("changed")
        );
        assert!(delivery.delivered(SECOND, 1, &[0; 4]).is_some());
    }

    #[test]
    fn an_outage_lies_between_two_answers() {
        let addresses = Settings::modern().addresses();
        let mut delivery = Delivery::new(&Settings::modern());
        for (number, at) in [1, 2, 5, 6].into_iter().enumerate() {
            let id = number as u64;
            delivery.offered(at * SECOND, &packet(addresses, id, Kind::Request));
            let reply = packet(addresses, 100 + id, Kind::Reply { to: id });
            delivery.offered(at * SECOND, &reply);
            assert_eq!(
                delivery.delivered(at * SECOND + SECOND / 10, 1, &reply),
                None
            );
        }
        let outage = delivery.longest(Duration::ZERO, 10 * SECOND).unwrap();
        assert_eq!(outage.gap(), 3 * SECOND);
        assert_eq!(delivery.outage(3 * SECOND), Some(outage));
        assert_eq!(delivery.requests(Duration::ZERO, 3 * SECOND), (2, 2));
    }
}
