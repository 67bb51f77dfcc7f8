//! Who was erased, kept apart from the database: a backup that was made before would bring them back.
//!
//! The list is a file in the data directory, a line an erasure, which a restore leaves where it is and adds to. It says when,
//! and a digest of the customer's number or e-mail address: whoever knows the one or the other can find them in it, nobody
//! can read them from it. A salt, made with the first line, keeps digests of two installations apart. A number of a few
//! digits can be tried out, though, and means nothing without the till.
//!
//! **Invariant:** lines are only ever added, each in one write, and are on disk before the erasure is reported as done.

use std::{
    collections::BTreeSet,
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::manifest::unhex;
use crate::order::{Person, ShopId, hex};

/// The file in the data directory, and in a backup.
pub(super) const ERASURES: &str = "erasures.jsonl";

/// The largest list that is read: some seventy thousand erasures.
const LARGEST: u64 = 16 << 20;

/// The largest that a backup may bring: half of that.
pub(super) const LARGEST_BROUGHT: u64 = LARGEST / 2;

/// The longest line; ours have two hundred bytes.
const LONGEST_LINE: u64 = 1024;

/// How many salts a list may have; there is one for each installation that it has gone through.
const SALTS: usize = 16;

/// How much earlier than a backup an erasure may seem to be that was made after it: the clock may have been set back.
const CLOCK: SignedDuration = SignedDuration::from_hours(24);

/// An erasure that was made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Erased {
    salt: [u8; 16],
    digest: [u8; 32],
    /// Where not every shop was meant.
    shop: Option<ShopId>,
    at: Timestamp,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shop: Option<ShopId>,
    salt: String,
    digest: String,
}

/// The erasures that were made.
#[derive(Clone, Debug, Default)]
pub struct Erasures {
    made: BTreeSet<Erased>,
    salts: BTreeSet<[u8; 16]>,
}

impl Erasures {
    /// The list of a data directory; empty where there is none yet. A line that a power cut left half is skipped.
    ///
    /// # Errors
    /// When it cannot be read, or is larger than any of ours.
    pub fn of(directory: &Path) -> io::Result<Self> {
        Self::up_to(LARGEST, directory)
    }

    /// The list of a backup, which may come from anybody: a smaller one, so that there is room for more in the list that it is
    /// added to.
    ///
    /// # Errors
    /// The same.
    pub(super) fn brought(draft: &Path) -> io::Result<Self> {
        Self::up_to(LARGEST_BROUGHT, draft)
    }

    fn up_to(largest: u64, directory: &Path) -> io::Result<Self> {
        match File::open(directory.join(ERASURES)) {
            Ok(file) => Self::read(file, largest),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    fn read(file: File, largest: u64) -> io::Result<Self> {
        let mut erasures = Self::default();
        let mut file = BufReader::new(file.take(largest + 1));
        let (mut line, mut total) = (Vec::new(), 0);
        loop {
            line.clear();
            let length = file.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
            total += length as u64;
            if length == 0 {
                return Ok(erasures);
            }
            if let Some(erased) = serde_json::from_slice(&line).ok().and_then(Erased::of) {
                erasures.salts.insert(erased.salt);
                erasures.made.insert(erased);
            }
            if total > largest || erasures.salts.len() > SALTS {
                return Err(too_large());
            }
        }
    }

    /// Those that were made after a backup of that time, which therefore may not know of them.
    #[must_use]
    pub fn since(mut self, made_at: Timestamp) -> Self {
        self.made.retain(|erased| erased.at.saturating_add(CLOCK).is_ok_and(|latest| latest >= made_at));
        self
    }

    /// How many there are; one that was made twice counts once.
    pub fn len(&self) -> usize {
        self.made.iter().map(|erased| (erased.salt, erased.digest, &erased.shop)).collect::<BTreeSet<_>>().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.made.is_empty()
    }

    /// The erasures of a person that concern this shop, or any where it is not known: for each the only shop that was meant,
    /// or none.
    pub fn of_person<'a>(
        &'a self,
        person: &Person,
        shop: Option<&'a ShopId>,
    ) -> impl Iterator<Item = Option<ShopId>> + use<'a> {
        let digests: Vec<_> = self.salts.iter().map(|salt| (*salt, digest(salt, person))).collect();
        digests.into_iter().flat_map(move |(salt, digest)| {
            let first = Erased { salt, digest, shop: None, at: Timestamp::MIN };
            let same = self.made.range(first..).take_while(move |made| (made.salt, made.digest) == (salt, digest));
            let only = same.map(|made| &made.shop);
            only.filter(move |only| only.is_none() || shop.is_none() || only.as_ref() == shop).cloned()
        })
    }

