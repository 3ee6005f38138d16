//! IKE version 1 (RFC 2407, RFC 2408, RFC 2409). Nothing in here knows of any other version.

pub(crate) mod cipher;
pub(crate) mod deletion;
pub(crate) mod dpd;
pub(crate) mod established;
pub(crate) mod exchange;
pub(crate) mod fragments;
pub(crate) mod gss;
pub(crate) mod informational;
pub(crate) mod keys;
pub(crate) mod liveness;
pub(crate) mod main_mode;
pub(crate) mod message;
pub(crate) mod methods;
pub(crate) mod nat;
pub(crate) mod phase1;
pub(crate) mod phase2;
pub(crate) mod proof;
pub(crate) mod quick;
pub(crate) mod sa;
pub(crate) mod selectors;
pub(crate) mod snapshot;
pub(crate) mod vendor;
