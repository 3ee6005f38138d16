//! A small world of authorities and certificates for this crate's tests.

pub(crate) mod responder;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    DistinguishedName as Name, DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};

use crate::authorities::{Authorities, Revocation, RevocationList, Usage};
use crate::certificate::Certificate;

/// 2026-06-01T00:00:00Z, in the middle of every certificate's life here.
pub(crate) const NOW: u64 = 1_780_272_000;
/// 2030-01-01T00:00:00Z, after it.
pub(crate) const LATER: u64 = 1_893_456_000;

pub(crate) type Issuer = CertifiedIssuer<'static, KeyPair>;

fn name(common: &str) -> Name {
    let mut name = Name::new();
    name.push(DnType::CountryName, "DE");
    name.push(DnType::OrganizationName, "Example");
    name.push(DnType::CommonName, common);
    name
}

pub(crate) fn params(common: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(common);
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params.serial_number = Some(SerialNumber::from(common.len() as u64 + 1000));
    params.use_authority_key_identifier_extension = true;
    params
}

fn authority(common: &str) -> CertificateParams {
    let mut params = params(common);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

pub(crate) fn root(common: &str) -> Issuer {
    CertifiedIssuer::self_signed(authority(common), KeyPair::generate().unwrap()).unwrap()
}

pub(crate) fn intermediate(common: &str, above: &Issuer) -> Issuer {
    CertifiedIssuer::signed_by(authority(common), KeyPair::generate().unwrap(), above).unwrap()
}

/// A peer's: for mail.example.org, 10.0.0.1 and ops@example.org.
pub(crate) fn peer() -> CertificateParams {
    let mut params = params("mail");
    params.subject_alt_names = vec![
        SanType::DnsName("mail.example.org".try_into().unwrap()),
        SanType::DnsName("*.example.net".try_into().unwrap()),
        SanType::IpAddress("10.0.0.1".parse().unwrap()),
        SanType::Rfc822Name("ops@example.org".try_into().unwrap()),
    ];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(vec![
        1, 3, 6, 1, 5, 5, 7, 3, 17,
    ])];
    params
}

pub(crate) fn signed(params: CertificateParams, above: &Issuer) -> Certificate {
    let key = KeyPair::generate().unwrap();
    read(params.signed_by(&key, above).unwrap().der())
}

pub(crate) fn read(der: &[u8]) -> Certificate {
    Certificate::from_der(der).unwrap()
}

/// A list of this issuer, which names these certificates.
pub(crate) fn list(issuer: &Issuer, revoked: &[&Certificate]) -> RevocationList {
    let revoked = revoked.iter().map(|one| RevokedCertParams {
        serial_number: SerialNumber::from_slice(one.serial()),
        revocation_time: date_time_ymd(2026, 2, 1),
        reason_code: None,
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 2, 1),
        next_update: date_time_ymd(2026, 12, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    RevocationList::from_der(params.signed_by(issuer).unwrap().der()).unwrap()
}

pub(crate) fn trust(
    roots: &[&Issuer],
    lists: Vec<RevocationList>,
    revocation: Revocation,
) -> Authorities {
    let roots = roots.iter().map(|one| read(one.der())).collect();
    Authorities::new(roots, lists, Usage::Ipsec, revocation).unwrap()
}
