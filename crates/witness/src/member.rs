//! The keeper of the connection to one member: connects, checks, and connects again.

use crate::connect::{Driver, Route};
use crate::connection::Connection;
use crate::endpoint::Endpoint;
use crate::failure::{CLOSED, Failure};
use crate::limits::{CHECK, CONNECT, RECHECK, RECONNECT};
use crate::members::Link;
use crate::messages::{Range, RangeRequest, end_of_prefix, path};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// One member's keeper.
pub(crate) struct Keeper {
    pub(crate) route: Route,
    pub(crate) place: usize,
    pub(crate) board: Arc<watch::Sender<Vec<Link>>>,
    /// The cluster that answered first, for all members.
    pub(crate) cluster: Arc<OnceLock<u64>>,
    pub(crate) prefix: String,
    /// How long a check may take.
    pub(crate) patience: Duration,
}

impl Keeper {
    /// Keeps the connection for as long as it runs.
    pub(crate) async fn run(self) {
        let mut pause = RECONNECT.0;
        loop {
            let why = match timeout(CONNECT, self.route.connect()).await {
                Ok(Ok((connection, driver))) => {
                    let (why, was_up) = self.keep(connection, driver).await;
                    if was_up {
                        pause = RECONNECT.0;
                    }
                    why
                }
                Ok(Err(clause)) => self.sentence(&clause),
                Err(_) => self.sentence("does not answer; is its machine running and reachable?"),
            };
            self.post(Link::Down(why));
            sleep(pause).await;
            pause = (pause * 2).min(RECONNECT.1);
        }
    }

    fn endpoint(&self) -> &Endpoint {
        &self.route.endpoint
    }

    fn sentence(&self, clause: &str) -> String {
        Failure::of(self.endpoint(), clause).sentence
    }

    /// Tells the others, if it is new to them.
    fn post(&self, link: Link) {
        self.board.send_if_modified(|board| {
            let Some(place) = board.get_mut(self.place) else {
                return false;
            };
            let known = matches!((&*place, &link), (Link::Up(_), Link::Up(_)));
            if !known {
                *place = link;
            }
            !known
        });
    }

    /// Returns why the connection ended, and whether it has been good.
    async fn keep(&self, connection: Connection, driver: Driver) -> (String, bool) {
        let mut was_up = false;
        let why = tokio::select! {
            // First: it knows better than a check why the connection has ended.
            biased;
            clause = driver => self.sentence(&clause),
            why = self.check(connection, &mut was_up) => why,
        };
        if was_up || why != self.sentence(CLOSED) {
            return (why, was_up);
        }
        let advice = match self.endpoint().tls {
            true => {
                "closes every connection at once; its log says whether it refuses our certificate"
            }
            false => "closes every connection at once; if it speaks TLS there, write https://",
        };
        (self.sentence(advice), false)
    }

    async fn check(&self, connection: Connection, was_up: &mut bool) -> String {
        loop {
            let verified = was_up.then(|| connection.clone());
            let asked = self.ask(&connection, false);
            match timeout(self.patience, asked).await {
                Ok(Ok(answer)) => {
                    let cluster = answer.header.cluster;
                    if *self.cluster.get_or_init(|| cluster) != cluster {
                        return self.sentence(
                            "belongs to another etcd cluster than the member that answered first; \
                             correct the list, or start again if etcd was restored from a backup",
                        );
                    }
                    *was_up = true;
                    self.post(Link::Up(connection.clone()));
                    sleep(CHECK).await;
                    continue;
                }
                Ok(Err(failure)) if failure.answered => {
                    self.post(Link::Stuck(verified, failure.sentence));
                }
                Ok(Err(failure)) => return failure.sentence,
                Err(_) => {
                    let why = self.sentence(
                        "has no majority behind it; most members of etcd must run and reach \
                         each other",
                    );
                    self.post(Link::Stuck(verified, why));
                    // Alone it would answer this; else it is dead, and so is the connection.
                    let alone = timeout(self.patience, self.ask(&connection, true)).await;
                    let alive = alone
                        .is_ok_and(|asked| asked.map_or_else(|failure| failure.answered, |_| true));
                    if !alive {
                        return self.sentence("has stopped answering");
                    }
                }
            }
            sleep(RECHECK).await;
        }
    }

    async fn ask(&self, connection: &Connection, serializable: bool) -> Result<Range, Failure> {
        let request = RangeRequest {
            from: self.prefix.as_bytes(),
            end: &end_of_prefix(&self.prefix),
            serializable,
            count_only: true,
            ..RangeRequest::default()
        };
        connection
            .call(path::RANGE, &request.encode(), Range::decode)
            .await
    }
}
