//! Where the container engine may be reached, and which of these places is taken.
//!
//! The order: the config, `DOCKER_HOST`, the current docker context, and then the sockets that exist: rootless Docker,
//! rootless Podman, the system's Docker, the system's Podman. What was named by somebody is taken whether it answers or
//! not, because another engine's containers would be the wrong answer. [`candidates`] lists all of them, so that
//! `hostler doctor` can show what was passed over.

use std::path::{Path, PathBuf};

use rustix::fs::stat;
use rustix::io::Errno;
use serde::Deserialize;

use crate::domain::Failure;
use crate::host::{RootedFs, foreign};

/// What of the environment and the config decides where the engine is sought. Empty variables count as unset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The endpoint that hostler's config names.
    pub configured: Option<String>,
    /// `DOCKER_HOST`.
    pub docker_host: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub docker_context: Option<String>,
    /// The docker command's folder: `DOCKER_CONFIG`, else `.docker` in the home folder.
    pub docker_config: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`, else `/run/user/UID`.
    pub runtime_dir: Option<PathBuf>,
    /// `DOCKER_TLS_VERIFY` is set, so the engine at a TCP endpoint expects TLS.
    pub tls_verify: bool,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_this_process(configured: Option<&str>) -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let uid = rustix::process::getuid().as_raw();
        Self {
            configured: configured.filter(|endpoint| !endpoint.is_empty()).map(str::to_owned),
            docker_host: set("DOCKER_HOST"),
            docker_context: set("DOCKER_CONTEXT"),
            docker_config: set("DOCKER_CONFIG")
                .map(PathBuf::from)
                .or_else(|| set("HOME").map(|home| Path::new(&home).join(".docker"))),
            runtime_dir: Some(set("XDG_RUNTIME_DIR").map_or_else(|| format!("/run/user/{uid}").into(), PathBuf::from)),
            tls_verify: set("DOCKER_TLS_VERIFY").is_some(),
        }
    }
}

/// One place where the engine may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// In the form of `DOCKER_HOST`, such as `unix:///run/docker.sock`; empty where it could not be found out.
    pub endpoint: String,
    /// Why it is considered, as a clause: `DOCKER_HOST is set`.
    pub because: String,
    /// Somebody named it, so nothing else may be taken instead.
    pub named: bool,
    /// What can be told without connecting.
    pub standing: Standing,
    /// The group that owns the socket, if it is not root's.
    pub group: Option<String>,
}

/// What can be told of a [`Candidate`] without connecting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The socket exists.
    Exists,
    /// There is no such socket.
    Missing,
    /// Its folder may not be entered by this user.
    Hidden,
    /// A network endpoint: only connecting tells.
    Remote,
    /// It cannot be used, because of this.
    Unusable(String),
}

impl Candidate {
    /// Whether there is something that can be connected to, as far as can be told without connecting.
    pub fn exists(&self) -> bool {
        matches!(self.standing, Standing::Exists | Standing::Remote)
    }

    /// The endpoint as it is shown: without a user name and a password.
    pub fn shown(&self) -> String {
        let shown = match self.endpoint.split_once("://") {
            Some((scheme, rest)) if scheme != "unix" => {
                let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
                format!("{scheme}://{host}")
            }
            _ => self.endpoint.clone(),
        };
        foreign::name(&shown)
    }

    /// What to connect to.
    pub(super) fn address(&self) -> Result<Address, Failure> {
        if let Standing::Unusable(why) = &self.standing {
            return Err(Failure::failed(why.clone()).remedy(FORWARD));
        }
        let scheme_and_rest = self.endpoint.split_once("://");
        match scheme_and_rest {
            Some(("unix", path)) if path.starts_with('/') => Ok(Address::Unix(path.into())),
            Some(("tcp" | "http", host)) if !host.is_empty() => Ok(Address::Tcp(with_port(host))),
            Some(("ssh" | "https", _)) => Err(Failure::failed(format!(
                "{} ({}): hostler speaks neither SSH nor TLS to an engine",
                self.shown(),
                self.because
            ))
            .remedy(FORWARD)),
            _ => Err(Failure::failed(format!(
                "`{}` ({}) is no endpoint of a container engine",
                self.shown(),
                self.because
            ))
            .remedy("write unix:///path/of/docker.sock or tcp://host:port")),
        }
    }
}

