//! Transform payload (RFC 2408 section 3.6): one whole suite of algorithms, as attributes.

use crate::attribute::Attribute;
use crate::isakmp::kinds::ProtocolId;
use crate::isakmp::limits;
use crate::isakmp::numbers;
use crate::malformed::{Malformed, Reason};
use crate::reader::Reader;
use crate::writer::{TooLong, with_length};

/// One suite on offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transform {
    /// Its number in the proposal; an answer repeats it.
    pub number: u8,
    /// What it is by its protocol: `KEY_IKE`, or an `ESP_` number of
    /// [`numbers`].
    pub id: u8,
    /// Its attributes in their order. Only the type and duration of a lifetime may come twice, a
    /// duration right after its type.
    pub attributes: Vec<Attribute>,
}

impl Transform {
    /// The first attribute of a type, when there is one.
    pub fn attribute(&self, kind: u16) -> Option<&Attribute> {
        self.attributes
            .iter()
            .find(|attribute| attribute.kind() == kind)
    }

    /// The number that the first attribute of a type holds. `None` also when it holds none: see
    /// [`Transform::attribute`] where absence means a default.
    pub fn value(&self, kind: u16) -> Option<u64> {
        self.attribute(kind)?.value()
    }

    /// The lifetimes as pairs of life type and duration; `kind` is the attribute that gives the
    /// type, and the next number is that of the duration (RFC 2409 appendix A, RFC 2407 section
    /// 4.5). `None` when a type is without its duration behind it, or the other way round.
    pub fn lifetimes(&self, kind: u16) -> Option<Vec<(u64, u64)>> {
        let mut lifetimes = Vec::new();
        let duration = kind.saturating_add(1);
        let mut pending = None;
        for attribute in &self.attributes {
            match pending.take() {
                Some(life) if attribute.kind() == duration => {
                    lifetimes.push((life, attribute.value()?));
                }
                Some(_) => return None,
                None if attribute.kind() == kind => pending = Some(attribute.value()?),
                None if attribute.kind() == duration => return None,
                None => {}
            }
        }
        pending.is_none().then_some(lifetimes)
    }

    /// The lifetimes in the data of RESPONDER-LIFETIME, as [`Transform::lifetimes`] gives them
    /// (RFC 2407 section 4.6.3.1). `None` where it holds none, or not only whole attributes.
    pub fn read_lifetimes(data: &[u8], kind: u16) -> Option<Vec<(u64, u64)>> {
        let mut reader = Reader::new(data, 0);
        let mut transform = Transform {
            number: 0,
            id: 0,
            attributes: Vec::new(),
        };
        while !reader.is_empty() && transform.attributes.len() < limits::ATTRIBUTES {
            transform
                .attributes
                .push(Attribute::parse(&mut reader).ok()?);
        }
        reader.is_empty().then(|| transform.lifetimes(kind))?
    }

    /// Reads what follows a transform's length.
    pub(crate) fn parse(protocol: ProtocolId, mut reader: Reader<'_>) -> Result<Self, Malformed> {
        let (number, id) = (reader.u8()?, reader.u8()?);
        reader.u16()?;
        let lifetimes = match protocol {
            ProtocolId::ISAKMP => [numbers::OAKLEY_LIFE_TYPE, numbers::OAKLEY_LIFE_DURATION],
            _ => [numbers::SA_LIFE_TYPE, numbers::SA_LIFE_DURATION],
        };
        let mut attributes: Vec<Attribute> = Vec::new();
        while !reader.is_empty() {
            if attributes.len() == limits::ATTRIBUTES {
                return reader.fail(Reason::TooManyAttributes);
            }
            let offset = reader.offset();
            let attribute = Attribute::parse(&mut reader)?;
            if matches!(&attribute, Attribute::Long(_, value) if value.len() > limits::ATTRIBUTE) {
                return Err(Malformed::new(Reason::AttributeLength, offset));
            }
            let same = |other: &Attribute| other.kind() == attribute.kind();
            if !lifetimes.contains(&attribute.kind()) && attributes.iter().any(same) {
                return Err(Malformed::new(Reason::DuplicateAttribute, offset));
            }
            attributes.push(attribute);
        }
        Ok(Transform {
            number,
            id,
            attributes,
        })
    }

    /// Appends the transform; `last` is the mark that none follows.
    pub(crate) fn emit(&self, last: bool, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let more = if last { 0 } else { 3 };
        let header = [more, 0, 0, 0, self.number, self.id, 0, 0];
        with_length(out, &header, 2, "a transform", |out| {
            self.attributes
                .iter()
                .try_for_each(|attribute| attribute.emit(out))
        })
    }
}
