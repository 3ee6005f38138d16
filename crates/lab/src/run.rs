//! From options to report: the order in which the lab does things.

use std::fs;
use std::path::Path;

use linux::process;

use crate::addresses::*;
use crate::bench::Bench;
use crate::error::{Error, file};
use crate::ground::Ground;
use crate::hosts::socket;
use crate::keepalived;
use crate::leftovers;
use crate::lock::Lock;
use crate::options::{Beside, Options, Scenario, Takeover};
use crate::outcome;
use crate::progress::Progress;
use crate::report::{Host, Outcome, Report};
use crate::scenario::{self, folder};

/// Builds the lab, runs the chosen scenarios, takes it down and reports; the report is also
/// written as `report.json` into the result folder.
///
/// Namespaces and processes of a killed predecessor are removed first. Ctrl-C, SIGTERM and
/// SIGHUP end the lab early, and it is taken down all the same.
///
/// # Errors
/// When the lab could not be built or measured; a scenario that missed its goal is in the report.
pub fn run(options: &Options) -> Result<Report, Error> {
    refuse(options)?;
    let Ground {
        bench,
        out,
        progress,
        ..
    } = &Ground::prepare(options)?;
    progress.say(format!(
        "mail service: {}; front-end proxy: {}",
        bench.mail.service(),
        bench.mail.proxy()
    ));

    let mut report = Report {
        schema: 1,
        host: Host::this(),
        scenarios: Vec::new(),
    };
    for scenario in options.chosen() {
        report
            .scenarios
            .push(series(bench, scenario, out, progress)?);
    }
    if options.beside == Some(Beside::Keepalived) {
        report
            .scenarios
            .extend(keepalived::series(bench, out, progress)?);
    }
    let path = out.join("report.json");
    let json = serde_json::to_string_pretty(&report).unwrap_or_default();
    fs::write(&path, json + "\n").map_err(file(&path))?;
    progress.say(format!(
        "captures, logs and report.json are in {}",
        out.display()
    ));
    if options.keys && !options.plain {
        progress.say(how_to_decrypt(options, out));
    }
    if options.keep {
        bench.leave_standing(&out.join("standing"))?;
        progress.say(how_to_play());
    }
    Ok(report)
}

/// What cannot be had together.
///
/// # Errors
/// A sentence.
pub(crate) fn refuse(options: &Options) -> Result<(), Error> {
    let needs_daemons = options.chosen().into_iter().find(|s| !s.works_plain());
    let chosen = options.chosen();
    let needs_witness = chosen.iter().find(|scenario| scenario.needs_witness());
    if let Some(scenario) = needs_witness.filter(|_| !options.witness) {
        return Err(Error::Usage(format!(
            "the scenario {} needs three nodes and a witness: add --witness",
            scenario.name()
        )));
    }
    if options.witness && (options.plain || options.takeover != Takeover::Replicate) {
        let text = "a witness decides who goes on with SAs, so --witness needs takeover replicate";
        return Err(Error::Usage(text.into()));
    }
    match needs_daemons.filter(|_| options.plain) {
        Some(scenario) => Err(Error::Usage(format!(
            "the scenario {} is about the daemons, which --plain does without; leave one of \
             them out",
            scenario.name()
        ))),
        None => Ok(()),
    }
}

/// Removes every namespace and process of the lab, whoever left it.
///
/// # Errors
/// When a lab is running, or the kernel refuses.
pub fn down() -> Result<(), Error> {
    if !process::is_root() {
        return Err(Error::NotRoot);
    }
    let _lock = Lock::take()?;
    leftovers::remove().map(drop)
}

/// One scenario as often as wanted.
fn series(
    bench: &Bench<'_>,
    scenario: Scenario,
    out: &Path,
    progress: &Progress,
) -> Result<Outcome, Error> {
    let runs = bench.options.runs.max(1);
    let mut outcome = outcome::new(scenario.name(), bench.options, &bench.mail);
    let mut mail_always = true;
    for number in 1..=runs {
        progress.say(format!("{}: run {number} of {runs}", scenario.name()));
        let run = scenario::run(bench, scenario, &folder(out, scenario.name(), number, runs))?;
        progress.say(outcome::told(scenario.name(), &run));
        mail_always &= run.mail.is_some();
        outcome::add(&mut outcome, run, (runs > 1).then_some(number));
    }
    if !mail_always {
        outcome.mail_ms = None;
    }
    Ok(outcome)
}

/// The front end is one end of every SA, so its keys open every capture.
fn how_to_decrypt(options: &Options, out: &Path) -> String {
    let chosen = options.chosen();
    let scenario = chosen.last().copied().unwrap_or(Scenario::Protect);
    let runs = options.runs.max(1);
    let folder = folder(out, scenario.name(), runs, runs);
    format!(
        "whoever reads the key tables can read the traffic, for example with\n\
         \x20 WIRESHARK_CONFIG_DIR={keys} tshark -o esp.enable_encryption_decode:TRUE -r {capture}",
        keys = folder.join("logs/keys/fe").display(),
        capture = folder.join("fe.pcap").display(),
    )
}

fn how_to_play() -> String {
    format!(
        "the lab is left standing. To play in it:\n\
         \x20 ip netns exec {CLIENT} curl pop3://{USER}:{PASSWORD}@{FE_FRONT}/1\n\
         \x20 ip netns exec {FE} ping {VIP}\n\
         \x20 holdfast status --socket {}\n\
         \x20 holdfast cluster move {GROUP} --to be2 --socket {}\n\
         \x20 ip netns exec {SWITCH} tcpdump -ni p-fe\n\
         \x20 holdfast lab --down   takes it down",
        socket("fe").display(),
        socket("be1").display(),
    )
}
