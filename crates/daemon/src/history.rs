//! Who moved what, when and why: a bounded memory made of events, and a file of the same.

mod file;
#[cfg(test)]
mod tests;

use api::{Move, Phases};
use cluster::{GroupName, MoveReason, NodeName};
use file::Writer;
use node::Event;
use policy::Direction;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// Moves that are remembered: more than anybody reads.
const REMEMBERED: usize = 256;
/// A first packet that comes later says that nobody had anything to send, and no more.
const IDLE: Duration = Duration::from_secs(60);
/// A gate that was closed longer ago belongs to a move that came to nothing.
const STALE: Duration = Duration::from_secs(5);

/// A move that this process has seen.
struct Seen {
    place: Move,
    /// When the new owner was decided on, as known here.
    decided: Instant,
    /// The last sign of the owner before.
    last_sign: Option<Instant>,
}

/// The history as this member knows it.
pub(crate) struct History {
    node: String,
    /// What an earlier process has written, oldest first.
    before: VecDeque<Move>,
    seen: VecDeque<Seen>,
    /// Nodes that are down: since when, and how long they had been silent then.
    down: BTreeMap<NodeName, (Instant, Duration)>,
    /// Groups on the move: when the gate at their owner was closed, as known here.
    closed: BTreeMap<GroupName, Instant>,
    writer: Option<Writer>,
}

impl History {
    /// The history of `node`, with what its file in `folder` has; and why there is no file, if
    /// there can be none.
    pub(crate) fn open(node: String, folder: &Path) -> (Self, Option<io::Error>) {
        let (writer, fault) = match Writer::open(folder) {
            Ok(writer) => (Some(writer), None),
            Err(fault) => (None, Some(fault)),
        };
        let history = Self {
            node,
            before: file::read(folder, REMEMBERED).into(),
            seen: VecDeque::new(),
            down: BTreeMap::new(),
            closed: BTreeMap::new(),
            writer,
        };
        (history, fault)
    }

    /// The latest moves, oldest first, `last` of them at most.
    pub(crate) fn answer(&self, last: usize) -> api::History {
        let all = self.before.iter();
        let all = all.chain(self.seen.iter().map(|seen| &seen.place));
        let count = self.before.len() + self.seen.len();
        api::History {
            node: self.node.clone(),
            moves: all.skip(count.saturating_sub(last)).cloned().collect(),
        }
    }

    /// Takes an event that happened `now`, at the time of day `clock`.
    pub(crate) fn take(&mut self, event: &Event, now: Instant, clock: SystemTime) {
        match event {
            Event::Cluster(event) => self.cluster(event, now, clock),
            Event::LastWord { group } | Event::GateClosed { group, .. } => {
                self.closed.insert(group.clone(), now);
            }
            Event::Inherited { group, count } => {
                let closed = self.closed.remove(group);
                let closed = closed.filter(|at| now.saturating_duration_since(*at) < STALE);
                self.change(group, |seen| {
                    seen.place.inherited = Some(*count > 0);
                    seen.place.ike_sas = u64::try_from(*count).ok();
                    if let Some(closed) = closed {
                        seen.place.phases.handover_ms = Some(between(closed, now));
                        seen.last_sign = Some(closed);
                    }
                });
            }
            Event::AddressesUp { group } => self.change(group, |seen| {
                let after = between(seen.decided, now);
                seen.place.phases.addresses_ms.get_or_insert(after);
            }),
            Event::FirstPacket { group, direction } => {
                self.change(group, |seen| seen.first_packet(*direction, now));
            }
            _ => {}
        }
    }

    fn cluster(&mut self, event: &cluster::Event, now: Instant, clock: SystemTime) {
        match event {
            cluster::Event::NodeDown { node, silence, .. } => {
                let silence = silence.unwrap_or_default();
                self.down.insert(node.clone(), (now, silence));
            }
            cluster::Event::NodeUp { node } => {
                self.down.remove(node);
            }
            cluster::Event::GroupMoved { .. } => self.moved(event, now, clock),
            cluster::Event::GroupOnline { group, .. } => self.change(group, |seen| {
                let after = between(seen.decided, now);
                seen.place.phases.online_ms.get_or_insert(after);
            }),
            _ => {}
        }
    }

    fn moved(&mut self, event: &cluster::Event, now: Instant, clock: SystemTime) {
        let cluster::Event::GroupMoved {
            group,
            from,
            to,
            epoch,
            reason,
        } = event
        else {
            return;
        };
        let mut phases = Phases::default();
        let mut last_sign = None;
        let down = from.as_ref().and_then(|from| self.down.get(from));
        if let Some((since, silence)) = down.filter(|_| *reason == MoveReason::NodeDown) {
            phases.silence_ms = Some(silence.as_secs_f64() * 1e3);
            phases.decision_ms = Some(between(*since, now));
            last_sign = since.checked_sub(*silence);
        }
        if to.as_str() != self.node
            && let Some(closed) = self.closed.remove(group)
            && from.as_ref().is_some_and(|from| from.as_str() == self.node)
            && now.saturating_duration_since(closed) < STALE
        {
            phases.handover_ms = Some(between(closed, now));
        }
        let place = Move {
            time: humantime::format_rfc3339_millis(clock).to_string(),
            group: group.to_string(),
            from: from.as_ref().map(ToString::to_string),
            to: to.to_string(),
            epoch: *epoch,
            reason: word(*reason).to_owned(),
            inherited: None,
            ike_sas: None,
            phases,
            gap_ms: None,
        };
        self.write(&place);
        if self.before.len() + self.seen.len() >= REMEMBERED && self.before.pop_front().is_none() {
            self.seen.pop_front();
        }
        self.seen.push_back(Seen {
            place,
            decided: now,
            last_sign,
        });
    }

    /// Something more is known of the latest move of a group, if that was to this node.
    fn change(&mut self, group: &GroupName, change: impl FnOnce(&mut Seen)) {
        let mut seen = self.seen.iter_mut().rev();
        let latest = seen.find(|seen| seen.place.group == group.as_str());
        let Some(latest) = latest.filter(|seen| seen.place.to == self.node) else {
            return;
        };
        let before = latest.place.clone();
        change(latest);
        if latest.place != before {
            let place = latest.place.clone();
            self.write(&place);
        }
    }

    fn write(&self, place: &Move) {
        if let Some(writer) = &self.writer {
            writer.write(place);
        }
    }
}

impl Seen {
    fn first_packet(&mut self, direction: Direction, now: Instant) {
        let after = between(self.decided, now);
        let phases = &mut self.place.phases;
        let known = match direction {
            Direction::Outbound => &mut phases.first_sealed_ms,
            Direction::Inbound => &mut phases.first_opened_ms,
        };
        known.get_or_insert(after);
        let waited = now.saturating_duration_since(self.decided);
        if let Some(sign) = self.last_sign.filter(|_| waited < IDLE) {
            self.place.gap_ms.get_or_insert(between(sign, now));
        }
    }
}

fn between(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64() * 1e3
}

fn word(reason: MoveReason) -> &'static str {
    match reason {
        MoveReason::FirstStart => "first_start",
        MoveReason::Planned => "planned",
        MoveReason::Shutdown => "shutdown",
        MoveReason::Failback => "failback",
        MoveReason::Failure => "failure",
        MoveReason::NodeDown => "node_down",
        MoveReason::Conflict => "conflict",
    }
}
