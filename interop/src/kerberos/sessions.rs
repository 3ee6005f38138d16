//! Two of our daemons that know each other by Kerberos, and what they must refuse.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::folder;
use crate::holdfast::{Daemon, PSK, Place};
use crate::kerberos::KDC;
use crate::kerberos::realm::{REALM, Realm, Side};
use crate::program::wait_for;
use crate::table::Table;
use crate::traffic::ping;

/// Who both are to the KDC, the other being any back end.
const FRONT: &str = "host/front.example";
const BACK: &str = "host/back1.example";
const OTHER: &str = "host/back2.example";
/// Below what a message with a ticket needs.
const SMALL_MTU: &str = "576";
/// What the side hears that does not refuse.
const REFUSED: &str = "says AUTHENTICATION_FAILED";
const SOON: Duration = Duration::from_secs(3);

/// One side's part of a trial.
#[derive(Clone)]
struct Host<'a> {
    principal: &'a str,
    keytab: &'a Path,
    /// Who may answer for the other side, without the realm.
    members: &'a [&'a str],
}

/// What both sides have, and which of it they use.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ways {
    Kerberos,
    /// A key behind it, which is not used.
    KerberosOfTwo,
    /// A key behind it, which is.
    KeyOfTwo,
}

/// What one trial does.
#[derive(Clone)]
struct Trial<'a> {
    what: &'a str,
    front: Host<'a>,
    back: Host<'a>,
    begins: Side,
    ways: Ways,
    /// What both sides' logs say, the one that begins first; nothing where it is established.
    says: Option<[&'a str; 2]>,
}

/// Where everything is.
struct Stage<'a> {
    program: &'a Path,
    scratch: &'a Path,
    folder: &'a Path,
}

/// Every trial.
pub(crate) fn run(
    realm: &mut Realm<'_>,
    program: &Path,
    scratch: &Path,
    folder: &Path,
    table: &mut Table,
) -> Result<(), String> {
    let stage = Stage {
        program,
        scratch,
        folder,
    };
    let keytabs = Keytabs::new(realm)?;
    let good = keytabs.good();
    let mut number = 0;
    let mut add = |realm: &Realm<'_>, trial: &Trial<'_>| {
        number += 1;
        let done = stage.judge(realm, trial, number);
        table.add(trial.what, KDC, done);
    };
    add(realm, &good);
    add(
        realm,
        &good.begun_by("main mode with Kerberos, the back end begins", Side::Back),
    );
    let mut second = good.begun_by("another node has the address, and may", Side::Front);
    second.back.principal = OTHER;
    second.back.keytab = &keytabs.other;
    add(realm, &second);
    small_links(realm, true)?;
    let before = fragments(realm)?;
    add(
        realm,
        &good.begun_by("message 3 is larger than the MTU", Side::Front),
    );
    let after = fragments(realm)?;
    small_links(realm, false)?;
    for trial in keytabs.refusals(&good) {
        add(realm, &trial);
    }
    realm.stop();
    let mut down = good.begun_by("the KDC does not run", Side::Front);
    down.says = Some(["Cannot contact any KDC", ""]);
    add(realm, &down);
    let mut second = good.begun_by("the KDC does not run, and both have a key", Side::Front);
    second.ways = Ways::KeyOfTwo;
    add(realm, &second);
    realm.start()?;
    second.what = "both have a key, and the KDC runs again";
    second.ways = Ways::KerberosOfTwo;
    add(realm, &second);
    add(realm, &good.begun_by("the KDC runs again", Side::Front));
    let holds = after > before;
    let figure = format!("{} IP fragments left", after - before);
    table.check("which went in IP fragments", KDC, holds, figure);
    table.add(
        "a rule that covers the KDC is refused",
        KDC,
        stage.covers_kdc(realm, &good),
    );
    Ok(())
}

/// The keys of all hosts.
struct Keytabs {
    front: PathBuf,
    back: PathBuf,
    other: PathBuf,
    stale: PathBuf,
}

const BACKS: &[&str] = &["host/back*.example"];
const FRONTS: &[&str] = &[FRONT];

