//! The mails of the built-in service: the same few on every node, as on shared storage.

/// A line that only the first mail has; the client looks for it.
pub(crate) const MARK: &str = "This line was fetched through the virtual address.";

/// The mails, each as its lines without line ends.
///
/// The second has lines that begin with a dot, which POP3 must stuff (RFC 1939 §3).
pub(crate) const MAILS: [&[&str]; 3] = [
    &[
        "From: operator@lab.example",
        "To: ada@lab.example",
        "Subject: welcome",
        "Date: Mon, 06 Oct 2003 10:00:00 +0000",
        "Message-ID: <1@lab.example>",
        "",
        MARK,
    ],
    &[
        "From: operator@lab.example",
        "To: ada@lab.example",
        "Subject: dots",
        "Date: Mon, 06 Oct 2003 10:01:00 +0000",
        "Message-ID: <2@lab.example>",
        "",
        ".",
        ".. two dots",
        "the end",
    ],
    &[
        "From: operator@lab.example",
        "To: ada@lab.example",
        "Subject: long",
        "Date: Mon, 06 Oct 2003 10:02:00 +0000",
        "Message-ID: <3@lab.example>",
        "",
        "The quick brown fox jumps over the lazy dog, and the address moves to the other node.",
        "The quick brown fox jumps over the lazy dog, and the address moves to the other node.",
        "The quick brown fox jumps over the lazy dog, and the address moves to the other node.",
    ],
];

/// A mail as it is on the wire, every line ended by CR LF (RFC 5322 §2.1).
pub(crate) fn text(mail: &[&str]) -> String {
    mail.iter().flat_map(|line| [*line, "\r\n"]).collect()
}

/// The header of a mail with the empty line that ends it.
pub(crate) fn header(mail: &[&str]) -> String {
    let end = mail
        .iter()
        .position(|line| line.is_empty())
        .map_or(mail.len(), |i| i + 1);
    text(&mail[..end])
}
