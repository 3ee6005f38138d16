//! Why a call to one member has no answer.

use crate::endpoint::Endpoint;
use crate::protobuf::Malformed;
use crate::status::{Status, words};

/// A call that failed, with its sentence.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// Names the endpoint, says why and what to do.
    pub(crate) sentence: String,
    /// Whether it is certain that nothing was changed.
    pub(crate) nothing_happened: bool,
    /// Whether every other member would say the same.
    pub(crate) is_final: bool,
    /// Whether the member has spoken at all.
    pub(crate) answered: bool,
}

impl Failure {
    /// The call never left.
    pub(crate) fn unsent(endpoint: &Endpoint, error: &h2::Error) -> Self {
        Self {
            nothing_happened: true,
            ..Self::lost(endpoint, error)
        }
    }

    /// The connection broke.
    pub(crate) fn lost(endpoint: &Endpoint, error: &h2::Error) -> Self {
        Self::of(endpoint, &broken(error))
    }

    /// The member refused.
    pub(crate) fn refused(endpoint: &Endpoint, status: &Status) -> Self {
        Self {
            nothing_happened: status.nothing_happened(),
            is_final: status.is_final(),
            answered: true,
            ..Self::of(endpoint, &status.clause())
        }
    }

    /// What answered is not what we can read.
    pub(crate) fn malformed(endpoint: &Endpoint, malformed: Malformed) -> Self {
        Self {
            answered: true,
            ..Self::of(endpoint, &format!("sent a message that {malformed}"))
        }
    }

    /// Any other reason; the clause follows the endpoint's name.
    pub(crate) fn of(endpoint: &Endpoint, clause: &str) -> Self {
        Self {
            sentence: format!("etcd at {endpoint} {clause}"),
            nothing_happened: false,
            is_final: false,
            answered: false,
        }
    }
}

/// The clause for a connection that the member has ended.
pub(crate) const CLOSED: &str = "has closed the connection; it may be stopping";

/// Why a connection ended, as a clause.
pub(crate) fn broken(error: &h2::Error) -> String {
    if let Some(error) = error.get_io() {
        return io_clause(error);
    }
    if error.is_go_away() && error.is_remote() {
        return CLOSED.to_owned();
    }
    format!(
        "does not speak HTTP/2 as etcd does ({}); check the port, and whether it should be https",
        words(error.to_string().as_bytes())
    )
}

/// What an error of the socket or of TLS means, as a clause.
pub(crate) fn io_clause(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    if let Some(tls) = tls {
        return tls_clause(tls);
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => {
            "refuses the connection; is etcd running, and is this its client port?".to_owned()
        }
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
            CLOSED.to_owned()
        }
        _ => format!(
            "cannot be reached ({})",
            words(error.to_string().as_bytes())
        ),
    }
}

fn tls_clause(error: &rustls::Error) -> String {
    use rustls::{AlertDescription, CertificateError, Error};
    let text = words(error.to_string().as_bytes());
    match error {
        Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => "shows a certificate that our CA file does not vouch for; put the CA that signed \
             etcd's certificates there"
            .to_owned(),
        Error::InvalidCertificate(_) => {
            format!("shows a certificate that is not good for this address ({text})")
        }
        Error::InvalidMessage(_) => {
            "does not speak TLS at this port; use http://, or turn TLS on in etcd".to_owned()
        }
        Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            "does not speak TLS 1.3; do not limit its versions".to_owned()
        }
        Error::AlertReceived(_) => format!(
            "does not accept our certificate ({text}); it must be signed by etcd's trusted CA \
             file, valid now, and allowed for client authentication"
        ),
        _ => format!("cannot agree on TLS with us ({text})"),
    }
}