    /// Adds an erasure to the list of a data directory, which is made where it is not there. On disk when it returns.
    ///
    /// # Errors
    /// When it is not certain to be on disk.
    pub fn note(directory: &Path, person: &Person, shop: Option<&ShopId>, at: Timestamp) -> io::Result<()> {
        let salt = match Self::of(directory)?.salts.first() {
            Some(salt) => *salt,
            None => new_salt()?,
        };
        add(directory, [Erased { salt, digest: digest(&salt, person), shop: shop.cloned(), at }].iter())
    }

    /// Both lists as one.
    ///
    /// # Errors
    /// When they have more salts than a list may have.
    pub fn and(mut self, other: &Self) -> io::Result<Self> {
        self.salts.extend(&other.salts);
        self.made.extend(other.made.iter().cloned());
        if self.salts.len() > SALTS { Err(too_large()) } else { Ok(self) }
    }

    /// Adds what another list has to the list of a data directory. On disk when it returns.
    ///
    /// # Errors
    /// When it is not certain to be on disk.
    pub fn add_to(&self, directory: &Path) -> io::Result<()> {
        let known = Self::of(directory)?;
        if known.salts.union(&self.salts).count() > SALTS {
            return Err(too_large());
        }
        add(directory, self.made.difference(&known.made))
    }
}

impl Erased {
    fn of(line: Line) -> Option<Self> {
        Some(Self { salt: unhex(&line.salt)?, digest: unhex(&line.digest)?, shop: line.shop, at: line.at })
    }
}

/// Writes lines to the end, whatever another process writes there at the same time.
fn add<'a>(directory: &Path, erased: impl Iterator<Item = &'a Erased>) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(directory.join(ERASURES))?;
    let mut room = LARGEST.saturating_sub(file.metadata()?.len());
    for Erased { salt, digest, shop, at } in erased {
        let line = Line { at: *at, shop: shop.clone(), salt: hex(salt), digest: hex(digest) };
        // The line before may have been cut off by a power cut.
        let line = format!("\n{}\n", serde_json::to_string(&line)?);
        room = room.checked_sub(line.len() as u64).ok_or_else(too_large)?;
        file.write_all(line.as_bytes())?;
    }
    file.sync_all()?;
    File::open(directory)?.sync_all()
}

fn too_large() -> io::Error {
    io::Error::other(format!("{ERASURES} is larger than any list of erasures"))
}

fn new_salt() -> io::Result<[u8; 16]> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(salt)
}

