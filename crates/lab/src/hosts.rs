//! What runs on the lab's hosts: mail, proxy, echo and the daemons, each started and awaited.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use linux::netns::{self, Surroundings};
use linux::process::Signal;

use crate::addresses::*;
use crate::config::{self, Settings};
use crate::control;
use crate::dovecot;
use crate::error::{Error, file};
use crate::etcd;
use crate::kinds::{FrontEnd, Sabotage, Takeover};
use crate::options::Options;
use crate::service::VERB;
use crate::shape::Shape;
use crate::stop::Stop;
use crate::strongswan;
use crate::topology::short;

/// How long a program may take until it serves.
const START: Duration = Duration::from_secs(15);
/// How long a move to the node that begins may take.
const MOVE: Duration = Duration::from_secs(2);
/// How much longer for each SA that is wanted besides the usual ones: it has rules to set up.
const START_MORE: Duration = Duration::from_millis(20);

/// The hosts whose IPsec is ours: (namespace, name).
fn daemons(options: &Options) -> impl Iterator<Item = (&'static str, &'static str)> {
    let front_end = (options.front_end == FrontEnd::Holdfast).then_some(FE);
    let hosts = front_end.into_iter().chain(options.shape().hosts());
    hosts.map(|host| (host, short(host)))
}

/// The programs of the lab, running.
pub(crate) struct Hosts {
    children: Vec<Running>,
}

/// One program.
struct Running {
    name: String,
    namespace: String,
    child: Child,
    log: PathBuf,
}

/// Which programs serve mail.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    /// Dovecot's program, when it serves; else the built-in service and relay.
    dovecot: Option<PathBuf>,
}

impl Mail {
    /// Dovecot where it is installed and wanted.
    pub(crate) fn choose(options: &Options) -> Self {
        Self {
            dovecot: if options.builtin_mail {
                None
            } else {
                dovecot::program()
            },
        }
    }

    /// The service's name in the report.
    pub(crate) fn service(&self) -> &'static str {
        if self.dovecot.is_some() {
            "dovecot"
        } else {
            "built-in"
        }
    }

    /// The proxy's name in the report.
    pub(crate) fn proxy(&self) -> &'static str {
        if self.dovecot.is_some() {
            "dovecot"
        } else {
            "relay"
        }
    }
}

/// What the programs need to know.
pub(crate) struct Plan<'a> {
    /// The caller's wishes.
    pub(crate) options: &'a Options,
    /// This very program, or another with the same verbs.
    pub(crate) program: &'a Path,
    /// What serves mail.
    pub(crate) mail: &'a Mail,
    /// Where logs go.
    pub(crate) logs: &'a Path,
    /// There is mail at all; else only the echo that the probe needs.
    pub(crate) serves_mail: bool,
    /// The programs live on when the lab ends.
    pub(crate) keep: bool,
}

impl Hosts {
    /// Starts the witness, if there is one, and waits for it; then mail, proxy and echo on the
    /// hosts, and the daemons unless the lab is plain.
    ///
    /// # Errors
    /// When a program cannot be started; when interrupted.
    pub(crate) fn start(plan: &Plan<'_>, stop: &Stop) -> Result<Self, Error> {
        let mut hosts = Self {
            children: Vec::new(),
        };
        fs::create_dir_all(plan.logs).map_err(file(plan.logs))?;
        let shape = plan.options.shape();
        if !shape.witnesses().is_empty() {
            etcd::certify()?;
            for member in shape.witnesses() {
                hosts.witness(plan, member)?;
            }
            hosts.until(stop, START, "etcd", || etcd::leader().is_some())?;
        }
        for node in shape.hosts() {
            hosts.node(plan, node)?;
        }
        if plan.serves_mail {
            hosts.proxy(plan)?;
        }
        if !plan.options.plain {
            for (namespace, name) in daemons(plan.options) {
                hosts.daemon(plan, namespace, name)?;
            }
            if plan.options.front_end == FrontEnd::Strongswan {
                let charon = strongswan::charon(plan.logs)?;
                hosts.foreign(plan, (FE, "fe-charon"), charon, &["/run"])?;
            }
        }
        Ok(hosts)
    }

