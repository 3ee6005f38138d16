//! The functions of libgssapi_krb5, found at run time, behind types that release what they hold
//! (RFC 2744; `gss_acquire_cred_from` is MIT's).
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{NonNull, null, null_mut};

use libloading::os::unix::Library as Opened;

/// The name under which Debian's package libgssapi-krb5-2 and others install it.
const FILE: &str = "libgssapi_krb5.so.2";

/// Kerberos 5: 1.2.840.113554.1.2.2 (RFC 1964).
const KERBEROS: &[u8] = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";
/// A principal as text, with its realm: GSS_KRB5_NT_PRINCIPAL_NAME (RFC 1964 section 2.1.1).
const PRINCIPAL: &[u8] = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01";

/// Mutual authentication, sequence of messages, confidentiality, integrity (RFC 2744 section 5.19).
pub(crate) const FLAGS: u32 = 2 | 8 | 16 | 32;
const CONTINUE_NEEDED: u32 = 1;
/// Calling errors and routine errors; what is below them is information.
const ERRORS: u32 = 0xffff_0000;
const FAILURE: u32 = 13 << 16;
const GSS_CODE: c_int = 1;
const MECHANISM_CODE: c_int = 2;
/// Lines of text that one status may have.
const STATUS_LINES: usize = 4;

/// Whether credentials begin contexts or accept them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usage {
    Initiate = 1,
    Accept = 2,
}

#[repr(C)]
struct RawBuffer {
    length: usize,
    value: *mut c_void,
}

#[repr(C)]
struct RawOid {
    length: u32,
    elements: *mut c_void,
}

#[repr(C)]
struct RawOidSet {
    count: usize,
    elements: *mut RawOid,
}

#[repr(C)]
struct RawElement {
    key: *const c_char,
    value: *const c_char,
}

#[repr(C)]
struct RawStore {
    count: u32,
    elements: *mut RawElement,
}

/// What a handle of the library points at: never looked into.
type Handle = *mut c_void;
type Minor = *mut u32;
type In = *const RawBuffer;
type Out = *mut RawBuffer;
type Oid = *const RawOid;

type ImportName = unsafe extern "C" fn(Minor, In, Oid, *mut Handle) -> u32;
type DisplayName = unsafe extern "C" fn(Minor, Handle, Out, *mut Oid) -> u32;
type AcquireCredFrom = unsafe extern "C" fn(
    Minor,
    Handle,
    u32,
    *const RawOidSet,
    c_int,
    *const RawStore,
    *mut Handle,
    *mut *mut RawOidSet,
    *mut u32,
) -> u32;
type InitSecContext = unsafe extern "C" fn(
    Minor,
    Handle,
    *mut Handle,
    Handle,
    Oid,
    u32,
    u32,
    *const c_void,
    In,
    *mut Oid,
    Out,
    *mut u32,
    *mut u32,
) -> u32;
type AcceptSecContext = unsafe extern "C" fn(
    Minor,
    *mut Handle,
    Handle,
    In,
    *const c_void,
    *mut Handle,
    *mut Oid,
    Out,
    *mut u32,
    *mut u32,
    *mut Handle,
) -> u32;
type InquireContext = unsafe extern "C" fn(
    Minor,
    Handle,
    *mut Handle,
    *mut Handle,
    *mut u32,
    *mut Oid,
    *mut u32,
    *mut c_int,
    *mut c_int,
) -> u32;
type Wrap = unsafe extern "C" fn(Minor, Handle, c_int, u32, In, *mut c_int, Out) -> u32;
type Unwrap = unsafe extern "C" fn(Minor, Handle, In, Out, *mut c_int, *mut u32) -> u32;
type DisplayStatus = unsafe extern "C" fn(Minor, u32, c_int, Oid, *mut u32, Out) -> u32;
type ReleaseBuffer = unsafe extern "C" fn(Minor, Out) -> u32;
type Release = unsafe extern "C" fn(Minor, *mut Handle) -> u32;
type InitContext = unsafe extern "C" fn(*mut Handle) -> i32;
type FreeContext = unsafe extern "C" fn(Handle);
type CcResolve = unsafe extern "C" fn(Handle, *const c_char, *mut Handle) -> i32;
type CcDestroy = unsafe extern "C" fn(Handle, Handle) -> i32;
type DeleteSecContext = unsafe extern "C" fn(Minor, *mut Handle, Out) -> u32;

