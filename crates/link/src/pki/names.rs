//! A node's name as certificates carry it: a DNS name that the verifier compares exactly.

use crate::limits::MAX_NAME;
use crate::pki::error::Error;
use rustls::pki_types::ServerName;

/// Nobody's real zone: `internal` is reserved for private use.
const SUFFIX: &str = "node.holdfast.internal";

/// RFC 4648 section 6, in lower case: DNS names have no case, and nodes' names have.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Accepts what `cluster` accepts as a node's name.
///
/// # Errors
/// [`Error::BadName`] otherwise.
pub(crate) fn check(name: &str) -> Result<(), Error> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(allowed) {
        Ok(())
    } else {
        Err(Error::BadName(name.to_owned()))
    }
}

/// The DNS name that stands for the node's name: 32 bytes become a label of 52.
///
/// # Errors
/// [`Error::BadName`] for what is not a node's name.
pub(crate) fn dns_name(name: &str) -> Result<String, Error> {
    check(name)?;
    let mut label = String::new();
    for group in name.as_bytes().chunks(5) {
        let mut bits = 0u64;
        for index in 0..5 {
            bits = bits << 8 | u64::from(group.get(index).copied().unwrap_or(0));
        }
        for digit in 0..(group.len() * 8).div_ceil(5) {
            let value = (bits >> (35 - 5 * digit)) & 31;
            label.push(char::from(ALPHABET[value as usize]));
        }
    }
    Ok(format!("{label}.{SUFFIX}"))
}

/// The same, as TLS asks for it.
///
/// # Errors
/// [`Error::BadName`] for what is not a node's name.
pub(crate) fn server_name(name: &str) -> Result<ServerName<'static>, Error> {
    ServerName::try_from(dns_name(name)?).map_err(|_| Error::BadName(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_name_has_a_dns_name_of_its_own() {
        // RFC 4648 section 10.
        assert_eq!(dns_name("foobar").unwrap(), format!("mzxw6ytboi.{SUFFIX}"));
        assert_eq!(dns_name("f").unwrap(), format!("my.{SUFFIX}"));
        let longest = "-".repeat(MAX_NAME);
        let names = [
            "a", "A", "a.", "..", ".", "-", "_", "-a-", "0", "12", &longest,
        ];
        let dns: BTreeSet<_> = names
            .map(|name| server_name(name).unwrap().to_str().into_owned())
            .into_iter()
            .collect();
        assert_eq!(dns.len(), names.len());
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for bad in ["", " ", "a b", "ä", "a/b", "a\n", &"x".repeat(MAX_NAME + 1)] {
            let error = server_name(bad).expect_err(bad).to_string();
            assert!(error.contains("is not a node's name"), "{error}");
        }
    }
}
