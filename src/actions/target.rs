//! From what a person writes to containers: a name, `project/`, `project/service`.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::Refusal;
use super::ops::is_kept;
use crate::domain::{Container, ContainerRef};
use crate::host::DockerClient;

/// A container that an action is about, as the engine has it now.
pub(super) struct Target {
    /// What hostler knows of it.
    pub(super) container: Container,
    /// All that the engine says of it.
    pub(super) raw: Value,
}

impl Target {
    /// What a plan keeps of it.
    pub(super) fn reference(&self) -> ContainerRef {
        ContainerRef { id: self.container.id.clone(), name: self.container.name.to_string() }
    }

    /// Its name on screen: `project/service` where that names it alone.
    pub(super) fn shown(&self) -> String {
        match (&self.container.project, &self.container.service) {
            (Some(project), Some(service)) => format!("{project}/{service}"),
            _ => self.container.name.to_string(),
        }
    }

    /// The lock that keeps two runs from it.
    pub(super) fn lock(&self) -> String {
        format!("container/{}", self.container.name)
    }

    /// One of its labels.
    pub(super) fn label(&self, key: &str) -> Option<&str> {
        self.raw.get("Config")?.get("Labels")?.get(key)?.as_str()
    }

    /// The engine removes it as soon as it ends.
    pub(super) fn goes_when_it_ends(&self) -> bool {
        self.is("AutoRemove")
    }

    /// It may do everything to the host.
    pub(super) fn is_privileged(&self) -> bool {
        self.is("Privileged")
    }

    /// What the engine's word of it says that is true or false.
    fn is(&self, word: &str) -> bool {
        self.raw.get("HostConfig").and_then(|host| host.get(word)?.as_bool()).unwrap_or(false)
    }

    /// What is mounted in it of this kind (`volume`, `bind`), as the engine tells of it.
    pub(super) fn mounts(&self, kind: &'static str) -> impl Iterator<Item = &Value> {
        let mounts = self.raw.get("Mounts").and_then(Value::as_array).into_iter().flatten();
        mounts.filter(move |mount| mount.get("Type").and_then(Value::as_str) == Some(kind))
    }

    /// The TCP ports at which this host reaches it, each with the one inside: those that it publishes, or, where it shares the
    /// host's network, those that its image names.
    pub(super) fn tcp_ports(&self) -> Vec<(u16, u16)> {
        if self.raw.pointer("/HostConfig/NetworkMode").and_then(Value::as_str) != Some("host") {
            let tcp = self.container.ports.iter().filter(|port| port.protocol == "tcp");
            return tcp.map(|port| (port.host_port, port.container_port)).collect();
        }
        let named = self.raw.pointer("/Config/ExposedPorts").and_then(Value::as_object);
        let numbers = named.into_iter().flatten().filter_map(|(port, _)| port.strip_suffix("/tcp")?.parse().ok());
        numbers.map(|port: u16| (port, port)).collect()
    }

    /// The TCP ports on which it listens inside, as far as it is told: those that it publishes, and those that it names.
    pub(super) fn own_tcp_ports(&self) -> Vec<u16> {
        let named = self.raw.pointer("/Config/ExposedPorts").and_then(Value::as_object);
        let named = named.into_iter().flatten().filter_map(|(port, _)| port.strip_suffix("/tcp")?.parse().ok());
        let mut ports: Vec<u16> = self.tcp_ports().into_iter().map(|(_, own)| own).chain(named).collect();
        let mut seen = HashSet::new();
        ports.retain(|port| seen.insert(*port));
        ports
    }

    /// Services of its project that must be up before it.
    pub(super) fn depends_on(&self) -> impl Iterator<Item = &str> {
        // `db:service_healthy:true,redis:service_started:false`
        let label = self.label("com.docker.compose.depends_on").unwrap_or_default();
        label.split(',').filter_map(|entry| entry.split(':').next()).filter(|service| !service.is_empty())
    }
}

