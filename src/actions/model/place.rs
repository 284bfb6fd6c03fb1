//! From what a person writes to a model: `NAME`, or `ENGINE:PORT/NAME` where several servers have it.

use futures_util::StreamExt;
use futures_util::stream;

use crate::actions::target::{self, Target, nearest};
use crate::actions::{Desk, Refusal};
use crate::domain::{Container, EngineKind, Failure, ModelName, ModelRef, Reading, ServedModel};
use crate::engines::{self, ENGINES, Probe, STARTERS};
use crate::host::sockets::{self, Listener, Owner};
use crate::host::{Origin, foreign};

/// Servers asked at the same time.
const AT_ONCE: usize = 16;

/// The longest name of a model, bytes.
const NAME_BYTES: usize = 512;

/// An inference server of this host.
pub(super) struct Server {
    pub(super) kind: EngineKind,
    pub(super) origin: Origin,
    /// The process that listens, where it may be read.
    pub(super) owner: Option<Owner>,
    pub(super) models: Reading<Vec<ModelRef>>,
}

impl Server {
    /// As it is written in a target: `ollama:11434`.
    pub(super) fn word(&self) -> String {
        format!("{}:{}", self.kind.word(), self.origin.port())
    }

    /// A model of it, for a plan.
    pub(super) fn model(&self, name: impl Into<String>) -> ServedModel {
        ServedModel { engine: self.kind, endpoint: self.origin.to_string(), name: name.into() }
    }

    /// The lock that keeps two runs from one name.
    pub(super) fn lock(&self, name: &str) -> String {
        format!("model/{}/{name}", self.word())
    }

    /// The container that it runs in: of one whose port is published, the engine's proxy listens for it.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub(super) async fn container(&self, desk: &Desk) -> Result<Option<Target>, Refusal> {
        let Some(owner) = &self.owner else { return Ok(None) };
        if owner.container.is_none() && !owner.is_forwarder() {
            return Ok(None);
        }
        let docker = desk.docker().await?;
        let is_it = |container: &Container| {
            owner.container.as_ref().map_or_else(|| container.publishes(self.origin.port()), |id| container.id == *id)
        };
        let Some(found) = docker.list().await?.into_iter().find(is_it) else { return Ok(None) };
        Ok(target::resolve(docker, &[found.name.to_string()]).await?.pop())
    }

    /// The model that has this name.
    fn has(&self, name: &str) -> Option<&ModelRef> {
        let models = self.models.known()?;
        if self.kind == EngineKind::Ollama {
            let name = name.parse::<ModelName>().ok()?.to_string();
            return models.iter().find(|model| engines::is_same(&model.name, &name));
        }
        models.iter().find(|model| model.name == name)
    }
}

/// A model that an action is about.
pub(super) struct Place {
    pub(super) server: Server,
    pub(super) model: ModelRef,
}

impl Place {
    /// Where it stands, as it is written: `ollama:11434/qwen3:32b`.
    pub(super) fn shown(&self) -> String {
        format!("{}/{}", self.server.word(), self.model.name)
    }

    /// What a plan keeps of it.
    pub(super) fn served(&self) -> ServedModel {
        self.server.model(self.model.name.clone())
    }
}

/// What is written of a model.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Written<'a> {
    /// The server that it must be at.
    pub(super) at: Option<(EngineKind, u16)>,
    pub(super) name: &'a str,
}

impl<'a> Written<'a> {
    /// Reads it, and refuses what can be no name before anybody is asked.
    ///
    /// # Errors
    /// When it is no name.
    pub(super) fn parse(text: &'a str) -> Result<Self, Refusal> {
        let qualified = text.split_once('/').and_then(|(at, name)| Some(Self { at: Some(engine(at)?), name }));
        let written = qualified.unwrap_or(Self { at: None, name: text });
        let name = written.name;
        let plain = !name.is_empty() && name.len() <= NAME_BYTES && foreign::name(name) == name;
        if !plain || name.split('/').any(|part| part == "..") {
            return Err(Refusal::new(format!("`{}` is no name of a model", foreign::name(name))));
        }
        if let Some((EngineKind::Ollama, _)) = written.at {
            ollama_name(name)?;
        }
        Ok(written)
    }
}

/// The server that `ENGINE:PORT` names.
pub(super) fn engine(text: &str) -> Option<(EngineKind, u16)> {
    let (word, port) = text.rsplit_once(':')?;
    let kind = ENGINES.iter().map(|spec| spec.kind).find(|kind| kind.word() == word)?;
    Some((kind, port.parse().ok()?))
}

