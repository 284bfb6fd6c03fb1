//! Data that a new version may migrate: its structure noted, backed up, and put back.
//!
//! A version that goes back must not find data that a newer one has migrated. So the structure of each place is noted before
//! the new version starts: the schema of a database with the tables that record its migrations, the schema's counter of a
//! SQLite file. When an update is taken back, what was migrated since is put back from its backup, and what was not stays as
//! it is, with everything that was written meanwhile.

mod mysql;
mod postgres;
mod redis;
mod sql;
mod sqlite;
mod volume;

pub(super) use volume::content;

use std::collections::BTreeMap;
use std::io::Read as _;

use sha2::{Digest as _, Sha256};

use super::{Bench, Done, Trouble, unkept};
use crate::actions::hex;
use crate::domain::{ContainerRef, DataPlace, DatabaseKind, Op, Run, units};

/// How data is structured: a digest for each database, or SQLite file, of a place.
type Structure = BTreeMap<String, String>;

/// The file of a run in which the structures of all places are noted.
const NOTES: &str = "structure.json";

/// Bytes of the largest structure that is looked at.
const STRUCTURE_BYTES: usize = 64 << 20;

/// Notes how the data of all places is structured. What cannot be read is told, and is no failure.
pub(super) async fn note(bench: &mut Bench<'_>, places: &[DataPlace]) -> Result<Done, Trouble> {
    let mut notes: BTreeMap<&str, Structure> = BTreeMap::new();
    for place in places {
        bench.progress(format!("looking at {}", place.name()), 0, 0);
        match structure(bench, place).await {
            Ok(structure) => drop(notes.insert(place.name(), structure)),
            Err(Trouble(why)) => {
                bench.say(format!("it will not be seen whether somebody migrates {}: {why}", place.name()));
            }
        }
    }
    let mut attached = bench.attach(NOTES)?;
    let bytes = serde_json::to_vec(&notes).map_err(|error| Trouble(error.to_string()))?;
    attached.write(&bytes).and_then(|()| attached.sync()).map_err(|error| unkept(&error))?;
    Ok(Done::default())
}

/// Keeps the data of a place with the run.
pub(super) async fn back_up(bench: &mut Bench<'_>, place: &DataPlace) -> Result<Done, Trouble> {
    let mut attached = bench.attach(&format!("{}.part", place.file()))?;
    let bytes = match place {
        DataPlace::Database { container, kind: DatabaseKind::Postgres } => {
            postgres::dump(bench, container, &mut attached).await?
        }
        DataPlace::Database { container, kind: DatabaseKind::Mysql } => {
            mysql::dump(bench, container, &mut attached).await?
        }
        DataPlace::Database { container, kind: DatabaseKind::Redis } => {
            redis::dump(bench, container, &mut attached).await?
        }
        DataPlace::Volume { container, path, stopped, .. } => {
            volume::keep(bench, container, path, stopped, &mut attached).await?
        }
    };
    let path = attached.settle(&place.file()).map_err(|error| unkept(&error))?;
    Ok(Done::saying(format!("{} in {}", units::bytes(bytes), path.display())))
}

/// Puts the data of a place back where it was migrated since its structure was noted.
pub(super) async fn restore(bench: &mut Bench<'_>, place: &DataPlace) -> Result<Done, Trouble> {
    let migrated = match migrated(bench, place).await {
        Ok(migrated) if migrated.is_empty() => return Ok(Done::default()),
        Ok(migrated) => migrated.join(", "),
        Err(Trouble(why)) => {
            return Ok(Done::saying(format!("whether {} was migrated cannot be told: {why}", place.name())));
        }
    };
    let kept = bench.desk.state_dir.attached(bench.run, &place.file()).map_err(|error| unkept(&error))?;
    let Some((file, path)) = kept else {
        return Ok(Done::saying(format!("{migrated} was migrated since, and there is no backup of it: it stays so")));
    };
    if bench.late {
        let path = path.display();
        return Ok(Done::saying(format!(
            "{migrated} was migrated since; it stays so, and is as it was before in {path}"
        )));
    }
    bench.progress(format!("putting {migrated} back"), 0, 0);
    match place {
        DataPlace::Database { container, kind } => {
            if let Some(dialect) = dialect(*kind) {
                dialect.restore(bench, container, file).await?;
            }
        }
        DataPlace::Volume { volume, container, path, .. } => {
            volume::put_back(bench, (volume, container, path), file).await?;
        }
    }
    Ok(Done::saying(format!("{migrated} was migrated since, and is again as it was before")))
}

