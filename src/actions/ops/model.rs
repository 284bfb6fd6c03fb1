//! Operations on models: each looks what a name means before it changes that, so that it can be begun again, and changes
//! nothing that somebody else changed meanwhile.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Done, Trouble, changed, leftovers, tell, transfer};
use crate::actions::Desk;
use crate::domain::{EngineKind, ModelOp, Over, RunEntry, ServedModel, units};
use crate::engines::{self, ControlError, Generated, HeldModel, Ollama, Pulling, Router, RouterError, Untried};
use crate::history::RunFile;
use crate::host::{Origin, edit};

/// How long a model may take to load: Ollama gives up one that makes no progress for five minutes.
const LOAD_PATIENCE: Duration = Duration::from_mins(15);

/// The time between two records of progress.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// The time between two looks whether a server answers again.
const LOOK_EVERY: Duration = Duration::from_millis(500);

impl From<ControlError> for Trouble {
    fn from(error: ControlError) -> Self {
        Self(error.to_string())
    }
}

impl From<RouterError> for Trouble {
    fn from(error: RouterError) -> Self {
        Self(error.to_string())
    }
}

/// Carries one out.
pub(super) async fn perform(desk: &Desk, file: &mut RunFile, op: &ModelOp) -> Result<Done, Trouble> {
    match op {
        ModelOp::Load { model } => load(desk, model).await,
        ModelOp::Unload { model } => unload(desk, model).await,
        ModelOp::Copy { endpoint, from, digest, to, over } => {
            let ollama = Ollama::new(&desk.ports.http, origin(endpoint)?);
            copy(&ollama, (from, digest), (to, over)).await
        }
        ModelOp::Delete { endpoint, name, digest, beside } => {
            let ollama = Ollama::new(&desk.ports.http, origin(endpoint)?);
            delete(&ollama, name, digest.as_deref(), beside.as_deref()).await
        }
        ModelOp::Pull { endpoint, name } => pull(desk, file, origin(endpoint)?, name).await,
        ModelOp::Generate { model, seconds } => generate(desk, file, model, *seconds).await,
        ModelOp::CopyFiles { from, to } => transfer::copy(desk, file, from, to).await,
        ModelOp::PlaceLink { path, to, bytes } => transfer::place(desk, path, to, *bytes).await,
        ModelOp::RemoveCopy { path, beside } => transfer::remove(desk, path, beside).await,
        ModelOp::RemoveLeftovers { store, place, files } => leftovers::remove(desk, *store, place, files).await,
        ModelOp::Link { path, to, over } => link(desk, path, to.as_deref(), over.as_deref()).await,
    }
}

fn origin(endpoint: &str) -> Result<Origin, Trouble> {
    endpoint.parse().map_err(|error| Trouble(format!("{endpoint}: {error}")))
}

async fn load(desk: &Desk, model: &ServedModel) -> Result<Done, Trouble> {
    let (http, origin) = (&desk.ports.http, origin(&model.endpoint)?);
    match model.engine {
        EngineKind::Ollama => Ollama::new(http, origin).load(&model.name, LOAD_PATIENCE).await?,
        EngineKind::LlamaCpp => Router::new(http, origin).load(&model.name, LOAD_PATIENCE).await?,
        other => return Err(Trouble(format!("{} loads no model when it is told to", other.title()))),
    }
    Ok(Done::default())
}

async fn unload(desk: &Desk, model: &ServedModel) -> Result<Done, Trouble> {
    let (http, origin) = (&desk.ports.http, origin(&model.endpoint)?);
    match model.engine {
        EngineKind::Ollama => match Ollama::new(http, origin).unload(&model.name).await {
            // What is gone is in no memory.
            Ok(()) | Err(ControlError::NoModel(_)) => {}
            Err(error) => return Err(error.into()),
        },
        EngineKind::LlamaCpp => Router::new(http, origin).unload(&model.name).await?,
        other => return Err(Trouble(format!("{} lets no model go when it is told to", other.title()))),
    }
    Ok(Done::default())
}

/// A digest as it is shown: as many digits as Ollama's own list has.
pub(in crate::actions) fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

fn digest_of<'a>(models: &'a [HeldModel], name: &str) -> Option<&'a str> {
    models.iter().find(|model| engines::is_same(&model.name, name)).map(|model| model.digest.as_str())
}

async fn copy(ollama: &Ollama<'_>, (from, digest): (&str, &str), (to, over): (&str, &Over)) -> Result<Done, Trouble> {
    let models = ollama.models().await?;
    let before = digest_of(&models, to);
    if before == Some(digest) {
        return Ok(Done::default());
    }
    match (over, before) {
        // A name that nobody has takes nothing away.
        (_, None) | (Over::Anything, _) => {}
        (Over::Digest(expected), Some(before)) if expected == before => {}
        (_, Some(before)) => return Err(changed(&format!("{to} is {} now", short(before)))),
    }
    match digest_of(&models, from) {
        Some(found) if found == digest => {}
        Some(found) => return Err(changed(&format!("{from} is {} now", short(found)))),
        None => return Err(changed(&format!("{from} is gone"))),
    }
    ollama.copy(from, to).await?;
    match ollama.digest(to).await? {
        Some(found) if found == digest => {}
        _ => return Err(Trouble(format!("Ollama said that {to} is {from} now, and it is not"))),
    }
    let was = before.map_or_else(String::new, |before| format!(", it was {}", short(before)));
    Ok(Done::saying(format!("{to} is {}{was}", short(digest))))
}

