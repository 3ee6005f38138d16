//! The files of a certificate for a node or a peer.

use crate::authority::Authority;
use crate::error::Error;
use crate::files::{PUBLIC, SECRET};
use crate::limits::{MAX_IDENTITIES, MAX_NAME};
use crate::p12::Bundle;
use crate::request::Request;
use crate::{p12, paper};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use zeroize::Zeroizing;

/// The name of the authority for the links of a cluster: it vouches for members only.
pub const CLUSTER: &str = "Holdfast cluster authority";

/// The files that were made.
#[derive(Debug)]
pub struct Made {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Both and the authority's certificate as PKCS#12.
    pub bundle: Option<PathBuf>,
    /// The end of its validity, in seconds since 1970.
    pub until: u64,
    /// The authority ends before the lifetime that was wanted does.
    pub shortened: bool,
}

impl Authority {
    /// Makes a certificate and writes `NAME.pem`, `NAME.key` and, where a bundle is wanted,
    /// `NAME.p12` in the folder. Nothing is replaced, and all is there or nothing.
    ///
    /// # Errors
    /// What the name, the identities, the folder, the password file or the authority have wrong.
    pub fn make_certificate(
        &self,
        folder: &Path,
        request: &Request<'_>,
        bundle: Option<&Bundle<'_>>,
        now: SystemTime,
    ) -> Result<Made, Error> {
        check_name(request.name)?;
        match request.identities.len() {
            1..=MAX_IDENTITIES => {}
            count => return Err(Error::Identities(count)),
        }
        if self.name().strip_prefix("CN=") == Some(CLUSTER) {
            let path = self.path().to_owned();
            return Err(Error::ClusterAuthority { path });
        }
        let name = |ending: &str| format!("{}.{ending}", request.name);
        let (pem, key, p12) = (name("pem"), name("key"), name("p12"));
        // Said before a key is made and a password hashed, which takes a while.
        paper::refuse_existing(folder, &[&pem, &key])?;
        let issued = self.issue(request, now)?;
        let secret = issued.private_key();
        let mut files = vec![
            (key.as_str(), secret.as_bytes(), SECRET),
            (pem.as_str(), issued.certificate.as_bytes(), PUBLIC),
        ];
        let bytes = match bundle {
            Some(bundle) => p12::bundle(request.name, &issued, self.der(), bundle)?,
            None => Zeroizing::default(),
        };
        if bundle.is_some() {
            files.push((p12.as_str(), &bytes, SECRET));
        }
        paper::write_new(folder, &files)?;
        let wanted = crate::time::now(now)? + request.lifetime.as_secs();
        Ok(Made {
            certificate: folder.join(&pem),
            key: folder.join(&key),
            bundle: bundle.map(|_| folder.join(&p12)),
            until: issued.until,
            shortened: issued.until < wanted,
        })
    }
}

/// A name of files, and a common name: nothing that leads out of the folder or hides in it.
fn check_name(name: &str) -> Result<(), Error> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let taken = ["ca", "crl"].contains(&name);
    let fits = (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(allowed);
    match fits && !taken && !name.starts_with(['.', '-']) {
        true => Ok(()),
        false => Err(Error::BadName {
            text: name.to_owned(),
            wanted: "files need 1 to 64 letters, digits, `-`, `_` or `.`, the first of them no \
                     `.` or `-`; `ca` and `crl` are the authority's own",
        }),
    }
}
