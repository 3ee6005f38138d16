//! The packet path allocates nothing: neither through Rust nor, on glibc, from inside C.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(
    unsafe_code,
    reason = "an allocator that counts can only be written with unsafe"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use crypto::{Encryption, Integrity, OpeningKey, SealingKey};

thread_local! {
    static COUNT: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Counts one allocation, if this thread is counting.
fn count() {
    COUNT.with(|count| count.set(count.get().map(|so_far| so_far + 1)));
}

/// The allocations that `run` makes in this thread.
fn allocations(run: impl FnOnce()) -> usize {
    COUNT.with(|count| count.set(Some(0)));
    run();
    COUNT.with(Cell::take).unwrap()
}

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(at, layout, new_size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The allocator of C, so that what the libraries do below Rust is counted too.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod c {
    use std::ffi::c_void;

    unsafe extern "C" {
        fn __libc_malloc(size: usize) -> *mut c_void;
        fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
        fn __libc_realloc(at: *mut c_void, size: usize) -> *mut c_void;
    }

    // SAFETY: the signature is C's, and the call goes to glibc's own function unchanged.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
        super::count();
        // SAFETY: any size is allowed.
        unsafe { __libc_malloc(size) }
    }

    // SAFETY: the signature is C's, and the call goes to glibc's own function unchanged.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
        super::count();
        // SAFETY: any sizes are allowed.
        unsafe { __libc_calloc(count, size) }
    }

    // SAFETY: the signature is C's, and the call goes to glibc's own function unchanged.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn realloc(at: *mut c_void, size: usize) -> *mut c_void {
        super::count();
        // SAFETY: the caller's promise that `at` was allocated is passed on.
        unsafe { __libc_realloc(at, size) }
    }
}

#[test]
fn sealing_and_opening_allocate_nothing() {
    let mut suites: Vec<(Encryption, Option<Integrity>)> = Vec::new();
    for encryption in Encryption::ALL {
        if encryption.is_aead() {
            suites.push((encryption, None));
        } else {
            suites.extend(Integrity::ALL.map(|integrity| (encryption, Some(integrity))));
        }
    }
    for (encryption, integrity) in suites {
        let key: Vec<u8> = (1..).take(encryption.key_length()).collect();
        let integrity_key = vec![2; integrity.map_or(0, Integrity::key_length)];
        let sealing = SealingKey::new(encryption, integrity, &key, &integrity_key).unwrap();
        let opening = OpeningKey::new(encryption, integrity, &key, &integrity_key).unwrap();
        let suffix: &[u8] = if encryption.is_aead() {
            &[]
        } else {
            &[0, 0, 0, 1]
        };
        let mut iv = vec![0; encryption.iv_length()];
        let mut icv = vec![0; sealing.icv_length()];
        let mut failed = 0;
        for length in [0, 64, 576, 1408, 9008] {
            let mut data = vec![7; length];
            let allocations = allocations(|| {
                for number in 0..100 {
                    let sealed = sealing
                        .write_iv(number, &mut iv)
                        .and_then(|()| sealing.seal(&iv, b"8 octets", suffix, &mut data, &mut icv));
                    let opened = opening.open(&iv, b"8 octets", suffix, &mut data, &icv);
                    // A forgery costs no allocation either; it may leave the data unusable.
                    icv[0] ^= 1;
                    let forged = opening.open(&iv, b"8 octets", suffix, &mut data, &icv);
                    let right = sealed.is_ok() && opened.is_ok() && forged.is_err();
                    failed += usize::from(!right);
                }
            });
            assert_eq!(
                allocations, 0,
                "{encryption}, {integrity:?}, {length} bytes"
            );
        }
        assert_eq!(failed, 0, "{encryption}, {integrity:?}");
    }
}

/// The counter sees what it should: a box.
#[test]
fn the_counter_counts() {
    let boxed = allocations(|| drop(std::hint::black_box(Box::new([0u8; 64]))));
    // On glibc the allocator of Rust asks that of C, so a box counts twice.
    let c_counts = cfg!(all(target_os = "linux", target_env = "gnu"));
    assert_eq!(boxed, if c_counts { 2 } else { 1 });
}
