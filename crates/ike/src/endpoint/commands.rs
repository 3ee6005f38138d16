//! What the host asks: checked first, then done.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use policy::pad::Peer;
use policy::range::AddressRange;
use policy::sa::ChildId;

use crate::command::{Acquire, Command};
use crate::endpoint::acquire::{acquire, usable};
use crate::endpoint::addresses::Leaving;
use crate::endpoint::addresses::released;
use crate::endpoint::clock::release;
use crate::endpoint::effects::settle;
use crate::endpoint::handshake::{abandon, failed_initiator};
use crate::endpoint::inquiries::answered;
use crate::endpoint::isakmp::gss_answered;
use crate::endpoint::isakmp_commands;
use crate::endpoint::isakmp_effects;
use crate::endpoint::members;
use crate::endpoint::reload::reload;
use crate::endpoint::slot::Slot;
use crate::endpoint::streams;
use crate::endpoint::tables::Tables;
use crate::error::{ApiMisuse, Error};
use crate::event::{Doubt, Reason};
use crate::id::IkeSaId;
use crate::limits;
use crate::output::Output;
use crate::pair::Stage as ChildStage;
use crate::silence::Silence;
use crate::v1::established;
use crate::v1::sa as isakmp_sa;
use crate::v2::cloning;
use crate::v2::established::{begin, liveness};
use crate::v2::mobike;
use crate::v2::sa::{Sa, Stage, Task};
use crate::v2::sync;

/// Does what the host asks.
///
/// # Errors
/// The command names something that is not there.
pub(crate) fn handle(tables: &mut Tables, command: Command, now: Instant) -> Result<(), ApiMisuse> {
    if let Some(done) = isakmp_commands::handle(tables, &command, now) {
        return done;
    }
    match command {
        Command::Acquire(wanted) => {
            check(tables, &wanted)?;
            acquire(tables, *wanted, now);
        }
        Command::RekeyChild(child) => with_child(tables, child, now, |sa| rekey(sa, child))?,
        Command::DeleteChild(child) => delete_child(tables, child, now)?,
        Command::RekeyIke(ike) => with_sa(tables, ike, now, Sa::rekey_soon)?,
        Command::CloneIke(ike) => clone(tables, ike, now)?,
        Command::DeleteIke(ike) => with_sa(tables, ike, now, close)?,
        Command::Redirect { ike, to } => redirect(tables, ike, to, now)?,
        Command::CheckLiveness(ike) => {
            with_sa(tables, ike, now, |sa| liveness::ask(sa, Doubt::Requested))?;
        }
        Command::SyncMessageIds { ike, margin, skip } => {
            synchronise(tables, ike, margin, skip, now)?;
        }
        Command::Relocate { ike, local, remote } => relocate(tables, ike, local, remote, now)?,
        Command::ChildUsage { child, usage } => {
            let (mut sa, _) = take_home(tables, child)?;
            liveness::used(&mut sa, child, &usage, &mut tables.context(now));
            begin::pump(&mut sa, &mut tables.context(now));
            settle(tables, sa, now);
        }
        Command::InvalidSpi {
            local,
            remote,
            spi,
            acquire,
        } => {
            if let Some(wanted) = acquire {
                check_names(tables, &wanted)?;
                call(tables, local, remote, spi, *wanted, now);
            }
        }
        Command::Stream(news) => streams::handle(tables, news, now),
        Command::SetActive { address, active } => {
            release(tables, address, now);
            tables.config.anchored.insert(address);
            tables.addresses.set_active(address, active);
        }
        Command::ShowTokens { address, allowed } => {
            tables.addresses.show_tokens(address, allowed);
        }
        Command::GssAnswer { context, answer } => gss_answered(tables, context, answer, now),
        Command::CertificateStatus { question, answer } => answered(tables, question, answer, now),
        Command::DeleteLocalAddress { address } => leave(tables, address, now),
        Command::ForgetLocalAddress { address } => forget(tables, address, now),
        Command::Freeze { address, frozen } => freeze(tables, address, frozen),
        Command::Forsake { address } => members::silence(tables, address, Silence::Forsaken),
        Command::ForsakeFrozen { address } => tables.forsake_frozen(address),
        Command::ReplaceFrozen { address, count } => {
            members::replace_frozen(tables, address, count, now);
        }
        Command::ForgetSilent { address } => members::forget_silent(tables, address, now),
        Command::Forget(ike) => members::forget(tables, ike, now),
        Command::Reload { pad, rules } => reload(tables, pad, rules, now),
        setting @ (Command::SetTokenSecret(_)
        | Command::SetTicketKeys(_)
        | Command::SetPuzzles(_)
        | Command::SetClock(_)
        | Command::SetOwnStatus { .. }) => set(tables, setting, now),
    }
    Ok(())
}

