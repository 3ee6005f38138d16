//! One scenario, once: build the lab, watch it as a client, do the thing, and see what was seen.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use linux::netns;

use crate::acts::{Stage, Story, end_of};
use crate::addresses::*;
use crate::bench::{Bench, PATIENCE, Purpose, Standing};
use crate::client;
use crate::error::{Error, file};
use crate::leftovers;
use crate::options::{FrontEnd, Scenario};
use crate::outcome;
use crate::picture;
use crate::probe::Seen;
use crate::shape::Shape;
use crate::topology;
use crate::verdict::{self, Run};

/// Quiet time that is watched before an event and after recovery.
const QUIET: Duration = Duration::from_millis(500);
/// Pause between mail sessions that failed.
const MAIL_PAUSE: Duration = Duration::from_millis(20);
/// How long one mail session may take before it is tried anew.
const MAIL_SESSION: Duration = Duration::from_secs(3);
/// Mail sessions of [`Scenario::Protect`].
const PROTECT_SESSIONS: u32 = 3;

/// Runs `scenario` once; captures, logs and the picture go to `folder`.
///
/// # Errors
/// When the lab cannot be built or is interrupted. The lab is taken down in any case.
pub(crate) fn run(bench: &Bench<'_>, scenario: Scenario, folder: &Path) -> Result<Run, Error> {
    let built = bench.build(Purpose::Scenario, folder);
    let result = built.and_then(|lab| watch(bench, scenario, lab, folder));
    let removed = leftovers::remove();
    let run = result?;
    removed?;
    Ok(run)
}

/// The measurement: steady state, events, recovery, evaluation.
fn watch(
    bench: &Bench<'_>,
    scenario: Scenario,
    mut lab: Standing,
    folder: &Path,
) -> Result<Run, Error> {
    let mut story = Story::default();
    steady(bench)?;
    let probe = bench.probe()?;
    bench.stop.sleep(QUIET)?;
    let shape = bench.options.shape();
    let sas = Sas::before(bench, scenario)?;
    let mut stage = Stage {
        bench,
        lab: &mut lab,
        probe: &probe,
        story: &mut story,
    };
    let mark = SystemTime::now();
    stage.begin(scenario)?;
    if scenario == Scenario::Protect && bench.options.has_mail() {
        protect(bench)?;
    }
    let since = stage.story.moments.first().map(|moment| moment.at);
    let mail = match bench.options.has_mail() {
        true => {
            let clients = Clients::start(since);
            stage.go_on(scenario)?;
            clients.wait(bench, &mut story)?
        }
        false => {
            stage.go_on(scenario)?;
            None
        }
    };
    bench.stop.sleep(QUIET)?;
    let seen = probe.stop();
    if !bench.options.plain {
        // Who owns it is judged elsewhere; here it is that nobody else keeps SAs.
        let (expected, dead) = end_of(scenario);
        let mut owners = topology::owners(shape)?;
        owners.retain(|owner| !dead.contains(owner));
        let owner = match owners.as_slice() {
            &[owner] => owner,
            _ => expected,
        };
        let rivals = shape.others(owner).filter(|rival| !dead.contains(rival));
        let rivals: Vec<_> = rivals.collect();
        let odd = verdict::negotiated(bench.options, owner, &rivals, &bench.stop)?;
        story.failures.extend(odd);
    }
    story.failures.extend(sas.and_then(Sas::differ));
    let mut run = finish(
        lab,
        shape,
        (story, mark),
        &seen,
        mail,
        (scenario.title(), &outcome::note(bench.options), folder),
    )?;
    if shape == Shape::Witnessed && scenario.loses_nothing() && run.lost > 0 {
        let text = format!("{} probes were lost; none may be here", run.lost);
        run.failures.push(text);
    }
    if bench.options.replicates() && scenario.keeps_sas() {
        run.failures.extend(verdict::without_ike(&run));
    }
    Ok(verdict::judge(
        bench.options,
        bench.options.bound_ms(scenario),
        run,
    ))
}

/// Ends the programs and the captures, draws the picture, and puts together what was seen.
///
/// # Errors
/// When a capture failed, or the picture cannot be written.
pub(crate) fn finish(
    mut lab: Standing,
    shape: Shape,
    (story, mark): (Story, SystemTime),
    seen: &Seen,
    mail: Option<Duration>,
    (title, note, folder): (&str, &str, &Path),
) -> Result<Run, Error> {
    let generations = lab.generations();
    // One node survives the other for a moment and says so to its peers: not the scenario's doing.
    let end = SystemTime::now();
    drop(lab.hosts);
    let counts = lab.captures.stop()?;
    let mut failures = story.failures;
    failures.extend(verdict::standbys_silent(shape, &counts, mark));
    let findings = lab
        .captures
        .sight(|sight| sight.oracle.report(&generations));
    failures.extend(findings.failures());
    let gaps = verdict::gaps(&story.moments, seen);
    let start = lab.captures.start_time();
    let by_clock = |at: Instant| start.1 + at.saturating_duration_since(start.0);
    let back = gaps.first().map(|after| {
        let end = after.gap.from.checked_add(after.gap.length);
        by_clock(end.unwrap_or(seen.end))
    });
    let ike_until_back = back.map_or(0, |back| counts.ike_between(mark, back));
    let scene = picture::Scene {
        title,
        note,
        start: start.0,
        moments: &story.moments,
        gaps: &gaps,
        seen,
    };
    let path = folder.join("picture.svg");
    let picture = lab
        .captures
        .sight(|sight| picture::draw(&scene, &sight.flow));
    fs::write(&path, picture).map_err(file(&path))?;
    Ok(Run {
        sent: seen.sent,
        lost: seen.lost,
        outage: seen.outage(),
        gaps,
        ike_after: counts.ike_between(mark, end),
        ike_until_back,
        counts,
        findings,
        mail,
        failures,
    })
}

