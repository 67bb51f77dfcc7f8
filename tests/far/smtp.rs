//! A mail server on a real socket that does as it is told: honest by default, and able to lie at any step.
//!
//! Plain text and one thread of thought, so that a test can say exactly which byte comes when. What it took is kept as
//! it came: the envelope, and the data with its dots unstuffed.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::watch,
    task::JoinHandle,
};

/// A moment at which the server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Before anybody has said anything.
    Greeting,
    /// After `EHLO`.
    Ehlo,
    /// After `HELO`.
    Helo,
    /// After `STARTTLS`.
    StartTls,
    /// After the password.
    Auth,
    /// After `MAIL FROM`.
    Mail,
    /// After the nth `RCPT TO` of a mail, from 1.
    Rcpt(usize),
    /// After `DATA`.
    Data,
    /// After the dot that ends the mail.
    Dot,
    /// After `NOOP`.
    Noop,
    /// After `QUIT`.
    Quit,
}

/// What the server does at such a moment instead of what it should.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// Says this; CRLF is added.
    Say(&'static str),
    /// Says this byte by byte, yielding after each.
    Drawl(&'static str),
    /// Says nothing, and waits until the client has gone.
    Hush,
    /// Hangs up.
    HangUp,
}

/// A mail that the server took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caught {
    /// `MAIL FROM`.
    pub from: String,
    /// `RCPT TO`, in order.
    pub to: Vec<String>,
    /// Headers and body.
    pub data: String,
}

/// How the server is to behave.
#[derive(Clone, Default)]
pub struct Script {
    /// On which connection (from 1; `None`: on every one) it does what when.
    acts: Vec<(Option<usize>, At, Act)>,
    password: Option<(&'static str, &'static str)>,
    /// It asks for name and password one after the other, and knows no other way.
    asks: bool,
    /// What it says to `AUTH PLAIN`, which it offers all the same.
    no_plain: Option<&'static str>,
    /// Addresses that it does not take, and what it says to them.
    refused: Vec<(&'static str, &'static str)>,
    /// Addresses that it takes at first, and what it says to a mail for them.
    refused_late: Vec<(&'static str, &'static str)>,
    /// How many bytes a mail may have, and whether `EHLO` is told so.
    largest: Option<(usize, bool)>,
    /// How many recipients a mail may have.
    most_recipients: Option<usize>,
}

/// A running server. It stops when dropped.
pub struct SmtpServer {
    /// Where it listens.
    pub address: SocketAddr,
    script: Arc<Mutex<Arc<Script>>>,
    log: Log,
    task: JoinHandle<()>,
}

/// What happened so far.
#[derive(Clone)]
struct Log(Arc<watch::Sender<History>>);

#[derive(Clone, Default)]
struct History {
    mails: Vec<Caught>,
    /// All that came to the dot, taken or not.
    offered: Vec<Caught>,
    commands: Vec<String>,
    /// Connections that were made.
    made: usize,
    /// Connections that have ended, whoever ended them.
    ended: usize,
}

impl Script {
    /// An honest server.
    pub fn honest() -> Self {
        Self::default()
    }

    /// Does this at that moment, every time.
    pub fn at(mut self, moment: At, act: Act) -> Self {
        self.acts.push((None, moment, act));
        self
    }

    /// Does this at that moment of the nth connection, from 1.
    pub fn at_nth(mut self, connection: usize, moment: At, act: Act) -> Self {
        self.acts.push((Some(connection), moment, act));
        self
    }

    /// Offers `AUTH`, takes this name and password, and takes no mail without.
    pub fn with_password(mut self, name: &'static str, password: &'static str) -> Self {
        self.password = Some((name, password));
        self
    }

    /// The same, but knows `AUTH LOGIN` alone, as older servers do.
    #[allow(dead_code, reason = "for the mail sink's own tests, which use this file too")]
    pub fn with_login(mut self, name: &'static str, password: &'static str) -> Self {
        self.asks = true;
        self.with_password(name, password)
    }

    /// Offers `AUTH PLAIN`, says this to it, and takes the password by `AUTH LOGIN`.
    #[allow(dead_code, reason = "not every test that uses this file needs it")]
    pub fn without_plain(mut self, words: &'static str) -> Self {
        self.no_plain = Some(words);
        self
    }

