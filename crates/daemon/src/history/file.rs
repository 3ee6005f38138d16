//! The history's file: lines of JSON, only appended to, bounded, written beside the loop.

use api::Move;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

const NAME: &str = "history.jsonl";
/// The file before: it has this name, and what it replaces is gone.
const OLD: &str = "history.jsonl.1";
/// A longer file becomes the old one: some hundreds of moves, each with its steps.
const MAX_LENGTH: u64 = 512 << 10;
/// Lines that wait for a slow disk; more are lost, and the memory still has them.
const MAX_WAITING: usize = 256;

/// The giving end. Dropping it waits until all is written.
pub(crate) struct Writer {
    lines: Option<SyncSender<String>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Opens the file in `folder`, and makes both if they are missing.
    ///
    /// # Errors
    /// When that is not possible.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let book = Book::open(folder.to_owned())?;
        let (lines, queue) = sync_channel(MAX_WAITING);
        let thread = std::thread::Builder::new()
            .name("hf-history".to_owned())
            .spawn(move || book.write_all(&queue))?;
        Ok(Self {
            lines: Some(lines),
            thread: Some(thread),
        })
    }

    /// Writes what is known of a move; a later line about the same move stands for this one. It
    /// never waits: a takeover must not wait for a disk.
    pub(crate) fn write(&self, place: &Move) {
        let line = serde_json::to_string(place);
        if let (Some(lines), Ok(line)) = (&self.lines, line) {
            let _ = lines.try_send(line + "\n");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.lines.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The taking end.
struct Book {
    folder: PathBuf,
    file: File,
    length: u64,
}

impl Book {
    fn open(folder: PathBuf) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600);
        let file = options.open(folder.join(NAME))?;
        let length = file.metadata()?.len();
        Ok(Self {
            folder,
            file,
            length,
        })
    }

    fn write_all(mut self, queue: &Receiver<String>) {
        while let Ok(line) = queue.recv() {
            // A full disk must not stop anything.
            let _ = self.write(&line);
        }
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        if self.length >= MAX_LENGTH {
            std::fs::rename(self.folder.join(NAME), self.folder.join(OLD))?;
            *self = Self::open(self.folder.clone())?;
        }
        self.file.write_all(line.as_bytes())?;
        self.length += line.len() as u64;
        Ok(())
    }
}

/// The latest `count` moves in the files of `folder`, oldest first. What cannot be read is left
/// out: a line may be cut short by a crash, or be of another version.
pub(crate) fn read(folder: &Path, count: usize) -> Vec<Move> {
    let mut moves: Vec<Move> = Vec::new();
    for name in [OLD, NAME] {
        let Ok(text) = std::fs::read(folder.join(name)) else {
            continue;
        };
        let lines = text.split(|octet| *octet == b'\n');
        for place in lines.filter_map(|line| serde_json::from_slice::<Move>(line).ok()) {
            let same = |known: &&mut Move| {
                known.group == place.group && known.epoch == place.epoch && known.time == place.time
            };
            match moves.iter_mut().rev().find(same) {
                Some(known) => *known = place,
                None => moves.push(place),
            }
        }
    }
    moves.drain(..moves.len().saturating_sub(count));
    moves
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::Phases;

    fn place(epoch: u64, gap_ms: Option<f64>) -> Move {
        Move {
            time: "2026-01-01T00:00:00.000Z".to_owned(),
            group: "mail".to_owned(),
            from: None,
            to: "be1".to_owned(),
            epoch,
            reason: "planned".to_owned(),
            inherited: None,
            ike_sas: None,
            phases: Phases::default(),
            gap_ms,
        }
    }

    #[test]
    fn what_was_written_is_read_once_however_often_it_was_written() {
        let folder = std::env::temp_dir().join(format!("holdfast-history-{}", std::process::id()));
        let writer = Writer::open(&folder).unwrap();
        writer.write(&place(1, None));
        writer.write(&place(2, None));
        writer.write(&place(1, Some(7.0)));
        drop(writer);
        // A crash in the middle of a line.
        let mut file = OpenOptions::new()
            .append(true)
            .open(folder.join(NAME))
            .unwrap();
        file.write_all(b"{\"time\":\"20\n").unwrap();
        assert_eq!(read(&folder, 10), [place(1, Some(7.0)), place(2, None)]);
        assert_eq!(read(&folder, 1), [place(2, None)]);
        let mut book = Book::open(folder.clone()).unwrap();
        book.length = MAX_LENGTH;
        let line = serde_json::to_string(&place(3, None)).unwrap() + "\n";
        book.write(&line).unwrap();
        assert_eq!(book.length, line.len() as u64, "a new file has begun");
        assert_eq!(read(&folder, 10).len(), 3, "and the old one is still read");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
