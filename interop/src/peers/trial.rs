//! One case in one role: established, used, rekeyed from each side, deleted.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::capture::Capture;
use crate::folder::Scratch;
use crate::guest::Guest;
use crate::holdfast::{Daemon, Key, Place, Rules, by_certificate, by_psk};
use crate::peers::case::{Case, Nat, OUR_ID, Ports, Proof, Rekeys, Role, THEIR_ID, Version};
use crate::peers::foreign::{Foreign, KernelSa, kernel_sas};
use crate::peers::ground::{CABLE, ECHO, Ends, Ground, SECOND_ECHO, own_path};
use crate::peers::papers::{Papers, Side};
use crate::peers::wire::Seen;
use crate::program::wait_for;
use crate::space::ip;
use crate::traffic::{self, Answered, Pings};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Pings that run while keys change, and the milliseconds between them.
const PINGS: u32 = 30;
/// Version 1 keeps the old pair for 5 s.
const PINGS_V1: u32 = 280;
const INTERVAL: u32 = 20;
/// In this time a peer whose keys live for seconds makes new ones.
const OUTLIVED: Duration = Duration::from_secs(10);
/// How long our last words may take to the peer.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// What goes over TCP each way, in bytes.
const DATA: usize = 100_000;

/// What all trials of a run share.
#[derive(Clone, Copy)]
pub(crate) struct Stage<'a> {
    pub(crate) ground: &'a Ground,
    pub(crate) program: &'a Path,
    pub(crate) scratch: &'a Scratch,
    /// The results folder, which the guest shares.
    pub(crate) folder: &'a Path,
    pub(crate) papers: &'a Papers,
    pub(crate) peer: &'a dyn Foreign,
}

/// One trial: our daemon, the foreign one with its connection, a capture.
pub(crate) struct Trial<'a> {
    pub(crate) stage: Stage<'a>,
    pub(crate) case: Case,
    pub(crate) ends: Ends,
    pub(crate) us: Daemon<'a>,
    pub(crate) folder: PathBuf,
    capture: Capture<Seen>,
    /// The peer loses its policies on the way, and may say something in clear without them.
    pub(crate) forgets: bool,
    /// The peer keeps SAs that nobody needs any more.
    pub(crate) keeps: bool,
    /// How long the peer's log was before.
    logged: u64,
}

/// Plays one case in one role; answers what was seen.
pub(crate) fn play(
    stage: Stage<'_>,
    guest: &mut Guest,
    name: &str,
    case: Case,
    role: Role,
) -> Result<String, String> {
    let trial = Trial::begin(stage, guest, name, case)?;
    let played = trial.run(guest, role);
    let done = trial.end(played);
    if done.is_err() {
        // What it still believes would disturb the next one.
        let again = stage
            .peer
            .crash(guest)
            .and_then(|()| stage.peer.start(guest));
        again.map_err(|why| format!("{}: it does not start again: {why}", stage.peer.name()))?;
    }
    done
}

impl<'a> Trial<'a> {
    /// Starts our daemon, loads the peer, watches the cable. Files go into a folder `name`.
    pub(crate) fn begin(
        stage: Stage<'a>,
        guest: &mut Guest,
        name: &str,
        case: Case,
    ) -> Result<Self, String> {
        let folder = stage.folder.join(name);
        std::fs::create_dir_all(&folder).map_err(|why| format!("{}: {why}", folder.display()))?;
        let logged = std::fs::metadata(stage.folder.join(stage.peer.log()));
        let ends = Ends::of(&case);
        stage.ground.hide(case.nat)?;
        // What an earlier trial has left is not this one's.
        if !kernel_sas(guest)?.is_empty() {
            stage.peer.crash(guest)?;
            stage.peer.start(guest)?;
        }
        let pcap = folder.join("cable.pcap");
        let capture = Capture::start(
            &stage.ground.router,
            CABLE,
            &pcap,
            Seen::default(),
            Seen::look,
        )?;
        stage.peer.load(guest, &case)?;
        let us = daemon(&stage, &folder, &case)?;
        Ok(Trial {
            stage,
            case,
            ends,
            us,
            folder,
            capture,
            forgets: false,
            keeps: false,
            logged: logged.map_or(0, |file| file.len()),
        })
    }

