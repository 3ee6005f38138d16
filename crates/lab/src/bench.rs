//! The lab as it stands: hosts, cables, programs and captures, built for one measurement.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use api::{Request, Status};
use linux::netns;

use crate::addresses::*;
use crate::capture::Captures;
use crate::control;
use crate::error::{Error, file, kernel};
use crate::fault::{Fault, Faults};
use crate::hosts::{Hosts, Mail, Plan, socket};
use crate::leftovers;
use crate::options::Options;
use crate::oracle::esp::IvLength;
use crate::oracle::keys::Generations;
use crate::probe::Probe;
use crate::shape::Shape;
use crate::stop::Stop;
use crate::topology::{self, short};

/// How long the first answer through the lab, and recovery after an event, may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// How long it may take until all SAs that are wanted exist.
const MORE_PATIENCE: Duration = Duration::from_secs(60);
/// So many datagrams that ask for an SA go out at once, and so long is the pause after them: a
/// daemon keeps only some packets that wait for IKE.
const MORE_BURST: u16 = 50;
const MORE_PAUSE: Duration = Duration::from_millis(20);
/// Answers that the probe must have before the lab counts as steady.
const STEADY: u64 = 10;

/// Everything a run needs from outside.
pub(crate) struct Bench<'a> {
    /// The caller's wishes.
    pub(crate) options: &'a Options,
    /// The program with the verbs `daemon` and `lab-service`.
    pub(crate) program: PathBuf,
    /// What serves mail.
    pub(crate) mail: Mail,
    /// Whether somebody asked to stop.
    pub(crate) stop: Stop,
}

/// What a lab is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A scenario, once: with mail, and captures in files.
    Scenario,
    /// Many faults in a row: without mail, and the captures keep no files.
    Chaos,
    /// Foreign software in the daemons' place: without mail, and nobody has the address yet.
    Foreign,
    /// To be left standing: with mail, without captures.
    Play,
}

impl Purpose {
    fn serves_mail(self) -> bool {
        matches!(self, Purpose::Scenario | Purpose::Play)
    }
}

/// A lab that stands.
pub(crate) struct Standing {
    /// Its programs.
    pub(crate) hosts: Hosts,
    /// What watches its wires.
    pub(crate) captures: Captures,
    faults: Faults,
    logs: PathBuf,
    serves_mail: bool,
}