/// A name that Ollama accepts.
///
/// # Errors
/// When it does not.
pub(super) fn ollama_name(name: &str) -> Result<ModelName, Refusal> {
    name.parse().map_err(|error: crate::domain::NoModelName| Refusal::new(error.to_string()))
}

/// The one model of a wish.
///
/// # Errors
/// When there is not one target, or it cannot be told which model it is.
pub(super) async fn only(desk: &Desk, targets: &[String]) -> Result<Place, Refusal> {
    match resolve(desk, targets).await?.pop() {
        Some(place) if targets.len() == 1 => Ok(place),
        _ => Err(Refusal::new("one model at a time")),
    }
}

/// The models that are meant.
///
/// # Errors
/// When none is named, one is not there, or several servers have it.
pub(super) async fn resolve(desk: &Desk, targets: &[String]) -> Result<Vec<Place>, Refusal> {
    if targets.is_empty() {
        return Err(Refusal::new("name a model, as NAME or ENGINE:PORT/NAME: `qwen3:32b`, `ollama:11434/qwen3:32b`"));
    }
    let mut places = Vec::new();
    for target in targets {
        let written = Written::parse(target)?;
        let mut servers = servers(desk, written.at).await?;
        let mut having: Vec<usize> =
            (0..servers.len()).filter(|index| servers[*index].has(written.name).is_some()).collect();
        match having.as_slice() {
            [index] => {
                let server = servers.swap_remove(*index);
                let model = server.has(written.name).cloned().unwrap_or_default();
                places.push(Place { server, model });
            }
            [] => return Err(missing(&servers, &written)),
            _ => {
                let words = having.drain(..).map(|index| format!("{}/{}", servers[index].word(), written.name));
                let words: Vec<String> = words.collect();
                return Err(Refusal::new(format!(
                    "several servers have {}: write {}",
                    written.name,
                    words.join(" or ")
                )));
            }
        }
    }
    Ok(places)
}

/// Why a model is not found.
fn missing(servers: &[Server], written: &Written<'_>) -> Refusal {
    let name = written.name;
    if servers.is_empty() {
        let at = written.at.map_or(String::new(), |(kind, port)| format!(" ({} at port {port})", kind.title()));
        return Refusal::new(format!(
            "no inference server answers{at}: start it, or name where it listens in the config (engines)"
        ));
    }
    let silent = servers.iter().filter_map(|server| match &server.models {
        Reading::Unavailable(why) => Some(format!("; {} does not tell its models: {why}", server.word())),
        Reading::Known(_) => None,
    });
    let silent: String = silent.collect();
    let known = servers.iter().flat_map(|server| server.models.known().into_iter().flatten());
    let whole = name.parse::<ModelName>().map_or_else(|_| name.to_owned(), |name| name.to_string());
    let near = nearest(&whole, known.map(|model| model.name.as_str()));
    Refusal::new(format!("there is no model `{name}`{near}{silent}"))
}

/// The one Ollama that is meant, where a model need not be there yet.
///
/// # Errors
/// When there is none, or several and it is not said which.
pub(super) async fn ollama(desk: &Desk, written: &Written<'_>) -> Result<Server, Refusal> {
    if let Some((kind, _)) = written.at.filter(|(kind, _)| *kind != EngineKind::Ollama) {
        return Err(Refusal::new(format!("names are moved and pulled at Ollama only, not at {}", kind.title())));
    }
    let mut found = servers(desk, written.at).await?;
    found.retain(|server| server.kind == EngineKind::Ollama);
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(Refusal::new("no Ollama answers: start it, or name where it listens in the config (engines)")),
        _ => {
            let words: Vec<String> = found.iter().map(|server| format!("{}/{}", server.word(), written.name)).collect();
            Err(Refusal::new(format!("there are several: write {}", words.join(" or "))))
        }
    }
}

