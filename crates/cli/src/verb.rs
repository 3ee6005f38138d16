//! One file per verb.

pub(crate) mod boot;
pub(crate) mod check;
pub(crate) mod cluster;
pub(crate) mod daemon;
pub(crate) mod dynamic;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod lab;
pub(crate) mod output;
pub(crate) mod pki;
pub(crate) mod psk;
pub(crate) mod sa;
pub(crate) mod status;