fn freeze(tables: &mut Tables, address: IpAddr, frozen: bool) {
    let silence = if frozen {
        Silence::Frozen
    } else {
        Silence::None
    };
    members::silence(tables, address, silence);
}

/// Takes note of what the host knows otherwise.
fn set(tables: &mut Tables, setting: Command, now: Instant) {
    let config = &mut tables.config;
    match setting {
        Command::SetTokenSecret(secret) => config.qcd_secret = secret,
        Command::SetTicketKeys(keys) => config.tickets = keys,
        Command::SetPuzzles(puzzles) => config.puzzles = puzzles,
        Command::SetClock(seconds) => config.clock = Some((now, seconds)),
        Command::SetOwnStatus {
            certificate,
            response,
        } => set_own_status(tables, certificate, response),
        _ => {}
    }
}

fn set_own_status(tables: &mut Tables, certificate: [u8; 32], response: Option<Vec<u8>>) {
    let known = &mut tables.config.own_statuses;
    match response {
        Some(response) => known.insert(certificate, response),
        None => known.remove(&certificate),
    };
}

fn close(sa: &mut Sa) {
    if sa.stage == Stage::Live {
        sa.stage = Stage::Closing;
        sa.tasks.push_back(Task::DeleteIke {
            reason: Reason::Requested,
        });
    }
}

/// Makes another IKE SA beside one.
fn clone(tables: &mut Tables, ike: IkeSaId, now: Instant) -> Result<(), ApiMisuse> {
    let mut sa = tables.take_sa(ike).ok_or(ApiMisuse::NoSuchIke(ike))?;
    let mut ctx = tables.context(now);
    let may = sa.is_live() && cloning::has_room(&sa, &ctx) && !cloning::is_under_way(&sa);
    let queued = may && sa.queue(Task::CloneIke { tries: 0 });
    begin::pump(&mut sa, &mut ctx);
    settle(tables, sa, now);
    queued.then_some(()).ok_or(ApiMisuse::CannotClone(ike))
}

/// Sends a peer on that goes where it is sent.
fn redirect(tables: &mut Tables, ike: IkeSaId, to: IpAddr, now: Instant) -> Result<(), ApiMisuse> {
    let sa = tables.sa(ike).ok_or(ApiMisuse::NoSuchIke(ike))?;
    if !sa.is_led() || sa.path.local.ip() == to || sa.path.remote.ip() == to {
        return Err(ApiMisuse::CannotRedirect(ike));
    }
    with_sa(tables, ike, now, |sa| sa.send_on(to))
}

fn check(tables: &Tables, wanted: &Acquire) -> Result<(), ApiMisuse> {
    if !tables.addresses.is_active(wanted.local) {
        return Err(ApiMisuse::InactiveAddress(wanted.local));
    }
    check_names(tables, wanted)
}

fn check_names(tables: &Tables, wanted: &Acquire) -> Result<(), ApiMisuse> {
    let peer = tables.peers.get(&wanted.peer);
    let peer = peer.ok_or_else(|| ApiMisuse::NoSuchPeer(wanted.peer.clone()))?;
    if !peer.has_address(wanted.remote) {
        return Err(ApiMisuse::WrongAddress(wanted.remote));
    }
    let selectors = &wanted.selectors;
    let empty = selectors.local.is_empty() || selectors.remote.is_empty();
    if empty || wanted.child.proposals.is_empty() {
        return Err(ApiMisuse::EmptyRule(wanted.rule.clone()));
    }
    Ok(())
}