    /// Says this to whoever writes to that address.
    #[allow(dead_code, reason = "not every test that uses this file needs it")]
    pub fn refusing(mut self, address: &'static str, words: &'static str) -> Self {
        self.refused.push((address, words));
        self
    }

    /// Takes that address, and says this to any mail for it.
    #[allow(dead_code, reason = "not every test that uses this file needs it")]
    pub fn refusing_late(mut self, address: &'static str, words: &'static str) -> Self {
        self.refused_late.push((address, words));
        self
    }

    /// Takes no mail of more bytes, and says so in `EHLO`.
    #[allow(dead_code, reason = "not every test that uses this file needs it")]
    pub fn at_most(mut self, bytes: usize) -> Self {
        self.largest = Some((bytes, true));
        self
    }

    /// Takes no mail of more bytes, and says so once it has it.
    #[allow(dead_code, reason = "not every test that uses this file needs it")]
    pub fn silently_at_most(mut self, bytes: usize) -> Self {
        self.largest = Some((bytes, false));
        self
    }

    /// Takes no more recipients in one mail.
    #[allow(dead_code, reason = "not every test that uses this file needs it")]
    pub fn with_recipients_at_most(mut self, number: usize) -> Self {
        self.most_recipients = Some(number);
        self
    }

    /// Starts the server on a free port of the loopback.
    pub async fn start(self) -> SmtpServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let log = Log(Arc::new(watch::Sender::new(History::default())));
        let script = Arc::new(Mutex::new(Arc::new(self)));
        let (current, kept) = (script.clone(), log.clone());
        let task = tokio::spawn(async move {
            let sessions = Mutex::new(tokio::task::JoinSet::new());
            while let Ok((stream, _)) = listener.accept().await {
                kept.0.send_modify(|history| history.made += 1);
                let script = current.lock().expect("no panic").clone();
                let session = Session::new(stream, script, kept.clone());
                sessions.lock().expect("no panic").spawn(session.run());
            }
        });
        SmtpServer { address, script, log, task }
    }
}

impl SmtpServer {
    /// The mails that it answered with 250, in order.
    pub fn mails(&self) -> Vec<Caught> {
        self.log.0.borrow().mails.clone()
    }

    /// From the next connection on behaves like this.
    pub fn behave(&self, script: Script) {
        *self.script.lock().expect("no panic") = Arc::new(script);
    }

    /// The mails that came to the dot, whatever it answered, in order.
    pub fn offered(&self) -> Vec<Caught> {
        self.log.0.borrow().offered.clone()
    }

    /// The Message-ID of every mail that came to the dot, whatever it answered.
    pub fn message_ids(&self) -> Vec<String> {
        let id =
            |mail: &Caught| mail.data.lines().find_map(|line| line.strip_prefix("Message-ID: ").map(str::to_owned));
        self.offered().iter().filter_map(id).collect()
    }

    /// What it was told, command by command, without the mails.
    #[allow(dead_code, reason = "the mail sink's own tests use this file too")]
    pub fn commands(&self) -> Vec<String> {
        self.log.0.borrow().commands.clone()
    }

    /// Returns once this many connections have ended.
    pub async fn ended(&self, connections: usize) {
        let mut history = self.log.0.subscribe();
        history.wait_for(|history| history.ended >= connections).await.expect("the server runs");
    }

    /// Returns once this many connections have been made.
    pub async fn made(&self, connections: usize) {
        let mut history = self.log.0.subscribe();
        history.wait_for(|history| history.made >= connections).await.expect("the server runs");
    }

