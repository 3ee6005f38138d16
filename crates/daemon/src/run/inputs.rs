//! What comes in from the plane, the cluster, the services and the kernel, as the node takes it.

use crate::capture::Applied;
use crate::clock;
use crate::dynamic::Composed;
use crate::error::Error;
use crate::groups::{Done, Groups, What};
use crate::heartbeat::Heartbeat;
use crate::kerberos;
use crate::ocsp;
use crate::persistent;
use crate::plane::{Closed, Report};
use crate::recovery::Recovery;
use crate::run::Daemon;
use crate::setup;
use crate::witnesses;
use cluster::{NodeName, Parcel};
use esp::WindowImage;
use link::{Inbox, News};
use linux::netlink::{Event, Monitor};
use node::{Command, Datagram, Stray};
use policy::{ChildId, Mode};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFdReadyMutGuard;
use wire::ip::Flow;

/// Messages of links that are taken before other inputs have their turn.
const LINK_BATCH: usize = 64;

impl Daemon {
    pub(crate) fn heartbeat(&mut self, heartbeat: &Heartbeat) {
        let Heartbeat { from, to, bytes } = heartbeat;
        let datagram = Datagram::Cluster {
            from: *from,
            to: *to,
            bytes,
        };
        self.node.handle_datagram(datagram, Instant::now());
    }

    /// Takes IKE messages that have come in: one, and more for as long as `patience`.
    pub(crate) fn read_mail(&mut self, patience: Duration) {
        let begun = Instant::now();
        let mut now = begun;
        self.mailbox.fetch();
        while let Some(message) = self.mailbox.next() {
            let datagram = Datagram::Ike {
                transport: message.transport,
                local: message.local,
                remote: message.remote,
                bytes: message.bytes,
            };
            self.node.handle_datagram(datagram, now);
            self.carry_out();
            now = Instant::now();
            if now.saturating_duration_since(begun) >= patience {
                break;
            }
        }
    }

    /// # Errors
    /// When the plane has ended.
    pub(crate) fn report(&mut self, report: Report) -> Result<(), Error> {
        let now = Instant::now();
        match report {
            Report::Acquire { rule, flow } => {
                self.counts.acquires += 1;
                let outer = self.outer_address(&rule, &flow);
                let command = Command::Acquire { rule, flow, outer };
                let _ = self.node.handle_command(command, now);
            }
            Report::UnknownSpi { spi, .. } if self.plane.knows(spi) => {}
            Report::Trouble(text) => self.log.failure("plane", &text),
            Report::UnknownSpi { local, remote, spi } => {
                let command = Command::UnknownSpi { local, remote, spi };
                let _ = self.node.handle_command(command, now);
            }
            Report::TooBig(said) => self.plane.too_big(said),
            Report::TooLong { remote } => self.ask_link(remote),
            Report::Path { remote, mtu } => {
                let text = format!(
                    "packets to {remote} may have {mtu} bytes: what is larger is cut, or its \
                     sender is told"
                );
                self.log.event("plane", &text);
            }
            Report::Paths { known, hosts } => {
                self.paths = known;
                self.follow_paths(hosts);
            }
            Report::StreamHeard { number, child } => self.stream_heard(number, child),
            Report::StreamEnded(number) => self.close_stream(number),
            Report::Refused(refusal) => self.log.failure("plane", &refusal.to_string()),
            Report::Failed(why) => return Err(Error::Plane(why)),
            Report::Kernel(events) => {
                for report in self.plane.take_in(events) {
                    self.report(report)?;
                    self.carry_out();
                }
            }
            other => self.replication_report(other, now),
        }
        Ok(())
    }

    /// A datagram did not fit: the kernel knows what its link takes.
    fn ask_link(&mut self, remote: IpAddr) {
        let route = self.netlink.route_get(remote, self.config.plane.mark);
        let link = route.ok().and_then(|route| route.link);
        let links = self.netlink.links().unwrap_or_default();
        if let Some(link) = links.iter().find(|one| Some(one.index) == link) {
            self.plane.set_path_mtu(remote, link.mtu);
        }
    }

