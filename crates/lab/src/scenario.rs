//! One scenario, once: build the lab, watch it as a client, do the thing, and see what was seen.

use std::fs;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use api::Request;
use linux::netns;

use crate::addresses::*;
use crate::capture::Captures;
use crate::client;
use crate::control;
use crate::error::{Error, file, kernel};
use crate::hosts::{Hosts, Mail, Plan, socket};
use crate::leftovers;
use crate::options::{Options, Scenario};
use crate::probe::Probe;
use crate::stop::Stop;
use crate::topology::{self, Victim};
use crate::verdict::{self, Run};

/// How long the first answer through the lab, and recovery after an event, may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Quiet time that is watched before an event and after recovery.
const QUIET: Duration = Duration::from_millis(500);
/// Answers that the probe must have before the lab counts as steady.
const STEADY: u64 = 10;
/// Pause between mail sessions that failed.
const MAIL_PAUSE: Duration = Duration::from_millis(20);
/// How long one mail session may take before it is tried anew.
const MAIL_SESSION: Duration = Duration::from_secs(3);
/// Mail sessions of [`Scenario::Protect`].
const PROTECT_SESSIONS: u32 = 3;

/// Everything a run needs from outside.
pub(crate) struct Bench<'a> {
    /// The caller's wishes.
    pub(crate) options: &'a Options,
    /// The program with the verbs `daemon` and `lab-service`.
    pub(crate) program: &'a Path,
    /// What serves mail.
    pub(crate) mail: &'a Mail,
    /// Whether somebody asked to stop.
    pub(crate) stop: &'a Stop,
}

/// A lab that stands: hosts, cables, programs, captures.
struct Standing {
    hosts: Hosts,
    captures: Captures,
}