impl Keytabs {
    fn new(realm: &Realm<'_>) -> Result<Self, String> {
        let stale = realm.principal("host/back3.example", "back3")?;
        realm.admin("cpw -randkey host/back3.example")?;
        Ok(Keytabs {
            front: realm.principal(FRONT, "front")?,
            back: realm.principal(BACK, "back1")?,
            other: realm.principal(OTHER, "back2")?,
            stale,
        })
    }

    fn good(&self) -> Trial<'_> {
        Trial {
            what: "main mode with Kerberos, the front end begins",
            front: Host {
                principal: FRONT,
                keytab: &self.front,
                members: BACKS,
            },
            back: Host {
                principal: BACK,
                keytab: &self.back,
                members: FRONTS,
            },
            begins: Side::Front,
            ways: Ways::Kerberos,
            says: None,
        }
    }

    fn refusals<'a>(&'a self, good: &Trial<'a>) -> Vec<Trial<'a>> {
        let only_first: &[&str] = &[BACK];
        let mut stranger = good.begun_by("another host has the address, and may not", Side::Front);
        stranger.front.members = only_first;
        stranger.back.principal = OTHER;
        stranger.back.keytab = &self.other;
        stranger.says = Some([
            "`host/back2.example@HOLDFAST.EXAMPLE` may not answer for",
            REFUSED,
        ]);
        let mut not_ours = good.begun_by("who begins is not one of the peer's", Side::Back);
        not_ours.front.members = only_first;
        not_ours.back.principal = OTHER;
        not_ours.back.keytab = &self.other;
        not_ours.says = Some([
            REFUSED,
            "`host/back2.example@HOLDFAST.EXAMPLE` may not answer for",
        ]);
        let mut old_key = good.begun_by("the back end's keytab is out of date", Side::Front);
        old_key.back.principal = "host/back3.example";
        old_key.back.keytab = &self.stale;
        old_key.says = Some([
            REFUSED,
            "cannot take a Kerberos ticket as host/back3.example",
        ]);
        vec![stranger, not_ours, old_key]
    }
}

impl<'a> Trial<'a> {
    fn begun_by(&self, what: &'a str, begins: Side) -> Trial<'a> {
        Trial {
            what,
            begins,
            ..self.clone()
        }
    }

    fn host(&self, side: Side) -> &Host<'a> {
        match side {
            Side::Front => &self.front,
            Side::Back => &self.back,
        }
    }
}

impl Stage<'_> {
    fn judge(&self, realm: &Realm<'_>, trial: &Trial<'_>, number: usize) -> Result<String, String> {
        let start = |side: Side| self.start(realm, trial, side, number);
        let other = start(trial.begins.other())?;
        let begins = start(trial.begins)?;
        let begun = Instant::now();
        let said = begins.command(&["sa", "initiate", "net"]);
        let took = begun.elapsed().as_millis();
        let Some(says) = trial.says else {
            said?;
            begins.only_sa()?;
            self.says_how(trial, number)?;
            let (from, to) = (trial.begins, trial.begins.other());
            let pinged = ping(realm.space(from), from.address(), to.address())?;
            return Ok(format!("{took} ms, {pinged}"));
        };
        let refused = match said {
            Ok(said) => return Err(format!("it was established: {said}")),
            Err(why) => why,
        };
        for (side, wanted) in [trial.begins, trial.begins.other()].into_iter().zip(says) {
            self.says(side, number, wanted)?;
        }
        match other
            .status()?
            .ike_sas
            .iter()
            .any(|sa| sa.state == "established")
        {
            true => Err("the other side holds it established".to_owned()),
            false => Ok(format!("{took} ms: {refused}")),
        }
    }

    /// Whether both logs say by which way the other is known.
    fn says_how(&self, trial: &Trial<'_>, number: usize) -> Result<(), String> {
        if trial.ways == Ways::KeyOfTwo {
            let without = "other is called without kerberos, which cannot be used now";
            self.says(trial.begins, number, without)?;
            let mut both = Side::ALL.into_iter();
            return both.try_for_each(|side| self.says(side, number, "` by psk, "));
        }
        for side in Side::ALL {
            let principal = trial.host(side.other()).principal;
            let proven = format!("by Kerberos it is {principal}@{REALM}");
            self.says(side, number, &proven)?;
        }
        Ok(())
    }

    /// Whether a side's log says so, or does soon.
    fn says(&self, side: Side, number: usize, wanted: &str) -> Result<(), String> {
        let file = format!("{}-daemon.log", name(side, number));
        let log = || std::fs::read_to_string(self.folder.join(&file)).unwrap_or_default();
        match wait_for(SOON, || log().contains(wanted)) {
            Some(_) => Ok(()),
            None => Err(format!(
                "{} does not say `{wanted}`: {}",
                side.name(),
                log()
            )),
        }
    }

    fn start<'s>(
        &self,
        realm: &'s Realm<'_>,
        trial: &Trial<'_>,
        side: Side,
        number: usize,
    ) -> Result<Daemon<'s>, String> {
        let name = name(side, number);
        let place = Place {
            program: self.program,
            space: realm.space(side),
            scratch: self.scratch,
            folder: self.folder,
            name: &name,
        };
        let conf = realm.config(Some(side));
        let rules = rules(trial, side, side.other().address());
        Daemon::start_in(&place, &[("KRB5_CONFIG", &conf)], "", &rules, None)
    }

    /// What `holdfast check` says of a rule that covers the KDC (KB254949).
    fn covers_kdc(&self, realm: &Realm<'_>, good: &Trial<'_>) -> Result<String, String> {
        let file = self.folder.join("covers-kdc.toml");
        let text = rules(good, Side::Front, "10.88.0.0/16");
        folder::write(&file, &text)?;
        let output = Command::new(self.program)
            .arg("check")
            .arg(&file)
            .env("KRB5_CONFIG", realm.config(Some(Side::Front)))
            .output()
            .map_err(|why| format!("holdfast cannot be started: {why}"))?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        let first = said.lines().find(|line| line.contains("KB254949"));
        match first.filter(|_| !output.status.success()) {
            Some(line) => Ok(line.to_owned()),
            None => Err(format!("it is not refused: {said}")),
        }
    }
}

