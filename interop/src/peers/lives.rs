//! What happens to SAs when one side loses them: crashes, a reboot, a child that is deleted.

use std::path::Path;
use std::time::Duration;

use crate::folder::Scratch;
use crate::guest::Guest;
use crate::peers::case::{PLAIN, Role};
use crate::peers::strongswan::StrongSwan;
use crate::peers::trial::{Stage, Trial, step};
use crate::program::wait_for;
use crate::traffic::Pings;

/// How long it may take until traffic flows again when nobody says that SAs were lost: liveness
/// after 2 s, retransmissions for 8 s, and the pace of an emulated machine.
const SILENT_LOSS: Duration = Duration::from_secs(30);

/// One of them: its name on the page, and how it is played.
pub(crate) struct Life {
    pub(crate) name: &'static str,
    pub(crate) play: fn(&Scene<'_>, &mut Guest) -> Result<String, String>,
}

/// What they need.
pub(crate) struct Scene<'a> {
    pub(crate) stage: Stage<'a>,
    pub(crate) swan: &'a StrongSwan,
    pub(crate) scratch: &'a Scratch,
    pub(crate) folder: &'a Path,
}

/// In their order: the last one boots another guest.
pub(crate) const ALL: [Life; 5] = [
    Life {
        name: "it deletes the child SA alone; traffic makes another one under the same IKE SA",
        play: child_deleted,
    },
    Life {
        name: "its daemon and SAs are lost, and it calls again with INITIAL_CONTACT",
        play: it_calls_again,
    },
    Life {
        name: "its daemon and SAs are lost without a word, and our liveness check finds out",
        play: we_find_out,
    },
    Life {
        name: "our daemon is killed, and calls again with INITIAL_CONTACT",
        play: we_call_again,
    },
    Life {
        name: "its host is reset, boots, and calls again with INITIAL_CONTACT",
        play: it_boots_again,
    },
];

fn child_deleted(scene: &Scene<'_>, guest: &mut Guest) -> Result<String, String> {
    let trial = Trial::begin(scene.stage, guest, "child-deleted", PLAIN)?;
    let played = (|| {
        trial.establish(guest, Role::They)?;
        let before = trial.settled(guest)?;
        scene
            .swan
            .swanctl(guest, "--terminate --child net --timeout 10")?;
        step("traffic", trial.traffic(guest))?;
        let after = trial.settled(guest)?;
        match after.initiator_spi == before.initiator_spi {
            true => Ok("the IKE SA stays".to_owned()),
            false => Err("there is another IKE SA".to_owned()),
        }
    })();
    trial.end(played)
}

fn it_calls_again(scene: &Scene<'_>, guest: &mut Guest) -> Result<String, String> {
    let trial = Trial::begin(scene.stage, guest, "it-calls-again", PLAIN)?;
    let played = (|| {
        let before = begin(&trial, guest)?;
        scene.stage.peer.crash(guest)?;
        scene.stage.peer.start(guest)?;
        scene.stage.peer.load(guest, &PLAIN)?;
        again(&trial, guest, Role::They, &before)
    })();
    trial.end(played)
}

fn we_find_out(scene: &Scene<'_>, guest: &mut Guest) -> Result<String, String> {
    let trial = Trial::begin(scene.stage, guest, "we-find-out", PLAIN)?;
    let played = (|| {
        let before = begin(&trial, guest)?;
        scene.stage.peer.crash(guest)?;
        scene.stage.peer.start(guest)?;
        scene.stage.peer.load(guest, &PLAIN)?;
        let [from, to] = trial.ends.ours;
        let ours = &scene.stage.ground.ours;
        let answered = || Pings::start(ours, from, to, 1, 10).and_then(Pings::finish);
        let took = wait_for(SILENT_LOSS, || {
            answered().is_ok_and(|done| done.received == 1)
        });
        let took = took.ok_or("no ping came back")?;
        let after = trial.settled(guest)?;
        step("traffic", trial.traffic(guest))?;
        match after.initiator_spi != before {
            true => Ok(format!("pings again after {:.1} s", took.as_secs_f64())),
            false => Err("the IKE SA is the same".to_owned()),
        }
    })();
    trial.end(played)
}

fn we_call_again(scene: &Scene<'_>, guest: &mut Guest) -> Result<String, String> {
    let trial = Trial::begin(scene.stage, guest, "we-call-again", PLAIN)?;
    let before = match begin(&trial, guest) {
        Ok(before) => before,
        Err(why) => return trial.end(Err(why)),
    };
    let trial = trial.crash()?;
    let played = again(&trial, guest, Role::We, &before);
    trial.end(played)
}

fn it_boots_again(scene: &Scene<'_>, guest: &mut Guest) -> Result<String, String> {
    let trial = Trial::begin(scene.stage, guest, "it-boots-again", PLAIN)?;
    let played = (|| {
        let before = begin(&trial, guest)?;
        guest.reset();
        *guest = scene.stage.ground.boot(scene.scratch, scene.folder)?;
        scene.stage.peer.start(guest)?;
        scene.stage.peer.load(guest, &PLAIN)?;
        again(&trial, guest, Role::They, &before)
    })();
    trial.end(played)
}

/// Establishes it, and answers the IKE SA's SPI.
fn begin(trial: &Trial<'_>, guest: &mut Guest) -> Result<String, String> {
    step("established", trial.establish(guest, Role::They))?;
    step("traffic", trial.traffic(guest))?;
    Ok(trial.settled(guest)?.initiator_spi)
}

/// One side establishes it again: the old SAs must be gone at both, with no time to wait for.
fn again(trial: &Trial<'_>, guest: &mut Guest, role: Role, before: &str) -> Result<String, String> {
    let took = step("established again", trial.establish(guest, role))?;
    step("traffic", trial.traffic(guest))?;
    match trial.settled(guest)?.initiator_spi == before {
        true => Err("the IKE SA is the same".into()),
        false => Ok(format!("again in {took}, the old SAs are gone")),
    }
}
