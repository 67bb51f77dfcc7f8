//! Power cuts, replayed: what would be on the disk had the power gone at any point of a traced run.
//!
//! strace writes down every write, truncation, renaming and sync of the program's files, and what it said to the till and to
//! people, in order. A disk is rebuilt from that: what was synced is there for certain; of what was not, nothing,
//! everything, a random part or a torn write may be. A file or folder has its name for certain once the folder around it
//! was synced.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
};

/// The command that traces another one into `file`. Follow it by the program.
pub fn tracer(file: &Path) -> Vec<String> {
    const CALLS: &str =
        "trace=openat,pwrite64,write,writev,sendto,ftruncate,fallocate,fsync,fdatasync,mkdir,unlink,unlinkat,rename";
    // -y names the file behind a descriptor; 200,000 bytes are more than any write of ours.
    let words = ["strace", "-f", "-y", "-xx", "-s", "200000", "-qq", "-e", CALLS, "-o", &file.display().to_string()];
    words.map(str::to_owned).to_vec()
}

/// Something that the trace shows.
pub enum Step {
    /// The disk was asked for something; it is one of the points at which the power may go.
    Disk,
    /// The program answered the till, or printed something.
    Said(Vec<u8>),
}

/// Of what was not synced, what is on the disk all the same.
#[derive(Clone, Copy, Debug)]
pub enum Kept {
    Nothing,
    Everything,
    /// Each write with even chances, one of them in part.
    Some(u64),
}

/// The disk as the trace leaves it, step by step.
pub struct Disk {
    directory: PathBuf,
    files: BTreeMap<PathBuf, FileState>,
    /// Folders that were made, and whether they exist for certain.
    folders: BTreeMap<PathBuf, bool>,
}

/// A trace that is read step by step.
pub struct Trace {
    disk: Disk,
    lines: std::io::Lines<BufReader<File>>,
    /// Calls whose end is on a later line, by thread.
    unfinished: BTreeMap<String, String>,
}

#[derive(Default)]
struct FileState {
    exists_for_certain: bool,
    syncs: usize,
    synced: Vec<u8>,
    pending: Vec<Change>,
}

enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Trace {
    /// The trace in `file` of what happened to the disk.
    pub fn new(disk: Disk, file: &Path) -> Self {
        let lines = BufReader::new(File::open(file).expect("a trace")).lines();
        Self { disk, lines, unfinished: BTreeMap::new() }
    }

    /// The disk as it is after the last step.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Goes one step on; `None` at the end of the trace.
    pub fn step(&mut self) -> Option<Step> {
        loop {
            let line = self.lines.next()?.expect("a line");
            let Some((thread, call)) = line.split_once(' ') else { continue };
            let call = call.trim_start();
            if let Some(begun) = call.strip_suffix("<unfinished ...>") {
                self.unfinished.insert(thread.to_owned(), begun.trim_end().to_owned());
                continue;
            }
            let whole = match call.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
                Some((_, rest)) => format!("{}{rest}", self.unfinished.remove(thread).unwrap_or_default()),
                None => call.to_owned(),
            };
            if let Some(step) = self.disk.apply(&whole) {
                return Some(step);
            }
        }
    }
}

