//! A mailbox: the smallest SMTP server that is honest about what it took.
//!
//! It speaks RFC 5321 as far as a client sending one mail needs, without TLS and sign-in, and answers 250 only after
//! the mail is kept.

use std::{fmt, io, net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    far_sides::{Bell, Kept, Side},
    mime::{self, Attachment},
};

/// How large a mail may be.
const MAX_MAIL: usize = 32 * 1024 * 1024;
/// How long a line may be: RFC 5321 (§4.5.3.1) allows 1,000 bytes, and real programs send more.
const MAX_LINE: u64 = 64 * 1024;

/// A mail that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The envelope's sender.
    pub from: String,
    /// The envelope's recipients.
    pub to: Vec<String>,
    /// The subject, decoded.
    pub subject: String,
    /// The attached files, decoded.
    pub attachments: Vec<Attachment>,
    /// The mail as it was sent, dots unstuffed.
    pub source: Vec<u8>,
}

/// A running mailbox. Dropping it closes its port.
pub struct MailCatcher {
    addr: SocketAddr,
    mails: Arc<Kept<Mail>>,
    _server: AbortOnDropHandle<()>,
}

impl MailCatcher {
    /// Takes mails on `listener`.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn start(listener: TcpListener, bell: Bell) -> io::Result<Self> {
        let addr = listener.local_addr()?;
        let mails = Arc::new(Kept::default());
        let server = AbortOnDropHandle::new(tokio::spawn(accept(listener, Arc::clone(&mails), bell)));
        Ok(Self { addr, mails, _server: server })
    }

    /// Where to send: plain SMTP.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The latest mails, the oldest first.
    pub fn mails(&self) -> Vec<Mail> {
        self.mails.all()
    }

    pub(super) fn kept(&self) -> Arc<Kept<Mail>> {
        Arc::clone(&self.mails)
    }

    /// How many mails were taken.
    pub fn count(&self) -> u64 {
        self.mails.count()
    }
}

impl fmt::Debug for MailCatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailCatcher").field("addr", &self.addr).finish_non_exhaustive()
    }
}

async fn accept(listener: TcpListener, mails: Arc<Kept<Mail>>, bell: Bell) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (mails, bell) = (Arc::clone(&mails), bell.clone());
                // A client that hangs up in the middle is the client's affair: nothing was promised to it.
                tokio::spawn(async move { Session::new(stream, mails, bell).run().await });
            }
            Err(error) => tracing::warn!(%error, "the mailbox could not take a connection"),
        }
    }
}

/// One connection.
struct Session {
    stream: BufReader<TcpStream>,
    mails: Arc<Kept<Mail>>,
    bell: Bell,
    from: Option<String>,
    to: Vec<String>,
}

impl Session {
    fn new(stream: TcpStream, mails: Arc<Kept<Mail>>, bell: Bell) -> Self {
        Self { stream: BufReader::new(stream), mails, bell, from: None, to: Vec::new() }
    }

    async fn run(mut self) -> io::Result<()> {
        self.reply("220 localhost ESMTP tillhook demo").await?;
        while let Some(line) = self.line().await? {
            let line = String::from_utf8_lossy(&line).into_owned();
            let (verb, argument) = line.split_once(' ').unwrap_or((&line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" => {
                    self.reset();
                    self.reply(&format!("250-localhost\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE {MAX_MAIL}"))
                        .await?;
                }
                "HELO" | "RSET" => {
                    self.reset();
                    self.reply("250 localhost").await?;
                }
                "NOOP" => self.reply("250 OK").await?,
                "MAIL" => self.mail(argument).await?,
                "RCPT" => self.recipient(argument).await?,
                "DATA" => self.data().await?,
                "QUIT" => return self.reply("221 Bye").await,
                _ => self.reply("500 Not understood").await?,
            }
        }
        Ok(())
    }

    async fn mail(&mut self, argument: &str) -> io::Result<()> {
        let declared = argument.to_ascii_uppercase().split_once("SIZE=").map(|(_, size)| size.to_owned());
        let size = declared.and_then(|size| size.split(' ').next()?.parse::<usize>().ok()).unwrap_or(0);
        match path(argument, "FROM:") {
            Some(_) if self.from.is_some() => self.reply("503 One mail at a time").await,
            Some(_) if size > MAX_MAIL => self.reply("552 Too large").await,
            Some(from) => {
                self.from = Some(from);
                self.reply("250 OK").await
            }
            None => self.reply("501 MAIL FROM:<address>").await,
        }
    }

    async fn recipient(&mut self, argument: &str) -> io::Result<()> {
        match path(argument, "TO:").filter(|to| !to.is_empty()) {
            _ if self.from.is_none() => self.reply("503 MAIL first").await,
            Some(to) => {
                self.to.push(to);
                self.reply("250 OK").await
            }
            None => self.reply("501 RCPT TO:<address>").await,
        }
    }

    async fn data(&mut self) -> io::Result<()> {
        let Some(from) = self.from.clone().filter(|_| !self.to.is_empty()) else {
            return self.reply("503 MAIL and RCPT first").await;
        };
        self.reply("354 Go on, and end with a dot").await?;
        let source = self.content().await?;
        let to = std::mem::take(&mut self.to);
        self.reset();
        let Some(source) = source else {
            return self.reply("552 Too large").await;
        };
        let (subject, attachments) = (mime::subject(&source), mime::attachments(&source));
        let detail = attachments.iter().map(describe).collect::<Vec<_>>().join(", ");
        self.mails.keep(Mail { from, to, subject: subject.clone(), attachments, source });
        self.bell.ring(Side::Mail, subject, detail, true);
        self.reply("250 Kept").await
    }

