//! Prune: what the container engine holds and nothing needs, kind by kind, each a step that can be added and dropped.
//!
//! What uses what is decided before anything goes. So an image that only a container of the same plan uses stays: it was in
//! use when the plan was looked at, and a second prune takes it.

use std::cmp::Reverse;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};

use super::remove::{age, command, image_items, inexact, volume_item};
use super::{Action, Desk, Refusal, Wish, stock};
use crate::domain::{
    ActionSpec, BuildCache, ContainerRef, ContainerSpace, DockerDisk, DockerNetwork, DockerVolume, Failure, Image,
    ImagesSeen, Item, Op, Plan, Risk, Step, kept_of,
};
use crate::host::{DockerClient, Inspected};

/// A single container is rubbish when it has been down for so long.
const OLD: SignedDuration = SignedDuration::from_hours(7 * 24);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// Questions at the same time.
const AT_ONCE: usize = 8;
/// Names in a list of what stays; more are counted.
const NAMED: usize = 3;

/// Cleans up.
pub(super) struct Prune;

impl Action for Prune {
    fn spec(&self) -> &'static ActionSpec {
        super::spec("docker.prune")
    }

    fn plan<'a>(&'a self, desk: &'a Desk, wish: &'a Wish) -> LocalBoxFuture<'a, Result<Plan, Refusal>> {
        Box::pin(async move {
            if !wish.targets.is_empty() {
                let why = "docker.prune goes through all that the engine holds: name no target; \
                           image.remove and volume.remove take names";
                return Err(Refusal::new(why));
            }
            let disk = stock::read(desk).await?;
            let down = down(desk.docker().await?, &disk).await?;
            let state_dir = desk.state_dir.clone();
            let seen = desk.blocking(move || state_dir.images_seen()).await?;
            Ok(Rubbish { disk: &disk, down: &down, seen: &seen, now: desk.ports.clock.now().wall }.plan())
        })
    }
}

/// A container that is down and that nobody keeps.
struct Down<'a> {
    space: &'a ContainerSpace,
    /// How it ended, or that it never ran.
    how: String,
    /// When its last run ended; `None` if it never ran.
    ended: Option<Timestamp>,
    /// Since when it has been down.
    since: Option<Timestamp>,
}

/// The containers that are down and that nobody keeps, with how and when they ended.
async fn down<'a>(docker: &DockerClient, disk: &'a DockerDisk) -> Result<Vec<Down<'a>>, Failure> {
    let spaces = disk.containers.iter().filter(|space| !space.up && !space.keep);
    let asked = stream::iter(spaces).map(|space| async move {
        let inspected = docker.inspect(&space.id).await?;
        Ok::<_, Failure>(inspected.map(|inspected| of(space, &inspected)))
    });
    let down: Vec<Option<Down<'_>>> = asked.buffered(AT_ONCE).try_collect().await?;
    Ok(down.into_iter().flatten().collect())
}

fn of<'a>(space: &'a ContainerSpace, Inspected { container, finished }: &Inspected) -> Down<'a> {
    let how = match (finished, container.last_exit) {
        (None, _) => "never started".to_owned(),
        (Some(_), Some(exit)) => exit.to_string(),
        (Some(_), None) => container.state.word().to_owned(),
    };
    Down { space, how, ended: *finished, since: finished.or(container.created) }
}

/// All that a plan is made from.
struct Rubbish<'a> {
    disk: &'a DockerDisk,
    down: &'a [Down<'a>],
    seen: &'a ImagesSeen,
    now: Timestamp,
}