    /// Returns once it has heard a command that begins like this.
    pub async fn heard(&self, beginning: &str) {
        let mut history = self.log.0.subscribe();
        let heard = |history: &History| history.commands.iter().any(|command| command.starts_with(beginning));
        history.wait_for(heard).await.expect("the server runs");
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection.
struct Session {
    lines: BufReader<OwnedReadHalf>,
    out: OwnedWriteHalf,
    script: Arc<Script>,
    log: Log,
    /// Which connection it is, from 1.
    number: usize,
    signed_in: bool,
    from: String,
    to: Vec<String>,
    /// How many recipients were named, taken or not.
    named: usize,
}

/// The connection is over.
struct Over;

impl Session {
    fn new(stream: TcpStream, script: Arc<Script>, log: Log) -> Self {
        let (read, out) = stream.into_split();
        let signed_in = script.password.is_none();
        let number = log.0.borrow().made;
        let (from, to) = (String::new(), Vec::new());
        Self { lines: BufReader::new(read), out, script, log, number, signed_in, from, to, named: 0 }
    }

    async fn run(mut self) {
        let mut alive = self.answer(At::Greeting, "220 mail.test ESMTP").await;
        while alive.is_ok() {
            alive = match self.line().await {
                Ok(command) => self.obey(&command).await,
                Err(over) => Err(over),
            };
        }
        let Self { log, .. } = &self;
        log.0.send_modify(|history| history.ended += 1);
    }

    async fn obey(&mut self, command: &str) -> Result<(), Over> {
        self.log.0.send_modify(|history| history.commands.push(command.to_owned()));
        let word = command.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        match word.as_str() {
            "EHLO" => self.answer(At::Ehlo, &self.offer()).await,
            "HELO" => self.answer(At::Helo, "250 mail.test").await,
            "STARTTLS" => self.answer(At::StartTls, "454 4.7.0 no TLS here").await,
            "AUTH" => self.sign_in(command).await,
            "MAIL" if !self.signed_in => self.answer(At::Mail, "530 5.7.0 Authentication required").await,
            "MAIL" => {
                (self.from, self.to, self.named) = (between_brackets(command), Vec::new(), 0);
                let announced = command.rsplit_once(" SIZE=").and_then(|(_, size)| size.parse().ok()).unwrap_or(0);
                if self.script.largest.is_some_and(|(largest, told)| told && announced > largest) {
                    return self.say("552 5.3.4 message size exceeds fixed limit").await;
                }
                self.answer(At::Mail, "250 2.1.0 sender ok").await
            }
            "RCPT" => self.take_recipient(between_brackets(command)).await,
            "RSET" => {
                self.to.clear();
                self.say("250 2.0.0 flushed").await
            }
            "DATA" if self.to.is_empty() => self.answer(At::Data, "503 5.5.1 no recipient").await,
            "DATA" => self.take_mail().await,
            "NOOP" => self.answer(At::Noop, "250 2.0.0 well").await,
            "QUIT" => {
                self.answer(At::Quit, "221 2.0.0 bye").await?;
                Err(Over)
            }
            _ => self.say("500 5.5.1 what?").await,
        }
    }

    /// What it says to `EHLO`.
    fn offer(&self) -> String {
        let ways = if self.script.asks { "AUTH LOGIN" } else { "AUTH PLAIN LOGIN" };
        let size = self.script.largest.filter(|(_, told)| *told).map(|(largest, _)| format!("SIZE {largest}"));
        let mut lines = vec!["mail.test".to_owned()];
        lines.extend(self.script.password.map(|_| ways.to_owned()));
        lines.extend(size);
        let (last, before) = lines.split_last().expect("its name");
        before.iter().map(|line| format!("250-{line}\r\n")).collect::<String>() + &format!("250 {last}")
    }

    async fn take_recipient(&mut self, address: String) -> Result<(), Over> {
        self.named += 1;
        if let Some((_, words)) = self.script.refused.iter().find(|(refused, _)| *refused == address) {
            return self.say(words).await;
        }
        if self.script.most_recipients.is_some_and(|most| self.to.len() >= most) {
            return self.say("452 4.5.3 too many recipients").await;
        }
        let at = At::Rcpt(self.named);
        let is_taken = match self.act(at) {
            Some(Act::Say(words) | Act::Drawl(words)) => words.starts_with('2'),
            Some(Act::Hush | Act::HangUp) => false,
            None => true,
        };
        if is_taken {
            self.to.push(address);
        }
        self.answer(at, "250 2.1.5 recipient ok").await
    }

    /// `AUTH PLAIN` with its initial response, which is what a client chooses that may choose; or `AUTH LOGIN`.
    async fn sign_in(&mut self, command: &str) -> Result<(), Over> {
        let (name, password) = self.script.password.unwrap_or_default();
        if let Some(words) = self.script.no_plain.filter(|_| command.starts_with("AUTH PLAIN")) {
            return self.say(words).await;
        }
        self.signed_in = match self.script.asks || self.script.no_plain.is_some() {
            false => command == format!("AUTH PLAIN {}", base64(&format!("\0{name}\0{password}"))),
            true => {
                command == "AUTH LOGIN"
                    && self.is_told("Username:", name).await?
                    && self.is_told("Password:", password).await?
            }
        };
        let honest = if self.signed_in { "235 2.7.0 welcome" } else { "535 5.7.8 wrong name or password" };
        self.answer(At::Auth, honest).await
    }

    /// Asks for something and hears whether it is right.
    async fn is_told(&mut self, question: &str, right: &str) -> Result<bool, Over> {
        self.say(&format!("334 {}", base64(question))).await?;
        Ok(self.line().await? == base64(right))
    }

    async fn take_mail(&mut self) -> Result<(), Over> {
        self.answer(At::Data, "354 go ahead").await?;
        if let Some(Act::Say(words) | Act::Drawl(words)) = self.act(At::Data)
            && !words.starts_with("354")
        {
            return Ok(());
        }
        let mut data = String::new();
        loop {
            let line = self.line().await?;
            match line.as_str() {
                "." => break,
                _ => data.push_str(line.strip_prefix('.').unwrap_or(&line)),
            }
            data.push_str("\r\n");
        }
        let mail = Caught { from: self.from.clone(), to: self.to.clone(), data };
        let is_too_large = self.script.largest.is_some_and(|(largest, _)| mail.data.len() > largest);
        let late = self.script.refused_late.iter().find(|(address, _)| mail.to.iter().any(|to| to == address));
        let refused = late.map(|(_, words)| *words).or(is_too_large.then_some("552 5.3.4 message too big"));
        let taken = (refused.is_none() && self.will_take()).then(|| mail.clone());
        self.log.0.send_modify(|history| {
            history.offered.push(mail);
            history.mails.extend(taken);
        });
        if let Some(words) = refused {
            return self.say(words).await;
        }
        self.answer(At::Dot, "250 2.0.0 queued as 1").await
    }

    /// Whether the answer to the mail itself, whichever way it is given, ends with a 250.
    fn will_take(&self) -> bool {
        match self.act(At::Dot) {
            None => true,
            Some(Act::Say(words) | Act::Drawl(words)) => {
                words.lines().last().is_some_and(|line| line.starts_with("250"))
            }
            Some(Act::Hush | Act::HangUp) => false,
        }
    }

    /// What the script says for this moment of this connection.
    fn act(&self, at: At) -> Option<Act> {
        let is_meant = |connection: &Option<usize>| connection.is_none_or(|number| number == self.number);
        let mut acts = self.script.acts.iter();
        acts.find(|(connection, moment, _)| *moment == at && is_meant(connection)).map(|(_, _, act)| *act)
    }

    /// Does what the script says for this moment, else answers honestly.
    async fn answer(&mut self, at: At, honest: &str) -> Result<(), Over> {
        match self.act(at) {
            None => self.say(honest).await,
            Some(Act::Say(words)) => self.say(words).await,
            Some(Act::Drawl(words)) => {
                for byte in format!("{words}\r\n").bytes() {
                    self.out.write_all(&[byte]).await.map_err(|_| Over)?;
                    tokio::task::yield_now().await;
                }
                Ok(())
            }
            Some(Act::Hush) => {
                while self.line().await.is_ok() {}
                Err(Over)
            }
            Some(Act::HangUp) => Err(Over),
        }
    }

    async fn say(&mut self, words: &str) -> Result<(), Over> {
        self.out.write_all(format!("{words}\r\n").as_bytes()).await.map_err(|_| Over)
    }

    async fn line(&mut self) -> Result<String, Over> {
        let mut line = Vec::new();
        match self.lines.read_until(b'\n', &mut line).await {
            Ok(1..) if line.ends_with(b"\r\n") => {
                line.truncate(line.len() - 2);
                Ok(String::from_utf8_lossy(&line).into_owned())
            }
            _ => Err(Over),
        }
    }
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn between_brackets(command: &str) -> String {
    let inner = command.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map(|(address, _)| address.to_owned()).unwrap_or_default()
}
