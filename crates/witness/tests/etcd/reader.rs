//! A witness and its news, read with a bound on time.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;
use witness::{News, NotDone, Settings, Witness};

/// Longer than anything here may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Reader {
    pub(crate) witness: Witness,
    news: Receiver<News>,
    /// Passed over while something else was waited for.
    kept: VecDeque<News>,
    /// Revisions of the keys that [`Reader::state`] has shown.
    told: HashMap<String, u64>,
    tag: u64,
}

impl Reader {
    pub(crate) fn start(settings: Settings) -> Self {
        let (witness, news) = Witness::start(settings).unwrap();
        Self {
            witness,
            news,
            kept: VecDeque::new(),
            told: HashMap::new(),
            tag: 0,
        }
    }

    /// One whose watch stands.
    pub(crate) async fn reachable(settings: Settings) -> Self {
        let mut reader = Self::start(settings);
        reader.wait(|news| *news == News::Reachable).await;
        reader
    }

    /// The first news that fit; others stay for later.
    pub(crate) async fn wait(&mut self, fits: impl Fn(&News) -> bool) -> News {
        if let Some(at) = self.kept.iter().position(&fits) {
            return self.kept.remove(at).unwrap();
        }
        loop {
            let next = timeout(PATIENCE, self.news.recv()).await;
            let next = next.unwrap_or_else(|_| panic!("nothing fits; kept: {:?}", self.kept));
            let next = next.expect("the witness has ended");
            if fits(&next) {
                return next;
            }
            self.kept.push_back(next);
        }
    }

    /// Takes news that have come already and fit.
    pub(crate) fn has(&mut self, fits: impl Fn(&News) -> bool) -> bool {
        self.kept
            .extend(std::iter::from_fn(|| self.news.try_recv().ok()));
        let found = self.kept.iter().position(fits);
        found.and_then(|at| self.kept.remove(at)).is_some()
    }

    /// Proposes, and waits for the outcome.
    pub(crate) async fn propose(
        &mut self,
        key: &str,
        expected: u64,
        value: &str,
    ) -> Result<u64, NotDone> {
        let tag = self.ask(key, expected, value);
        self.outcome(tag).await
    }

    /// Proposes.
    pub(crate) fn ask(&mut self, key: &str, expected: u64, value: &str) -> u64 {
        self.tag += 1;
        self.witness
            .propose(key, expected, value.into(), self.tag)
            .unwrap();
        self.tag
    }

    /// Waits for the outcome.
    pub(crate) async fn outcome(&mut self, wanted: u64) -> Result<u64, NotDone> {
        let fits = |news: &News| matches!(news, News::Outcome { tag, .. } if *tag == wanted);
        match self.wait(fits).await {
            News::Outcome { result, .. } => result,
            _ => unreachable!(),
        }
    }

    /// The next state of any key that is news: on a busy machine the watch may begin again.
    pub(crate) async fn state(&mut self) -> (String, String, u64) {
        loop {
            let news = self.wait(|news| matches!(news, News::State { .. })).await;
            let News::State {
                key,
                value,
                revision,
            } = news
            else {
                unreachable!()
            };
            if self.told.insert(key.clone(), revision) < Some(revision) {
                return (key, String::from_utf8(value).unwrap(), revision);
            }
        }
    }

    /// Waits until the key stands at this revision.
    pub(crate) async fn stands(&mut self, wanted: &str, at: u64) {
        self.wait(|news| {
            matches!(news, News::State { key, revision, .. } if key == wanted && *revision == at)
        })
        .await;
    }

    /// The sentence of the next trouble.
    pub(crate) async fn trouble(&mut self) -> String {
        match self.wait(|news| matches!(news, News::Unreachable(_))).await {
            News::Unreachable(why) => why,
            _ => unreachable!(),
        }
    }
}
