//! Values of the file: texts, numbers, durations, sizes, addresses, ports.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use policy::{AddressRange, AddressSpec, PortRange, protocol, suggest};
use toml::de::{DeInteger, DeValue};

use crate::config::section::{Bad, Value, quoted};

/// A text.
pub(crate) fn text<'a>(value: &'a Value<'_>) -> Result<&'a str, Bad> {
    match value.get_ref() {
        DeValue::String(text) => Ok(text.as_ref()),
        other => {
            let reason = format!("a text is expected, not {}", kind(other));
            Err(Bad::new(reason, "write it in double quotes"))
        }
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "`true` or `false`",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A text that is not empty and fits into `longest` bytes.
pub(crate) fn short_text(value: &Value<'_>, longest: usize) -> Result<String, Bad> {
    let text = text(value)?;
    let visible = text.chars().all(|c| !c.is_control());
    if text.trim().is_empty() || text.len() > longest || !visible {
        let reason = format!("this must be 1 to {longest} bytes of visible text");
        return Err(Bad::new(reason, "write another text"));
    }
    Ok(text.to_owned())
}

/// Longest description, in bytes.
pub(crate) const MAX_TEXT: usize = 255;

/// `true` or `false`.
pub(crate) fn boolean(value: &Value<'_>) -> Result<bool, Bad> {
    match value.get_ref() {
        DeValue::Boolean(yes) => Ok(*yes),
        other => {
            let reason = format!("`true` or `false` is expected, not {}", kind(other));
            Err(Bad::new(reason, "write `true` or `false`, without quotes"))
        }
    }
}

fn integer(number: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(number.as_str().trim_start_matches('+'), number.radix()).ok()
}

/// A whole number within bounds.
pub(crate) fn number(value: &Value<'_>, bounds: RangeInclusive<u64>) -> Result<u64, Bad> {
    let remedy = format!(
        "write a whole number from {} to {}",
        bounds.start(),
        bounds.end()
    );
    match value.get_ref() {
        DeValue::Integer(given) => match integer(given) {
            Some(number) if bounds.contains(&number) => Ok(number),
            _ => Err(Bad::new(format!("{given} is out of range"), remedy)),
        },
        other => Err(Bad::new(
            format!("a number is expected, not {}", kind(other)),
            remedy,
        )),
    }
}

/// As [`number`], for 32 bits.
pub(crate) fn number32(value: &Value<'_>, bounds: RangeInclusive<u32>) -> Result<u32, Bad> {
    let wide = u64::from(*bounds.start())..=u64::from(*bounds.end());
    number(value, wide).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

/// One of some words.
pub(crate) fn word<T: Copy>(value: &Value<'_>, words: &[(&str, T)]) -> Result<T, Bad> {
    let given = text(value)?;
    if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == given) {
        return Ok(*meaning);
    }
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let remedy = match suggest::nearest(given, known.iter().copied()) {
        Some(nearest) => format!("did you mean `\"{nearest}\"`?"),
        None => format!("write one of {}", quoted(&known)),
    };
    Err(Bad::new(
        format!("`{}` is not known here", given.escape_debug()),
        remedy,
    ))
}

const UNITS: [(&str, u64); 6] = [
    ("ms", 1),
    ("s", 1_000),
    ("min", 60_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// A duration as people write it.
pub(crate) fn show(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let units = [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
    ];
    let whole = |(_, unit): &&(&str, u64)| milliseconds > 0 && milliseconds.is_multiple_of(*unit);
    match units.iter().find(whole) {
        Some((name, unit)) => format!("{}{name}", milliseconds / unit),
        None => format!("{milliseconds}ms"),
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit.trim())?;
    number
        .parse::<u64>()
        .ok()?
        .checked_mul(*unit)
        .map(Duration::from_millis)
}

/// A duration within bounds.
pub(crate) fn duration(
    value: &Value<'_>,
    bounds: RangeInclusive<Duration>,
) -> Result<Duration, Bad> {
    let (least, most) = (show(*bounds.start()), show(*bounds.end()));
    let remedy = format!("write a duration from `\"{least}\"` to `\"{most}\"`");
    let given = match value.get_ref() {
        DeValue::Integer(number) => integer(number).map(Duration::from_secs),
        DeValue::String(text) => parse_duration(text),
        _ => None,
    };
    match given {
        Some(given) if bounds.contains(&given) => Ok(given),
        Some(given) => Err(Bad::new(format!("{} is out of range", show(given)), remedy)),
        None => Err(Bad::new("this is no duration", remedy)),
    }
}

/// A number of 16 bits, or `"off"`.
pub(crate) fn number_or_off(
    value: &Value<'_>,
    bounds: RangeInclusive<u16>,
) -> Result<Option<u16>, Bad> {
    if matches!(text(value), Ok("off")) {
        return Ok(None);
    }
    let wide = u64::from(*bounds.start())..=u64::from(*bounds.end());
    let number = number(value, wide).map_err(|bad| Bad {
        remedy: format!("{}, or `\"off\"`", bad.remedy),
        ..bad
    })?;
    Ok(u16::try_from(number).ok())
}

/// A duration, or `"off"`.
pub(crate) fn duration_or_off(
    value: &Value<'_>,
    bounds: RangeInclusive<Duration>,
) -> Result<Option<Duration>, Bad> {
    match value.get_ref() {
        DeValue::String(text) if text.as_ref() == "off" => Ok(None),
        _ => duration(value, bounds).map(Some).map_err(|bad| Bad {
            remedy: format!("{}, or `\"off\"`", bad.remedy),
            ..bad
        }),
    }
}

const SIZES: [(&str, u64); 8] = [
    ("kB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("TB", 1_000_000_000_000),
    ("TiB", 1 << 40),
];

/// A size in bytes, at least `least`.
pub(crate) fn size(value: &Value<'_>, least: u64) -> Result<u64, Bad> {
    let parse = |text: &str| {
        let digits = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(digits)?;
        let (_, unit) = SIZES
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()))?;
        number.parse::<u64>().ok()?.checked_mul(*unit)
    };
    let given = match value.get_ref() {
        DeValue::Integer(number) => integer(number),
        DeValue::String(text) => parse(text.trim()),
        _ => None,
    };
    let remedy = format!("write a size such as `\"10GB\"`, at least {least} bytes");
    match given {
        Some(given) if given >= least => Ok(given),
        Some(_) => Err(Bad::new("this is too small", remedy)),
        None => Err(Bad::new("this is no size", remedy)),
    }
}

/// The items of a list, or the one value that stands alone.
pub(crate) fn items<'a>(value: &'a Value<'a>, most: usize) -> Result<Vec<&'a Value<'a>>, Bad> {
    let items: Vec<&Value<'_>> = match value.get_ref() {
        DeValue::Array(items) => items.iter().collect(),
        _ => vec![value],
    };
    match items.len() {
        0 => Err(Bad::new(
            "the list is empty",
            "name at least one, or leave the key out",
        )),
        count if count > most => Err(Bad::new(
            format!("{count} items are too many"),
            format!("name at most {most}"),
        )),
        _ => Ok(items),
    }
}

/// A list of things, each read by `parse`, or one of them alone.
pub(crate) fn list<'a, T>(
    value: &'a Value<'a>,
    most: usize,
    parse: impl Fn(&'a Value<'a>) -> Result<T, Bad>,
) -> Result<Vec<T>, Bad> {
    let read = |item: &'a Value<'a>| parse(item).map_err(|bad| bad.at(item.span()));
    items(value, most)?.into_iter().map(read).collect()
}

