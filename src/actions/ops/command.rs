//! A program of the operator's: run without a shell, its lines kept with the run, its secrets nowhere.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::{Done, Trouble, tell};
use crate::actions::Desk;
use crate::domain::secret::{MASK, mask_text};
use crate::domain::{OwnCommand, RunEntry};
use crate::history::RunFile;
use crate::host::{ExecError, Running, settings};

/// The most lines that are kept of what it writes.
const LINES: usize = 1_000;
/// A shorter secret is no secret, and would be found everywhere.
const LEAST_SECRET: usize = 4;

/// Runs it to its end. Dropping the future ends it, and what it started.
pub(super) async fn run(desk: &Desk, file: &mut RunFile, command: &OwnCommand) -> Result<Done, Trouble> {
    let secrets = secrets(desk, &command.secrets).await?;
    let env = command.env.iter().chain(&secrets).map(|(name, value)| (name.as_str(), value.as_str()));
    let program = command.argv.first().map_or("", String::as_str);
    let trouble = |error: ExecError| Trouble(format!("{program}: {error}"));
    let patience = Duration::from_secs(command.seconds);
    let mut running = Running::start(&command.argv, env, patience).map_err(trouble)?;
    let (mut count, mut last) = (0_usize, String::new());
    while let Some(line) = running.line().await.map_err(trouble)? {
        last = masked(&line, &secrets);
        count += 1;
        if count <= LINES {
            tell(desk, file, RunEntry::Said { text: last.clone() });
        }
    }
    if let Some(more) = count.checked_sub(LINES).filter(|more| *more > 0) {
        tell(desk, file, RunEntry::Said { text: format!("… and {more} more lines") });
    }
    match running.end().await.map_err(trouble)? {
        0 => Ok(Done::default()),
        status if last.is_empty() => Err(Trouble(format!("{program} ended with {status}"))),
        status => Err(Trouble(format!("{program} ended with {status}: {last}"))),
    }
}

/// The variables whose values stand in files.
async fn secrets(desk: &Desk, files: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Trouble> {
    let mut secrets = BTreeMap::new();
    for (name, path) in files {
        let file = path.clone();
        let read = desk.blocking(move || settings::read(Path::new(&file))).await?;
        let bytes = read.map_err(|error| Trouble(format!("the secret {name} cannot be read from {path}: {error}")))?;
        let text = String::from_utf8(bytes).map_err(|_| Trouble(format!("the secret {name} in {path} is no text")))?;
        secrets.insert(name.clone(), text.trim_end_matches(['\r', '\n']).to_owned());
    }
    Ok(secrets)
}

/// A line without the secrets that it was given, nor anything else that looks like one.
fn masked(line: &str, secrets: &BTreeMap<String, String>) -> String {
    let known = secrets.values().flat_map(|value| value.lines()).filter(|value| value.len() >= LEAST_SECRET);
    mask_text(&known.fold(line.to_owned(), |line, secret| line.replace(secret, MASK)))
}
