//! Every limit and lifetime of this crate, each with its reason.

use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long an authority is valid unless it is said otherwise: longer than a machine lives.
pub const AUTHORITY_LIFETIME: Duration = DAY.saturating_mul(3652);

/// How long a certificate is valid unless it is said otherwise: two years, after which a stolen key
/// that nobody missed is worth nothing, and renewal has not been forgotten how to do.
pub const LIFETIME: Duration = DAY.saturating_mul(730);

/// How long a revocation list is valid unless it is said otherwise. Who keeps an old one from being
/// replaced wins no more than this.
pub const CRL_LIFETIME: Duration = DAY.saturating_mul(30);

/// The longest life of anything, in days: a hundred years, so that no date overflows.
pub const MAX_DAYS: u32 = 36_525;

/// What ends within this time ends soon, unless its whole life is short.
pub(crate) const SOON: Duration = DAY.saturating_mul(30);

/// How far the clocks of two machines may differ when a certificate has just been made.
pub(crate) const CLOCK_SKEW: Duration = DAY;

/// The longest file that is read as certificates, keys or a revocation list, in bytes: a list of
/// 20,000 certificates has less.
pub(crate) const MAX_FILE: u64 = 1 << 20;

/// The longest name of an authority or of a certificate's files, in characters: what the common
/// name of a certificate may have (RFC 5280 appendix A.1, `ub-common-name`).
pub(crate) const MAX_NAME: usize = 64;

/// Most identities of one certificate: nobody reads more.
pub const MAX_IDENTITIES: usize = 64;

/// The longest URL of an OCSP responder, in bytes: what Holdfast reads of it.
pub(crate) const MAX_URL: usize = 1024;

/// The length of a serial number in bytes: 127 random bits and a first one that keeps it positive
/// (RFC 5280 section 4.1.2.2 allows 20).
pub(crate) const SERIAL: usize = 16;

/// How often a password is hashed in a PKCS#12 file: what OWASP asks of PBKDF2 with SHA-256.
pub(crate) const ITERATIONS: u32 = 600_000;