/// What can be connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// A socket in the file system.
    Unix(PathBuf),
    /// `host:port`, plain HTTP.
    Tcp(String),
}

/// What to do where the engine speaks only through SSH or TLS.
const FORWARD: &str = "forward its socket, `ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock USER@HOST`, \
    and set DOCKER_HOST=unix:///tmp/docker.sock";

/// Every place where the engine may be, the preferred ones first.
pub fn candidates(around: &Surroundings, fs: &RootedFs) -> Vec<Candidate> {
    let mut found = Vec::new();
    if let Some(endpoint) = &around.configured {
        found.push(named(endpoint, "the config names it".to_owned(), around));
    }
    if let Some(endpoint) = &around.docker_host {
        found.push(named(endpoint, "DOCKER_HOST is set".to_owned(), around));
    }
    found.extend(context(around, fs));
    let sockets = [
        around.runtime_dir.as_ref().map(|folder| (folder.join("docker.sock"), "rootless Docker's socket")),
        around.runtime_dir.as_ref().map(|folder| (folder.join("podman/podman.sock"), "rootless Podman's socket")),
        Some((DEFAULT_SOCKET.into(), "Docker's default socket")),
        Some(("/run/docker.sock".into(), "Docker's default socket")),
        Some(("/run/podman/podman.sock".into(), "Podman's socket")),
    ];
    let groups = Groups::default();
    for (path, what) in sockets.into_iter().flatten() {
        found.push(socket(fs, &path, format!("it is {what}"), &groups));
    }
    found
}

const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// The one that is taken: the first that was named, else the first that exists, else the first that only the rights of
/// this user hide.
///
/// # Errors
/// When nothing was named and nothing exists: there is no container engine.
pub fn choose(candidates: &[Candidate]) -> Result<&Candidate, Failure> {
    candidates
        .iter()
        .find(|candidate| candidate.named)
        .or_else(|| candidates.iter().find(|candidate| candidate.exists()))
        .or_else(|| candidates.iter().find(|candidate| candidate.standing == Standing::Hidden))
        .ok_or_else(|| {
            let places: Vec<_> =
                candidates.iter().map(|candidate| candidate.endpoint.trim_start_matches("unix://")).collect();
            Failure::unsupported(format!("no container engine: no socket at {}", places.join(", ")))
                .remedy("install Docker or Podman, or name the engine's endpoint in DOCKER_HOST or the config")
        })
}

/// An endpoint that somebody named: taken as it stands, never below another root.
fn named(endpoint: &str, because: String, around: &Surroundings) -> Candidate {
    let live = RootedFs::new("/");
    let mut candidate = match absolute(endpoint) {
        Some(path) => socket(&live, Path::new(path), because, &Groups::default()),
        None => {
            Candidate { endpoint: endpoint.to_owned(), because, named: true, standing: Standing::Remote, group: None }
        }
    };
    candidate.named = true;
    if around.tls_verify && candidate.standing == Standing::Remote {
        candidate.standing = Standing::Unusable(format!(
            "{}: DOCKER_TLS_VERIFY is set, and hostler does not speak TLS to an engine",
            candidate.shown()
        ));
    }
    candidate
}

/// The path of a socket's endpoint.
fn absolute(endpoint: &str) -> Option<&str> {
    endpoint.strip_prefix("unix://").filter(|path| path.starts_with('/'))
}

fn socket(fs: &RootedFs, path: &Path, because: String, groups: &Groups) -> Candidate {
    let place = fs.path(path);
    let (standing, group) = match stat(&place) {
        Ok(stat) => (Standing::Exists, groups.name(fs, stat.st_gid)),
        Err(Errno::ACCESS) => (Standing::Hidden, None),
        Err(_) => (Standing::Missing, None),
    };
    Candidate { endpoint: format!("unix://{}", place.display()), because, named: false, standing, group }
}

