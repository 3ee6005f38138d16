//! Post-quantum pre-shared keys: mixed into the keys of an IKE SA, so that who breaks the key
//! exchange alone has nothing (RFC 8784).

use std::fmt;
use std::sync::Arc;

use crypto::secret::Secret;

/// A key that both sides have been given besides their credentials. The secret is shared, not
/// copied, when it is cloned; it is not printed, and compares in constant time.
#[derive(Clone)]
pub struct Ppk {
    /// Its name, by which the initiator speaks of it.
    pub id: String,
    /// The key.
    pub secret: Arc<Secret>,
    /// Whether an IKE SA without it is refused.
    pub required: bool,
}

impl fmt::Debug for Ppk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ppk { id, required, .. } = self;
        write!(f, "Ppk {{ id: {id:?}, required: {required} }}")
    }
}

impl PartialEq for Ppk {
    fn eq(&self, other: &Self) -> bool {
        let same = self.secret.constant_time_eq(&other.secret);
        same && self.id == other.id && self.required == other.required
    }
}

impl Eq for Ppk {}
