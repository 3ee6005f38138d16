//! What every reading verb does with its answer: JSON as it is, or text made from it.

use crate::failure::Failure;
use api::{ErrorCode, Reply};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io::Write;

/// Prints a text and a line's end. Whoever reads may stop before the end, as `head` does: that is
/// no failure.
pub(crate) fn line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// `println!`, for readers who may stop before the end.
macro_rules! say {
    () => { $crate::verb::output::line("") };
    ($($text:tt)+) => { $crate::verb::output::line(&format!($($text)+)) };
}
pub(crate) use say;

/// Prints `result` as one JSON object with its schema and version.
pub(crate) fn json(result: Value) {
    line(&serde_json::to_string(&Reply::success(result)).unwrap_or_default());
}

/// Reads `result` as the type that the request's answer has.
///
/// # Errors
/// When the daemon is of another version and answers otherwise.
pub(crate) fn read<T: DeserializeOwned>(result: Value) -> Result<T, Failure> {
    serde_json::from_value(result).map_err(|error| {
        let message = format!(
            "the daemon's answer is not of this program's version ({error}); use the same version"
        );
        Failure::new(ErrorCode::Failed, message)
    })
}

/// `1 SA`, `2 SAs`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

/// Seconds as people say them: `42 s`, `3 min 5 s`, `2 h 10 min`, `4 d 1 h`.
pub(crate) fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// Bytes as people say them.
pub(crate) fn bytes(count: u64) -> String {
    let scales = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match scales.iter().find(|(scale, _)| count >= *scale) {
        Some((scale, name)) => {
            let tenths = count / (scale / 10);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
        None => format!("{count} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_read_well() {
        assert_eq!(duration(59), "59 s");
        assert_eq!(duration(3599), "59 min 59 s");
        assert_eq!(duration(90_000), "1 d 1 h");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_250_000), "1.2 MB");
    }
}
