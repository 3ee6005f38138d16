//! What is known of every member: the board that the keepers of connections write, and proposals
//! and the watch read.

use crate::connection::Connection;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::watch;

/// How it stands with one member.
#[derive(Clone)]
pub(crate) enum Link {
    /// Nothing is known yet.
    New,
    /// It has a majority.
    Up(Connection),
    /// It answers, but not with a majority; or it may not answer any more. The sentence says why.
    /// The connection is there once its cluster is known to be ours.
    Stuck(Option<Connection>, String),
    /// There is no connection; the sentence says why.
    Down(String),
}

/// A reader of the board.
#[derive(Clone)]
pub(crate) struct Members {
    board: watch::Receiver<Vec<Link>>,
    /// Who has answered last.
    preferred: Arc<AtomicUsize>,
}

/// A board for so many members, and its reader.
pub(crate) fn board(count: usize) -> (Arc<watch::Sender<Vec<Link>>>, Members) {
    let (sender, board) = watch::channel(vec![Link::New; count]);
    let preferred = Arc::default();
    (Arc::new(sender), Members { board, preferred })
}

impl Members {
    /// The best member that `may` be asked and has a connection: one with a majority before one in
    /// trouble, and among equals the one that has answered last.
    pub(crate) fn best(&self, may: impl Fn(usize) -> bool) -> Option<(usize, Connection)> {
        let board = self.board.borrow();
        let preferred = self.preferred.load(Ordering::Relaxed);
        let rank = |(index, link): (usize, &Link)| {
            let (trouble, connection) = match link {
                Link::Up(connection) => (false, connection.clone()),
                Link::Stuck(Some(connection), _) => (true, connection.clone()),
                _ => return None,
            };
            may(index).then_some(((trouble, index != preferred), (index, connection)))
        };
        let candidates = board.iter().enumerate().filter_map(rank);
        candidates
            .min_by_key(|(rank, _)| *rank)
            .map(|(_, best)| best)
    }

    /// Says who has answered.
    pub(crate) fn prefer(&self, member: usize) {
        self.preferred.store(member, Ordering::Relaxed);
    }

    /// Whether the member has a majority.
    pub(crate) fn is_up(&self, member: usize) -> bool {
        matches!(self.board.borrow().get(member), Some(Link::Up(_)))
    }

    /// Returns when the member no longer has a majority.
    pub(crate) async fn fall(mut self, member: usize) {
        while self.is_up(member) {
            self.changed().await;
        }
    }

    /// Why no member has a majority, as a sentence; nothing if one has, or might.
    pub(crate) fn trouble(&self) -> Option<String> {
        let board = self.board.borrow();
        let trouble = |link: &Link| match link {
            Link::New | Link::Up(_) => None,
            Link::Stuck(_, why) | Link::Down(why) => Some(why.clone()),
        };
        let troubles: Option<Vec<String>> = board.iter().map(trouble).collect();
        troubles.map(|all| all.join("; "))
    }

    /// Returns when something has changed since the last call.
    pub(crate) async fn changed(&mut self) {
        if self.board.changed().await.is_err() {
            // The keepers have ended, and so will whoever waits here.
            std::future::pending::<()>().await;
        }
    }
}
