//! What this node asks of others for its operator: one at a time, repeated until it is answered.

use std::collections::VecDeque;

use crate::event::Event;
use crate::heartbeat::{Order, Request};
use crate::limits::MAX_REQUESTS;
use crate::names::NodeName;
use crate::output::Outbox;
use crate::peer::PeerState;
use crate::reason::Refusal;

/// The queue of requests; the first is under way.
#[derive(Default)]
pub(crate) struct Requests {
    queue: VecDeque<Request>,
    last: u64,
}

/// There is no room for another request.
pub(crate) struct Full;

impl Requests {
    /// Adds a request; it goes out with the next heartbeat.
    ///
    /// # Errors
    /// [`Full`] when too many are waiting.
    pub(crate) fn push(&mut self, to: NodeName, order: Order) -> Result<(), Full> {
        if self.queue.len() >= MAX_REQUESTS {
            return Err(Full);
        }
        self.last += 1;
        self.queue.push_back(Request {
            id: self.last,
            to,
            order,
        });
        Ok(())
    }

    pub(crate) fn current(&self) -> Option<&Request> {
        self.queue.front()
    }

    /// Ends the requests that are answered, or whose node is gone.
    pub(crate) fn step(&mut self, peers: &[PeerState], out: &mut Outbox) {
        while let Some(request) = self.queue.front() {
            let peer = peers
                .iter()
                .find(|peer| peer.name == request.to && peer.up());
            let refused = match peer.map(|peer| peer.answer) {
                None => Some(Refusal::Leaving),
                Some((answered, verdict)) if answered == request.id => verdict,
                Some(_) => return,
            };
            if let Some(why) = refused {
                let text = match &request.order {
                    Order::Move { group, to } => format!("move {group} to {to}"),
                    Order::Pause => "pause".to_owned(),
                    Order::Resume => "resume".to_owned(),
                };
                out.event(Event::RequestRefused {
                    node: request.to.clone(),
                    request: text,
                    why,
                });
            }
            self.queue.pop_front();
            out.news = true;
        }
    }
}
