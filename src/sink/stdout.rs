//! Sales on standard output, one JSON line each: for a look, a pipe, or a container's log collector.
//!
//! One thread writes for all of the process, because a pipe that nobody reads keeps whoever writes to it for ever. An
//! attempt waits for its turn and its line like for any far side, until its time is over.
//!
//! **Invariant:** a reader that stops costs one thread in all, holds no lock of the standard library's, and keeps no
//! process from its end.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd as _,
    sync::{Arc, OnceLock},
    thread,
};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};

use super::{
    BuildError, Context, Delivery, Handle, Kind, Outgoing, Payload, Receipt, Sink, SinkError, verdict::Reason,
};
use crate::order::SinkName;

/// The thread of this process, once a sink needs it. Also a sink that is built again by a reload finds it here.
static WRITER: OnceLock<Writer> = OnceLock::new();

/// The keys of a standard output sink.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Whether the customer's e-mail, telephone, address and extra fields are printed too.
    pub include_customer: bool,
    /// Whether the JSON is spread over indented lines.
    pub pretty: bool,
}

impl Kind for Options {
    fn build(&self, _: &SinkName, _: &Context) -> Result<Handle, BuildError> {
        let writer = match WRITER.get() {
            Some(writer) => writer.clone(),
            None => {
                let started = start_writer().map_err(|error| {
                    BuildError::new(
                        format!("standard output cannot be had: {error}"),
                        "let the process have more threads",
                    )
                })?;
                WRITER.get_or_init(|| started).clone()
            }
        };
        Ok(Arc::new(Stdout { options: self.clone(), writer }))
    }
}

/// A line for the thread, and who waits for it.
struct Line {
    bytes: Vec<u8>,
    written: oneshot::Sender<io::Result<()>>,
}

type Writer = mpsc::Sender<Line>;

/// Not through the standard library's handle: whoever writes there holds its lock.
fn start_writer() -> io::Result<Writer> {
    writer_to(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

/// Starts a thread that writes lines to `out`, each as a whole. It ends when nobody can give it lines any more.
fn writer_to(mut out: impl Write + Send + 'static) -> io::Result<Writer> {
    let (writer, mut lines) = mpsc::channel::<Line>(1);
    thread::Builder::new().name("stdout sink".to_owned()).spawn(move || {
        while let Some(line) = lines.blocking_recv() {
            // An attempt that is over is made again, with this line.
            if !line.written.is_closed() {
                let _ = line.written.send(out.write_all(&line.bytes).and_then(|()| out.flush()));
            }
        }
    })?;
    Ok(writer)
}

struct Stdout {
    options: Options,
    writer: Writer,
}

#[async_trait]
impl Sink for Stdout {
    fn render(&self, outgoing: &Outgoing) -> Result<Payload, SinkError> {
        let event = outgoing.event.to_json(self.options.include_customer);
        let body = if self.options.pretty { format!("{event:#}") } else { event.to_string() };
        Ok(Payload { content_type: "application/json".to_owned(), body, attachments: Vec::new(), made: Vec::new() })
    }

    async fn send(&self, delivery: &Delivery) -> Result<Receipt, SinkError> {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let (written, answer) = oneshot::channel();
        let line = Line { bytes: format!("{}\n", delivery.payload.body).into_bytes(), written };
        let sent = match self.writer.send(line).await {
            Ok(()) => answer.await.unwrap_or_else(|_| Err(gone())),
            Err(_) => Err(gone()),
        };
        match sent {
            Ok(()) => Ok(Receipt { status: "written".to_owned(), ..Receipt::default() }),
            Err(error) => Err(SinkError::retry(Reason::Local, format!("standard output: {error}"))),
        }
    }

    async fn check(&self) -> Result<String, SinkError> {
        Ok("standard output is there".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read as _,
        sync::mpsc::{Receiver, Sender, channel},
    };

    use futures_util::FutureExt as _;

    use super::*;
    use crate::sink::testing::{delivery, sale};

    fn sink(out: impl Write + Send + 'static) -> Stdout {
        Stdout { options: Options::default(), writer: writer_to(out).expect("a thread") }
    }

    fn message(sink: &Stdout) -> Delivery {
        let sale = sale();
        delivery(&sale, sink.render(&sale).expect("a payload"))
    }

    #[tokio::test]
    async fn a_sale_is_one_line_of_json() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let sink = sink(writer);
        let message = message(&sink);
        sink.send(&message).await.expect("written");
        sink.send(&message).await.expect("written");
        drop(sink);
        let mut printed = String::new();
        reader.read_to_string(&mut printed).expect("an end");
        assert_eq!(printed, format!("{}\n", message.payload.body).repeat(2));
        assert!(!message.payload.body.contains('\n'));
    }

    #[tokio::test]
    async fn a_closed_pipe_is_tried_again_later() {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let sink = sink(writer);
        let sent = sink.send(&message(&sink)).await;
        assert!(matches!(sent, Err(SinkError::Retry { reason: Reason::Local, .. })));
    }

    /// Tells of each write, and ends it when it may.
    struct Held(Sender<()>, Receiver<()>);

    impl Write for Held {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(()).map_err(io::Error::other)?;
            self.1.recv().map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn an_attempt_that_is_over_is_not_written_when_the_reader_comes_back() {
        let ((tell, told), (go, may)) = (channel(), channel());
        let sink = sink(Held(tell, may));
        let message = message(&sink);
        let mut first = sink.send(&message);
        assert!((&mut first).now_or_never().is_none(), "nobody reads");
        told.recv().expect("it is being written");
        assert!(sink.send(&message).now_or_never().is_none(), "its time is over");
        let mut third = sink.send(&message);
        assert!((&mut third).now_or_never().is_none(), "it waits for its turn");
        go.send(()).and_then(|()| go.send(())).expect("the thread");
        first.await.expect("written");
        third.await.expect("written");
        drop(sink);
        assert_eq!(told.iter().count(), 1, "the third, and not the second");
    }
}
