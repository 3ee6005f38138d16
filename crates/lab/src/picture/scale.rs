//! Scales: from values to points of the picture, and where an axis has its marks.

/// A scale with equal steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Linear {
    /// Lowest and highest value.
    pub(crate) values: (f64, f64),
    /// Where they lie.
    pub(crate) points: (f64, f64),
}

/// A scale with equal ratios.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log {
    /// Lowest and highest value, above zero.
    pub(crate) values: (f64, f64),
    /// Where they lie.
    pub(crate) points: (f64, f64),
}

impl Linear {
    /// Where a value lies; one beyond the ends lies at the end.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let (low, high) = self.values;
        between(self.points, (value - low) / (high - low))
    }

    /// Round values from end to end, about `wanted` of them.
    pub(crate) fn marks(&self, wanted: u32) -> Vec<f64> {
        let (low, high) = self.values;
        let step = round_step((high - low) / f64::from(wanted.max(1)));
        let first = (low / step).ceil() as i64;
        let last = (high / step + 1e-9).floor() as i64;
        (first..=last).map(|n| n as f64 * step).collect()
    }
}

impl Log {
    /// Where a value lies; one beyond the ends lies at the end.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let (low, high) = self.values;
        let share = (value.max(low) / low).ln() / (high / low).ln();
        between(self.points, share)
    }

    /// The powers of ten from end to end.
    pub(crate) fn marks(&self) -> Vec<f64> {
        let (low, high) = self.values;
        let first = (low.log10() - 1e-9).ceil() as i32;
        let last = (high.log10() + 1e-9).floor() as i32;
        (first..=last).map(|power| 10f64.powi(power)).collect()
    }
}

fn between((from, to): (f64, f64), share: f64) -> f64 {
    from + (to - from) * share.clamp(0.0, 1.0)
}

/// The smallest of 1, 2 and 5 times a power of ten that is not below `step`.
pub(crate) fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.max(1e-12).log10().floor());
    let times = [1.0, 2.0, 5.0, 10.0];
    let fits = times
        .iter()
        .find(|&&times| times * power >= step * (1.0 - 1e-9));
    fits.unwrap_or(&10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lie_in_proportion() {
        let linear = Linear {
            values: (0.0, 10.0),
            points: (100.0, 0.0),
        };
        assert_eq!(
            [0.0, 5.0, 10.0, 99.0].map(|v| linear.at(v)),
            [100.0, 50.0, 0.0, 0.0]
        );
        let log = Log {
            values: (0.1, 1000.0),
            points: (0.0, 4.0),
        };
        let near = |value, point: f64| (log.at(value) - point).abs() < 1e-9;
        assert!(near(0.1, 0.0) && near(10.0, 2.0) && near(0.0, 0.0) && near(1e9, 4.0));
    }

    #[test]
    fn marks_are_round() {
        let marks = |low, high, wanted| {
            let points = (0.0, 1.0);
            Linear {
                values: (low, high),
                points,
            }
            .marks(wanted)
        };
        assert_eq!(marks(-0.5, 1.7, 8), [-0.5, 0.0, 0.5, 1.0, 1.5]);
        assert_eq!(marks(0.0, 40.0, 4), [0.0, 10.0, 20.0, 30.0, 40.0]);
        let log = Log {
            values: (0.01, 100.0),
            points: (0.0, 1.0),
        };
        let marks: Vec<i64> = log
            .marks()
            .iter()
            .map(|m| (m * 100.0).round() as i64)
            .collect();
        assert_eq!(marks, [1, 10, 100, 1000, 10_000]);
    }
}