/// A host, a subnet or a range.
pub(crate) fn parse_range(text: &str) -> Result<AddressRange, Bad> {
    let shown = text.escape_debug();
    let remedy = "write a host `10.0.0.5`, a subnet `10.0.0.0/24` or a range `10.0.0.5-10.0.0.9`";
    if let Some((address, length)) = text.split_once('/') {
        let subnet = address
            .trim()
            .parse::<IpAddr>()
            .ok()
            .zip(length.trim().parse().ok());
        let range = subnet.and_then(|(address, length)| AddressRange::subnet(address, length));
        let Some(range) = range else {
            return Err(Bad::new(format!("`{shown}` is no subnet"), remedy));
        };
        // 10.0.0.5/24 is more often a mistake for the host than for the subnet.
        if subnet.is_some_and(|(address, _)| address != range.start()) {
            let host = address.trim();
            let remedy = format!("write `{range}` for the subnet, or `{host}` for the host");
            return Err(Bad::new(
                format!("`{shown}` has bits set behind its prefix"),
                remedy,
            ));
        }
        return Ok(range);
    }
    if let Ok(address) = text.trim().parse() {
        return Ok(AddressRange::host(address));
    }
    if let Some((start, end)) = text.split_once('-') {
        let ends = start.trim().parse().ok().zip(end.trim().parse().ok());
        if let Some(range) = ends.and_then(|(start, end)| AddressRange::new(start, end)) {
            return Ok(range);
        }
        return Err(Bad::new(
            format!("`{shown}` is no range of addresses"),
            remedy,
        ));
    }
    Err(Bad::new(format!("`{shown}` is no address"), remedy))
}

