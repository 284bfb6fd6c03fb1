//! Removes what is named: images that nothing uses, and one volume at a time.

use futures_util::future::LocalBoxFuture;
use jiff::Timestamp;

use super::target::nearest;
use super::{Action, Desk, Refusal, Wish, stock};
use crate::domain::{
    ActionSpec, DockerDisk, DockerVolume, Guard, Image, Item, KEEP_LABEL, Op, Plan, Risk, Step, kept_of, units,
};

/// Removes images.
pub(super) struct Images;

impl Action for Images {
    fn spec(&self) -> &'static ActionSpec {
        super::spec("image.remove")
    }

    fn plan<'a>(&'a self, desk: &'a Desk, wish: &'a Wish) -> LocalBoxFuture<'a, Result<Plan, Refusal>> {
        Box::pin(async move {
            if wish.targets.is_empty() {
                return Err(Refusal::new("name an image, by reference or id"));
            }
            let disk = stock::read(desk).await?;
            let mut images: Vec<&Image> = Vec::new();
            for name in &wish.targets {
                let image = image_named(&disk, name)?;
                image_may_go(image)?;
                if !images.iter().any(|known| known.id == image.id) {
                    images.push(image);
                }
            }
            Ok(plan_of_images(wish, &disk, &images, desk.ports.clock.now().wall))
        })
    }
}

/// The image that a reference, with or without the tag `latest`, or the beginning of an id means.
fn image_named<'a>(disk: &'a DockerDisk, name: &str) -> Result<&'a Image, Refusal> {
    let latest = format!("{name}:latest");
    let has = |image: &&Image| image.references.iter().any(|reference| reference == name || *reference == latest);
    if let Some(image) = disk.images.iter().find(has) {
        return Ok(image);
    }
    let digits = name.strip_prefix("sha256:").unwrap_or(name);
    let is_id = digits.len() >= 4 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let begins = |image: &&Image| is_id && image.id.trim_start_matches("sha256:").starts_with(digits);
    let mut meant = disk.images.iter().filter(begins);
    match (meant.next(), meant.next()) {
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => Err(Refusal::new(format!("several images have an id that begins with {digits}"))),
        (None, _) => {
            let names = disk.images.iter().flat_map(|image| &image.references);
            Err(Refusal::new(format!("there is no image `{name}`{}", nearest(name, names.map(String::as_str)))))
        }
    }
}

fn image_may_go(image: &Image) -> Result<(), Refusal> {
    let name = image.name();
    if let Some(user) = image.users.iter().find(|user| kept_of(user).is_none()) {
        return Err(Refusal::new(format!("{name} is in use: {user} is made from it; remove that container first")));
    }
    if image.is_for_rollback() {
        let of = image.kept.first().map(|kept| kept.container.as_str());
        let of = of.or_else(|| image.users.iter().find_map(|user| Some(kept_of(user)?.0))).unwrap_or("a container");
        return Err(Refusal::new(format!(
            "{name} is kept for roll back of {of}, which would not be possible any more"
        )));
    }
    if image.keep {
        return Err(Refusal::new(kept(name, &format!("docker rmi {name}"))));
    }
    Ok(())
}

/// Why something is kept, and what can be done.
fn kept(name: &str, command: &str) -> String {
    format!(
        "{name} is kept: it carries the label {KEEP_LABEL}, or `protect` in the config names it; `{command}` does it all the same"
    )
}

fn plan_of_images(wish: &Wish, disk: &DockerDisk, images: &[&Image], now: Timestamp) -> Plan {
    let what = match images {
        [only] => only.name().to_owned(),
        several => format!("{} images", several.len()),
    };
    let pairs = images.iter().map(|image| (image.id.to_string(), image.references.clone())).collect();
    let mut step = Step::new("images", format!("remove {what}"), Risk::Disruptive, Op::RemoveImages { images: pairs });
    step.guards = images.iter().map(|image| Guard::ImageUnused { image: image.id.to_string() }).collect();
    step.items = image_items(disk, images, now, |_| None);
    step.bytes = Some(disk.freed_by(|image| images.iter().any(|chosen| chosen.id == image.id)));
    step.command = Some(command("docker rmi", images.iter().map(|image| image.reference())));
    Plan {
        targets: wish.targets.clone(),
        title: format!("Remove {what}"),
        steps: vec![step],
        warnings: inexact(disk).into_iter().collect(),
        undo: "a removed image does not come back by itself: it can be pulled as long as its registry has it".into(),
        locks: images.iter().map(|image| format!("image/{}", image.short())).collect(),
        ..Plan::of("image.remove")
    }
}

