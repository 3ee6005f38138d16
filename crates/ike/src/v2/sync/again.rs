//! What was in flight when message ids changed (RFC 6311 section 9).

use crate::context::Context;
use crate::limits;
use crate::v2::crash;
use crate::v2::established::child;
use crate::v2::sa::{Effect, Exchange, Kind, Sa, Stage, Task};

/// Nobody waits any more for answers to what is in flight (section 9): it is asked again, with
/// message ids that both sides agree on.
pub(crate) fn ask_again(sa: &mut Sa, ctx: &mut Context<'_>) {
    let flying = std::mem::take(&mut sa.exchanges);
    for exchange in flying.into_iter().rev() {
        if let Some(task) = task_again(sa, exchange, ctx) {
            sa.tasks.push_front(task);
        }
    }
}

fn task_again(sa: &mut Sa, exchange: Exchange, ctx: &mut Context<'_>) -> Option<Task> {
    match exchange.kind {
        Kind::CreateChild { offer, tries } => {
            ctx.registry.release_esp(offer.inbound_spi);
            let acquire = Box::new(offer.acquire);
            Some(Task::CreateChild { acquire, tries })
        }
        Kind::RekeyChild {
            old,
            offer,
            rival,
            tries,
        } => {
            ctx.registry.release_esp(offer.inbound_spi);
            // What the peer made meanwhile is as good as what we asked for.
            match rival.filter(|rival| sa.child(rival.id).is_some()) {
                Some(rival) => {
                    child::stand(sa, old, rival.id, ctx);
                    None
                }
                None => Some(Task::RekeyChild { child: old, tries }),
            }
        }
        Kind::RekeyIke {
            offer,
            rival,
            tries,
        } => {
            ctx.registry.release_ike(offer.new);
            let Some(rival) = rival else {
                return Some(Task::RekeyIke { tries });
            };
            let until = ctx.now + limits::REPLACED_LIFE;
            sa.stage = Stage::Replaced { until };
            sa.effects.push(Effect::RivalStands { rival: rival.id });
            None
        }
        Kind::CloneIke { offer, tries } => {
            ctx.registry.release_ike(offer.new);
            Some(Task::CloneIke { tries })
        }
        Kind::DeleteChild { child } => Some(Task::DeleteChild { child }),
        Kind::DisownChild { inbound_spi } => Some(Task::DisownChild { inbound_spi }),
        Kind::DeleteIke { reason } => Some(Task::DeleteIke { reason }),
        // That the peer is alive is known now; but it may have carried our token.
        Kind::Liveness => {
            crash::give_soon(sa, ctx.config);
            None
        }
        Kind::Redirect { to } => Some(Task::Redirect { to }),
        Kind::Addresses { .. } => {
            if let Some(mobility) = &mut sa.mobility {
                mobility.due = true;
            }
            None
        }
        Kind::Forgotten(_) => None,
    }
}