/// The names of groups, read when the first one is asked for.
#[derive(Default)]
struct Groups(std::cell::OnceCell<String>);

impl Groups {
    fn name(&self, fs: &RootedFs, gid: u32) -> Option<String> {
        if gid == 0 {
            return None;
        }
        let table = self.0.get_or_init(|| fs.read("/etc/group").unwrap_or_default());
        let gid = gid.to_string();
        table.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)? == gid).then(|| foreign::name(name))
        })
    }
}

/// The docker command's settings, as far as they matter here.
#[derive(Deserialize)]
struct CliConfig {
    #[serde(rename = "currentContext")]
    current_context: Option<String>,
}

/// A context's `meta.json`.
#[derive(Deserialize)]
struct ContextMeta {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Endpoints", default)]
    endpoints: ContextEndpoints,
}

#[derive(Deserialize, Default)]
struct ContextEndpoints {
    docker: Option<ContextEndpoint>,
}

#[derive(Deserialize)]
struct ContextEndpoint {
    #[serde(rename = "Host")]
    host: Option<String>,
}

/// The current docker context, if one was chosen. Absent settings mean that the docker command takes its default socket,
/// which is among the sockets anyhow.
fn context(around: &Surroundings, fs: &RootedFs) -> Option<Candidate> {
    let folder = around.docker_config.as_ref()?;
    let (name, chosen_by) = if let Some(name) = &around.docker_context {
        (name.clone(), "DOCKER_CONTEXT")
    } else {
        let text = fs.read(folder.join("config.json")).ok()?;
        let config: CliConfig = serde_json::from_str(&text).ok()?;
        let name = config.current_context.filter(|name| !name.is_empty())?;
        (name, "the docker command")
    };
    let shown = foreign::name(&name);
    let because = format!("it is the docker context `{shown}`, chosen by {chosen_by}");
    if name == "default" {
        let mut candidate = socket(fs, Path::new(DEFAULT_SOCKET), because, &Groups::default());
        candidate.named = true;
        return Some(candidate);
    }
    let Some((host, tls)) = find_context(fs, folder, &name) else {
        let folder = folder.join("contexts");
        return Some(Candidate {
            endpoint: String::new(),
            because,
            named: true,
            standing: Standing::Unusable(format!(
                "the docker context `{shown}`, chosen by {chosen_by}, is not defined in {}",
                folder.display()
            )),
            group: None,
        });
    };
    let mut candidate = match absolute(&host) {
        Some(path) => socket(fs, Path::new(path), because, &Groups::default()),
        None => named(&host, because, around),
    };
    candidate.named = true;
    if tls {
        candidate.standing = Standing::Unusable(format!(
            "the docker context `{shown}` ({}) uses TLS, which hostler does not speak to an engine",
            candidate.shown()
        ));
    }
    Some(candidate)
}

/// The endpoint of a context, and whether TLS material lies beside it. The folders are named by a digest of the context's
/// name; each says in its `meta.json` whose it is.
fn find_context(fs: &RootedFs, folder: &Path, name: &str) -> Option<(String, bool)> {
    let metas = folder.join("contexts/meta");
    fs.list(&metas).ok()?.into_iter().find_map(|id| {
        let text = fs.read(metas.join(&id).join("meta.json")).ok()?;
        let meta: ContextMeta = serde_json::from_str(&text).ok()?;
        let host = meta.endpoints.docker?.host.filter(|host| !host.is_empty())?;
        let tls = fs.exists(folder.join("contexts/tls").join(&id).join("docker"));
        (meta.name == name).then_some((host, tls))
    })
}

/// A TCP endpoint's `host:port`, with the port that the docker command takes where none is given.
fn with_port(host: &str) -> String {
    let host = host.trim_end_matches('/');
    let after_brackets = host.rsplit_once(']').map_or(host, |(_, rest)| rest);
    if after_brackets.contains(':') { host.to_owned() } else { format!("{host}:2375") }
}

#[cfg(test)]
mod tests;
