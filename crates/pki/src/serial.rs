//! A certificate's number, by which its authority knows it.

use rcgen::SerialNumber;
use std::fmt;
use std::str::FromStr;

/// The number of a certificate, without octets of zero in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serial(Vec<u8>);

/// The longest number, in octets (RFC 5280 section 4.1.2.2).
const MAX: usize = 20;

impl Serial {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let start = bytes.iter().position(|byte| *byte != 0);
        let rest = start.and_then(|start| bytes.get(start..));
        Self(rest.unwrap_or(&[0]).to_vec())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn is(&self, other: &SerialNumber) -> bool {
        *self == Self::new(&other.to_bytes())
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02x}")?;
        }
        Ok(())
    }
}

impl FromStr for Serial {
    type Err = String;

    /// Hexadecimal digits, with colons or without, as `show` and OpenSSL print them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
        let value = |digit: &u8| char::from(*digit).to_digit(16);
        let pair = |pair: &[u8]| match pair {
            [high, low] => u8::try_from(value(high)? << 4 | value(low)?).ok(),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = digits.chunks(2).map(pair).collect();
        match bytes {
            Some(bytes) if (1..=MAX).contains(&bytes.len()) => Ok(Self::new(&bytes)),
            _ => Err("give pairs of hexadecimal digits, as `holdfast pki show` prints them".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_reads_as_it_is_printed() {
        let serial: Serial = "4f:00:A1".parse().unwrap();
        assert_eq!(serial.to_string(), "4f:00:a1");
        assert_eq!("004F00A1".parse(), Ok(serial));
        assert_eq!(Serial::new(&[0, 0]).to_string(), "00");
        for bad in ["", ":", "4", "4g", &"00".repeat(21)] {
            assert!(bad.parse::<Serial>().is_err(), "{bad}");
        }
    }
}
