//! Proposals as people read them, for the log and for what is said of a refusal.

use crate::attribute::Attribute;
use crate::isakmp::kinds::ProtocolId;
use crate::isakmp::numbers;
use crate::isakmp::sa::Proposal;
use crate::isakmp::transform::Transform;
use std::fmt;

/// Names a number of a registry.
type Name = fn(u16) -> Option<&'static str>;

/// What the attributes of a protocol's transforms are called.
struct Names {
    attribute: Name,
    /// The names of the values of an attribute.
    values: &'static [(u16, Name)],
    key_length: u16,
    life_type: u16,
}

const PHASE_1: Names = Names {
    attribute: numbers::oakley_attribute_name,
    values: &[
        (numbers::OAKLEY_ENCRYPTION, numbers::oakley_encryption_name),
        (numbers::OAKLEY_HASH, numbers::oakley_hash_name),
        (
            numbers::OAKLEY_AUTHENTICATION,
            numbers::oakley_authentication_name,
        ),
        (numbers::OAKLEY_GROUP, numbers::group_name),
    ],
    key_length: numbers::OAKLEY_KEY_LENGTH,
    life_type: numbers::OAKLEY_LIFE_TYPE,
};

const PHASE_2: Names = Names {
    attribute: numbers::sa_attribute_name,
    values: &[
        (numbers::SA_GROUP, numbers::group_name),
        (numbers::SA_ENCAPSULATION, numbers::encapsulation_name),
        (numbers::SA_AUTHENTICATION, numbers::sa_authentication_name),
    ],
    key_length: numbers::SA_KEY_LENGTH,
    life_type: numbers::SA_LIFE_TYPE,
};

/// Prints `ESP: ESP_AES_CBC/128, ENCAPSULATION_TRANSPORT, SA_HMAC_SHA1, 3600 s; ESP_3DES, ...`.
impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.protocol)?;
        for (index, transform) in self.transforms.iter().enumerate() {
            let text = parts(self.protocol, transform).join(", ");
            write!(f, "{}{text}", if index == 0 { " " } else { "; " })?;
        }
        Ok(())
    }
}

/// The algorithms of a transform in their order, the key's length with the one it belongs to, and
/// the lifetimes.
fn parts(protocol: ProtocolId, transform: &Transform) -> Vec<String> {
    let is_phase_1 = protocol == ProtocolId::ISAKMP;
    let names = if is_phase_1 { PHASE_1 } else { PHASE_2 };
    let key = match transform.value(names.key_length) {
        Some(bits) => format!("/{bits}"),
        None => String::new(),
    };
    let mut parts = Vec::new();
    let id = match protocol {
        ProtocolId::ISAKMP => numbers::isakmp_transform_name(transform.id),
        ProtocolId::AH => numbers::ah_transform_name(transform.id),
        ProtocolId::ESP => numbers::esp_transform_name(transform.id),
        _ => None,
    };
    match id {
        // What every transform of phase 1 is says nothing.
        Some(_) if is_phase_1 => {}
        Some(name) => parts.push(format!("{name}{key}")),
        None if is_phase_1 => parts.push(format!("{protocol}-{}", transform.id)),
        None => parts.push(format!("{protocol}-{}{key}", transform.id)),
    }
    let apart = [names.key_length, names.life_type, names.life_type + 1];
    for attribute in &transform.attributes {
        if apart.contains(&attribute.kind()) {
            continue;
        }
        let mut part = value_text(&names, attribute);
        if is_phase_1 && attribute.kind() == numbers::OAKLEY_ENCRYPTION {
            part.push_str(&key);
        }
        parts.push(part);
    }
    for (kind, duration) in transform.lifetimes(names.life_type).unwrap_or_default() {
        parts.push(match u16::try_from(kind) {
            Ok(numbers::LIFE_SECONDS) => format!("{duration} s"),
            Ok(numbers::LIFE_KILOBYTES) => format!("{duration} kB"),
            _ => format!("{duration} of life type {kind}"),
        });
    }
    parts
}

/// The name of an attribute's value, or the attribute's name with the value.
fn value_text(names: &Names, attribute: &Attribute) -> String {
    let kind = attribute.kind();
    let named = names.values.iter().find(|(of, _)| *of == kind);
    let value = attribute.value();
    let number = value.and_then(|value| u16::try_from(value).ok());
    if let Some(name) = named.and_then(|(_, name)| name(number?)) {
        return name.to_owned();
    }
    let of = match (names.attribute)(kind) {
        Some(name) => name.to_owned(),
        None => format!("attribute {kind}"),
    };
    match (value, attribute) {
        (Some(value), _) => format!("{of} {value}"),
        (None, Attribute::Long(_, octets)) => format!("{of} of {} octets", octets.len()),
        (None, Attribute::Short(..)) => of,
    }
}
