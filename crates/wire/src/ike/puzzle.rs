//! The data of PUZZLE: which work an initiator has to do (RFC 8019 section 8.1).

use crate::ike::notify::Notify;
use crate::ike::notify_type::NotifyType;

/// A puzzle, which is about the cookie that comes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Puzzle {
    /// The IANA number of the pseudorandom function.
    pub prf: u16,
    /// Zero bits that its output must end with.
    pub difficulty: u8,
}

impl Puzzle {
    /// As PUZZLE.
    pub fn to_notify(&self) -> Notify {
        let [high, low] = self.prf.to_be_bytes();
        Notify::new(NotifyType::PUZZLE, vec![high, low, self.difficulty])
    }

    /// From such a notification.
    pub fn of(notify: &Notify) -> Option<Self> {
        let [high, low, difficulty] = *notify.data.as_slice() else {
            return None;
        };
        let prf = u16::from_be_bytes([high, low]);
        (notify.kind == NotifyType::PUZZLE).then_some(Puzzle { prf, difficulty })
    }
}
