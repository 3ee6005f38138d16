//! What responders say of our own certificates, in files that somebody renews (RFC 4806).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::config::OwnStatus;

/// How often it is looked whether a file is new.
const INTERVAL: Duration = Duration::from_secs(2);

/// A certificate, and what is said of it now.
pub(crate) type Change = ([u8; 32], Option<Vec<u8>>);

/// The files, as they were when they were read last.
pub(crate) struct OwnStatuses {
    /// Where the policy file is.
    beside: PathBuf,
    files: Vec<(OwnStatus, Seen)>,
    gone: Vec<[u8; 32]>,
    next: Option<Instant>,
}

/// By what a file is known to be another: time and length. `None` where there is none.
type Seen = Option<Option<(SystemTime, u64)>>;

impl OwnStatuses {
    pub(crate) fn new(policy: &Path, files: &[OwnStatus]) -> Self {
        let mut own = OwnStatuses {
            beside: policy.parent().unwrap_or(Path::new(".")).to_owned(),
            files: Vec::new(),
            gone: Vec::new(),
            next: None,
        };
        own.follow(files);
        own
    }

    /// These are the files from now on.
    pub(crate) fn follow(&mut self, files: &[OwnStatus]) {
        let before = std::mem::take(&mut self.files);
        let stays = |certificate| files.iter().any(|one| one.certificate == certificate);
        let gone = before.iter().map(|(one, _)| one.certificate);
        self.gone.extend(gone.filter(|one| !stays(*one)));
        self.files = files.iter().map(|one| (one.clone(), None)).collect();
        self.next = None;
    }

    /// What has changed since this was asked last. One that cannot be used is left out: an older
    /// one may still hold, and the peer judges it in any case.
    pub(crate) fn changes(&mut self, now: Instant) -> Vec<Change> {
        if self.next.is_some_and(|next| now < next) {
            return Vec::new();
        }
        self.next = Some(now + INTERVAL);
        let mut changes: Vec<Change> = self.gone.drain(..).map(|one| (one, None)).collect();
        for (one, seen) in &mut self.files {
            let path = self.beside.join(&one.file);
            let found = fs::metadata(&path).ok();
            let found = found.and_then(|found| Some((found.modified().ok()?, found.len())));
            if *seen == Some(found) {
                continue;
            }
            *seen = Some(found);
            let fits = found.is_some_and(|(_, length)| length <= x509::limits::RESPONSE as u64);
            let response = fits.then(|| fs::read(&path).ok()).flatten();
            changes.push((one.certificate, response));
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_come_change_and_go() {
        let folder = std::env::temp_dir().join(format!("holdfast-own-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("node.ocsp");
        let certificate = [1; 32];
        let one = OwnStatus {
            file: "node.ocsp".into(),
            certificate,
        };
        let mut own = OwnStatuses::new(&folder.join("holdfast.toml"), &[one]);
        let mut now = Instant::now();
        let mut look = |own: &mut OwnStatuses| {
            now += INTERVAL;
            own.changes(now)
        };
        assert_eq!(look(&mut own), [(certificate, None)]);
        assert_eq!(look(&mut own), []);
        fs::write(&file, b"one").unwrap();
        assert_eq!(look(&mut own), [(certificate, Some(b"one".to_vec()))]);
        assert_eq!(look(&mut own), []);
        fs::write(&file, b"another").unwrap();
        assert_eq!(look(&mut own), [(certificate, Some(b"another".to_vec()))]);
        fs::write(&file, vec![0; x509::limits::RESPONSE + 1]).unwrap();
        assert_eq!(look(&mut own), [(certificate, None)]);
        fs::remove_file(&file).unwrap();
        assert_eq!(look(&mut own), [(certificate, None)]);
        own.follow(&[]);
        assert_eq!(own.changes(now), [(certificate, None)]);
        fs::remove_dir_all(&folder).unwrap();
    }
}
