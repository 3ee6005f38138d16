//! A pair as octets, and back (RFC 7296 section 2.17).

use std::sync::Arc;
use std::time::{Duration, Instant};

use policy::child::ChildTemplate;
use policy::names::PeerName;
use policy::proposal::EspSuite;
use policy::sa::{ChildId, Hosts, SaSpec, Translation};

use crate::context::Context;
use crate::limits;
use crate::pair::{Child, Stage};
use crate::path::Path;
use crate::record::codec::{Reader, Writer};
use crate::record::{BadRecord, Directory, Takeover, rule};

/// A pair as it was written.
pub(crate) struct Written {
    pub(crate) spec: SaSpec,
    pub(crate) active: bool,
    pub(crate) in_esp: bool,
    template: Arc<ChildTemplate>,
    suite: EspSuite,
    stage: Kept,
    pub(crate) age: Duration,
    rekey_in: Option<Duration>,
    expire_in: Duration,
    skipped: u64,
}

/// The stage of a pair, with what is left of its time.
#[derive(Clone, Copy)]
enum Kept {
    Installed,
    Rekeying,
    Replaced { by: ChildId, left: Duration },
    Deleting,
}

/// Writes a pair down.
pub(crate) fn write(to: &mut Writer, child: &Child, now: Instant) {
    to.octets(child.rule.as_str().as_bytes());
    to.u64(child.id.0);
    to.esp_suite(child.suite);
    to.mode(child.spec.mode);
    to.u32(child.inbound_spi);
    to.u32(child.outbound_spi);
    to.u32(child.spec.replay_window);
    to.selectors(&child.spec.selectors);
    to.option(child.spec.nat.written, |to, hosts| {
        to.address(hosts.local);
        to.address(hosts.remote);
    });
    to.keys(&child.spec.inbound_keys);
    to.keys(&child.spec.outbound_keys);
    to.flag(child.active);
    to.flag(child.in_esp);
    let left = |at: Instant| at.saturating_duration_since(now);
    Kept::write(to, child.stage, now);
    to.duration(left(child.expire_at));
    to.duration(now.saturating_duration_since(child.born));
    to.option(child.rekey_at.map(left), Writer::duration);
    to.u64(child.skipped);
}

/// Reads the pairs of an IKE SA with this peer on this path.
///
/// # Errors
/// [`BadRecord`].
pub(crate) fn read_all(
    from: &mut Reader<'_>,
    peer: &PeerName,
    (path, party): (&Path, Option<u64>),
    directory: &Directory<'_>,
) -> Result<Vec<Written>, BadRecord> {
    let mut unknown = None;
    let children = from.list(limits::RECORDED_CHILDREN, |from| {
        let name = from.text()?;
        let (rule, template) = match rule(name, directory) {
            Ok(found) => found,
            Err(why) => {
                unknown = Some(why);
                return None;
            }
        };
        let id = ChildId(from.u64()?);
        let suite = from.esp_suite()?;
        let mode = from.mode()?;
        let (inbound_spi, outbound_spi) = (from.u32()?, from.u32()?);
        let (replay_window, selectors) = (from.u32()?, from.selectors()?);
        let written = from.option(|from| {
            let (local, remote) = (from.address()?, from.address()?);
            Some(Hosts { local, remote })
        })?;
        let spec = SaSpec {
            id,
            rule,
            peer: peer.clone(),
            mode,
            encapsulation: path.encapsulation(),
            local: path.local.ip(),
            remote: path.remote.ip(),
            nat: Translation { written, party },
            outer: template.outer,
            inbound_spi,
            outbound_spi,
            encryption: suite.encryption,
            integrity: suite.integrity,
            esn: suite.esn,
            replay_window,
            selectors,
            inbound_keys: from.keys()?,
            outbound_keys: from.keys()?,
        };
        let (active, in_esp) = (from.flag()?, from.flag()?);
        Some(Written {
            spec,
            active,
            in_esp,
            template,
            suite,
            stage: Kept::read(from)?,
            expire_in: from.duration()?,
            age: from.duration()?,
            rekey_in: from.option(Reader::duration)?,
            skipped: from.u64()?,
        })
    });
    children.ok_or_else(|| unknown.unwrap_or(BadRecord::Malformed))
}

impl Kept {
    fn write(to: &mut Writer, stage: Stage, now: Instant) {
        let (number, by, left) = match stage {
            Stage::Installed => (0, 0, Duration::ZERO),
            Stage::Rekeying => (1, 0, Duration::ZERO),
            Stage::Replaced { by, until } => (2, by.0, until.saturating_duration_since(now)),
            Stage::Deleting => (3, 0, Duration::ZERO),
        };
        to.u8(number);
        to.u64(by);
        to.duration(left);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let (number, by, left) = (from.u8()?, ChildId(from.u64()?), from.duration()?);
        match number {
            0 => Some(Kept::Installed),
            1 => Some(Kept::Rekeying),
            2 => Some(Kept::Replaced { by, left }),
            3 => Some(Kept::Deleting),
            _ => None,
        }
    }

    fn revive(self, now: Instant) -> Stage {
        match self {
            Kept::Installed => Stage::Installed,
            Kept::Rekeying => Stage::Rekeying,
            Kept::Replaced { by, left } => Stage::Replaced {
                by,
                until: now + left.min(limits::FOREVER),
            },
            Kept::Deleting => Stage::Deleting,
        }
    }
}

impl Written {
    /// The pair, on the member that goes on with it.
    pub(crate) fn revive(self, takeover: Takeover, ctx: &mut Context<'_>) -> Child {
        let now = ctx.now;
        let after = |left: Duration| now + left.min(limits::FOREVER);
        let expire_at = after(self.expire_in);
        let quiet = takeover.quiet_until(expire_at, ctx);
        let (idle, most_bytes) = (self.template.idle, self.template.lifetime.bytes);
        let rekey_at = self.rekey_in.map_or(quiet, |left| after(left).min(quiet));
        Child {
            id: self.spec.id,
            rule: self.spec.rule.clone(),
            template: self.template,
            suite: self.suite,
            inbound_spi: self.spec.inbound_spi,
            outbound_spi: self.spec.outbound_spi,
            spec: Arc::new(self.spec),
            skipped: self.skipped,
            stage: self.stage.revive(now),
            active: self.active,
            in_esp: self.in_esp,
            born: now.checked_sub(self.age).unwrap_or(now),
            rekey_at: Some(rekey_at),
            expire_at,
            last_inbound: now,
            idle,
            most_bytes,
        }
    }
}
