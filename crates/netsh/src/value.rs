//! Values of a command: yes and no, numbers, addresses with their masks, protocols, ports, lists.

use std::net::{IpAddr, Ipv4Addr};

use policy::{AddressRange, protocol};

use crate::command::{Argument, Command};
use crate::finding::Finding;
use crate::grammar::{Object, Verb};
use crate::methods::{KeyExchangeMethod, SecurityMethod};
use crate::model::{Address, Server};

/// Longest name or description; Windows shows no more either.
pub(crate) const MAX_TEXT: usize = 255;

fn wrong(argument: &Argument, message: impl Into<String>, remedy: impl Into<String>) -> Finding {
    let label = format!("the value of `{}`", argument.tag);
    Finding::new(argument.span.clone(), message, label, remedy)
}

/// A name or a description. A description may be empty, a name not.
pub(crate) fn text(argument: &Argument) -> Result<String, Finding> {
    let value = &argument.value;
    let may_be_empty = argument.tag == "description";
    if value.is_empty() && !may_be_empty {
        return Err(wrong(argument, "a name is empty", "write a name"));
    }
    if value.len() > MAX_TEXT || value.chars().any(char::is_control) {
        let message = format!("this is no text of at most {MAX_TEXT} bytes");
        return Err(wrong(argument, message, "write a shorter one"));
    }
    Ok(value.clone())
}

/// `yes` or `no`.
pub(crate) fn yes(argument: &Argument) -> Result<bool, Finding> {
    match argument.value.to_ascii_lowercase().as_str() {
        "yes" | "y" => Ok(true),
        "no" | "n" => Ok(false),
        _ => Err(wrong(
            argument,
            "this is neither yes nor no",
            "write `yes` or `no`",
        )),
    }
}

/// A whole number.
pub(crate) fn number(argument: &Argument) -> Result<u32, Finding> {
    argument.value.parse().map_err(|_| {
        let message = format!("`{}` is no whole number", argument.value.escape_debug());
        wrong(
            argument,
            message,
            format!("write a number from 0 to {}", u32::MAX),
        )
    })
}

/// One of some words.
pub(crate) fn word<T: Copy>(argument: &Argument, words: &[(&str, T)]) -> Result<T, Finding> {
    let found = words
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(&argument.value));
    found.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let message = format!("`{}` is not known here", argument.value.escape_debug());
        wrong(
            argument,
            message,
            format!("write one of {}", known.join(", ")),
        )
    })
}

/// A protocol.
pub(crate) fn protocol(argument: &Argument) -> Result<u8, Finding> {
    match argument.value.to_ascii_lowercase().as_str() {
        "any" => Ok(0),
        "raw" => Ok(255),
        other => protocol::parse(other).ok_or_else(|| {
            let message = format!("`{}` is no protocol", other.escape_debug());
            wrong(
                argument,
                message,
                "write ANY, ICMP, TCP, UDP, RAW or a number",
            )
        }),
    }
}

/// A port; `any` and 0 are any port.
pub(crate) fn port(argument: &Argument) -> Result<u16, Finding> {
    if argument.value.eq_ignore_ascii_case("any") {
        return Ok(0);
    }
    argument.value.parse().map_err(|_| {
        let message = format!("`{}` is no port", argument.value.escape_debug());
        wrong(
            argument,
            message,
            "write a port from 0 to 65535; 0 is any port",
        )
    })
}

/// One side of a filter: `srcaddr` with `srcmask`, or `dstaddr` with `dstmask`.
pub(crate) fn address(command: &Command, side: Side) -> Result<Address, Finding> {
    let argument = command.need(side.address())?;
    let mask = command.get(side.mask());
    let text = argument.value.to_ascii_lowercase();
    let special = Server::ALL.into_iter().find(|server| server.word() == text);
    let address = match (text.as_str(), special) {
        ("me", _) => Address::Me,
        ("any", _) => Address::Any,
        (_, Some(server)) => Address::Special(server),
        _ => {
            if let Some(range) = range(argument, mask)? {
                return Ok(match range == AddressRange::ANY_V4 {
                    true => Address::Any,
                    false => Address::Range(range),
                });
            }
            Address::Name(name(argument)?)
        }
    };
    // Scripts are seen that have a mask beside `me`; Windows does not look at it.
    if let Some(mask) = mask.filter(|_| matches!(address, Address::Name(_))) {
        return Err(wrong(mask, "a DNS name has no mask", "leave the mask out"));
    }
    Ok(address)
}

/// Which side of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Where packets come from.
    Source,
    /// Where they go.
    Destination,
}