impl Bench<'_> {
    /// Runs `scenario` once; captures and logs go to `folder`.
    ///
    /// # Errors
    /// When the lab cannot be built or is interrupted. The lab is taken down in any case.
    pub(crate) fn run(&self, scenario: Scenario, folder: &Path) -> Result<Run, Error> {
        let result = self.build(folder).and_then(|lab| self.watch(scenario, lab));
        let removed = leftovers::remove();
        let run = result?;
        removed?;
        Ok(run)
    }

    fn build(&self, folder: &Path) -> Result<Standing, Error> {
        leftovers::remove()?;
        fs::create_dir_all(folder).map_err(file(folder))?;
        // Logs of an earlier run are about other programs.
        let logs = folder.join("logs");
        if logs.exists() {
            fs::remove_dir_all(&logs).map_err(file(&logs))?;
        }
        topology::build()?;
        let captures = Captures::start(folder)?;
        let hosts = self.start_hosts(folder, false)?;
        Ok(Standing { hosts, captures })
    }

    fn start_hosts(&self, folder: &Path, keep: bool) -> Result<Hosts, Error> {
        let plan = Plan {
            options: self.options,
            program: self.program,
            mail: self.mail,
            logs: &folder.join("logs"),
            keep,
        };
        let mut hosts = Hosts::start(&plan)?;
        if self.options.plain {
            topology::take_vip(BE1)?;
        }
        hosts.wait(&plan, self.stop)?;
        Ok(hosts)
    }

    /// Builds the lab once more and leaves it standing, without captures.
    ///
    /// # Errors
    /// As [`Bench::run`].
    pub(crate) fn leave_standing(&self, folder: &Path) -> Result<(), Error> {
        leftovers::remove()?;
        topology::build()?;
        self.start_hosts(folder, true)?.leave();
        Ok(())
    }

    /// The measurement: steady state, event, recovery, evaluation.
    fn watch(&self, scenario: Scenario, lab: Standing) -> Result<Run, Error> {
        let mut failures = Vec::new();
        self.steady()?;
        let probe = start_probe()?;
        self.stop.sleep(QUIET)?;
        let (event, mark) = (Instant::now(), SystemTime::now());
        match scenario {
            Scenario::Protect => self.protect(),
            Scenario::PlannedMove => self.planned_move(&mut failures),
            Scenario::Crash => self.crash(),
        }?;
        let since = if scenario == Scenario::Protect {
            Instant::now()
        } else {
            event
        };
        let mail = MailBack::start(CLIENT, FE_FRONT.into(), since);
        // The same mail over IPv6, straight from the front end: the proxy speaks IPv4.
        let six = MailBack::start(FE, VIP6.into(), since);
        self.recover(scenario, &probe, event, &mut failures)?;
        let mail = self.mail(mail, "mail", &mut failures)?;
        self.mail(six, "mail over IPv6", &mut failures)?;
        self.stop.sleep(QUIET)?;
        let seen = probe.stop();
        if !self.options.plain {
            failures.extend(verdict::negotiated(scenario, self.stop)?);
        }
        drop(lab.hosts);
        let counts = lab.captures.stop()?;
        let ike_after = counts.ike_after(mark);
        failures.extend(verdict::standby_silent(&counts, mark));
        let run = Run {
            probe: seen,
            counts,
            ike_after,
            mail,
            failures,
        };
        Ok(verdict::judge(self.options, scenario, run))
    }

    /// Waits until probes are answered and mail can be read: SAs exist from here on.
    fn steady(&self) -> Result<(), Error> {
        let warm_up = start_probe()?;
        let answered = self.stop.until(PATIENCE, || warm_up.answers() >= STEADY)?;
        warm_up.stop();
        if !answered {
            return Err(Error::Program {
                name: "the probe".into(),
                detail: format!(
                    "from the front end to {VIP} was not answered within {} s; the daemons' logs \
                     are in the result folder",
                    PATIENCE.as_secs()
                ),
            });
        }
        for (host, server) in [(CLIENT, FE_FRONT.into()), (FE, VIP6.into())] {
            let session = || client::read_mail(server, PATIENCE);
            netns::run(host, session)?.map_err(|detail| Error::Program {
                name: "the first mail session:".into(),
                detail,
            })?;
        }
        Ok(())
    }

    /// [`Scenario::Protect`]: mail sessions, and nothing else.
    fn protect(&self) -> Result<(), Error> {
        for _ in 1..PROTECT_SESSIONS {
            self.stop.check()?;
            let session = || client::read_mail(FE_FRONT.into(), MAIL_SESSION);
            // A failure shows in the session that is judged.
            let _ = netns::run(CLIENT, session)?;
        }
        Ok(())
    }

    /// [`Scenario::PlannedMove`]: the operator's command, or the same by hand without daemons.
    fn planned_move(&self, failures: &mut Vec<String>) -> Result<(), Error> {
        if self.options.plain {
            topology::drop_vip(BE1)?;
            topology::take_vip(BE2)?;
            return Ok(());
        }
        let request = Request::ClusterMove {
            group: GROUP.into(),
            to: Some("be2".into()),
        };
        let moved = control::ask::<serde_json::Value>(&socket("be1"), &request, PATIENCE);
        if let Err(refusal) = moved {
            failures.push(format!("the move was refused: {refusal}"));
        }
        Ok(())
    }

    /// [`Scenario::Crash`]: the active node dies as a machine does.
    fn crash(&self) -> Result<(), Error> {
        Victim::choose(BE1)?.crash()?;
        if self.options.plain {
            topology::take_vip(BE2)?;
        }
        Ok(())
    }

    /// Waits until the other node has the address and answers come again.
    fn recover(
        &self,
        scenario: Scenario,
        probe: &Probe,
        event: Instant,
        failures: &mut Vec<String>,
    ) -> Result<(), Error> {
        if scenario == Scenario::Protect {
            return Ok(());
        }
        let mut moved = false;
        let mut trouble = None;
        self.stop.until(PATIENCE, || match topology::has_vip(BE2) {
            Ok(has) => {
                moved = has;
                has
            }
            Err(error) => {
                trouble = Some(error);
                true
            }
        })?;
        if let Some(error) = trouble {
            return Err(error);
        }
        if !moved {
            failures.push(format!("be2 did not take {VIP}"));
        }
        let since = Instant::now();
        let left = PATIENCE.saturating_sub(event.elapsed());
        let back = self
            .stop
            .until(left, || probe.last_answer().is_some_and(|at| at > since))?;
        if !back {
            failures.push(format!(
                "the probe had no answer within {} s",
                PATIENCE.as_secs()
            ));
        }
        Ok(())
    }

    /// Waits for the mail session that works after the event.
    fn mail(
        &self,
        mail: MailBack,
        what: &str,
        failures: &mut Vec<String>,
    ) -> Result<Option<Duration>, Error> {
        self.stop
            .until(PATIENCE + MAIL_SESSION, || mail.client.is_finished())?;
        match mail.client.join() {
            Ok(Ok(at)) => Ok(Some(at.duration_since(mail.since))),
            Ok(Err(why)) => {
                failures.push(format!("{what} did not work after the event: {why}"));
                Ok(None)
            }
            Err(_) => {
                failures.push("the mail client failed".into());
                Ok(None)
            }
        }
    }
}

/// A mail client that tries until it has read its mail; answers when that was.
struct MailBack {
    since: Instant,
    client: JoinHandle<Result<Instant, String>>,
}

impl MailBack {
    fn start(host: &'static str, server: IpAddr, since: Instant) -> Self {
        let start = Instant::now();
        let client = thread::spawn(move || {
            loop {
                let session = || client::read_mail(server, MAIL_SESSION);
                match netns::run(host, session) {
                    Ok(Ok(())) => return Ok(Instant::now()),
                    Ok(Err(why)) if start.elapsed() > PATIENCE => return Err(why),
                    Ok(Err(_)) => thread::sleep(MAIL_PAUSE),
                    Err(error) => return Err(error.to_string()),
                }
            }
        });
        Self { since, client }
    }
}

/// A probe from the front end to the virtual address.
fn start_probe() -> Result<Probe, Error> {
    let own = SocketAddr::new(IpAddr::V4(FE_BACK), PROBE_SOURCE);
    let socket = netns::run(FE, || UdpSocket::bind(own))?.map_err(kernel("open the probe"))?;
    let target = SocketAddr::new(IpAddr::V4(VIP), ECHO);
    Probe::start(socket, target).map_err(kernel("start the probe"))
}

/// Where the results of one run go.
pub(crate) fn folder(out: &Path, scenario: Scenario, run: u32, runs: u32) -> PathBuf {
    let folder = out.join(scenario.name());
    if runs > 1 {
        folder.join(format!("run-{run:02}"))
    } else {
        folder
    }
}
