//! From options to report: the order in which the lab does things.

use std::fs;
use std::path::Path;

use linux::process;

use crate::addresses::*;
use crate::bench::Bench;
use crate::error::{Error, file};
use crate::ground::Ground;
use crate::hosts::socket;
use crate::leftovers;
use crate::lock::Lock;
use crate::options::{Options, Scenario};
use crate::progress::Progress;
use crate::report::{Event, Host, Outcome, Report};
use crate::scenario::{self, folder};
use crate::statistics::quantile;
use crate::verdict::Run;

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
fn refuse(options: &Options) -> Result<(), Error> {
    let needs_daemons = options.chosen().into_iter().find(|s| !s.works_plain());
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
    let mut outcome = Outcome {
        name: scenario.name().to_owned(),
        takeover: if bench.options.plain {
            "none"
        } else {
            bench.options.takeover.name()
        }
        .to_owned(),
        service: bench.mail.service().to_owned(),
        proxy: bench.mail.proxy().to_owned(),
        transport: transport(bench.options).to_owned(),
        probe_interval_ms: bench.options.probe_interval.as_secs_f64() * 1e3,
        ok: true,
        ..Outcome::default()
    };
    let mut mail_always = true;
    for number in 1..=runs {
        progress.say(format!("{}: run {number} of {runs}", scenario.name()));
        let run = scenario::run(bench, scenario, &folder(out, scenario, number, runs))?;
        let outage_ms = milliseconds(run.outage);
        progress.say(format!(
            "{}: outage {outage_ms} ms, {} of {} probes lost, {} clear, {} ESP, {} IKE after",
            scenario.name(),
            run.lost,
            run.sent,
            run.counts.clear,
            run.counts.esp,
            run.ike_after,
        ));
        for failure in &run.failures {
            progress.say(format!("{}: FAILED: {failure}", scenario.name()));
        }
        mail_always &= run.mail.is_some();
        add(
            &mut outcome,
            run,
            if runs > 1 { Some(number) } else { None },
        );
    }
    if !mail_always {
        outcome.mail_ms = None;
    }
    Ok(outcome)
}

/// Adds one run to the outcome: the worst of what should be small, the sum of what is counted.
fn add(outcome: &mut Outcome, run: Run, number: Option<u32>) {
    let outage_ms = milliseconds(run.outage);
    outcome.outages_ms.push(outage_ms);
    outcome.outage_ms = outcome.outage_ms.max(outage_ms);
    outcome.p50_ms = quantile(&outcome.outages_ms, 0.5);
    outcome.p99_ms = quantile(&outcome.outages_ms, 0.99);
    for (place, after) in run.gaps.iter().enumerate() {
        if outcome.events.len() <= place {
            outcome.events.push(Event {
                name: after.what.to_owned(),
                ..Event::default()
            });
        }
        if let Some(event) = outcome.events.get_mut(place) {
            event.add(milliseconds(after.gap.length), after.lost);
        }
    }
    outcome.oracle.add(run.findings);
    outcome.probes_sent += run.sent;
    outcome.probes_lost += run.lost;
    outcome.clear_packets += run.counts.clear;
    outcome.esp_packets += run.counts.esp;
    outcome.capture_dropped += run.counts.dropped;
    outcome.ike_messages_after = outcome.ike_messages_after.max(run.ike_after);
    let mail_ms = run.mail.map(milliseconds);
    outcome.mail_ms = mail_ms.into_iter().chain(outcome.mail_ms).reduce(f64::max);
    outcome.ok &= run.failures.is_empty();
    let named = |failure| match number {
        Some(number) => format!("run {number}: {failure}"),
        None => failure,
    };
    outcome.failures.extend(run.failures.into_iter().map(named));
}

/// Milliseconds with one decimal; a silence without end is the largest number JSON can carry.
fn milliseconds(time: std::time::Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

fn transport(options: &Options) -> &'static str {
    match (options.plain, options.udp_encap) {
        (true, _) => "none",
        (false, true) => "udp",
        (false, false) => "raw",
    }
}

/// The front end is one end of every SA, so its keys open every capture.
fn how_to_decrypt(options: &Options, out: &Path) -> String {
    let chosen = options.chosen();
    let scenario = chosen.last().copied().unwrap_or(Scenario::Protect);
    let runs = options.runs.max(1);
    let folder = folder(out, scenario, runs, runs);
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
