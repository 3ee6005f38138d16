//! One request to a responder: POST over HTTP/1.0, so that an answer has no chunks (RFC 6960
//! appendix A.1). Everything is bounded: time, octets, addresses; no redirection is followed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use crate::url::Url;

/// Addresses of one name that are tried.
const ADDRESSES: usize = 4;
/// Octets of an answer's head.
const HEAD: usize = 8 * 1024;
/// Lines of an answer's head.
const LINES: usize = 64;
/// Octets of an answer's body.
const BODY: usize = x509::limits::RESPONSE;

/// Sends a request and reads the answer.
///
/// # Errors
/// Why there is none, as a clause that follows the URL.
pub(crate) fn post(
    url: &Url,
    body: &[u8],
    mark: Option<u32>,
    until: Instant,
) -> Result<Vec<u8>, String> {
    let mut stream = connect(url, mark, until)?;
    let head = format!(
        "POST {} HTTP/1.0\r\nHost: {}\r\nContent-Type: application/ocsp-request\r\n\
         Content-Length: {}\r\nAccept: application/ocsp-response\r\nConnection: close\r\n\r\n",
        url.path,
        url.authority,
        body.len()
    );
    let broken = |error: std::io::Error| format!("breaks off ({error})");
    stream
        .set_write_timeout(Some(left(until)?))
        .map_err(broken)?;
    let request = [head.as_bytes(), body].concat();
    stream.write_all(&request).map_err(broken)?;
    let mut answer = Vec::new();
    loop {
        if let Some(body) = complete(&answer, false)? {
            return Ok(body);
        }
        stream
            .set_read_timeout(Some(left(until)?))
            .map_err(broken)?;
        let mut octets = [0; 4096];
        let count = match stream.read(&mut octets) {
            Ok(count) => count,
            Err(_) if left(until).is_err() => return Err(late()),
            Err(error) => return Err(broken(error)),
        };
        if count == 0 {
            let body = complete(&answer, true)?;
            return body.ok_or_else(|| "ends before its answer does".to_owned());
        }
        answer.extend_from_slice(octets.get(..count).unwrap_or_default());
        if answer.len() > HEAD + BODY {
            return Err("answers with more than an OCSP response may have".to_owned());
        }
    }
}

fn late() -> String {
    "does not answer in time".to_owned()
}

/// What is left of the time; none is an error.
fn left(until: Instant) -> Result<Duration, String> {
    let left = until.saturating_duration_since(Instant::now());
    match left.is_zero() {
        true => Err(late()),
        false => Ok(left),
    }
}

fn connect(url: &Url, mark: Option<u32>, until: Instant) -> Result<TcpStream, String> {
    let addresses = (url.host.as_str(), url.port).to_socket_addrs();
    let addresses =
        addresses.map_err(|error| format!("has a name that cannot be resolved ({error})"))?;
    let mut trouble = "has a name without an address".to_owned();
    for address in addresses.take(ADDRESSES) {
        match to(address, mark, left(until)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => trouble = format!("cannot be reached ({error})"),
        }
    }
    Err(trouble)
}

fn to(address: SocketAddr, mark: Option<u32>, patience: Duration) -> std::io::Result<TcpStream> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if let Some(mark) = mark {
        socket.set_mark(mark)?;
    }
    socket.connect_timeout(&address.into(), patience)?;
    Ok(socket.into())
}

/// The body of an answer, if all of it is here; `ended`: nothing more will come.
fn complete(octets: &[u8], ended: bool) -> Result<Option<Vec<u8>>, String> {
    let mut lines = [httparse::EMPTY_HEADER; LINES];
    let mut answer = httparse::Response::new(&mut lines);
    let no_http = |_| "does not answer in HTTP".to_owned();
    let httparse::Status::Complete(head) = answer.parse(octets).map_err(no_http)? else {
        return match octets.len() > HEAD {
            true => Err("answers with too long a head".to_owned()),
            false => Ok(None),
        };
    };
    match answer.code {
        Some(200) => {}
        Some(code @ 300..=399) => {
            return Err(format!("answers {code}: redirections are not followed"));
        }
        code => return Err(format!("answers {}", code.unwrap_or_default())),
    }
    let named = |name: &str| {
        let mut lines = answer.headers.iter();
        lines.find(|line| line.name.eq_ignore_ascii_case(name))
    };
    if named("Transfer-Encoding").is_some() {
        return Err("answers in chunks, which HTTP/1.0 does not have".to_owned());
    }
    let body = octets.get(head..).unwrap_or_default();
    let length = named("Content-Length").map(|line| std::str::from_utf8(line.value));
    let length = match length {
        None => None,
        Some(text) => {
            let length = text.ok().and_then(|text| text.trim().parse::<usize>().ok());
            Some(length.ok_or("does not say how long its answer is")?)
        }
    };
    if length.unwrap_or(body.len()) > BODY {
        return Err("answers with more than an OCSP response may have".to_owned());
    }
    match length {
        Some(length) => Ok(body.get(..length).map(<[u8]>::to_vec)),
        None => Ok(ended.then(|| body.to_vec())),
    }
}

#[cfg(test)]
mod tests;
