//! A cursor over octets from outside: every read is bounded, every failure knows its offset.

use crate::malformed::{Malformed, Reason};

/// Reads forward through `octets`; offsets count from the start of the outermost input.
pub(crate) struct Reader<'a> {
    octets: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// A reader of all of `octets`, whose first octet is at `offset` of the outermost input.
    pub(crate) fn new(octets: &'a [u8], offset: usize) -> Self {
        Reader { octets, offset }
    }

    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// How many octets are left.
    pub(crate) fn remaining(&self) -> usize {
        self.octets.len()
    }

    /// A failure at the present offset.
    pub(crate) fn fail<T>(&self, reason: Reason) -> Result<T, Malformed> {
        Err(Malformed::new(reason, self.offset))
    }

    /// The next `count` octets, or the given reason when there are fewer.
    pub(crate) fn take(&mut self, count: usize, reason: Reason) -> Result<&'a [u8], Malformed> {
        match self.octets.split_at_checked(count) {
            Some((taken, rest)) => {
                self.octets = rest;
                self.offset += count;
                Ok(taken)
            }
            None => self.fail(reason),
        }
    }

    /// A reader of the next `count` octets alone, or the given reason when there are fewer.
    pub(crate) fn part(&mut self, count: usize, reason: Reason) -> Result<Reader<'a>, Malformed> {
        let offset = self.offset;
        Ok(Reader::new(self.take(count, reason)?, offset))
    }

    /// All octets that are left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        let rest = self.octets;
        self.offset += rest.len();
        self.octets = &[];
        rest
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        match self.octets.split_first_chunk::<N>() {
            Some((taken, rest)) => {
                self.octets = rest;
                self.offset += N;
                Ok(*taken)
            }
            None => self.fail(Reason::Truncated),
        }
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_be_bytes(self.array()?))
    }
}
