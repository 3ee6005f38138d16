//! Kerberos through GSS-API (RFC 2743, RFC 4121): MIT's library, if it is installed, and keytabs.
//!
//! Where the realm's KDC is, the library reads for itself in `/etc/krb5.conf`, or in the file that
//! the environment variable `KRB5_CONFIG` of the process names.
//!
//! Steps of an initiator ask the KDC over the network and may take seconds: they belong in a thread
//! of their own.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Error;

mod sys;

use sys::{FLAGS, Library, Name, RawContext, RawCredential, Usage};

/// Octets of the longest token that is taken or sent: what Windows has as MaxTokenSize since 2012
/// (12,000 before), and less than a payload of IKE and a datagram can hold.
pub const MAX_TOKEN: usize = 48_000;
/// Octets of the longest name of a principal: more than DNS names and realms can come to.
pub const MAX_PRINCIPAL: usize = 1024;

/// MIT's library, loaded.
#[derive(Clone)]
pub struct Gss {
    library: Arc<Library>,
}

/// The keys of a principal, with which contexts are begun or accepted.
#[derive(Clone)]
pub struct Credentials {
    inner: Arc<Inner>,
}

struct Inner {
    library: Arc<Library>,
    raw: RawCredential,
    usage: Usage,
    principal: String,
    /// Where an initiator's tickets are.
    cache: Option<CString>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        sys::release_credential(&self.library, &mut self.raw);
        if let Some(cache) = &self.cache {
            sys::destroy_cache(&self.library, cache);
        }
    }
}

impl Gss {
    /// Loads the library, for as long as the process lives.
    ///
    /// # Errors
    /// A sentence that names the package, when it is not installed.
    pub fn load() -> Result<Self, Error> {
        let library = Library::open().map_err(|why| {
            Error::other("use Kerberos", why)
                .with_remedy("install MIT Kerberos, in Debian the package libgssapi-krb5-2")
        })?;
        let library = Arc::new(library);
        Ok(Gss { library })
    }

    /// Credentials of `principal` (`host/fe.example@EXAMPLE`) to begin contexts with: its key is in
    /// `keytab`. A KDC is asked now, and again when the tickets have expired, which are kept in
    /// memory.
    ///
    /// # Errors
    /// A sentence, for example that no KDC answers.
    pub fn initiator(&self, keytab: &Path, principal: &str) -> Result<Credentials, Error> {
        // Of a key that is missing the library would say here that there is no cache.
        drop(self.acceptor(keytab, principal)?);
        // A cache of its own for each: they share nothing that they should not.
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let cache = text(&format!("MEMORY:holdfast-{number}"))?;
        let file = file(keytab)?;
        let store = [(c"client_keytab", &*file), (c"ccache", &*cache)];
        self.acquire(principal, Usage::Initiate, &store, Some(&cache))
            .map_err(|why| {
                let keytab = keytab.display();
                let what = format!("log in as {principal} with its key in {keytab}");
                let remedy = format!("`kinit -kt {keytab} {principal}` asks the KDC the same");
                Error::other(what, why).with_remedy(remedy)
            })
    }

    /// Credentials of `principal` to accept contexts with, whose key is in `keytab`. No KDC is
    /// asked, and there is no cache of replays: who replays another's token learns nothing, as
    /// both sides must prove that they know the key in it.
    ///
    /// # Errors
    /// A sentence, for example that the keytab has no such key.
    pub fn acceptor(&self, keytab: &Path, principal: &str) -> Result<Credentials, Error> {
        let file = file(keytab)?;
        let store = [(c"keytab", &*file), (c"rcache", c"none:")];
        // Whatever the reason, the library would say that there are no credentials.
        let readable = File::open(keytab).map_err(|why| why.to_string());
        readable
            .and_then(|_| self.acquire(principal, Usage::Accept, &store, None))
            .map_err(|why| {
                let keytab = keytab.display();
                let what = format!("use the key of {principal} in {keytab}");
                let remedy = format!("`klist -kt {keytab}` shows whose keys are in it");
                Error::other(what, why).with_remedy(remedy)
            })
    }

