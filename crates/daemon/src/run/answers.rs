//! The control socket's requests, and those whose answer has to wait.

use crate::capture::{Applied, Capture};
use crate::control::Question;
use crate::explain;
use crate::monitor;
use crate::run::Daemon;
use crate::run::redirecting::Redirecting;
use crate::status;
use api::{ClusterStatus, ErrorCode, Reply, Request, Status};
use cluster::{GroupName, GroupState, NodeName};
use ike::Event as IkeEvent;
use node::{ApiMisuse, Command, Event};
use policy::{PeerName, RuleName};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long an answer waits for what was asked for to happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer that waits.
pub(crate) struct Waiting {
    what: Awaited,
    answer: oneshot::Sender<Reply>,
    until: Instant,
}

enum Awaited {
    /// The group is online elsewhere than on this node, or on the one it was sent to.
    Move {
        group: GroupName,
        from: Option<NodeName>,
        to: Option<NodeName>,
    },
    /// The rule has an SA.
    Sa(RuleName),
    /// The packet filter holds the new policy; then this is the answer.
    Reload(Value),
    /// Peers have confirmed that they go elsewhere.
    Redirect(Redirecting),
}

impl Awaited {
    /// The answer that has been waiting, if it is known from the beginning.
    fn value(self) -> Value {
        match self {
            Awaited::Reload(value) => value,
            _ => Value::Null,
        }
    }
}

impl Daemon {
    pub(crate) fn question(&mut self, question: Question) {
        let Question { request, answer } = question;
        self.plane.catch_up();
        let now = Instant::now();
        let outcome = match request {
            Request::ClusterMove { group, to } => return self.ask_move(&group, to, answer),
            Request::SaInitiate { rule } => return self.ask_initiate(&rule, answer),
            Request::SaRedirect { peer, to } => match self.send_on(peer, to) {
                Ok(sent) => return self.wait_for(Awaited::Redirect(sent), answer),
                Err(reply) => Err(reply),
            },
            Request::Status => return self.answer_status(answer),
            Request::Reload => {
                let done = self.reload();
                let done = done.map(|()| json!({ "message": "the configuration is in force" }));
                let done = done.map_err(|why| Reply::failure(ErrorCode::Failed, why));
                return self.answer_when_enforced(done, answer);
            }
            Request::DynamicChange(change) => {
                let done = self.change_dynamic(&change);
                return self.answer_when_enforced(done, answer);
            }
            Request::DynamicShow => Ok(self.dynamic_rules()),
            Request::ClusterStatus => self.cluster_status(),
            Request::MainMode => Ok(to_value(&monitor::main_mode(&self.monitor(), now))),
            Request::QuickMode => Ok(to_value(&monitor::quick_mode(&self.monitor(), now))),
            Request::ClusterHistory { last } => self.cluster_history(last),
            Request::Explain {
                source,
                destination,
                protocol,
            } => {
                let (spd, pad) = (self.node.spd(), self.node.pad());
                let sas = Some(&self.node);
                explain::explain(spd, pad, sas, &source, &destination, &protocol)
                    .map_err(|why| Reply::failure(ErrorCode::Usage, why))
            }
            Request::ClusterPause => self.order(Command::Pause).and(self.cluster_status()),
            Request::ClusterResume => self.order(Command::Resume).and(self.cluster_status()),
            Request::SaRekey { rule, peer } => {
                self.order_sa(rule, peer, Command::RekeyRule, Command::RekeyPeer)
            }
            Request::SaDelete { rule, peer } => {
                self.order_sa(rule, peer, Command::DeleteRule, Command::DeletePeer)
            }
        };
        let _ = answer.send(outcome.map_or_else(|failure| failure, Reply::success));
    }

    fn order(&mut self, command: Command) -> Result<Value, Reply> {
        match self.node.handle_command(command, Instant::now()) {
            Ok(()) => Ok(json!({ "message": "begun" })),
            Err(misuse) => Err(refusal(&misuse)),
        }
    }

