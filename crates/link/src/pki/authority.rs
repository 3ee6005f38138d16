//! A cluster's authority: it signs the certificates of the nodes, and nothing else.

use crate::limits::VALIDITY;
use crate::pki::error::Error;
use crate::pki::{names, papers};
use ::pki::{Identity, KeyKind, NewAuthority, Request, Usage};
use std::path::Path;
use std::time::SystemTime;
use zeroize::Zeroizing;

/// The authority's certificate, in its folder and in those of the nodes.
pub(crate) const CERTIFICATE: &str = ::pki::CERTIFICATE;

/// An authority with its key.
pub(crate) struct Authority(::pki::Authority);

impl Authority {
    /// Makes a new authority in the folder. Its name is the same for every cluster: its key tells
    /// one from another.
    ///
    /// # Errors
    /// [`Error::Making`], [`Error::File`].
    pub(crate) fn make(folder: &Path, now: SystemTime) -> Result<Self, Error> {
        let new = NewAuthority {
            name: ::pki::CLUSTER,
            key: KeyKind::EcdsaP256,
            lifetime: VALIDITY,
        };
        Ok(Self(::pki::Authority::make(folder, &new, now)?))
    }

    /// Reads the authority of the folder; `None` when there is none.
    ///
    /// # Errors
    /// When there is half of one, it is damaged, or its key is open to others.
    pub(crate) fn load(folder: &Path) -> Result<Option<Self>, Error> {
        Ok(::pki::Authority::load(folder)?.map(Self))
    }

    /// The end of its validity, in seconds since 1970.
    pub(crate) fn until(&self) -> u64 {
        self.0.until()
    }

    /// Makes a node's file: its certificate, its key, and the authority's certificate.
    ///
    /// # Errors
    /// [`Error::Making`], [`Error::BadName`].
    pub(crate) fn issue(&self, name: &str, now: SystemTime) -> Result<Zeroizing<String>, Error> {
        let identity = Identity::Fqdn(names::dns_name(name)?);
        let request = Request {
            name,
            identities: &[identity],
            key: KeyKind::EcdsaP256,
            lifetime: VALIDITY,
            usages: &[Usage::ServerAuth, Usage::ClientAuth],
            responder: None,
        };
        let issued = self.0.issue(&request, now)?;
        let parts = [
            &papers::claim(name),
            &issued.certificate,
            &*issued.private_key(),
            self.0.certificate(),
        ];
        // `concat` allocates once, so that no copy is left behind.
        Ok(Zeroizing::new(parts.concat()))
    }
}