impl Bench<'_> {
    /// Builds the lab; captures and logs go to `folder`.
    ///
    /// # Errors
    /// When it cannot be built, or is interrupted; what stands then is left to
    /// [`leftovers::remove`].
    pub(crate) fn build(&self, purpose: Purpose, folder: &Path) -> Result<Standing, Error> {
        leftovers::remove()?;
        fs::create_dir_all(folder).map_err(file(folder))?;
        // Logs of an earlier run are about other programs.
        let logs = folder.join("logs");
        if logs.exists() {
            fs::remove_dir_all(&logs).map_err(file(&logs))?;
        }
        topology::build(self.options.shape())?;
        let files = (purpose != Purpose::Chaos).then_some(folder);
        let captures = Captures::start(self.options.shape(), files, self.iv_length())?;
        let faults = Faults::open(self.options.shape())?;
        let hosts = self.start_hosts(purpose, &logs)?;
        Ok(Standing {
            hosts,
            captures,
            faults,
            logs,
            serves_mail: purpose.serves_mail() && self.options.has_mail(),
        })
    }

    /// Builds the lab and leaves it standing, without captures.
    ///
    /// # Errors
    /// As [`Bench::build`].
    pub(crate) fn leave_standing(&self, folder: &Path) -> Result<(), Error> {
        leftovers::remove()?;
        topology::build(self.options.shape())?;
        self.start_hosts(Purpose::Play, &folder.join("logs"))?
            .leave();
        Ok(())
    }

    fn start_hosts(&self, purpose: Purpose, logs: &Path) -> Result<Hosts, Error> {
        let plan = Plan {
            keep: purpose == Purpose::Play,
            ..self.plan(logs, purpose.serves_mail() && self.options.has_mail())
        };
        let mut hosts = Hosts::start(&plan, &self.stop)?;
        if self.options.plain && purpose != Purpose::Foreign {
            topology::take_vip(BE1)?;
        }
        hosts.wait(&plan, &self.stop)?;
        Ok(hosts)
    }

    fn plan<'b>(&'b self, logs: &'b Path, serves_mail: bool) -> Plan<'b> {
        Plan {
            options: self.options,
            program: &self.program,
            mail: &self.mail,
            logs,
            serves_mail,
            keep: false,
        }
    }

    /// Starts a foreign program at a node; it sees nothing in the folders `empty`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn foreign(
        &self,
        lab: &mut Standing,
        node: (&str, &str),
        command: Command,
        empty: &[&str],
    ) -> Result<(), Error> {
        let plan = self.plan(&lab.logs, lab.serves_mail);
        lab.hosts.foreign(&plan, node, command, empty)
    }

    /// Lets `fault` happen to `node`.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn inflict(
        &self,
        lab: &mut Standing,
        fault: Fault,
        node: &'static str,
    ) -> Result<(), Error> {
        lab.faults.inflict(fault, node, &lab.hosts)
    }

    /// Ends `fault` at `node`.
    ///
    /// # Errors
    /// When the kernel refuses, or a program cannot be started.
    pub(crate) fn cure(
        &self,
        lab: &mut Standing,
        fault: Fault,
        node: &'static str,
    ) -> Result<(), Error> {
        let plan = self.plan(&lab.logs, lab.serves_mail);
        lab.faults.cure(fault, node, &mut lab.hosts, &plan)
    }

    /// A probe from the front end to the virtual address.
    ///
    /// # Errors
    /// When its socket cannot be had.
    pub(crate) fn probe(&self) -> Result<Probe, Error> {
        self.probe_of(FE_BACK.into(), VIP.into(), self.options.probe_interval)
    }

    /// A probe from an address of the front end to a virtual address.
    ///
    /// # Errors
    /// When its socket cannot be had.
    pub(crate) fn probe_of(
        &self,
        source: IpAddr,
        target: IpAddr,
        interval: Duration,
    ) -> Result<Probe, Error> {
        let own = SocketAddr::new(source, PROBE_SOURCE);
        let socket = netns::run(FE, || UdpSocket::bind(own))?.map_err(kernel("open the probe"))?;
        let target = SocketAddr::new(target, ECHO);
        Probe::start(socket, target, interval).map_err(kernel("start the probe"))
    }

    /// Waits until probes are answered, and all SAs that are wanted exist.
    ///
    /// # Errors
    /// When that does not come in time.
    pub(crate) fn answered(&self) -> Result<(), Error> {
        let warm_up = self.probe()?;
        let answered = self.stop.until(PATIENCE, || warm_up.answers() >= STEADY)?;
        warm_up.stop();
        match answered {
            true => self.more_sas().and_then(|()| self.in_sync()),
            false => Err(Error::Program {
                name: "the probe".into(),
                detail: format!(
                    "from the front end to {VIP} was not answered within {} s; the daemons' logs \
                     are in the result folder",
                    PATIENCE.as_secs()
                ),
            }),
        }
    }

    /// Waits until every other node could go on, where a witness has that written down.
    fn in_sync(&self) -> Result<(), Error> {
        let shape = self.options.shape();
        if shape == Shape::Pair || !self.options.replicates() {
            return Ok(());
        }
        let wanted = shape.others(BE1).count();
        let now = || control::replication(&socket(short(BE1)), GROUP);
        let all = || now().is_some_and(|now| now.in_sync.len() == wanted);
        match self.stop.until(PATIENCE, all)? {
            true => Ok(()),
            false => Err(Error::Program {
                name: "the standbys".into(),
                detail: format!("were not in sync within {} s", PATIENCE.as_secs()),
            }),
        }
    }

    /// Makes the SAs that the probe does not need: a datagram to each of their ports.
    fn more_sas(&self) -> Result<(), Error> {
        let wanted = if self.options.plain {
            0
        } else {
            self.options.more_sas
        };
        if wanted == 0 {
            return Ok(());
        }
        let own = SocketAddr::new(FE_BACK.into(), 0);
        let socket = netns::run(FE, || UdpSocket::bind(own))?.map_err(kernel("open a socket"))?;
        let end = Instant::now() + MORE_PATIENCE;
        let mut there = 0;
        while Instant::now() < end {
            for port in (MORE..).take(wanted.into()) {
                // One that is lost or refused goes out again in the next round.
                let _ = socket.send_to(b"more", SocketAddr::new(VIP.into(), port));
                if port % MORE_BURST == 0 {
                    self.stop.sleep(MORE_PAUSE)?;
                }
            }
            there = self.children().unwrap_or(there);
            if there >= usize::from(wanted) {
                return Ok(());
            }
        }
        Err(Error::Program {
            name: "the front end".into(),
            detail: format!(
                "has {there} of {wanted} more SAs after {} s",
                MORE_PATIENCE.as_secs()
            ),
        })
    }

    /// How many SAs the front end has for the ports that want more of them.
    fn children(&self) -> Option<usize> {
        let status: Status = control::ask(&socket("fe"), &Request::Status, PATIENCE).ok()?;
        let children = status.ike_sas.iter().flat_map(|sa| &sa.child_sas);
        let more: BTreeSet<&str> = children
            .map(|child| child.rule.as_str())
            .filter(|rule| rule.starts_with("more-"))
            .collect();
        Some(more.len())
    }

    /// The explicit IV of the transforms that the lab's daemons may agree on: all that they
    /// propose by themselves and prefer are AEADs.
    fn iv_length(&self) -> IvLength {
        match &self.options.esp {
            Some(esp) if !esp.contains("gcm") && !esp.contains("chacha20") => IvLength::Sixteen,
            _ => IvLength::Eight,
        }
    }
}

impl Standing {
    /// The keys that the daemons wrote down, if they were asked to.
    pub(crate) fn generations(&self) -> Generations {
        Generations::read(&self.logs.join("keys"))
    }
}