/// The functions that are used. They stay valid: the library is never unloaded.
pub(crate) struct Library {
    import_name: ImportName,
    display_name: DisplayName,
    release_name: Release,
    acquire_cred_from: AcquireCredFrom,
    release_cred: Release,
    init_sec_context: InitSecContext,
    accept_sec_context: AcceptSecContext,
    inquire_context: InquireContext,
    delete_sec_context: DeleteSecContext,
    wrap: Wrap,
    unwrap: Unwrap,
    display_status: DisplayStatus,
    release_buffer: ReleaseBuffer,
    krb5_init_context: InitContext,
    krb5_free_context: FreeContext,
    krb5_cc_resolve: CcResolve,
    krb5_cc_destroy: CcDestroy,
}

impl Library {
    /// Loads it, for the life of the process: threads keep data of it, which are released by its
    /// own code when they end.
    pub(crate) fn open() -> Result<Self, String> {
        let flags = libc::RTLD_NOW | libc::RTLD_LOCAL | libc::RTLD_NODELETE;
        // SAFETY: what runs when it is loaded are the initialisers of MIT Kerberos, which have no
        // demands on their caller.
        let library = unsafe { Opened::open(Some(FILE), flags) }.map_err(|why| why.to_string())?;
        macro_rules! find {
            ($name:literal) => {{
                // SAFETY: the function has this type in MIT's <gssapi/gssapi.h>,
                // <gssapi/gssapi_ext.h> or <krb5.h>; it stays where it is, as RTLD_NODELETE says.
                let found = unsafe { library.get(concat!($name, "\0").as_bytes()) };
                *found.map_err(|why| why.to_string())?
            }};
        }
        Ok(Library {
            import_name: find!("gss_import_name"),
            display_name: find!("gss_display_name"),
            release_name: find!("gss_release_name"),
            acquire_cred_from: find!("gss_acquire_cred_from"),
            release_cred: find!("gss_release_cred"),
            init_sec_context: find!("gss_init_sec_context"),
            accept_sec_context: find!("gss_accept_sec_context"),
            inquire_context: find!("gss_inquire_context"),
            delete_sec_context: find!("gss_delete_sec_context"),
            wrap: find!("gss_wrap"),
            unwrap: find!("gss_unwrap"),
            display_status: find!("gss_display_status"),
            release_buffer: find!("gss_release_buffer"),
            // Of libkrb5, which it brings along.
            krb5_init_context: find!("krb5_init_context"),
            krb5_free_context: find!("krb5_free_context"),
            krb5_cc_resolve: find!("krb5_cc_resolve"),
            krb5_cc_destroy: find!("krb5_cc_destroy"),
        })
    }

    /// Turns the C convention into a `Result`: information bits, or a sentence of both statuses.
    /// It must be asked in the thread that made the call, which alone remembers the details.
    fn check(&self, major: u32, minor: u32) -> Result<u32, String> {
        if major & ERRORS == 0 {
            return Ok(major);
        }
        let mut texts = match (major & ERRORS, minor) {
            // It says only that the mechanism knows more.
            (FAILURE, 1..) => Vec::new(),
            _ => self.status(major, GSS_CODE),
        };
        if minor != 0 {
            texts.extend(self.status(minor, MECHANISM_CODE));
        }
        Err(texts.join(": "))
    }

