//! A mail client: one whole POP3 session (RFC 1939) and one whole IMAP session (RFC 3501).

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::addresses::{IMAP, PASSWORD, POP3, USER};
use crate::service::mailbox::MARK;

/// The client does not believe a server that says more than this in one session, in bytes.
const ENOUGH: u64 = 1 << 20;

/// What a session needs: whom to ask, and until when an answer counts.
struct Session {
    from: io::Take<BufReader<TcpStream>>,
    to: TcpStream,
    deadline: Instant,
}

/// Logs in over POP3 and IMAP and reads the first mail over each.
///
/// # Errors
/// A sentence that says which step failed.
pub(crate) fn read_mail(server: IpAddr, patience: Duration) -> Result<(), String> {
    let deadline = Instant::now() + patience;
    pop3(server, deadline).map_err(|e| format!("POP3 to {server}: {e}"))?;
    imap(server, deadline).map_err(|e| format!("IMAP to {server}: {e}"))
}

fn pop3(server: IpAddr, deadline: Instant) -> io::Result<()> {
    let mut session = Session::open(SocketAddr::new(server, POP3), deadline)?;
    session.expect("+OK")?;
    for request in [
        format!("USER {USER}"),
        format!("PASS {PASSWORD}"),
        "STAT".into(),
    ] {
        session.send(&request)?;
        session.expect("+OK")?;
    }
    session.send("RETR 1")?;
    session.expect("+OK")?;
    let mut found = false;
    loop {
        let line = session.line()?;
        if line == "." {
            break;
        }
        found |= line == MARK;
    }
    session.send("QUIT")?;
    session.expect("+OK")?;
    mail_was(found)
}

fn imap(server: IpAddr, deadline: Instant) -> io::Result<()> {
    let mut session = Session::open(SocketAddr::new(server, IMAP), deadline)?;
    session.expect("* OK")?;
    let mut found = false;
    let requests = [
        format!("LOGIN {USER} {PASSWORD}"),
        "SELECT INBOX".into(),
        "FETCH 1 BODY[]".into(),
    ];
    for (number, request) in requests.iter().enumerate() {
        session.send(&format!("a{number} {request}"))?;
        found |= session.until_tag(&format!("a{number} "))?;
    }
    session.send("a9 LOGOUT")?;
    session.until_tag("a9 ")?;
    mail_was(found)
}

fn mail_was(found: bool) -> io::Result<()> {
    if found {
        Ok(())
    } else {
        Err(io::Error::other("the mail did not hold what was put in it"))
    }
}

impl Session {
    fn open(server: SocketAddr, deadline: Instant) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&server, left(deadline)?)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            from: BufReader::new(stream.try_clone()?).take(ENOUGH),
            to: stream,
            deadline,
        })
    }

    fn send(&mut self, request: &str) -> io::Result<()> {
        self.to.set_write_timeout(Some(left(self.deadline)?))?;
        self.to.write_all(format!("{request}\r\n").as_bytes())
    }

    fn line(&mut self) -> io::Result<String> {
        self.to.set_read_timeout(Some(left(self.deadline)?))?;
        let mut line = String::new();
        if self.from.read_line(&mut line)? == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the server hung up",
            ));
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }

    fn expect(&mut self, start: &str) -> io::Result<()> {
        let line = self.line()?;
        if line.starts_with(start) {
            Ok(())
        } else {
            Err(io::Error::other(format!("the server answered {line:?}")))
        }
    }

    /// Reads to the status of a tagged command; says whether the first mail passed by.
    fn until_tag(&mut self, tag: &str) -> io::Result<bool> {
        let mut found = false;
        loop {
            let line = self.line()?;
            if let Some(status) = line.strip_prefix(tag) {
                if status.starts_with("OK") {
                    return Ok(found);
                }
                return Err(io::Error::other(format!("the server answered {line:?}")));
            }
            found |= line == MARK;
        }
    }
}

/// The time left, which must be some: a socket takes a timeout of zero for none.
fn left(deadline: Instant) -> io::Result<Duration> {
    match deadline.checked_duration_since(Instant::now()) {
        Some(left) if !left.is_zero() => Ok(left),
        _ => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")),
    }
}
