//! Why a connection was not made: sentences, without any byte of what was exchanged.

use rustls::CertificateError;
use std::fmt;
use std::io;

/// Why a peer did not prove to be a member, or did not accept our proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Too many handshakes were running, or an earlier connection of the peer was still waiting.
    Busy,
    /// The handshake took too long.
    Slow,
    /// The connection broke during the handshake.
    Lost(io::ErrorKind),
    /// It does not speak TLS.
    NotTls,
    /// It does not speak TLS 1.3, or has no algorithm in common with us.
    NotTls13,
    /// It speaks TLS, but not our protocol inside.
    OtherProtocol,
    /// It showed no certificate.
    NoCertificate,
    /// Its certificate is of another authority.
    OtherAuthority,
    /// Its certificate has expired, or is not valid yet.
    NotValidNow,
    /// It is another node than the one that should be at this address.
    WrongName {
        /// The one that should be.
        expected: String,
    },
    /// It is a member of the cluster, but none of the configured peers.
    Stranger,
    /// It uses the identity of this node.
    OurName,
    /// It is a peer, but the one that must wait for our connection.
    WrongDirection {
        /// Its name.
        node: String,
    },
    /// It did not accept our certificate or handshake; its words.
    ByPeer(String),
    /// Another reason, in the TLS library's words.
    Broken(String),
}

impl Refusal {
    /// What a failed handshake or read means, when `expected` (if known) should be there.
    pub(crate) fn of(error: &io::Error, expected: Option<&str>) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        let Some(inner) = inner else {
            return Self::Lost(error.kind());
        };
        match inner {
            rustls::Error::NoCertificatesPresented => Self::NoCertificate,
            rustls::Error::InvalidCertificate(certificate) => {
                Self::certificate(certificate, expected)
            }
            rustls::Error::PeerIncompatible(_) => Self::NotTls13,
            rustls::Error::InvalidMessage(_) => Self::NotTls,
            rustls::Error::NoApplicationProtocol => Self::OtherProtocol,
            rustls::Error::AlertReceived(alert) => Self::ByPeer(format!("{alert:?}")),
            other => Self::Broken(other.to_string()),
        }
    }

    fn certificate(error: &CertificateError, expected: Option<&str>) -> Self {
        use CertificateError as E;
        match error {
            E::UnknownIssuer | E::BadSignature => Self::OtherAuthority,
            E::Expired
            | E::ExpiredContext { .. }
            | E::NotValidYet
            | E::NotValidYetContext { .. } => Self::NotValidNow,
            E::NotValidForName | E::NotValidForNameContext { .. } => Self::WrongName {
                expected: expected.unwrap_or_default().to_owned(),
            },
            other => Self::Broken(other.to_string()),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("too many connections were waiting at the time"),
            Self::Slow => f.write_str("it did not prove itself in time"),
            Self::Lost(kind) => {
                write!(
                    f,
                    "the connection ended before it was proven ({kind}): the other side's log \
                     may say why"
                )
            }
            Self::NotTls => f.write_str("it does not speak TLS"),
            Self::NotTls13 => f.write_str("it does not speak TLS 1.3 with our algorithms"),
            Self::OtherProtocol => {
                f.write_str("it speaks another protocol: run the same version on all nodes")
            }
            Self::NoCertificate => f.write_str("it showed no certificate"),
            Self::OtherAuthority => f.write_str(
                "its certificate is of another authority: make the certificates of all nodes \
                 in one place with `holdfast cluster init`",
            ),
            Self::NotValidNow => f.write_str(
                "its certificate has expired or is not valid yet: compare the clocks of both \
                 nodes, or renew it with `holdfast cluster init`",
            ),
            Self::WrongName { expected } => write!(
                f,
                "it is not node `{expected}`: compare the addresses in the configuration"
            ),
            Self::Stranger => f.write_str(
                "it is a member of the cluster, but not one of this node's peers: name it in the \
                 configuration",
            ),
            Self::OurName => f.write_str(
                "it uses the identity of this node: give every node a `.join` file of its own",
            ),
            Self::WrongDirection { node } => write!(
                f,
                "node `{node}` must wait for our connection: it and this node disagree about \
                 their names' order"
            ),
            Self::ByPeer(alert) => write!(
                f,
                "it did not accept our proof (TLS alert {alert}): its own log says why"
            ),
            Self::Broken(why) => write!(f, "the TLS handshake failed: {why}"),
        }
    }
}
