//! What is known of an image, a volume, a network: what it takes, who uses it, whether it can go.

use std::sync::Arc;

use jiff::Timestamp;

use super::{labelled, read, wrapped};
use crate::domain::{DockerNetwork, DockerVolume, Image, kept_of, units};
use crate::store::ImageUse;
use crate::ui::Scene;
use crate::ui::canvas::Pieces;

/// What is said of something that somebody keeps.
const KEPT: &str = "Somebody keeps it, by label or by name in the config: it stays.";

type Lines = (String, Vec<Pieces<'static>>);

/// An image.
pub(super) fn image(scene: &Scene<'_>, id: &str, columns: usize) -> Option<Lines> {
    let disk = scene.state.disk.get()?;
    let (image, own) = disk.with_own_bytes().find(|(image, _)| *image.id == *id)?;
    let mut lines: Vec<Pieces<'static>> =
        image.references.iter().map(|reference| labelled("reference", reference.clone())).collect();
    if let (true, Some(repository)) = (image.references.is_empty(), &image.repository) {
        lines.push(labelled("from", repository.clone()));
    }
    lines.push(labelled("id", image.id.to_string()));
    lines.push(labelled("size", units::bytes(image.size_bytes)));
    lines.push(labelled("own", format!("{} freed if it goes", units::bytes(own))));
    lines.push(labelled("shared", format!("{} with others", units::bytes(image.size_bytes - own))));
    lines.extend(since(scene, "built", image.created));
    lines.extend(users(scene, &image.users));
    lines.push(labelled("last in use", last_use(scene, image)));
    for kept in &image.kept {
        lines.push(labelled("kept for", format!("roll back of {}, run {}", kept.container, kept.run)));
    }
    lines.extend(kept_by_somebody(image.keep));
    lines.push(Vec::new());
    let sentence = match image {
        _ if image.is_in_use() => "Containers are made from it: it stays.",
        _ if image.is_for_rollback() => "It is kept for roll back: it stays until newer versions take its place.",
        _ if image.keep => KEPT,
        _ if image.is_dangling() => {
            "Its name went to a newer image by a pull or a build, and nothing uses it: it can go."
        }
        _ => "Nothing uses it: it can go, and can be pulled again as long as its registry has it.",
    };
    lines.extend(wrapped(sentence, columns));
    Some((image.name().to_owned(), lines))
}

/// When an image was last in use, as far as hostler has seen.
fn last_use(scene: &Scene<'_>, image: &Image) -> String {
    let ago = |at: Timestamp| units::span(scene.now.since_wall(at));
    match scene.state.image_use(image) {
        None => "not seen yet".to_owned(),
        Some(ImageUse::Now) => "now".to_owned(),
        Some(ImageUse::Seen(at)) => format!("{} ago, as far as seen", ago(at)),
        Some(ImageUse::NotSince(at)) => format!("not since first seen {} ago", ago(at)),
    }
}

/// A volume.
pub(super) fn volume(scene: &Scene<'_>, name: &str, columns: usize) -> Option<Lines> {
    let volume: &DockerVolume = scene.state.disk.get()?.volume(name)?;
    let mut lines = vec![
        labelled("name", volume.name.to_string()),
        labelled("driver", volume.driver.clone()),
        labelled("size", read(&volume.size_bytes, units::bytes)),
    ];
    lines.extend(volume.project.as_ref().map(|project| labelled("project", project.to_string())));
    lines.extend(since(scene, "made", volume.created));
    lines.extend(users(scene, &volume.users));
    lines.extend(kept_by_somebody(volume.keep));
    lines.push(Vec::new());
    let sentence = match volume {
        _ if !volume.users.is_empty() => "Containers mount it: it stays.",
        _ if volume.keep => KEPT,
        _ if volume.anonymous => {
            "Nobody named it: it was made for a container that wanted one, and may hold that container's data. \
             Look before you let it go; nothing brings it back."
        }
        _ => "Nothing mounts it. It has a name, so it goes only when that name is typed; nothing brings it back.",
    };
    lines.extend(wrapped(sentence, columns));
    let title = if volume.anonymous { volume.name.get(..12).unwrap_or(&volume.name) } else { &volume.name };
    Some((title.to_owned(), lines))
}

/// A network.
pub(super) fn network(scene: &Scene<'_>, id: &str, columns: usize) -> Option<Lines> {
    let network: &DockerNetwork = scene.state.disk.get()?.network(id)?;
    let mut lines = vec![
        labelled("name", network.name.to_string()),
        labelled("id", network.id.to_string()),
        labelled("driver", network.driver.clone()),
    ];
    lines.extend(network.project.as_ref().map(|project| labelled("project", project.to_string())));
    lines.extend(since(scene, "made", network.created));
    lines.extend(users(scene, &network.users));
    lines.extend(kept_by_somebody(network.keep));
    lines.push(Vec::new());
    let sentence = match network {
        _ if network.builtin => "The engine made it for itself: it stays.",
        _ if !network.users.is_empty() => "Containers belong to it, running or not: it stays.",
        _ if network.keep => KEPT,
        _ => "Nothing belongs to it: it can go.",
    };
    lines.extend(wrapped(sentence, columns));
    Some((network.name.to_string(), lines))
}

fn since(scene: &Scene<'_>, label: &'static str, at: Option<Timestamp>) -> Option<Pieces<'static>> {
    let at = at?;
    Some(labelled(label, format!("{} ({} ago)", scene.when(at), units::span(scene.now.since_wall(at)))))
}

/// Who uses it, a line each: a container's name, and what it does now.
fn users(scene: &Scene<'_>, users: &[Arc<str>]) -> Vec<Pieces<'static>> {
    if users.is_empty() {
        return vec![labelled("used by", "nothing")];
    }
    let line = |name: &Arc<str>| {
        if let Some((name, _)) = kept_of(name) {
            return format!("{name}  (old, kept)");
        }
        let container = scene.state.containers().iter().find(|container| container.name == *name);
        container.map_or_else(|| name.to_string(), |container| format!("{name}  {}", container.state.word()))
    };
    users.iter().map(|name| labelled("used by", line(name))).collect()
}

fn kept_by_somebody(keep: bool) -> Option<Pieces<'static>> {
    keep.then(|| labelled("kept", format!("label {} or config", crate::domain::KEEP_LABEL)))
}