async fn delete(ollama: &Ollama<'_>, name: &str, digest: Option<&str>, beside: Option<&str>) -> Result<Done, Trouble> {
    let models = ollama.models().await?;
    let Some(found) = digest_of(&models, name) else { return Ok(Done::default()) };
    if digest.is_some_and(|digest| digest != found) {
        return Err(changed(&format!("{name} is {} now", short(found))));
    }
    if let Some(beside) = beside
        && digest_of(&models, beside) != Some(found)
    {
        return Ok(Done::saying(format!("{name} stays: {beside} is another model now")));
    }
    match ollama.delete(name).await {
        Ok(()) | Err(ControlError::NoModel(_)) => Ok(Done::default()),
        Err(error) => Err(error.into()),
    }
}

/// Layers of a pull, and how far each is.
#[derive(Default)]
struct Layers(BTreeMap<String, (u64, u64)>);

impl Layers {
    fn take(&mut self, pulling: &Pulling) {
        if pulling.total > 0 {
            self.0.insert(pulling.status.clone(), (pulling.done, pulling.total));
        }
    }

    /// Bytes that are here, and bytes in all, as far as it has told.
    fn sum(&self) -> (u64, u64) {
        self.0.values().fold((0, 0), |sum, layer| (sum.0.saturating_add(layer.0), sum.1.saturating_add(layer.1)))
    }
}

async fn pull(desk: &Desk, file: &mut RunFile, origin: Origin, name: &str) -> Result<Done, Trouble> {
    let ollama = Ollama::new(&desk.ports.http, origin);
    let before = ollama.digest(name).await?;
    let (mut layers, mut told) = (Layers::default(), None::<Instant>);
    let pulled = ollama.pull(name, |pulling| {
        layers.take(&pulling);
        if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            told = Some(Instant::now());
            let (done, total) = layers.sum();
            tell(desk, file, RunEntry::Progress { text: pulling.status, done, total });
        }
    });
    if let Err(error) = pulled.await {
        let rest = match layers.sum() {
            (_, 0) => String::new(),
            (done, total) => {
                let (done, total) = (units::bytes(done), units::bytes(total));
                format!("; {done} of {total} are here, and pulling again goes on from there")
            }
        };
        return Err(Trouble(format!("{name} was not pulled: {error}{rest}")));
    }
    let now = ollama.digest(name).await?;
    let now = now.ok_or_else(|| Trouble(format!("Ollama said that it pulled {name}, and does not have it")))?;
    Ok(Done::saying(match before {
        Some(before) if before == now => format!("{name} is the newest already: {}", short(&now)),
        Some(before) => format!("{name} is {}, it was {}", short(&now), short(&before)),
        None => format!("{name} is {}", short(&now)),
    }))
}

/// Has a model generate a few tokens. Where that cannot be tried it is said, and is no failure.
async fn generate(desk: &Desk, file: &mut RunFile, model: &ServedModel, seconds: u64) -> Result<Done, Trouble> {
    let (origin, name) = (origin(&model.endpoint)?, &model.name);
    let (began, patience) = (Instant::now(), Duration::from_secs(seconds));
    tell(desk, file, RunEntry::Progress { text: format!("{name} is asked to generate"), done: 0, total: 0 });
    loop {
        let left = patience.saturating_sub(began.elapsed());
        match engines::generate(&desk.ports.http, origin, Some(name), left.max(LOOK_EVERY)).await {
            Ok(Generated { model, text }) => {
                let took = units::span(began.elapsed());
                return Ok(Done::saying(format!("{model} generated in {took}: {text}")));
            }
            Err(why @ (Untried::Embeds(_) | Untried::NeedsKey)) => {
                return Ok(Done::saying(format!("{name} was not tried: {why}")));
            }
            Err(Untried::NotThere(_)) if !left.is_zero() => sleep(LOOK_EVERY).await,
            Err(why) => return Err(Trouble(why.to_string())),
        }
    }
}

async fn link(desk: &Desk, path: &str, to: Option<&str>, over: Option<&str>) -> Result<Done, Trouble> {
    let (fs, place, target) = (desk.ports.fs.clone(), path.to_owned(), to.map(str::to_owned));
    let expected = over.map(str::to_owned);
    let switched = desk.blocking(move || edit::point(&fs, Path::new(&place), target.as_deref(), expected.as_deref()));
    let switched = switched.await?;
    match switched {
        Ok(edit::Pointed::Already) => Ok(Done::default()),
        Ok(edit::Pointed::Now) => {
            let was = over.map_or_else(String::new, |over| format!(", it was {over}"));
            Ok(Done::saying(format!("{path} is {}{was}", to.unwrap_or("gone"))))
        }
        Ok(edit::Pointed::Elsewhere(now)) => Err(changed(&format!("{path} is {now} now"))),
        Err(error) => Err(Trouble(format!("{path} cannot be switched: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_of_a_pull_are_summed_once_each() {
        let mut layers = Layers::default();
        for (status, done, total) in
            [("pulling manifest", 0, 0), ("pulling aa", 10, 100), ("pulling aa", 100, 100), ("pulling bb", 1, 50)]
        {
            layers.take(&Pulling { status: status.to_owned(), done, total });
        }
        assert_eq!(layers.sum(), (101, 150));
    }
}