/// Waits until probes are answered and mail can be read: SAs exist from here on.
fn steady(bench: &Bench<'_>) -> Result<(), Error> {
    bench.answered()?;
    if !bench.options.has_mail() {
        return Ok(());
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

/// The front end's SAs before a scenario that shall need no others, where a witness decides.
struct Sas(BTreeSet<String>);

impl Sas {
    fn before(bench: &Bench<'_>, scenario: Scenario) -> Result<Option<Self>, Error> {
        let options = bench.options;
        let ours = options.front_end == FrontEnd::Holdfast && options.replicates();
        if !(ours && options.witness && scenario.same_sas()) {
            return Ok(None);
        }
        let sas = verdict::front_end_sas().map_err(|detail| Error::Program {
            name: "the front end:".into(),
            detail,
        })?;
        Ok(Some(Self(sas)))
    }

    /// What is other than it was, as a sentence.
    fn differ(self) -> Option<String> {
        let now = match verdict::front_end_sas() {
            Ok(now) => now,
            Err(why) => return Some(format!("the front end's SAs are not known: {why}")),
        };
        let (gone, new) = (
            self.0.difference(&now).count(),
            now.difference(&self.0).count(),
        );
        (gone + new > 0).then(|| {
            format!(
                "the front end does not have the same SAs as before: of their {} SPIs {gone} are \
                 gone, and {new} are new",
                self.0.len()
            )
        })
    }
}

/// [`Scenario::Protect`]: mail sessions, and nothing else.
fn protect(bench: &Bench<'_>) -> Result<(), Error> {
    for _ in 1..PROTECT_SESSIONS {
        bench.stop.check()?;
        let session = || client::read_mail(FE_FRONT.into(), MAIL_SESSION);
        // A failure shows in the session that is judged.
        let _ = netns::run(CLIENT, session)?;
    }
    Ok(())
}

/// Who wants to read mail once it can be read again.
struct Clients {
    four: MailBack,
    six: MailBack,
}

impl Clients {
    /// Starts them; the time that it takes counts from `since`, or from now.
    fn start(since: Option<Instant>) -> Self {
        Self {
            four: MailBack::start(CLIENT, FE_FRONT.into(), since),
            // The same mail over IPv6, straight from the front end: the proxy speaks IPv4.
            six: MailBack::start(FE, VIP6.into(), since),
        }
    }

    /// Waits for all of them; answers how long mail took.
    fn wait(self, bench: &Bench<'_>, story: &mut Story) -> Result<Option<Duration>, Error> {
        let mail = self.four.wait(bench, "mail", &mut story.failures)?;
        self.six
            .wait(bench, "mail over IPv6", &mut story.failures)?;
        if story.moments.len() > 1 {
            // What moved again is learned by traffic, and over IPv6 nothing else sends any.
            let six = MailBack::start(FE, VIP6.into(), None);
            six.wait(bench, "mail over IPv6 at the end", &mut story.failures)?;
        }
        Ok(mail)
    }
}

/// A mail client that tries until it has read its mail; answers when that was.
struct MailBack {
    since: Instant,
    client: JoinHandle<Result<Instant, String>>,
}

impl MailBack {
    /// Starts it; the time that it takes counts from `since`, or from now.
    fn start(host: &'static str, server: IpAddr, since: Option<Instant>) -> Self {
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
        let since = since.unwrap_or(start);
        Self { since, client }
    }

    /// Waits for the mail session that works after the event.
    fn wait(
        self,
        bench: &Bench<'_>,
        what: &str,
        failures: &mut Vec<String>,
    ) -> Result<Option<Duration>, Error> {
        let patience = PATIENCE + MAIL_SESSION;
        bench.stop.until(patience, || self.client.is_finished())?;
        match self.client.join() {
            Ok(Ok(at)) => Ok(Some(at.duration_since(self.since))),
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

/// Where the results of one run go.
pub(crate) fn folder(out: &Path, name: &str, run: u32, runs: u32) -> PathBuf {
    let folder = out.join(name);
    if runs > 1 {
        folder.join(format!("run-{run:02}"))
    } else {
        folder
    }
}
