//! What the host asks of ISAKMP SAs of IKEv1 and of their pairs.

use std::time::Instant;

use policy::sa::ChildId;

use crate::command::Command;
use crate::endpoint::isakmp_effects::settle;
use crate::endpoint::tables::Tables;
use crate::error::ApiMisuse;
use crate::event::{Doubt, Reason};
use crate::id::IkeSaId;
use crate::pair::Stage as ChildStage;
use crate::v1::informational::close_child;
use crate::v1::sa::{Sa, Task};
use crate::v1::{deletion, dpd};

/// Does what is asked of an ISAKMP SA, or of a pair that lives in one; `None` for all else.
pub(crate) fn handle(
    tables: &mut Tables,
    command: &Command,
    now: Instant,
) -> Option<Result<(), ApiMisuse>> {
    let home = |child: ChildId| tables.registry.home(child);
    let ike = match command {
        Command::RekeyChild(child)
        | Command::DeleteChild(child)
        | Command::ChildUsage { child, .. } => home(*child)?,
        Command::RekeyIke(ike)
        | Command::DeleteIke(ike)
        | Command::CheckLiveness(ike)
        | Command::CloneIke(ike)
        | Command::Redirect { ike, .. }
        | Command::SyncMessageIds { ike, .. }
        | Command::Relocate { ike, .. } => *ike,
        _ => return None,
    };
    let mut sa = tables.take_isakmp(ike)?;
    let done = perform(tables, &mut sa, command, ike, now);
    settle(tables, sa, now);
    Some(done)
}

fn perform(
    tables: &mut Tables,
    sa: &mut Sa,
    command: &Command,
    ike: IkeSaId,
    now: Instant,
) -> Result<(), ApiMisuse> {
    let ctx = &mut tables.context(now);
    match command {
        Command::RekeyChild(id) => {
            let installed = |child: &&mut crate::pair::Child| child.stage == ChildStage::Installed;
            if let Some(child) = sa.child_mut(*id).filter(installed) {
                child.stage = ChildStage::Rekeying;
                sa.tasks.push_back(Task::Rekey(*id));
            }
        }
        Command::DeleteChild(id) => close_child(sa, *id, Reason::Requested, ctx),
        Command::ChildUsage { child, usage } => dpd::used(sa, *child, usage, ctx),
        Command::RekeyIke(_) => sa.renew(Vec::new()),
        Command::DeleteIke(_) => deletion::close(sa, Reason::Requested, ctx),
        Command::CheckLiveness(_) => dpd::ask(sa, Doubt::Requested, ctx),
        // IKEv1 knows none of these.
        Command::CloneIke(_) => return Err(ApiMisuse::CannotClone(ike)),
        Command::Redirect { .. } => return Err(ApiMisuse::CannotRedirect(ike)),
        Command::SyncMessageIds { .. } => return Err(ApiMisuse::CannotSynchronise(ike)),
        Command::Relocate { .. } => return Err(ApiMisuse::CannotMove(ike)),
        _ => {}
    }
    Ok(())
}
