//! Certificates and keys as files hold them: PEM (RFC 7468), DER, PKCS #12 (RFC 7292).

use crypto::signature::BadPublicKey;
use crypto::{PrivateKey, PublicKey};
use p12_keystore::{KeyStore, Pkcs12ImportPolicy};
use policy::Secret;
use x509::{Certificate, RevocationList, pem};

/// Every certificate of a PEM file, or the one of a DER file.
pub(crate) fn certificates(octets: &[u8]) -> Result<Vec<Certificate>, String> {
    let read = |der: &[u8]| Certificate::from_der(der).map_err(|why| why.to_string());
    let Some(blocks) = pem::blocks(octets) else {
        return Ok(vec![read(octets)?]);
    };
    let found: Result<Vec<Certificate>, String> = blocks
        .iter()
        .filter(|block| ["CERTIFICATE", "X509 CERTIFICATE"].contains(&block.label.as_str()))
        .map(|block| read(block.der.as_bytes()))
        .collect();
    match found?.as_slice() {
        [] => Err("there is no CERTIFICATE in it".to_owned()),
        found => Ok(found.to_vec()),
    }
}

/// The private key of a PEM or DER file.
pub(crate) fn private_key(octets: Secret) -> Result<PrivateKey, String> {
    let blocks = pem::blocks(octets.as_bytes());
    let encrypted = octets
        .as_bytes()
        .windows(9)
        .any(|part| part == b"ENCRYPTED");
    if encrypted && octets.as_bytes().is_ascii() {
        return Err("it is encrypted: decrypt it with `openssl pkey`, or use PKCS #12".to_owned());
    }
    let read = |der: &Secret| PrivateKey::from_der(der).map_err(|why| why.to_string());
    let Some(blocks) = blocks else {
        return read(&octets);
    };
    let is_key = |label: &str| label.ends_with("PRIVATE KEY");
    let key = blocks.iter().find(|block| is_key(&block.label));
    read(&key.ok_or("there is no PRIVATE KEY in it")?.der)
}

/// The public keys of a file: bare, or in certificates.
pub(crate) fn public_keys(octets: &[u8]) -> Result<Vec<PublicKey>, String> {
    let of = |certificate: &Certificate| {
        let key = certificate.key().cloned();
        key.map_err(|why| format!("the certificate {certificate} cannot be used: {why}"))
    };
    if let Some(blocks) = pem::blocks(octets)
        && blocks.iter().any(|block| block.label == "PUBLIC KEY")
    {
        let bare = blocks.iter().filter(|block| block.label == "PUBLIC KEY");
        let read = |block: &pem::Block| PublicKey::from_spki(block.der.as_bytes());
        return bare
            .map(|block| read(block).map_err(|why| why.to_string()))
            .collect();
    }
    match PublicKey::from_spki(octets) {
        Ok(key) => return Ok(vec![key]),
        Err(BadPublicKey::Malformed) => {}
        Err(why) => return Err(why.to_string()),
    }
    let certificates = certificates(octets)
        .map_err(|_| "there is neither a PUBLIC KEY nor a CERTIFICATE in it".to_owned())?;
    certificates.iter().map(of).collect()
}

/// The lists of revocations of a file.
pub(crate) fn revocations(octets: &[u8]) -> Result<Vec<RevocationList>, String> {
    let read = |der: &[u8]| RevocationList::from_der(der).map_err(|why| why.to_string());
    match pem::blocks(octets) {
        None => Ok(vec![read(octets)?]),
        Some(blocks) => {
            let lists = blocks.iter().filter(|block| block.label == "X509 CRL");
            let lists: Result<Vec<RevocationList>, String> =
                lists.map(|block| read(block.der.as_bytes())).collect();
            match lists? {
                none if none.is_empty() => Err("there is no X509 CRL in it".to_owned()),
                lists => Ok(lists),
            }
        }
    }
}

/// The private key of a PKCS #12 file, and its certificates, its own first.
pub(crate) fn pkcs12(
    octets: &Secret,
    password: &Secret,
) -> Result<(PrivateKey, Vec<Certificate>), String> {
    let password = password.as_bytes();
    let line = password.strip_suffix(b"\n").unwrap_or(password);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let password = std::str::from_utf8(line).map_err(|_| "the password is no UTF-8 text")?;
    let policy = Pkcs12ImportPolicy::Relaxed;
    let store = KeyStore::from_pkcs12(octets.as_bytes(), password, policy)
        .map_err(|why| format!("it is no PKCS #12, or the password is wrong ({why})"))?;
    let (_, chain) = store.private_key_chain().ok_or("it has no private key")?;
    let key = Secret::from_slice(chain.key().as_der());
    let key = PrivateKey::from_der(&key).map_err(|why| why.to_string())?;
    let read = |one: &p12_keystore::Certificate| {
        Certificate::from_der(one.as_der()).map_err(|why| why.to_string())
    };
    let certificates: Result<Vec<Certificate>, String> = chain.certs().iter().map(read).collect();
    Ok((key, certificates?))
}
