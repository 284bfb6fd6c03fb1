//! What the engine holds, seen by what uses it: when an image was last in use, and which versions of a container are kept.

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::State;
use crate::domain::{Container, Image, is_trial, kept_repository};

/// Whether an image is in use, as far as hostler has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImageUse {
    /// Not since hostler first saw it, then.
    NotSince(Timestamp),
    /// A container of it was last seen then.
    Seen(Timestamp),
    /// A container of it is there.
    Now,
}

/// An earlier version of a container that is kept for roll back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptVersion {
    /// The run that replaced it.
    pub run: String,
    /// When that was, as the run's name tells.
    pub at: Option<Timestamp>,
    /// Its version, where the image's tag tells it.
    pub version: Option<String>,
}

impl State {
    /// The containers that are in use: all but old ones that are kept for roll back, and those of a trial.
    pub fn current_containers(&self) -> impl Iterator<Item = &Arc<Container>> {
        self.containers().iter().filter(|container| container.kept_of().is_none() && !is_trial(&container.name))
    }

    /// Whether an image is in use, as far as hostler has seen; `None` for one that it never saw.
    pub fn image_use(&self, image: &Image) -> Option<ImageUse> {
        if !image.users.is_empty() {
            return Some(ImageUse::Now);
        }
        let seen = self.images_seen.get(&image.id)?;
        Some(seen.used.map_or(ImageUse::NotSince(seen.first), ImageUse::Seen))
    }

    /// Earlier versions of a container that are kept for roll back, as old containers or as images, the latest first.
    pub fn kept_versions(&self, container: &Container) -> Vec<KeptVersion> {
        let old = self.containers().iter().filter_map(|old| {
            let (name, run) = old.kept_of()?;
            (*name == *container.name).then(|| kept_version(run, Some(&old.image), container))
        });
        let repository = kept_repository(&container.name);
        let images = self.disk.get().map_or(&[][..], |disk| &disk.images);
        // The image that it has now may be kept, too: to return to it after a roll back.
        let others = images.iter().filter(|image| *image.id != *container.image_id);
        let kept = others.flat_map(|image| image.kept.iter().map(move |kept| (image, kept)));
        let mine = kept.filter(|(_, kept)| repository.rsplit('/').next() == Some(&kept.container));
        let images = mine.map(|(image, kept)| kept_version(&kept.run, image.references.first(), container));
        let mut versions: Vec<KeptVersion> = old.chain(images).collect();
        versions.sort_by_key(|kept| (Reverse(kept.run.clone()), kept.version.is_none()));
        versions.dedup_by(|other, kept| other.run == kept.run);
        versions
    }
}

fn kept_version(run: &str, reference: Option<&String>, container: &Container) -> KeptVersion {
    let now = tag(&container.image);
    // A tag that stands for both versions tells neither.
    let version = reference.and_then(|reference| tag(reference)).filter(|tag| now != Some(tag));
    KeptVersion { run: run.to_owned(), at: time_of(run), version: version.map(str::to_owned) }
}

/// The tag of a reference; `None` where it names none.
fn tag(reference: &str) -> Option<&str> {
    let name = reference.split('@').next()?;
    name.rsplit('/').next()?.split_once(':').map(|(_, tag)| tag)
}

/// When a run was asked for: its name begins with that.
fn time_of(run: &str) -> Option<Timestamp> {
    let time = DateTime::strptime("%Y%m%d-%H%M%S", run.get(..15)?).ok()?;
    TimeZone::UTC.to_timestamp(time).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{DockerDisk, KeptImage};
    use crate::make::{Script, container, image, wall};

    #[test]
    fn use_of_an_image_never_reaches_back_beyond_the_first_sight() {
        let mut script = Script::new();
        let state_of = |script: &Script| script.state.image_use(&image("web:1.0"));
        assert_eq!(state_of(&script), None);
        let disk = |used: bool| {
            let users = if used { vec!["web".into()] } else { Vec::new() };
            DockerDisk { images: vec![crate::domain::Image { users, ..image("web:1.0") }], ..DockerDisk::default() }
        };
        script.at(5).disk(disk(false));
        assert_eq!(state_of(&script), Some(ImageUse::NotSince(wall(5))));
        script.at(7_200).disk(disk(true));
        script.at(14_400).disk(disk(false));
        assert_eq!(state_of(&script), Some(ImageUse::Seen(wall(7_200))));
        assert_eq!(script.state.image_use(&disk(true).images[0]), Some(ImageUse::Now));
    }

    #[test]
    fn a_container_keeps_its_images_in_use() {
        let mut script = Script::new();
        script.at(9).docker([container("web").with(|it| it.image_id = image("web:1.0").id.to_string())]);
        assert_eq!(script.state.image_use(&image("web:1.0")), Some(ImageUse::Seen(wall(9))));
    }

    #[test]
    fn kept_versions_are_told_by_tag_or_by_day() {
        let mut script = Script::new();
        let (first, second, third) = ("20261110-030400-0001", "20261112-030400-0002", "20261114-030400-0003");
        script.at(1).docker([
            container("n8n").image("n8nio/n8n:1.118.2").with(|it| it.image_id = "sha256:now".to_owned()),
            container(&format!("n8n.hostler-{second}")).image("n8nio/n8n:1.117.1").exited(0, -100),
            container("other").image("other:latest"),
            container(&format!("other.hostler-{third}")).image("other:latest").exited(0, -100),
            container("n8n.hostler_trial").image("n8nio/n8n:1.119.0").exited(1, -1),
        ]);
        let kept =
            |container: &str, run: &str| vec![KeptImage { container: container.to_owned(), run: run.to_owned() }];
        let images = vec![
            crate::domain::Image { kept: kept("n8n", first), ..image("n8nio/n8n:1.116.0") },
            crate::domain::Image { kept: kept("n8n", second), references: Vec::new(), ..image("n8nio/n8n:1.117.1") },
            crate::domain::Image { kept: kept("n8n", third), id: "sha256:now".into(), ..image("n8nio/n8n:1.118.2") },
        ];
        script.disk(DockerDisk { images, ..DockerDisk::default() });
        let names: Vec<&str> = script.state.current_containers().map(|container| &*container.name).collect();
        assert_eq!(names, ["n8n", "other"]);
        assert_eq!(script.state.projects()[0].containers.len(), 2);
        let versions = |name: &str| {
            let container = script.state.current_containers().find(|container| &*container.name == name).unwrap();
            script.state.kept_versions(container)
        };
        let n8n: Vec<Option<String>> = versions("n8n").into_iter().map(|kept| kept.version).collect();
        assert_eq!(n8n, [Some("1.117.1".to_owned()), Some("1.116.0".to_owned())]);
        let other = versions("other");
        assert_eq!(other[0].version, None, "latest says nothing");
        assert_eq!(other[0].at, Some("2026-11-14T03:04:00Z".parse().unwrap()));
    }
}
