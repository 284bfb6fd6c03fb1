//! How the database is made, recognised and brought up to date.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::super::{HistoryError, files};

/// What each version added to the one before; the first makes the database.
pub(super) const VERSIONS: [&str; 2] = [
    "CREATE TABLE series (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE);
     CREATE TABLE recent (id INTEGER PRIMARY KEY, minute INTEGER NOT NULL, data BLOB NOT NULL);
     CREATE INDEX recent_minute ON recent (minute);
     CREATE TABLE block (series INTEGER NOT NULL, tier INTEGER NOT NULL, start INTEGER NOT NULL, data BLOB NOT NULL);
     CREATE UNIQUE INDEX block_place ON block (series, tier, start);
     CREATE INDEX block_age ON block (tier, start);
     CREATE TABLE fact (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;",
    "CREATE TABLE sketch (series INTEGER NOT NULL, tier INTEGER NOT NULL, start INTEGER NOT NULL, data BLOB NOT NULL);
     CREATE UNIQUE INDEX sketch_place ON sketch (series, tier, start);
     CREATE INDEX sketch_age ON sketch (tier, start);
     CREATE TABLE mark (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, text TEXT NOT NULL);
     CREATE INDEX mark_at ON mark (at);",
];

/// The version that is written, and the only one that is read.
const NEWEST: u32 = VERSIONS.len() as u32;

/// Tells hostler's databases from others (`SQLite`, *Database File Format*, 1.3.17): `hstl`.
const APPLICATION: i32 = 0x6873_746c;

/// Opens the database to write, makes it where there is none, and brings an older one up to date.
pub(super) fn open(path: &Path) -> Result<Connection, HistoryError> {
    files::touch(path)?;
    let mut connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(of(path))?;
    connection.busy_timeout(files::PATIENCE).map_err(of(path))?;
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 4194304;
             PRAGMA cache_size = -1024; PRAGMA temp_store = MEMORY;",
        )
        .map_err(of(path))?;
    let sound: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(of(path))?;
    if sound != "ok" {
        return Err(HistoryError::Spoilt { path: path.to_owned(), why: sound });
    }
    migrate(&mut connection, path)?;
    Ok(connection)
}

/// Opens the database to read; `None` where there is none yet.
pub(super) fn open_to_read(path: &Path) -> Result<Option<Connection>, HistoryError> {
    if !files::is_there(path) {
        return Ok(None);
    }
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(of(path))?;
    connection.busy_timeout(files::PATIENCE).map_err(of(path))?;
    let version = version(&connection).map_err(of(path))?;
    if version == 0 {
        // It is just being made.
        return Ok(None);
    }
    if version != NEWEST {
        return Err(other_version(path, version));
    }
    Ok(Some(connection))
}

fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), HistoryError> {
    let from = version(connection).map_err(of(path))?;
    if from > NEWEST {
        return Err(other_version(path, from));
    }
    if from > 0 && from < NEWEST {
        let mut copy = path.as_os_str().to_owned();
        copy.push(format!(".v{from}"));
        if !files::is_there(Path::new(&copy)) {
            connection.execute("VACUUM INTO ?1", [copy.to_string_lossy()]).map_err(of(path))?;
        }
    }
    for (number, statements) in (1_u32..).zip(VERSIONS).skip(from as usize) {
        let mut step = || {
            let transaction = connection.transaction()?;
            transaction.execute_batch(statements)?;
            transaction.pragma_update(None, "application_id", APPLICATION)?;
            transaction.pragma_update(None, "user_version", number)?;
            transaction.commit()
        };
        step().map_err(of(path))?;
    }
    Ok(())
}

fn other_version(path: &Path, version: u32) -> HistoryError {
    let path = path.to_owned();
    HistoryError::Version { path, version, known: NEWEST }
}

/// What the database said of `path`.
pub(super) fn of(path: &Path) -> impl FnOnce(rusqlite::Error) -> HistoryError {
    let path = path.to_owned();
    move |error| {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        let spoilt = matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase));
        let why = error.to_string();
        if spoilt { HistoryError::Spoilt { path, why } } else { HistoryError::Database { path, why } }
    }
}