    fn acquire(
        &self,
        principal: &str,
        usage: Usage,
        store: &[(&CStr, &CStr)],
        cache: Option<&CStr>,
    ) -> Result<Credentials, String> {
        let name = import(&self.library, principal).map_err(|why| why.to_string())?;
        let raw = sys::acquire(&self.library, &name, usage, store);
        let raw = raw.inspect_err(|_| {
            cache.inspect(|cache| sys::destroy_cache(&self.library, cache));
        })?;
        let inner = Arc::new(Inner {
            library: Arc::clone(&self.library),
            raw,
            usage,
            principal: principal.to_owned(),
            cache: cache.map(CStr::to_owned),
        });
        Ok(Credentials { inner })
    }
}

/// What a step of a context came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// A token for the peer; empty if it needs none.
    pub token: Vec<u8>,
    /// Whether the context is complete on this side.
    pub complete: bool,
}

/// A security context between two principals. Both have proven who they are when it is complete.
pub struct Context {
    credentials: Credentials,
    raw: RawContext,
    /// Whom an initiator calls.
    target: Option<String>,
    complete: bool,
}

impl Context {
    /// One that is begun, with `target`.
    ///
    /// # Errors
    /// The credentials are for accepting.
    pub fn initiate(credentials: &Credentials, target: &str) -> Result<Self, Error> {
        let target = target.to_owned();
        Context::new(credentials, Usage::Initiate, Some(target))
    }

    /// One that the peer begins.
    ///
    /// # Errors
    /// The credentials are for beginning.
    pub fn accept(credentials: &Credentials) -> Result<Self, Error> {
        Context::new(credentials, Usage::Accept, None)
    }

    fn new(credentials: &Credentials, usage: Usage, target: Option<String>) -> Result<Self, Error> {
        let inner = &credentials.inner;
        if inner.usage != usage {
            let what = format!("make a context of {}", inner.principal);
            return Err(Error::other(what, "its credentials are for the other role"));
        }
        Ok(Context {
            credentials: credentials.clone(),
            raw: RawContext::none(),
            target,
            complete: false,
        })
    }

    /// Takes the peer's token, empty for the first step of who begins, and gives one for the peer.
    ///
    /// # Errors
    /// A sentence with the reasons that Kerberos gives. The context is of no use then.
    pub fn step(&mut self, token: &[u8]) -> Result<Step, Error> {
        let inner = &self.credentials.inner;
        let what = match &self.target {
            Some(target) => format!("prove to {target} by Kerberos to be {}", inner.principal),
            None => format!("take a Kerberos ticket as {}", inner.principal),
        };
        let failed = |why: String| Error::other(what.clone(), why);
        if self.complete {
            return Err(failed("the context is complete already".to_owned()));
        }
        if token.len() > MAX_TOKEN {
            let length = token.len();
            return Err(failed(format!(
                "the peer's token has {length} octets, more than {MAX_TOKEN}"
            )));
        }
        let stepped = match &self.target {
            Some(target) => {
                let name = import(&inner.library, target)?;
                sys::initiate(&inner.library, &inner.raw, &mut self.raw, &name, token)
            }
            None => sys::accept(&inner.library, &inner.raw, &mut self.raw, token),
        };
        let stepped = stepped.map_err(failed)?;
        if stepped.token.len() > MAX_TOKEN {
            let length = stepped.token.len();
            return Err(failed(format!(
                "our token has {length} octets, more than {MAX_TOKEN}"
            )));
        }
        if !stepped.more && stepped.flags & FLAGS != FLAGS {
            return Err(failed(
                "the context lacks mutual authentication, sequence, confidentiality or integrity"
                    .to_owned(),
            ));
        }
        self.complete = !stepped.more;
        Ok(Step {
            token: stepped.token,
            complete: self.complete,
        })
    }

