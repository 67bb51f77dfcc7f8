//! Lines for an output that perhaps nobody reads: a bounded queue, and a thread of its own that writes.
//!
//! A pipe that is full blocks whoever writes to it, and one that is closed refuses every line. A service must not stop
//! for either. `tracing-appender` has such a queue for logs, but it says in no log what it dropped, and it prints to
//! standard output when the end takes too long.
//!
//! **Invariant:** nobody but the thread waits for the output. What does not fit is dropped and counted, and the count
//! stands where the lines are missing.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// How many bytes of lines wait for a reader: some 5,000 lines of a log.
const ROOM: usize = 1 << 20;

/// From where on lines are taken again after some were dropped, so that a slow reader finds a few long gaps rather than
/// many short ones.
const ROOM_AGAIN: usize = ROOM / 2;

/// Says that so many lines were dropped.
type Note = fn(u64) -> String;

/// The queue to one output. Clones share it.
#[derive(Clone)]
pub struct Output(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Told of every change.
    changed: Condvar,
    note: Note,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Lines that were dropped since the last note.
    dropped: u64,
    /// Whether the thread has a line in its hands.
    is_writing: bool,
}

impl Output {
    /// The queue to what `to` is: standard output, or standard error. The lock that the standard library has for each is
    /// not taken, so a thread that waits for a reader keeps nobody else from it.
    pub fn of(to: impl AsFd, note: Note) -> Self {
        match to.as_fd().try_clone_to_owned() {
            Ok(to) => Self::to(File::from(to), note),
            Err(_) => Self::to(io::sink(), note),
        }
    }

    fn to(to: impl Write + Send + 'static, note: Note) -> Self {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), note });
        let writing = Arc::clone(&shared);
        // Without a thread the queue fills, and everything is dropped.
        let _ = thread::Builder::new().name("output".to_owned()).spawn(move || write_for_ever(&writing, to));
        Self(shared)
    }

    /// Puts a whole line, or several, into the queue; they are written together or not at all.
    pub fn line(&self, line: impl Into<Vec<u8>>) {
        let line = line.into();
        let mut state = self.0.state();
        if state.dropped > 0 || state.bytes + line.len() > ROOM {
            state.dropped += 1;
            // A line that has no room even in an empty queue leaves nothing behind but the note of it.
            self.0.changed.notify_all();
            return;
        }
        state.push(line);
        self.0.changed.notify_all();
    }

    /// Waits until everything is written, but no longer than this; returns whether it is.
    pub fn flush_within(&self, longest: Duration) -> bool {
        let waits = |state: &mut State| state.has_something() || state.is_writing;
        let waited = self.0.changed.wait_timeout_while(self.0.state(), longest, waits);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !waits(&mut state)
    }
}

/// What is written at once is one entry of the queue.
impl Write for Output {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next line, once there is one.
    fn next(&self) -> Vec<u8> {
        let mut state = self.state();
        state.is_writing = false;
        self.changed.notify_all();
        let waited = self.changed.wait_while(state, |state| !state.has_something());
        state = waited.unwrap_or_else(PoisonError::into_inner);
        let line = state.lines.pop_front();
        state.bytes -= line.as_ref().map_or(0, Vec::len);
        // Nothing was taken since the first of them was dropped, so the note stands in their place.
        if state.dropped > 0 && state.bytes <= ROOM_AGAIN {
            let note = (self.note)(std::mem::take(&mut state.dropped));
            state.push(note.into());
        }
        state.is_writing = true;
        line.unwrap_or_default()
    }
}

impl State {
    /// Whether there is a line to write, or to say that some were dropped.
    fn has_something(&self) -> bool {
        !self.lines.is_empty() || self.dropped > 0
    }

    fn push(&mut self, line: Vec<u8>) {
        self.bytes += line.len();
        self.lines.push_back(line);
    }
}

fn write_for_ever(shared: &Shared, mut to: impl Write) {
    loop {
        let line = shared.next();
        // A reader that went away, or a full disk: there is nowhere to say so.
        let _ = to.write_all(&line).and_then(|()| to.flush());
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, PipeReader};

    use super::*;

    /// How long a test waits for what must come.
    const PATIENCE: Duration = Duration::from_secs(30);

    fn note(lines: u64) -> String {
        format!("lost {lines}\n")
    }

    fn piped() -> (BufReader<PipeReader>, Output) {
        let (reader, writer) = io::pipe().expect("a pipe");
        (BufReader::new(reader), Output::of(&writer, note))
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_the_count_stands_where_it_is_missing() {
        let (reader, output) = piped();
        let line = |number: usize| format!("{number:>9999}\n");
        // More than a pipe and the queue hold; nobody reads yet.
        let first = 4 * ROOM / line(0).len();
        (0..first).for_each(|number| output.line(line(number)));
        assert!(!output.flush_within(Duration::ZERO));

        let mut read = reader.lines().map(|line| line.expect("a line").trim().to_owned());
        let before = read.by_ref().take_while(|line| !line.starts_with("lost")).inspect(|line| {
            // Lines go on to be dropped until half of the queue is read.
            assert!(line.parse::<usize>().is_ok_and(|number| number < first));
        });
        let kept = before.count();
        assert!(kept < first, "{kept} of {first}");
        assert!(output.flush_within(PATIENCE));
        output.line("next\n");
        assert_eq!(read.next().as_deref(), Some("next"));
    }

    #[test]
    fn the_count_is_that_of_the_lines_that_are_missing() {
        let (reader, output) = piped();
        let (line, lines) = (format!("{}\n", "x".repeat(9_999)), 4 * ROOM / 10_000);
        (0..lines).for_each(|_| output.line(line.as_str()));
        let mut read = reader.lines().map(|line| line.expect("a line")).enumerate();
        let lost = read.find_map(|(kept, line)| Some((kept, line.strip_prefix("lost ")?.parse::<usize>().ok()?)));
        let (kept, lost) = lost.expect("the count comes");
        assert_eq!(kept + lost, lines);
    }

    #[test]
    fn a_line_that_never_has_room_is_counted_and_silences_nothing() {
        let (reader, output) = piped();
        output.line(vec![b'x'; ROOM + 1]);
        assert!(output.flush_within(PATIENCE));
        output.line("next\n");
        let read: Vec<_> = reader.lines().take(2).map(|line| line.expect("a line")).collect();
        assert_eq!(read, ["lost 1", "next"]);
    }

    #[test]
    fn a_closed_output_is_no_reason_to_fail_or_to_wait() {
        let (reader, output) = piped();
        drop(reader);
        (0..3 * ROOM / 1_000).for_each(|_| output.line([b'x'; 1_000]));
        assert!(output.flush_within(PATIENCE));
    }
}
