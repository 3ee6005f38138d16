//! Moments as certificates have them: whole seconds since 1970, not too far ahead.

use crate::error::Error;
use crate::limits::MAX_DAYS;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;

const DAY: u64 = 24 * 3600;

/// The time of day in seconds since 1970.
///
/// # Errors
/// [`Error::Making`] for a clock that is so wrong that the dates of a certificate would overflow.
pub(crate) fn now(now: SystemTime) -> Result<u64, Error> {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    match since.as_secs() {
        wrong if wrong > 2 * u64::from(MAX_DAYS) * DAY => {
            Err(Error::making("this machine's clock is wrong"))
        }
        seconds => Ok(seconds),
    }
}

/// A moment as `rcgen` takes it.
pub(crate) fn date(seconds: u64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// The seconds since 1970 of a date in a certificate; 0 for one before.
pub(crate) fn seconds(timestamp: i64) -> u64 {
    u64::try_from(timestamp).unwrap_or(0)
}