    fn order_sa(
        &mut self,
        rule: Option<String>,
        peer: Option<String>,
        of_rule: fn(RuleName) -> Command,
        of_peer: fn(PeerName) -> Command,
    ) -> Result<Value, Reply> {
        match (rule, peer) {
            (Some(rule), None) => self.order(of_rule(RuleName::new(&rule))),
            (None, Some(peer)) => self.order(of_peer(PeerName::new(&peer))),
            _ => Err(Reply::failure(
                ErrorCode::Usage,
                "name either a rule or a peer",
            )),
        }
    }

    fn monitor(&self) -> monitor::Sources<'_> {
        monitor::Sources {
            node: &self.node,
            plane: self.plane.as_ref(),
            mailbox: &self.mailbox,
            counts: &self.counts,
        }
    }

    fn cluster_history(&self, last: Option<u32>) -> Result<Value, Reply> {
        let history = self.history.as_ref();
        let history = history.ok_or_else(|| refusal(&ApiMisuse::NoCluster))?;
        let last = last.and_then(|last| usize::try_from(last).ok());
        Ok(to_value(&history.answer(last.unwrap_or(usize::MAX))))
    }

    fn cluster_status(&self) -> Result<Value, Reply> {
        self.cluster_view()
            .map(|status| to_value(&status))
            .ok_or_else(|| refusal(&ApiMisuse::NoCluster))
    }

    /// The cluster as this member sees it; `None` on a single host.
    fn cluster_view(&self) -> Option<ClusterStatus> {
        let cluster = self.config.cluster.as_ref()?;
        let sources = status::Sources {
            node: &self.node,
            plane: self.plane.as_ref(),
            links: self.links.as_ref(),
            certified_until: self.certified_until,
        };
        status::cluster(&sources, cluster.takeover.word(), Instant::now())
    }

    fn status(&self) -> Status {
        let now = Instant::now();
        let totals = self.plane.totals();
        let ike = self.node.ike().discards().iter();
        let ike = ike.map(|(why, count)| (format!("IKE: {}", why.name()), count));
        let esp = self.plane.discards().into_iter();
        let esp = esp.map(|(name, count)| (format!("ESP: {name}"), count));
        let unread = ("IKE: MailboxFull".to_owned(), self.mailbox.dropped());
        let refused = ("IKE: TcpRefused".to_owned(), self.streams.refused());
        let member = self.node.cluster().map(|member| member.status(now));
        let heartbeats = member.iter().flat_map(|status| status.discards.iter());
        let heartbeats = heartbeats.map(|(why, count)| (format!("heartbeat: {why}"), count));
        let paths = self.paths.iter().map(|(remote, mtu)| api::PathMtu {
            remote: remote.to_string(),
            mtu: u32::from(*mtu),
        });
        Status {
            node: crate::setup::node_name(&self.config),
            uptime_s: now.saturating_duration_since(self.began).as_secs(),
            configuration_age_s: now.saturating_duration_since(self.configured).as_secs(),
            plane: api::Plane {
                kind: if self.choice.kernel { "kernel" } else { "user" }.to_owned(),
                why: self.choice.why.clone(),
                device: self.plane.device().map_or("", |(name, _)| name).to_owned(),
                mtu: u32::from(self.config.plane.mtu),
                packets_out: totals.packets_out,
                bytes_out: totals.bytes_out,
                packets_in: totals.packets_in,
                bytes_in: totals.bytes_in,
                clear_packets_dropped: None,
                paths: paths.collect(),
            },
            rules: status::rules(self.node.spd()),
            soft_sas: status::soft_sas(&self.node, now),
            ike_sas: status::ike_sas(&self.node, self.plane.as_ref(), now),
            recent_failures: self.log.failures(),
            cluster: self.cluster_view(),
            discards: status::counters(ike.chain([unread, refused]).chain(esp).chain(heartbeats)),
        }
    }

    /// The filter's counters are read beside the loop: that takes longer than a heartbeat may be
    /// late.
    fn answer_status(&self, answer: oneshot::Sender<Reply>) {
        let mut status = self.status();
        tokio::task::spawn_blocking(move || {
            status.plane.clear_packets_dropped = Capture::dropped();
            let _ = answer.send(Reply::success(to_value(&status)));
        });
    }

    /// A new policy is told of when the packet filter has taken its rules.
    fn answer_when_enforced(&mut self, done: Result<Value, Reply>, answer: oneshot::Sender<Reply>) {
        match done {
            Ok(value) => self.wait_for(Awaited::Reload(value), answer),
            Err(failure) => {
                let _ = answer.send(failure);
                return;
            }
        }
        self.carry_out();
        if self.capture.settled() {
            self.answer_reload(&Ok(()));
        }
    }

    pub(crate) fn answer_reload(&mut self, applied: &Applied) {
        let reloads = |waiting: &mut Waiting| matches!(waiting.what, Awaited::Reload(_));
        for waiting in self.waiting.extract_if(.., reloads) {
            let reply = match applied {
                Ok(()) => Reply::success(waiting.what.value()),
                Err(why) => Reply::failure(ErrorCode::Failed, why.to_string()),
            };
            let _ = waiting.answer.send(reply);
        }
    }

    /// A move is answered when the group has arrived.
    fn ask_move(&mut self, group: &str, to: Option<String>, answer: oneshot::Sender<Reply>) {
        let named = GroupName::new(group)
            .and_then(|group| Ok((group, to.map(|to| NodeName::new(&to)).transpose()?)));
        let (group, to) = match named {
            Ok(names) => names,
            Err(bad) => {
                let _ = answer.send(Reply::failure(ErrorCode::Usage, bad.to_string()));
                return;
            }
        };
        let from = self.owner_of(&group);
        let command = Command::Move {
            group: group.clone(),
            to: to.clone(),
        };
        match self.node.handle_command(command, Instant::now()) {
            Ok(()) => self.wait_for(Awaited::Move { group, from, to }, answer),
            Err(misuse) => {
                let _ = answer.send(refusal(&misuse));
            }
        }
    }

    /// A negotiation by hand is answered when the SA is there, or cannot be had.
    fn ask_initiate(&mut self, rule: &str, answer: oneshot::Sender<Reply>) {
        let rule = RuleName::new(rule);
        let command = Command::Initiate { rule: rule.clone() };
        match self.node.handle_command(command, Instant::now()) {
            Ok(()) => {
                self.counts.acquires += 1;
                self.wait_for(Awaited::Sa(rule), answer);
            }
            Err(misuse) => {
                let _ = answer.send(refusal(&misuse));
            }
        }
    }

    fn wait_for(&mut self, what: Awaited, answer: oneshot::Sender<Reply>) {
        let until = Instant::now() + PATIENCE;
        self.waiting.push(Waiting {
            what,
            answer,
            until,
        });
    }

    /// An event may be what an answer has waited for.
    pub(crate) fn answer_waiting(&mut self, event: &Event) {
        for mut waiting in std::mem::take(&mut self.waiting) {
            let reply = match &mut waiting.what {
                Awaited::Redirect(sent) => sent.note(event),
                what => outcome(what, event),
            };
            match reply {
                Some(reply) => {
                    let _ = waiting.answer.send(reply);
                }
                None => self.waiting.push(waiting),
            }
        }
    }

    /// Moves are over when the group is online at its new owner; all have a limit.
    pub(crate) fn give_up_waiting(&mut self, now: Instant) {
        for waiting in std::mem::take(&mut self.waiting) {
            let arrived = match &waiting.what {
                Awaited::Move { group, from, to } => self.arrived(group, from, to, now),
                Awaited::Sa(_) | Awaited::Reload(_) | Awaited::Redirect(_) => false,
            };
            if arrived {
                let reply = self
                    .cluster_status()
                    .map_or_else(|failure| failure, Reply::success);
                let _ = waiting.answer.send(reply);
            } else if now >= waiting.until {
                let text = || format!("it did not happen within {} s", PATIENCE.as_secs());
                let reply = match &waiting.what {
                    Awaited::Redirect(sent) => sent.reply(),
                    _ => Reply::failure(ErrorCode::Timeout, text()),
                };
                let _ = waiting.answer.send(reply);
            } else {
                self.waiting.push(waiting);
            }
        }
    }

    fn arrived(
        &self,
        group: &GroupName,
        from: &Option<NodeName>,
        to: &Option<NodeName>,
        now: Instant,
    ) -> bool {
        let Some(member) = self.node.cluster() else {
            return false;
        };
        let status = member.status(now);
        let group = status.groups.iter().find(|known| known.name == *group);
        group.is_some_and(|group| {
            let there = match to {
                Some(to) => group.owner.as_ref() == Some(to),
                None => group.owner.is_some() && group.owner != *from,
            };
            there && group.state == GroupState::Online
        })
    }

    fn owner_of(&self, group: &GroupName) -> Option<NodeName> {
        let status = self.node.cluster()?.status(Instant::now());
        status
            .groups
            .into_iter()
            .find(|known| known.name == *group)?
            .owner
    }
}

