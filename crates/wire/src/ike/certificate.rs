//! Certificate and Certificate Request payloads (RFC 7296 sections 3.6 and 3.7).

use crate::malformed::Malformed;
use crate::reader::Reader;

/// A certificate, a part of a chain or a revocation list, undecoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cert {
    /// The encoding, a `CERT_` number of [`numbers`](crate::ike::numbers).
    pub encoding: u8,
    /// The certificate in that encoding.
    pub data: Vec<u8>,
}

/// Which authorities the sender trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertReq {
    /// The encoding that is asked for.
    pub encoding: u8,
    /// For X.509: SHA-1 hashes, 20 octets each, of the authorities' public keys.
    pub authorities: Vec<u8>,
}

impl Cert {
    pub(crate) fn parse(mut reader: Reader<'_>) -> Result<Self, Malformed> {
        Ok(Cert {
            encoding: reader.u8()?,
            data: reader.rest().to_vec(),
        })
    }

    pub(crate) fn emit(&self, out: &mut Vec<u8>) {
        out.push(self.encoding);
        out.extend_from_slice(&self.data);
    }
}

impl CertReq {
    pub(crate) fn parse(mut reader: Reader<'_>) -> Result<Self, Malformed> {
        Ok(CertReq {
            encoding: reader.u8()?,
            authorities: reader.rest().to_vec(),
        })
    }

    pub(crate) fn emit(&self, out: &mut Vec<u8>) {
        out.push(self.encoding);
        out.extend_from_slice(&self.authorities);
    }
}