    /// Waits until every program serves, and fails as soon as one has ended.
    ///
    /// # Errors
    /// When a program ended or is not ready in time; when interrupted.
    pub(crate) fn wait(&mut self, plan: &Plan<'_>, stop: &Stop) -> Result<(), Error> {
        let (node, proxy): (&[u16], &[u16]) = match plan.serves_mail {
            true => (&PROTECTED, &[POP3, IMAP]),
            false => (&[ECHO], &[]),
        };
        let patience = START + START_MORE * plan.options.more_sas.into();
        let nodes = plan.options.shape().hosts().map(|host| (host, node));
        for (namespace, ports) in nodes.chain([(FE, proxy)]) {
            let what = format!("what serves in {namespace}");
            self.until(stop, patience, &what, || listening(namespace, ports))?;
        }
        if plan.options.plain {
            return Ok(());
        }
        for (_, name) in daemons(plan.options) {
            let socket = socket(name);
            self.until(stop, patience, &format!("the daemon of {name}"), || {
                let patience = Duration::from_millis(500);
                control::ask::<serde_json::Value>(&socket, &api::Request::Status, patience).is_ok()
            })?;
        }
        self.until(
            stop,
            patience,
            "the cluster, with the group on be1,",
            || {
                let shape = plan.options.shape();
                let owner = |node| control::owner(&socket(node), GROUP);
                if shape == Shape::Witnessed
                    && let Some(first) = shape.hosts().map(short).find_map(owner)
                    && first != "be1"
                {
                    // On a busy machine another node may be up long before it.
                    let _ = control::move_group(&socket(&first), GROUP, "be1", MOVE);
                }
                let mut nodes = shape.hosts().map(short);
                nodes.all(|node| owner(node).as_deref() == Some("be1"))
            },
        )?;
        match plan.options.front_end {
            FrontEnd::Holdfast => Ok(()),
            FrontEnd::Strongswan => self.connect(plan, stop),
        }
    }

    /// Has the foreign front end negotiate.
    fn connect(&mut self, plan: &Plan<'_>, stop: &Stop) -> Result<(), Error> {
        let state = run_dir("fe");
        let mut why = Ok(Ok(()));
        let done = self.until(stop, START, "the foreign front end", || {
            why = strongswan::connect(plan.logs, &state, plan.options.ike);
            !matches!(why, Ok(Err(_)))
        });
        match (why?, done) {
            (Err(detail), Err(_)) => Err(Error::Program {
                name: "the foreign front end".into(),
                detail,
            }),
            (_, done) => done,
        }
    }

    /// Waits for `ready` while all programs live.
    fn until(
        &mut self,
        stop: &Stop,
        patience: Duration,
        what: &str,
        mut ready: impl FnMut() -> bool,
    ) -> Result<(), Error> {
        let mut ended = None;
        let done = stop.until(patience, || {
            ended = self.ended();
            ended.is_some() || ready()
        })?;
        match ended {
            Some(error) => Err(error),
            None if done => Ok(()),
            None => Err(Error::Program {
                name: what.to_owned(),
                detail: format!("was not ready within {} s", patience.as_secs()),
            }),
        }
    }

    /// The first program that has ended, as an error with the end of its log.
    fn ended(&mut self) -> Option<Error> {
        let (Running { name, log, .. }, status) = self.children.iter_mut().find_map(|running| {
            let status = match running.child.try_wait() {
                Ok(None) => return None,
                Ok(Some(status)) => status.to_string(),
                Err(error) => error.to_string(),
            };
            Some((running, status))
        })?;
        let text = fs::read_to_string(&*log).unwrap_or_default();
        let last = last_words(&text);
        let detail = format!(
            "ended too early ({status}): {last}; its log is {}",
            log.display()
        );
        Some(Error::Program {
            name: name.clone(),
            detail,
        })
    }

    /// What a node serves.
    fn node(&mut self, plan: &Plan<'_>, node: &str) -> Result<(), Error> {
        self.echo(plan, node, short(node))?;
        if plan.serves_mail {
            self.mail(plan, node, short(node))?;
        }
        Ok(())
    }

    /// A member of the witness.
    fn witness(&mut self, plan: &Plan<'_>, member: &str) -> Result<(), Error> {
        let command = etcd::command(member)?;
        self.spawn(plan, member, &main_title(member), command)
    }

    fn echo(&mut self, plan: &Plan<'_>, node: &str, name: &str) -> Result<(), Error> {
        let mut command = service(plan, "echo");
        command.args([VIP.to_string(), VIP6.to_string()]);
        self.spawn(plan, node, &format!("{name}-echo"), command)
    }

    fn mail(&mut self, plan: &Plan<'_>, node: &str, name: &str) -> Result<(), Error> {
        let title = format!("{name}-mail");
        let command = match &plan.mail.dovecot {
            Some(program) => {
                let folder = Path::new(STATE).join(name).join("dovecot");
                let config = dovecot::back_end(&folder, &log_file(plan, &title))?;
                dovecot_command(program, &config)
            }
            None => {
                let mut command = service(plan, "mail");
                command.arg("::");
                command
            }
        };
        self.spawn(plan, node, &title, command)
    }