/// Does something to an IKE SA that is in use.
fn with_sa(
    tables: &mut Tables,
    ike: IkeSaId,
    now: Instant,
    change: impl FnOnce(&mut Sa),
) -> Result<(), ApiMisuse> {
    let mut sa = tables.take_sa(ike).ok_or(ApiMisuse::NoSuchIke(ike))?;
    change(&mut sa);
    begin::pump(&mut sa, &mut tables.context(now));
    settle(tables, sa, now);
    Ok(())
}

/// Asks the peer of an IKE SA that was taken over to go on from new message ids.
fn synchronise(
    tables: &mut Tables,
    ike: IkeSaId,
    margin: u32,
    skip: u64,
    now: Instant,
) -> Result<(), ApiMisuse> {
    let sa = tables.sa(ike).ok_or(ApiMisuse::NoSuchIke(ike))?;
    if !sa.is_live() || !sa.recovery.message_ids {
        return Err(ApiMisuse::CannotSynchronise(ike));
    }
    if let Some(mut sa) = tables.take_sa(ike) {
        sync::member::begin(&mut sa, margin, skip, &mut tables.context(now));
        settle(tables, sa, now);
    }
    Ok(())
}

/// Goes on with an IKE SA between other addresses.
fn relocate(
    tables: &mut Tables,
    ike: IkeSaId,
    local: IpAddr,
    remote: IpAddr,
    now: Instant,
) -> Result<(), ApiMisuse> {
    let sa = tables.sa(ike).ok_or(ApiMisuse::NoSuchIke(ike))?;
    if !tables.addresses.is_active(local) {
        return Err(ApiMisuse::InactiveAddress(local));
    }
    if !mobike::may_move(sa, local, remote, &tables.config) {
        return Err(ApiMisuse::CannotMove(ike));
    }
    if let Some(mut sa) = tables.take_sa(ike) {
        mobike::ask::relocate(&mut sa, local, remote, &mut tables.context(now));
        settle(tables, sa, now);
    }
    Ok(())
}

/// Takes the IKE SA of a child.
fn take_home(tables: &mut Tables, child: ChildId) -> Result<(Box<Sa>, IkeSaId), ApiMisuse> {
    let missing = ApiMisuse::NoSuchChild(child);
    let ike = tables.registry.home(child).ok_or_else(|| missing.clone())?;
    let sa = tables.take_sa(ike).ok_or(missing)?;
    Ok((sa, ike))
}

fn with_child(
    tables: &mut Tables,
    child: ChildId,
    now: Instant,
    change: impl FnOnce(&mut Sa),
) -> Result<(), ApiMisuse> {
    let missing = ApiMisuse::NoSuchChild(child);
    let ike = tables.registry.home(child).ok_or_else(|| missing.clone())?;
    with_sa(tables, ike, now, change).map_err(|_| missing)
}

fn rekey(sa: &mut Sa, child: ChildId) {
    let installed = |one: &&mut crate::pair::Child| one.stage == ChildStage::Installed;
    if let Some(one) = sa.child_mut(child).filter(installed) {
        one.stage = ChildStage::Rekeying;
        sa.queue(Task::RekeyChild { child, tries: 0 });
    }
}

fn delete_child(tables: &mut Tables, child: ChildId, now: Instant) -> Result<(), ApiMisuse> {
    let (mut sa, _) = take_home(tables, child)?;
    begin::close_child(&mut sa, child, Reason::Requested, &mut tables.context(now));
    begin::pump(&mut sa, &mut tables.context(now));
    settle(tables, sa, now);
    Ok(())
}

