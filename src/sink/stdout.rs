//! Sales on standard output, one JSON line each: for a look, a pipe, or a container's log collector.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    BuildError, Context, Delivery, Handle, Kind, Outgoing, Payload, Receipt, Sink, SinkError, verdict::Reason,
};
use crate::order::SinkName;

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
        Ok(Arc::new(Stdout { options: self.clone(), out: Arc::new(Mutex::new(io::stdout())) }))
    }
}

/// Generic over where it writes, so that a test can read it.
struct Stdout<W> {
    options: Options,
    out: Arc<Mutex<W>>,
}

#[async_trait]
impl<W: Write + Send + 'static> Sink for Stdout<W> {
    fn render(&self, outgoing: &Outgoing) -> Result<Payload, SinkError> {
        let event = outgoing.event.to_json(self.options.include_customer);
        let body = if self.options.pretty { format!("{event:#}") } else { event.to_string() };
        Ok(Payload { content_type: "application/json".to_owned(), body, attachments: Vec::new(), made: Vec::new() })
    }

    /// A reader that stops reading must not stop the program, so the write happens on a thread of its own.
    async fn send(&self, delivery: &Delivery) -> Result<Receipt, SinkError> {
        let (out, line) = (self.out.clone(), format!("{}\n", delivery.payload.body));
        let written = tokio::task::spawn_blocking(move || {
            let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
            out.write_all(line.as_bytes()).and_then(|()| out.flush())
        });
        match written.await.map_err(io::Error::other).flatten() {
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
    use super::*;
    use crate::sink::testing::{delivery, sale};

    #[tokio::test]
    async fn a_sale_is_one_line_of_json() {
        let out = Arc::new(Mutex::new(Vec::new()));
        let sink = Stdout { options: Options::default(), out: out.clone() };
        let sale = sale();
        let message = delivery(&sale, sink.render(&sale).expect("a payload"));
        sink.send(&message).await.expect("written");
        sink.send(&message).await.expect("written");
        let line = format!("{}\n", sale.event.to_json(false));
        assert_eq!(String::from_utf8_lossy(&out.lock().expect("a lock")), line.repeat(2));
    }

    #[tokio::test]
    async fn a_closed_pipe_is_tried_again_later() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let sink = Stdout { options: Options::default(), out: Arc::new(Mutex::new(Closed)) };
        let sent = sink.send(&delivery(&sale(), sink.render(&sale()).expect("a payload"))).await;
        assert!(matches!(sent, Err(SinkError::Retry { reason: Reason::Local, .. })));
    }
}
