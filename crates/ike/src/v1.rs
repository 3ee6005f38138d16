//! IKE version 1 (RFC 2407, RFC 2408, RFC 2409). Nothing in here knows of any other version.

#![expect(dead_code, reason = "the exchanges that use it come next")]

pub(crate) mod cipher;
pub(crate) mod keys;