impl Disk {
    /// What is in the database and the backups below `directory` now, before the program runs. The directory need not be
    /// there yet.
    pub fn now(directory: &Path) -> Self {
        let mut disk = Self { directory: directory.to_owned(), files: BTreeMap::new(), folders: BTreeMap::new() };
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_file() && disk.is_ours(&path) {
                let synced = fs::read(&path).expect("a file");
                disk.files.insert(path, FileState { exists_for_certain: true, synced, ..FileState::default() });
            }
        }
        disk
    }

    fn apply(&mut self, line: &str) -> Option<Step> {
        let (call, result) = line.rsplit_once(" = ")?;
        let result: i64 = result.split(['<', ' ']).next()?.parse().ok().filter(|result| *result >= 0)?;
        let (name, rest) = call.split_once('(')?;
        let path = described(rest);
        match name {
            "openat" if rest.contains("O_CREAT") => {
                let path = PathBuf::from(String::from_utf8(quoted(rest)?).ok()?);
                if self.is_ours(&path) {
                    self.files.entry(path).or_default();
                }
                None
            }
            "mkdir" => {
                let path = PathBuf::from(String::from_utf8(quoted(rest)?).ok()?);
                path.starts_with(&self.directory).then(|| self.folders.insert(path, false)).map(|_| Step::Disk)
            }
            "rename" => {
                let (from, to) = rest.split_once(", ")?;
                let [from, to] = [from, to].map(|path| String::from_utf8(quoted(path)?).ok().map(PathBuf::from));
                let moved = self.files.remove(&from?)?;
                self.files.insert(to?, FileState { exists_for_certain: false, ..moved });
                Some(Step::Disk)
            }
            "unlink" => self.files.remove(Path::new(&String::from_utf8(quoted(rest)?).ok()?)).map(|_| Step::Disk),
            "fsync" | "fdatasync" => {
                let path = path?;
                if let Some(file) = self.files.get_mut(&path) {
                    file.syncs += 1;
                    let FileState { synced, pending, .. } = file;
                    pending.drain(..).for_each(|change| change.apply_to(synced));
                    return Some(Step::Disk);
                }
                let inside = |it: &Path| it.parent() == Some(&path);
                self.files
                    .iter_mut()
                    .filter(|(file, _)| inside(file))
                    .for_each(|(_, file)| file.exists_for_certain = true);
                self.folders.iter_mut().filter(|(folder, _)| inside(folder)).for_each(|(_, certain)| *certain = true);
                (path.starts_with(&self.directory) || self.directory.starts_with(&path)).then_some(Step::Disk)
            }
            "pwrite64" if self.is_ours(path.as_ref()?) => {
                assert!(!rest.contains("\"..."), "the trace is cut short");
                let mut data = quoted(rest)?;
                data.truncate(usize::try_from(result).ok()?);
                let offset = rest.trim_end().trim_end_matches(')').rsplit(", ").next()?.parse().ok()?;
                self.files.entry(path?).or_default().pending.push(Change::Write(offset, data));
                Some(Step::Disk)
            }
            "ftruncate" if self.is_ours(path.as_ref()?) => {
                let length = rest.trim_end().trim_end_matches(')').rsplit(", ").next()?.parse().ok()?;
                self.files.entry(path?).or_default().pending.push(Change::Length(length));
                Some(Step::Disk)
            }
            "write" if path.as_ref().is_some_and(|path| self.is_ours(path)) => {
                assert!(!rest.contains("\"..."), "the trace is cut short");
                let mut data = quoted(rest)?;
                data.truncate(usize::try_from(result).ok()?);
                self.files.entry(path?).or_default().append(data);
                Some(Step::Disk)
            }
            "write" | "sendto" | "writev" => {
                // A head and a body may come from two places.
                let said = rest.split('"').skip(1).step_by(2).filter_map(bytes).collect::<Vec<_>>().concat();
                let is_printed = rest.starts_with("1<");
                (is_printed || said.starts_with(b"HTTP/1.1 ")).then_some(Step::Said(said))
            }
            _ => None,
        }
    }

    fn is_ours(&self, path: &Path) -> bool {
        // The shared memory beside the log is made anew, and the reserve holds nothing.
        let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
        let is_database = path.parent() == Some(&self.directory) && matches!(kind, "db" | "db-wal" | "db-journal");
        is_database || path.starts_with(self.directory.join("backups"))
    }

    /// How often a file was synced so far.
    pub fn syncs_of(&self, name: &str) -> usize {
        self.files.get(&self.directory.join(name)).map_or(0, |file| file.syncs)
    }

    /// What would be on the disk had the power gone now, as files below `directory`, which is empty. What a backup was
    /// made in is left out: the next one sweeps it away unread.
    pub fn after_a_cut(&self, kept: Kept, directory: &Path) {
        for (path, file) in &self.files {
            let name = path.strip_prefix(&self.directory).expect("a file of ours");
            let is_draft = name.components().any(|part| part.as_os_str().to_string_lossy().starts_with('.'));
            let folder = path.parent().expect("a folder");
            let is_certain = file.exists_for_certain && self.folders.get(folder) != Some(&false);
            if is_draft || !is_certain && matches!(kept, Kept::Nothing) {
                continue;
            }
            let to = directory.join(name);
            fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
            let mut image = file.synced.clone();
            let mut dice = match kept {
                Kept::Some(seed) => seed,
                _ => 0,
            };
            let torn = file.pending.len().checked_sub(1).map(|last| roll(&mut dice) as usize % (last + 1));
            for (place, change) in file.pending.iter().enumerate() {
                match kept {
                    Kept::Nothing => {}
                    Kept::Everything => change.apply_to(&mut image),
                    Kept::Some(_) if torn == Some(place) => change.tear(&mut image, roll(&mut dice)),
                    Kept::Some(_) if roll(&mut dice).is_multiple_of(2) => change.apply_to(&mut image),
                    Kept::Some(_) => {}
                }
            }
            fs::write(to, image).expect("an image");
        }
    }
}

impl FileState {
    /// A write without a place goes where the last one ended.
    fn append(&mut self, data: Vec<u8>) {
        let end = self.pending.iter().fold(self.synced.len(), |end, change| match change {
            Change::Write(offset, data) => end.max(offset + data.len()),
            Change::Length(length) => *length,
        });
        self.pending.push(Change::Write(end, data));
    }
}

impl Change {
    fn apply_to(&self, image: &mut Vec<u8>) {
        match self {
            Self::Write(offset, data) => put(image, *offset, data),
            Self::Length(length) => image.resize(*length, 0),
        }
    }

    /// Only its first sectors reached the disk.
    fn tear(&self, image: &mut Vec<u8>, random: u64) {
        if let Self::Write(offset, data) = self {
            let sectors = data.len().div_ceil(512);
            let whole = 512 * (random as usize % (sectors + 1));
            put(image, *offset, &data[..whole.min(data.len())]);
        }
    }
}

fn put(image: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if image.len() < offset + data.len() {
        image.resize(offset + data.len(), 0);
    }
    image[offset..offset + data.len()].copy_from_slice(data);
}

/// The next number of a small generator (xorshift): the same seed gives the same cuts.
fn roll(state: &mut u64) -> u64 {
    *state = (*state).max(1);
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// The file behind the first descriptor: `7</data/tillhook.db>, …`, in hexadecimal or not.
fn described(arguments: &str) -> Option<PathBuf> {
    let name = arguments.split_once('<')?.1.split_once('>')?.0;
    let name = if name.starts_with("\\x") { String::from_utf8(bytes(name)?).ok()? } else { name.to_owned() };
    Some(PathBuf::from(name))
}

/// The first text in quotes, which strace writes in hexadecimal.
fn quoted(arguments: &str) -> Option<Vec<u8>> {
    bytes(arguments.split_once('"')?.1.split_once('"')?.0)
}

fn bytes(hexadecimal: &str) -> Option<Vec<u8>> {
    hexadecimal
        .as_bytes()
        .chunks_exact(4)
        .map(|byte| u8::from_str_radix(str::from_utf8(&byte[2..]).ok()?, 16).ok())
        .collect()
}
