//! The one cryptography under TLS here: `ring`, and TLS 1.3 alone is compiled in.

use rustls::crypto::{CryptoProvider, ring};

/// `ring`'s algorithms.
pub(crate) fn provider() -> CryptoProvider {
    ring::default_provider()
}