/// Whether a run may be taken back as far as data is concerned: what was migrated since can be put back.
///
/// # Errors
/// What was migrated and was not backed up, with what to do.
pub(in crate::actions) async fn may_go_back(bench: &mut Bench<'_>, run: &Run) -> Result<(), Trouble> {
    let noted = run.plan.chosen().filter_map(|(_, step)| match &step.op {
        Op::NoteStructure { places } => Some(places),
        _ => None,
    });
    for place in noted.flatten() {
        let kept = bench.desk.state_dir.attached(bench.run, &place.file()).map_err(|error| unkept(&error))?;
        if kept.is_some() {
            continue;
        }
        let migrated = migrated(bench, place).await.unwrap_or_default();
        if !migrated.is_empty() {
            return Err(Trouble(format!(
                "the new version has migrated {}, and there is no backup of it: the old one might not work with it. \
                 Nothing is taken back; mend the new version, or `hostler undo {}` goes back all the same",
                migrated.join(", "),
                run.id
            )));
        }
    }
    Ok(())
}

/// What of a place has another structure than was noted.
async fn migrated(bench: &mut Bench<'_>, place: &DataPlace) -> Result<Vec<String>, Trouble> {
    let noted = noted(bench, place.name())?;
    if noted.is_empty() {
        return Ok(Vec::new());
    }
    let now = structure(bench, place).await?;
    let changed = noted.into_iter().filter(|(name, digest)| now.get(name) != Some(digest));
    Ok(changed.map(|(name, _)| format!("{name} of {}", place.name())).collect())
}

/// What was noted of a place; empty where nothing was.
fn noted(bench: &Bench<'_>, name: &str) -> Result<Structure, Trouble> {
    let kept = bench.desk.state_dir.attached(bench.run, NOTES).map_err(|error| unkept(&error))?;
    let Some((file, path)) = kept else { return Ok(Structure::new()) };
    let mut text = String::new();
    let read = file.take(STRUCTURE_BYTES as u64).read_to_string(&mut text).map_err(|error| error.to_string());
    let notes: Result<BTreeMap<String, Structure>, String> =
        read.and_then(|_| serde_json::from_str(&text).map_err(|error| error.to_string()));
    let mut notes = notes.map_err(|why| Trouble(format!("{} cannot be read: {why}", path.display())))?;
    Ok(notes.remove(name).unwrap_or_default())
}

async fn structure(bench: &mut Bench<'_>, place: &DataPlace) -> Result<Structure, Trouble> {
    match place {
        DataPlace::Database { container, kind } => match dialect(*kind) {
            Some(dialect) => dialect.structure(bench, container).await,
            None => Ok(Structure::new()),
        },
        DataPlace::Volume { container, path, .. } => Ok(volume::look(bench, container, path).await?.structure),
    }
}

/// How a database is spoken to; `None` for one without a structure, which is never taken for migrated.
fn dialect(kind: DatabaseKind) -> Option<&'static sql::Dialect> {
    match kind {
        DatabaseKind::Postgres => Some(&postgres::DIALECT),
        DatabaseKind::Mysql => Some(&mysql::DIALECT),
        DatabaseKind::Redis => None,
    }
}

/// Runs a shell script in a container, with the words of `rest` as its arguments, and hands its output on.
async fn script(
    bench: &Bench<'_>,
    container: &ContainerRef,
    (script, rest): (&str, &[&str]),
    input: impl Iterator<Item = Vec<u8>>,
    output: impl FnMut(&[u8]) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    let argv = [&["sh", "-c", script, "sh"], rest].concat();
    let ended = bench.docker.exec(&container.id, &argv, input, output).await?;
    match ended.code {
        0 => Ok(()),
        code => {
            let why = if ended.complaint.is_empty() { format!("exit status {code}") } else { ended.complaint };
            Err(Trouble(format!("{}: {why}", container.name)))
        }
    }
}

/// The same with what it wrote, at most [`STRUCTURE_BYTES`] of it.
async fn told(bench: &Bench<'_>, container: &ContainerRef, of: (&str, &[&str])) -> Result<String, Trouble> {
    let mut all = Vec::new();
    let keep = |piece: &[u8]| {
        all.extend_from_slice(piece);
        if all.len() > STRUCTURE_BYTES { Err(Trouble(format!("{} tells too much", container.name))) } else { Ok(()) }
    };
    script(bench, container, of, std::iter::empty(), keep).await?;
    Ok(String::from_utf8_lossy(&all).into_owned())
}

/// The digest of a text's lines, without empty ones.
fn digest(text: &str) -> String {
    let mut digest = Sha256::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        digest.update(line.as_bytes());
        digest.update(b"\n");
    }
    hex(&digest.finalize()[..16])
}

/// A file in pieces, until its end or an error.
fn pieces(mut file: impl std::io::Read) -> impl Iterator<Item = Vec<u8>> {
    std::iter::from_fn(move || {
        let mut piece = vec![0; 64 << 10];
        let length = file.read(&mut piece).ok().filter(|length| *length > 0)?;
        piece.truncate(length);
        Some(piece)
    })
}