    /// Ends it: nothing may have been in clear. A failure keeps the peer's log.
    pub(crate) fn end(self, played: Result<String, String>) -> Result<String, String> {
        let ours = self.us.status().map(|status| status.recent_failures);
        if self.case.version != Version::V2 {
            // What the peer hears of need not be cleared away.
            let _ = self.us.command(&["sa", "delete", "--peer", "peer"]);
            std::thread::sleep(LAST_WORDS);
        }
        drop(self.us);
        let seen = self.capture.stop();
        let (case, forgets) = (&self.case, self.forgets);
        // A certificate with an RSA key and a signature by it are too long for one packet.
        let cut =
            case.proof == Proof::Rsa && case.version == Version::V2 && self.stage.peer.fragments();
        let seen = seen.and_then(|seen| match cut && seen.fragments.contains(&0) {
            true => Err(format!("there were {:?} fragments of IKE", seen.fragments)),
            false => Ok(seen),
        });
        let judged =
            played.and_then(|words| Ok(format!("{words}; {}", judge(case, seen?, forgets)?)));
        judged.map_err(|why| {
            let log = std::fs::read(self.stage.folder.join(self.stage.peer.log()));
            let part = log.unwrap_or_default();
            let part = part.get(self.logged as usize..).unwrap_or_default();
            let _ = std::fs::write(self.folder.join(self.stage.peer.log()), part);
            match ours {
                Ok(failures) if !failures.is_empty() => {
                    format!("{why}; we say: {}", failures.join(" | "))
                }
                _ => why,
            }
        })
    }

    fn run(&self, guest: &mut Guest, role: Role) -> Result<String, String> {
        let established = step("established", self.establish(guest, role))?;
        step("traffic", self.traffic(guest))?;
        let roles: &[Role] = match self.case.rekeys {
            Rekeys::None => &[],
            Rekeys::ByUs => &[Role::We],
            Rekeys::ByBoth => &Role::BOTH,
            Rekeys::ByItsClock => {
                step("its clock", self.outlive(guest))?;
                &[]
            }
        };
        for key in [Key::Child, Key::Ike] {
            for role in roles.iter().copied() {
                let what = format!("{key:?} rekeyed, {}", role.words());
                step(&what, self.rekey(guest, key, role))?;
            }
        }
        step("deleted", self.delete(guest, role))?;
        Ok(established)
    }

    /// Has one side begin, and waits until both have the same SAs.
    pub(crate) fn establish(&self, guest: &mut Guest, role: Role) -> Result<String, String> {
        let begun = Instant::now();
        match role {
            Role::We => self.us.command(&["sa", "initiate", "net"]).map(drop)?,
            Role::They => self.stage.peer.initiate(guest)?,
        }
        let took = begun.elapsed().as_millis();
        self.settled(guest)?;
        Ok(format!("{took} ms"))
    }

    /// Waits until we have one IKE SA with one child, and the guest's kernel exactly its SAs, with
    /// the algorithms of the case.
    pub(crate) fn settled(&self, guest: &mut Guest) -> Result<api::IkeSa, String> {
        let mut last = Err("nothing".to_owned());
        let done = wait_for(PATIENCE, || {
            last = self.sa().and_then(|sa| {
                let theirs = kernel_sas(guest)?;
                self.agree(&sa, &theirs).map(|()| sa)
            });
            last.is_ok()
        });
        match done {
            Some(_) => last,
            None => last.map_err(|why| format!("not settled: {why}")),
        }
    }

    /// Our IKE SA with its child. Version 1 lets others be: an ISAKMP SA without pairs goes after a
    /// while, and so does a pair that the peer has replaced and not deleted.
    fn sa(&self) -> Result<api::IkeSa, String> {
        if self.case.version == Version::V2 {
            return self.us.only_sa();
        }
        let mut sas = self.us.status()?.ike_sas;
        sas.retain(|sa| sa.state == "established" && !sa.child_sas.is_empty());
        let states = |sa: &api::IkeSa| {
            let states = sa.child_sas.iter().map(|child| child.state.as_str());
            states.collect::<Vec<_>>().join(", ")
        };
        let lax = self.forgets || self.case.rekeys == Rekeys::ByItsClock;
        let old = if lax { "rekeyed" } else { "nothing" };
        match sas.as_slice() {
            [sa] if one_installed(sa, old) => Ok(sa.clone()),
            sas => Err(format!(
                "we have pairs that are {:?}",
                sas.iter().map(states).collect::<Vec<_>>()
            )),
        }
    }