/// A peer sends ESP that nobody here knows, most likely because another node knew it: it is made
/// to negotiate anew. If it has an IKE SA with us, it is told there.
fn call(
    tables: &mut Tables,
    local: IpAddr,
    remote: IpAddr,
    spi: u32,
    wanted: Acquire,
    now: Instant,
) {
    let expected = wanted.local == local && wanted.remote == remote;
    let calls = |peer: &Arc<Peer>| {
        // A profile that follows no hints waits for its timers instead. And who may talk from
        // anywhere is not called: anybody can write an address into a packet.
        let named = |range: &AddressRange| range.contains(remote) && !range.is_any();
        peer.ike.hints && peer.addresses.iter().any(named)
    };
    let calls = tables.peers.get(&wanted.peer).is_some_and(calls);
    if !expected || !calls || !tables.addresses.is_active(local) {
        return;
    }
    let recent = |at: &Instant| now.saturating_duration_since(*at) < limits::INVALID_SPI_GAP;
    if tables.called.get(&remote).is_some_and(recent) {
        return;
    }
    if tables.called.len() >= limits::CALLED {
        tables.called.retain(|_, at| recent(at));
    }
    if tables.called.len() >= limits::CALLED {
        return;
    }
    tables.called.insert(remote, now);
    match usable(tables, &wanted.peer, local, remote) {
        None => acquire(tables, wanted, now),
        Some(ike) => {
            if let Some(mut sa) = tables.take_sa(ike) {
                liveness::tell_invalid_spi(&mut sa, spi);
                begin::pump(&mut sa, &mut tables.context(now));
                settle(tables, sa, now);
            } else if let Some(sa) = tables.take_isakmp(ike) {
                sa.tell_invalid_spi(spi, &mut tables.context(now));
                isakmp_effects::settle(tables, sa, now);
            }
        }
    }
}

/// Every slot of a local address.
fn of_local(tables: &Tables, address: IpAddr) -> Vec<IkeSaId> {
    tables
        .slots()
        .filter(|(_, slot)| slot.local() == address)
        .map(|(ike, _)| ike)
        .collect()
}

/// The address is about to leave: its peers hear of it while it can still send.
fn leave(tables: &mut Tables, address: IpAddr, now: Instant) {
    tables.addresses.set_active(address, false);
    let mut waiting = BTreeSet::new();
    for ike in of_local(tables, address) {
        match tables.take(ike) {
            Some(Slot::Sa(mut sa)) if !matches!(sa.stage, Stage::Closed { .. }) => {
                sa.leave(&mut tables.context(now));
                waiting.insert(ike);
                tables.put(ike, Slot::Sa(sa));
            }
            Some(Slot::Isakmp(mut sa)) => {
                established::leave(&mut sa, &mut tables.context(now));
                if sa.stage == isakmp_sa::Stage::Closing {
                    waiting.insert(ike);
                }
                isakmp_effects::settle(tables, sa, now);
            }
            Some(slot) => drop_slot(tables, ike, slot, now),
            None => {}
        }
    }
    let account = Leaving {
        until: now + tables.config.release.min(limits::FOREVER),
        waiting,
        acknowledged: 0,
    };
    if account.waiting.is_empty() {
        tables
            .outputs
            .push_back(Output::Event(released(address, &account)));
    } else {
        tables.addresses.leave(address, account);
    }
}

/// The address has left: nothing of it stays.
fn forget(tables: &mut Tables, address: IpAddr, now: Instant) {
    tables.addresses.set_active(address, false);
    let account = tables.addresses.give_up(address);
    for ike in of_local(tables, address) {
        match tables.take(ike) {
            Some(Slot::Sa(mut sa)) if !matches!(sa.stage, Stage::Closed { .. }) => {
                sa.end(Reason::AddressLeft, false, &mut tables.context(now));
                settle(tables, sa, now);
            }
            Some(Slot::Isakmp(mut sa)) => {
                sa.end(Reason::AddressLeft, &mut tables.context(now));
                isakmp_effects::settle(tables, sa, now);
            }
            Some(slot) => drop_slot(tables, ike, slot, now),
            None => {}
        }
    }
    // Who waits for the address to be released waits no longer.
    if let Some(account) = account {
        tables
            .outputs
            .push_back(Output::Event(released(address, &account)));
    }
}

/// A handshake, or what is left of one, ends without a word to the peer.
fn drop_slot(tables: &mut Tables, ike: IkeSaId, slot: Slot, now: Instant) {
    let path = *slot.path();
    let pending = abandon(tables, ike, slot, now);
    if !pending.is_empty() {
        let error = Error::InactiveAddress;
        failed_initiator(tables, path.local, path.remote, error, pending, now);
    }
}
