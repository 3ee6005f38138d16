//! The watch: reads everything that stands, then tells each change, and begins again elsewhere when
//! its member fails.

use crate::connection::{Answers, Connection};
use crate::failure::Failure;
use crate::limits::{PAGE, RECHECK, RECORDS_MAX};
use crate::members::Members;
use crate::messages::{Change, Range, RangeRequest, Record, WatchNote, end_of_prefix, path, watch};
use crate::news::News;
use crate::protobuf::Malformed;
use crate::status::words;
use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, timeout};

/// Watches everything below the prefix.
pub(crate) struct Watcher {
    members: Members,
    news: mpsc::Sender<News>,
    prefix: String,
    request_timeout: Duration,
    read_again: Arc<Notify>,
    /// The keys that stand, as far as we have told.
    told: BTreeSet<String>,
    /// What we have said of etcd; nothing yet at the start.
    reachable: Option<bool>,
    /// Since when changes do not reach us.
    trouble: Option<Instant>,
}

/// Why a watch has ended.
enum End {
    /// Its member is no longer to be trusted, or everything shall be read again.
    Again,
    /// It failed.
    Failed(Failure),
    /// Nobody reads the news.
    Unread,
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<mpsc::error::SendError<News>> for End {
    fn from(_: mpsc::error::SendError<News>) -> Self {
        Self::Unread
    }
}

impl Watcher {
    pub(crate) fn new(
        members: Members,
        news: mpsc::Sender<News>,
        prefix: String,
        request_timeout: Duration,
        read_again: Arc<Notify>,
    ) -> Self {
        Self {
            members,
            news,
            prefix,
            request_timeout,
            read_again,
            told: BTreeSet::new(),
            reachable: None,
            trouble: None,
        }
    }

    /// Runs until nobody reads the news.
    pub(crate) async fn run(mut self) {
        let mut avoid = None;
        loop {
            let members = self.members.clone();
            let up = |index| members.is_up(index);
            let best = members
                .best(|index| up(index) && Some(index) != avoid)
                .or_else(|| members.best(up));
            let end = match best {
                Some((member, connection)) => {
                    avoid = Some(member);
                    self.session(member, &connection).await
                }
                None => self.wait().await,
            };
            match end {
                Ok(()) | Err(End::Again) => {}
                Err(End::Failed(failure)) => {
                    let since = *self.trouble.get_or_insert_with(Instant::now);
                    let long = since.elapsed() >= self.request_timeout;
                    if long && self.unreachable(failure.sentence).await.is_err() {
                        return;
                    }
                    sleep(RECHECK / 4).await;
                }
                Err(End::Unread) => return,
            }
        }
    }

    /// No member has a majority: says so, and waits for news of them.
    async fn wait(&mut self) -> Result<(), End> {
        if let Some(trouble) = self.members.trouble() {
            self.unreachable(trouble).await?;
        }
        self.members.changed().await;
        Ok(())
    }

    async fn unreachable(&mut self, why: String) -> Result<(), End> {
        if self.reachable != Some(false) {
            self.reachable = Some(false);
            self.news.send(News::Unreachable(why)).await?;
        }
        Ok(())
    }

    /// Everything, then every change, from one member, for as long as it lasts.
    async fn session(&mut self, member: usize, connection: &Connection) -> Result<(), End> {
        let mut fall = pin!(self.members.clone().fall(member));
        let late = || Failure::of(connection.endpoint(), "has not answered in time");
        let begun = tokio::select! {
            begun = timeout(self.request_timeout, self.begin(connection)) => begun,
            () = &mut fall => return Err(End::Again),
        };
        let (revision, records, mut answers) = begun.map_err(|_| late())??;
        self.tell_all(revision, records).await?;
        self.trouble = None;
        if self.reachable != Some(true) {
            self.reachable = Some(true);
            self.news.send(News::Reachable).await?;
        }
        let read_again = Arc::clone(&self.read_again);
        loop {
            tokio::select! {
                message = answers.next() => {
                    for change in note(connection, message?)?.changes {
                        self.tell(connection, change).await?;
                    }
                }
                () = &mut fall => return Err(End::Again),
                () = read_again.notified() => return Err(End::Again),
            }
        }
    }