fn name(side: Side, number: usize) -> String {
    format!("{}{number}", side.name())
}

/// A side's policy: peer `other`, rule `net` about traffic with `remote`.
fn rules(trial: &Trial<'_>, side: Side, remote: &str) -> String {
    let host = trial.host(side);
    let auth = match trial.ways {
        Ways::Kerberos => "\"kerberos\"".to_owned(),
        Ways::KerberosOfTwo | Ways::KeyOfTwo => {
            format!("[\"kerberos\", \"psk\"]\npsk = \"{PSK}\"")
        }
    };
    let members = host
        .members
        .iter()
        .map(|name| format!("\"{name}@{REALM}\""));
    let members: Vec<String> = members.collect();
    format!(
        "[[peer]]\nname = \"other\"\naddress = \"{}\"\nversion = \"ikev1\"\nauth = {auth}\n\
         retransmission = [\"100ms\", \"200ms\", \"400ms\", \"800ms\"]\n\
         principal = \"{}@{REALM}\"\nkeytab = \"{}\"\npeer_principals = [{}]\n\n\
         [[rule]]\nname = \"net\"\naction = \"require\"\nmode = \"transport\"\npeer = \"other\"\n\
         remote = \"{remote}\"\n",
        side.other().address(),
        host.principal,
        host.keytab.display(),
        members.join(", "),
    )
}

/// Makes the cable between the hosts take small packets only, or ordinary ones again.
fn small_links(realm: &Realm<'_>, small: bool) -> Result<(), String> {
    let mtu = if small { SMALL_MTU } else { "1500" };
    for side in Side::ALL {
        let words = ["link", "set", "dev", "eth0", "mtu", mtu];
        realm.space(side).output("ip", &words)?;
    }
    Ok(())
}

/// IP fragments that the front end has sent, as its kernel counts them.
fn fragments(realm: &Realm<'_>) -> Result<u64, String> {
    let text = realm.front.output("cat", &["/proc/net/snmp"])?;
    let mut lines = text.lines().filter(|line| line.starts_with("Ip:"));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else {
        return Err("the kernel counts no IP packets".to_owned());
    };
    let mut pairs = names.split(' ').zip(values.split(' '));
    let found = pairs.find(|(name, _)| *name == "FragCreates");
    found
        .and_then(|(_, value)| value.parse().ok())
        .ok_or_else(|| "the kernel counts no fragments".to_owned())
}
