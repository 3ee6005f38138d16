//! The loop: one input at a time into the node, then every effect in its order.

mod answers;
mod dynamic;
mod effects;
mod inputs;
mod redirecting;
mod roaming;
mod streams;
mod survival;

use crate::capture::{Applied, Capture};
use crate::config::{Config, Takeover};
use crate::control::{Control, Question};
use crate::dynamic::Dynamic;
use crate::error::Error;
use crate::groups::{Done, Groups};
use crate::guard::{Guard, Turn};
use crate::heartbeat::{Heartbeat, Heartbeats};
use crate::history::History;
use crate::kerberos::Kerberos;
use crate::key_log::KeyLog;
use crate::links;
use crate::log::Log;
use crate::monitor::Counts;
use crate::ocsp::{OwnStatuses, Responders, Told};
use crate::options::Options;
use crate::persistent;
use crate::plane::{self, Choice, DataPlane, Mailbox, Opened, Report};
use crate::random::OsRandom;
use crate::recovery::Recovery;
use crate::setup;
use crate::streams::{self as tcp, Streams};
use crate::watch::watch;
use crate::witnesses;
use answers::Waiting;
use link::{Inbox, Links, News};
use linux::netlink::{Monitor, Netlink};
use node::{Node, Output};
use policy::Spd;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use witness::Witness;

/// What is true from then on.
const READY: &str = "policies are in force and the control socket answers";
/// How long IKE messages are taken before heartbeats and timers have their turn.
const MAIL: Duration = Duration::from_millis(1);
/// How often IKE learns what the plane has carried: liveness and idle time need no more.
const USAGE: Duration = Duration::from_millis(200);
/// How long a node that shuts down waits for its groups to be taken.
const FAREWELL: Duration = Duration::from_secs(10);

