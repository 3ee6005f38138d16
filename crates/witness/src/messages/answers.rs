//! What etcd answers, read from octets: unknown fields are passed over, bounds are checked.

use crate::limits::{KEY_MAX, VALUE_MAX};
use crate::protobuf::{Fields, Malformed};

/// `ResponseHeader`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// Of the cluster that the member belongs to.
    pub(crate) cluster: u64,
    /// Of the whole store.
    pub(crate) revision: u64,
}

impl Header {
    fn read(fields: Fields<'_>) -> Result<Self, Malformed> {
        let mut header = Self::default();
        for field in fields {
            match field? {
                (1, value) => header.cluster = value.number()?,
                (3, value) => header.revision = value.number()?,
                _ => {}
            }
        }
        Ok(header)
    }
}

/// `KeyValue`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// With the prefix.
    pub(crate) key: String,
    /// At most [`VALUE_MAX`] octets.
    pub(crate) value: Vec<u8>,
    /// When it was last changed.
    pub(crate) revision: u64,
}

impl Record {
    fn read(fields: Fields<'_>) -> Result<Self, Malformed> {
        let mut record = Self::default();
        for field in fields {
            match field? {
                (1, value) => record.key = key(value.octets()?)?,
                (3, value) => record.revision = value.number()?,
                (5, value) => record.value = bounded(value.octets()?)?.to_vec(),
                _ => {}
            }
        }
        Ok(record)
    }
}

fn key(octets: &[u8]) -> Result<String, Malformed> {
    if octets.len() > KEY_MAX {
        return Err(Malformed(
            "has a key of more than 512 octets; somebody else uses our prefix",
        ));
    }
    let text = std::str::from_utf8(octets)
        .map_err(|_| Malformed("has a key that is not text; somebody else uses our prefix"))?;
    Ok(text.to_owned())
}

fn bounded(octets: &[u8]) -> Result<&[u8], Malformed> {
    if octets.len() > VALUE_MAX {
        return Err(Malformed(
            "has a value of more than 4096 octets; somebody else uses our prefix",
        ));
    }
    Ok(octets)
}

/// `RangeResponse`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Range {
    /// When it was read.
    pub(crate) header: Header,
    /// In the order of their keys.
    pub(crate) records: Vec<Record>,
    /// The limit has cut some off.
    pub(crate) more: bool,
}

impl Range {
    /// Reads a message.
    pub(crate) fn decode(message: &[u8]) -> Result<Self, Malformed> {
        Self::read(Fields(message))
    }

    fn read(fields: Fields<'_>) -> Result<Self, Malformed> {
        let mut range = Self::default();
        for field in fields {
            match field? {
                (1, value) => range.header = Header::read(value.message()?)?,
                (2, value) => range.records.push(Record::read(value.message()?)?),
                (3, value) => range.more = value.number()? != 0,
                _ => {}
            }
        }
        Ok(range)
    }
}

/// `TxnResponse` to a [`crate::messages::swap`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Swap {
    /// Done, at this revision.
    Done(u64),
    /// Not done; this stands.
    Not(Option<Record>),
}

impl Swap {
    /// Reads a message.
    pub(crate) fn decode(message: &[u8]) -> Result<Self, Malformed> {
        let mut header = Header::default();
        let (mut succeeded, mut put, mut read) = (false, false, None);
        for field in Fields(message) {
            match field? {
                (1, value) => header = Header::read(value.message()?)?,
                (2, value) => succeeded = value.number()? != 0,
                (3, value) => {
                    for operation in value.message()? {
                        match operation? {
                            (1, range) => read = Some(Range::read(range.message()?)?),
                            (2, _) => put = true,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        match (succeeded, put, read) {
            (true, true, None) if header.revision > 0 => Ok(Self::Done(header.revision)),
            (false, false, Some(range)) => Ok(Self::Not(range.records.into_iter().next())),
            _ => Err(Malformed("contradicts itself about a compare-and-swap")),
        }
    }
}

/// `Event`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A value was put.
    Put(Record),
    /// The key was removed, at the record's revision.
    Removed(Record),
}

impl Change {
    fn read(fields: Fields<'_>) -> Result<Self, Malformed> {
        let (mut kind, mut record) = (0, None);
        for field in fields {
            match field? {
                (1, value) => kind = value.number()?,
                (2, value) => record = Some(Record::read(value.message()?)?),
                _ => {}
            }
        }
        match (kind, record) {
            (0, Some(record)) => Ok(Self::Put(record)),
            (1, Some(record)) => Ok(Self::Removed(record)),
            _ => Err(Malformed("tells a change that is neither put nor removal")),
        }
    }
}

/// `WatchResponse`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct WatchNote {
    /// The watch stands.
    pub(crate) created: bool,
    /// The watch has ended.
    pub(crate) canceled: bool,
    /// Not 0: what was asked for has been compacted away.
    pub(crate) compacted: u64,
    /// Why it has ended, in etcd's words.
    pub(crate) reason: String,
    /// In the order of their revisions.
    pub(crate) changes: Vec<Change>,
}

impl WatchNote {
    /// Reads a message.
    pub(crate) fn decode(message: &[u8]) -> Result<Self, Malformed> {
        let mut note = Self::default();
        for field in Fields(message) {
            match field? {
                (3, value) => note.created = value.number()? != 0,
                (4, value) => note.canceled = value.number()? != 0,
                (5, value) => note.compacted = value.number()?,
                (6, value) => note.reason = String::from_utf8_lossy(value.octets()?).into_owned(),
                (11, value) => note.changes.push(Change::read(value.message()?)?),
                _ => {}
            }
        }
        Ok(note)
    }
}

#[cfg(test)]
mod tests;
