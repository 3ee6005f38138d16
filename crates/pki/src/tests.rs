//! What is made, who believes it, and what is shown of it.

mod made;
mod revoked;
mod shown;
mod verified;

use crate::{Authority, Bundle, Error, Identity, KeyKind, Made, NewAuthority, Request, limits};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: Duration = Duration::from_secs(24 * 3600);
const PASSWORD: &str = "a password for tests";

/// A folder below the system's temporary one, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("holdfast-pki-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let file = (name, text.as_bytes(), mode);
        crate::files::write(&self.0, &[file]).unwrap();
        self.path(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The same in every run: in September 2020.
fn moment_of_tests() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_600_000_000)
}

/// A new authority in the folder.
fn authority(folder: &Path, key: KeyKind) -> Authority {
    let new = NewAuthority {
        name: "Mail CA",
        key,
        lifetime: limits::AUTHORITY_LIFETIME,
    };
    Authority::make(folder, &new, moment_of_tests()).unwrap()
}

/// What a request has unless a test says otherwise.
fn request<'a>(name: &'a str, identities: &'a [Identity]) -> Request<'a> {
    Request {
        name,
        identities,
        key: KeyKind::EcdsaP256,
        lifetime: limits::LIFETIME,
        usages: &[],
        responder: None,
    }
}

fn identities() -> Vec<Identity> {
    [
        "mail.example.org",
        "10.0.0.100",
        "2001:db8::100",
        "post@example.org",
    ]
    .map(|text| Identity::parse(text).unwrap())
    .to_vec()
}

/// A certificate for `name` beside the authority.
fn make(
    authority: &Authority,
    folder: &Path,
    request: &Request<'_>,
    bundle: Option<&Bundle<'_>>,
) -> Result<Made, Error> {
    authority.make_certificate(folder, request, bundle, moment_of_tests())
}

/// Runs a program that may not be installed; `None` says so.
fn run(program: &str, arguments: &[&str]) -> Option<Result<String, String>> {
    let output = match Command::new(program).args(arguments).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: {program} is not installed");
            return None;
        }
        other => other.unwrap(),
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    Some(if output.status.success() {
        Ok(text)
    } else {
        Err(text)
    })
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
