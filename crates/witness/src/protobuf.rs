//! Protocol Buffers' wire format: as much of it as etcd's messages use.

use std::fmt;

/// Builds a message, field by field.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// A number; also a truth value or a member of an enumeration.
    pub(crate) fn number(mut self, field: u32, value: u64) -> Self {
        self.varint(u64::from(field) << 3);
        self.varint(value);
        self
    }

    /// Octets or text.
    pub(crate) fn octets(mut self, field: u32, value: &[u8]) -> Self {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    /// A message within this one.
    pub(crate) fn message(self, field: u32, inner: Self) -> Self {
        self.octets(field, &inner.0)
    }

    /// The message's octets.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut value: u64) {
        while value > 0x7f {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// A varint.
    Number(u64),
    /// Octets, text or a message.
    Octets(&'a [u8]),
    /// A fixed number, which etcd's messages do not use.
    Other,
}

impl<'a> Value<'a> {
    /// The number.
    pub(crate) fn number(self) -> Result<u64, Malformed> {
        match self {
            Self::Number(value) => Ok(value),
            _ => Err(Malformed("has something else where a number belongs")),
        }
    }

    /// The octets.
    pub(crate) fn octets(self) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Octets(value) => Ok(value),
            _ => Err(Malformed("has something else where octets belong")),
        }
    }

    /// The fields of the message that the octets are.
    pub(crate) fn message(self) -> Result<Fields<'a>, Malformed> {
        self.octets().map(Fields)
    }
}

/// A message cannot be read; the words follow "a message that".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Reads a message field by field, in the order in which they lie there; ends after an error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (first, rest) = self.0.split_first().ok_or(SHORT)?;
            self.0 = rest;
            let part = u64::from(first & 0x7f);
            if shift == 63 && part > 1 {
                break;
            }
            value |= part << shift;
            if first & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed("has a number of more than 64 bits"))
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], Malformed> {
        let count = usize::try_from(count).map_err(|_| SHORT)?;
        let (taken, rest) = self.0.split_at_checked(count).ok_or(SHORT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn field(&mut self) -> Result<(u32, Value<'a>), Malformed> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| Malformed("numbers a field too high"))?;
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            1 => self.take(8).map(|_| Value::Other)?,
            2 => {
                let length = self.varint()?;
                Value::Octets(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Other)?,
            _ => return Err(Malformed("has a field of a kind that is not in use")),
        };
        Ok((number, value))
    }
}

const SHORT: Malformed = Malformed("ends too early");

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Field {
        Number(u32, u64),
        Octets(u32, Vec<u8>),
    }

    fn field() -> impl Strategy<Value = Field> {
        let number = 1u32..1 << 29;
        prop_oneof![
            (number.clone(), any::<u64>()).prop_map(|(n, v)| Field::Number(n, v)),
            (number, prop::collection::vec(any::<u8>(), 0..300))
                .prop_map(|(n, v)| Field::Octets(n, v)),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(fields in prop::collection::vec(field(), 0..20)) {
            let mut writer = Writer::default();
            for field in &fields {
                writer = match field {
                    Field::Number(n, v) => writer.number(*n, *v),
                    Field::Octets(n, v) => writer.octets(*n, v),
                };
            }
            let bytes = writer.finish();
            let read: Vec<_> = Fields(&bytes).collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(read.len(), fields.len());
            for (read, field) in read.iter().zip(&fields) {
                match field {
                    Field::Number(n, v) => prop_assert_eq!(*read, (*n, Value::Number(*v))),
                    Field::Octets(n, v) => prop_assert_eq!(*read, (*n, Value::Octets(v))),
                }
            }
        }

        #[test]
        fn any_octets_end(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(Fields(&bytes).count() <= bytes.len());
        }
    }

    #[test]
    fn a_number_ends_at_64_bits() {
        let mut bytes = vec![0x08];
        bytes.extend([0xff; 9]);
        bytes.push(0x01);
        assert_eq!(
            Fields(&bytes).next(),
            Some(Ok((1, Value::Number(u64::MAX))))
        );
        *bytes.last_mut().unwrap() = 0x02;
        assert!(Fields(&bytes).next().unwrap().is_err());
    }
}
