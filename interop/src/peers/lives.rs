//! What happens to SAs when one side loses them: crashes, a reboot, a child that is deleted.

use std::time::Duration;

use crate::guest::Guest;
use crate::peers::case::{Case, Role};
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
    /// What the peer is configured for.
    pub(crate) case: Case,
}

pub(crate) const CHILD_DELETED: Life = Life {
    name: "it deletes the child SA alone; traffic makes another one under the same IKE SA",
    play: child_deleted,
};
pub(crate) const IT_DELETES: Life = Life {
    name: "it deletes the IKE SA that we began; traffic makes another one",
    play: it_deletes,
};
pub(crate) const IT_CALLS_AGAIN: Life = Life {
    name: "its daemon and SAs are lost, and it calls again with INITIAL_CONTACT",
    play: it_calls_again,
};
pub(crate) const IT_CALLS_LIKE_ANOTHER: Life = Life {
    name: "its daemon and SAs are lost, it calls again without INITIAL_CONTACT, and we ask the old \
           SA for a sign of life",
    play: it_calls_again,
};
pub(crate) const WE_FIND_OUT: Life = Life {
    name: "its daemon and SAs are lost without a word, and our liveness check finds out",
    play: we_find_out,
};
pub(crate) const WE_CALL_AGAIN: Life = Life {
    name: "our daemon is killed, and calls again with INITIAL_CONTACT",
    play: we_call_again,
};
pub(crate) const WE_REPLACE: Life = Life {
    name: "our daemon is killed, and calls again; it replaces the SAs of the same identity",
    play: we_call_again,
};
/// Boots another guest.
pub(crate) const IT_BOOTS_AGAIN: Life = Life {
    name: "its host is reset, boots, and calls again with INITIAL_CONTACT",
    play: it_boots_again,
};

impl<'a> Scene<'a> {
    pub(crate) fn open(&self, guest: &mut Guest, name: &str) -> Result<Trial<'a>, String> {
        self.open_for(guest, name, self.case)
    }

    /// The same with another configuration.
    pub(crate) fn open_for(
        &self,
        guest: &mut Guest,
        name: &str,
        case: Case,
    ) -> Result<Trial<'a>, String> {
        let peer = self.stage.peer.log().trim_end_matches(".log");
        let mut trial = Trial::begin(self.stage, guest, &format!("{peer}-{name}"), case)?;
        trial.forgets = true;
        Ok(trial)
    }
}

fn child_deleted(scene: &Scene<'_>, guest: &mut Guest) -> Result<String, String> {
    let trial = scene.open(guest, "child-deleted")?;
    let played = (|| {
        trial.establish(guest, Role::They)?;
        let before = trial.settled(guest)?;
        scene.stage.peer.delete_child(guest)?;
        step("traffic", trial.traffic(guest))?;
        let after = trial.settled(guest)?;
        match after.initiator_spi == before.initiator_spi {
            true => Ok("the IKE SA stays".to_owned()),
            false => Err("there is another IKE SA".to_owned()),
        }
    })();
    trial.end(played)
}

fn it_deletes(scene: &Scene<'_>, guest: &mut Guest) -> Result<String, String> {
    let trial = scene.open(guest, "it-deletes")?;
    let played = (|| {
        step("established", trial.establish(guest, Role::We))?;
        step("deleted", trial.delete(guest, Role::They))?;
        step("traffic", trial.traffic(guest))?;
        trial.settled(guest)?;
        Ok("another IKE SA".to_owned())
    })();
    trial.end(played)
}

fn it_calls_again(scene: &Scene<'_>, guest: &mut Guest) -> Result<String, String> {
    let trial = scene.open(guest, "it-calls-again")?;
    let played = (|| {
        let before = begin(&trial, guest)?;
        scene.stage.peer.crash(guest)?;
        scene.stage.peer.start(guest)?;
        scene.stage.peer.load(guest, &scene.case)?;
        again(&trial, guest, Role::They, &before)
    })();
    trial.end(played)
}

fn we_find_out(scene: &Scene<'_>, guest: &mut Guest) -> Result<String, String> {
    let trial = scene.open(guest, "we-find-out")?;
    let played = (|| {
        let before = begin(&trial, guest)?;
        scene.stage.peer.crash(guest)?;
        scene.stage.peer.start(guest)?;
        scene.stage.peer.load(guest, &scene.case)?;
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
    let trial = scene.open(guest, "we-call-again")?;
    let before = match begin(&trial, guest) {
        Ok(before) => before,
        Err(why) => return trial.end(Err(why)),
    };
    let (trial, ()) = trial.crash(|| ())?;
    let played = again(&trial, guest, Role::We, &before);
    trial.end(played)
}

fn it_boots_again(scene: &Scene<'_>, guest: &mut Guest) -> Result<String, String> {
    let trial = scene.open(guest, "it-boots-again")?;
    let played = (|| {
        let before = begin(&trial, guest)?;
        guest.reset();
        *guest = scene
            .stage
            .ground
            .boot(scene.stage.scratch, scene.stage.folder)?;
        scene.stage.peer.start(guest)?;
        scene.stage.peer.load(guest, &scene.case)?;
        again(&trial, guest, Role::They, &before)
    })();
    trial.end(played)
}

/// Establishes it, and answers the IKE SA's SPI.
pub(crate) fn begin(trial: &Trial<'_>, guest: &mut Guest) -> Result<String, String> {
    step("established", trial.establish(guest, Role::They))?;
    step("traffic", trial.traffic(guest))?;
    Ok(trial.settled(guest)?.initiator_spi)
}

/// One side establishes it again: the old SAs must be gone at both, with no time to wait for.
pub(crate) fn again(
    trial: &Trial<'_>,
    guest: &mut Guest,
    role: Role,
    before: &str,
) -> Result<String, String> {
    let took = step("established again", trial.establish(guest, role))?;
    step("traffic", trial.traffic(guest))?;
    match trial.settled(guest)?.initiator_spi == before {
        true => Err("the IKE SA is the same".into()),
        false => Ok(format!("again in {took}, the old SAs are gone")),
    }
}