impl Rubbish<'_> {
    fn plan(&self) -> Plan {
        let old = |down: &&Down<'_>| down.since.is_some_and(|since| self.now.duration_since(since) >= OLD);
        let (of_projects, single): (Vec<&Down<'_>>, Vec<&Down<'_>>) =
            self.down.iter().partition(|down| down.space.project.is_some());
        let (old, young): (Vec<&Down<'_>>, Vec<&Down<'_>>) = single.into_iter().partition(old);
        let mut steps = Vec::new();
        steps.extend(self.containers(&old, ("containers", "container-logs"), "down for more than 7 days", true));
        // Before images, because what both hold then goes with these.
        steps.extend(self.build_cache());
        steps.extend(self.networks());
        steps.extend(self.images());
        steps.extend(self.containers(
            &of_projects,
            ("project-containers", "project-logs"),
            "of compose projects",
            false,
        ));
        steps.extend(self.volumes());
        Plan {
            title: "Prune".to_owned(),
            summary: if steps.is_empty() {
                "the engine holds nothing that is not needed".to_owned()
            } else {
                String::new()
            },
            warnings: self.warnings(),
            kept: self.kept(&young, &steps),
            undo: "nothing comes back by itself: images can be pulled or built again, logs stay with the run".into(),
            locks: vec!["docker.prune".to_owned()],
            steps,
            ..Plan::of("docker.prune")
        }
    }

    /// The steps that keep the logs of containers and remove them.
    fn containers(&self, down: &[&Down<'_>], (id, logs): (&str, &str), which: &str, chosen: bool) -> Vec<Step> {
        if down.is_empty() {
            return Vec::new();
        }
        let containers: Vec<ContainerRef> = down
            .iter()
            .map(|down| ContainerRef { id: down.space.id.clone(), name: down.space.name.to_string() })
            .collect();
        let count = counted(down.len(), "container");
        let op = Op::ArchiveLogs { containers: containers.clone() };
        let title = format!("keep the logs of {count} {which}");
        let mut kept = Step::new(logs, title, Risk::Safe, op).optional(chosen);
        kept.follows = Some(id.to_owned());
        let ended = down.iter().map(|down| down.ended);
        let op = Op::RemoveDown { containers: containers.into_iter().zip(ended).collect() };
        let mut step = Step::new(id, format!("remove {count} {which}"), Risk::Disruptive, op).optional(chosen);
        step.items = largest_first(down.iter().map(|down| self.container(down)));
        step.bytes = sum(&step.items);
        step.command = Some(command("docker rm", down.iter().map(|down| &*down.space.name)));
        vec![kept, step]
    }

    fn container(&self, down: &Down<'_>) -> Item {
        let project = down.space.project.as_ref().map(|project| format!("of {project}"));
        let since = down.since.map(|since| format!("down for {}", age(self.now, since)));
        let detail = project.into_iter().chain([down.how.clone()]).chain(since).collect::<Vec<_>>().join(", ");
        Item { name: down.space.name.to_string(), detail, bytes: down.space.written_bytes.get(), data: false }
    }

    fn build_cache(&self) -> Option<Step> {
        let bytes = self.disk.build_cache.known().map(BuildCache::reclaimable_bytes);
        // What could not be measured in time may be there all the same.
        if bytes.map_or(self.disk.measured.is_some(), |bytes| bytes == 0) {
            return None;
        }
        let title = "remove the build cache that no build uses";
        let mut step = Step::new("build-cache", title, Risk::Disruptive, Op::RemoveBuildCache).optional(true);
        step.bytes = bytes;
        step.command = Some("docker builder prune --all".to_owned());
        Some(step)
    }

    fn networks(&self) -> Option<Step> {
        let networks: Vec<&DockerNetwork> =
            self.disk.networks.iter().filter(|network| network.is_reclaimable()).collect();
        if networks.is_empty() {
            return None;
        }
        let pairs = networks.iter().map(|network| (network.id.to_string(), network.name.to_string())).collect();
        let title = format!("remove {} that no container uses", counted(networks.len(), "network"));
        let op = Op::RemoveNetworks { networks: pairs };
        let mut step = Step::new("networks", title, Risk::Disruptive, op).optional(true);
        step.items = networks.iter().map(|network| self.network(network)).collect();
        step.command = Some(command("docker network rm", networks.iter().map(|network| &*network.name)));
        Some(step)
    }

    fn network(&self, network: &DockerNetwork) -> Item {
        let project = network.project.as_ref().map(|project| format!("of {project}"));
        let made = network.created.map(|at| format!("made {} ago", age(self.now, at)));
        let detail = project.into_iter().chain(made).collect::<Vec<_>>().join(", ");
        Item { name: network.name.to_string(), detail, ..Item::default() }
    }

    /// The steps that remove images without a name, and those that have one.
    fn images(&self) -> Vec<Step> {
        let (dangling, tagged): (Vec<&Image>, Vec<&Image>) =
            self.disk.images.iter().filter(|image| image.is_reclaimable()).partition(|image| image.is_dangling());
        let freed = |dangling: bool, tagged: bool| {
            let chosen = |image: &Image| if image.is_dangling() { dangling } else { tagged };
            self.disk.freed_by(|image| image.is_reclaimable() && chosen(image))
        };
        let alone = (freed(true, false), freed(false, true));
        let both = freed(true, true).saturating_sub(alone.0 + alone.1);
        let count = |images: &[&Image], word: &str| counted(images.len(), word);
        let first = format!("remove {} without a name", count(&dangling, "image"));
        let second = format!("remove {} that nothing uses", count(&tagged, "named image"));
        let dangling = self.images_of(&dangling, "dangling-images", first, true, alone.0);
        let mut tagged = self.images_of(&tagged, "unused-images", second, false, alone.1);
        if let Some(step) = &mut tagged
            && both > 0
        {
            step.beside = Some(("dangling-images".to_owned(), both));
        }
        dangling.into_iter().chain(tagged).collect()
    }

    fn images_of(&self, images: &[&Image], id: &str, title: String, chosen: bool, bytes: u64) -> Option<Step> {
        if images.is_empty() {
            return None;
        }
        let pairs = images.iter().map(|image| (image.id.to_string(), image.references.clone())).collect();
        let mut step = Step::new(id, title, Risk::Disruptive, Op::RemoveImages { images: pairs }).optional(chosen);
        step.items = largest_first(image_items(self.disk, images, self.now, |image| self.last_use(image)).into_iter());
        step.bytes = Some(bytes);
        step.command = Some(command("docker rmi", images.iter().map(|image| image.reference())));
        Some(step)
    }

    /// When hostler last saw a container of an image; `None` where it cannot tell yet.
    fn last_use(&self, image: &Image) -> Option<String> {
        let seen = self.seen.get(&image.id)?;
        match seen.used {
            Some(at) => Some(format!("last used {} ago", age(self.now, at))),
            // Of what was found an hour ago nothing can be said.
            None => (self.now.duration_since(seen.first) >= HOUR)
                .then(|| format!("not used in {}", age(self.now, seen.first))),
        }
    }

    fn volumes(&self) -> Option<Step> {
        let volumes: Vec<&DockerVolume> = self.disk.volumes.iter().filter(|volume| volume.is_reclaimable()).collect();
        if volumes.is_empty() {
            return None;
        }
        let op = Op::RemoveVolumes { volumes: volumes.iter().map(|volume| volume.name.to_string()).collect() };
        let title = format!("remove {} that nothing mounts", counted(volumes.len(), "unnamed volume"));
        let mut step = Step::new("anonymous-volumes", title, Risk::Destructive, op).optional(false);
        step.items = largest_first(volumes.iter().map(|volume| volume_item(volume, self.now)));
        step.bytes = sum(&step.items);
        step.command = Some(command("docker volume rm", volumes.iter().map(|volume| &*volume.name)));
        Some(step)
    }

    fn warnings(&self) -> Vec<String> {
        let unmeasured = self.disk.measured.is_none().then(|| {
            "the engine takes long to measure: what containers, volumes and build cache hold is not known".to_owned()
        });
        unmeasured.into_iter().chain(inexact(self.disk)).collect()
    }

    /// What stays, and why.
    fn kept(&self, young: &[&Down<'_>], steps: &[Step]) -> Vec<String> {
        let images = self.disk.images.iter().filter(|image| image.is_for_rollback()).count();
        let old = self.disk.containers.iter().filter(|space| kept_of(&space.name).is_some()).count();
        let back: Vec<String> = [(images, "image"), (old, "old container")]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| counted(count, word))
            .collect();
        let named = self.disk.volumes.iter().filter(|it| !it.anonymous && it.users.is_empty() && !it.keep);
        let goes = |user: &str| steps.iter().flat_map(|step| &step.items).any(|item| item.name == user);
        let freed = self.disk.images.iter().filter(|it| !it.users.is_empty() && it.users.iter().all(|user| goes(user)));
        let clauses = [
            (!back.is_empty()).then(|| format!("{}, for roll back", back.join(" and "))),
            listed(self.by_label(), "by label, or because the config names it"),
            listed(young.iter().map(|down| &*down.space.name), "not down for 7 days yet"),
            listed(freed.map(Image::name), "used by a container above: prune again when that is gone"),
            listed(named.map(|volume| &*volume.name), "named, so only one by one: volume.remove"),
        ];
        clauses.into_iter().flatten().collect()
    }

    /// What would go if nobody kept it.
    fn by_label(&self) -> impl Iterator<Item = &str> {
        let images = self.disk.images.iter().filter(|image| image.keep && image.users.is_empty()).map(Image::name);
        let containers =
            self.disk.containers.iter().filter(|space| !space.up && space.keep && kept_of(&space.name).is_none());
        let networks = self.disk.networks.iter().filter(|network| network.keep && network.users.is_empty());
        let volumes = self.disk.volumes.iter().filter(|volume| volume.keep && volume.users.is_empty());
        images
            .chain(containers.map(|space| &*space.name))
            .chain(networks.map(|network| &*network.name))
            .chain(volumes.map(|volume| &*volume.name))
    }
}

/// `1 image`, `3 images`.
fn counted(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

/// The first of some names, how many more there are, and why they stay.
fn listed<'a>(names: impl Iterator<Item = &'a str>, why: &str) -> Option<String> {
    let names: Vec<&str> = names.collect();
    let shown = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!names.is_empty()).then(|| format!("{shown}{more}: {why}"))
}

/// Objects in the order in which they matter.
fn largest_first(items: impl Iterator<Item = Item>) -> Vec<Item> {
    let mut items: Vec<Item> = items.collect();
    items.sort_by_key(|item| Reverse(item.bytes));
    items
}

/// The bytes of all objects that were measured; `None` where none was.
fn sum(items: &[Item]) -> Option<u64> {
    items.iter().filter_map(|item| item.bytes).fold(None, |sum, bytes| Some(sum.unwrap_or(0) + bytes))
}
