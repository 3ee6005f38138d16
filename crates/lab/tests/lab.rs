//! The lab without IPsec: hosts, services, probe, captures, crash and clean-up, as root.
//!
//! The test program is also the program that the lab starts in its namespaces, as the real one
//! is; so it has its own `main`.

#![allow(clippy::disallowed_methods)] // A test of something that lives in real time.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use lab::{Beside, Chaos, Options, Report, Scenario, service};
use linux::process::{Signal, kill};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|verb| verb == service::VERB) {
        return match service::run(&args[1..]) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    if args.first().is_some_and(|verb| verb == RUN) {
        let runs = 100;
        let options = Options {
            plain: true,
            runs,
            out: scratch("ended"),
            ..Options::default()
        };
        return match lab::run(&options) {
            Err(lab::Error::Interrupted) => ExitCode::from(INTERRUPTED),
            _ => ExitCode::FAILURE,
        };
    }
    let tests: [(&str, fn()); 3] = [
        (
            "what_needs_daemons_is_refused",
            what_needs_daemons_is_refused,
        ),
        ("plain_lab", plain_lab),
        ("ended_early_nothing_is_left", ended_early_nothing_is_left),
    ];
    for (name, test) in tests {
        if args.iter().any(|arg| arg == "--list") {
            println!("{name}: test");
        } else if !linux::process::is_root() {
            println!("test {name} ... skipped, it needs root");
        } else {
            test();
            println!("test {name} ... ok");
        }
    }
    ExitCode::SUCCESS
}

/// The verb under which this program runs a lab that goes on until it is ended.
const RUN: &str = "lab-run";
/// The exit code of a lab that was interrupted.
const INTERRUPTED: u8 = 42;

fn scratch(what: &str) -> PathBuf {
    std::env::temp_dir().join(format!("hf-lab-test-{what}"))
}

fn namespaces() -> Vec<String> {
    let mut names = linux::netns::list().unwrap_or_default();
    names.retain(|name| name.starts_with(lab::addresses::PREFIX));
    names
}

/// Starts a lab as a process of its own and waits until it is measuring.
fn started() -> Child {
    let program = std::env::current_exe().expect("this program has a path");
    let child = Command::new(program)
        .arg(RUN)
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let capture = scratch("ended").join("protect/run-01/fe.pcap");
    let end = Instant::now() + Duration::from_secs(20);
    while std::fs::metadata(&capture).is_ok_and(|file| file.len() < 1000) || !capture.exists() {
        assert!(Instant::now() < end, "the lab does not start");
        thread::sleep(Duration::from_millis(20));
    }
    child
}

/// SIGTERM takes the lab down; after SIGKILL the next one does; two at a time are refused.
fn ended_early_nothing_is_left() {
    let _ = std::fs::remove_dir_all(scratch("ended"));
    let mut lab = started();
    let busy = lab::down();
    assert!(
        matches!(busy, Err(lab::Error::Busy(Some(pid))) if pid == lab.id()),
        "{busy:?}"
    );
    kill(lab.id(), Signal::Terminate).expect("it can be signalled");
    let status = lab.wait().expect("it ends");
    assert_eq!(status.code(), Some(i32::from(INTERRUPTED)));
    assert_eq!(namespaces(), Vec::<String>::new());

    let _ = std::fs::remove_dir_all(scratch("ended"));
    let mut lab = started();
    kill(lab.id(), Signal::Kill).expect("it can be signalled");
    let _ = lab.wait();
    assert_eq!(namespaces().len(), 5, "a killed lab leaves its namespaces");
    lab::down().expect("it is taken down");
    assert_eq!(namespaces(), Vec::<String>::new());
    let _ = std::fs::remove_dir_all(scratch("ended"));
}

/// The faults are about daemons, of which the control experiment has none.
fn what_needs_daemons_is_refused() {
    let plain = |scenarios| Options {
        plain: true,
        scenarios,
        out: scratch("refused"),
        ..Options::default()
    };
    let refused = lab::run(&plain(vec![Scenario::Protect, Scenario::Freeze]));
    assert!(
        matches!(&refused, Err(lab::Error::Usage(why)) if why.contains("freeze")),
        "{refused:?}"
    );
    let witness = Options {
        witness: true,
        ..plain(vec![Scenario::Protect])
    };
    let refused = lab::run(&witness);
    assert!(
        matches!(&refused, Err(lab::Error::Usage(why)) if why.contains("witness")),
        "{refused:?}"
    );
    let chaos = Chaos { faults: 1, seed: 1 };
    let refused = lab::chaos(&plain(Vec::new()), chaos);
    assert!(matches!(refused, Err(lab::Error::Usage(_))), "{refused:?}");
}

/// Without IPsec everything works, and the counter of clear packets shows that it can count.
fn plain_lab() {
    let out = scratch("plain");
    for builtin_mail in [true, false] {
        let options = Options {
            plain: true,
            builtin_mail,
            beside: builtin_mail.then_some(Beside::Keepalived),
            out: out.clone(),
            ..Options::default()
        };
        let report = lab::run(&options).unwrap_or_else(|error| panic!("{error}"));
        check(&report, &out);
        println!("{report}");
    }
    let left = linux::netns::list().unwrap_or_default();
    assert!(
        !left
            .iter()
            .any(|name| name.starts_with(lab::addresses::PREFIX)),
        "{left:?}"
    );
    let _ = std::fs::remove_dir_all(&out);
}

fn check(report: &Report, out: &Path) {
    assert!(report.ok(), "{report}");
    let (usual, beside) = report
        .scenarios
        .split_at(Scenario::USUAL.len().min(report.scenarios.len()));
    assert_eq!(usual.len(), Scenario::USUAL.len());
    // Only where keepalived is installed.
    for outcome in beside {
        assert_eq!(outcome.name, "crash-keepalived");
        assert!(
            outcome.outage_ms > 10.0 && outcome.outage_ms < 2_000.0,
            "{outcome:?}"
        );
    }
    for outcome in usual {
        assert!(
            outcome.clear_packets > 100,
            "clear packets are seen: {outcome:?}"
        );
        assert_eq!(
            outcome.esp_packets + outcome.ike_messages_after,
            0,
            "{outcome:?}"
        );
        assert!(
            outcome.mail_ms.is_some() && outcome.outage_ms < 2_000.0,
            "{outcome:?}"
        );
        for wire in ["fe", "be1", "be2", "heartbeat", "client"] {
            let capture = out.join(&outcome.name).join(format!("{wire}.pcap"));
            assert!(capture.is_file(), "{}", capture.display());
        }
        let picture = out.join(&outcome.name).join("picture.svg");
        let picture = std::fs::read_to_string(picture).unwrap_or_default();
        assert!(picture.contains("class=\"probe\" d=\"M"), "{picture}");
        let events: Vec<&str> = outcome.events.iter().map(|e| e.name.as_str()).collect();
        let expected: &[&str] = match outcome.name.as_str() {
            "planned-move" => &["planned move"],
            "crash" => &["power-cut"],
            _ => &[],
        };
        assert_eq!(events, expected);
        assert_eq!(
            outcome.oracle,
            lab::Findings::default(),
            "no ESP, nothing to watch"
        );
    }
    let json = std::fs::read_to_string(out.join("report.json")).unwrap_or_default();
    assert!(
        json.contains("\"schema\": 1") && json.contains("\"outage_ms\""),
        "{json}"
    );
}
