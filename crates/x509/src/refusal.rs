//! Why a peer's certificate is refused: which one, and what to do.

use std::fmt;

use crypto::signature::BadPublicKey;

use crate::certificate::BadCertificate;
use crate::status::Trouble;
use crate::time::date;

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The certificate, as [`Certificate`](crate::Certificate) prints it; empty when there is none
    /// to name.
    pub certificate: String,
    /// What is wrong with it.
    pub why: Why,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The peer sent none.
    Missing,
    /// The peer sent more than this.
    TooMany(usize),
    /// It cannot be read.
    Unreadable(BadCertificate),
    /// Its key must not be used.
    Key(BadPublicKey),
    /// Its last second is past.
    Expired(u64),
    /// Its first second is to come.
    NotYetValid(u64),
    /// The authority that vouches for it has expired itself.
    AuthorityExpired(String, u64),
    /// Its issuer has revoked it.
    Revoked(String),
    /// Nobody can tell whether it is revoked: no list of this issuer is there.
    NoRevocationList(String),
    /// The list of revocations of its issuer is too old.
    RevocationListExpired(u64),
    /// A responder says that its issuer has revoked it, at this moment.
    RevokedAt(String, u64),
    /// Nobody says that it still holds, and somebody must.
    NoStatus(Trouble),
    /// No authority that we trust vouches for it, and none of what the peer sent leads to one.
    UnknownIssuer {
        /// Whose certificate is missing.
        issuer: String,
        /// Whom we trust.
        trusted: Vec<String>,
    },
    /// A signature in its chain is wrong.
    Signature,
    /// A signature in its chain is of a kind that is not accepted, such as with SHA-1.
    Algorithm,
    /// It may not sign: keyUsage.
    KeyUsage,
    /// It is for something else: extendedKeyUsage.
    ExtendedKeyUsage,
    /// It is an authority's own.
    AuthorityAsPeer,
    /// A name in it is outside of what its authority may vouch for.
    NameConstraint,
    /// It does not name whom the peer says that it is.
    Name {
        /// Who the peer says that it is.
        said: String,
        /// Who the certificate is for.
        names: Vec<String>,
    },
    /// The time of day is not known.
    NoClock,
    /// Something else.
    Other(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.certificate.as_str() {
            "" => self.why.fmt(f),
            certificate => write!(f, "the certificate {certificate} {}", self.why),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Missing => f.write_str("the peer sent no certificate"),
            Why::TooMany(most) => write!(f, "the peer sent more than {most} certificates"),
            Why::Unreadable(why) => write!(f, "the peer's certificate cannot be read: {why}"),
            Why::Key(why) => write!(f, "cannot be used: {why}"),
            Why::Expired(at) => write!(f, "expired at {}", date(*at)),
            Why::NotYetValid(from) => write!(
                f,
                "is valid from {} on: if that is past, set this host's clock",
                date(*from)
            ),
            Why::AuthorityExpired(authority, at) => write!(
                f,
                "is vouched for by the authority {authority}, which expired at {}",
                date(*at)
            ),
            Why::Revoked(issuer) => write!(f, "was revoked by {issuer}"),
            Why::NoRevocationList(issuer) => write!(
                f,
                "may be revoked: there is no list of revocations of `{issuer}` in `crls`"
            ),
            Why::RevocationListExpired(at) => write!(
                f,
                "may be revoked: the list of its issuer's revocations expired at {}; fetch it anew",
                date(*at)
            ),
            Why::RevokedAt(issuer, at) => {
                write!(f, "was revoked by `{issuer}` at {}, says OCSP", date(*at))
            }
            Why::NoStatus(trouble) => write!(f, "may be revoked: {trouble}"),
            Why::UnknownIssuer { issuer, trusted } => {
                write!(f, "leads to `{issuer}`, which is none of our authorities:")?;
                let separators = std::iter::once(" ").chain(std::iter::repeat(", "));
                let mut trusted = trusted.iter().zip(separators);
                trusted.try_for_each(|(name, gap)| write!(f, "{gap}{name}"))
            }
            Why::Signature => f.write_str("has a wrong signature in its chain"),
            Why::Algorithm => f.write_str(
                "has a signature in its chain that is not accepted: it must be RSA, ECDSA or \
                 Ed25519 with SHA-2",
            ),
            Why::KeyUsage => f.write_str("may not sign: its keyUsage lacks digitalSignature"),
            Why::ExtendedKeyUsage => f.write_str(
                "is not for IPsec: its extendedKeyUsage has neither ipsecIKE nor \
                 anyExtendedKeyUsage",
            ),
            Why::AuthorityAsPeer => {
                f.write_str("is an authority's own: the peer needs one that the authority signed")
            }
            Why::NameConstraint => f.write_str("has a name that its authority may not vouch for"),
            Why::Name { said, names } => {
                write!(f, "is not for `{said}`")?;
                match names.is_empty() {
                    true => f.write_str("; it is for nobody"),
                    false => write!(f, "; it is for {}", names.join(", ")),
                }
            }
            Why::NoClock => f.write_str("cannot be judged: the time of day is not known"),
            Why::Other(why) => write!(f, "is refused: {why}"),
        }
    }
}

impl std::error::Error for Refusal {}