    /// Reads everything at one revision, and begins to watch right after it.
    async fn begin(&self, connection: &Connection) -> Result<(u64, Vec<Record>, Answers), Failure> {
        let (revision, records) = self.read(connection).await?;
        let end = end_of_prefix(&self.prefix);
        let request = watch(self.prefix.as_bytes(), &end, revision.saturating_add(1));
        let mut answers = connection.stream(path::WATCH, &request).await?;
        let message = answers.next().await?;
        if !note(connection, message)?.created {
            let first = Malformed("does not begin the watch that was asked for");
            return Err(Failure::malformed(connection.endpoint(), first));
        }
        Ok((revision, records, answers))
    }

    async fn read(&self, connection: &Connection) -> Result<(u64, Vec<Record>), Failure> {
        let end = end_of_prefix(&self.prefix);
        let mut from = self.prefix.as_bytes().to_vec();
        let (mut revision, mut records) = (0, Vec::new());
        loop {
            let request = RangeRequest {
                from: &from,
                end: &end,
                limit: PAGE,
                revision,
                ..RangeRequest::default()
            };
            let message = request.encode();
            let page = connection
                .call(path::RANGE, &message, Range::decode)
                .await?;
            if revision == 0 {
                revision = page.header.revision;
            }
            records.extend(page.records);
            self.bound(connection, records.len())?;
            match records.last() {
                Some(last) if page.more => {
                    from = [last.key.as_bytes(), &[0]].concat();
                }
                _ => return Ok((revision, records)),
            }
        }
    }

    fn bound(&self, connection: &Connection, count: usize) -> Result<(), Failure> {
        if count <= RECORDS_MAX {
            return Ok(());
        }
        let clause = format!(
            "holds more than {RECORDS_MAX} records under \"{}\"; somebody else uses our prefix",
            self.prefix
        );
        Err(Failure::of(connection.endpoint(), &clause))
    }

    async fn tell_all(&mut self, revision: u64, mut records: Vec<Record>) -> Result<(), End> {
        let stand: BTreeSet<String> = records.iter().map(|record| record.key.clone()).collect();
        let gone: Vec<String> = self.told.difference(&stand).cloned().collect();
        self.told = stand;
        for key in gone {
            let key = self.bare(&key);
            self.news.send(News::Gone { key, revision }).await?;
        }
        records.sort_unstable_by_key(|record| record.revision);
        for record in records {
            self.news.send(self.state(record)).await?;
        }
        Ok(())
    }

    async fn tell(&mut self, connection: &Connection, change: Change) -> Result<(), End> {
        let news = match change {
            Change::Put(record) => {
                self.told.insert(record.key.clone());
                self.bound(connection, self.told.len())?;
                self.state(record)
            }
            Change::Removed(record) => {
                self.told.remove(&record.key);
                let key = self.bare(&record.key);
                let revision = record.revision;
                News::Gone { key, revision }
            }
        };
        Ok(self.news.send(news).await?)
    }

    fn state(&self, record: Record) -> News {
        News::State {
            key: self.bare(&record.key),
            value: record.value,
            revision: record.revision,
        }
    }

    fn bare(&self, key: &str) -> String {
        key.strip_prefix(&self.prefix).unwrap_or(key).to_owned()
    }
}

/// A message of the watch, if it does not end it.
fn note(connection: &Connection, message: Option<bytes::Bytes>) -> Result<WatchNote, Failure> {
    let endpoint = connection.endpoint();
    let Some(message) = message else {
        return Err(Failure::of(endpoint, "has ended the watch"));
    };
    let note =
        WatchNote::decode(&message).map_err(|malformed| Failure::malformed(endpoint, malformed))?;
    if note.compacted != 0 {
        let clause = "has compacted away what we had not read yet; everything is read again";
        return Err(Failure::of(endpoint, clause));
    }
    if note.canceled {
        let clause = format!("has ended the watch: {}", words(note.reason.as_bytes()));
        return Err(Failure::of(endpoint, &clause));
    }
    Ok(note)
}