/// What an event means for an answer that waits, if anything.
fn outcome(what: &Awaited, event: &Event) -> Option<Reply> {
    match (what, event) {
        (Awaited::Move { group, from, to }, Event::Cluster(event)) => match event {
            cluster::Event::RequestRefused { .. } | cluster::Event::MoveAbandoned { .. } => {
                Some(Reply::failure(ErrorCode::Failed, event.to_string()))
            }
            cluster::Event::GroupFailed { group: failed, .. } if failed == group => {
                Some(Reply::failure(ErrorCode::Failed, event.to_string()))
            }
            cluster::Event::GroupMoved {
                group: moved,
                to: now,
                ..
            } if moved == group => {
                let asked_for = match to {
                    Some(to) => now == to,
                    None => Some(now) != from.as_ref(),
                };
                let text = || format!("the move came to nothing: {event}");
                (!asked_for).then(|| Reply::failure(ErrorCode::Failed, text()))
            }
            _ => None,
        },
        (Awaited::Sa(rule), Event::Ike(event)) => match event {
            IkeEvent::ChildEstablished { rule: made, .. } if made == rule => {
                Some(Reply::success(json!({ "message": event.to_string() })))
            }
            IkeEvent::AcquireFailed { rule: failed, .. } if failed == rule => {
                Some(Reply::failure(ErrorCode::RefusedByPeer, event.to_string()))
            }
            _ => None,
        },
        _ => None,
    }
}

