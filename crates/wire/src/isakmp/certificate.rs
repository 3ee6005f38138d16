//! Certificate and Certificate Request payloads (RFC 2408 sections 3.9 and 3.10).

use crate::malformed::Malformed;
use crate::reader::Reader;

/// A certificate, a part of a chain or a revocation list, undecoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The encoding, a `CERT_` number of [`numbers`](crate::isakmp::numbers).
    pub encoding: u8,
    /// The certificate in that encoding.
    pub data: Vec<u8>,
}

/// Which authority the sender trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRequest {
    /// The encoding that is asked for.
    pub encoding: u8,
    /// For X.509: the distinguished name of the authority in DER, or nothing for any.
    pub authority: Vec<u8>,
}

impl Certificate {
    pub(crate) fn parse(mut reader: Reader<'_>) -> Result<Self, Malformed> {
        Ok(Certificate {
            encoding: reader.u8()?,
            data: reader.rest().to_vec(),
        })
    }

    pub(crate) fn emit(&self, out: &mut Vec<u8>) {
        out.push(self.encoding);
        out.extend_from_slice(&self.data);
    }
}

impl CertificateRequest {
    pub(crate) fn parse(mut reader: Reader<'_>) -> Result<Self, Malformed> {
        Ok(CertificateRequest {
            encoding: reader.u8()?,
            authority: reader.rest().to_vec(),
        })
    }

    pub(crate) fn emit(&self, out: &mut Vec<u8>) {
        out.push(self.encoding);
        out.extend_from_slice(&self.authority);
    }
}