    fn proxy(&mut self, plan: &Plan<'_>) -> Result<(), Error> {
        let title = "fe-proxy";
        let command = match &plan.mail.dovecot {
            Some(program) => {
                let folder = Path::new(STATE).join("fe").join("dovecot");
                let config = dovecot::proxy(&folder, &log_file(plan, title), FE_FRONT, VIP)?;
                dovecot_command(program, &config)
            }
            None => {
                let mut command = service(plan, "relay");
                command.args([FE_FRONT.to_string(), VIP.to_string()]);
                command
            }
        };
        self.spawn(plan, FE, title, command)
    }

    fn daemon(&mut self, plan: &Plan<'_>, namespace: &str, name: &str) -> Result<(), Error> {
        let run_dir = run_dir(name);
        fs::create_dir_all(&run_dir).map_err(file(&run_dir))?;
        let settings = Settings {
            udp_encap: plan.options.udp_encap,
            shape: plan.options.shape(),
            esp: plan.options.esp.as_deref(),
            front_end: plan.options.front_end,
            ike: plan.options.ike,
            plane: plan.options.plane,
            takeover: plan.options.takeover,
            heartbeat: plan.options.heartbeat,
            missed: plan.options.missed,
            more_sas: plan.options.more_sas,
            run_dir: &run_dir,
        };
        let text = if name == "fe" {
            config::front_end(settings)
        } else {
            config::node(name, settings)
        };
        if name != "fe" && plan.options.takeover == Takeover::Replicate {
            certify(name, &run_dir)?;
        }
        let path = run_dir.join("holdfast.toml");
        fs::write(&path, text).map_err(file(&path))?;
        // It holds keys: the daemon and its owner read it, nobody else.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(file(&path))?;
        let mut command = Command::new(plan.program);
        command
            .arg("daemon")
            .arg("--config")
            .arg(&path)
            .arg("--socket")
            .arg(socket(name));
        if plan.options.keys {
            let keys = plan.logs.join("keys").join(name);
            fs::create_dir_all(&keys).map_err(file(&keys))?;
            command.arg("--wireshark-keys").arg(keys);
        }
        if name != "fe" {
            command.args(plan.options.sabotage.map(Sabotage::option));
        }
        self.spawn(plan, namespace, &main_title(namespace), command)
    }

    /// Starts a program in a namespace, its words in a log of its own.
    fn spawn(
        &mut self,
        plan: &Plan<'_>,
        namespace: &str,
        title: &str,
        command: Command,
    ) -> Result<(), Error> {
        self.spawn_in(plan, namespace, title, command, Surroundings::default())
    }

    fn spawn_in(
        &mut self,
        plan: &Plan<'_>,
        namespace: &str,
        title: &str,
        mut command: Command,
        surroundings: Surroundings,
    ) -> Result<(), Error> {
        let log = log_file(plan, title);
        let words = fs::OpenOptions::new().create(true).append(true).open(&log);
        let words = words.map_err(file(&log))?;
        let errors = words.try_clone().map_err(file(&log))?;
        // A process group of its own: Ctrl-C is for the lab, which then ends its programs.
        command
            .stdin(Stdio::null())
            .stdout(words)
            .stderr(errors)
            .process_group(0);
        let surroundings = Surroundings {
            namespace: Some(namespace.to_owned()),
            death_signal: (!plan.keep).then_some(Signal::Kill),
            ..surroundings
        };
        netns::surround(&mut command, &surroundings)?;
        let child = command.spawn().map_err(|error| Error::Program {
            name: title.to_owned(),
            detail: format!("could not be started: {error}"),
        })?;
        self.children.push(Running {
            name: title.to_owned(),
            namespace: namespace.to_owned(),
            child,
            log,
        });
        Ok(())
    }

    /// The process of a host's daemon, or of its etcd, while it is one of the lab's programs.
    pub(crate) fn main_of(&self, host: &str) -> Option<u32> {
        let name = main_title(host);
        let main = self.children.iter().find(|running| running.name == name);
        main.map(|running| running.child.id())
    }