    /// The routes of protected traffic say what passes.
    fn follow_paths(&mut self, hosts: BTreeMap<IpAddr, u16>) {
        if self.capture.narrow(hosts)
            && let Err(error) = self.capture.apply(self.node.spd())
        {
            self.log.failure("policy", &error.to_string());
        }
    }

    /// What the plane says that replication needs to know.
    fn replication_report(&mut self, report: Report, now: Instant) {
        let command = match report {
            Report::Refill(refill) => Command::Refill {
                child: refill.child,
                next: refill.next,
                waiting: refill.waiting,
            },
            Report::RefillInbound(refill) => Command::RefillInbound {
                child: refill.child,
                highest: refill.next,
            },
            Report::Windows(windows) => Command::Windows(images(&windows)),
            Report::FirstSealed(local) => Command::FirstSealed { local },
            Report::FirstOpened(bucket) => Command::FirstOpened { bucket },
            Report::Stopped { bucket, next } => {
                match self.plane.stopped(bucket, Some(next), None) {
                    Some(closed) => gate_closed(closed),
                    None => return,
                }
            }
            Report::Passing { bucket, windows } => {
                match self.plane.stopped(bucket, None, Some(windows)) {
                    Some(closed) => gate_closed(closed),
                    None => return,
                }
            }
            Report::Stray {
                source,
                destination,
                bytes,
            } => Command::Stray(Stray::Esp {
                source,
                destination,
                bytes,
            }),
            _ => return,
        };
        let _ = self.node.handle_command(command, now);
    }

    /// A link tells something; a few more are taken at once, so that many small messages do not
    /// each cost a turn of the loop.
    pub(crate) fn link_news(&mut self, news: News, inbox: &mut Option<Inbox>) {
        let mut next = Some(news);
        for _ in 0..LINK_BATCH {
            let Some(news) = next.take() else { return };
            self.one_link_news(news);
            self.carry_out();
            next = inbox.as_mut().and_then(Inbox::try_recv);
        }
        if let Some(news) = next {
            self.one_link_news(news);
        }
    }

    /// The witness tells something.
    pub(crate) fn witness_news(&mut self, news: witness::News) {
        let (command, text) = witnesses::command(news);
        if let Some(text) = text {
            self.log.failure("witness", &text);
        }
        if let Some(command) = command {
            let _ = self.node.handle_command(command, Instant::now());
        }
    }

    fn one_link_news(&mut self, news: News) {
        let named = |name: &str| NodeName::new(name).ok();
        let command = match news {
            News::Up { node } => {
                self.log
                    .event("link", &format!("the link to {node} stands"));
                named(&node).map(|node| Command::Linked { node, up: true })
            }
            News::Down { node, why } => {
                let text = format!("the link to {node} is down: {why}");
                self.log.event("link", &text);
                named(&node).map(|node| Command::Linked { node, up: false })
            }
            News::Message { node, message } => named(&node).map(|from| Command::LinkMessage {
                from,
                message: Parcel::new(message),
            }),
            News::Refused { from, why } => {
                let text = format!("a connection of {from} is no link: {why}");
                self.log.failure("link", &text);
                None
            }
        };
        if let Some(command) = command {
            let _ = self.node.handle_command(command, Instant::now());
        }
    }

    pub(crate) fn service_done(&mut self, done: Done) {
        let Done {
            group,
            what,
            outcome,
        } = done;
        if let Err(why) = &outcome {
            self.log
                .failure("service", &format!("group {group}: {why}"));
        }
        let command = match (what, outcome) {
            (What::Start, Ok(())) => Command::GroupStarted { group },
            (What::Start | What::Check, Err(reason)) => Command::GroupFailed { group, reason },
            (What::Check, Ok(())) => return,
            // A service that does not stop in good order is stopped all the same: the group goes.
            (What::Stop, _) => Command::ServicesStopped { group },
        };
        let _ = self.node.handle_command(command, Instant::now());
    }