fn refusal(misuse: &ApiMisuse) -> Reply {
    let code = match misuse {
        ApiMisuse::NoRule(_)
        | ApiMisuse::NoSaOfRule(_)
        | ApiMisuse::NoSaOfPeer(_)
        | ApiMisuse::NoCluster => ErrorCode::NotFound,
        ApiMisuse::NotNegotiated(_) | ApiMisuse::WhichNode => ErrorCode::Usage,
        _ => ErrorCode::Failed,
    };
    Reply::failure(code, misuse.to_string())
}

pub(crate) fn to_value(answer: &impl serde::Serialize) -> Value {
    serde_json::to_value(answer).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster::MoveReason;

    fn node(name: &str) -> NodeName {
        NodeName::new(name).unwrap()
    }

    #[test]
    fn a_move_that_another_event_undoes_is_answered_at_once() {
        let group = GroupName::new("mail").unwrap();
        let moved = |to: &str, reason| {
            Event::Cluster(cluster::Event::GroupMoved {
                group: group.clone(),
                from: None,
                to: node(to),
                epoch: 3,
                reason,
            })
        };
        for to in [Some(node("be2")), None] {
            let what = Awaited::Move {
                group: group.clone(),
                from: Some(node("be1")),
                to,
            };
            let planned = moved("be2", MoveReason::Planned);
            assert!(outcome(&what, &planned).is_none(), "it is not over yet");
            let reply = outcome(&what, &moved("be1", MoveReason::NodeDown)).unwrap();
            let failure = reply.error.unwrap();
            assert_eq!(failure.code, ErrorCode::Failed);
            assert!(
                failure.message.contains("came to nothing"),
                "{}",
                failure.message
            );
        }
    }
}
