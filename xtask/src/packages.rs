//! The Debian packages that the tests need: foreign peers, oracles, a kernel with ESP.

mod unpacked;

use crate::chore;
use std::path::Path;
use std::process::Command;

/// Each with what it is for.
const NEEDED: &[(&str, &str)] = &[
    ("nftables", "fail-closed rules"),
    ("iproute2", "namespaces seen from outside"),
    ("iputils-ping", "traffic through tunnels"),
    ("procps", "memory of a process"),
    ("dovecot-imapd", "a real IMAP server"),
    ("dovecot-pop3d", "a real POP3 server"),
    (
        "openssl",
        "makes keys, and says whether certificates still hold",
    ),
    ("strongswan-charon", "a foreign IKE daemon"),
    ("strongswan-swanctl", "its control tool"),
    ("strongswan-pki", "verifies our certificates"),
    (
        "libcharon-extra-plugins",
        "its user-space ESP (kernel-libipsec)",
    ),
    ("libstrongswan-standard-plugins", "its algorithms"),
    ("libstrongswan-extra-plugins", "its algorithms"),
    ("openiked", "another foreign IKE daemon"),
    ("ike-scan", "asks what an IKE daemon answers"),
    ("tshark", "decrypts what we wrote keys for"),
    (
        "python3-scapy",
        "an ESP implementation that shares nothing with ours",
    ),
    ("python3-cryptography", "scapy's algorithms"),
    ("iperf3", "throughput"),
    (
        "qemu-system-x86",
        "runs a Linux kernel with ESP on every processor",
    ),
    ("kmod", "their modules"),
    ("busybox-static", "what runs until a guest has its root"),
    ("xz-utils", "the kernel's image, uncompressed"),
    ("etcd-server", "the witness of a cluster"),
    (
        "krb5-kdc",
        "who vouches for hosts that know each other by Kerberos",
    ),
    (
        "krb5-admin-server",
        "makes its principals and their keytabs",
    ),
];

const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs what is missing; does nothing, fast, where nothing is.
///
/// # Errors
/// A sentence, when `apt-get` fails.
pub(crate) fn install() -> Result<(), String> {
    let missing: Vec<&str> = NEEDED
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !installed(name))
        .collect();
    if missing.is_empty() && unpacked::complete() {
        return Ok(());
    }
    let quiet = [("DEBIAN_FRONTEND", "noninteractive")];
    chore::run_with("apt-get", &["update", "-q"], &quiet)?;
    if !missing.is_empty() {
        guarded(|| apt(&missing))?;
    }
    unpacked::unpack()
}

/// Does it while no package starts a daemon.
fn guarded(work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    // A package of a daemon starts it at once; here it must not.
    let guarded = !Path::new(POLICY).exists();
    if guarded {
        chore::run(
            "sh",
            &[
                "-c",
                &format!("printf '#!/bin/sh\\nexit 101\\n' > {POLICY}"),
            ],
        )?;
        chore::run("chmod", &["+x", POLICY])?;
    }
    let outcome = work();
    if guarded {
        let _ = std::fs::remove_file(POLICY);
    }
    outcome
}

fn apt(missing: &[&str]) -> Result<(), String> {
    let quiet = [("DEBIAN_FRONTEND", "noninteractive")];
    let mut arguments = vec!["install", "-q", "-y", "--no-install-recommends"];
    arguments.extend(missing);
    chore::run_with("apt-get", &arguments, &quiet)
}

fn installed(package: &str) -> bool {
    let asked = Command::new("dpkg-query")
        .args(["-W", "-f", "${Status}", package])
        .output();
    asked.is_ok_and(|output| output.stdout.starts_with(b"install ok installed"))
}