    fn status(&self, value: u32, kind: c_int) -> Vec<String> {
        let (mut minor, mut more) = (0, 0);
        let kerberos = oid(KERBEROS);
        let mut texts = Vec::new();
        while texts.len() < STATUS_LINES {
            let mut text = Buffer::new(self);
            // SAFETY: every pointer is to a local that outlives the call; the text is released
            // by `Buffer`.
            let major = unsafe {
                (self.display_status)(&mut minor, value, kind, &kerberos, &mut more, &mut text.raw)
            };
            if major & ERRORS != 0 {
                texts.push(format!("status {value:#x}"));
                break;
            }
            texts.push(String::from_utf8_lossy(text.bytes()).trim().to_owned());
            if more == 0 {
                break;
            }
        }
        texts
    }
}

fn oid(bytes: &'static [u8]) -> RawOid {
    RawOid {
        length: bytes.len() as u32,
        elements: bytes.as_ptr().cast_mut().cast(),
    }
}

/// Octets that the library only reads.
fn input(bytes: &[u8]) -> RawBuffer {
    RawBuffer {
        length: bytes.len(),
        value: bytes.as_ptr().cast_mut().cast(),
    }
}

/// Octets that the library has allocated.
pub(crate) struct Buffer<'a> {
    library: &'a Library,
    raw: RawBuffer,
}

impl<'a> Buffer<'a> {
    fn new(library: &'a Library) -> Self {
        let raw = RawBuffer {
            length: 0,
            value: null_mut(),
        };
        Buffer { library, raw }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match NonNull::new(self.raw.value.cast::<u8>()) {
            // SAFETY: the library says that so many octets are there, and they stay until the
            // buffer is released, which needs `self` alone.
            Some(start) => unsafe { std::slice::from_raw_parts(start.as_ptr(), self.raw.length) },
            None => &[],
        }
    }
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the buffer is empty or from the library, and nobody else releases it.
        unsafe { (self.library.release_buffer)(&mut minor, &mut self.raw) };
    }
}

/// The name of a principal.
pub(crate) struct Name<'a> {
    library: &'a Library,
    raw: Handle,
}

impl<'a> Name<'a> {
    /// Reads `primary/instance@REALM`.
    pub(crate) fn import(library: &'a Library, text: &str) -> Result<Self, String> {
        let mut name = Name::none(library);
        let (mut minor, kind) = (0, oid(PRINCIPAL));
        let text = input(text.as_bytes());
        // SAFETY: the library copies the text and the name's type.
        let major = unsafe { (library.import_name)(&mut minor, &text, &kind, &mut name.raw) };
        library.check(major, minor)?;
        Ok(name)
    }

    fn none(library: &'a Library) -> Self {
        let raw = null_mut();
        Name { library, raw }
    }

    /// Its text, realm included.
    pub(crate) fn text(&self) -> Result<String, String> {
        let (mut minor, mut text) = (0, Buffer::new(self.library));
        // SAFETY: the name is from the library; the type of the name is not asked for.
        let major =
            unsafe { (self.library.display_name)(&mut minor, self.raw, &mut text.raw, null_mut()) };
        self.library.check(major, minor)?;
        String::from_utf8(text.bytes().to_vec()).map_err(|_| "a name is no UTF-8 text".to_owned())
    }
}

impl Drop for Name<'_> {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the name is none or from the library, and nobody else releases it.
        unsafe { (self.library.release_name)(&mut minor, &mut self.raw) };
    }
}

/// A credential's handle; its owner gives it back with [`release_credential`].
pub(crate) struct RawCredential(Handle);

// SAFETY: a credential of MIT Kerberos belongs to no thread, and has a lock of its own.
unsafe impl Send for RawCredential {}
// SAFETY: as above: every use of it takes that lock.
unsafe impl Sync for RawCredential {}

