//! Prune: what stores of models hold and no model needs: blobs without a manifest or a snapshot, downloads that were given up.

use std::path::Path;

use futures_util::future::LocalBoxFuture;

use crate::actions::{Action, Desk, Refusal, Wish, ops};
use crate::domain::{
    ActionSpec, Container, Item, Leftover, LibraryPlace, ModelOp, ModelStore, Op, Plan, Risk, Step, command_line, units,
};
use crate::sources;

/// Removes leftovers of every store of the library.
pub(in crate::actions) struct Prune;

impl Action for Prune {
    fn spec(&self) -> &'static ActionSpec {
        crate::actions::spec("model.prune")
    }

    fn plan<'a>(&'a self, desk: &'a Desk, wish: &'a Wish) -> LocalBoxFuture<'a, Result<Plan, Refusal>> {
        Box::pin(async move {
            if !wish.targets.is_empty() {
                return Err(Refusal::new("model.prune is about the whole box: name no target"));
            }
            let (places, _) = stores(desk).await?;
            let locks = places.iter().map(|place| format!("model-store{}", place.path)).collect();
            let mut plan = super::begin(desk, self.spec(), wish, locks).await?;
            plan.title = "Prune stores of models".into();
            let (fs, now) = (desk.ports.fs.clone(), desk.ports.clock.now().wall);
            let looked = move || {
                let with_rights = |place: &LibraryPlace, going: &ops::Going| {
                    let folder_of = |file: &Leftover| Path::new(&file.path).parent().map(Path::to_owned);
                    let mut folders: Vec<_> = going.all().filter_map(folder_of).collect();
                    folders.dedup();
                    !place.is_closed() && folders.iter().all(|folder| fs.may_change(folder))
                };
                let look = |place: LibraryPlace| {
                    let going = ops::going(&fs, &place, now);
                    let may = with_rights(&place, &going);
                    (place, going, may)
                };
                places.into_iter().map(look).collect::<Vec<_>>()
            };
            for (place, going, may) in desk.blocking(looked).await? {
                let partial = ("partial", "downloads that were not finished", going.partial);
                let orphans = ("orphans", "blobs that no model names", going.orphans);
                let pieces = ("pieces", "pieces of files that only spare a second download", going.pieces);
                for (word, what, files) in
                    [orphans, partial, pieces].into_iter().filter(|(_, _, files)| !files.is_empty())
                {
                    // What still serves goes only if that is asked for.
                    let step = step(&place, word, what, &files).optional(word != "pieces");
                    if may {
                        plan.steps.push(step);
                        continue;
                    }
                    let bytes = units::bytes(step.bytes.unwrap_or_default());
                    let path = &place.path;
                    plan.kept.push(format!("{what} in {path}, {bytes}: this user may not remove them; run as root"));
                    plan.commands.extend(step.command.map(|command| format!("sudo {command}")));
                }
                plan.kept.extend(going.stays);
            }
            plan.undo = "nothing brings them back: a download begins anew".into();
            Ok(plan)
        })
    }
}

/// The stores that know what they need, and the containers of this machine.
pub(super) async fn stores(desk: &Desk) -> Result<(Vec<LibraryPlace>, Vec<Container>), Refusal> {
    let containers = match desk.docker().await {
        Ok(docker) if docker.is_local() => docker.list().await.unwrap_or_default(),
        // Without an engine there are no containers that could hold models.
        _ => Vec::new(),
    };
    let (fs, folders) = (desk.ports.fs.clone(), desk.model_folders.clone());
    let looked = move || (sources::model_stores(&fs, &folders, &containers), containers);
    let (mut places, containers) = desk.blocking(looked).await?;
    places.retain(|place| place.store != ModelStore::Folder);
    Ok((places, containers))
}

fn step(place: &LibraryPlace, word: &str, what: &str, files: &[Leftover]) -> Step {
    let paths: Vec<String> = files.iter().map(|file| file.path.clone()).collect();
    let argv: Vec<String> = ["rm", "--"].into_iter().map(str::to_owned).chain(paths.iter().cloned()).collect();
    let op = ModelOp::RemoveLeftovers { store: place.store, place: place.path.clone(), files: paths };
    let title = format!("{what} in {}", place.path);
    let mut step = Step::new(format!("{word} {}", place.path), title, Risk::Disruptive, Op::Model(op));
    step.bytes = Some(files.iter().map(|file| file.bytes).sum());
    step.command = Some(command_line(&argv));
    let item = |file: &Leftover| Item {
        name: file.path.clone(),
        detail: units::bytes(file.bytes),
        bytes: Some(file.bytes),
        data: false,
    };
    step.items = files.iter().map(item).collect();
    step
}
