//! Dovecot in the lab: whether it is there, and its configuration as back end and as proxy.
//!
//! Every instance has its own base and state folders, so several live beside each other and
//! beside the system's own without sharing anything.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::addresses::{PASSWORD, USER};
use crate::error::{Error, file};
use crate::program::find;
use crate::service::mailbox::{MAILS, text};

/// Where Debian's Dovecot keeps its parts.
const LIBEXEC: &str = "/usr/lib/dovecot";
/// The configuration below is written for this version.
const VERSION: &str = "2.3.";
/// Debian's user and group `mail` (base-passwd).
const MAIL_ID: u32 = 8;

/// The Debian packages of Dovecot that are not installed.
pub(crate) fn missing_packages() -> Vec<&'static str> {
    [
        ("imap-login", "dovecot-imapd"),
        ("pop3-login", "dovecot-pop3d"),
    ]
    .into_iter()
    .filter(|(part, _)| !Path::new(LIBEXEC).join(part).is_file())
    .map(|(_, package)| package)
    .collect()
}

/// Dovecot's program, when all its parts are there and its version is one the lab can configure.
pub(crate) fn program() -> Option<PathBuf> {
    let program = find("dovecot").filter(|_| missing_packages().is_empty())?;
    let version = Command::new(&program).arg("--version").output().ok()?;
    version
        .stdout
        .starts_with(VERSION.as_bytes())
        .then_some(program)
}

/// Writes a back end's configuration and its mails below `folder`; the configuration's path.
///
/// # Errors
/// When the folder cannot be written.
pub(crate) fn back_end(folder: &Path, log: &Path) -> Result<PathBuf, Error> {
    let mail = folder.join("mail");
    let inbox = mail.join(USER);
    make(folder)?;
    for part in ["cur", "new", "tmp"] {
        fs::create_dir_all(inbox.join(part)).map_err(file(&inbox))?;
    }
    for (number, lines) in (1..).zip(MAILS) {
        let path = inbox.join(format!("cur/{number}.lab:2,S"));
        fs::write(&path, text(lines)).map_err(file(&path))?;
    }
    own(&mail)?;
    let own = format!(
        "listen = *, ::\n\
         mail_location = maildir:{mail}/%u\n\
         first_valid_uid = {MAIL_ID}\n\
         passdb {{\n  driver = static\n  args = password={PASSWORD}\n}}\n\
         userdb {{\n  driver = static\n  args = uid=mail gid=mail home={mail}/%u\n}}\n",
        mail = mail.display(),
    );
    write(folder, log, &own)
}

/// Writes the front end's configuration: a proxy that passes name and password on to `target`.
///
/// # Errors
/// When the folder cannot be written.
pub(crate) fn proxy(
    folder: &Path,
    log: &Path,
    listen: Ipv4Addr,
    target: Ipv4Addr,
) -> Result<PathBuf, Error> {
    make(folder)?;
    let own = format!(
        "listen = {listen}\n\
         passdb {{\n  driver = static\n  args = proxy=y host={target} nopassword=y\n}}\n"
    );
    write(folder, log, &own)
}

fn write(folder: &Path, log: &Path, own: &str) -> Result<PathBuf, Error> {
    let common = format!(
        "protocols = imap pop3\n\
         ssl = no\n\
         disable_plaintext_auth = no\n\
         auth_mechanisms = plain login\n\
         base_dir = {folder}/run\n\
         state_dir = {folder}/state\n\
         log_path = {log}\n",
        folder = folder.display(),
        log = log.display(),
    );
    let path = folder.join("dovecot.conf");
    fs::write(&path, common + own).map_err(file(&path))?;
    Ok(path)
}

/// Makes the folder; Dovecot's unprivileged processes pass through it.
fn make(folder: &Path) -> Result<(), Error> {
    for part in [folder.to_owned(), folder.join("run"), folder.join("state")] {
        fs::create_dir_all(&part).map_err(file(&part))?;
        fs::set_permissions(&part, fs::Permissions::from_mode(0o755)).map_err(file(&part))?;
    }
    Ok(())
}

/// Gives a folder and all in it to the user `mail`.
fn own(path: &Path) -> Result<(), Error> {
    chown(path, Some(MAIL_ID), Some(MAIL_ID)).map_err(file(path))?;
    if path.is_dir() {
        for entry in fs::read_dir(path).map_err(file(path))? {
            own(&entry.map_err(file(path))?.path())?;
        }
    }
    Ok(())
}