/// Runs the daemon until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start, or the data plane ends.
pub fn run(options: &Options) -> Result<(), Error> {
    crypto::self_test().map_err(|why| Error::SelfTest(why.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    runtime.block_on(async {
        let mut log = Log::new(options.log_json);
        let (config, warnings) = persistent::read(options, true)?;
        warnings
            .iter()
            .for_each(|warning| log.event("warning", warning));
        let clustered = config.cluster.is_some();
        let (mut daemon, inputs) = Daemon::start(options, config, log)?;
        daemon.tell_ready();
        daemon.tell_time(Instant::now());
        daemon.tell_own_statuses(Instant::now());
        if clustered && let Err(error) = linux::process::run_first() {
            let text = format!(
                "this thread runs at ordinary priority ({error}): on a busy host heartbeats may \
                 come late, and a late heartbeat looks like a death"
            );
            daemon.log.event("warning", &text);
        }
        let ended = daemon.serve(inputs).await;
        daemon.end();
        ended
    })
}

/// Everything that the loop works on.
pub(crate) struct Daemon {
    options: Options,
    /// What is in force: the files, and what is dynamic.
    config: Config,
    dynamic: Dynamic,
    configured: Instant,
    node: Node,
    plane: Box<dyn DataPlane>,
    /// IKE messages that came in.
    mailbox: Mailbox,
    /// Why it is this plane.
    choice: Choice,
    capture: Capture,
    /// The paths that take less than their link, with the largest packet that passes.
    paths: BTreeMap<IpAddr, u16>,
    groups: Groups,
    heartbeats: Option<Heartbeats>,
    links: Option<Links>,
    witness: Option<Witness>,
    /// The TCP connections of IKE.
    streams: Streams,
    /// The end of the certificate that this process proves itself with.
    certified_until: Option<SystemTime>,
    netlink: Netlink,
    keys: Option<KeyLog>,
    recovery: Recovery,
    responders: Responders,
    own_statuses: OwnStatuses,
    kerberos: Kerberos,
    guard: Option<Guard>,
    guard_ends: Option<mpsc::Sender<String>>,
    log: Log,
    /// What the monitor of SAs shows.
    counts: Counts,
    /// Who moved what; `None` on a single host.
    history: Option<History>,
    waiting: Vec<Waiting>,
    began: Instant,
    left: bool,
    control: Option<Control>,
}

/// Where inputs come from.
struct Inputs {
    reports: mpsc::Receiver<Report>,
    filter: mpsc::UnboundedReceiver<Applied>,
    heartbeats: Option<mpsc::Receiver<Heartbeat>>,
    links: Option<Inbox>,
    witness: Option<mpsc::Receiver<witness::News>>,
    streams: mpsc::Receiver<tcp::News>,
    services: mpsc::Receiver<Done>,
    /// What OCSP responders answered.
    statuses: mpsc::UnboundedReceiver<Told>,
    /// Guards that have ended.
    guards: mpsc::Receiver<String>,
    questions: mpsc::Receiver<Question>,
    addresses: AsyncFd<Monitor>,
    signals: Signals,
}

/// What an operator or a supervisor says by signal.
struct Signals {
    reload: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Error> {
        let listen = |kind| signal(kind).map_err(Error::Runtime);
        Ok(Self {
            reload: listen(SignalKind::hangup())?,
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }
}

/// What the host remembers from before.
fn open_files(config: &Config, log: &mut Log) -> (Option<History>, Recovery) {
    (open_history(config, log), open_recovery(config, log))
}

impl Daemon {
    /// Brings everything up; the control socket last, so that who reaches it finds all in place.
    fn start(options: &Options, config: Config, mut log: Log) -> Result<(Self, Inputs), Error> {
        let turn = open_turn(&config)?;
        let (choice, data) = open_plane(options, &config)?;
        let (groups, services) = Groups::new(setup::groups(&config))?;
        let monitor = Monitor::open()?;
        let mut netlink = Netlink::open()?;
        let addresses = Groups::host_addresses(&mut netlink)?;
        let (capture, filter) = open_capture(&config, &choice, &data, &addresses)?;
        let (heartbeats, heartbeat_inputs) = open_heartbeats(&config)?;
        let (certified_until, (links, inbox)) = open_links(&config, &mut log)?;
        let (witness, witness_news) = open_witness(&config)?;
        let (streams, connected) = Streams::open(config.node.tcp_listen, config.plane.mark)?;
        let keys = key_log(options, &config)?;
        let (history, mut recovery) = open_files(&config, &mut log);
        let began = Instant::now();
        let settings = setup::node(&config, keys.is_some(), recovery.all())?;
        let node = open_node(settings, &addresses, began)?;
        let (question, questions) = mpsc::channel(64);
        let (responders, statuses) = Responders::new(config.plane.mark);
        let mut daemon = Self {
            options: options.clone(),
            configured: began,
            node,
            plane: data.plane,
            mailbox: data.mailbox,
            choice,
            capture,
            paths: BTreeMap::new(),
            groups,
            heartbeats,
            links,
            witness,
            streams,
            certified_until,
            netlink,
            keys,
            recovery,
            responders,
            own_statuses: OwnStatuses::new(&options.config, &config.own_statuses),
            kerberos: Kerberos::new(&options.config),
            guard: None,
            guard_ends: None,
            log,
            counts: Counts::default(),
            history,
            waiting: Vec::new(),
            began,
            left: false,
            control: None,
            dynamic: Dynamic::new(config.clone()),
            config,
        };
        let guards = daemon.begin_to_watch(turn)?;
        daemon.control = Some(Control::listen(daemon.socket(), question)?);
        let inputs = Inputs {
            reports: data.reports,
            filter,
            heartbeats: heartbeat_inputs,
            links: inbox,
            witness: witness_news,
            streams: connected,
            services,
            statuses,
            guards,
            questions,
            addresses: watch(monitor).map_err(Error::Runtime)?,
            signals: Signals::listen()?,
        };
        Ok((daemon, inputs))
    }

    fn tell_ready(&mut self) {
        self.log.event("plane", &self.choice.to_string());
        self.log.event("ready", READY);
    }

    /// Where the control socket is.
    fn socket(&self) -> &Path {
        let configured = &self.config.node.control_socket;
        self.options.socket.as_ref().unwrap_or(configured)
    }

    /// Takes inputs until the end. Heartbeats go first: a late one looks like a death.
    async fn serve(&mut self, mut inputs: Inputs) -> Result<(), Error> {
        let mut usage = tokio::time::interval(USAGE);
        usage.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut farewell: Option<Instant> = None;
        loop {
            self.plane.rouse();
            let timer = self.next_timer();
            let due = timer
                .or(farewell)
                .unwrap_or_else(|| Instant::now() + FAREWELL);
            tokio::select! {
                biased;
                Some(heartbeat) = receive(&mut inputs.heartbeats) => {
                    self.heartbeat(&heartbeat);
                    // A flood of them must not starve the rest: it gets a turn after each.
                    if due <= Instant::now() {
                        self.node.handle_timeout(Instant::now());
                    }
                    self.carry_out();
                    if let Ok(report) = inputs.reports.try_recv() {
                        self.report(report)?;
                        self.carry_out();
                    }
                    self.read_mail(Duration::ZERO);
                }
                () = tokio::time::sleep_until(due.into()) => {
                    self.node.handle_timeout(Instant::now());
                }
                Some(news) = receive(&mut inputs.witness) => self.witness_news(news),
                Some(news) = news(&mut inputs.links) => self.link_news(news, &mut inputs.links),
                report = inputs.reports.recv() => match report {
                    Some(report) => self.report(report)?,
                    None => return Err(Error::Plane("the data plane ended".to_owned())),
                },
                () = self.mailbox.filled() => self.read_mail(MAIL),
                Some(news) = inputs.streams.recv() => self.stream_news(news),
                Some(done) = inputs.services.recv() => self.service_done(done),
                Some(told) = inputs.statuses.recv() => self.status_answered(told),
                Some(told) = self.kerberos.answered() => self.gss_answered(told),
                Some(text) = inputs.guards.recv() => self.guard_ended(&text),
                Some(applied) = inputs.filter.recv() => self.filter_applied(&applied),
                changed = inputs.addresses.readable_mut() => self.addresses_changed(changed),
                Some(question) = inputs.questions.recv() => self.question(question),
                _ = usage.tick() => self.tick(),
                _ = inputs.signals.reload.recv() => {
                    let _ = self.reload();
                }
                _ = inputs.signals.terminate.recv() => self.begin_to_leave(&mut farewell),
                _ = inputs.signals.interrupt.recv() => self.begin_to_leave(&mut farewell),
            }
            self.carry_out();
            if farewell.is_some_and(|at| self.left || Instant::now() >= at) {
                return Ok(());
            }
        }
    }

    /// A member of a cluster hands its groups over first; a single host ends at once. SAs are not
    /// deleted then: a peer that still has them meets the fail-closed rules, not clear text.
    fn begin_to_leave(&mut self, farewell: &mut Option<Instant>) {
        let now = Instant::now();
        self.left = self
            .node
            .handle_command(node::Command::Shutdown, now)
            .is_err();
        farewell.get_or_insert(now + FAREWELL);
    }

    /// What is left on the host is what keeps protected traffic from passing in clear.
    fn end(mut self) {
        self.log.event(
            "end",
            "the fail-closed rules stay: `nft delete table inet holdfast`",
        );
        drop(self.control.take());
        // A member that has not left in good order is cleaned up behind, as one that has died.
        if let Some(guard) = self.guard.take().filter(|_| self.left) {
            guard.dismiss();
        }
        self.capture.withdraw();
        self.plane.stop();
    }

    fn next_timer(&mut self) -> Option<Instant> {
        match self.node.poll_output() {
            Output::Wait(wait) => wait.map(|(at, _)| at),
            // Every effect has been carried out before.
            _ => Some(Instant::now()),
        }
    }
}

async fn receive<T>(inputs: &mut Option<mpsc::Receiver<T>>) -> Option<T> {
    match inputs {
        Some(inputs) => inputs.recv().await,
        None => std::future::pending().await,
    }
}

async fn news(inbox: &mut Option<Inbox>) -> Option<News> {
    match inbox {
        Some(inbox) => inbox.recv().await,
        None => std::future::pending().await,
    }
}

/// Where session keys are written for an analyser, if anybody asked for that.
fn key_log(options: &Options, config: &Config) -> Result<Option<KeyLog>, Error> {
    let folder = options.wireshark_keys.as_ref();
    let folder = folder.or(config.node.key_log_dir.as_ref());
    folder.map(|folder| KeyLog::open(folder)).transpose()
}

fn open_node(settings: node::Config, addresses: &[IpAddr], now: Instant) -> Result<Node, Error> {
    let random = Box::new(OsRandom);
    Node::new(settings, addresses, incarnation(), random, now).map_err(Error::Cluster)
}

/// The data plane, and why it is this one.
fn open_plane(options: &Options, config: &Config) -> Result<(Choice, Opened), Error> {
    let choice = setup::choose_plane(config, options.sabotage_reservation)?;
    let settings = setup::plane(config, options.sabotage_reservation);
    let opened = plane::start(&choice, &settings)?;
    Ok((choice, opened))
}

/// What the first policy protects, before anything else changes on this host.
fn open_capture(
    config: &Config,
    choice: &Choice,
    opened: &Opened,
    addresses: &[IpAddr],
) -> Result<(Capture, mpsc::UnboundedReceiver<Applied>), Error> {
    let policy = Spd::build(config.rules.clone(), addresses);
    let opened = Capture::new(setup::capture(config, opened.plane.device()), &policy)?;
    choice.tidy_up()?;
    Ok(opened)
}

/// The turn of this daemon on its host, on a member of a cluster.
fn open_turn(config: &Config) -> Result<Option<Turn>, Error> {
    let cluster = config.cluster.as_ref();
    cluster
        .map(|_| Turn::wait(&config.node.run_dir))
        .transpose()
}

fn open_recovery(config: &Config, log: &mut Log) -> Recovery {
    let (recovery, warning) = Recovery::start(config);
    if let Some(warning) = warning {
        log.event("warning", &warning);
    }
    recovery
}

/// The witness, where one decides.
fn open_witness(
    config: &Config,
) -> Result<(Option<Witness>, Option<mpsc::Receiver<witness::News>>), Error> {
    let cluster = config.cluster.as_ref();
    let Some(settings) = cluster.and_then(|cluster| cluster.witness.as_ref()) else {
        return Ok((None, None));
    };
    let (witness, news) = witnesses::open(settings, config.plane.mark)?;
    Ok((Some(witness), Some(news)))
}

/// The sockets of the heartbeats, on a member of a cluster.
fn open_heartbeats(
    config: &Config,
) -> Result<(Option<Heartbeats>, Option<mpsc::Receiver<Heartbeat>>), Error> {
    let Some((port, families)) = setup::heartbeat_paths(config) else {
        return Ok((None, None));
    };
    let (sockets, inputs) = Heartbeats::open(port, &families, config.plane.mark)?;
    Ok((Some(sockets), Some(inputs)))
}

/// The history of a member of a cluster. A node that cannot keep it on file takes part all the
/// same.
fn open_history(config: &Config, log: &mut Log) -> Option<History> {
    config.cluster.as_ref()?;
    let (history, fault) = History::open(setup::node_name(config), &config.node.run_dir);
    if let Some(fault) = fault {
        let text = format!("the cluster's history is kept in memory only: {fault}");
        log.event("warning", &text);
    }
    Some(history)
}

/// The end of this node's certificate, its links to the other members, and what comes by them.
type Linked = (Option<SystemTime>, (Option<Links>, Option<Inbox>));

/// The links to the other members, where SAs are replicated.
fn open_links(config: &Config, log: &mut Log) -> Result<Linked, Error> {
    let cluster = config.cluster.as_ref();
    let Some(cluster) = cluster.filter(|one| one.takeover == Takeover::Replicate) else {
        return Ok((None, (None, None)));
    };
    let name = setup::node_name(config);
    let opened = links::open(cluster, &name, config.plane.mark)?;
    if let Some(warning) = &opened.warning {
        log.event("warning", warning);
    }
    Ok((Some(opened.until), (Some(opened.links), Some(opened.inbox))))
}

/// Grows with every start of this node, as long as the clock does not go back between two.
fn incarnation() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
