//! Where a member of etcd listens: `https://10.0.0.1:2379`.

use crate::error::Error;
use std::fmt;

/// A URL without a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// Whether it is `https`.
    pub(crate) tls: bool,
    /// A name or an address, without brackets.
    pub(crate) host: String,
    /// Never 0.
    pub(crate) port: u16,
}

impl Endpoint {
    /// Reads an endpoint.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |why| Error::Endpoint {
            text: crate::status::words(text.as_bytes()),
            why,
        };
        let (tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err(wrong("must begin with https:// or http://")),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let port_missing = "needs a port, as in https://10.0.0.1:2379";
        let (host, port) = rest.rsplit_once(':').ok_or_else(|| wrong(port_missing))?;
        let port = port.parse().map_err(|_| wrong(port_missing))?;
        let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let address = inner.is_some_and(|h| h.parse::<std::net::Ipv6Addr>().is_ok());
        let named = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        if port == 0 || !(address || (!host.is_empty() && host.chars().all(named))) {
            return Err(wrong(
                "is not an address and a port, as in https://10.0.0.1:2379 or \
                 https://[2001:db8::1]:2379",
            ));
        }
        Ok(Self {
            tls,
            host: inner.unwrap_or(host).to_owned(),
            port,
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        let (open, close) = match self.host.contains(':') {
            true => ("[", "]"),
            false => ("", ""),
        };
        write!(f, "{scheme}://{open}{}{close}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_endpoints_are_read_and_written() {
        for text in [
            "https://10.0.0.1:2379",
            "http://etcd-1.example:1",
            "https://[2001:db8::1]:2379",
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Endpoint::parse("http://a:1/").unwrap().port, 1);
    }

    #[test]
    fn bad_endpoints_are_refused_in_words() {
        for text in [
            "10.0.0.1:2379",
            "https://10.0.0.1",
            "https://:2379",
            "https://a:0",
            "https://a:70000",
            "https://a/b:2379",
            "https://2001:db8::1:2379",
            "https://[a]:1",
            "ftp://a:1",
        ] {
            let error = Endpoint::parse(text).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
