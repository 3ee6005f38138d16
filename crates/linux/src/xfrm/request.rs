//! What can be asked of the kernel's IPsec, one request each (xfrm.h, `XFRM_MSG_*`).

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};

use crate::error::Error;
use crate::prefix::Family;
use crate::xfrm::event::Acquire;
use crate::xfrm::octets::{Reader, Writer};
use crate::xfrm::policy::{self, Direction, Policy};
use crate::xfrm::replay::Replay;
use crate::xfrm::selector::{self, Selector};
use crate::xfrm::socket::{Ask, Xfrm};
use crate::xfrm::state::{self, ESP, Lifetimes, Mark, Mode, Sa, SaId, SaInfo, write_id};

/// `XFRM_MSG_NEWSA` and the others.
const NEWSA: u16 = 0x10;
const DELSA: u16 = 0x11;
const GETSA: u16 = 0x12;
const DELPOLICY: u16 = 0x14;
const GETPOLICY: u16 = 0x15;
const ALLOCSPI: u16 = 0x16;
const UPDPOLICY: u16 = 0x19;
const UPDSA: u16 = 0x1a;
const NEWAE: u16 = 0x1e;
const MIGRATE: u16 = 0x21;
/// `XFRMA_SRCADDR`: of two SAs with one name, the one from there.
const SOURCE: u16 = 13;
/// `XFRMA_MIGRATE`.
const MIGRATIONS: u16 = 17;

/// Which SAs move: those between these addresses, of this mode and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MigrationKey {
    /// Outer addresses, source first.
    pub outer: (IpAddr, IpAddr),
    /// Transport or tunnel.
    pub mode: Mode,
    /// The number by which policies ask for them.
    pub reqid: u32,
}

/// SAs that move to other outer addresses, with the templates that ask for them (RFC 4555 as the
/// kernel knows it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    /// The direction and the selector of the policy.
    pub policy: (Direction, Selector),
    /// Which SAs.
    pub from: MigrationKey,
    /// Their outer addresses from now on, source first.
    pub to: (IpAddr, IpAddr),
}

impl Xfrm {
    /// Installs an SA.
    ///
    /// # Errors
    /// A sentence; `EEXIST` where there is one of this name, `ENOSYS` or `EPROTONOSUPPORT` where
    /// the kernel has no ESP or not the algorithm.
    pub fn add_sa(&mut self, sa: &Sa<'_>) -> Result<(), Error> {
        let what = || format!("install the SA with {} ({})", sa.id, sa.algorithm);
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        self.request(
            NEWSA,
            flags,
            Ask::Done,
            |out| sa.write(out),
            |_, _| {},
            what,
        )
    }

    /// Gives an SA that is there other limits and ports. Keys and numbers stay as they are.
    ///
    /// # Errors
    /// A sentence; `ESRCH` where it is not there any more.
    pub fn update_sa(&mut self, sa: &Sa<'_>) -> Result<(), Error> {
        let what = || format!("change the SA with {}", sa.id);
        self.request(
            UPDSA,
            NLM_F_REPLACE,
            Ask::Done,
            |out| sa.write(out),
            |_, _| {},
            what,
        )
    }

    /// Removes an SA. Answers whether it was there.
    ///
    /// # Errors
    /// A sentence.
    pub fn delete_sa(
        &mut self,
        id: SaId,
        source: IpAddr,
        mark: Option<Mark>,
    ) -> Result<bool, Error> {
        let what = || format!("remove the SA with {id}");
        let body = |out: &mut Writer| {
            id.write(out);
            if let Some(mark) = mark {
                mark.write(out);
            }
            let at = out.begin(SOURCE);
            out.address(source);
            out.end(at);
        };
        let asked = self.request(DELSA, 0, Ask::Done, body, |_, _| {}, what);
        was_there(asked, libc::ESRCH)
    }

