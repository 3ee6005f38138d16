//! From runs to an outcome: the worst of what should be small, the sum of what is counted.

use std::fmt::Write;

use crate::hosts::Mail;
use crate::options::Options;
use crate::report::{Event, Outcome};
use crate::statistics::{milliseconds, quantile};
use crate::verdict::Run;

/// The outcome of no run yet.
pub(crate) fn new(name: &str, options: &Options, mail: &Mail) -> Outcome {
    let takeover = if options.plain {
        "none"
    } else {
        options.takeover.name()
    };
    let transport = match (options.plain, options.udp_encap) {
        (true, _) => "none",
        (false, true) => "udp",
        (false, false) => "raw",
    };
    let (service, proxy) = match options.has_mail() {
        true => (mail.service(), mail.proxy()),
        false => ("none", "none"),
    };
    Outcome {
        name: name.to_owned(),
        takeover: takeover.to_owned(),
        front_end: options.front_end.name().to_owned(),
        ike: options.ike.name().to_owned(),
        service: service.to_owned(),
        proxy: proxy.to_owned(),
        transport: transport.to_owned(),
        more_sas: if options.plain { 0 } else { options.more_sas },
        probe_interval_ms: options.probe_interval.as_secs_f64() * 1e3,
        ok: true,
        ..Outcome::default()
    }
}

/// The conditions of a run in one line.
pub(crate) fn note(options: &Options) -> String {
    let probe = format!(
        "a probe each {} ms",
        options.probe_interval.as_secs_f64() * 1e3
    );
    match options.plain {
        true => format!("no IPsec; {probe}"),
        false => format!(
            "front end {} with {}, takeover {}, {} more SAs; {probe}",
            options.front_end.name(),
            options.ike.name(),
            options.takeover.name(),
            options.more_sas
        ),
    }
}

/// A run in a few lines, for progress.
pub(crate) fn told(name: &str, run: &Run) -> String {
    let mut text = format!(
        "{name}: outage {} ms, {} of {} probes lost, {} clear, {} ESP, {} IKE after, {} of \
         them before traffic was back",
        milliseconds(run.outage),
        run.lost,
        run.sent,
        run.counts.clear,
        run.counts.esp,
        run.ike_after,
        run.ike_until_back,
    );
    for failure in &run.failures {
        // Writing to a String does not fail.
        let _ = write!(text, "\n            FAILED: {failure}");
    }
    text
}

/// Adds one run; `number` names it where there are several.
pub(crate) fn add(outcome: &mut Outcome, run: Run, number: Option<u32>) {
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
    outcome.ike_messages_until_back = outcome.ike_messages_until_back.max(run.ike_until_back);
    let mail_ms = run.mail.map(milliseconds);
    outcome.mail_ms = mail_ms.into_iter().chain(outcome.mail_ms).reduce(f64::max);
    outcome.ok &= run.failures.is_empty();
    let named = |failure| match number {
        Some(number) => format!("run {number}: {failure}"),
        None => failure,
    };
    outcome.failures.extend(run.failures.into_iter().map(named));
}