    /// Who the peer has proven to be, and for how many seconds that holds.
    ///
    /// # Errors
    /// The context is not complete.
    pub fn peer(&mut self) -> Result<(String, u32), Error> {
        let what = "learn who the peer is";
        self.completed(what)?;
        let inner = &self.credentials.inner;
        let failed = |why| Error::other(what, why);
        let (initiator, acceptor, seconds) =
            sys::inquire(&inner.library, &mut self.raw).map_err(failed)?;
        let peer = match &self.target {
            Some(_) => acceptor,
            None => initiator,
        };
        if peer.len() > MAX_PRINCIPAL {
            return Err(failed(format!("its name has {} octets", peer.len())));
        }
        Ok((peer, seconds))
    }

    /// Encrypts and protects octets for the peer.
    ///
    /// # Errors
    /// A sentence.
    pub fn wrap(&mut self, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let what = "wrap what is for the peer";
        self.completed(what)?;
        let library = &self.credentials.inner.library;
        let wrapped = sys::wrap(library, &mut self.raw, plain);
        match wrapped.map_err(|why| Error::other(what, why))? {
            (wrapped, true) => Ok(wrapped.bytes().to_vec()),
            (_, false) => Err(Error::other(what, "it would not be encrypted")),
        }
    }

    /// Opens what the peer has wrapped: neither altered nor a repetition, and encrypted.
    ///
    /// # Errors
    /// A sentence.
    pub fn unwrap(&mut self, wrapped: &[u8]) -> Result<Vec<u8>, Error> {
        let what = "open what the peer has wrapped";
        self.completed(what)?;
        if wrapped.len() > MAX_TOKEN {
            return Err(Error::other(
                what,
                format!("it has {} octets", wrapped.len()),
            ));
        }
        let library = &self.credentials.inner.library;
        let opened = sys::unwrap(library, &mut self.raw, wrapped);
        match opened.map_err(|why| Error::other(what, why))? {
            (_, false, _) => Err(Error::other(what, "it is not encrypted")),
            (plain, true, 0) => Ok(plain.bytes().to_vec()),
            (_, true, _) => Err(Error::other(what, "it is a repetition or out of order")),
        }
    }

    fn completed(&self, what: &str) -> Result<(), Error> {
        match self.complete {
            true => Ok(()),
            false => Err(Error::other(what, "the Kerberos context is not complete")),
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        sys::delete_context(&self.credentials.inner.library, &mut self.raw);
    }
}

fn import<'a>(library: &'a Library, principal: &str) -> Result<Name<'a>, Error> {
    let what = || format!("read the principal `{}`", principal.escape_debug());
    if principal.is_empty() || principal.len() > MAX_PRINCIPAL {
        let why = format!("a principal has 1 to {MAX_PRINCIPAL} octets");
        return Err(Error::other(what(), why));
    }
    Name::import(library, principal).map_err(|why| Error::other(what(), why))
}

fn file(path: &Path) -> Result<CString, Error> {
    let bytes = [b"FILE:", path.as_os_str().as_bytes()].concat();
    CString::new(bytes)
        .map_err(|why| Error::other(format!("name {}", path.display()), why.to_string()))
}

