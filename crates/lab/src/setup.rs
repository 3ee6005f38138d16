//! `--setup`: installs what the lab uses where it is missing, with Debian's apt-get.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::dovecot;
use crate::error::{Error, file};
use crate::etcd;
use crate::program::find;
use crate::progress::Progress;

/// Package scripts ask this program whether they may start a daemon; 101 means no.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// The lab's own answer, while it installs.
const NO_DAEMONS: &str = "#!/bin/sh\n# holdfast lab --setup: removed when it is done\nexit 101\n";

/// Installs what is missing; the package tool's words go to `setup.log` in `out`.
///
/// # Errors
/// A sentence when apt-get is not there, cannot reach its archive, or fails.
pub(crate) fn install(out: &Path, progress: &Progress) -> Result<(), Error> {
    let missing = missing();
    if missing.is_empty() {
        progress.say("setup: nftables, Dovecot and etcd are installed");
        return Ok(());
    }
    let names = missing.join(", ");
    if find("apt-get").is_none() {
        return Err(Error::Setup(format!(
            "--setup installs with apt-get, which this system does not have; install {names} \
             with its own package tool, then run the lab without --setup"
        )));
    }
    fs::create_dir_all(out).map_err(file(out))?;
    let log = out.join("setup.log");
    let _no_daemons = NoDaemons::begin(Path::new(POLICY)).map_err(file(POLICY))?;
    progress.say("setup: apt-get update");
    // Without its lists refreshed the tool may still know the packages: only the install counts.
    let update = apt(&log, &["-o", "APT::Update::Error-Mode=any", "update"])?;
    progress.say(format!("setup: apt-get install {names}"));
    let mut arguments = vec!["install", "-y", "--no-install-recommends"];
    arguments.extend(&missing);
    if !apt(&log, &arguments)? {
        let why = if update {
            "apt-get install failed"
        } else {
            "apt-get cannot reach its package archive; check the network"
        };
        return Err(Error::Setup(format!(
            "cannot install {names}: {why} (its words are in {}). Without --setup the lab runs \
             on what is there, with its built-in mail service in Dovecot's place",
            log.display()
        )));
    }
    if missing.iter().any(|name| name.starts_with("dovecot")) {
        leave_disabled("Dovecot", &["dovecot.service", "dovecot.socket"], progress);
    }
    if missing.contains(&etcd::PACKAGE) {
        leave_disabled("etcd", &["etcd.service"], progress);
    }
    progress.say("setup: done");
    Ok(())
}

/// The Debian packages whose programs are not there.
fn missing() -> Vec<&'static str> {
    let mut missing = Vec::new();
    if find("nft").is_none() {
        missing.push("nftables");
    }
    missing.extend(dovecot::missing_packages());
    missing.extend(etcd::program().is_none().then_some(etcd::PACKAGE));
    missing
}

/// Runs apt-get without questions; whether it succeeded.
fn apt(log: &Path, arguments: &[&str]) -> Result<bool, Error> {
    let mut words = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .map_err(file(log))?;
    let _ = writeln!(words, "$ apt-get {}", arguments.join(" "));
    let errors = words.try_clone().map_err(file(log))?;
    let status = Command::new("apt-get")
        .args([
            "-q",
            "-o",
            "DPkg::Lock::Timeout=120",
            "-o",
            "Acquire::Retries=1",
        ])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(words)
        .stderr(errors)
        .status();
    match status {
        Ok(status) => Ok(status.success()),
        Err(error) => Err(Error::Setup(format!("cannot start apt-get: {error}"))),
    }
}

/// A server that the lab brought along must not come up at the next boot.
fn leave_disabled(name: &str, units: &[&str], progress: &Progress) {
    let disabled = Command::new("systemctl")
        .args(["--quiet", "disable"])
        .args(units)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if disabled {
        progress.say(format!("setup: {name}'s system service was left disabled"));
    }
}

/// While this lives, packages do not start daemons; an administrator's own policy stays.
struct NoDaemons {
    /// The policy file, when it is ours to remove.
    ours: Option<PathBuf>,
}

impl NoDaemons {
    fn begin(policy: &Path) -> std::io::Result<Self> {
        match fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(policy)
        {
            Ok(mut file) => {
                let guard = Self {
                    ours: Some(policy.to_owned()),
                };
                file.write_all(NO_DAEMONS.as_bytes())?;
                file.set_permissions(fs::Permissions::from_mode(0o755))?;
                Ok(guard)
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                // A killed lab may have left its own, which must not stay for ever.
                let ours = fs::read_to_string(policy).is_ok_and(|text| text == NO_DAEMONS);
                Ok(Self {
                    ours: ours.then(|| policy.to_owned()),
                })
            }
            Err(error) => Err(error),
        }
    }
}

impl Drop for NoDaemons {
    fn drop(&mut self) {
        if let Some(policy) = &self.ours {
            let _ = fs::remove_file(policy);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_policy_is_removed() {
        let name = format!("hf-policy-{}", std::process::id());
        let policy = std::env::temp_dir().join(name);
        let guard = NoDaemons::begin(&policy).unwrap();
        assert_eq!(
            fs::metadata(&policy).unwrap().permissions().mode() & 0o777,
            0o755
        );
        std::mem::forget(guard); // As if killed.
        drop(NoDaemons::begin(&policy).unwrap());
        assert!(!policy.exists());

        fs::write(&policy, "#!/bin/sh\nexit 0\n").unwrap();
        drop(NoDaemons::begin(&policy).unwrap());
        assert!(policy.exists());
        fs::remove_file(&policy).unwrap();
    }
}
