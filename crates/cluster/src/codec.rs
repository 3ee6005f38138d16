//! How names and numbers are written in what members send each other.

use crate::names::{GroupName, NodeName};

pub(crate) fn put(to: &mut Vec<u8>, number: u64) {
    to.extend_from_slice(&number.to_be_bytes());
}

pub(crate) fn put_name(to: &mut Vec<u8>, name: &str) {
    to.push(name.len() as u8);
    to.extend_from_slice(name.as_bytes());
}

/// What has not been read yet. Every method answers `None` when there is not enough of it, or
/// when it is not what may stand there.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let length = self.byte()?;
        std::str::from_utf8(self.take(usize::from(length))?).ok()
    }

    pub(crate) fn node(&mut self) -> Option<NodeName> {
        NodeName::new(self.text()?).ok()
    }

    pub(crate) fn group(&mut self) -> Option<GroupName> {
        GroupName::new(self.text()?).ok()
    }

    pub(crate) fn count(&mut self, most: usize) -> Option<usize> {
        let count = usize::from(self.byte()?);
        (count <= most).then_some(count)
    }

    pub(crate) fn new(octets: &'a [u8]) -> Self {
        Reader(octets)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}
