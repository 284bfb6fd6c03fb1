//! SQLite files in a tar archive: how they are structured, as their headers tell.
//!
//! Format: <https://www.sqlite.org/fileformat2.html>, §1.3 (header), §4.1 and §4.2 (write-ahead log).

use std::collections::BTreeMap;
use std::io::{self, Read, Seek};

use super::Structure;

const MAGIC: &[u8] = b"SQLite format 3\0";
const HEADER_BYTES: usize = 100;
const WAL_HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// The files that SQLite keeps beside a database.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// What an archive tells of the SQLite files in it.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// The counter of the schema and the application's own version, of each database by its path.
    pub(super) structure: Structure,
    /// The files beside databases, with their headers.
    pub(super) companions: BTreeMap<String, tar::Header>,
}

/// Looks at all files of an archive.
pub(super) fn look(archive: impl Read + Seek) -> io::Result<Look> {
    let mut archive = tar::Archive::new(archive);
    let mut look = Look::default();
    // A log may stand before its database.
    let mut logged = BTreeMap::new();
    for entry in archive.entries_with_seek()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = entry.path()?.to_string_lossy().into_owned();
        if COMPANIONS.iter().any(|ending| path.ends_with(ending)) {
            look.companions.insert(path.clone(), entry.header().clone());
        }
        if let Some(database) = path.strip_suffix("-wal") {
            let newest = newest_header(&mut entry)?;
            logged.extend(newest.map(|header| (database.to_owned(), header)));
        } else if let Some(header) = header(&mut entry)? {
            look.structure.insert(path, version(&header));
        }
    }
    for (path, header) in logged {
        look.structure.entry(path).and_modify(|known| *known = version(&header));
    }
    Ok(look)
}

/// The header of a database; `None` for any other file.
fn header(file: &mut impl Read) -> io::Result<Option<[u8; HEADER_BYTES]>> {
    let mut header = [0; HEADER_BYTES];
    Ok((read_all(file, &mut header)? && header.starts_with(MAGIC)).then_some(header))
}

/// The newest header that a write-ahead log holds: its database has it as soon as somebody opens it.
fn newest_header(log: &mut impl Read) -> io::Result<Option<[u8; HEADER_BYTES]>> {
    let mut start = [0; WAL_HEADER_BYTES];
    let magic = |start: &[u8]| matches!(number(start, 0), 0x377f_0682 | 0x377f_0683);
    if !read_all(log, &mut start)? || !magic(&start) {
        return Ok(None);
    }
    let mut page = vec![0; usize::try_from(number(&start, 8)).unwrap_or_default().min(64 << 10)];
    let mut frame = [0; FRAME_HEADER_BYTES];
    // A frame of page 1 counts when its transaction was committed: a later frame says so.
    let (mut pending, mut newest) = (None, None);
    while read_all(log, &mut frame)? && read_all(log, &mut page)? {
        // What an earlier log left behind its end has other salts.
        if frame[8..16] != start[16..24] {
            break;
        }
        if number(&frame, 0) == 1 {
            pending = page.first_chunk::<HEADER_BYTES>().copied();
        }
        if number(&frame, 4) != 0 {
            newest = pending.or(newest);
        }
    }
    Ok(newest)
}

/// Schema cookie and user version.
fn version(header: &[u8; HEADER_BYTES]) -> String {
    format!("{}.{}", number(header, 40), number(header, 60))
}

/// The big-endian number at a place; 0 behind the end.
fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_be_bytes)
}

/// Fills the buffer; false where the file ends before.
fn read_all(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// An archive with the same files, with nothing in them.
pub(super) fn emptied(files: impl Iterator<Item = (String, tar::Header)>) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, mut header) in files {
        header.set_size(0);
        archive.append_data(&mut header, path, io::empty())?;
    }
    archive.into_inner()
}
