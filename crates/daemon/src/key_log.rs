//! Session keys for Wireshark, on request only: `ikev2_decryption_table`, `ikev1_decryption_table`
//! and `esp_sa`.

use crate::error::Error;
use crypto::{Encryption, Integrity, Secret};
use ike::{IkeKeys, IsakmpKey};
use policy::{KeyMaterial, SaSpec};
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The files. Whoever reads them can decrypt the traffic.
pub(crate) struct KeyLog {
    ike: File,
    isakmp: File,
    esp: File,
}

impl KeyLog {
    /// Opens the files below `folder`; only root may read them.
    ///
    /// # Errors
    /// When folder or files cannot be made.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        let file_error = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::File { path, source }
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(file_error(folder))?;
        let open = |name: &str| {
            let path: PathBuf = folder.join(name);
            let mut options = OpenOptions::new();
            options.append(true).create(true).mode(0o600);
            let file = options.open(&path).map_err(file_error(&path))?;
            // One that was there before may have been open to others.
            file.set_permissions(Permissions::from_mode(0o600))
                .map_err(file_error(&path))?;
            Ok::<_, Error>(file)
        };
        Ok(Self {
            ike: open("ikev2_decryption_table")?,
            isakmp: open("ikev1_decryption_table")?,
            esp: open("esp_sa")?,
        })
    }

    /// Writes the keys of an IKE SA.
    pub(crate) fn ike(&mut self, keys: &IkeKeys) {
        let line = format!(
            "{:016x},{:016x},{},{},\"{}\",{},{},\"{}\"\n",
            keys.initiator_spi,
            keys.responder_spi,
            hex(&keys.sk_ei),
            hex(&keys.sk_er),
            ike_encryption(keys.suite.encryption),
            hex(&keys.sk_ai),
            hex(&keys.sk_ar),
            keys.suite.integrity.map_or("NONE [RFC4306]", integrity),
        );
        // A full disk must not stop the traffic.
        let _ = self.ike.write_all(line.as_bytes());
    }

    /// Writes the key of an ISAKMP SA.
    pub(crate) fn isakmp(&mut self, one: &IsakmpKey) {
        let line = format!("{:016x},{}\n", one.initiator_cookie, hex(&one.key));
        let _ = self.isakmp.write_all(line.as_bytes());
    }

    /// Writes the keys of a CHILD SA pair.
    pub(crate) fn esp(&mut self, spec: &SaSpec) {
        let family = if spec.local.is_ipv4() { "IPv4" } else { "IPv6" };
        let mut line = |source, destination, spi: u32, keys: &KeyMaterial| {
            let authentication = match spec.integrity {
                Some(kind) => format!("\"{}\",\"0x{}\"", esp_integrity(kind), hex(&keys.integrity)),
                None => "\"NULL\",\"\"".to_owned(),
            };
            let line = format!(
                "\"{family}\",\"{source}\",\"{destination}\",\"0x{spi:08x}\",\"{}\",\"0x{}\",\
                 {authentication}\n",
                esp_encryption(spec.encryption),
                hex(&keys.encryption),
            );
            let _ = self.esp.write_all(line.as_bytes());
        };
        line(
            spec.local,
            spec.remote,
            spec.outbound_spi,
            &spec.outbound_keys,
        );
        line(
            spec.remote,
            spec.local,
            spec.inbound_spi,
            &spec.inbound_keys,
        );
    }
}

fn hex(secret: &Secret) -> String {
    secret
        .as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The names are Wireshark's, to the letter.
fn ike_encryption(encryption: Encryption) -> &'static str {
    match encryption {
        Encryption::AesGcm16 { key_bits: 128 } => "AES-GCM-128 with 16 octet ICV [RFC5282]",
        Encryption::AesGcm16 { .. } => "AES-GCM-256 with 16 octet ICV [RFC5282]",
        Encryption::AesCbc { key_bits: 128 } => "AES-CBC-128 [RFC3602]",
        Encryption::AesCbc { key_bits: 192 } => "AES-CBC-192 [RFC3602]",
        Encryption::AesCbc { .. } => "AES-CBC-256 [RFC3602]",
        Encryption::ChaCha20Poly1305 => "CHACHA20-POLY1305 [RFC7634]",
        Encryption::TripleDesCbc => "3DES [RFC2451]",
        // Not among Wireshark's for IKE, as IKEv2 has neither of them.
        Encryption::DesCbc => "DES [RFC2405]",
        Encryption::Null => "NULL [RFC2410]",
    }
}

fn integrity(integrity: Integrity) -> &'static str {
    match integrity {
        Integrity::HmacSha2_256_128 => "HMAC_SHA2_256_128 [RFC4868]",
        Integrity::HmacSha2_384_192 => "HMAC_SHA2_384_192 [RFC4868]",
        Integrity::HmacSha2_512_256 => "HMAC_SHA2_512_256 [RFC4868]",
        Integrity::HmacSha1_96 => "HMAC_SHA1_96 [RFC2404]",
        Integrity::HmacMd5_96 => "HMAC_MD5_96 [RFC2403]",
    }
}

fn esp_encryption(encryption: Encryption) -> &'static str {
    match encryption {
        Encryption::AesGcm16 { .. } => "AES-GCM with 16 octet ICV [RFC4106]",
        Encryption::AesCbc { .. } => "AES-CBC [RFC3602]",
        Encryption::ChaCha20Poly1305 => "ChaCha20 with Poly1305 [RFC7634]",
        Encryption::TripleDesCbc => "TripleDES-CBC [RFC2451]",
        Encryption::DesCbc => "DES-CBC [RFC2405]",
        Encryption::Null => "NULL",
    }
}

fn esp_integrity(integrity: Integrity) -> &'static str {
    match integrity {
        Integrity::HmacSha2_256_128 => "HMAC-SHA-256-128 [RFC4868]",
        Integrity::HmacSha2_384_192 => "HMAC-SHA-384-192 [RFC4868]",
        Integrity::HmacSha2_512_256 => "HMAC-SHA-512-256 [RFC4868]",
        Integrity::HmacSha1_96 => "HMAC-SHA-1-96 [RFC2404]",
        Integrity::HmacMd5_96 => "HMAC-MD5-96 [RFC2403]",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_others_could_read_are_closed_to_them() {
        let folder = std::env::temp_dir().join(format!("holdfast-keys-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("esp_sa");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        drop(KeyLog::open(&folder).unwrap());
        for name in ["esp_sa", "ikev2_decryption_table"] {
            let metadata = std::fs::metadata(folder.join(name)).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
