//! The form of every IANA registry here: a number that knows its name and keeps unknown values.

/// Declares a newtype over an integer with one constant per registered name.
macro_rules! names {
    ($(#[$doc:meta])* $type:ident($int:ty) { $($name:ident = $value:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(pub $int);

        #[allow(missing_docs)] // The constants are the registry's own names.
        impl $type {
            $(pub const $name: $type = $type($value);)*

            /// The IANA name, when this number has one here.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, "{}({})", stringify!($type), self.0),
                }
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }
    };
}

/// Declares plain integer constants of one registry and the function that names them.
macro_rules! registry {
    ($(#[$doc:meta])* $lookup:ident($int:ty) { $($name:ident = $value:literal,)* }) => {
        $(#[allow(missing_docs)] pub const $name: $int = $value;)*

        $(#[$doc])*
        pub fn $lookup(number: $int) -> Option<&'static str> {
            match number {
                $($value => Some(stringify!($name)),)*
                _ => None,
            }
        }
    };
}

pub(crate) use {names, registry};