fn text(text: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|why| Error::other(format!("name {text:?}"), why.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINCIPAL: &str = "host/fe.example@EXAMPLE";

    /// None where MIT Kerberos is not installed.
    fn gss() -> Option<Gss> {
        match Gss::load() {
            Ok(gss) => Some(gss),
            Err(why) => {
                let why = why.to_string();
                assert!(why.contains("the package libgssapi-krb5-2"), "{why}");
                eprintln!("NOT RUN: {why}");
                None
            }
        }
    }

    #[test]
    fn a_keytab_that_is_not_there_is_named() {
        let Some(gss) = gss() else { return };
        let keytab = Path::new("/nonexistent/krb5.keytab");
        let Err(error) = gss.acceptor(keytab, PRINCIPAL) else {
            panic!("there is no key");
        };
        let error = error.to_string();
        assert!(error.contains("/nonexistent/krb5.keytab"), "{error}");
        assert!(error.contains("klist -kt"), "{error}");
    }

    /// A keytab with one key (MIT's format 5.2), removed at the end.
    struct Keytab(std::path::PathBuf);

    impl Keytab {
        fn new(name: &str) -> Self {
            let counted = |text: &[u8]| {
                let length = u16::try_from(text.len()).unwrap().to_be_bytes();
                [&length, text].concat()
            };
            let entry = [
                vec![0, 2],
                counted(b"EXAMPLE"),
                counted(b"host"),
                counted(b"fe.example"),
                // Name type, time, version of the key, its type (AES-256) and octets.
                vec![0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 18],
                counted(&[7; 32]),
            ]
            .concat();
            let length = u32::try_from(entry.len()).unwrap().to_be_bytes();
            let path = std::env::temp_dir().join(format!("hf-{name}-{}", std::process::id()));
            std::fs::write(&path, [&[5, 2], &length[..], &entry].concat()).unwrap();
            Keytab(path)
        }
    }

    impl Drop for Keytab {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn a_keytab_has_the_keys_that_are_in_it() {
        let Some(gss) = gss() else { return };
        let keytab = Keytab::new("keys");
        gss.acceptor(&keytab.0, PRINCIPAL).unwrap();
        let Err(error) = gss.acceptor(&keytab.0, "host/other.example@EXAMPLE") else {
            panic!("that key is not in it");
        };
        let error = error.to_string();
        assert!(error.contains("the key of host/other.example"), "{error}");
    }

    #[test]
    fn without_a_kdc_nobody_logs_in() {
        let Some(gss) = gss() else { return };
        let keytab = Keytab::new("initiator");
        for (principal, says) in [
            (PRINCIPAL, "log in as host/fe.example@EXAMPLE"),
            ("host/other.example@EXAMPLE", "use the key of host/other"),
        ] {
            let Err(error) = gss.initiator(&keytab.0, principal) else {
                panic!("there is no KDC");
            };
            assert!(error.to_string().contains(says), "{error}");
        }
    }

    #[test]
    fn nothing_is_wrapped_before_a_context_is_complete() {
        let Some(gss) = gss() else { return };
        let keytab = Keytab::new("acceptor");
        let credentials = gss.acceptor(&keytab.0, PRINCIPAL).unwrap();
        assert!(Context::initiate(&credentials, "host/be@EXAMPLE").is_err());
        let mut context = Context::accept(&credentials).unwrap();
        for error in [
            context.wrap(b"octets").unwrap_err(),
            context.unwrap(b"octets").unwrap_err(),
            context.peer().unwrap_err(),
        ] {
            assert!(error.to_string().contains("not complete"), "{error}");
        }
        let error = context.step(&[0; MAX_TOKEN + 1]).unwrap_err();
        assert!(error.to_string().contains("48001 octets"), "{error}");
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let Some(gss) = gss() else { return };
        let keytab = Keytab::new("tokens");
        let credentials = gss.acceptor(&keytab.0, PRINCIPAL).unwrap();
        let mut seen = 0;
        for length in [0, 1, 2, 17, 300, 5_000, MAX_TOKEN] {
            for fill in [0, 0x60, 0x6e, 0xff] {
                let mut context = Context::accept(&credentials).unwrap();
                let error = context.step(&vec![fill; length]).unwrap_err().to_string();
                assert!(
                    error.contains("take a Kerberos ticket as host/fe"),
                    "{error}"
                );
                seen += 1;
            }
        }
        assert_eq!(seen, 28);
    }

    #[test]
    fn a_principal_has_bounds() {
        let Some(gss) = gss() else { return };
        let keytab = Path::new("/nonexistent");
        for wrong in ["", "a\0b@EXAMPLE", "x@y@z@", &"x".repeat(MAX_PRINCIPAL + 1)] {
            let _ = gss.acceptor(keytab, wrong).map(drop).unwrap_err();
        }
    }
}