    /// The packet filter has taken new rules, or refused them: then the old ones are in force.
    pub(crate) fn filter_applied(&mut self, applied: &Applied) {
        self.capture.applied(applied);
        if let Err(error) = applied {
            self.log.failure("policy", &error.to_string());
        }
        if self.capture.settled() {
            self.answer_reload(applied);
        }
    }

    /// The kernel says that something about links, addresses or routes has changed.
    pub(crate) fn addresses_changed(
        &mut self,
        ready: std::io::Result<AsyncFdReadyMutGuard<'_, Monitor>>,
    ) {
        let Ok(mut ready) = ready else { return };
        // A change is followed by a look at the whole, so it matters only of what kind it was.
        let mut links = false;
        while let Ok(Ok(Some(event))) = ready.try_io(|monitor| {
            monitor
                .get_mut()
                .next_event()
                .and_then(|event| match event {
                    Some(event) => Ok(Some(event)),
                    None => Err(std::io::ErrorKind::WouldBlock.into()),
                })
        }) {
            links |= matches!(event, Event::Link(_) | Event::LinkGone(_) | Event::Lost);
        }
        if links {
            self.read_links();
            self.carry_out();
        }
        self.read_addresses();
        self.roam();
    }

    /// Tells the node which addresses the host has.
    pub(crate) fn read_addresses(&mut self) {
        match Groups::host_addresses(&mut self.netlink) {
            Ok(addresses) => {
                let _ = self
                    .node
                    .handle_command(Command::Addresses(addresses), Instant::now());
            }
            Err(error) => self.log.failure("kernel", &error.to_string()),
        }
    }

    /// An OCSP responder answered, or did not.
    pub(crate) fn status_answered(&mut self, told: ocsp::Told) {
        self.responders.done();
        let ocsp::Told { question, answer } = told;
        let command = Command::CertificateStatus { question, answer };
        let _ = self.node.handle_command(command, Instant::now());
    }

    /// A step of a security context was taken, or failed.
    pub(crate) fn gss_answered(&mut self, mut told: kerberos::Told) {
        self.kerberos.done(&mut told);
        let kerberos::Told {
            context, answer, ..
        } = told;
        let command = Command::GssAnswer { context, answer };
        let _ = self.node.handle_command(command, Instant::now());
    }

    /// Our own OCSP responses, as their files are now.
    pub(crate) fn tell_own_statuses(&mut self, now: Instant) {
        for (certificate, response) in self.own_statuses.changes(now) {
            let command = Command::SetOwnStatus {
                certificate,
                response,
            };
            let _ = self.node.handle_command(command, now);
        }
    }

    /// The time of day, by which certificates are judged: somebody may have set the clock.
    pub(crate) fn tell_time(&mut self, now: Instant) {
        let _ = self
            .node
            .handle_command(Command::SetClock(clock::seconds()), now);
    }

    /// From time to time: IKE learns what the plane has carried.
    pub(crate) fn tick(&mut self) {
        let now = Instant::now();
        for (child, usage) in self.plane.moved() {
            let command = Command::Usage {
                child,
                usage: usage.for_ike(),
            };
            let _ = self.node.handle_command(command, now);
            self.carry_out();
        }
        self.sweep_streams(now);
        self.tell_time(now);
        self.tell_own_statuses(now);
        if let Some(keys) = self.recovery.renew() {
            let command = Command::SetTicketKeys(Some(keys));
            let _ = self.node.handle_command(command, now);
        }
        self.give_up_waiting(now);
        if self.capture.retry_due() {
            let spd = std::sync::Arc::clone(self.node.spd());
            self.enforce(&spd);
        }
    }