    /// Removes SAs, and answers for each how far it had come at its end, exactly: no packet is
    /// sealed or opened after that. `None` where it was gone, or where the kernel did not say.
    ///
    /// # Errors
    /// A sentence; then some of them may be there.
    pub fn end_sas(&mut self, sas: &[(SaId, IpAddr)]) -> Result<Vec<Option<SaInfo>>, Error> {
        self.ends.listen(true)?;
        let mut found = Vec::with_capacity(sas.len());
        for (id, source) in sas {
            match self.delete_sa(*id, *source, None) {
                Ok(there) => found.push(if there { self.ends.of(*id) } else { None }),
                Err(error) => {
                    let _ = self.ends.listen(false);
                    return Err(error);
                }
            }
        }
        self.ends.listen(false)?;
        Ok(found)
    }

    /// All ESP SAs, others' too.
    ///
    /// # Errors
    /// A sentence.
    pub fn sas(&mut self) -> Result<Vec<SaInfo>, Error> {
        let mut found = Vec::new();
        let look = |kind, mut body: Reader<'_>| {
            if kind == NEWSA
                && let Some(info) = SaInfo::read(&mut body)
            {
                found.push(info.with(body));
            }
        };
        let what = || "list the SAs".to_owned();
        // Here the kernel reads attributes from the first octet on.
        self.request(GETSA, 0, Ask::Dump, |_| {}, look, what)?;
        Ok(found)
    }

    /// One SA, if it is there.
    ///
    /// # Errors
    /// A sentence.
    pub fn sa(&mut self, id: SaId) -> Result<Option<SaInfo>, Error> {
        let mut found = None;
        let look = |kind, mut body: Reader<'_>| {
            if kind == NEWSA
                && let Some(info) = SaInfo::read(&mut body)
            {
                found = Some(info.with(body));
            }
        };
        let what = || format!("look at the SA with {id}");
        let asked = self.request(GETSA, 0, Ask::Done, |out| id.write(out), look, what);
        was_there(asked, libc::ESRCH)?;
        Ok(found)
    }

    /// Puts the numbers of an SA where they are to go on. What it sends or receives meanwhile is
    /// forgotten: only for one that nobody uses yet.
    ///
    /// # Errors
    /// A sentence.
    pub fn set_replay(&mut self, id: SaId, source: IpAddr, replay: &Replay) -> Result<(), Error> {
        let body = |out: &mut Writer| {
            id.write(out);
            out.address(source);
            // No flags, no reqid.
            out.zeros(8);
            replay.write(out);
        };
        let what = || format!("set the sequence numbers of the SA with {id}");
        self.request(NEWAE, NLM_F_REPLACE, Ask::Done, body, |_, _| {}, what)
    }

    /// Has an SA tell how far it has come by time only, and not after each packet: to be asked for
    /// when it has told the first time, which starts its clock.
    ///
    /// # Errors
    /// A sentence; `ESRCH` where it is not there any more.
    pub fn tell_by_time(&mut self, id: SaId, source: IpAddr) -> Result<(), Error> {
        let body = |out: &mut Writer| {
            id.write(out);
            out.address(source);
            out.zeros(8);
            out.attribute_u32(state::REPLAY_THRESHOLD, 0);
        };
        let what = || format!("quiet the SA with {id}");
        self.request(NEWAE, NLM_F_REPLACE, Ask::Done, body, |_, _| {}, what)
    }

    /// Ends the wait for an SA that an [`Acquire`] announced: the next packet
    /// asks again. Answers whether there was such a wait.
    ///
    /// # Errors
    /// A sentence.
    pub fn end_acquire(&mut self, acquire: &Acquire) -> Result<bool, Error> {
        let what = || format!("end the wait for an SA to {}", acquire.outer.1);
        let mut spi = None;
        // What waits has no SPI, and only an SA with one can be removed: it gets one, out of those
        // that IANA has reserved.
        let body = |out: &mut Writer| {
            selector::write_none(out);
            write_id(
                out,
                SaId {
                    destination: acquire.outer.1,
                    spi: 0,
                },
            );
            out.address(acquire.outer.0);
            Lifetimes::NONE.write(out);
            out.zeros(32 + 12);
            out.u32(acquire.sequence);
            out.u32(acquire.reqid);
            out.family(Family::of(acquire.outer.1));
            out.u8(acquire.mode.number());
            out.zeros(2 + 7);
            out.u32(256);
            out.u32(u32::MAX);
        };
        let look = |kind, mut body: Reader<'_>| {
            if kind == NEWSA {
                spi = SaInfo::read(&mut body).map(|info| info.with(body).id.spi);
            }
        };
        let asked = self.request(ALLOCSPI, 0, Ask::Done, body, look, what);
        if !was_there(asked, libc::ENOENT)? {
            return Ok(false);
        }
        let id = SaId {
            destination: acquire.outer.1,
            spi: spi.unwrap_or_default(),
        };
        self.delete_sa(id, acquire.outer.0, None)
    }

    /// Puts a policy into force, in the place of one with its direction, selector and mark.
    ///
    /// # Errors
    /// A sentence.
    pub fn set_policy(&mut self, policy: &Policy) -> Result<(), Error> {
        let what = || format!("set the policy {policy}");
        let flags = NLM_F_CREATE | NLM_F_REPLACE;
        self.request(
            UPDPOLICY,
            flags,
            Ask::Done,
            |out| policy.write(out),
            |_, _| {},
            what,
        )
    }

    /// Removes the policy with this one's direction, selector and mark. Answers whether it was
    /// there.
    ///
    /// # Errors
    /// A sentence.
    pub fn delete_policy(&mut self, policy: &Policy) -> Result<bool, Error> {
        let what = || format!("remove the policy {policy}");
        let body = |out: &mut Writer| policy.write_id(out);
        let asked = self.request(DELPOLICY, 0, Ask::Done, body, |_, _| {}, what);
        was_there(asked, libc::ENOENT)
    }

    /// All policies but those of sockets, others' too.
    ///
    /// # Errors
    /// A sentence.
    pub fn policies(&mut self) -> Result<Vec<Policy>, Error> {
        let mut found = Vec::new();
        let look = |_, mut body: Reader<'_>| {
            found.extend(Policy::read(&mut body));
        };
        let what = || "list the policies".to_owned();
        // `struct xfrm_userpolicy_id`.
        let body = |out: &mut Writer| out.zeros(policy::SELECTOR + 8);
        self.request(GETPOLICY, 0, Ask::Dump, body, look, what)?;
        Ok(found)
    }

    /// Moves the SAs and the template of a policy to other outer addresses.
    ///
    /// # Errors
    /// A sentence; `ENOPROTOOPT` where the kernel was built without it.
    pub fn migrate(&mut self, migration: &Migration) -> Result<(), Error> {
        let what = || format!("move SAs to {}", migration.to.1);
        let body = |out: &mut Writer| migration.write(out);
        self.request(MIGRATE, 0, Ask::Done, body, |_, _| {}, what)
    }
}

