//! Descriptors that the loop waits for.

use std::io;
use std::os::fd::AsRawFd;
use tokio::io::unix::AsyncFd;

/// Lets the runtime wait for a descriptor.
///
/// # Errors
/// When the kernel has no room for it.
#[expect(
    deprecated,
    reason = "its successor asks for `unsafe`, to promise what our types keep anyway: the \
              descriptor is theirs and stays the same until they are dropped"
)]
pub(crate) fn watch<T: AsRawFd>(inner: T) -> io::Result<AsyncFd<T>> {
    AsyncFd::new(inner)
}
