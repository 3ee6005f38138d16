//! A parcel: octets that this crate carries from member to member and does not look into.

use std::fmt;
use std::sync::Arc;

use crypto::Secret;

/// Octets that may hold keys: they are wiped when the last copy is dropped, and never printed.
#[derive(Clone)]
pub struct Parcel(Arc<Secret>);

impl Parcel {
    /// Takes over the octets. They must not have been grown on the way here, as with
    /// [`Secret::new`].
    #[must_use]
    pub fn new(octets: Vec<u8>) -> Self {
        Self(Arc::new(Secret::new(octets)))
    }

    /// The octets.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl PartialEq for Parcel {
    fn eq(&self, other: &Self) -> bool {
        self.0.constant_time_eq(&other.0)
    }
}

impl Eq for Parcel {}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parcel({} octets)", self.octets().len())
    }
}
