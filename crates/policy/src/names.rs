//! Names that people give: of rules and of peers. Cheap to copy, because every SA carries them.

use std::fmt;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the name as it is; the policy file decides what a name may look like.
            #[must_use]
            pub fn new(name: &str) -> Self {
                $name(Arc::from(name))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                $name::new(name)
            }
        }
    };
}

name! {
    /// The name of a rule of the SPD, unique within it.
    RuleName
}

name! {
    /// The name of a peer of the PAD, unique within it.
    PeerName
}
