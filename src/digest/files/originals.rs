//! `invoices.zip`: the PDFs as they are, the same bytes on every attempt.
//!
//! **Invariant:** no two files of an archive have the same name, also where capitals do not count.

use std::{
    collections::HashSet,
    io::{self, Cursor, Read, Seek, Write},
};

use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

/// An archive that is being written.
pub struct Zip<W: Write + Seek> {
    writer: ZipWriter<W>,
    names: Names,
}

impl<W: Write + Seek> Zip<W> {
    /// Begins an archive.
    pub fn begin(to: W) -> Self {
        Self { writer: ZipWriter::new(to), names: Names::default() }
    }

    /// Adds a file; returns the name that it got, which is another where that one is taken.
    ///
    /// # Errors
    /// When it cannot be read, or the archive cannot be written.
    pub fn add(&mut self, name: &str, bytes: &mut dyn Read) -> io::Result<String> {
        let name = self.names.take(name);
        // PDFs are compressed already, and the time of an attempt would make each a file of its own.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .unix_permissions(0o600);
        self.writer.start_file(name.as_str(), options)?;
        io::copy(bytes, &mut self.writer)?;
        Ok(name)
    }

    /// Ends it.
    ///
    /// # Errors
    /// When the archive cannot be written.
    pub fn finish(self) -> io::Result<W> {
        Ok(self.writer.finish()?)
    }
}

/// An archive of these files.
///
/// # Errors
/// When it is larger than an archive can be.
pub fn zip<N: AsRef<str>, B: AsRef<[u8]>>(files: impl IntoIterator<Item = (N, B)>) -> io::Result<Vec<u8>> {
    let mut archive = Zip::begin(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        archive.add(name.as_ref(), &mut bytes.as_ref())?;
    }
    Ok(archive.finish()?.into_inner())
}

/// Cuts files of these sizes, in their order, into parts of at most `limit` together, as positions in `sizes`. One that is
/// larger by itself is alone in its part.
pub fn split(sizes: &[u64], limit: u64) -> Vec<Vec<usize>> {
    let mut parts: Vec<Vec<usize>> = Vec::new();
    let mut filled = 0_u64;
    for (place, size) in sizes.iter().enumerate() {
        let together = filled.saturating_add(*size);
        match parts.last_mut().filter(|_| together <= limit) {
            Some(part) => {
                part.push(place);
                filled = together;
            }
            None => {
                parts.push(vec![place]);
                filled = *size;
            }
        }
    }
    parts
}

/// The names that are taken.
#[derive(Default)]
struct Names(HashSet<String>);

impl Names {
    /// The name, or the next one that is free: `name-2.pdf`.
    fn take(&mut self, name: &str) -> String {
        let (stem, ending) =
            name.rsplit_once('.').map_or((name, String::new()), |(stem, end)| (stem, format!(".{end}")));
        let mut free = name.to_owned();
        let mut number = 2_u64;
        while !self.0.insert(free.to_ascii_lowercase()) {
            free = format!("{stem}-{number}{ending}");
            number += 1;
        }
        free
    }
}
