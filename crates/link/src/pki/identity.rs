//! A node's identity, loaded: ready to prove itself to a peer and to check a peer's proof.

use crate::pki::error::{Error, Fault};
use crate::pki::{authority, install, names, papers};
use ::pki::files::{self, Text};
use rustls::RootCertStore;
use rustls::sign::CertifiedKey;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Who this node is, and whom it trusts. Its private key is never shown.
pub struct Identity {
    name: String,
    until: u64,
    pub(crate) certified: Arc<CertifiedKey>,
    pub(crate) roots: Arc<RootCertStore>,
}

impl Identity {
    /// Loads what [`join`](crate::pki::join) installed in `folder`; it must be `expected_name`'s
    /// and valid `now`, the time of day.
    ///
    /// # Errors
    /// A sentence: a file is missing, the key is open to others, another node's identity, not
    /// valid now, of another authority, or damaged.
    pub fn load(folder: &Path, expected_name: &str, now: SystemTime) -> Result<Self, Error> {
        names::check(expected_name)?;
        let secret = required(folder.join(install::KEY))?;
        let own = required(folder.join(install::CERTIFICATE))?;
        let vouching = required(folder.join(authority::CERTIFICATE))?;
        if secret.is_open() {
            return Err(Error::Open {
                path: secret.path,
                mode: secret.mode,
            });
        }
        let found = papers::claimed(&own)?;
        if found != expected_name {
            return Err(Error::Certificate {
                path: own.path,
                fault: Fault::WrongName {
                    expected: expected_name.to_owned(),
                    found: Some(found),
                },
            });
        }
        let certificate = papers::certificate(&own, papers::blocks::<1>(&own)?[0])?;
        let authority = papers::certificate(&vouching, papers::blocks::<1>(&vouching)?[0])?;
        let key = papers::private_key(&secret, papers::blocks::<1>(&secret)?[0])?;
        let (certified, until) =
            papers::check(&own.path, expected_name, certificate, &key, &authority, now)?;
        Ok(Self {
            name: found,
            until,
            certified: Arc::new(certified),
            roots: papers::roots(&vouching.path, &authority)?,
        })
    }

    /// Whose identity it is.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The last second of its validity, since 1970; links cannot be made after it.
    #[must_use]
    pub fn until(&self) -> u64 {
        self.until
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("name", &self.name)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

fn required(path: PathBuf) -> Result<Text, Error> {
    files::read(&path)?.ok_or(Error::Missing { path })
}
