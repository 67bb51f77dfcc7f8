//! Between the socket and the HTTP library: what a till sends that is not quite HTTP, so that it is read all the same, or
//! kept for a person, and never silently cut.
//!
//! Of a call of the webhook (nothing else is touched) the query is taken out of the request line before the library sees
//! it, which would refuse a space or an accent in it and drop what follows a `#`; a body without a length is given the
//! length that it has; and where the announced length is wrong, what came beside it is kept.
//!
//! **Invariant:** the library reads no byte beyond the announced length, and what follows is looked at without waiting for it.
//! Each connection carries one request, so it can only be the rest of that one, or a second request, which is not served.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::call_head::{Length, Line, WEBHOOK, as_text, escaped, head_length, is_request, length};

/// How much is read at a time.
const PIECE: usize = 8 * 1024;

/// How much of a body without an announced length, and of what follows one, is kept.
const MOST: usize = 64 * 1024;

/// How long nothing may come of a body whose end nobody announced (HTTP/1.0), until it is taken as it is.
const IDLE: Duration = Duration::from_millis(300);

/// What was seen of a call besides what the library hands on. Shared with its handler.
#[derive(Default)]
pub(super) struct Facts(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    path: Option<String>,
    query: Option<String>,
    announced: Option<u64>,
    excess: BytesMut,
    is_handled: bool,
}

impl Facts {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The query as it was sent, without `?`; bytes that are no text are escaped.
    pub fn query(&self) -> Option<String> {
        self.seen().query.clone()
    }

    /// How many bytes of body were announced.
    pub fn announced(&self) -> Option<u64> {
        self.seen().announced
    }

    /// What came after the announced body, and is no second request.
    pub fn take_excess(&self) -> Bytes {
        let excess = std::mem::take(&mut self.seen().excess).freeze();
        let is_more = !excess.trim_ascii().is_empty() && !is_request(&excess);
        if is_more { excess } else { Bytes::new() }
    }

    /// Notes that the call reached its handler.
    pub fn handled(&self) {
        self.seen().is_handled = true;
    }

    /// The path of a call that never did: the library refused it.
    pub fn refused(&self) -> Option<String> {
        let seen = self.seen();
        seen.path.clone().filter(|_| !seen.is_handled)
    }
}

/// A connection whose requests are framed as the library needs them.
pub(super) struct Framed<S> {
    inner: S,
    stage: Stage,
    /// What was read and not handed on yet.
    ready: BytesMut,
    /// The most bytes of a head.
    head_bytes: usize,
    facts: Arc<Facts>,
}

enum Stage {
    /// The head is being read.
    Head(BytesMut),
    /// A body without a length.
    Open { head: BytesMut, body: BytesMut, idle: Option<Pin<Box<Sleep>>> },
    /// So many bytes of the body are still to come.
    Body(u64),
    /// Handed on as it comes.
    Through,
}

impl<S> Framed<S> {
    /// Nothing was read yet.
    pub fn new(inner: S, head_bytes: usize, facts: Arc<Facts>) -> Self {
        Self { inner, stage: Stage::Head(BytesMut::new()), ready: BytesMut::new(), head_bytes, facts }
    }

    /// Goes on with what has been read of a head, of which so much was looked at before; `None` while it is not whole.
    fn frame(&mut self, read: &mut BytesMut, known: usize) -> Option<Stage> {
        let Some(length) = head_length(read, known) else {
            if read.len() <= self.head_bytes {
                return None;
            }
            // The library says that it is too long.
            self.note_path(read);
            self.ready = std::mem::take(read);
            return Some(Stage::Through);
        };
        let Some((mut head, of_webhook)) = self.rewritten(&read[..length]) else {
            self.ready = std::mem::take(read);
            return Some(Stage::Through);
        };
        let mut rest = read.split_off(length);
        Some(match of_webhook {
            Length::ByLibrary => {
                head.extend_from_slice(&rest);
                self.ready = head;
                Stage::Through
            }
            Length::Announced(announced) => {
                self.facts.seen().announced = Some(announced);
                let here = usize::try_from(announced).unwrap_or(usize::MAX).min(rest.len());
                head.extend_from_slice(&rest.split_to(here));
                self.ready = head;
                self.facts.seen().excess.extend_from_slice(&rest[..rest.len().min(MOST)]);
                Stage::Body(announced - here as u64)
            }
            Length::Open { ends_with_connection } => {
                let idle = ends_with_connection.then(|| Box::pin(sleep(IDLE)));
                Stage::Open { head, body: rest, idle }
            }
        })
    }

    /// The head of a call as the library needs it, and how its body is delimited; `None` where it is no call.
    fn rewritten(&self, head: &[u8]) -> Option<(BytesMut, Length)> {
        let line_end = head.iter().position(|byte| *byte == b'\n')?;
        let (line, fields) = head.split_at(line_end + 1);
        let Line { method, path, query, version } = Line::of(line)?;
        let path = escaped(path);
        {
            let mut seen = self.facts.seen();
            seen.path = Some(path.clone());
            seen.query = query.map(as_text);
        }
        let mut rewritten = BytesMut::with_capacity(head.len());
        for part in [method, b" ", path.as_bytes(), b" ", version, b"\r\n", fields] {
            rewritten.extend_from_slice(part);
        }
        let has_body = ![&b"GET"[..], b"HEAD"].contains(&method);
        Some((rewritten, length(fields, has_body, version == b"HTTP/1.0")))
    }

