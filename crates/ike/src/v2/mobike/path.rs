//! An IKE SA goes to other addresses, and its tunnels after it (RFC 4555 sections 3.5 and 3.7).

use policy::child::Mode;
use policy::sa::ChildId;

use crate::context::Context;
use crate::event::{Event, Reason};
use crate::output::Output;
use crate::pair::{Child, Stage as ChildStage};
use crate::path::Path;
use crate::v2::crash;
use crate::v2::sa::{Sa, Task};

/// The addresses, or what is known of NATs between them, become others. ESP follows at once where
/// the peer's address is the one that it has proved, and otherwise when it has answered from the
/// new one: nobody is to direct our traffic at a third. What is in flight is sent again from here.
pub(crate) fn go(sa: &mut Sa, path: Path, ctx: &mut Context<'_>) {
    let (before, proven) = (sa.path, sa.esp_path());
    let Some(mobility) = sa.mobility.as_mut().filter(|_| before != path) else {
        return;
    };
    let waits = proven.remote.ip() != path.remote.ip();
    mobility.moves = mobility.moves.wrapping_add(1);
    mobility.proven = waits.then_some(proven);
    mobility.due = waits || mobility.decides;
    sa.path = path;
    sa.changed = true;
    if before.hosts() != path.hosts() {
        close_transport(sa, ctx);
        crash::give_soon(sa, ctx.config);
    }
    for exchange in &mut sa.exchanges {
        exchange.retransmit.hurry(ctx.now);
    }
    sa.rearm_keepalive(ctx.now);
    if !waits {
        steer(sa, ctx);
    }
}

/// The peer has proved its address: ESP goes there.
pub(crate) fn prove(sa: &mut Sa, ctx: &mut Context<'_>) {
    let waited = sa.mobility.as_mut().and_then(|one| one.proven.take());
    if waited.is_some() {
        steer(sa, ctx);
    }
}

/// ESP goes where it is to go now.
pub(crate) fn steer(sa: &Sa, ctx: &mut Context<'_>) {
    let redirects: Vec<Output> = sa.redirects().collect();
    ctx.outputs.extend(redirects);
    if sa.mobility.as_ref().is_some_and(|one| !one.decides) {
        ctx.event(Event::PeerMoved {
            ike: sa.id,
            peer: sa.peer.name.clone(),
            remote: sa.path.remote,
        });
    }
}

/// A pair of transport mode is between two hosts that its selectors name: it has no meaning
/// between others (RFC 4555 is for tunnels). It ends; its traffic asks for another one.
fn close_transport(sa: &mut Sa, ctx: &mut Context<'_>) {
    let ends =
        |child: &&Child| child.spec.mode == Mode::Transport && child.stage != ChildStage::Deleting;
    let ending: Vec<ChildId> = sa.children.iter().filter(ends).map(|one| one.id).collect();
    for child in ending {
        if let Some(one) = sa.child_mut(child) {
            one.stage = ChildStage::Deleting;
        }
        sa.unplug(child, Reason::Moved, ctx);
        sa.tasks.push_back(Task::DeleteChild { child });
    }
}
