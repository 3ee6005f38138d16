//! Lines from a peer, with a bound: what every text protocol of the lab reads.

use std::io::{self, BufRead, Read};

/// Longest line taken from a peer, in bytes, line end included (RFC 2449 §4 asks for 255,
/// RFC 7162 §4 for 8,192; the lab's clients send far less).
pub(crate) const LONGEST: u64 = 8192;

/// Reads one line without its line end; `None` at the end of the stream.
///
/// # Errors
/// When the stream fails, the line is longer than [`LONGEST`] or is no UTF-8.
pub(crate) fn read(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    let taken = from.by_ref().take(LONGEST).read_line(&mut line)?;
    if taken == 0 {
        return Ok(None);
    }
    if !line.ends_with('\n') && taken as u64 == LONGEST {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the line is too long",
        ));
    }
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(Some(line))
}
