//! The IMAP server of the built-in mail service (RFC 3501), as much as reading mail needs.

use std::io::{self, BufRead, Write};

use crate::addresses::{PASSWORD, USER};
use crate::service::line;
use crate::service::mailbox::{MAILS, header, text};

const CAPABILITY: &str = "CAPABILITY IMAP4rev1";

/// RFC 3501 §3: what a session may do now.
#[derive(PartialEq, Eq)]
enum State {
    NotAuthenticated,
    Authenticated,
    Selected,
    Logout,
}

/// Serves one session until the client logs out or goes away.
///
/// # Errors
/// When the stream fails.
pub(crate) fn serve(from: &mut impl BufRead, to: &mut impl Write) -> io::Result<()> {
    let mut state = State::NotAuthenticated;
    to.write_all(format!("* OK [{CAPABILITY}] holdfast lab IMAP ready\r\n").as_bytes())?;
    to.flush()?;
    while state != State::Logout {
        let Some(request) = line::read(from)? else {
            break;
        };
        let (tag, rest) = request.split_once(' ').unwrap_or((&request, ""));
        let (verb, arguments) = rest.split_once(' ').unwrap_or((rest, ""));
        let answer = if tag.is_empty() || verb.is_empty() {
            "* BAD a command is a tag, a name and its arguments\r\n".to_owned()
        } else {
            let (untagged, status) = command(&mut state, &verb.to_ascii_uppercase(), arguments);
            format!("{untagged}{tag} {status}\r\n")
        };
        to.write_all(answer.as_bytes())?;
        to.flush()?;
    }
    Ok(())
}

/// One command: the untagged responses, and the status that follows the tag.
fn command(state: &mut State, verb: &str, arguments: &str) -> (String, String) {
    let status = |text: &str| (String::new(), text.to_owned());
    match verb {
        "CAPABILITY" => (format!("* {CAPABILITY}\r\n"), "OK done".into()),
        "NOOP" => status("OK done"),
        "LOGOUT" => {
            *state = State::Logout;
            ("* BYE see you\r\n".into(), "OK done".into())
        }
        "LOGIN" if *state == State::NotAuthenticated => {
            if arguments_of(arguments).as_deref() == Some(&[USER.into(), PASSWORD.into()]) {
                *state = State::Authenticated;
                status("OK logged in")
            } else {
                status("NO the user or the password is wrong")
            }
        }
        _ if *state == State::NotAuthenticated => status("BAD log in first"),
        "LIST" => ("* LIST () \"/\" INBOX\r\n".into(), "OK done".into()),
        "SELECT" | "EXAMINE" => {
            let name = arguments_of(arguments)
                .and_then(|mut a| a.pop())
                .unwrap_or_default();
            if !name.eq_ignore_ascii_case("INBOX") {
                return status("NO there is only INBOX");
            }
            *state = State::Selected;
            let untagged = format!(
                "* FLAGS (\\Seen)\r\n* {} EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY 1] one\r\n",
                MAILS.len()
            );
            (untagged, "OK [READ-ONLY] selected".into())
        }
        "FETCH" if *state == State::Selected => match fetch(arguments) {
            Some(untagged) => (untagged, "OK done".into()),
            None => status("BAD that set or those items are not known here"),
        },
        _ => status("BAD this command is not known here, or not now"),
    }
}

/// Splits arguments at spaces; a quoted string is one (RFC 3501 §4.3). `None`: an open quote.
fn arguments_of(text: &str) -> Option<Vec<String>> {
    let mut all = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let mut argument = String::new();
        if first == '"' {
            let mut chars = rest[1..].char_indices();
            loop {
                match chars.next()? {
                    (at, '"') => {
                        rest = rest[1 + at + 1..].trim_start();
                        break;
                    }
                    (_, '\\') => argument.push(chars.next()?.1),
                    (_, c) => argument.push(c),
                }
            }
        } else {
            let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
            argument.push_str(word);
            rest = after.trim_start();
        }
        all.push(argument);
    }
    Some(all)
}