/// Credentials of `name`, from where `store` says (keys and values of MIT's credential store).
pub(crate) fn acquire(
    library: &Library,
    name: &Name<'_>,
    usage: Usage,
    store: &[(&CStr, &CStr)],
) -> Result<RawCredential, String> {
    let element = |(key, value): &(&CStr, &CStr)| RawElement {
        key: key.as_ptr(),
        value: value.as_ptr(),
    };
    let mut elements: Vec<RawElement> = store.iter().map(element).collect();
    let store = RawStore {
        count: elements.len() as u32,
        elements: elements.as_mut_ptr(),
    };
    let mut kerberos = oid(KERBEROS);
    let mechanisms = RawOidSet {
        count: 1,
        elements: &mut kerberos,
    };
    let (mut minor, mut raw) = (0, null_mut());
    // SAFETY: everything that is read outlives the call, and the library copies what it keeps;
    // 0 asks for the usual lifetime, and the last two answers are not asked for.
    let major = unsafe {
        (library.acquire_cred_from)(
            &mut minor,
            name.raw,
            0,
            &mechanisms,
            usage as c_int,
            &store,
            &mut raw,
            null_mut(),
            null_mut(),
        )
    };
    library.check(major, minor)?;
    Ok(RawCredential(raw))
}

/// Gives it back; it is none from then on.
pub(crate) fn release_credential(library: &Library, credential: &mut RawCredential) {
    let mut minor = 0;
    // SAFETY: the credential is none or from the library, and only its owner has it mutably.
    unsafe { (library.release_cred)(&mut minor, &mut credential.0) };
}

/// Forgets the tickets of a cache, which in memory would stay as long as the process.
pub(crate) fn destroy_cache(library: &Library, name: &CStr) {
    let (mut context, mut cache) = (null_mut(), null_mut());
    // SAFETY: the library writes to the local; 0 is success.
    if unsafe { (library.krb5_init_context)(&mut context) } != 0 {
        return;
    }
    // SAFETY: the context is whole, the name outlives the call, and the cache is written to the
    // local.
    if unsafe { (library.krb5_cc_resolve)(context, name.as_ptr(), &mut cache) } == 0 {
        // SAFETY: both are from the library, and the cache is not used again.
        unsafe { (library.krb5_cc_destroy)(context, cache) };
    }
    // SAFETY: the context is from the library, and not used again.
    unsafe { (library.krb5_free_context)(context) };
}

/// A context's handle; its owner gives it back with [`delete_context`].
pub(crate) struct RawContext(Handle);

// SAFETY: a context of MIT Kerberos belongs to no thread; it is used by one at a time, as every
// use of it needs it mutably.
unsafe impl Send for RawContext {}

impl RawContext {
    /// One that has not begun.
    pub(crate) fn none() -> Self {
        RawContext(null_mut())
    }
}

/// What a step came to.
pub(crate) struct Stepped {
    /// For the peer; empty if there is none.
    pub(crate) token: Vec<u8>,
    /// Whether another token of the peer is needed.
    pub(crate) more: bool,
    /// What the context gives, if it is complete.
    pub(crate) flags: u32,
}

/// A step of who begins; `token` is the peer's, empty at first.
pub(crate) fn initiate(
    library: &Library,
    credential: &RawCredential,
    context: &mut RawContext,
    target: &Name<'_>,
    token: &[u8],
) -> Result<Stepped, String> {
    let (mut minor, mut flags) = (0, 0);
    let (kerberos, token) = (oid(KERBEROS), input(token));
    let mut output = Buffer::new(library);
    // SAFETY: everything that is read outlives the call; 0 asks for the usual lifetime; there are
    // no channel bindings; the output is released by `Buffer`.
    let major = unsafe {
        (library.init_sec_context)(
            &mut minor,
            credential.0,
            &mut context.0,
            target.raw,
            &kerberos,
            FLAGS,
            0,
            null(),
            &token,
            null_mut(),
            &mut output.raw,
            &mut flags,
            null_mut(),
        )
    };
    stepped(library, major, minor, &output, flags)
}

