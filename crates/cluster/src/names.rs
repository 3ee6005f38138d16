//! Names of nodes and groups: short, printable, the same text in files, events and heartbeats.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::limits::MAX_NAME;

/// A text that is not a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadName(String);

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = self.0.chars().take(2 * MAX_NAME).collect();
        write!(
            f,
            "`{}` is not a name: use 1 to {MAX_NAME} letters, digits, `-`, `_` or `.`.",
            text.escape_debug()
        )
    }
}

impl std::error::Error for BadName {}

fn is_name(bytes: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    (1..=MAX_NAME).contains(&bytes.len()) && bytes.iter().all(allowed)
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Accepts 1 to 32 letters, digits, `-`, `_` or `.`.
            ///
            /// # Errors
            /// [`BadName`] otherwise.
            pub fn new(text: &str) -> Result<Self, BadName> {
                if is_name(text.as_bytes()) {
                    Ok(Self(text.into()))
                } else {
                    Err(BadName(text.to_owned()))
                }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// The name of a node, the same in every node's configuration.
    NodeName
}

name! {
    /// The name of a group: the addresses and services that move together.
    GroupName
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_name() {
        for good in ["a", "node-1", "mail.example_2", &"x".repeat(MAX_NAME)] {
            assert_eq!(
                NodeName::new(good).map(|name| name.to_string()),
                Ok(good.to_owned())
            );
        }
        for bad in ["", " ", "a b", "ä", "a/b", "a\n", &"x".repeat(MAX_NAME + 1)] {
            let error = GroupName::new(bad).expect_err(bad).to_string();
            assert!(error.contains("is not a name"), "{error}");
        }
    }
}
