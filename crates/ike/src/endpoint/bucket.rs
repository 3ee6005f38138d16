//! A token bucket: so many per second and no more.

use std::time::Instant;

/// Full at first; refilled at a steady rate up to one second's worth.
pub(crate) struct Bucket {
    rate: u32,
    tokens: f64,
    at: Option<Instant>,
}

impl Bucket {
    pub(crate) fn per_second(rate: u32) -> Self {
        Bucket {
            rate,
            tokens: f64::from(rate),
            at: None,
        }
    }

    /// Takes a token, if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let rate = f64::from(self.rate);
        if let Some(before) = self.at {
            let passed = now.saturating_duration_since(before).as_secs_f64();
            self.tokens = (self.tokens + passed * rate).min(rate);
        }
        self.at = Some(now);
        let enough = self.tokens >= 1.0;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn so_many_per_second() {
        let (mut bucket, now) = (Bucket::per_second(10), Instant::now());
        let taken = |bucket: &mut Bucket, at| (0..100).filter(|_| bucket.take(at)).count();
        assert_eq!(taken(&mut bucket, now), 10);
        assert_eq!(taken(&mut bucket, now + Duration::from_millis(500)), 5);
        assert_eq!(taken(&mut bucket, now + Duration::from_secs(60)), 10);
    }
}
