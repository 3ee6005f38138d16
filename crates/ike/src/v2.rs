//! IKE version 2 (RFC 7296). Nothing in here knows of any other version.

pub(crate) mod auth;
pub(crate) mod auth_sent;
pub(crate) mod child;
pub(crate) mod collision;
pub(crate) mod contents;
pub(crate) mod cookie;
pub(crate) mod crash;
pub(crate) mod ending;
pub(crate) mod established;
pub(crate) mod half_open;
pub(crate) mod init_request;
pub(crate) mod init_sent;
pub(crate) mod install;
pub(crate) mod keys;
pub(crate) mod message;
pub(crate) mod nat;
pub(crate) mod pair;
pub(crate) mod proposal;
pub(crate) mod recovery;
pub(crate) mod retransmit;
pub(crate) mod sa;
pub(crate) mod selectors;
pub(crate) mod start;
pub(crate) mod sync;
pub(crate) mod tasks;
pub(crate) mod window;
