//! How two computers prove who they are: Kerberos, an authority of certificates, a shared key.

use std::fmt;
use std::sync::Arc;

use policy::Secret;

/// One way, of an ordered list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// The domain's Kerberos.
    Kerberos,
    /// A certificate that this authority vouches for.
    RootCa(RootCa),
    /// A pre-shared key. Windows keeps it in clear text, in scripts as well as in the registry.
    Psk(PresharedKey),
}

/// An authority, as Windows names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootCa {
    /// Its distinguished name.
    pub name: String,
    /// Whether certificates are mapped to accounts of the domain.
    pub certmap: bool,
    /// Whether its name is left out of requests for a certificate.
    pub exclude_ca_name: bool,
}

impl RootCa {
    /// From the value of `rootca=`; the error says what is wrong.
    ///
    /// # Errors
    /// When there is no name, or a setting is neither `yes` nor `no`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut name = text.trim();
        let (mut certmap, mut exclude) = (false, false);
        while let Some((before, last)) = name.rsplit_once(char::is_whitespace) {
            let Some((key, value)) = last.split_once(':') else {
                break;
            };
            let setting = match key.to_ascii_lowercase().as_str() {
                "certmap" => &mut certmap,
                "excludecaname" => &mut exclude,
                _ => break,
            };
            *setting = match value.to_ascii_lowercase().as_str() {
                "yes" | "y" => true,
                "no" | "n" => false,
                _ => return Err(format!("`{key}` is neither `yes` nor `no`")),
            };
            name = before.trim_end();
        }
        if name.is_empty() {
            return Err("no authority is named".to_owned());
        }
        Ok(RootCa {
            // A quote within quotes is written `\'`.
            name: name.replace("\\'", "\""),
            certmap,
            exclude_ca_name: exclude,
        })
    }
}

impl fmt::Display for RootCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |yes| if yes { "yes" } else { "no" };
        write!(
            f,
            "{} certmap:{} excludecaname:{}",
            self.name.replace('"', "\\'"),
            word(self.certmap),
            word(self.exclude_ca_name)
        )
    }
}

/// A pre-shared key: compared in constant time, never shown.
#[derive(Clone)]
pub struct PresharedKey(Arc<Secret>);

impl PresharedKey {
    /// A key of these letters.
    #[must_use]
    pub fn new(text: &str) -> Self {
        PresharedKey(Arc::new(Secret::new(text.as_bytes().to_vec())))
    }

    /// The key's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The key as it stands in a script, if it is text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.0.as_bytes()).ok()
    }
}

impl From<Arc<Secret>> for PresharedKey {
    fn from(key: Arc<Secret>) -> Self {
        PresharedKey(key)
    }
}

impl PartialEq for PresharedKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.constant_time_eq(&other.0)
    }
}

impl Eq for PresharedKey {}

impl fmt::Debug for PresharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(a key)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_and_its_settings() {
        let text = "C=US, O=Corp, CN=\\'Root: A\\' certmap:YES excludecaname:no";
        let read = RootCa::parse(text).unwrap();
        assert_eq!(read.name, "C=US, O=Corp, CN=\"Root: A\"");
        assert_eq!((read.certmap, read.exclude_ca_name), (true, false));
        assert_eq!(RootCa::parse(&read.to_string()), Ok(read));
        assert_eq!(RootCa::parse("CN=A b:c").unwrap().name, "CN=A b:c");
        assert!(RootCa::parse("  ").is_err());
        assert!(RootCa::parse("CN=A certmap:perhaps").is_err());
    }

    #[test]
    fn a_key_is_never_shown() {
        let key = PresharedKey::new("hunter2");
        assert_eq!(
            format!("{:?}", Authentication::Psk(key.clone())),
            "Psk((a key))"
        );
        assert_ne!(key, PresharedKey::new("hunter3"));
        assert_eq!(key.text(), Some("hunter2"));
    }
}
