//! The POP3 server of the built-in mail service (RFC 1939), as much as reading mail needs.

use std::io::{self, BufRead, Write};

use crate::addresses::{PASSWORD, USER};
use crate::service::line;
use crate::service::mailbox::{MAILS, text};

/// What a session may do (RFC 1939 §4, §5); nothing is ever deleted, so there is no UPDATE.
enum State {
    Authorization { user: Option<String> },
    Transaction,
}

/// Serves one session until the client quits or goes away.
///
/// # Errors
/// When the stream fails.
pub(crate) fn serve(from: &mut impl BufRead, to: &mut impl Write) -> io::Result<()> {
    let mut state = State::Authorization { user: None };
    to.write_all(b"+OK holdfast lab POP3 ready\r\n")?;
    to.flush()?;
    while let Some(request) = line::read(from)? {
        let (verb, argument) = request.split_once(' ').unwrap_or((&request, ""));
        let verb = verb.to_ascii_uppercase();
        let answer = match (&mut state, verb.as_str()) {
            (_, "QUIT") => "+OK bye\r\n".to_owned(),
            (_, "CAPA") => "+OK\r\nUSER\r\nUIDL\r\n.\r\n".to_owned(),
            (State::Authorization { user }, "USER") => {
                *user = Some(argument.to_owned());
                "+OK\r\n".to_owned()
            }
            (State::Authorization { user }, "PASS") => {
                if user.take().as_deref() == Some(USER) && argument == PASSWORD {
                    state = State::Transaction;
                    format!("+OK {} messages\r\n", MAILS.len())
                } else {
                    "-ERR the user or the password is wrong\r\n".to_owned()
                }
            }
            (State::Authorization { .. }, _) => "-ERR log in first\r\n".to_owned(),
            (State::Transaction, verb) => transaction(verb, argument),
        };
        to.write_all(answer.as_bytes())?;
        to.flush()?;
        if verb == "QUIT" {
            break;
        }
    }
    Ok(())
}

/// One command of the TRANSACTION state (RFC 1939 §5).
fn transaction(verb: &str, argument: &str) -> String {
    match verb {
        "NOOP" | "RSET" => "+OK\r\n".to_owned(),
        "STAT" => {
            let octets: usize = MAILS.iter().map(|mail| text(mail).len()).sum();
            format!("+OK {} {octets}\r\n", MAILS.len())
        }
        "LIST" => listing(argument, |_, mail| text(mail).len().to_string()),
        "UIDL" => listing(argument, |number, _| format!("lab{number}")),
        "RETR" => match numbered(argument) {
            Some((_, mail)) => {
                format!("+OK {} octets\r\n{}", text(mail).len(), stuffed(mail))
            }
            None => NO_SUCH.to_owned(),
        },
        _ => "-ERR this command is not known here\r\n".to_owned(),
    }
}

const NO_SUCH: &str = "-ERR no such message\r\n";

fn numbered(argument: &str) -> Option<(usize, &'static [&'static str])> {
    let number: usize = argument.trim().parse().ok()?;
    Some((number, MAILS.get(number.checked_sub(1)?)?))
}

/// LIST and UIDL: one line for a message, a dot-ended list for all.
fn listing(argument: &str, show: impl Fn(usize, &[&str]) -> String) -> String {
    if !argument.is_empty() {
        return numbered(argument).map_or(NO_SUCH.to_owned(), |(n, mail)| {
            format!("+OK {n} {}\r\n", show(n, mail))
        });
    }
    let mut answer = "+OK\r\n".to_owned();
    for (number, mail) in (1..).zip(MAILS) {
        answer.push_str(&format!("{number} {}\r\n", show(number, mail)));
    }
    answer.push_str(".\r\n");
    answer
}

/// A multi-line answer: a line that begins with a dot gets another (RFC 1939 §3).
fn stuffed(mail: &[&str]) -> String {
    let mut out = String::new();
    for line in mail {
        if line.starts_with('.') {
            out.push('.');
        }
        out.push_str(line);
        out.push_str("\r\n");
    }
    out.push_str(".\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(script: &str) -> String {
        let mut out = Vec::new();
        serve(&mut script.as_bytes(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_session_reads_mail() {
        let all = talk(&format!(
            "user {USER}\r\npass {PASSWORD}\r\nSTAT\r\nLIST 1\r\nLIST\r\nRETR 1\r\nNOOP\r\nQUIT\r\n"
        ));
        let octets = text(MAILS[0]).len();
        assert!(all.contains(&format!("+OK 1 {octets}\r\n")), "{all}");
        assert!(all.contains(crate::service::mailbox::MARK));
        assert!(all.ends_with("+OK\r\n+OK bye\r\n"));
    }

    #[test]
    fn lines_that_begin_with_a_dot_are_stuffed() {
        let all = talk(&format!("USER {USER}\r\nPASS {PASSWORD}\r\nRETR 2\r\n"));
        assert!(
            all.contains("\r\n..\r\n... two dots\r\nthe end\r\n.\r\n"),
            "{all}"
        );
    }

    #[test]
    fn nothing_without_the_password() {
        for script in [
            "STAT\r\n",
            "USER ada\r\nPASS wrong\r\nSTAT\r\n",
            "PASS holdfast-lab\r\nRETR 1\r\n",
        ] {
            let all = talk(script);
            assert!(all.contains("-ERR") && !all.contains("Subject"), "{all}");
        }
    }

    #[test]
    fn numbers_that_name_no_message() {
        let login = format!("USER {USER}\r\nPASS {PASSWORD}\r\n");
        for bad in ["0", "4", "-1", "x", "", "99999999999999999999"] {
            let all = talk(&format!("{login}RETR {bad}\r\n"));
            assert!(all.ends_with(NO_SUCH), "{bad}: {all}");
        }
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let endless = "x".repeat(10_000);
        assert!(serve(&mut endless.as_bytes(), &mut Vec::new()).is_err());
    }
}
