//! Where a responder is: an `http` URL (RFC 3986), and no other.

/// Longest URL in bytes.
const MAX: usize = x509::limits::RESPONDER;

/// The parts that a request needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    /// A name or an address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// As the request's `Host` says it.
    pub(crate) authority: String,
    /// Path and query, from the `/` on.
    pub(crate) path: String,
}

impl Url {
    /// Reads a URL, which may come out of a certificate.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a URL has no spaces and no letters beyond ASCII".to_owned());
        }
        let wrong = |what: &str| format!("`{text}` is no URL of a responder: {what}");
        let scheme = text.get(..7).filter(|s| s.eq_ignore_ascii_case("http://"));
        if scheme.is_none() {
            return Err(wrong("it must begin with `http://`"));
        }
        let rest = text.get(7..).unwrap_or_default();
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let path = path.split('#').next().unwrap_or_default();
        let path = match path.starts_with('/') {
            true => path.to_owned(),
            false => format!("/{path}"),
        };
        let (host, port) = split(authority).ok_or_else(|| wrong("its host is not one"))?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
        if host.is_empty() || !host.bytes().all(allowed) {
            return Err(wrong("its host is not one"));
        }
        let port = match port {
            None | Some("") => Some(80),
            Some(port) => port.parse().ok().filter(|port| *port != 0),
        };
        Ok(Url {
            host: host.to_owned(),
            port: port.ok_or_else(|| wrong("its port is not one"))?,
            authority: authority.to_owned(),
            path,
        })
    }
}

/// Host and port; an IPv6 address stands in brackets.
fn split(authority: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        return match rest {
            "" => Some((host, None)),
            rest => Some((host, Some(rest.strip_prefix(':')?))),
        };
    }
    match authority.split_once(':') {
        None => Some((authority, None)),
        Some((_, port)) if port.contains(':') => None,
        Some((host, port)) => Some((host, Some(port))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_ports_and_paths() {
        for (text, host, port, path) in [
            ("http://ocsp.example", "ocsp.example", 80, "/"),
            (
                "HTTP://ocsp.example:8080/a/b?c#d",
                "ocsp.example",
                8080,
                "/a/b?c",
            ),
            ("http://[2001:db8::1]:81", "2001:db8::1", 81, "/"),
            ("http://[::1]/x", "::1", 80, "/x"),
            ("http://10.0.0.1:/?q", "10.0.0.1", 80, "/?q"),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.host.as_str(), url.port), (host, port), "{text}");
            assert_eq!(url.path, path, "{text}");
        }
    }

    #[test]
    fn what_is_none() {
        for text in [
            "",
            "https://ocsp.example/",
            "ldap://ocsp.example/",
            "http://",
            "http:///x",
            "http://user@ocsp.example/",
            "http://a b/",
            "http://a\r\nHost: b/",
            "http://ocsp.example:0/",
            "http://ocsp.example:65536/",
            "http://ocsp.example:80:80/",
            "http://[::1/",
            "http://[ocsp.example]/",
            "http://[::1]x/",
            "http://ö.example/",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
        let long = format!("http://a/{}", "b".repeat(MAX));
        assert!(Url::parse(&long).is_err());
    }
}
