//! Authorities, certificates and keys for one pair of hosts: made anew for each run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod,
    KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};

use crate::strongswan::IDS;

/// A kind of key, as `openssl genpkey` is told to make it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    EcdsaP256,
    Rsa2048,
    Ed25519,
}

impl Kind {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Kind::EcdsaP256 => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            Kind::Rsa2048 => &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            Kind::Ed25519 => &["-algorithm", "ED25519"],
        }
    }
}

/// A root, an authority below it for each host, and each host's certificate.
pub(crate) struct Pki {
    folder: PathBuf,
}

/// Our side and strongSwan's, as the first letter of file names.
pub(crate) const SIDES: [&str; 2] = ["a", "b"];

type Issuer = CertifiedIssuer<'static, KeyPair>;

impl Pki {
    /// Makes everything in a folder of its own.
    pub(crate) fn new(folder: &Path, root: &str, kind: Kind) -> Result<Self, String> {
        Pki::with_responder(folder, root, kind, None)
    }

    /// As [`Pki::new`], and strongSwan's certificate names an OCSP responder.
    pub(crate) fn with_responder(
        folder: &Path,
        root: &str,
        kind: Kind,
        responder: Option<&str>,
    ) -> Result<Self, String> {
        fs::create_dir_all(folder).map_err(|why| format!("{}: {why}", folder.display()))?;
        let pki = Pki {
            folder: folder.to_owned(),
        };
        let said = |why: rcgen::Error| format!("certificates cannot be made: {why}");
        let root = CertifiedIssuer::self_signed(authority(root), pki.key("root", kind)?);
        let root = root.map_err(said)?;
        pki.write("root.crt", &root.pem())?;
        for (side, host) in SIDES.into_iter().zip(IDS) {
            let above = format!("{side}-authority");
            let key = pki.key(&above, kind)?;
            let above = CertifiedIssuer::signed_by(authority(&above), key, &root).map_err(said)?;
            let mut params = named(host);
            let name = host.try_into().map_err(said)?;
            params.subject_alt_names = vec![SanType::DnsName(name)];
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.use_authority_key_identifier_extension = true;
            params.serial_number = Some(SerialNumber::from(4242));
            let responder = responder.filter(|_| side == SIDES[1]);
            params.custom_extensions.extend(responder.map(access));
            let key = pki.key(side, kind)?;
            let own = params.signed_by(&key, &above).map_err(said)?;
            pki.write(&format!("{side}.crt"), &own.pem())?;
            pki.write(&format!("{side}-authority.crt"), &above.pem())?;
            pki.write(&format!("{side}-chain.crt"), &(own.pem() + &above.pem()))?;
            pki.write(&format!("{side}.pub"), &key.public_key_pem())?;
            let mut params = named(&format!("{side}-responder"));
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
            let key = pki.key(&format!("{side}-responder"), kind)?;
            let responder = params.signed_by(&key, &above).map_err(said)?;
            pki.write(&format!("{side}-responder.crt"), &responder.pem())?;
            let revoked = list(&above, true).map_err(said)?;
            pki.write(&format!("{side}-revoked.crl"), &revoked)?;
        }
        pki.write("root.crl", &list(&root, false).map_err(said)?)?;
        Ok(pki)
    }

    /// Where a file is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), String> {
        crate::folder::write(&self.path(name), text)
    }

    /// A private key in a file that only its owner may read.
    fn key(&self, name: &str, kind: Kind) -> Result<KeyPair, String> {
        let path = self.path(&format!("{name}.key"));
        let mut command = Command::new("openssl");
        command
            .arg("genpkey")
            .args(kind.arguments())
            .arg("-out")
            .arg(&path);
        let output = command.output().map_err(|why| format!("openssl: {why}"))?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            return Err(format!("openssl genpkey failed: {errors}"));
        }
        let text = fs::read_to_string(&path).map_err(|why| format!("{}: {why}", path.display()))?;
        KeyPair::from_pem(&text).map_err(|why| format!("{}: {why}", path.display()))
    }
}

fn named(common: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "DE");
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Interop");
    params.distinguished_name.push(DnType::CommonName, common);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    params
}

fn authority(common: &str) -> CertificateParams {
    let mut params = named(common);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params
}

/// authorityInfoAccess with one URL, which is short (RFC 5280 section 4.2.2.1).
fn access(responder: &str) -> CustomExtension {
    let tlv = |tag: u8, body: &[u8]| {
        let length = u8::try_from(body.len()).unwrap_or(u8::MAX);
        [&[tag, length], body].concat()
    };
    let method = tlv(6, &[0x2b, 6, 1, 5, 5, 7, 0x30, 1]);
    let location = tlv(0x86, responder.as_bytes());
    let access = tlv(0x30, &tlv(0x30, &[method, location].concat()));
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], access)
}

/// The issuer's list, with the host's certificate in it or nothing.
fn list(issuer: &Issuer, host: bool) -> Result<String, rcgen::Error> {
    let revoked = RevokedCertParams {
        serial_number: SerialNumber::from(4242),
        revocation_time: date_time_ymd(2020, 2, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2020, 2, 1),
        next_update: date_time_ymd(2040, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: host.then_some(revoked).into_iter().collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(issuer)?.pem()
}
