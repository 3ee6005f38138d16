//! What a witness needs to know before it starts.

use std::path::PathBuf;
use std::time::Duration;

/// Where etcd is, and how to speak to it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The members' client addresses: `https://10.0.0.1:2379`, or `http://...` on a network that
    /// is trusted. Addresses rather than names, so that a takeover does not wait for a resolver;
    /// all of one kind; at most [`crate::limits::ENDPOINTS_MAX`].
    pub endpoints: Vec<String>,
    /// Needed exactly if the endpoints begin with `https`.
    pub tls: Option<Tls>,
    /// What all our keys in etcd begin with, for instance `holdfast/site-a/`. Not empty. It is put
    /// before the keys of [`crate::Witness::propose`] and taken off those of [`crate::News`].
    pub prefix: String,
    /// How long a proposal or a check may take, 50 ms to 60 s. Longer than etcd's election timeout
    /// (1 s unless configured), or proposals fail when etcd's leader does.
    pub request_timeout: Duration,
    /// `SO_MARK` of every connection, by which routing rules keep it outside of tunnels.
    pub mark: Option<u32>,
}

/// The PEM files of TLS.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The authorities that etcd's certificates are signed by, and no others.
    pub ca: PathBuf,
    /// Our certificate, followed by those between it and the authority that etcd trusts.
    pub certificate: PathBuf,
    /// Our private key.
    pub key: PathBuf,
}