    /// The mail up to the lone dot, without the dots that protect others; `None` when it was too large. It is read to
    /// its end all the same, so that the answer arrives.
    async fn content(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut mail = Vec::new();
        let mut too_large = false;
        loop {
            let line = self.line().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if line == b"." {
                return Ok((!too_large).then_some(mail));
            }
            let line = line.strip_prefix(b".").unwrap_or(&line);
            too_large |= mail.len() + line.len() > MAX_MAIL;
            if !too_large {
                mail.extend_from_slice(line);
                mail.extend_from_slice(b"\r\n");
            }
        }
    }

    /// The next line without its CRLF, which alone ends a line (a bare LF is content); `None` when the client is gone.
    async fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let left = MAX_LINE.saturating_sub(line.len() as u64);
            let read = (&mut self.stream).take(left).read_until(b'\n', &mut line).await?;
            if read == 0 {
                return if line.is_empty() { Ok(None) } else { Err(io::ErrorKind::InvalidData.into()) };
            }
        }
        line.truncate(line.len() - 2);
        Ok(Some(line))
    }

    async fn reply(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(format!("{text}\r\n").as_bytes()).await
    }

    fn reset(&mut self) {
        self.from = None;
        self.to.clear();
    }
}

/// The address between the angle brackets of `FROM:<…>`.
fn path(argument: &str, keyword: &str) -> Option<String> {
    let given = argument.get(..keyword.len())?;
    let rest = argument.get(keyword.len()..)?.trim_start();
    let (address, _) = rest.strip_prefix('<')?.split_once('>')?;
    given.eq_ignore_ascii_case(keyword).then(|| address.to_owned())
}

/// `PDF 84 kB`.
fn describe(attachment: &Attachment) -> String {
    let kind = attachment.name.rsplit_once('.').map_or("file".to_owned(), |(_, suffix)| suffix.to_ascii_uppercase());
    format!("{kind} {} kB", attachment.bytes.len().div_ceil(1024))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
    use tokio::sync::mpsc;

    use super::*;
    use crate::{
        app::demo::far_sides::{Arrival, loopback},
        clock::ManualClock,
    };

    async fn catcher() -> (MailCatcher, mpsc::UnboundedReceiver<Arrival>) {
        let (sender, arrivals) = mpsc::unbounded_channel();
        let bell = Bell { clock: Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH)), sender };
        (MailCatcher::start(loopback().await.expect("a port"), bell).expect("a mailbox"), arrivals)
    }

    /// Says each line and returns the code that each was answered with.
    async fn talk(catcher: &MailCatcher, lines: &[&str]) -> Vec<String> {
        let mut stream = BufReader::new(TcpStream::connect(catcher.addr()).await.expect("a connection"));
        let mut codes = Vec::new();
        let mut answer = String::new();
        stream.read_line(&mut answer).await.expect("a greeting");
        for line in lines {
            stream.write_all(format!("{line}\r\n").as_bytes()).await.expect("said");
            answer.clear();
            while answer.lines().last().is_none_or(|last| last.as_bytes().get(3) == Some(&b'-')) {
                stream.read_line(&mut answer).await.expect("an answer");
            }
            codes.push(answer[..3].to_owned());
        }
        codes
    }

    #[tokio::test]
    async fn a_mail_from_another_library_arrives_dots_and_all() {
        let (catcher, mut arrivals) = catcher().await;
        let transport =
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1").port(catcher.addr().port()).build();
        let mail = Message::builder()
            .from("caisse@example.com".parse().expect("an address"))
            .to("compta@example.com".parse().expect("an address"))
            .subject("Facture n° 1 – 43,80 €")
            .body("one\r\n.two\r\n..three\r\n.\r\nfour".to_owned())
            .expect("a mail");
        transport.send(mail).await.expect("sent");
        let [kept] = catcher.mails().try_into().expect("one mail");
        assert_eq!((kept.from.as_str(), kept.to), ("caisse@example.com", vec!["compta@example.com".to_owned()]));
        assert_eq!(kept.subject, "Facture n° 1 – 43,80 €");
        assert!(String::from_utf8_lossy(&kept.source).contains("one\r\n.two\r\n..three\r\n.\r\nfour"));
        assert_eq!(arrivals.try_recv().expect("an arrival").title, kept.subject);
    }

    #[tokio::test]
    async fn commands_out_of_order_are_refused_and_a_reset_forgets() {
        let (catcher, _arrivals) = catcher().await;
        let lines =
            ["EHLO me", "RCPT TO:<a@b.c>", "DATA", "MAIL FROM:<>", "MAIL FROM:<x@y.z>", "RSET", "RCPT TO:<a@b.c>"];
        assert_eq!(talk(&catcher, &lines).await, ["250", "503", "503", "250", "503", "250", "503"]);
        let lines = ["HELO me", "NOOP", "MAIL x", "MAIL FROM:<x@y.z> SIZE=99999999999", "VRFY x", "QUIT"];
        assert_eq!(talk(&catcher, &lines).await, ["250", "250", "501", "552", "500", "221"]);
        assert_eq!(catcher.count(), 0);
    }

    #[tokio::test]
    async fn a_bare_line_feed_and_a_dot_do_not_end_a_mail() {
        let (catcher, _arrivals) = catcher().await;
        let lines = ["EHLO me", "MAIL FROM:<x@y.z>", "RCPT TO:<a@b.c>", "DATA", "Subject: s\r\n\r\na\n.\nb\r\n."];
        assert_eq!(talk(&catcher, &lines).await, ["250", "250", "250", "354", "250"]);
        assert_eq!(catcher.mails()[0].source, b"Subject: s\r\n\r\na\n.\nb\r\n");
    }
}