/// The inference servers of this host: what listens and can be asked, and what the config names. Where it is known which one
/// is meant, only its port is asked.
///
/// # Errors
/// When the list of sockets cannot be read.
pub(super) async fn servers(desk: &Desk, at: Option<(EngineKind, u16)>) -> Result<Vec<Server>, Refusal> {
    let is_meant = |origin: &Origin| at.is_none_or(|(_, port)| origin.port() == port);
    let fs = desk.ports.fs.clone();
    let found = desk.blocking(move || {
        let listeners = sockets::listeners(&fs)?;
        let inodes: Vec<u64> = listeners.iter().map(|listener| listener.inode).collect();
        let owners = sockets::owners(&fs, &inodes, STARTERS);
        Ok::<_, std::io::Error>((engines::reachable(&listeners), owners))
    });
    let (reachable, owners) = found.await?.map_err(|error| Failure::failed(error.to_string()))?;
    let mut asked: Vec<(Origin, Option<Origin>, Option<Owner>)> = Vec::new();
    for (origin, (fallback, inode)) in reachable.into_iter().filter(|(origin, _)| is_meant(origin)) {
        let owner = owners.of(&Listener { address: origin.address(), inode }).cloned();
        let named = desk.engine_endpoints.contains(&origin);
        let is_left_alone =
            || engines::is_spared_with(origin.port(), owner.as_ref()) || owner.as_ref().is_some_and(engines::is_child);
        if named || !is_left_alone() {
            asked.push((origin, fallback, owner));
        }
    }
    let known: Vec<Origin> = asked.iter().map(|(origin, ..)| *origin).collect();
    let named = desk.engine_endpoints.iter().filter(|origin| is_meant(origin) && !known.contains(origin));
    asked.extend(named.map(|origin| (*origin, None, None)));
    let mut servers: Vec<Server> = stream::iter(asked)
        .map(|(origin, fallback, owner)| async move {
            let (origin, (kind, models)) = match (look(desk, origin).await, fallback) {
                (Some(found), _) => (origin, found),
                (None, fallback) => {
                    let origin = fallback?;
                    (origin, look(desk, origin).await?)
                }
            };
            Some(Server { kind, origin, owner, models })
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(|found| async move { found })
        .collect()
        .await;
    servers.retain(|server| at.is_none_or(|(kind, _)| server.kind == kind));
    servers.sort_by_key(|server| server.origin);
    Ok(servers)
}

/// What answers there, if it is an inference server.
async fn look(desk: &Desk, origin: Origin) -> Option<(EngineKind, Reading<Vec<ModelRef>>)> {
    let mut probe = Probe::new(&desk.ports.http, origin);
    let spec = engines::identify(&mut probe).await.ok()??;
    Some((spec.kind, spec.read(&mut probe).await.models))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Why;

    fn server(kind: EngineKind, port: u16, models: &[&str]) -> Server {
        let models = models.iter().map(|name| ModelRef { name: (*name).to_owned(), ..ModelRef::default() });
        Server {
            kind,
            origin: Origin::new(([127, 0, 0, 1], port).into()).unwrap(),
            owner: None,
            models: Reading::Known(models.collect()),
        }
    }

    #[test]
    fn a_server_may_stand_before_the_name() {
        let parse = |text| Written::parse(text).unwrap();
        let ollama = Some((EngineKind::Ollama, 11434));
        assert_eq!(parse("ollama:11434/me/m:1"), Written { at: ollama, name: "me/m:1" });
        assert_eq!(parse("llama.cpp:8080//models/a.gguf").name, "/models/a.gguf");
        // A registry's host is no server of ours.
        assert_eq!(parse("box:5000/me/m"), Written { at: None, name: "box:5000/me/m" });
        for text in ["", "ollama:11434/", "a\u{1b}b", "ollama:11434/a b", "../a", "/models/../../etc/passwd"] {
            assert!(Written::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_without_its_tag_is_the_latest_at_ollama_only() {
        let ollama = server(EngineKind::Ollama, 11434, &["qwen3:latest"]);
        assert!(ollama.has("qwen3").is_some() && ollama.has("Qwen3:Latest").is_some() && ollama.has("qwen").is_none());
        let other = server(EngineKind::Vllm, 8000, &["Qwen/Qwen3"]);
        assert!(other.has("Qwen/Qwen3").is_some() && other.has("qwen/qwen3").is_none());
    }

    #[test]
    fn what_is_missing_is_told_with_what_is_near() {
        let mut servers = vec![server(EngineKind::Ollama, 11434, &["qwen3:latest"])];
        let written = Written { at: None, name: "qwen:latest" };
        assert!(missing(&servers, &written).to_string().contains("qwen3:latest"));
        servers[0].models = Reading::Unavailable(Why::new("it asks for an API key".to_owned()));
        assert!(missing(&servers, &written).to_string().contains("ollama:11434 does not tell its models: it asks"));
        assert!(missing(&[], &written).to_string().contains("no inference server answers"));
    }
}
