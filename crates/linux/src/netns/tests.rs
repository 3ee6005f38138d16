//! Namespaces, cables, bridges and processes in them.

#![allow(clippy::disallowed_methods)]

use super::*;
use crate::testing::{Namespace, root_or_say_so, two};

#[test]
fn makes_what_ip_netns_sees_and_removes_what_it_made() {
    if !root_or_say_so("network namespaces") {
        return;
    }
    let space = Namespace::new("ns-compat");
    assert!(list().unwrap().contains(&space.name));
    let text = Command::new("ip")
        .args(["netns", "exec", &space.name, "ip", "link"])
        .output();
    let text = String::from_utf8(text.unwrap().stdout).unwrap();
    assert!(text.contains("lo: <LOOPBACK,UP"), "{text}");
    let error = create(&space.name).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert!(delete(&space.name).unwrap());
    assert!(!delete(&space.name).unwrap());
    assert!(!list().unwrap().contains(&space.name));

    let made = Command::new("ip")
        .args(["netns", "add", "hfl-ns-theirs"])
        .status()
        .unwrap();
    assert!(made.success());
    assert!(run("hfl-ns-theirs", || ()).is_ok());
    assert!(delete("hfl-ns-theirs").unwrap());
    let text = run("hfl-ns-theirs", || ()).unwrap_err().to_string();
    assert!(
        text.starts_with("cannot open the network namespace hfl-ns-theirs: "),
        "{text}"
    );
}

#[test]
fn refuses_names_that_are_paths() {
    for name in ["", ".", "..", "a/b", "/etc/passwd", ".x", "a b", "a\0"] {
        assert!(create(name).is_err(), "{name:?}");
        assert!(delete(name).is_err(), "{name:?}");
    }
}

#[test]
fn only_the_closures_thread_moves() {
    if !root_or_say_so("setns") {
        return;
    }
    let space = Namespace::new("ns-thread");
    let here = || fs::read_link("/proc/thread-self/ns/net").unwrap();
    let before = here();
    let inside = space.run(here);
    assert_ne!(inside, before);
    assert_eq!(here(), before);
    let name = space.name.clone();
    let entered = thread::spawn(move || enter(&name).map(|()| here()))
        .join()
        .unwrap();
    assert_eq!(entered.unwrap(), inside);
}

#[test]
fn a_cable_and_a_bridge_carry_packets() {
    if !root_or_say_so("cables and bridges") {
        return;
    }
    let switch = Namespace::new("ns-switch");
    let hosts = ["ns-h1", "ns-h2", "ns-h3"].map(Namespace::new);
    for (number, host) in hosts.iter().enumerate() {
        cable(host.end("eth0"), switch.end(&format!("port{number}"))).unwrap();
        host.address("eth0", &format!("10.0.0.{}/24", number + 1));
        host.address("eth0", &format!("fd00::{}/64", number + 1));
    }
    bridge(switch.end("br0"), &["port0", "port1", "port2"]).unwrap();
    let at = hosts[2]
        .run(|| std::net::UdpSocket::bind("[::]:7"))
        .unwrap();
    at.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    for (host, to) in [(&hosts[0], "[fd00::3]:7"), (&hosts[1], "10.0.0.3:7")] {
        let bind = if to.starts_with('[') {
            "[::]:0"
        } else {
            "0.0.0.0:0"
        };
        let from = host.run(|| std::net::UdpSocket::bind(bind)).unwrap();
        from.send_to(to.as_bytes(), to).unwrap();
        let mut buffer = [0; 64];
        let (length, _) = at.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], to.as_bytes());
    }
}

#[test]
fn a_program_starts_in_its_surroundings() {
    if !root_or_say_so("programs in namespaces") {
        return;
    }
    let (a, _b) = two("ns-start");
    let directory = std::env::temp_dir().join("hfl-ns-start");
    fs::create_dir_all(directory.join("empty")).unwrap();
    fs::write(directory.join("empty/visible"), "outside").unwrap();
    fs::write(directory.join("what"), "bound").unwrap();
    fs::write(directory.join("where"), "hidden").unwrap();
    let surroundings = Surroundings {
        namespace: Some(a.name.clone()),
        empty: vec![directory.join("empty")],
        bound: vec![(directory.join("what"), directory.join("where"))],
        death_signal: Some(Signal::Kill),
    };
    let mut command = Command::new("sh");
    let script = "ip -br addr show eth0; ls -A empty; touch empty/mine && cat where";
    command.args(["-c", script]).current_dir(&directory);
    surround(&mut command, &surroundings).unwrap();
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("192.0.2.1/24"), "{text}");
    assert!(!text.contains("visible"), "{text}");
    assert!(text.ends_with("bound"), "{text}");
    assert!(
        !directory.join("empty/mine").exists(),
        "the tmpfs leaked out"
    );
    assert_eq!(
        fs::read_to_string(directory.join("where")).unwrap(),
        "hidden"
    );
    fs::remove_dir_all(&directory).unwrap();

    let gone = Surroundings {
        namespace: Some("hfl-ns-none".into()),
        ..Default::default()
    };
    assert!(surround(&mut Command::new("true"), &gone).is_err());
    let nowhere = Surroundings {
        empty: vec!["/hfl-nowhere".into()],
        ..Default::default()
    };
    let mut command = Command::new("true");
    surround(&mut command, &nowhere).unwrap();
    assert_eq!(
        command.status().unwrap_err().raw_os_error(),
        Some(libc::ENOENT)
    );
}

#[test]
fn the_processes_of_a_namespace_are_listed() {
    if !root_or_say_so("processes of a namespace") {
        return;
    }
    let space = Namespace::new("ns-list");
    assert_eq!(processes(&space.name).unwrap(), [0u32; 0]);
    let mut command = Command::new("sleep");
    command.arg("60");
    let mut child = space.run(|| command.spawn()).unwrap();
    assert_eq!(processes(&space.name).unwrap(), [child.id()]);
    crate::process::kill(child.id(), Signal::Kill).unwrap();
    child.wait().unwrap();
    assert_eq!(processes(&space.name).unwrap(), [0u32; 0]);
    assert!(processes("hfl-none").is_err());
}

#[test]
fn a_program_dies_with_the_thread_that_started_it() {
    let surroundings = Surroundings {
        death_signal: Some(Signal::Kill),
        ..Surroundings::default()
    };
    let mut child = thread::spawn(move || {
        let mut command = Command::new("sleep");
        command.arg("60");
        surround(&mut command, &surroundings).unwrap();
        command.spawn().unwrap()
    })
    .join()
    .unwrap();
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
}
