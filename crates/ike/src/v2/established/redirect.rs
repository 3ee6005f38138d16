//! The peer of an IKE SA in use sends us to another gateway, or we send it (RFC 5685 section 5).

use std::net::IpAddr;

use wire::ike::NotifyType;

use crate::command::Acquire;
use crate::context::Context;
use crate::error::RedirectRefusal;
use crate::event::{Event, Reason};
use crate::id::IkeSaId;
use crate::limits;
use crate::v2::contents::Contents;
use crate::v2::redirect::{Before, Elsewhere, Origin, is_movable, judge, not_followed, sends};
use crate::v2::sa::{Effect, Kind, Sa, Stage, Task};

/// The peer, which has proved who it is, sends us on. The IKE SA stays in use until another has
/// taken its place (section 5).
pub(crate) fn informed(sa: &mut Sa, contents: &Contents<'_>, ctx: &mut Context<'_>) {
    let told = contents.notify(NotifyType::REDIRECT);
    let Some(told) = told.filter(|_| sa.redirection.follows && sa.stage == Stage::Live) else {
        return;
    };
    let (local, from) = (sa.path.local.ip(), sa.path.remote.ip());
    let children = sa.children.iter().filter(|child| child.is_live());
    let wanted: Vec<Acquire> = children
        .map(|child| child.again(&sa.peer.name, &sa.path))
        .collect();
    let judged = match wanted.iter().all(is_movable) {
        true => judge(&sa.peer, (local, from), told),
        false => Err((String::new(), RedirectRefusal::Transport)),
    };
    match judged {
        Ok(to) => {
            let home = sa.redirection.home.unwrap_or(from);
            let origin = Origin {
                before: Some(Before { home, last: from }),
                replaces: Some(sa.id),
                again: false,
            };
            sa.effects.push(Effect::Elsewhere(Elsewhere {
                peer: sa.peer.name.clone(),
                local,
                to,
                origin,
                wanted,
            }));
        }
        Err(why) => not_followed(&sa.peer.name, from, why, ctx),
    }
}

impl Sa {
    /// Whether the peer goes where it is sent.
    pub(crate) fn is_led(&self) -> bool {
        self.is_live() && self.redirection.is_followed
    }

    /// Sends the peer on.
    pub(crate) fn send_on(&mut self, to: IpAddr) {
        let task = |task: &Task| matches!(task, Task::Redirect { .. });
        self.tasks.retain(|one| !task(one));
        self.queue(Task::Redirect { to });
    }

    /// Sends the peer on, now.
    pub(crate) fn send_on_now(&mut self, to: IpAddr, ctx: &mut Context<'_>) {
        if let Some(payload) = sends(to, Vec::new()) {
            self.request(Kind::Redirect { to }, &[payload], ctx);
        }
    }

    /// The peer has heard where it is sent. It has some time to go (section 5).
    pub(crate) fn sent_on(&mut self, to: IpAddr, ctx: &mut Context<'_>) {
        self.redirection.until = Some(ctx.after(limits::REDIRECT_GRACE));
        self.changed = true;
        ctx.event(Event::PeerRedirected {
            ike: self.id,
            peer: self.peer.name.clone(),
            remote: self.path.remote,
            gateway: to,
        });
    }

    /// Closes an IKE SA whose place another has taken.
    pub(crate) fn leave_behind(&mut self) {
        if self.stage == Stage::Live {
            self.stage = Stage::Closing;
            let reason = Reason::Redirected;
            self.tasks.push_back(Task::DeleteIke { reason });
        }
    }

    /// The IKE SA whose place this one has taken, once all that it was begun for is there.
    pub(crate) fn has_replaced(&mut self) -> Option<IkeSaId> {
        let creates = |task: &Task| matches!(task, Task::CreateChild { .. });
        let waits = self.tasks.iter().any(creates)
            || self.delayed.iter().any(|one| creates(&one.1))
            || self.is_creating();
        let is_complete = self.stage == Stage::Live && !self.children.is_empty() && !waits;
        match is_complete {
            true => self.redirection.replaces.take(),
            false => None,
        }
    }
}
