//! One session: established, used, rekeyed from each side, deleted.

use std::path::Path;
use std::time::Duration;

use crate::holdfast::{self, Daemon, Key, PSK};
use crate::program::wait_for;
use crate::space::ip;
use crate::strongswan::{Charon, Hosts, INNER, Tuning, connection, rules};
use crate::traffic::{self, Pings};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pings that run while keys change, and the milliseconds between them.
const PINGS: u32 = 40;
const INTERVAL: u32 = 10;
/// What goes through the tunnel over TCP, in bytes.
const DATA: usize = 300_000;

/// Who begins, and who deletes in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    WeInitiate,
    TheyInitiate,
}

impl Role {
    /// For file names.
    pub(crate) fn letter(self) -> char {
        match self {
            Role::WeInitiate => 'i',
            Role::TheyInitiate => 'r',
        }
    }

    /// For people.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Role::WeInitiate => "we initiate",
            Role::TheyInitiate => "it initiates",
        }
    }
}

/// Where a session takes place.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) program: &'a Path,
    pub(crate) hosts: &'a Hosts,
    pub(crate) scratch: &'a Path,
    pub(crate) folder: &'a Path,
    pub(crate) name: &'a str,
}

/// What must be so of an IKE SA.
pub(crate) type Check = fn(&api::IkeSa) -> Result<(), String>;

/// Two daemons that have not spoken yet.
pub(crate) struct Session<'a> {
    hosts: &'a Hosts,
    /// The group that every new CHILD SA but the first must have.
    group: Option<&'a str>,
    /// What must be so of every IKE SA.
    pub(crate) check: Option<Check>,
    pub(crate) us: Daemon<'a>,
    pub(crate) them: Charon<'a>,
}

impl<'a> Session<'a> {
    /// Starts both on the same algorithms and key.
    pub(crate) fn start(place: &Place<'a>, ike: &str, esp: &'a str) -> Result<Self, String> {
        let mut session = Session::bare(place, &rules(ike, esp, PSK))?;
        let is_group = |word: &&str| {
            ["ecp", "modp", "x25519"]
                .iter()
                .any(|g| word.starts_with(g))
        };
        session.group = esp.split('-').find(is_group);
        session.them.load(&connection(ike, esp))?;
        Ok(session)
    }

    /// Starts both; strongSwan knows no connection yet.
    pub(crate) fn bare(place: &Place<'a>, rules: &str) -> Result<Self, String> {
        Session::with_settings(place, rules, "")
    }

    /// As [`Session::bare`], with more lines for strongSwan's own settings.
    pub(crate) fn with_settings(
        place: &Place<'a>,
        rules: &str,
        settings: &'static str,
    ) -> Result<Self, String> {
        let Place {
            program,
            hosts,
            scratch,
            folder,
            name,
        } = *place;
        let swan = format!("{name}-swan");
        let tuning = Tuning {
            charon: settings,
            ..Tuning::default()
        };
        let them = Charon::start_tuned(&hosts.theirs, &swan, scratch, folder, &tuning)?;
        let ours = holdfast::Place {
            program,
            space: &hosts.ours,
            scratch,
            folder,
            name,
        };
        let us = Daemon::start(&ours, rules, None)?;
        Ok(Session {
            hosts,
            group: None,
            check: None,
            us,
            them,
        })
    }

