//! `peers` and `ikev1`: foreign IKE daemons with a kernel's ESP in a guest, in both roles (RFC
//! 7296, RFC 2409, RFC 4303).

mod case;
mod fingerprint;
mod foreign;
mod ground;
mod ikev1;
mod isakmp;
mod libreswan;
mod lives;
mod matrix;
mod openiked;
mod page;
mod papers;
mod plan;
mod scan;
mod strongswan;
mod trial;
mod wire;

use std::path::Path;
use std::thread;
use std::time::Instant;

use crate::folder::{self, Scratch};
use crate::guest::Guest;
use crate::holdfast;
use crate::table::Table;
pub(crate) use case::Version;
use case::{Case, Role};
pub(crate) use foreign::{Foreign, kernel_sas};
use ground::Ground;
use libreswan::Libreswan;
use lives::{Life, Scene};
use openiked::OpenIked;
use page::{Mark, Page};
use papers::Papers;
use plan::{Plan, Trials};
pub(crate) use strongswan::StrongSwan;
use trial::Stage;

/// Peers of IKEv2; `words` are those behind the verb.
pub(crate) fn run(out: &Path, words: &[&str]) -> Result<(), String> {
    play(out, &matrix::PLAN, words)
}

/// Peers of IKEv1.
pub(crate) fn run_ikev1(out: &Path, words: &[&str]) -> Result<(), String> {
    play(out, &ikev1::PLAN, words)
}

/// Runs every case in both roles, then what happens when SAs are lost.
fn play(out: &Path, plan: &Plan, words: &[&str]) -> Result<(), String> {
    let verb = plan.verb;
    let begun = Instant::now();
    let only = match words {
        [] | ["write"] => None,
        ["only", text] => Some(*text),
        _ => return Err(format!("`{verb} {}` is unknown", words.join(" "))),
    };
    let folder = folder::results(out, verb)?;
    let program = holdfast::build()?;
    let scratch = Scratch::new()?;
    let papers = Papers::new(&folder)?;
    let ground = Ground::new()?;
    let beside = plan
        .beside
        .filter(|_| only.is_none_or(|text| scan::PEER.contains(text)));
    let beside = beside.map(|beside| {
        let (program, folder) = (program.clone(), folder.clone());
        let scratch = scratch.path().to_owned();
        thread::spawn(move || beside(&program, &scratch, &folder))
    });
    let mut guest = ground.boot(&scratch, &folder)?;
    let _echo = ground.echo(&folder)?;
    let mut run = Run {
        table: Table::new(verb),
        page: Page::new(plan),
        only,
        count: 0,
    };
    let took = format!("{:.1} s", guest.took().as_secs_f64());
    run.table.add("boots in QEMU", guest.release(), Ok(took));
    let stage = |peer| Stage {
        ground: &ground,
        program: &program,
        scratch: &scratch,
        folder: &folder,
        papers: &papers,
        peer,
    };
    let swan = StrongSwan::new(&folder)?;
    swan.furnish(&papers)?;
    let libreswan = Libreswan::new(&folder, &papers)?;
    let openiked = OpenIked::new(&folder, &papers);
    for (peer, trials) in [
        (&swan as &dyn Foreign, Some(plan.strongswan)),
        (&libreswan, Some(plan.libreswan)),
        (&openiked, plan.openiked),
    ] {
        if let Some(trials) = trials {
            run.trials(stage(peer), &mut guest, trials)?;
        }
    }
    let mut answers = Vec::new();
    if run.wanted(scan::PEER) {
        answers.extend((plan.scan)(stage(&swan)));
    }
    if let Some(beside) = beside {
        answers.extend(beside.join().map_err(|_| "ike-scan's thread has failed")?);
    }
    run.finish(plan, answers);
    println!("interop {verb}: {} s", begun.elapsed().as_secs());
    let finished = run.table.finish(&folder);
    match (only, words) {
        (Some(_), _) => finished,
        (None, ["write"]) => finished.and_then(|()| run.page.write()),
        (None, _) => finished.and_then(|()| run.page.check()),
    }
}

/// What was tried so far.
struct Run<'a> {
    table: Table,
    page: Page,
    /// Only rows with this in their names.
    only: Option<&'a str>,
    count: usize,
}

impl Run<'_> {
    fn wanted(&self, name: &str) -> bool {
        self.only.is_none_or(|text| name.contains(text))
    }

    /// What ike-scan was answered, and what is not tried.
    fn finish(&mut self, plan: &Plan, answers: scan::Answers) {
        for (what, done) in answers {
            self.page.life(scan::PEER, what, Mark::of(&done));
            self.table.add(what, scan::PEER, done);
        }
        for (peer, what, why) in plan.impossible {
            self.page.impossible(peer, what, why);
            self.table.not_tried(what, peer, why);
        }
    }

    /// All of one peer.
    fn trials(
        &mut self,
        stage: Stage<'_>,
        guest: &mut Guest,
        trials: &Trials,
    ) -> Result<(), String> {
        stage.peer.start(guest)?;
        self.cases(stage, guest, trials.cases);
        let case = trials.case;
        self.lives(&Scene { stage, case }, guest, trials.lives);
        stage.peer.crash(guest)
    }

    fn cases(&mut self, stage: Stage<'_>, guest: &mut Guest, cases: &[Case]) {
        let peer = stage.peer.name();
        for case in cases {
            self.count += 1;
            let mut marks = Vec::new();
            for role in Role::BOTH {
                let what = format!("{case}, {}", role.words());
                if !case.can_begin(role) || !self.wanted(&format!("{peer} {what}")) {
                    marks.push(Mark::Impossible);
                    continue;
                }
                let letter = if role == Role::We { 'i' } else { 'r' };
                let name = format!("{:02}{letter}", self.count);
                let done = trial::play(stage, guest, &name, *case, role);
                marks.push(Mark::of(&done));
                self.table.add(&what, peer, done);
            }
            self.page.case(peer, case, &marks);
        }
    }

    fn lives(&mut self, scene: &Scene<'_>, guest: &mut Guest, lives: &[Life]) {
        let peer = scene.stage.peer.name();
        for life in lives {
            if !self.wanted(&format!("{peer} {}", life.name)) {
                continue;
            }
            let done = (life.play)(scene, guest);
            self.page.life(peer, life.name, Mark::of(&done));
            self.table.add(life.name, peer, done);
        }
    }
}
