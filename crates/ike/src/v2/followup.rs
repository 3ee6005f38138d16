//! IKE_FOLLOWUP_KE: additional key exchanges of a CREATE_CHILD_SA that we began (RFC 9370 section
//! 2.2.4). The answer to CREATE_CHILD_SA is kept, and taken when the last of them is done.

use std::collections::VecDeque;

use crypto::{DhKeyPair, Group};
use wire::ike::{Malformed, Notify, NotifyType, Payload};

use crate::context::Context;
use crate::v2::child::key_exchange;
use crate::v2::contents::Contents;
use crate::v2::install::notify;
use crate::v2::int_auth::answer_of;
use crate::v2::sa::{Exchange, Kind, Sa};
use crate::v2::secrets::{Flying, Followups};

/// A response to a request of ours, as far as it could be read.
pub(crate) type Response = Result<Vec<Payload>, Malformed>;

/// Takes a response on its way to its handler. `None`: another exchange has begun, and the handler
/// has to wait; else what it is to see.
pub(crate) fn step(
    sa: &mut Sa,
    mut exchange: Exchange,
    response: Response,
    ctx: &mut Context<'_>,
) -> Option<(Exchange, Response)> {
    let Ok(payloads) = &response else {
        return Some((exchange, response));
    };
    let Ok(contents) = Contents::of(payloads) else {
        return Some((exchange, response));
    };
    let link = contents.notify(NotifyType::ADDITIONAL_KEY_EXCHANGE);
    let link = link.map(|notify| notify.data.clone());
    let flying = exchange.kind.followups_mut().map(|one| one.flying.take());
    match flying {
        // It has no such exchanges.
        None => Some((exchange, response)),
        Some(None) => {
            let groups: VecDeque<Group> = exchange.kind.additional(sa, &contents).collect();
            let Some(link) = link.filter(|_| !groups.is_empty()) else {
                return Some((exchange, response));
            };
            let answer = response.unwrap_or_default();
            ask(sa, exchange, answer, groups, link, ctx)
        }
        Some(Some(flying)) => {
            let fatal = contents.notify(NotifyType::INVALID_SYNTAX).is_some();
            if contents.error().is_some() {
                // Whatever it is, what was agreed so far is of no use: it begins anew.
                let again = vec![notify(NotifyType::TEMPORARY_FAILURE)];
                return Some((exchange, if fatal { response } else { Ok(again) }));
            }
            let Flying {
                answer,
                dh,
                remaining,
            } = *flying;
            let secret = answer_of(dh, &contents).ok();
            let more = !remaining.is_empty();
            if let (Some(secret), Some(followups)) = (secret, exchange.kind.followups_mut()) {
                followups.secrets.push(secret);
            } else {
                // The handler finds that a secret is missing.
                return Some((exchange, Ok(answer)));
            }
            match link.filter(|_| more) {
                Some(link) => ask(sa, exchange, answer, remaining, link, ctx),
                None => Some((exchange, Ok(answer))),
            }
        }
    }
}

/// Asks for the next key exchange.
fn ask(
    sa: &mut Sa,
    mut exchange: Exchange,
    answer: Vec<Payload>,
    mut remaining: VecDeque<Group>,
    link: Vec<u8>,
    ctx: &mut Context<'_>,
) -> Option<(Exchange, Response)> {
    let group = remaining.pop_front();
    let dh = group.and_then(|group| DhKeyPair::generate(group, ctx.random).ok());
    let Some((dh, followups)) = dh.zip(exchange.kind.followups_mut()) else {
        return Some((exchange, Ok(answer)));
    };
    let link = Notify::new(NotifyType::ADDITIONAL_KEY_EXCHANGE, link);
    let payloads = [key_exchange(&dh), Payload::Notify(link)];
    followups.flying = Some(Box::new(Flying {
        answer,
        dh,
        remaining,
    }));
    sa.request(exchange.kind, &payloads, ctx);
    None
}

impl Kind {
    pub(crate) fn followups_mut(&mut self) -> Option<&mut Followups> {
        match self {
            Kind::CreateChild { offer, .. } | Kind::RekeyChild { offer, .. } => {
                Some(&mut offer.followups)
            }
            Kind::RekeyIke { offer, .. } | Kind::CloneIke { offer, .. } => {
                Some(&mut offer.followups)
            }
            _ => None,
        }
    }

    /// The additional key exchanges that the answer to an offer agrees to.
    fn additional(&self, sa: &Sa, answer: &Contents<'_>) -> impl Iterator<Item = Group> {
        let additional = match self {
            Kind::CreateChild { offer, .. } | Kind::RekeyChild { offer, .. } => {
                offer.agreed(answer).map(|suite| suite.additional)
            }
            Kind::RekeyIke { offer, .. } | Kind::CloneIke { offer, .. } => {
                offer.agreed(&sa.peer, answer)
            }
            _ => None,
        };
        additional.unwrap_or_default().groups()
    }
}