    /// The whole life of a session; answers what was seen, or the step that went wrong.
    pub(crate) fn run(&self, role: Role) -> Result<String, String> {
        let step =
            |name: &str, done: Result<String, String>| done.map_err(|why| format!("{name}: {why}"));
        let (us, them) = (&self.us, &self.them);
        let ours = |words: &'static [&'static str]| move || us.command(words).map(drop);
        let its = |words: &'static [&'static str]| move || them.swanctl(words).map(drop);
        let established = step("established", self.establish(role))?;
        let traffic = step("traffic", self.traffic())?;
        let rekey = ours(&["sa", "rekey", "--rule", "net"]);
        step("we rekey the child", self.rekey(Key::Child, rekey))?;
        let rekey = its(&["--rekey", "--child", "net"]);
        step("it rekeys the child", self.rekey(Key::Child, rekey))?;
        let rekey = ours(&["sa", "rekey", "--peer", "swan"]);
        step("we rekey the IKE SA", self.rekey(Key::Ike, rekey))?;
        let rekey = its(&["--rekey", "--ike", "net"]);
        step("it rekeys the IKE SA", self.rekey(Key::Ike, rekey))?;
        let deleted = match role {
            Role::WeInitiate => {
                let delete = ours(&["sa", "delete", "--peer", "swan"]);
                step("we delete", self.delete(delete))?
            }
            Role::TheyInitiate => {
                let delete = its(&["--terminate", "--ike", "net", "--timeout", "5"]);
                step("it deletes", self.delete(delete))?
            }
        };
        let pings = 4 * PINGS;
        Ok(format!(
            "{established}; {traffic}; child and IKE SA rekeyed by each side, no ping of {pings} \
             lost; {deleted}"
        ))
    }

    /// A short life: established, used, deleted. Answers what was seen, and who the peer is.
    pub(crate) fn brief(&self, role: Role) -> Result<(String, Option<String>), String> {
        let established = self.establish(role)?;
        let name = self.settled()?.remote_id;
        let traffic = self.traffic()?;
        let delete = || {
            self.us
                .command(&["sa", "delete", "--peer", "swan"])
                .map(drop)
        };
        let deleted = self.delete(delete)?;
        Ok((format!("{established}; {traffic}; {deleted}"), name))
    }

    /// Establishes it; answers how long that took.
    pub(crate) fn establish(&self, role: Role) -> Result<String, String> {
        let begun = std::time::Instant::now();
        match role {
            Role::WeInitiate => self.us.command(&["sa", "initiate", "net"])?,
            Role::TheyInitiate => {
                self.them
                    .swanctl(&["--initiate", "--child", "net", "--timeout", "10"])?
            }
        };
        let took = begun.elapsed().as_millis();
        self.settled()?;
        Ok(format!("{took} ms"))
    }

    /// Waits until both sides have exactly one of each SA.
    pub(crate) fn settled(&self) -> Result<api::IkeSa, String> {
        let mut last = Err("nothing".to_owned());
        let done = wait_for(PATIENCE, || {
            last = self.us.only_sa().and_then(|sa| {
                let theirs = self.them.sas()?;
                match (theirs.ike.len(), theirs.children.as_slice()) {
                    (1, [spi]) if sa.child_sas.iter().any(|c| c.outbound_spi == *spi) => {}
                    _ => return Err(format!("its SAs are not ours: {}", theirs.text)),
                }
                self.check.map_or(Ok(()), |check| check(&sa)).map(|()| sa)
            });
            last.is_ok()
        });
        match done {
            Some(_) => last,
            None => last.map_err(|why| format!("{why}; {}", self.complaints())),
        }
    }

    pub(crate) fn traffic(&self) -> Result<String, String> {
        let Hosts { ours, theirs } = self.hosts;
        let there = traffic::ping(ours, INNER[0], INNER[1])?;
        let back = traffic::ping(theirs, INNER[1], INNER[0])?;
        traffic::echo_tcp(ours, theirs, ip(INNER[1])?, DATA)?;
        traffic::echo_tcp(theirs, ours, ip(INNER[0])?, DATA)?;
        Ok(format!("ping {there} and {back}, TCP both ways"))
    }

    /// Rekeys while pings run; none may be lost, and the SPIs must be new on both sides.
    fn rekey(&self, key: Key, rekey: impl Fn() -> Result<(), String>) -> Result<String, String> {
        let before = self.settled()?;
        let pings = Pings::start(&self.hosts.ours, INNER[0], INNER[1], PINGS, INTERVAL)?;
        std::thread::sleep(Duration::from_millis(100));
        rekey()?;
        let mut changed = false;
        wait_for(PATIENCE, || {
            changed = self
                .us
                .only_sa()
                .is_ok_and(|sa| key.of(&sa) != key.of(&before));
            changed
        });
        let pinged = pings.finish()?;
        if !changed {
            return Err(format!(
                "the SPIs are the same as before; {}",
                self.complaints()
            ));
        }
        let after = self.settled()?;
        if let (Key::Child, Some(group)) = (key, self.group)
            && !after
                .child_sas
                .iter()
                .all(|child| child.proposal.contains(group))
        {
            return Err(format!(
                "the new child has no {group}: {:?}",
                after.child_sas
            ));
        }
        let theirs = self.them.sas()?;
        if !theirs
            .ike
            .iter()
            .any(|spis| spis.contains(strip(&after.initiator_spi)))
        {
            return Err(format!("it has another IKE SA: {}", theirs.text));
        }
        match pinged.received == pinged.sent {
            true => Ok(format!(
                "{} -> {}, no ping lost",
                key.of(&before),
                key.of(&after)
            )),
            false => Err(format!(
                "{} of {} pings came back",
                pinged.received, pinged.sent
            )),
        }
    }

    fn delete(&self, delete: impl Fn() -> Result<(), String>) -> Result<String, String> {
        delete()?;
        let mut left = (0, 0);
        let gone = wait_for(PATIENCE, || {
            let ours = self.us.status().map_or(1, |status| status.ike_sas.len());
            let theirs = self
                .them
                .sas()
                .map_or(1, |sas| sas.ike.len() + sas.children.len());
            left = (ours, theirs);
            left == (0, 0)
        });
        match gone {
            Some(took) => Ok(format!("deleted in {} ms", took.as_millis())),
            None => Err(format!("we still have {} SAs, it has {}", left.0, left.1)),
        }
    }

    /// What our side says about failures.
    pub(crate) fn complaints(&self) -> String {
        match self.us.status() {
            Ok(status) => status.recent_failures.join(" | "),
            Err(why) => why,
        }
    }
}

/// strongSwan prints SPIs without leading zeros.
fn strip(spi: &str) -> &str {
    spi.trim_start_matches('0')
}