impl Side {
    fn address(self) -> &'static str {
        match self {
            Side::Source => "srcaddr",
            Side::Destination => "dstaddr",
        }
    }

    fn mask(self) -> &'static str {
        match self {
            Side::Source => "srcmask",
            Side::Destination => "dstmask",
        }
    }
}

/// A host, subnet or range; `None` for what is no number.
fn range(argument: &Argument, mask: Option<&Argument>) -> Result<Option<AddressRange>, Finding> {
    let text = argument.value.as_str();
    if let Some((start, end)) = text.split_once('-')
        && let (Ok(start), Ok(end)) = (start.trim().parse(), end.trim().parse())
    {
        if let Some(mask) = mask {
            return Err(wrong(mask, "a range has no mask", "leave the mask out"));
        }
        return match AddressRange::new(start, end) {
            Some(range) => Ok(Some(range)),
            None => Err(wrong(
                argument,
                "the range ends before it begins, or has two families",
                "write the lower address first",
            )),
        };
    }
    let (text, prefix) = text.split_once('/').unwrap_or((text, ""));
    let Ok(address) = text.parse::<IpAddr>() else {
        return Ok(None);
    };
    let length = match (prefix, mask) {
        ("", None) if address.is_unspecified() => 0,
        ("", None) => {
            if address.is_ipv4() {
                32
            } else {
                128
            }
        }
        ("", Some(mask)) => prefix_length(mask)?,
        (prefix, _) => prefix.parse().map_err(|_| {
            wrong(
                argument,
                "this is no subnet",
                "write an address, and its mask beside it",
            )
        })?,
    };
    match AddressRange::subnet(address, length) {
        Some(range) => Ok(Some(range)),
        None => Err(wrong(
            mask.unwrap_or(argument),
            "the address has not so many bits",
            "write a prefix length up to 32, or 128 with IPv6",
        )),
    }
}

/// `255.255.255.0` or `24`.
fn prefix_length(mask: &Argument) -> Result<u8, Finding> {
    if let Ok(length) = mask.value.parse::<u8>() {
        return Ok(length);
    }
    let bits = mask.value.parse::<Ipv4Addr>().map(u32::from);
    let length = bits
        .ok()
        .filter(|bits| bits.leading_ones() + bits.trailing_zeros() >= 32);
    length
        .and_then(|bits| u8::try_from(bits.leading_ones()).ok())
        .ok_or_else(|| {
            let message = format!("`{}` is no mask", mask.value.escape_debug());
            wrong(mask, message, "write a mask such as 255.255.255.0, or 24")
        })
}

impl Address {
    /// From the words of a policy file: `me`, `any`, a kind of server, a host, a subnet with its
    /// prefix length, a range, or a DNS name.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let argument = |tag, value: &str| Argument {
            tag,
            value: value.to_owned(),
            span: 0..0,
        };
        let command = Command {
            verb: Verb::Add,
            object: Object::Filter,
            arguments: vec![argument("srcaddr", text.trim())],
            span: 0..0,
        };
        address(&command, Side::Source).map_err(|fault| fault.message)
    }
}

/// A DNS name.
fn name(argument: &Argument) -> Result<String, Finding> {
    let text = argument.value.trim_end_matches('.');
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    // What is made of digits and dots only was meant as an address.
    let numeric = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    match !numeric && text.len() <= 253 && text.split('.').all(label) {
        true => Ok(text.to_ascii_lowercase()),
        false => {
            let message = format!("`{}` is no address", argument.value.escape_debug());
            let remedy = "write `me`, `any`, `dns`, `wins`, `dhcp`, `gateway`, an address or a \
                          DNS name";
            Err(wrong(argument, message, remedy))
        }
    }
}

/// The list of `qmsecmethods`.
pub(crate) fn security_methods(argument: &Argument) -> Result<Vec<SecurityMethod>, Finding> {
    list(
        argument,
        "write for example `\"ESP[3DES,SHA1]:100000k/3600s\"`; Windows 2003 has no AES",
    )
}

/// The list of `mmsecmethods`.
pub(crate) fn exchange_methods(argument: &Argument) -> Result<Vec<KeyExchangeMethod>, Finding> {
    list(
        argument,
        "write for example `\"3DES-SHA1-2\"`; Windows 2003 has no AES",
    )
}

fn list<T>(argument: &Argument, remedy: &str) -> Result<Vec<T>, Finding>
where
    T: std::str::FromStr<Err = String>,
{
    let value = argument.value.trim_start_matches('(').trim_end_matches(')');
    let read: Result<Vec<T>, String> = value.split_whitespace().map(str::parse).collect();
    match read {
        Ok(list) if !list.is_empty() => Ok(list),
        Ok(_) => Err(wrong(argument, "no method is named", remedy)),
        Err(reason) => Err(wrong(argument, reason, remedy)),
    }
}