    fn agree(&self, sa: &api::IkeSa, theirs: &[KernelSa]) -> Result<(), String> {
        let strip = |spi: &str| spi.trim_start_matches('0').to_owned();
        let spis = |child: &api::ChildSa| [strip(&child.inbound_spi), strip(&child.outbound_spi)];
        let mut ours: Vec<String> = sa.child_sas.iter().flat_map(spis).collect();
        let mut spis: Vec<String> = theirs.iter().map(|sa| strip(&sa.spi)).collect();
        ours.sort();
        spis.sort();
        let more = self.keeps && ours.iter().all(|spi| spis.contains(spi));
        if spis != ours && !more {
            return Err(format!("its kernel has the SPIs {spis:?}, and we {ours:?}"));
        }
        for state in theirs {
            let text = &state.text;
            let flagged = |line: &str| line.starts_with("replay-window") && line.contains(" esn");
            let esn = text.lines().any(flagged);
            let words = self.case.kernel_words();
            if esn != self.case.esn() || !words.iter().all(|word| text.contains(word)) {
                return Err(format!("its kernel has another SA than agreed: {text}"));
            }
        }
        Ok(())
    }

    /// Pings and TCP, begun from each side as far as the case protects them.
    pub(crate) fn traffic(&self, guest: &mut Guest) -> Result<(), String> {
        let ours = &self.stage.ground.ours;
        let [from, to] = self.ends.ours;
        traffic::exchange(ours, (ip(to)?, ECHO).into(), DATA)?;
        if self.case.ports != Ports::All {
            return Ok(());
        }
        traffic::ping(ours, from, to)?;
        // A host behind a NAT calls; a call to the NAT's own address would end there.
        if self.case.nat == Nat::BeforeUs && !self.case.tunnel {
            return Ok(());
        }
        let [from, to] = self.ends.theirs;
        guest.run(&format!("ping -n -q -c 5 -i 0.02 -W 2 -I {from} {to}"))?;
        let program = own_path()?;
        guest.run(&format!("{program} echo-client {to} {ECHO} {DATA}"))?;
        Ok(())
    }

    /// One side makes new keys while pings run: none may be lost by us.
    fn rekey(&self, guest: &mut Guest, key: Key, role: Role) -> Result<(), String> {
        if self.case.version != Version::V2 {
            // strongSwan begins as many main modes as it has IKE SAs, and gives them its pairs.
            let alone = || self.us.status().is_ok_and(|now| now.ike_sas.len() == 1);
            wait_for(PATIENCE, alone).ok_or("an IKE SA that was replaced does not go")?;
        }
        let before = self.settled(guest)?;
        let [from, to] = self.ends.ours;
        let pings = match (self.case.version, key) {
            (Version::V1 | Version::Windows2003, Key::Child) => PINGS_V1,
            _ => PINGS,
        };
        let pings = Pings::start(&self.stage.ground.ours, from, to, pings, INTERVAL)?;
        std::thread::sleep(Duration::from_millis(100));
        match (role, key) {
            (Role::We, Key::Child) => {
                self.us.command(&["sa", "rekey", "--rule", "net"])?;
            }
            (Role::We, Key::Ike) => {
                self.us.command(&["sa", "rekey", "--peer", "peer"])?;
            }
            (Role::They, key) => self.stage.peer.rekey(guest, key)?,
        }
        let changed = wait_for(PATIENCE, || {
            self.sa().is_ok_and(|sa| key.of(&sa) != key.of(&before))
        });
        let pinged = pings.finish()?;
        changed.ok_or("the SPIs are the same as before")?;
        self.settled(guest)?;
        self.judge(&pinged)
    }

    /// The peer makes new keys by itself while pings run: none may be lost by us.
    fn outlive(&self, guest: &mut Guest) -> Result<(), String> {
        let before = self.settled(guest)?;
        let [from, to] = self.ends.ours;
        let pings = OUTLIVED.as_millis() as u32 / INTERVAL;
        let pings = Pings::start(&self.stage.ground.ours, from, to, pings, INTERVAL)?;
        let (mut child, mut ike) = (false, false);
        let changed = wait_for(OUTLIVED, || {
            if let Ok(sa) = self.sa() {
                child |= Key::Child.of(&sa) != Key::Child.of(&before);
                ike |= Key::Ike.of(&sa) != Key::Ike.of(&before);
            }
            child && ike
        });
        let pinged = pings.finish()?;
        changed.ok_or(format!("a new child: {child}, a new IKE SA: {ike}"))?;
        self.settled(guest)?;
        self.judge(&pinged)
    }

    fn judge(&self, pinged: &Answered) -> Result<(), String> {
        match pinged.received + self.stage.peer.late() >= pinged.sent {
            true => Ok(()),
            false => Err(format!(
                "{} of {} pings came back",
                pinged.received, pinged.sent
            )),
        }
    }