/// FETCH (RFC 3501 §6.4.5): the responses for a sequence set and a list of items.
fn fetch(arguments: &str) -> Option<String> {
    let (set, items) = arguments.split_once(' ')?;
    let items = items.trim().to_ascii_uppercase();
    let items = items
        .strip_prefix('(')
        .and_then(|i| i.strip_suffix(')'))
        .unwrap_or(&items);
    let wanted = sequence_set(set)?;
    let mut out = String::new();
    for (number, mail) in (1..).zip(MAILS) {
        if !wanted
            .iter()
            .any(|&(low, high)| (low..=high).contains(&number))
        {
            continue;
        }
        let values: Option<Vec<String>> = items
            .split_whitespace()
            .map(|item| value(item, number, mail))
            .collect();
        out.push_str(&format!("* {number} FETCH ({})\r\n", values?.join(" ")));
    }
    Some(out)
}

/// One item of a FETCH response with its value.
fn value(item: &str, number: u64, mail: &[&str]) -> Option<String> {
    let literal = |name: &str, body: String| format!("{name} {{{}}}\r\n{body}", body.len());
    Some(match item {
        "FLAGS" => "FLAGS (\\Seen)".to_owned(),
        "UID" => format!("UID {number}"),
        "RFC822.SIZE" => format!("RFC822.SIZE {}", text(mail).len()),
        "RFC822" => literal("RFC822", text(mail)),
        "BODY[]" | "BODY.PEEK[]" => literal("BODY[]", text(mail)),
        "BODY[HEADER]" | "BODY.PEEK[HEADER]" => literal("BODY[HEADER]", header(mail)),
        _ => return None,
    })
}

/// A sequence set (RFC 3501 §9) as ranges; `*` is the last message.
fn sequence_set(set: &str) -> Option<Vec<(u64, u64)>> {
    let last = MAILS.len() as u64;
    let number = |text: &str| -> Option<u64> {
        if text == "*" {
            Some(last)
        } else {
            text.parse().ok().filter(|&n| n > 0)
        }
    };
    set.split(',')
        .map(|part| {
            let (low, high) = part.split_once(':').unwrap_or((part, part));
            let (low, high) = (number(low)?, number(high)?);
            Some((low.min(high), low.max(high)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(script: &str) -> String {
        let mut out = Vec::new();
        serve(&mut script.as_bytes(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn logged_in(script: &str) -> String {
        talk(&format!(
            "a LOGIN \"{USER}\" {PASSWORD}\r\nb SELECT inbox\r\n{script}"
        ))
    }

    #[test]
    fn a_session_reads_mail() {
        let all = logged_in("c fetch 1 (FLAGS BODY[])\r\nd NOOP\r\ne LOGOUT\r\n");
        let body = text(MAILS[0]);
        let expected = format!(
            "* 1 FETCH (FLAGS (\\Seen) BODY[] {{{}}}\r\n{body})\r\nc OK",
            body.len()
        );
        assert!(all.contains(&expected), "{all}");
        assert!(all.contains("* 3 EXISTS"));
        assert!(all.ends_with("* BYE see you\r\ne OK done\r\n"));
    }

    #[test]
    fn sequence_sets() {
        assert_eq!(sequence_set("1"), Some(vec![(1, 1)]));
        assert_eq!(sequence_set("2:*,1"), Some(vec![(2, 3), (1, 1)]));
        assert_eq!(sequence_set("*:2"), Some(vec![(2, 3)]));
        for bad in ["", "0", "a", "1:", ":", "1,,2", "99999999999999999999999"] {
            assert_eq!(sequence_set(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_huge_range_costs_nothing() {
        let all = logged_in("c FETCH 1:18446744073709551615 UID\r\n");
        assert!(all.contains("* 3 FETCH (UID 3)\r\nc OK"), "{all}");
    }

    #[test]
    fn nothing_before_login_or_selection() {
        let all = talk("a FETCH 1 BODY[]\r\nb LOGIN ada no\r\nc SELECT INBOX\r\n");
        assert!(
            all.contains("a BAD") && all.contains("b NO") && all.contains("c BAD"),
            "{all}"
        );
        let all = talk(&format!(
            "a LOGIN {USER} {PASSWORD}\r\nb FETCH 1 BODY[]\r\n"
        ));
        assert!(all.contains("b BAD"), "{all}");
    }

    #[test]
    fn odd_lines_get_an_answer() {
        for odd in [
            "",
            " ",
            "x",
            "a LOGIN \"open",
            "a LOGIN \"x\\",
            "é é é",
            "a FETCH",
        ] {
            assert!(talk(&format!("{odd}\r\n")).lines().count() >= 2, "{odd}");
        }
    }
}
