//! What the node wants done, carried out in its order.

use crate::plane::Ends;
use crate::run::Daemon;
use crate::run::inputs::gate_closed;
use cluster::{GroupName, WitnessAnswer};
use ike::Event as IkeEvent;
use node::{Command, Event, Output};
use policy::{Action, AddressRange, Bucket, RuleName, Spd, Transport};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// How long a peer that does not do IPsec is spoken to in clear under a rule that only requests
/// protection, before it is asked again.
const CLEAR: Duration = Duration::from_secs(30);

/// An event as the log tells it: with the number that it has in the Security log of Windows.
struct Audited<'a>(&'a Event);

impl fmt::Display for Audited<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)?;
        match self.0 {
            Event::Ike(event) => match event.audit() {
                Some(audit) => write!(f, " [{audit}]"),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

impl Daemon {
    /// Carries out every effect that waits, and those that come of it.
    pub(crate) fn carry_out(&mut self) {
        loop {
            match self.node.poll_output() {
                Output::Wait(_) => return self.settle(),
                output => self.effect(output),
            }
        }
    }

    fn effect(&mut self, output: Output) {
        match output {
            Output::TransmitIke {
                transport,
                local,
                remote,
                bytes,
            } => self.transmit(transport, Ends { local, remote }, bytes),
            Output::OpenStream { ike, local, remote } => self.streams.begin(ike, local, remote),
            Output::Keepalive { local, remote } => {
                let _ = self.plane.sockets().send_keepalive(local, remote);
            }
            Output::TransmitCluster { to, bytes } => {
                if let Some(sockets) = &self.heartbeats {
                    sockets.send(to, &bytes);
                }
            }
            Output::Install(install) => self.install(&install),
            Output::Activate { child } => self.plane.activate(child),
            Output::Redirect {
                child,
                local,
                remote,
                encapsulation,
            } => self.plane.redirect(child, (local, remote), encapsulation),
            Output::SkipSequence { child, delta } => self.plane.skip(child, delta),
            Output::Remove { child, .. } => {
                self.counts.deletions += 1;
                self.plane.remove(child);
            }
            Output::Policy(spd) => self.enforce(&spd),
            Output::StartGroup { group } => {
                let command = match self.groups.start(&group) {
                    Ok(()) => Command::AddressesUp { group },
                    Err(error) => Command::GroupFailed {
                        group,
                        reason: error.to_string(),
                    },
                };
                let _ = self.node.handle_command(command, Instant::now());
                self.read_addresses();
            }
            Output::StopServices { group } => self.groups.stop_services(&group),
            Output::ReleaseAddresses { group } => {
                self.leave_streams(&group);
                if let Err(error) = self.groups.release(&group) {
                    self.log.failure("group", &error.to_string());
                }
                let command = Command::AddressesReleased { group };
                let _ = self.node.handle_command(command, Instant::now());
                self.read_addresses();
            }
            Output::AskStatus(ask) => self.responders.ask(*ask),
            Output::AskGss(ask) => self.kerberos.ask(*ask),
            Output::EndGss(context) => self.kerberos.end(context),
            Output::Keys(keys) => {
                if let Some(log) = &mut self.keys {
                    log.ike(&keys);
                }
            }
            Output::IsakmpKey(key) => {
                if let Some(log) = &mut self.keys {
                    log.isakmp(&key);
                }
            }
            Output::Event(event) => self.event(&event),
            Output::Wait(_) => {}
            other => self.replicate(other),
        }
    }

    fn transmit(&mut self, transport: Transport, ends: Ends, bytes: Vec<u8>) {
        self.settle();
        match transport {
            Transport::Tcp => self.plane.send_in_stream(ends, bytes),
            Transport::Udp => {
                let Ends { local, remote } = ends;
                // What is lost here is sent again by the ladder.
                let sent = self.plane.sockets().send_ike(local, remote, &bytes);
                self.counts.send_failures += u64::from(sent.is_err());
            }
        }
    }

    fn install(&mut self, install: &ike::Install) {
        if let Some(log) = &mut self.keys {
            log.esp(&install.spec);
        }
        match self.plane.install(install) {
            Ok(()) => self.counts.additions += 1,
            Err(error) => {
                self.counts.addition_failures += 1;
                let text = format!("SA {} cannot be installed: {error}", install.spec.id);
                self.log.failure("plane", &text);
            }
        }
    }

    /// What replication wants done.
    fn replicate(&mut self, output: Output) {
        match output {
            Output::Grant {
                child,
                ceiling,
                refill_at,
            } => self.plane.grant(child, ceiling, refill_at),
            Output::GrantInbound {
                child,
                ceiling,
                refill_at,
            } => self.plane.grant_inbound(child, ceiling, refill_at),
            Output::Exact { child, next } => self.plane.set_exact(child, next),
            Output::RestoreWindow { child, image } => self.plane.restore_window(child, &image),
            Output::OpenGate { bucket, epoch } => self.plane.open_gate(bucket, epoch),
            Output::CloseGate { bucket, hand_over } => self.close_gate(bucket, hand_over),
            Output::Inject {
                source,
                destination,
                bytes,
            } => self.plane.inject(source, destination, bytes),
            Output::Propose {
                group,
                expected,
                value,
                tag,
            } => self.propose(group, expected, value, tag),
            Output::TransmitLink { to, message } => {
                if let Some(links) = &self.links {
                    // A link that is down, or goes down because it cannot follow, tells of it.
                    let _ = links.send(to.as_str(), message.octets().to_vec());
                }
            }
            _ => {}
        }
    }

    /// What was ordered is in force before anybody may rely on it.
    pub(crate) fn settle(&mut self) {
        if let Err(error) = self.plane.settle() {
            self.log.failure("plane", &error.to_string());
        }
    }

    fn close_gate(&mut self, bucket: Bucket, hand_over: bool) {
        if let Some(closed) = self.plane.close_gate(bucket, hand_over) {
            let command = gate_closed(closed);
            let _ = self.node.handle_command(command, Instant::now());
        }
    }

    /// What is not even taken is answered here, so that it is proposed again.
    fn propose(&mut self, group: GroupName, expected: u64, value: Vec<u8>, tag: u64) {
        let taken = match &self.witness {
            Some(witness) => witness.propose(group.as_str(), expected, value, tag),
            None => return,
        };
        if let Err(why) = taken {
            self.log.failure("witness", &why.to_string());
            let answer = WitnessAnswer::Unavailable;
            let command = Command::Witnessed { group, tag, answer };
            let _ = self.node.handle_command(command, Instant::now());
        }
    }

    pub(crate) fn enforce(&mut self, spd: &Arc<Spd>) {
        let outcomes = [
            self.plane.set_policy(Arc::clone(spd)),
            self.capture.apply(spd),
        ];
        for error in outcomes.into_iter().filter_map(Result::err) {
            self.log.failure("policy", &error.to_string());
        }
    }

    fn event(&mut self, event: &Event) {
        if let Some(history) = &mut self.history {
            history.take(event, Instant::now(), SystemTime::now());
        }
        if let Event::Ike(event) = event {
            self.counts.take(event);
        }
        match event {
            Event::Ike(IkeEvent::AcquireFailed {
                rule, selectors, ..
            }) => {
                let remote = selectors.remote.iter().map(|one| one.addresses);
                self.not_protected(rule, remote.collect());
                self.log.failure("ike", &Audited(event).to_string());
            }
            Event::SoftBegan { rule, remote, .. } | Event::SoftEnded { rule, remote, .. } => {
                self.not_protected(rule, vec![AddressRange::host(*remote)]);
                self.soften();
                self.counts.soft += u64::from(matches!(event, Event::SoftBegan { .. }));
                self.log.failure("policy", &event.to_string());
            }
            Event::NoPeer { rule, remote } => {
                self.not_protected(rule, vec![AddressRange::host(*remote)]);
                self.log.failure("ike", &event.to_string());
            }
            Event::Ike(
                IkeEvent::HandshakeFailed { .. }
                | IkeEvent::ChildFailed { .. }
                | IkeEvent::RedirectRefused { .. }
                | IkeEvent::StatusUnknown { .. },
            ) => {
                self.log.failure("ike", &Audited(event).to_string());
            }
            Event::Ike(IkeEvent::LegacyAlgorithms { .. }) => self.log.tell("warning", event),
            Event::Ike(IkeEvent::MoveRefused { .. }) => {
                self.log.failure("ike", &event.to_string());
            }
            Event::Ike(IkeEvent::PathSilent { ike, .. }) => {
                self.log.tell("ike", event);
                self.try_another_path(*ike);
            }
            Event::Ike(_) => self.log.tell("ike", &Audited(event)),
            Event::Cluster(cluster::Event::Left) => {
                self.left = true;
                self.log.tell("cluster", event);
            }
            Event::Cluster(cluster::Event::NodeUp { node }) => {
                self.log.tell("cluster", event);
                if let Some(links) = &self.links {
                    links.renew(node.as_str());
                }
            }
            // Somebody else has it, or may: its traffic is not drawn here any more. If it comes
            // here, its addresses are announced when they are up.
            Event::Cluster(cluster::Event::GroupMoved { group, .. }) | Event::Halted { group } => {
                self.groups.hush(group);
                self.log.tell("cluster", event);
            }
            Event::BadRecord { .. } | Event::Unreadable { .. } => {
                self.log.failure("cluster", &event.to_string());
            }
            _ => self.log.tell("cluster", event),
        }
        self.answer_waiting(event);
    }

    /// What goes to these addresses waits for no SA any more.
    fn not_protected(&mut self, rule: &RuleName, remote: Vec<AddressRange>) {
        let clear = match self.only_requested(rule) {
            true => {
                self.counts.soft += 1;
                CLEAR
            }
            false => self.softly(rule, &remote),
        };
        self.plane.negotiation_failed(rule.clone(), remote, clear);
    }

    /// How long a host is spoken to in clear text yet, although its rule requires protection.
    fn softly(&self, rule: &RuleName, remote: &[AddressRange]) -> Duration {
        let [range] = remote else {
            return Duration::ZERO;
        };
        let mut soft = self.node.soft_sas(Instant::now());
        let found = soft.find(|(of, host, _)| *of == rule && range.as_host() == Some(*host));
        found.map_or(Duration::ZERO, |(_, _, left)| left)
    }

    /// Lets the packet filter know who is spoken to in clear text.
    fn soften(&mut self) {
        let soft = self.node.soft_sas(Instant::now());
        let soft = soft.map(|(rule, host, _)| (rule.clone(), host)).collect();
        if self.capture.soften(soft) {
            let spd = Arc::clone(self.node.spd());
            self.enforce(&spd);
        }
    }

    fn only_requested(&self, name: &RuleName) -> bool {
        let rule = self
            .node
            .spd()
            .rules()
            .iter()
            .find(|rule| rule.name == *name);
        rule.is_some_and(
            |rule| matches!(&rule.action, Action::Negotiate(negotiate) if !negotiate.required),
        )
    }
}