/// Images as objects of a plan, each with the bytes that it holds alone, and with what `used` tells of its use.
pub(super) fn image_items(
    disk: &DockerDisk,
    images: &[&Image],
    now: Timestamp,
    used: impl Fn(&Image) -> Option<String>,
) -> Vec<Item> {
    let own = disk.with_own_bytes().filter(|(image, _)| images.iter().any(|chosen| chosen.id == image.id));
    own.map(|(image, bytes)| {
        let id = image.references.is_empty().then(|| image.short().to_owned());
        let others = image.references.iter().skip(1).map(|name| format!("also {name}"));
        let built = image.created.map(|at| format!("built {} ago", age(now, at)));
        let id = id.filter(|id| id != image.name());
        let detail = id.into_iter().chain(others).chain(built).chain(used(image)).collect::<Vec<_>>().join(", ");
        Item { name: image.name().to_owned(), detail, bytes: Some(bytes), data: false }
    })
    .collect()
}

/// A command with all its names.
pub(super) fn command<'a>(words: &'a str, names: impl Iterator<Item = &'a str>) -> String {
    [words].into_iter().chain(names).collect::<Vec<_>>().join(" ")
}

/// How long something has been so.
pub(super) fn age(now: Timestamp, since: Timestamp) -> String {
    units::span(now.duration_since(since).try_into().unwrap_or_default())
}

/// A warning where sums of layers are near the truth only.
pub(super) fn inexact(disk: &DockerDisk) -> Option<String> {
    let known = disk.layers_bytes.known().is_some();
    (known && !disk.is_exact())
        .then(|| "the layers of images do not add up to what the engine says: bytes are near the truth only".to_owned())
}

/// Removes one volume.
pub(super) struct Volume;

impl Action for Volume {
    fn spec(&self) -> &'static ActionSpec {
        super::spec("volume.remove")
    }

    fn plan<'a>(&'a self, desk: &'a Desk, wish: &'a Wish) -> LocalBoxFuture<'a, Result<Plan, Refusal>> {
        Box::pin(async move {
            let name = match wish.targets.as_slice() {
                [] => return Err(Refusal::new("name a volume")),
                [only] => only,
                _ => return Err(Refusal::new("data goes: volumes are removed one by one")),
            };
            let disk = stock::read(desk).await?;
            let volume = volume_named(&disk, name)?;
            Ok(plan_of_volume(volume, desk.ports.clock.now().wall))
        })
    }
}

fn volume_named<'a>(disk: &'a DockerDisk, name: &str) -> Result<&'a DockerVolume, Refusal> {
    let Some(volume) = disk.volume(name) else {
        let near = nearest(name, disk.volumes.iter().map(|volume| &*volume.name));
        return Err(Refusal::new(format!("there is no volume `{name}`{near}")));
    };
    if let Some(user) = volume.users.first() {
        let more = if volume.users.len() > 1 {
            format!(" and {} more mount it", volume.users.len() - 1)
        } else {
            " mounts it".into()
        };
        return Err(Refusal::new(format!("{name} is in use: {user}{more}, running or not")));
    }
    if volume.keep {
        return Err(Refusal::new(kept(name, &format!("docker volume rm {name}"))));
    }
    Ok(volume)
}

fn plan_of_volume(volume: &DockerVolume, now: Timestamp) -> Plan {
    let name = volume.name.to_string();
    let op = Op::RemoveVolumes { volumes: vec![name.clone()] };
    let mut step = Step::new("volume", format!("remove volume {name}"), Risk::Destructive, op)
        .guarded(Guard::VolumeUnused { volume: name.clone() });
    step.items.push(volume_item(volume, now));
    step.bytes = volume.size_bytes.get();
    step.command = Some(format!("docker volume rm {name}"));
    Plan {
        targets: vec![name.clone()],
        title: format!("Remove volume {name}"),
        steps: vec![step],
        undo: "nothing brings its data back".into(),
        locks: vec![format!("volume/{name}")],
        ..Plan::of("volume.remove")
    }
}

/// A volume as an object of a plan.
pub(super) fn volume_item(volume: &DockerVolume, now: Timestamp) -> Item {
    let project = volume.project.as_ref().map(|project| format!("of {project}"));
    let made = volume.created.map(|at| format!("made {} ago", age(now, at)));
    let driver = (volume.driver != "local").then(|| format!("driver {}", volume.driver));
    let detail = project.into_iter().chain(made).chain(driver).collect::<Vec<_>>().join(", ");
    Item { name: volume.name.to_string(), detail, bytes: volume.size_bytes.get(), data: true }
}
