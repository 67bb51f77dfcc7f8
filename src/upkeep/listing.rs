//! Reading the list of a backup, which whoever hands the backup over may have made.
//!
//! So it is read file by file and never held: a list of a million files takes no more memory than one of ten.
//!
//! **Invariant:** what [`read`] gives to its caller has its place in a data directory, stands after what was given before,
//! and is part of no more bytes than a backup of that size can hold.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, BufReader, Read},
};

use jiff::Timestamp;
use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{
    archive::{self, ReadError},
    manifest::{Entry, FILES, FORMAT, Line},
    plain_json::{self, PlainJson},
};

/// How many tables a database of ours may have; it has some thirty.
const TABLES: usize = 1000;

/// What files may take up beyond [`EXPANSION`]: a database that is almost empty is nearly all zeros.
const HEADROOM: u64 = 64 << 20;

/// How many times larger than the archive its files may be. Sales shrink to a tenth, not to a two-hundredth.
const EXPANSION: u64 = 200;

/// What a manifest that was read says, but for the files.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub made_at: Timestamp,
    pub tillhook: String,
    pub schema: i64,
    pub rows: BTreeMap<String, u64>,
    pub with_invoices: bool,
    /// How many invoices are in it.
    pub invoices: u64,
    /// The bytes of all files.
    pub total: u64,
}

/// Reads a manifest out of an archive of that size, and gives each file of its list to `take`, in order.
///
/// # Errors
/// At the first thing that no manifest of ours says, or that `take` refuses.
pub(super) fn read(
    json: impl Read,
    archive_bytes: u64,
    take: &mut dyn FnMut(&Entry) -> Result<(), ReadError>,
) -> Result<Listed, ReadError> {
    let limit = HEADROOM.saturating_add(archive_bytes.saturating_mul(EXPANSION));
    let mut reading = Reading { limit, take, total: 0, count: 0, invoices: 0, last: None, refused: None };
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(PlainJson::new(json)));
    let read = reading.deserialize(&mut json).and_then(|heading| json.end().map(|()| heading));
    match (reading.refused, read) {
        (Some(refused), _) => Err(refused),
        (None, Ok(heading)) => Ok(heading),
        (None, Err(error)) if error.is_io() => Err(unreadable(error.into())),
        (None, Err(error)) => {
            Err(ReadError::Foreign(format!("its manifest cannot be understood at line {}", error.line())))
        }
    }
}

fn unreadable(error: io::Error) -> ReadError {
    if plain_json::is_outsized(&error) {
        return ReadError::Foreign(format!("its manifest: {error}"));
    }
    archive::unreadable(error, archive::MANIFEST)
}

/// How far a manifest was read.
struct Reading<'a> {
    limit: u64,
    take: &'a mut dyn FnMut(&Entry) -> Result<(), ReadError>,
    total: u64,
    count: u64,
    invoices: u64,
    last: Option<Entry>,
    refused: Option<ReadError>,
}

impl Reading<'_> {
    /// Checks a file of the list, and gives it away.
    fn file(&mut self, line: &Line) -> Result<(), ReadError> {
        let foreign = |why: String| Err(ReadError::Foreign(why));
        let Some(entry) = Entry::new(&line.path, line.bytes, &line.sha256) else {
            return foreign(format!("its list names {:?}, which has no place in a data directory", line.path));
        };
        match &self.last {
            None if !entry.is_database() => return foreign("its list does not begin with the database".to_owned()),
            Some(last) if last.rank() == entry.rank() => {
                return foreign(format!("its list names {:?} twice", line.path));
            }
            Some(last) if last.rank() > entry.rank() => {
                return foreign(format!("its list names {:?} in the wrong place", line.path));
            }
            _ => {}
        }
        self.total = self.total.saturating_add(entry.bytes);
        self.count += 1;
        if self.total > self.limit {
            return foreign(format!("its files would take {} bytes, which no backup of this size holds", self.total));
        }
        if self.count > FILES {
            return foreign(format!("its list names more than {FILES} files"));
        }
        self.invoices += u64::from(entry.is_invoice());
        self.last = Some(entry);
        (self.take)(&entry)
    }

    /// Notes why the rest is not read.
    fn refuse<E: serde::de::Error>(&mut self, refused: ReadError) -> E {
        self.refused = Some(refused);
        E::custom("it is refused")
    }
}

/// The whole manifest.
impl<'de> DeserializeSeed<'de> for &mut Reading<'_> {
    type Value = Listed;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Listed, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Reading<'_> {
    type Value = Listed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a manifest")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Listed, A::Error> {
        let (mut format, mut tillhook, mut made_at, mut schema) = (None, None, None, None);
        let (mut rows, mut with_invoices) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "format" => format = Some(map.next_value::<u32>()?),
                "tillhook" => tillhook = Some(map.next_value::<String>()?),
                "made_at" => made_at = Some(map.next_value()?),
                "schema" => schema = Some(map.next_value()?),
                "rows" => rows = Some(map.next_value::<Rows>()?.0),
                "with_invoices" => with_invoices = Some(map.next_value()?),
                "files" => map.next_value_seed(Files(self))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
            if let (Some(_), Some(version)) = (format.filter(|format| *format > FORMAT), &tillhook) {
                return Err(self.refuse(ReadError::Newer(version.escape_debug().to_string())));
            }
        }
        let absent = A::Error::missing_field;
        if self.last.is_none() {
            return Err(self.refuse(ReadError::Foreign("its list does not begin with the database".to_owned())));
        }
        format.ok_or_else(|| absent("format"))?;
        Ok(Listed {
            made_at: made_at.ok_or_else(|| absent("made_at"))?,
            tillhook: tillhook.ok_or_else(|| absent("tillhook"))?,
            schema: schema.ok_or_else(|| absent("schema"))?,
            rows: rows.ok_or_else(|| absent("rows"))?,
            with_invoices: with_invoices.ok_or_else(|| absent("with_invoices"))?,
            invoices: self.invoices,
            total: self.total,
        })
    }
}

/// The list of files.
struct Files<'a, 'b>(&'a mut Reading<'b>);

impl<'de> DeserializeSeed<'de> for Files<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Files<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of files")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(line) = list.next_element::<Line>()? {
            self.0.file(&line).map_err(|refused| self.0.refuse::<A::Error>(refused))?;
        }
        Ok(())
    }
}

/// The rows of each table, of no more tables than there are.
struct Rows(BTreeMap<String, u64>);

impl<'de> Deserialize<'de> for Rows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counted;
        impl<'de> Visitor<'de> for Counted {
            type Value = Rows;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number for each table")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Rows, A::Error> {
                let mut rows = BTreeMap::new();
                while let Some((table, count)) = map.next_entry()? {
                    rows.insert(table, count);
                    if rows.len() > TABLES {
                        return Err(A::Error::custom("too many tables"));
                    }
                }
                Ok(Rows(rows))
            }
        }
        deserializer.deserialize_map(Counted)
    }
}
