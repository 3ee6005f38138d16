//! One connection between two proven members, from its first message to its end.

use crate::context::Context;
use crate::frame::{Deframer, Message};
use crate::inbox::Item;
use crate::limits::{MAX_BATCH, READ_BUFFER};
use crate::news::Down;
use crate::outbox::Outbox;
use crate::tls::Stream;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc::Sender;
use tokio::task::yield_now;
use zeroize::{Zeroize, Zeroizing};

/// The first bytes from the side that accepts. In TLS 1.3 the side that connects is done before
/// its own certificate has been looked at: only these tell it that it was accepted.
const WELCOME: &[u8; 8] = b"HOLDFAST";

/// Nobody takes news any more: the links have ended.
pub(crate) struct Gone;

/// Tells the side that connected that it is accepted.
///
/// # Errors
/// When the connection is broken.
pub(crate) async fn welcome(stream: &mut Stream) -> io::Result<()> {
    stream.write_all(WELCOME).await?;
    stream.flush().await
}

/// Waits until the side that accepts has said so; whether it did in these words.
///
/// # Errors
/// When the connection is broken, or with the reason for the refusal.
pub(crate) async fn welcomed(stream: &mut Stream) -> io::Result<bool> {
    let mut answer = [0; WELCOME.len()];
    stream.read_exact(&mut answer).await?;
    Ok(answer == *WELCOME)
}

/// Carries messages in both directions until the connection ends or `replaced` gives another
/// one, which is the answer. Reports `Up` first and `Down` last.
///
/// # Errors
/// [`Gone`].
pub(crate) async fn serve<T>(
    context: &Context,
    peer: &Arc<str>,
    stream: Stream,
    replaced: impl Future<Output = T>,
) -> Result<Option<T>, Gone> {
    let news = &context.news;
    let outbox = Arc::new(Outbox::new(context.queue));
    let up = Item::Up(peer.clone(), outbox.clone());
    news.send(up).await.map_err(|_| Gone)?;
    let (why, next) = tokio::select! {
        biased;
        next = replaced => (Down::Replaced, Some(next)),
        why = carry(stream, peer, &outbox, news) => (why, None),
    };
    // The socket is closed now; nothing more is taken for it.
    outbox.close();
    let down = Item::Down(peer.clone(), why);
    news.send(down).await.map_err(|_| Gone)?;
    Ok(next)
}

async fn carry(stream: Stream, peer: &Arc<str>, outbox: &Outbox, news: &Sender<Item>) -> Down {
    let (reader, writer) = tokio::io::split(stream);
    // The reader is last because it could use up all the budget that tokio gives a task before
    // others get their turn.
    tokio::select! {
        biased;
        () = outbox.overflowed() => Down::Overflow,
        why = send(writer, outbox) => why,
        why = receive(reader, peer, news) => why,
    }
}

/// Sends what the outbox has, many messages at once.
async fn send(mut writer: WriteHalf<Stream>, outbox: &Outbox) -> Down {
    let mut batch = Zeroizing::new(Vec::with_capacity(MAX_BATCH));
    loop {
        outbox.filled().await;
        loop {
            let (any, tail) = outbox.take(&mut batch);
            if !any {
                break;
            }
            if let Err(error) = write(&mut writer, &batch, tail).await {
                return error.into();
            }
            batch.as_mut_slice().zeroize();
            batch.clear();
        }
    }
}

/// Writes a batch and the long message behind it, in parts: sealing takes time, and other tasks
/// get their turn after each.
async fn write(
    writer: &mut WriteHalf<Stream>,
    batch: &[u8],
    tail: Option<Message>,
) -> io::Result<()> {
    writer.write_all(batch).await?;
    writer.flush().await?;
    yield_now().await;
    for part in tail.iter().flat_map(|tail| tail.chunks(MAX_BATCH)) {
        writer.write_all(part).await?;
        writer.flush().await?;
        yield_now().await;
    }
    Ok(())
}

/// Receives messages, as fast as they are taken and no faster.
async fn receive(mut reader: ReadHalf<Stream>, peer: &Arc<str>, news: &Sender<Item>) -> Down {
    let mut buffer = Zeroizing::new(vec![0; READ_BUFFER]);
    let mut deframer = Deframer::new();
    loop {
        let length = match reader.read(&mut buffer).await {
            Ok(0) => return Down::Closed,
            Ok(length) => length,
            Err(error) => return error.into(),
        };
        let mut rest = &buffer[..length];
        loop {
            match deframer.next(&mut rest) {
                Ok(None) => break,
                Ok(Some(message)) => {
                    let item = Item::Message(peer.clone(), message);
                    if news.send(item).await.is_err() {
                        return Down::Closed;
                    }
                }
                Err(error) => return error.into(),
            }
        }
    }
}
