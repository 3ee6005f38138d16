//! Certificates for both sides of the trials, made as `holdfast pki` makes them (RFC 4945).

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pki::{Authority, Bundle, Identity, KeyKind, NewAuthority, Request};

use crate::folder;
use crate::peers::case::{OUR_ID, Proof, THEIR_ID};

const LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// Of the PKCS#12 files.
pub(crate) const PASSWORD: &str = "interop";

/// Whose files they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Us,
    Them,
}

/// A folder with an authority for each kind of key, and below it a certificate for each side.
pub(crate) struct Papers {
    folder: PathBuf,
}

impl Papers {
    /// Makes all of them.
    pub(crate) fn new(results: &Path) -> Result<Self, String> {
        let folder = results.join("papers");
        folder::make(&folder)?;
        let password = folder.join("password");
        folder::write(&password, PASSWORD)?;
        std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600))
            .map_err(|why| format!("{}: {why}", password.display()))?;
        let papers = Papers { folder };
        for proof in Proof::BY_CERTIFICATE {
            papers
                .make(proof, &password)
                .map_err(|why| format!("certificates for {}: {why}", proof.words()))?;
        }
        Ok(papers)
    }

    fn make(&self, proof: Proof, password_file: &Path) -> Result<(), pki::Error> {
        let folder = self.folder.join(proof.word());
        let key = match proof {
            Proof::Rsa => KeyKind::Rsa2048,
            _ => KeyKind::EcdsaP256,
        };
        let new = NewAuthority {
            name: &format!("Interop {}", proof.word()),
            key,
            lifetime: LIFETIME,
        };
        let now = SystemTime::now();
        let authority = Authority::make(&folder, &new, now)?;
        for (side, id) in [(Side::Us, OUR_ID), (Side::Them, THEIR_ID)] {
            let request = Request {
                name: &Papers::name(proof, side),
                identities: &[Identity::parse(id)?],
                key,
                lifetime: LIFETIME,
                usages: &[],
                responder: None,
            };
            let bundle = Bundle {
                password_file,
                legacy: false,
            };
            authority.make_certificate(&folder, &request, Some(&bundle), now)?;
        }
        Ok(())
    }

    /// What a certificate is called, as a file and by its subject.
    pub(crate) fn name(proof: Proof, side: Side) -> String {
        let side = match side {
            Side::Us => "us",
            Side::Them => "them",
        };
        format!("{}-{side}", proof.word())
    }

    /// The file of a certificate (`pem`), its key (`key`), or all of it (`p12`).
    pub(crate) fn file(&self, proof: Proof, side: Side, kind: &str) -> PathBuf {
        let name = format!("{}.{kind}", Papers::name(proof, side));
        self.folder.join(proof.word()).join(name)
    }

    /// The certificate of the authority.
    pub(crate) fn authority(&self, proof: Proof) -> PathBuf {
        self.folder.join(proof.word()).join(pki::CERTIFICATE)
    }
}
