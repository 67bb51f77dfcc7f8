//! What is wrong with a configuration, where, and what to do about it.
//!
//! **Invariant:** a problem never quotes the source line, because that line may hold a secret; it names the place instead.

use std::{
    fmt,
    io::{self, ErrorKind},
    path::Path,
    sync::Arc,
};

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file; line and column count from 1, columns in characters.
    File {
        /// The file.
        file: Arc<Path>,
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// In an environment variable of this name.
    Variable(String),
}

impl Place {
    /// The place of the byte `offset` in `text`, which was read from `file`.
    pub(super) fn in_file(file: &Arc<Path>, text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self::File {
            file: Arc::clone(file),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    /// The beginning of a file.
    pub(super) fn start_of(file: &Path) -> Self {
        Self::File { file: file.into(), line: 1, column: 1 }
    }

    /// Whether it is the environment variable named after `key`, or anything below it.
    fn is_variable_of(&self, key: &str) -> bool {
        let key = key.to_uppercase().replace('-', "_");
        let of_key = |part: &str| part == key || part.strip_suffix("_FILE") == Some(&key);
        matches!(self, Self::Variable(name) if name.split("__").any(of_key))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line, column } => write!(f, "{}:{line}:{column}", file.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
        }
    }
}

/// One thing that is wrong, or that should be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong. Names the key, never a secret's value.
    pub what: String,
    /// Where it stands; `None` for what stands nowhere.
    pub place: Option<Place>,
    /// What to do about it.
    pub fix: String,
}

impl Problem {
    /// A problem at `place`.
    pub fn new(what: impl Into<String>, place: Option<Place>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), place, fix: fix.into() }
    }

    /// The problem as text, under another title than `error`: `warning`, `advice`.
    pub fn titled(&self, title: &str) -> String {
        let place = self.place.as_ref().map_or_else(String::new, |place| format!("\n  --> {place}"));
        format!("{title}: {}{place}\n  fix: {}", self.what, self.fix)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.titled("error"))
    }
}

/// Everything that is wrong with a configuration; at least one problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&texts.join("\n\n"))
    }
}

impl std::error::Error for Problems {}

/// What comes to light while a configuration is read.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
}

impl Report {
    /// Records a problem, once.
    pub(super) fn problem(&mut self, problem: Problem) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// The problems in the order of the file, then those of the environment.
    pub(super) fn into_problems(mut self) -> Problems {
        self.problems.sort_by_key(|problem| match &problem.place {
            Some(Place::File { line, column, .. }) => (*line, *column),
            Some(Place::Variable(_)) | None => (usize::MAX, 0),
        });
        Problems(self.problems)
    }

    /// Records that nobody knows `key`: a problem where it is written, and a warning where a variable is named after it,
    /// which may be meant for another version of the program.
    pub(super) fn unknown(&mut self, key: &str, problem: Problem) {
        if problem.place.as_ref().is_some_and(|place| place.is_variable_of(key)) {
            self.warnings.push(problem);
        } else {
            self.problem(problem);
        }
    }
}

/// How alike two words must be for one to be taken for a slip of the other (Jaro-Winkler, 1 is equal).
const ALIKE: f64 = 0.8;

/// A hint for `word`, which is none of `known`: the likeliest one, else all of them.
pub(super) fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let likeness = |candidate: &str| strsim::jaro_winkler(word, candidate);
    match known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b))) {
        None => "remove it".to_owned(),
        Some(best) if likeness(best) >= ALIKE => format!("did you mean `{best}`?"),
        Some(_) => format!("use one of {}", listed(&known)),
    }
}

/// `` `a`, `b`, `c` ``
pub(super) fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// What a file that cannot be read is a problem of.
pub(super) fn unreadable(what: &str, path: &Path, error: &io::Error, place: Option<Place>) -> Problem {
    let (why, fix) = unreadable_file(path, error);
    Problem::new(format!("{what}: {why}"), place, fix)
}

/// Why a file cannot be read, and what to do about it.
pub fn unreadable_file(path: &Path, error: &io::Error) -> (String, &'static str) {
    let file = path.display();
    match error.kind() {
        // In full, because who typed a relative path may have meant it from another folder.
        ErrorKind::NotFound => {
            let full = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            (format!("there is no file {}", full.display()), "check the path, or make the file")
        }
        ErrorKind::PermissionDenied => (format!("this user may not read {file}"), "let it, with `chown` or `chmod`"),
        ErrorKind::IsADirectory => (format!("{file} is a folder"), "name a file"),
        kind => (format!("{file} cannot be read ({kind})"), "check that it is a whole file"),
    }
}