    /// Reads the file again. A file that is wrong changes nothing.
    ///
    /// # Errors
    /// The reason, as a text for people.
    pub(crate) fn reload(&mut self) -> Result<(), String> {
        let outcome = self.try_reload();
        match &outcome {
            Ok(()) => self.log.event("reload", "the configuration is in force"),
            Err(why) => self
                .log
                .failure("reload", &format!("nothing has changed: {why}")),
        }
        outcome
    }

    fn try_reload(&mut self) -> Result<(), String> {
        let (files, mut warnings) =
            persistent::read(&self.options, false).map_err(|error| error.to_string())?;
        let composed = self.dynamic.reload(files, &self.options.config)?;
        warnings.extend(composed.warnings.clone());
        self.apply(composed)?;
        self.configured = Instant::now();
        warnings
            .iter()
            .for_each(|warning| self.log.event("warning", warning));
        Ok(())
    }

    /// Puts a policy in force; one that cannot be changes nothing.
    pub(crate) fn apply(&mut self, composed: Composed) -> Result<(), String> {
        let Composed {
            config, dynamic, ..
        } = composed;
        if config.node != self.config.node || config.plane != self.config.plane {
            return Err(
                "[node] and [plane] cannot change while the daemon runs; restart it, or \
                        take the change back"
                    .to_owned(),
            );
        }
        if self.choice.kernel && config.rules.iter().any(setup::is_soft) {
            return Err(
                "a rule is `soft`, which needs ESP in user space, and it runs in the \
                        kernel; restart the daemon, or take the change back"
                    .to_owned(),
            );
        }
        if self.choice.kernel && config.wants_tcp() {
            return Err(
                "a peer is to be called by TCP, which needs ESP in user space, and it runs \
                        in the kernel; restart the daemon, or take the change back"
                    .to_owned(),
            );
        }
        let groups = self.groups.merge(setup::groups(&config))?;
        let mut shared = config.cluster.as_ref().and_then(Recovery::shared);
        let recovery = shared.as_mut().unwrap_or(&mut self.recovery).all();
        let node = setup::node(&config, self.keys.is_some(), recovery);
        let node = node.map_err(|error| error.to_string())?;
        self.node
            .handle_command(Command::Reload(Box::new(node)), Instant::now())
            .map_err(|error| error.to_string())?;
        self.groups.reload(groups);
        if self.capture.carry_tcp(setup::tcp(&config)) {
            let spd = std::sync::Arc::clone(self.node.spd());
            self.enforce(&spd);
        }
        self.config = config;
        self.dynamic = dynamic;
        self.own_statuses.follow(&self.config.own_statuses);
        self.tell_own_statuses(Instant::now());
        if let Some(shared) = shared {
            self.recovery = shared;
        }
        self.read_links();
        self.tell_guard();
        Ok(())
    }

    /// Our end of a tunnel: the address that the host would send from to the peer.
    fn outer_address(&mut self, rule: &policy::RuleName, flow: &Flow) -> Option<IpAddr> {
        let rule = self
            .node
            .spd()
            .rules()
            .iter()
            .find(|known| known.name == *rule)?;
        if rule.action.child()?.mode == Mode::Transport {
            return None;
        }
        let direction = policy::Direction::Outbound;
        let (_, remote) =
            policy::explain::select_peer(self.node.pad(), rule, flow, direction).ok()?;
        self.netlink
            .route_get(remote, self.config.plane.mark)
            .ok()?
            .source
    }
}

fn images(windows: &[(ChildId, WindowImage)]) -> Vec<(ChildId, Vec<u8>)> {
    let encode = |(child, image): &(ChildId, WindowImage)| {
        let mut octets = Vec::with_capacity(WindowImage::MAX_LENGTH);
        image.encode(&mut octets);
        (*child, octets)
    };
    windows.iter().map(encode).collect()
}

pub(crate) fn gate_closed(closed: Closed) -> Command {
    Command::GateClosed {
        bucket: closed.bucket,
        next: closed.next,
        windows: images(&closed.windows),
    }
}