/// A step of who accepts.
pub(crate) fn accept(
    library: &Library,
    credential: &RawCredential,
    context: &mut RawContext,
    token: &[u8],
) -> Result<Stepped, String> {
    let (mut minor, mut flags) = (0, 0);
    let token = input(token);
    let mut output = Buffer::new(library);
    // SAFETY: as in `initiate`; the peer's name is asked for later, and delegated credentials are
    // not taken.
    let major = unsafe {
        (library.accept_sec_context)(
            &mut minor,
            &mut context.0,
            credential.0,
            &token,
            null(),
            null_mut(),
            null_mut(),
            &mut output.raw,
            &mut flags,
            null_mut(),
            null_mut(),
        )
    };
    stepped(library, major, minor, &output, flags)
}

fn stepped(
    library: &Library,
    major: u32,
    minor: u32,
    output: &Buffer<'_>,
    flags: u32,
) -> Result<Stepped, String> {
    let information = library.check(major, minor)?;
    Ok(Stepped {
        token: output.bytes().to_vec(),
        more: information & CONTINUE_NEEDED != 0,
        flags,
    })
}

/// Who began a complete context, who accepted it, and for how many seconds it holds.
pub(crate) fn inquire(
    library: &Library,
    context: &mut RawContext,
) -> Result<(String, String, u32), String> {
    let (mut initiator, mut acceptor) = (Name::none(library), Name::none(library));
    let (mut minor, mut seconds) = (0, 0);
    // SAFETY: every pointer is to a local, or says that the answer is not asked for; the names are
    // released by `Name`.
    let major = unsafe {
        (library.inquire_context)(
            &mut minor,
            context.0,
            &mut initiator.raw,
            &mut acceptor.raw,
            &mut seconds,
            null_mut(),
            null_mut(),
            null_mut(),
            null_mut(),
        )
    };
    library.check(major, minor)?;
    Ok((initiator.text()?, acceptor.text()?, seconds))
}

/// Encrypts and protects octets for the peer; answers whether they are encrypted as well.
pub(crate) fn wrap<'a>(
    library: &'a Library,
    context: &mut RawContext,
    plain: &[u8],
) -> Result<(Buffer<'a>, bool), String> {
    let (mut minor, mut encrypted, plain) = (0, 0, input(plain));
    let mut output = Buffer::new(library);
    // SAFETY: the library reads the octets and writes to locals; the output is released by
    // `Buffer`. 1 asks for encryption, 0 for the usual quality of protection.
    let major = unsafe {
        (library.wrap)(
            &mut minor,
            context.0,
            1,
            0,
            &plain,
            &mut encrypted,
            &mut output.raw,
        )
    };
    library.check(major, minor)?;
    Ok((output, encrypted != 0))
}

/// Opens what the peer has wrapped; answers whether it was encrypted, and information bits.
pub(crate) fn unwrap<'a>(
    library: &'a Library,
    context: &mut RawContext,
    wrapped: &[u8],
) -> Result<(Buffer<'a>, bool, u32), String> {
    let (mut minor, mut encrypted, wrapped) = (0, 0, input(wrapped));
    let mut output = Buffer::new(library);
    // SAFETY: as in `wrap`; the quality of protection is not asked for.
    let major = unsafe {
        (library.unwrap)(
            &mut minor,
            context.0,
            &wrapped,
            &mut output.raw,
            &mut encrypted,
            null_mut(),
        )
    };
    let information = library.check(major, minor)?;
    Ok((output, encrypted != 0, information))
}

/// Gives it back; it is none from then on.
pub(crate) fn delete_context(library: &Library, context: &mut RawContext) {
    let mut minor = 0;
    // SAFETY: the context is none or from the library, and only its owner has it mutably; no
    // token for the peer is asked for.
    unsafe { (library.delete_sec_context)(&mut minor, &mut context.0, null_mut()) };
}
