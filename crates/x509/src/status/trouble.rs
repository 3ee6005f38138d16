//! Why nobody knows whether a certificate still holds: what is wrong with the answer, or that
//! there is none.

use std::fmt;

use crate::limits;
use crate::time::date;

/// An answer that says nothing, or that must not be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It is not known whom to ask.
    NoResponder,
    /// No answer came: the reason, as a sentence.
    Unreachable(String),
    /// It is no OCSP response in DER, or of a kind that is not known.
    Malformed,
    /// It has more octets than [`limits::RESPONSE`].
    TooLong(usize),
    /// The responder could not read our request.
    MalformedRequest,
    /// The responder has a fault.
    InternalError,
    /// The responder is busy.
    TryLater,
    /// The responder answers signed requests only.
    SignatureRequired,
    /// The responder answers nothing of the kind, or not to us.
    Unauthorized,
    /// It is about other certificates.
    OtherCertificate,
    /// The responder does not know the certificate.
    Unknown,
    /// It is signed by nobody who may speak for the issuer of the certificate.
    Responder,
    /// The certificate of the responder is not valid at this time.
    ResponderExpired,
    /// Its signature is wrong.
    Signature,
    /// Its signature is of a kind that is not accepted, such as with SHA-1.
    Algorithm,
    /// It is the answer to another request.
    Nonce,
    /// It is from a time to come.
    Early(u64),
    /// It held until this moment only.
    Late(u64),
    /// It does not say until when it holds, and is from this moment.
    Old(u64),
    /// It has a critical extension that is not known here.
    Critical,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::NoResponder => f.write_str(
                "neither the certificate nor `ocsp_responder` names an OCSP responder to ask",
            ),
            Trouble::Unreachable(why) => write!(f, "the OCSP responder gave no answer: {why}"),
            Trouble::Malformed => f.write_str("the answer is no OCSP response"),
            Trouble::TooLong(length) => write!(
                f,
                "the OCSP response has {length} octets: it may have {}",
                limits::RESPONSE
            ),
            Trouble::MalformedRequest => {
                f.write_str("the OCSP responder says that our request is malformed")
            }
            Trouble::InternalError => f.write_str("the OCSP responder has an internal error"),
            Trouble::TryLater => f.write_str("the OCSP responder is busy and says: try later"),
            Trouble::SignatureRequired => {
                f.write_str("the OCSP responder wants signed requests, which are not made here")
            }
            Trouble::Unauthorized => f.write_str(
                "the OCSP responder does not answer for this authority, or not to this host",
            ),
            Trouble::OtherCertificate => {
                f.write_str("the OCSP response is about other certificates")
            }
            Trouble::Unknown => f.write_str("the OCSP responder does not know the certificate"),
            Trouble::Responder => f.write_str(
                "the OCSP response is signed neither by the certificate's issuer nor by a \
                 responder to which that issuer gave a certificate for OCSPSigning",
            ),
            Trouble::ResponderExpired => {
                f.write_str("the certificate of the OCSP responder is not valid now")
            }
            Trouble::Signature => f.write_str("the signature of the OCSP response is wrong"),
            Trouble::Algorithm => f.write_str(
                "the signature of the OCSP response is not accepted: it must be RSA, ECDSA or \
                 Ed25519 with SHA-2",
            ),
            Trouble::Nonce => f.write_str("the OCSP response answers another request"),
            Trouble::Early(at) => write!(
                f,
                "the OCSP response is of {}: if that is past, set this host's clock",
                date(*at)
            ),
            Trouble::Late(at) => write!(f, "the OCSP response held until {}", date(*at)),
            Trouble::Old(at) => write!(
                f,
                "the OCSP response does not say until when it holds, and is of {}",
                date(*at)
            ),
            Trouble::Critical => {
                f.write_str("the OCSP response has a critical extension that is not known here")
            }
        }
    }
}

impl std::error::Error for Trouble {}