/// An address as a rule names it.
pub(crate) fn address_spec(value: &Value<'_>) -> Result<AddressSpec, Bad> {
    match text(value)? {
        "me" => Ok(AddressSpec::Me),
        "any" => Ok(AddressSpec::Any),
        other => parse_range(other)
            .map(AddressSpec::Range)
            .map_err(|bad| Bad {
                remedy: format!("{}, `me` or `any`", bad.remedy),
                ..bad
            }),
    }
}

/// A protocol, by name or number.
pub(crate) fn protocol(value: &Value<'_>) -> Result<u8, Bad> {
    let remedy = "write `tcp`, `udp`, `icmp`, `icmpv6`, `sctp`, `any` or a number from 1 to 255";
    if let Ok(number) = number(value, 1..=255) {
        return Ok(u8::try_from(number).unwrap_or_default());
    }
    let name = text(value).map_err(|bad| Bad {
        remedy: remedy.to_owned(),
        ..bad
    })?;
    let shown = name.escape_debug();
    protocol::parse(name).ok_or_else(|| Bad::new(format!("`{shown}` is no protocol"), remedy))
}

/// One port, or a range in a text.
pub(crate) fn ports(value: &Value<'_>) -> Result<PortRange, Bad> {
    let wrong = |shown: String| {
        let remedy = "write a port from 1 to 65535, or a range `\"8000-8010\"`";
        Bad::new(format!("{shown} is no port"), remedy)
    };
    let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port != 0);
    match value.get_ref() {
        DeValue::Integer(number) => integer(number)
            .and_then(|number| u16::try_from(number).ok())
            .filter(|port| *port != 0)
            .map(PortRange::single)
            .ok_or_else(|| wrong(number.to_string())),
        DeValue::String(text) => {
            let range = match text.split_once('-') {
                Some((start, end)) => port(start).zip(port(end)),
                None => port(text).map(|port| (port, port)),
            };
            range
                .and_then(|(start, end)| PortRange::new(start, end))
                .ok_or_else(|| wrong(format!("`{}`", text.escape_debug())))
        }
        other => Err(wrong(kind(other).to_owned())),
    }
}

/// An address of a socket; without a port, `port` is meant.
pub(crate) fn socket_address(value: &Value<'_>, port: u16) -> Result<SocketAddr, Bad> {
    let given = text(value)?;
    let plain = given.parse().map(|address| SocketAddr::new(address, port));
    plain.or_else(|_| given.parse()).map_err(|_| {
        let reason = format!("`{}` is no address", given.escape_debug());
        Bad::new(
            reason,
            "write `10.30.0.1`, `10.30.0.1:4511` or `[fd00::1]:4511`",
        )
    })
}

/// An address with its prefix length.
pub(crate) fn interface_address(value: &Value<'_>) -> Result<(IpAddr, u8), Bad> {
    let given = text(value)?;
    let remedy = "write the address with the prefix length of its subnet: `10.20.0.10/24`";
    let wrong = || {
        Bad::new(
            format!("`{}` is no such address", given.escape_debug()),
            remedy,
        )
    };
    let (address, length) = given.split_once('/').ok_or_else(wrong)?;
    let address: IpAddr = address.trim().parse().map_err(|_| wrong())?;
    let length: u8 = length.trim().parse().map_err(|_| wrong())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    if length == 0 || length > most || address.is_unspecified() || address.is_multicast() {
        return Err(wrong());
    }
    Ok((address, length))
}