/// The variables of a container as the engine tells of it, each `NAME=value`.
pub(super) fn env(raw: &Value) -> Vec<&str> {
    let env = raw.pointer("/Config/Env").and_then(Value::as_array);
    env.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The containers that `names` mean, each once, those that others need first.
///
/// # Errors
/// When nothing is named, a name means nothing, or the engine does not answer.
pub(super) async fn resolve(docker: &DockerClient, names: &[String]) -> Result<Vec<Target>, Refusal> {
    if names.is_empty() {
        return Err(Refusal::new("name a container, `project/` or `project/service`"));
    }
    let listed = docker.list().await?;
    let mut found: Vec<&Container> = Vec::new();
    for name in names {
        for container in meant(&listed, name)? {
            if !found.iter().any(|known| known.id == container.id) {
                found.push(container);
            }
        }
    }
    let mut targets = Vec::with_capacity(found.len());
    for container in found {
        let inspected = docker.inspect(&container.id).await?;
        let raw = docker.inspect_raw(&container.id.0).await?;
        let (Some(inspected), Some(raw)) = (inspected, raw) else {
            return Err(Refusal::new(format!("{} is gone", container.name)));
        };
        targets.push(Target { container: inspected.container, raw });
    }
    Ok(in_order(targets))
}

/// The containers that one name means.
fn meant<'a>(listed: &'a [Container], name: &str) -> Result<Vec<&'a Container>, Refusal> {
    // Old versions that are kept have the labels of their project, too, and are meant only by their own names.
    let is_of = |container: &Container, project: &str| {
        container.project.as_deref() == Some(project) && !is_kept(&container.name)
    };
    let of_name = || listed.iter().filter(|container| *container.name == *name).collect::<Vec<_>>();
    let found = match name.split_once('/') {
        Some((project, "")) => listed.iter().filter(|container| is_of(container, project)).collect(),
        Some((project, service)) => listed
            .iter()
            .filter(|container| is_of(container, project))
            .filter(|container| container.service.as_deref() == Some(service))
            .collect(),
        None => of_name(),
    };
    if !found.is_empty() {
        return Ok(found);
    }
    let hint = nearest(name, listed.iter().map(|container| &*container.name));
    let what = if name.contains('/') { "project or service" } else { "container" };
    Err(Refusal::new(format!("there is no {what} `{name}`{hint}")))
}

/// `; did you mean …?`, where something is called nearly so.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let nearest = known.map(|known| (strsim::damerau_levenshtein(known, name), known)).min();
    nearest
        .filter(|(distance, _)| *distance <= 3)
        .map_or_else(String::new, |(_, near)| format!("; did you mean `{near}`?"))
}

/// What others need first; what waits for itself in a circle keeps its order by name.
fn in_order(mut targets: Vec<Target>) -> Vec<Target> {
    targets.sort_by(|a, b| a.container.name.cmp(&b.container.name));
    let depth: HashMap<String, usize> = {
        let by_service: HashMap<(&str, &str), &Target> = targets
            .iter()
            .filter_map(|target| {
                Some(((target.container.project.as_deref()?, target.container.service.as_deref()?), target))
            })
            .collect();
        let depth = |target: &Target| (target.container.name.to_string(), depth_of(target, &by_service, 0));
        targets.iter().map(depth).collect()
    };
    targets.sort_by_key(|target| depth.get(&*target.container.name).copied().unwrap_or(0));
    targets
}

/// How many others must be up before it, one after the other; a circle ends at 32.
fn depth_of(target: &Target, by_service: &HashMap<(&str, &str), &Target>, seen: usize) -> usize {
    if seen >= 32 {
        return 0;
    }
    let project = target.container.project.as_deref().unwrap_or_default();
    let needs = target.depends_on().filter_map(|service| by_service.get(&(project, service)));
    needs.map(|needed| 1 + depth_of(needed, by_service, seen + 1)).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::kept_name;
    use crate::make;

    fn target(name: &str, depends_on: &str) -> Target {
        let container = make::container(name).project("p", name).0;
        Target { container, raw: json!({"Config": {"Labels": {"com.docker.compose.depends_on": depends_on}}}) }
    }

    fn order(targets: Vec<Target>) -> Vec<String> {
        in_order(targets).iter().map(|target| target.container.name.to_string()).collect()
    }

    #[test]
    fn what_others_need_comes_first() {
        let web = target("a-web", "api:service_started:true");
        let api = target("api", "db:service_healthy:true,redis:service_started:false");
        let all = vec![web, api, target("redis", ""), target("db", "")];
        assert_eq!(order(all), ["db", "redis", "api", "a-web"]);
    }

    #[test]
    fn an_old_version_that_is_kept_is_meant_only_by_its_name() {
        let kept = kept_name("p-api-1", "20260101-000000-0000");
        let listed = ["p-api-1", &kept].map(|name| make::container(name).project("p", "api").0);
        let names = |name| -> Vec<&str> { meant(&listed, name).unwrap().iter().map(|found| &*found.name).collect() };
        assert_eq!(names("p/"), ["p-api-1"]);
        assert_eq!(names("p/api"), ["p-api-1"]);
        assert_eq!(names(&kept), [kept.as_str()]);
    }

    #[test]
    fn a_circle_ends() {
        let all = vec![target("a", "b"), target("b", "a")];
        assert_eq!(order(all).len(), 2);
    }
}
