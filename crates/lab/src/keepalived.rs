//! Beside ours: Debian's keepalived (VRRP, RFC 9568) moves a plain address after the same crash.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::acts::{Stage, Story};
use crate::addresses::*;
use crate::bench::{Bench, Purpose, Standing};
use crate::error::{Error, file};
use crate::fault::Fault;
use crate::leftovers;
use crate::options::Options;
use crate::outcome;
use crate::program::find;
use crate::progress::Progress;
use crate::report::Outcome;
use crate::scenario::{self, folder};
use crate::topology::{self, short};
use crate::verdict::{self, Run};

/// The name in the report.
const NAME: &str = "crash-keepalived";
/// Adverts in seconds: the shortest interval that VRRP version 3 can say.
const ADVERT: &str = "0.01";
/// How long it may take until the first node has the address.
const START: Duration = Duration::from_secs(15);
/// Quiet time before the crash and after recovery.
const QUIET: Duration = Duration::from_millis(500);

/// The crash of the active node as often as the scenarios are run, each measured by the same
/// probe; nothing, with one line that says so, where keepalived is not installed.
///
/// # Errors
/// When the lab cannot be built.
pub(crate) fn series(
    bench: &Bench<'_>,
    out: &Path,
    progress: &Progress,
) -> Result<Option<Outcome>, Error> {
    let Some(program) = find("keepalived") else {
        progress.say("keepalived is not installed, so it is not measured (Debian: keepalived)");
        return Ok(None);
    };
    // Without IPsec, and so without daemons.
    let options = Options {
        plain: true,
        witness: false,
        ..bench.options.clone()
    };
    let bench = Bench {
        options: &options,
        program: bench.program.clone(),
        mail: bench.mail.clone(),
        stop: bench.stop.clone(),
    };
    let mut outcome = outcome::new(NAME, &options, &bench.mail);
    let runs = options.runs.max(1);
    for number in 1..=runs {
        progress.say(format!("{NAME}: run {number} of {runs}"));
        let run = run(&bench, &program, &folder(out, NAME, number, runs));
        let removed = leftovers::remove();
        let run = run?;
        removed?;
        progress.say(outcome::told(NAME, &run));
        outcome::add(&mut outcome, run, (runs > 1).then_some(number));
    }
    Ok(Some(outcome))
}

fn run(bench: &Bench<'_>, program: &Path, folder: &Path) -> Result<Run, Error> {
    let mut lab = bench.build(Purpose::Foreign, folder)?;
    for (node, priority) in [(BE1, 110), (BE2, 100)] {
        start(bench, &mut lab, program, (node, priority, folder))?;
    }
    let shape = bench.options.shape();
    let has = || topology::owners(shape).is_ok_and(|owners| owners == [BE1]);
    if !bench.stop.until(START, has)? {
        return Err(Error::Program {
            name: "keepalived".into(),
            detail: format!("did not bring {VIP} up; its log is in {}", folder.display()),
        });
    }
    bench.answered()?;
    let mut story = Story::default();
    let probe = bench.probe()?;
    bench.stop.sleep(QUIET)?;
    let mark = SystemTime::now();
    let mut stage = Stage {
        bench,
        lab: &mut lab,
        probe: &probe,
        story: &mut story,
    };
    stage.inflict(Fault::PowerCut, BE1)?;
    stage.taken(BE2)?;
    bench.stop.sleep(QUIET)?;
    let seen = probe.stop();
    let title = "beside ours: keepalived, without IPsec, after a power cut";
    let note = format!(
        "keepalived, adverts each {ADVERT} s; {}",
        outcome::note(bench.options)
    );
    let run = scenario::finish(
        lab,
        shape,
        (story, mark),
        &seen,
        None,
        (title, &note, folder),
    )?;
    Ok(verdict::judge(bench.options, None, run))
}

/// Starts one; its files for process ids would meet in `/run`.
fn start(
    bench: &Bench<'_>,
    lab: &mut Standing,
    program: &Path,
    (node, priority, folder): (&str, u8, &Path),
) -> Result<(), Error> {
    let title = format!("{}-keepalived", short(node));
    let path = folder.join(format!("{title}.conf"));
    fs::write(&path, configuration(priority)).map_err(file(&path))?;
    let mut command = Command::new(program);
    command
        .args(["--dont-fork", "--log-console", "--use-file"])
        .arg(&path);
    command.args([
        "--pid",
        "/run/hf-ka.pid",
        "--vrrp_pid",
        "/run/hf-ka-vrrp.pid",
    ]);
    bench.foreign(lab, (node, &title), command, &["/run"])
}

/// Both nodes wait for each other, and the one with the higher priority wins.
fn configuration(priority: u8) -> String {
    format!(
        "global_defs {{\n vrrp_version 3\n}}\nvrrp_instance lab {{\n state BACKUP\n \
         interface {BACK_IF}\n virtual_router_id 51\n priority {priority}\n \
         advert_int {ADVERT}\n virtual_ipaddress {{\n  {VIP}/{PREFIX_LEN} dev {BACK_IF}\n }}\n}}\n"
    )
}
