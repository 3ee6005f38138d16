//! The lab without IPsec: hosts, services, probe, captures, crash and clean-up, as root.
//!
//! The test program is also the program that the lab starts in its namespaces, as the real one
//! is; so it has its own `main`.

use std::path::Path;
use std::process::ExitCode;

use lab::{Options, Report, Scenario, service};

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
    if args.iter().any(|arg| arg == "--list") {
        println!("plain_lab: test");
        return ExitCode::SUCCESS;
    }
    if !linux::process::is_root() {
        println!("plain_lab: skipped, it needs root");
        return ExitCode::SUCCESS;
    }
    plain_lab();
    println!("plain_lab: ok");
    ExitCode::SUCCESS
}

/// Without IPsec everything works, and the counter of clear packets shows that it can count.
fn plain_lab() {
    let out = std::env::temp_dir().join(format!("hf-lab-test-{}", std::process::id()));
    for builtin_mail in [true, false] {
        let options = Options {
            plain: true,
            builtin_mail,
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
    assert_eq!(report.scenarios.len(), Scenario::ALL.len());
    for outcome in &report.scenarios {
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
    }
    let json = std::fs::read_to_string(out.join("report.json")).unwrap_or_default();
    assert!(
        json.contains("\"schema\": 1") && json.contains("\"outage_ms\""),
        "{json}"
    );
}
