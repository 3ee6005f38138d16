//! A handshake that cannot go on before it is known whether the peer's certificate still holds
//! (RFC 6960).

use std::time::Instant;

use crate::discard::Discard;
use crate::endpoint::slot::Slot;
use crate::endpoint::tables::Tables;
use crate::id::IkeSaId;
use crate::limits;
use crate::output::{AskStatus, Output};
use crate::v2::message::Opened;
use crate::v2::status::{Inquiry, Waiting};

/// The message waits in its slot, and the question is put, unless it has been already.
///
/// # Errors
/// Too much has been asked: the message is dropped, and will come again.
pub(crate) fn hold(
    tables: &mut Tables,
    ike: IkeSaId,
    mut slot: Slot,
    opened: Opened,
    inquiry: &Inquiry,
    now: Instant,
) -> Result<(), Discard> {
    let random = &mut tables.random;
    let nonce = || {
        let mut nonce = vec![0; limits::NONCE];
        random.fill(&mut nonce);
        nonce
    };
    match tables.statuses.ask(inquiry, ike, now, nonce) {
        Ok(question) => {
            slot.hold(Waiting {
                opened,
                digest: inquiry.subject.digest(),
                until: now + limits::STATUS_WAIT,
            });
            tables.put(ike, slot);
            if let Some(question) = question {
                let ask = AskStatus {
                    question: question.number,
                    responder: inquiry.responder.clone(),
                    request: question.request,
                };
                tables.outputs.push_back(Output::AskStatus(Box::new(ask)));
            }
            Ok(())
        }
        Err(discard) => {
            tables.put(ike, slot);
            Err(discard)
        }
    }
}
