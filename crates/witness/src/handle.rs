//! The handle, and what it starts.

use crate::connect::Route;
use crate::endpoint::Endpoint;
use crate::error::{Error, Refused};
use crate::limits::{
    CHECK_PATIENCE, ENDPOINTS_MAX, KEY_MAX, NEWS_MAX, PROPOSALS_MAX, REQUEST_TIMEOUT, VALUE_MAX,
};
use crate::member::Keeper;
use crate::members::board;
use crate::news::News;
use crate::proposals::{Proposal, Proposals};
use crate::race::Task;
use crate::settings::Settings;
use crate::tls::client;
use crate::watcher::Watcher;
use rustls::ClientConfig;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// A session with an etcd cluster. When it is dropped, everything ends at once, and proposals
/// without an outcome may or may not happen.
pub struct Witness {
    proposals: mpsc::UnboundedSender<Proposal>,
    places: Arc<Semaphore>,
    prefix: String,
    request_timeout: Duration,
}

impl Witness {
    /// Starts to connect, to watch and to check; needs a tokio runtime around it. What happens
    /// comes through the channel, which has to be read: it is bounded.
    ///
    /// # Errors
    /// When the settings or the files that they name cannot be used. That etcd cannot be reached is
    /// no error here but [`News::Unreachable`].
    pub fn start(settings: Settings) -> Result<(Self, mpsc::Receiver<News>), Error> {
        let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let Settings {
            prefix,
            request_timeout,
            ..
        } = settings.clone();
        let routes = routes(settings)?;
        if prefix.is_empty() || prefix.len() > KEY_MAX / 2 {
            return Err(Error::Prefix);
        }
        if request_timeout < REQUEST_TIMEOUT.0 || request_timeout > REQUEST_TIMEOUT.1 {
            return Err(Error::Timeout);
        }
        let (news, reader) = mpsc::channel(NEWS_MAX);
        let (proposals, taken) = mpsc::unbounded_channel();
        let read_again = Arc::new(Notify::new());
        let (board, members) = board(routes.len());
        let cluster = Arc::new(OnceLock::new());
        let mut tasks = JoinSet::new();
        for (place, route) in routes.into_iter().enumerate() {
            let keeper = Keeper {
                route,
                place,
                board: Arc::clone(&board),
                cluster: Arc::clone(&cluster),
                prefix: prefix.clone(),
                patience: request_timeout.min(CHECK_PATIENCE),
            };
            tasks.spawn_on(keeper.run(), &runtime);
        }
        let watcher = Watcher::new(
            members.clone(),
            news.clone(),
            prefix.clone(),
            request_timeout,
            Arc::clone(&read_again),
        );
        tasks.spawn_on(watcher.run(), &runtime);
        let orderly = Proposals {
            members,
            news: news.clone(),
            prefix: prefix.len(),
            read_again,
        };
        runtime.spawn(async move {
            tokio::select! {
                () = orderly.run(taken) => {}
                () = news.closed() => {}
            }
            tasks.abort_all();
        });
        let witness = Self {
            proposals,
            places: Arc::new(Semaphore::new(PROPOSALS_MAX)),
            prefix,
            request_timeout,
        };
        Ok((witness, reader))
    }

    /// Puts `value` under `key` if the key's revision is still `expected` (0: it does not exist).
    /// Returns at once; what becomes of it comes as [`News::Outcome`] with this `tag`, within the
    /// request timeout. Proposals for one key are carried out one after the other.
    ///
    /// A value should name its proposer wherever it matters who won.
    ///
    /// # Errors
    /// When the proposal is not taken; then it has no outcome.
    pub fn propose(
        &self,
        key: &str,
        expected: u64,
        value: Vec<u8>,
        tag: u64,
    ) -> Result<(), Refused> {
        let full = format!("{}{key}", self.prefix);
        if key.is_empty() || full.len() > KEY_MAX {
            return Err(Refused::Key);
        }
        if value.len() > VALUE_MAX {
            return Err(Refused::Value);
        }
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| Refused::Full)?;
        let task = Task {
            key: full,
            expected,
            value,
            deadline: Instant::now() + self.request_timeout,
        };
        let proposal = Proposal { tag, task, place };
        self.proposals.send(proposal).map_err(|_| Refused::Ended)
    }
}

fn routes(settings: Settings) -> Result<Vec<Route>, Error> {
    let count = settings.endpoints.len();
    if count == 0 || count > ENDPOINTS_MAX {
        return Err(Error::Endpoints(count));
    }
    let tls: Option<Arc<ClientConfig>> = match &settings.tls {
        Some(tls) => Some(Arc::new(client(tls)?)),
        None => None,
    };
    let route = |text: &String| {
        let endpoint = Endpoint::parse(text)?;
        let wrong = |why| Error::Endpoint {
            text: text.clone(),
            why,
        };
        match (endpoint.tls, tls.is_some()) {
            (true, false) => Err(wrong(
                "is https, but no files for TLS are configured; add ca, certificate and key",
            )),
            (false, true) => Err(wrong(
                "is http, but files for TLS are configured; write https, or take the files out",
            )),
            _ => Ok(Route {
                endpoint: Arc::new(endpoint),
                tls: tls.clone(),
                mark: settings.mark,
            }),
        }
    };
    settings.endpoints.iter().map(route).collect()
}