    /// One side deletes, and neither has these SAs any more. A packet that was late may have
    /// begun others.
    pub(crate) fn delete(&self, guest: &mut Guest, role: Role) -> Result<(), String> {
        let before = self.settled(guest)?;
        let old: Vec<String> = kernel_sas(guest)?.into_iter().map(|sa| sa.spi).collect();
        match role {
            Role::We => self
                .us
                .command(&["sa", "delete", "--peer", "peer"])
                .map(drop)?,
            Role::They => self.stage.peer.delete(guest)?,
        }
        let spi = &before.initiator_spi;
        let mut left = (true, true);
        let gone = wait_for(PATIENCE, || {
            let status = self.us.status();
            let ours = status.map_or(true, |s| {
                s.ike_sas.iter().any(|sa| sa.initiator_spi == *spi)
            });
            let theirs = kernel_sas(guest);
            let theirs = theirs.map_or(true, |sas| sas.iter().any(|sa| old.contains(&sa.spi)));
            left = (ours, theirs);
            left == (false, false)
        });
        gone.map(drop).ok_or_else(|| {
            format!(
                "still there: our IKE SA {}, its kernel's SAs {}",
                left.0, left.1
            )
        })
    }

    /// Kills our daemon, does something, and starts it again.
    pub(crate) fn crash<T>(self, meanwhile: impl FnOnce() -> T) -> Result<(Self, T), String> {
        self.us.crash();
        let done = meanwhile();
        let us = daemon(&self.stage, &self.folder, &self.case)?;
        Ok((Trial { us, ..self }, done))
    }
}

/// Whether one pair is in use, and all others are in this state.
fn one_installed(sa: &api::IkeSa, others: &str) -> bool {
    let installed = |child: &&api::ChildSa| child.state == "installed";
    let others = |child: &api::ChildSa| child.state == others;
    let count = sa.child_sas.iter().filter(installed).count();
    count == 1
        && sa
            .child_sas
            .iter()
            .all(|child| installed(&child) || others(child))
}

/// Names the step that failed.
pub(crate) fn step<T>(name: &str, done: Result<T, String>) -> Result<T, String> {
    done.map_err(|why| format!("{name}: {why}"))
}

/// What was on the cable must be what the case wants, and nothing of it in clear.
fn judge(case: &Case, seen: Seen, forgets: bool) -> Result<String, String> {
    let (esp, other) = match case.nat {
        Nat::None => (seen.raw, seen.udp),
        _ => (seen.udp, seen.raw),
    };
    let its_clear = if forgets { 0 } else { seen.its_clear };
    match esp > 0 && other == 0 && seen.our_clear + its_clear == 0 {
        true => Ok(format!("{esp} ESP packets, none in clear")),
        false => Err(format!("on the cable there was {seen:?}")),
    }
}

/// Starts our daemon on the rules of a case, its files in `folder`.
pub(crate) fn daemon<'a>(
    stage: &Stage<'a>,
    folder: &Path,
    case: &Case,
) -> Result<Daemon<'a>, String> {
    // A short name for the socket, and the folder of the case for all the rest.
    let place = Place {
        program: stage.program,
        space: &stage.ground.ours,
        scratch: stage.scratch.path(),
        folder,
        name: "us",
    };
    Daemon::start(
        &place,
        &rules(case, stage.papers).text(),
        Some(&folder.join("keys")),
    )
}

/// Our side: peer `peer`, rule `net`.
fn rules(case: &Case, papers: &Papers) -> Rules<'static> {
    let ends = Ends::of(case);
    let ports = match case.ports {
        Ports::All => None,
        Ports::One => Some(format!("{ECHO}")),
        Ports::Two => Some(format!("[{ECHO}, {SECOND_ECHO}]")),
    };
    let more = ports.map_or(String::new(), |ports| {
        format!("protocol = \"tcp\"\nremote_ports = {ports}\n")
    });
    Rules {
        name: "peer",
        address: ends.them_seen,
        ids: [OUR_ID, THEIR_ID],
        proof: case.version.line().to_owned() + &proof(case.proof, papers),
        ike: case.ike,
        inside: ends.ours,
        mode: case.mode(),
        esp: case.esp,
        more,
    }
}

/// How we prove who we are.
fn proof(proof: Proof, papers: &Papers) -> String {
    let certificate = |proof| {
        let file = |kind| papers.file(proof, Side::Us, kind).display().to_string();
        let authority = papers.authority(proof).display().to_string();
        by_certificate(&file("pem"), &file("key"), &authority)
    };
    let in_order = |order: &str| {
        let both = certificate(Proof::Rsa) + &by_psk();
        both.replace("auth = \"certificate\"", &format!("auth = {order}"))
    };
    match proof {
        Proof::Psk => by_psk(),
        Proof::Ecdsa | Proof::Rsa => certificate(proof),
        Proof::PskSecond => in_order("[\"certificate\", \"psk\"]"),
        Proof::RsaSecond => in_order("[\"psk\", \"certificate\"]"),
    }
}
