//! What is wrong with a script, or worth knowing about it: the place, the reason, the remedy.

use std::ops::Range;

/// A place in the script, in bytes.
pub type Span = Range<usize>;

/// More findings than this are not kept: nobody reads them.
pub const MAX_FINDINGS: usize = 100;

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub span: Span,
    /// What is wrong, as a sentence without its full stop.
    pub message: String,
    /// What stands at the place.
    pub label: String,
    /// What to do.
    pub remedy: String,
}

impl Finding {
    /// A finding at `span`.
    #[must_use]
    pub fn new(
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Finding {
            span,
            message: message.into(),
            label: label.into(),
            remedy: remedy.into(),
        }
    }
}

/// Why a script, or a part of it, cannot be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// Everything that is wrong, in the order of the script.
    pub faults: Vec<Finding>,
    /// Where keys stand: they must not be shown.
    pub secrets: Vec<Span>,
}