impl Migration {
    /// `struct xfrm_userpolicy_id`, then one `struct xfrm_user_migrate`.
    pub(crate) fn write(&self, out: &mut Writer) {
        let (direction, selector) = self.policy;
        selector.write(out);
        out.u32(0);
        out.u8(direction.number());
        out.zeros(3);
        let at = out.begin(MIGRATIONS);
        for (source, destination) in [self.from.outer, self.to] {
            out.address(destination);
            out.address(source);
        }
        out.u8(ESP);
        out.u8(self.from.mode.number());
        out.zeros(2);
        out.u32(self.from.reqid);
        out.family(Family::of(self.from.outer.0));
        out.family(Family::of(self.to.0));
        out.end(at);
    }
}

/// An error of this number means that there was nothing.
fn was_there(answer: Result<(), Error>, gone: i32) -> Result<bool, Error> {
    match answer {
        Ok(()) => Ok(true),
        Err(error) if error.os_error() == Some(gone) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether an error of [`Xfrm::add_sa`] says that a device does not take this SA: the kernel goes
/// on without one by itself only where the device takes none at all.
pub fn is_refused(error: &Error) -> bool {
    let codes = [libc::EINVAL, libc::EOPNOTSUPP, libc::ENOSPC];
    error.os_error().is_some_and(|code| codes.contains(&code))
}

/// Whether an error of [`Xfrm::add_sa`] says that the kernel cannot do this at all.
pub fn is_missing(error: &Error) -> bool {
    let codes = [
        libc::ENOSYS,
        libc::EPROTONOSUPPORT,
        libc::ENOENT,
        libc::EOPNOTSUPP,
    ];
    error.os_error().is_some_and(|code| codes.contains(&code))
        || error.kind() == io::ErrorKind::Unsupported
}
