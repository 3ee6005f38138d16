//! The main job, end to end, with the real program: mail through IPsec, a move, a crash.
//!
//! It needs root, nftables and TUN; for others it says that it did not run. The bounds are wide,
//! for a machine that runs other things at the same time: figures are taken with the release
//! build on a quiet one.

#![allow(clippy::disallowed_methods)] // A test of something that lives in real time.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A planned move may take this long here, in milliseconds.
const PLANNED_MS: f64 = 1_000.0;
/// A crash may take this long here, in milliseconds.
const CRASH_MS: f64 = 3_000.0;
/// How long another lab on this machine is waited for.
const BUSY: Duration = Duration::from_secs(120);

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    uids.and_then(|uids| uids.split_whitespace().nth(1).map(|uid| uid == "0")) == Some(true)
}

fn scratch(what: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(what)
}

fn holdfast(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command.args(arguments).output().expect("the program runs")
}

/// Only one lab may run at a time on a machine.
fn lab(arguments: &[&str]) -> Output {
    let end = Instant::now() + BUSY;
    loop {
        let output = holdfast(arguments);
        // With `--json` that is said in JSON.
        let said = text(&output.stderr) + &text(&output.stdout);
        let busy = said.contains("another lab is running");
        if !busy || Instant::now() > end {
            return output;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn namespaces() -> Vec<String> {
    let folder = std::fs::read_dir("/run/netns")
        .into_iter()
        .flatten()
        .flatten();
    let names = folder.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("hf-")).collect()
}

#[test]
fn mail_is_protected_moved_and_survives_a_crash() {
    if !is_root() {
        eprintln!("skipped: the lab makes network namespaces, which needs root");
        return;
    }
    let out = scratch("lab");
    let output = lab(&["lab", "--json", "--out", &out.to_string_lossy()]);
    let (json, progress) = (text(&output.stdout), text(&output.stderr));
    let report: Value = serde_json::from_str(&json).unwrap_or_else(|why| {
        panic!("not one JSON object ({why}):\n{json}\n{progress}");
    });
    assert_eq!(report["schema"], 1);
    let scenarios = report["scenarios"].as_array().expect("scenarios");
    let names: Vec<&Value> = scenarios.iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["protect", "planned-move", "crash"]);
    for one in scenarios {
        assert_eq!(one["failures"], Value::Array(Vec::new()), "{progress}");
        assert_eq!(
            (&one["clear_packets"], &one["takeover"]),
            (&0.into(), &"replicate".into())
        );
        assert!(
            one["esp_packets"].as_u64().is_some_and(|count| count > 100),
            "{one}"
        );
        assert!(
            one["probes_sent"].as_u64().is_some_and(|count| count > 50),
            "{one}"
        );
        assert!(one["mail_ms"].is_number(), "mail works afterwards: {one}");
        let name = one["name"].as_str().expect("a name");
        let outage = one["outage_ms"].as_f64().expect("an outage");
        let bound = if name == "planned-move" {
            PLANNED_MS
        } else {
            CRASH_MS
        };
        assert!(
            outage <= bound,
            "{name}: {outage} ms is above {bound} ms\n{progress}"
        );
        assert_eq!(one["ike_messages_until_back"], 0, "{one}");
        for wire in ["fe", "be1", "be2", "heartbeat", "client"] {
            let capture = out.join(name).join(format!("{wire}.pcap"));
            assert!(capture.is_file(), "{} is missing", capture.display());
        }
    }
    assert!(output.status.success());
    assert_eq!(
        namespaces(),
        Vec::<String>::new(),
        "the lab cleans up after itself"
    );
}

/// The oracle can fail: without reservation a survivor repeats what the dead node has sent.
#[test]
fn without_reservation_the_oracle_finds_what_came_twice() {
    if !is_root() {
        eprintln!("skipped: the lab makes network namespaces, which needs root");
        return;
    }
    let out = scratch("sabotage");
    let folder = out.to_string_lossy();
    let output = lab(&[
        "lab",
        "crash",
        "--sabotage",
        "reservation",
        "--json",
        "--out",
        &folder,
    ]);
    let (json, progress) = (text(&output.stdout), text(&output.stderr));
    let report: Value = serde_json::from_str(&json).unwrap_or_else(|why| {
        panic!("not one JSON object ({why}):\n{json}\n{progress}");
    });
    let oracle = &report["scenarios"][0]["oracle"];
    for repeats in ["sequence_repeats", "iv_repeats"] {
        assert!(
            oracle[repeats].as_u64().is_some_and(|count| count > 0),
            "{oracle}"
        );
    }
    assert_eq!(output.status.code(), Some(1), "{progress}");
}

/// Three nodes and a real etcd: what it is for, and that it can be lost.
#[test]
fn a_witness_decides_who_goes_on() {
    let etcd = ["/usr/bin/etcd", "/usr/local/bin/etcd"];
    if !is_root() || !etcd.iter().any(|path| Path::new(path).is_file()) {
        eprintln!("skipped: it needs root, and etcd");
        return;
    }
    let out = scratch("witness");
    let folder = out.to_string_lossy();
    let chosen = ["move-third", "second-crash", "witness-loss", "dark"];
    let mut arguments = vec!["lab", "--witness", "--json", "--out", &folder];
    arguments.extend(chosen);
    let output = lab(&arguments);
    let (json, progress) = (text(&output.stdout), text(&output.stderr));
    let report: Value = serde_json::from_str(&json).unwrap_or_else(|why| {
        panic!("not one JSON object ({why}):\n{json}\n{progress}");
    });
    let scenarios = report["scenarios"].as_array().expect("scenarios");
    let names: Vec<&Value> = scenarios.iter().map(|one| &one["name"]).collect();
    assert_eq!(names, chosen);
    for one in scenarios {
        assert_eq!(one["failures"], Value::Array(Vec::new()), "{progress}");
        let oracle = &one["oracle"];
        for repeats in ["sequence_repeats", "iv_repeats", "ike_conflicts"] {
            assert_eq!(oracle[repeats], 0, "{one}");
        }
    }
    assert!(output.status.success(), "{progress}");
    let alone = holdfast(&["lab", "second-crash"]);
    assert_eq!(alone.status.code(), Some(2));
    assert!(text(&alone.stderr).contains("add --witness"));
}

#[test]
fn renegotiation_can_be_had_instead() {
    if !is_root() {
        eprintln!("skipped: the lab makes network namespaces, which needs root");
        return;
    }
    let out = scratch("renegotiate");
    let folder = out.to_string_lossy();
    let output = lab(&[
        "lab",
        "crash",
        "--takeover",
        "renegotiate",
        "--json",
        "--out",
        &folder,
    ]);
    let progress = text(&output.stderr);
    assert!(output.status.success(), "{progress}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    let crash = &report["scenarios"][0];
    let messages = crash["ike_messages_until_back"].as_u64();
    assert!(messages.is_some_and(|count| count > 0), "{crash}");
}

#[test]
fn what_does_not_fit_is_refused_with_a_remedy() {
    let unknown = holdfast(&["lab", "earthquake"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("choose from protect, planned-move, crash"));
    let both = holdfast(&["lab", "--plain", "--esp", "aes256-sha256"]);
    assert_eq!(both.status.code(), Some(2));
}
