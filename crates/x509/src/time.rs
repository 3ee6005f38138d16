//! Moments as people read them.

use std::time::Duration;

use x509_cert::der::DateTime;

/// Seconds since 1970 as `2026-11-25T22:30:00Z`.
#[must_use]
pub fn date(seconds: u64) -> String {
    match DateTime::from_unix_duration(Duration::from_secs(seconds)) {
        Ok(moment) => moment.to_string(),
        Err(_) => format!("{seconds} s after 1970"),
    }
}