    /// Notes whose call it is that the library refuses.
    fn note_path(&self, head: &[u8]) {
        let line = head.split(|byte| *byte == b'\n').next().unwrap_or(head);
        let Some(target) = line.splitn(3, |byte| *byte == b' ').nth(1) else { return };
        if target.starts_with(WEBHOOK) {
            let path = target.split(|byte| *byte == b'?').next().unwrap_or(target);
            self.facts.seen().path = Some(escaped(path));
        }
    }
}

impl<S: AsyncRead + Unpin> Framed<S> {
    /// Reads once, into a buffer; `false` at the end.
    fn read_into(inner: &mut S, cx: &mut Context<'_>, to: &mut BytesMut) -> Poll<io::Result<bool>> {
        let mut piece = [0; PIECE];
        let mut piece = ReadBuf::new(&mut piece);
        ready!(Pin::new(inner).poll_read(cx, &mut piece))?;
        to.extend_from_slice(piece.filled());
        Poll::Ready(Ok(!piece.filled().is_empty()))
    }

    /// Reads more of a head.
    fn poll_head(&mut self, cx: &mut Context<'_>, mut read: BytesMut) -> Poll<io::Result<Stage>> {
        loop {
            let known = read.len();
            match Self::read_into(&mut self.inner, cx, &mut read) {
                Poll::Pending => {
                    self.stage = Stage::Head(read);
                    return Poll::Pending;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(false)) => {
                    self.ready = read;
                    return Poll::Ready(Ok(Stage::Through));
                }
                Poll::Ready(Ok(true)) => {}
            }
            if let Some(stage) = self.frame(&mut read, known) {
                return Poll::Ready(Ok(stage));
            }
        }
    }

    /// Reads a body without a length, for as long as it comes.
    fn poll_open(
        &mut self,
        cx: &mut Context<'_>,
        head: BytesMut,
        mut body: BytesMut,
        mut idle: Option<Pin<Box<Sleep>>>,
    ) -> Poll<io::Result<Stage>> {
        while body.len() <= MOST {
            match Self::read_into(&mut self.inner, cx, &mut body) {
                Poll::Ready(Ok(true)) => idle = idle.map(|_| Box::pin(sleep(IDLE))),
                Poll::Ready(Ok(false)) => break,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    let is_waiting = idle.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_pending());
                    if !is_waiting {
                        break;
                    }
                    self.stage = Stage::Open { head, body, idle };
                    return Poll::Pending;
                }
            }
        }
        if is_request(&body) {
            body.clear();
        }
        // What is longer is kept up to here, and not read as whole.
        let whole = body.len().min(MOST);
        self.facts.seen().excess.extend_from_slice(&body[whole..]);
        self.ready = head;
        if whole > 0 {
            let ends = if self.ready.ends_with(b"\r\n") { 2 } else { 1 };
            self.ready.truncate(self.ready.len() - ends);
            self.ready.extend_from_slice(format!("content-length: {whole}\r\n\r\n").as_bytes());
            self.ready.extend_from_slice(&body[..whole]);
        }
        Poll::Ready(Ok(Stage::Through))
    }

    /// Reads of the body, of which so much is left; returns how much.
    fn poll_body(&mut self, cx: &mut Context<'_>, left: u64, to: &mut ReadBuf<'_>) -> Poll<io::Result<u64>> {
        let before = to.filled().len();
        if (to.remaining() as u64) <= left {
            ready!(Pin::new(&mut self.inner).poll_read(cx, to))?;
            return Poll::Ready(Ok((to.filled().len() - before) as u64));
        }
        let mut piece = [0; PIECE];
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE);
        let mut piece = ReadBuf::new(&mut piece[..most]);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut piece))?;
        to.put_slice(piece.filled());
        Poll::Ready(Ok(piece.filled().len() as u64))
    }

    /// Ends the body, and keeps what has arrived after it, without waiting for more.
    fn end_body(&mut self, cx: &mut Context<'_>) {
        let mut excess = std::mem::take(&mut self.facts.seen().excess);
        while excess.len() < MOST && matches!(Self::read_into(&mut self.inner, cx, &mut excess), Poll::Ready(Ok(true)))
        {
        }
        self.facts.seen().excess = excess;
        self.stage = Stage::Through;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Framed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if !this.ready.is_empty() {
                let length = this.ready.len().min(to.remaining());
                to.put_slice(&this.ready[..length]);
                this.ready.advance(length);
                if this.ready.is_empty() && matches!(this.stage, Stage::Body(0)) {
                    this.end_body(cx);
                }
                return Poll::Ready(Ok(()));
            }
            match std::mem::replace(&mut this.stage, Stage::Through) {
                Stage::Through => return Pin::new(&mut this.inner).poll_read(cx, to),
                Stage::Head(read) => {
                    this.stage = ready!(this.poll_head(cx, read))?;
                    if this.ready.is_empty() && matches!(this.stage, Stage::Through) {
                        return Poll::Ready(Ok(()));
                    }
                }
                Stage::Open { head, body, idle } => this.stage = ready!(this.poll_open(cx, head, body, idle))?,
                Stage::Body(left) => {
                    this.stage = Stage::Body(left);
                    let length = ready!(this.poll_body(cx, left, to))?;
                    this.stage = Stage::Body(left - length);
                    if length == left {
                        this.end_body(cx);
                    }
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Framed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
