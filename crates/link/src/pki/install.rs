//! `holdfast cluster join`: a node's file becomes its identity.

use crate::pki::error::{Error, moment};
use crate::pki::{authority, papers};
use ::pki::FileError;
use ::pki::files::{self, PUBLIC, SECRET};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A node's certificate, in its folder.
pub(crate) const CERTIFICATE: &str = "node.pem";
/// A node's private key, in its folder.
pub(crate) const KEY: &str = "node.key";

/// What [`join`] installed. Its `Display` says it, and what to do with the file.
#[derive(Debug)]
pub struct Joined {
    /// Whose identity it is.
    pub name: String,
    /// The end of its validity, in seconds since 1970.
    pub until: u64,
    /// The file that it came in.
    pub file: PathBuf,
    /// Whether others could read that file, so that the key may be known to them.
    pub exposed: bool,
}

/// Installs the identity in `file` (made by [`init`](crate::pki::init())) in `folder`, in place of
/// one that is there. `now` is the time of day. Nothing is written before everything is checked.
///
/// # Errors
/// When the file is damaged, its key does not fit, it is of another authority or time, or the
/// folder cannot be written.
pub fn join(file: &Path, folder: &Path, now: SystemTime) -> Result<Joined, Error> {
    let text = files::read(file)?.ok_or_else(|| FileError {
        path: file.to_owned(),
        source: std::io::ErrorKind::NotFound.into(),
    })?;
    let name = papers::claimed(&text)?;
    let [own, secret, vouching] = papers::blocks(&text)?;
    let certificate = papers::certificate(&text, own)?;
    let authority = papers::certificate(&text, vouching)?;
    let key = papers::private_key(&text, secret)?;
    let (_, until) = papers::check(file, &name, certificate, &key, &authority, now)?;
    files::folder(folder)?;
    files::write(
        folder,
        &[
            (authority::CERTIFICATE, vouching.as_bytes(), PUBLIC),
            (KEY, secret.as_bytes(), SECRET),
            (CERTIFICATE, (papers::claim(&name) + own).as_bytes(), PUBLIC),
        ],
    )?;
    Ok(Joined {
        name,
        until,
        file: file.to_owned(),
        exposed: text.is_open(),
    })
}

impl fmt::Display for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        write!(
            f,
            "This node is `{}` now, until {}. Remove {file}: it holds the private key.",
            self.name,
            moment(self.until)
        )?;
        if self.exposed {
            write!(
                f,
                " Others could read {file} here: if somebody may have, make a new one."
            )?;
        }
        Ok(())
    }
}
