//! Published test vectors, read from `tests/vectors`, for every algorithm.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cipher;
mod dh;
mod kem;
mod prf;
mod read;

#[test]
fn the_self_test_passes() {
    assert_eq!(crypto::self_test(), Ok(()));
}