    /// Starts a host's daemon or etcd again, and with `all` a node's other programs too; what is
    /// left of the old ones is ended first.
    ///
    /// # Errors
    /// When a program cannot be started.
    pub(crate) fn restart(
        &mut self,
        plan: &Plan<'_>,
        host: &'static str,
        all: bool,
    ) -> Result<(), Error> {
        let old = |running: &mut Running| {
            running.namespace == host && (all || running.name == main_title(host))
        };
        for mut running in self.children.extract_if(.., old) {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
        if WITNESSES.contains(&host) {
            return self.witness(plan, host);
        }
        if all {
            self.node(plan, host)?;
        }
        self.daemon(plan, host, short(host))
    }

    /// Starts a program of a node in its namespace; it sees nothing in `empty`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn foreign(
        &mut self,
        plan: &Plan<'_>,
        (node, title): (&str, &str),
        command: Command,
        empty: &[&str],
    ) -> Result<(), Error> {
        let surroundings = Surroundings {
            empty: empty.iter().map(PathBuf::from).collect(),
            ..Surroundings::default()
        };
        self.spawn_in(plan, node, title, command, surroundings)
    }

    /// Forgets the programs without ending them.
    pub(crate) fn leave(mut self) {
        self.children.clear();
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for running in &mut self.children {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }
}

/// The folder of a host's daemon.
fn run_dir(name: &str) -> PathBuf {
    Path::new(STATE).join(name)
}

/// Gives a node its certificate, as an operator would: `cluster init` once, `cluster join` there.
fn certify(name: &str, run_dir: &Path) -> Result<(), Error> {
    let folder = run_dir.join(config::CERTIFICATES);
    if folder.exists() {
        return Ok(());
    }
    let failed = |error: link::pki::Error| Error::Program {
        name: "the certificates".into(),
        detail: error.to_string(),
    };
    let authority = Path::new(STATE).join("authority");
    let joins = authority.join(format!("{name}.join"));
    if !joins.exists() {
        let now = SystemTime::now();
        link::pki::init(&authority, &[name.to_owned()], false, now).map_err(failed)?;
    }
    let joined = link::pki::join(&joins, &folder, SystemTime::now());
    joined.map(drop).map_err(failed)
}

/// The control socket of a host's daemon.
pub(crate) fn socket(name: &str) -> PathBuf {
    run_dir(name).join(control::SOCKET)
}

/// What a host's daemon or etcd is called among the programs, and its log.
fn main_title(host: &str) -> String {
    let what = if WITNESSES.contains(&host) {
        "etcd"
    } else {
        "daemon"
    };
    format!("{}-{what}", short(host))
}

fn log_file(plan: &Plan<'_>, title: &str) -> PathBuf {
    plan.logs.join(format!("{title}.log"))
}

fn service(plan: &Plan<'_>, what: &str) -> Command {
    let mut command = Command::new(plan.program);
    command.args([VERB, what]);
    command
}

fn dovecot_command(program: &Path, config: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("-F").arg("-c").arg(config);
    command
}

/// What a program said at its end: the first line under our own name, else the last line.
fn last_words(log: &str) -> &str {
    let mut lines = log.lines().map(str::trim).filter(|line| !line.is_empty());
    let ours = lines
        .clone()
        .find_map(|line| line.strip_prefix("holdfast: "));
    ours.or_else(|| lines.next_back())
        .unwrap_or("it said nothing")
}

/// Whether somebody listens on all these TCP ports, as the kernel's own table has it: to ask by
/// connecting would make the proxy connect on.
fn listening(namespace: &str, ports: &[u16]) -> bool {
    let read = || {
        ["tcp", "tcp6"].map(|table| {
            fs::read_to_string(format!("/proc/thread-self/net/{table}")).unwrap_or_default()
        })
    };
    let Ok(tables) = netns::run(namespace, read) else {
        return false;
    };
    let open: Vec<u16> = tables
        .iter()
        .flat_map(|t| t.lines())
        .filter_map(listener)
        .collect();
    ports.iter().all(|port| open.contains(port))
}

/// The port of a line of `/proc/net/tcp` (proc(5)) whose socket listens.
fn listener(line: &str) -> Option<u16> {
    const LISTEN: &str = "0A";
    let mut fields = line.split_whitespace().skip(1);
    let (_, port) = fields.next()?.rsplit_once(':')?;
    (fields.nth(1)? == LISTEN).then(|| u16::from_str_radix(port, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_of_a_program() {
        let log = "ready\nholdfast: no such cipher\n  | \n  = help: take another\n\n";
        assert_eq!(last_words(log), "no such cipher");
        assert_eq!(
            last_words("ready\nport 110 is in use\n"),
            "port 110 is in use"
        );
        assert_eq!(last_words(""), "it said nothing");
    }

    #[test]
    fn the_port_of_a_listener() {
        let line = "   0: 00000000:006E 00000000:0000 0A 00000000:00000000 00:00000000 00000000";
        assert_eq!(listener(line), Some(110));
        assert_eq!(listener(&line.replace(" 0A ", " 01 ")), None);
        assert_eq!(
            listener("  sl  local_address rem_address   st tx_queue rx_queue"),
            None
        );
    }
}