/// What a person is recognised by, in every spelling that [`Person::is`] takes for the same.
fn digest(salt: &[u8; 16], person: &Person) -> [u8; 32] {
    let (kind, known) = person.key();
    let mut mac = Hmac::<Sha256>::new_from_slice(salt).expect("HMAC takes keys of any length");
    mac.update(&[kind]);
    mac.update(known.as_bytes());
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn an_erasure_is_found_again_by_who_knows_the_person_and_names_nobody() {
        let home = tempfile::tempdir().unwrap();
        let (dupont, martin): (ShopId, ShopId) = ("dupont".parse().unwrap(), "martin".parse().unwrap());
        assert!(Erasures::of(home.path()).unwrap().is_empty());
        let (then, later) = (at("2026-11-21T10:00:00Z"), at("2026-11-25T10:00:00Z"));
        let email = Person::Email("zoe@durand.example".into());
        Erasures::note(home.path(), &Person::Client("512".into()), Some(&dupont), then).unwrap();
        Erasures::note(home.path(), &email, None, later).unwrap();
        let erasures = Erasures::of(home.path()).unwrap();
        assert_eq!((erasures.len(), erasures.salts.len()), (2, 1));
        let of = |person: &Person, shop| erasures.of_person(person, Some(shop)).collect::<Vec<_>>();
        let client = Person::Client(" 512 ".into());
        assert_eq!((of(&client, &dupont), of(&client, &martin)), (vec![Some(dupont.clone())], Vec::new()));
        assert_eq!(erasures.of_person(&client, None).count(), 1);
        assert_eq!(of(&Person::Email("Zoe@Durand.example".into()), &martin), [None]);
        for other in
            [Person::Email("512".into()), Person::Client("zoe@durand.example".into()), Person::Client("51".into())]
        {
            assert_eq!(of(&other, &dupont), [], "{other:?}");
        }
        let text = std::fs::read_to_string(home.path().join(ERASURES)).unwrap().to_lowercase();
        assert!(!text.contains("zoe") && !text.contains("durand"), "{text}");

        assert_eq!(erasures.clone().since(at("2026-11-23T00:00:00Z")).len(), 1);
        assert_eq!(erasures.clone().since(at("2026-11-22T09:00:00Z")).len(), 2, "the clock may have been set back");
        assert!(erasures.since(at("2026-12-01T00:00:00Z")).is_empty());
    }

    #[test]
    fn a_line_that_was_cut_off_costs_no_other_and_lists_are_joined() {
        let (home, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let note = |directory: &Path, id: &str| {
            Erasures::note(directory, &Person::Client(id.into()), None, at("2026-11-21T10:00:00Z")).unwrap();
        };
        note(home.path(), "1");
        let file = home.path().join(ERASURES);
        let whole = std::fs::read(&file).unwrap();
        std::fs::write(&file, [&whole[..], b"\n{\"at\":\"2026-11-2"].concat()).unwrap();
        note(home.path(), "2");
        note(other.path(), "3");
        for _ in 0..2 {
            Erasures::of(other.path()).unwrap().add_to(home.path()).unwrap();
        }
        let joined = Erasures::of(home.path()).unwrap();
        assert_eq!((joined.len(), joined.made.len(), joined.salts.len()), (3, 3, 2));
        let shop = "dupont".parse().unwrap();
        for id in ["1", "2", "3"] {
            assert_eq!(joined.of_person(&Person::Client(id.into()), Some(&shop)).count(), 1, "{id}");
        }
        std::fs::write(&file, "x".repeat((LARGEST + 1) as usize)).unwrap();
        assert!(Erasures::of(home.path()).is_err());
    }

    #[test]
    fn a_long_list_is_read_in_a_time_that_grows_with_its_length() {
        let home = tempfile::tempdir().unwrap();
        let erased = |n: u64| Erased {
            salt: [(n % SALTS as u64) as u8; 16],
            digest: [n.to_be_bytes(), [0; 8], [0; 8], [0; 8]].concat().try_into().unwrap(),
            shop: None,
            at: at("2026-11-21T10:00:00Z"),
        };
        add(home.path(), (0..40_000).map(erased).collect::<Vec<_>>().iter()).unwrap();
        // Where each line means a look at all before it, that is a look at 800 million.
        let list = Erasures::brought(home.path()).unwrap();
        assert_eq!((list.len(), list.salts.len()), (40_000, SALTS));
    }

    #[test]
    fn a_backup_brings_no_list_that_would_fill_the_one_that_is_kept() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(ERASURES), "\n".repeat(LARGEST_BROUGHT as usize + 1)).unwrap();
        assert!(Erasures::of(home.path()).is_ok() && Erasures::brought(home.path()).is_err());
    }
}
