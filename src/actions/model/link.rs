//! Promote and roll back of raw files: the alias is a symbolic link, and who serves it is told.

use std::path::{Path, PathBuf};

use super::generation;
use super::mounted::inside;
use super::place::{Server, servers};
use super::promote::alias;
use crate::actions::target::Target;
use crate::actions::{Desk, Refusal, Wish, gate, preflight};
use crate::domain::{
    ActionSpec, EngineKind, Failure, Guard, Item, ModelOp, Op, Plan, Risk, Run, Step, StepState, Verb, units,
};
use crate::engines::Router;
use crate::host::{RootedFs, foreign};

/// Promotes a file, or a folder, to a link.
pub(super) async fn promote(spec: &ActionSpec, desk: &Desk, wish: &Wish, file: &str) -> Result<Plan, Refusal> {
    let file = whole(file)?;
    let to = alias(desk, wish, |alias| alias.starts_with('/'))?;
    let path = match (Path::new(&to).is_absolute(), file.parent()) {
        (false, Some(folder)) if !to.contains('/') => folder.join(&to),
        _ => PathBuf::from(&to),
    };
    let path = whole(&path.to_string_lossy())?;
    let (fs, look) = (desk.ports.fs.clone(), (path.clone(), file.clone()));
    let (over, bytes) = desk.blocking(move || looked(&fs, &look.0, &look.1)).await??;
    let relative = over.as_ref().map_or_else(|| path.parent() == file.parent(), |over| !over.starts_with('/'));
    let target = if relative { between(&path, &file) } else { file.clone() };
    let target = target.to_string_lossy().into_owned();
    let mut plan = switch(spec, desk, wish, &path, &target, over.as_deref()).await?;
    plan.title = format!("Promote {} to {}", file.display(), path.display());
    if let Some(step) = plan.steps.first_mut() {
        let detail = bytes.map(units::bytes).unwrap_or_default();
        step.items.push(Item { name: file.display().to_string(), detail, bytes: None, data: false });
    }
    plan.kept.extend(over.map(|over| format!("{over}, for roll back")));
    plan.rolls_back = true;
    plan.undo = "by itself if what serves it generates nothing; later by `roll back`".into();
    Ok(plan)
}

/// Lets a link point again where it pointed before the promotion that led it where it points.
pub(super) async fn roll_back(spec: &ActionSpec, desk: &Desk, wish: &Wish, link: &str) -> Result<Plan, Refusal> {
    let path = whole(link)?;
    let (fs, place) = (desk.ports.fs.clone(), path.clone());
    let now = desk.blocking(move || link_of(&fs, &place)).await??;
    let shown = path.display();
    let Some(now) = now else { return Err(Refusal::new(format!("there is no link {shown}"))) };
    let runs = preflight::runs(desk).await?;
    let Some(before) = before(&runs, &path, &now) else {
        return Err(Refusal::new(format!("no promotion that hostler knows led {shown} to {now}")));
    };
    let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
    let (fs, target) = (desk.ports.fs.clone(), folder.join(&before));
    if !desk.blocking(move || fs.exists(target)).await? {
        return Err(Refusal::new(format!("{before}, where {shown} pointed before, is gone")));
    }
    let mut plan = switch(spec, desk, wish, &path, &before, Some(&now)).await?;
    plan.title = format!("Roll back {shown} to {before}");
    plan.undo = format!("points to {now} again");
    Ok(plan)
}

/// A path that is absolute and plain.
pub(super) fn whole(path: &str) -> Result<PathBuf, Refusal> {
    let shown = foreign::name(path);
    let plain = shown == path && path.starts_with('/') && !path.split('/').any(|part| part == ".." || part == ".");
    if plain && Path::new(path).file_name().is_some() {
        Ok(PathBuf::from(path))
    } else {
        Err(Refusal::new(format!("`{shown}` is no whole path of a file")))
    }
}

/// Where a link points, as it is written; `None` where there is nothing.
fn link_of(fs: &RootedFs, path: &Path) -> Result<Option<String>, Refusal> {
    match fs.read_link(path) {
        Ok(target) => {
            target.into_os_string().into_string().map(Some).map_err(|_| Refusal::new("it points to what is no text"))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {
            Err(Refusal::new(format!("{} is no symbolic link: it is left alone", path.display())))
        }
        Err(error) => Err(Refusal::Failed(Failure::failed(format!("{}: {error}", path.display())))),
    }
}

/// Where the link points now, and the bytes of the file.
fn looked(fs: &RootedFs, link: &Path, file: &Path) -> Result<(Option<String>, Option<u64>), Refusal> {
    let shown = file.display();
    if fs.read_link(file).is_ok() {
        return Err(Refusal::new(format!("{shown} is a link itself: promote the file")));
    }
    let found = fs.metadata(file).map_err(|error| Refusal::new(format!("{shown}: {error}")))?;
    Ok((link_of(fs, link)?, found.is_file().then_some(found.len())))
}

/// The way from the folder of `link` to `file`.
fn between(link: &Path, file: &Path) -> PathBuf {
    let folder: Vec<_> = link.parent().unwrap_or(Path::new("/")).components().collect();
    let parts: Vec<_> = file.components().collect();
    let common = folder.iter().zip(&parts).take_while(|(one, other)| one == other).count();
    let up = std::iter::repeat_n(std::path::Component::ParentDir, folder.len() - common);
    up.chain(parts[common..].iter().copied()).collect()
}

/// Where the link pointed before the last promotion that led it to `now` and was not taken back.
fn before(runs: &[Run], path: &Path, now: &str) -> Option<String> {
    let promotions = runs.iter().rev().filter(|run| run.plan.action == "model.promote");
    promotions.flat_map(|run| run.plan.steps.iter().zip(&run.steps)).find_map(|(step, state)| match &step.op {
        Op::Model(ModelOp::Link { path: link, to: Some(to), over: Some(over) })
            if Path::new(link) == path && to == now && *state == StepState::Done =>
        {
            Some(over.clone())
        }
        _ => None,
    })
}

/// The plan that switches a link and tells who serves it.
async fn switch(
    spec: &ActionSpec,
    desk: &Desk,
    wish: &Wish,
    path: &Path,
    to: &str,
    over: Option<&str>,
) -> Result<Plan, Refusal> {
    let shown = path.display().to_string();
    let mut plan = super::begin(desk, spec, wish, vec![format!("model{shown}")]).await?;
    if over == Some(to) {
        plan.kept.push(format!("{shown} is {to} already"));
        return Ok(plan);
    }
    let link = |to: Option<&str>, over: Option<&str>| {
        let [to, over] = [to, over].map(|text| text.map(str::to_owned));
        Op::Model(ModelOp::Link { path: shown.clone(), to, over })
    };
    let step = Step::new("switch", format!("{shown} is {to}"), Risk::Disruptive, link(Some(to), over));
    let mut step = step.undone_by(link(over, Some(to)));
    step.command = Some(format!("ln -sfn {to} {shown}"));
    let mut told = Vec::new();
    for server in servers(desk, None).await? {
        match serving(desk, &server, path).await? {
            Serving::No => {}
            Serving::Router(name) => {
                let model = server.model(name);
                let unload = Op::Model(ModelOp::Unload { model: model.clone() });
                let load = Op::Model(ModelOp::Load { model: model.clone() });
                step = step.undone_by(unload.clone()).undone_by(load.clone());
                let title = |does: &str| format!("{does} {} at {}", model.name, server.word());
                told.push(Step::new("unload", title("unload"), Risk::Disruptive, unload));
                told.push(Step::new("load", title("load"), Risk::Safe, load));
                told.push(generation(model, desk));
                plan.downtime = Some("from the unloading until it is loaded again".to_owned());
            }
            Serving::Container(target) => {
                let container = target.reference();
                let restart = Op::Lifecycle { verb: Verb::Restart, container: container.clone(), stop_seconds: None };
                step = step.undone_by(restart.clone());
                let title = format!("restart {}, which serves it", target.shown());
                let restart = Step::new("restart", title, Risk::Disruptive, restart);
                told.push(restart.guarded(Guard::Same { container }));
                told.extend(gate::steps(&target, desk, &preflight::runs(desk).await?).await?);
                plan.locks.push(target.lock());
                plan.downtime = Some("from the container's stop until it has read the new weights".to_owned());
            }
            Serving::ByHand(pid) => plan.warnings.push(format!(
                "{} (process {pid}) serves the old file until you restart it; then see whether it generates",
                server.word()
            )),
        }
    }
    plan.steps.push(step);
    if told.is_empty() && plan.warnings.is_empty() {
        plan.warnings
            .push(format!("no server that is known here serves {shown}: whoever does must be restarted by hand"));
    }
    plan.steps.extend(told);
    plan.verdict = Some(format!("{shown} is {to}"));
    Ok(plan)
}

/// How a server serves a link.
enum Serving {
    No,
    /// As a router, under this name.
    Router(String),
    /// In a container that was started with it.
    Container(Box<Target>),
    /// As a process of its own that was started with it.
    ByHand(u32),
}

async fn serving(desk: &Desk, server: &Server, path: &Path) -> Result<Serving, Refusal> {
    let target = server.container(desk).await?;
    let mut spellings = vec![path.display().to_string()];
    let seen = target.as_ref().and_then(|target| inside(&target.container, path));
    spellings.extend(seen.map(|path| path.display().to_string()));
    if server.kind == EngineKind::LlamaCpp
        && Router::new(&desk.ports.http, server.origin).is_router().await.unwrap_or(false)
    {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let mut models = server.models.known().into_iter().flatten();
        let is_it = |name: &str| name == stem || name == file || spellings.iter().any(|spelling| spelling == name);
        return Ok(models.find(|model| is_it(&model.name)).map_or(Serving::No, |it| Serving::Router(it.name.clone())));
    }
    let is_it = |word: &str| {
        spellings.iter().any(|it| word == it || word.split_once('=').is_some_and(|(_, value)| value == it))
    };
    if let Some(target) = target {
        let words = target.raw.get("Args").and_then(|args| args.as_array()).into_iter().flatten();
        let mut words = words.chain(target.raw.get("Path")).filter_map(|word| word.as_str());
        let env = target.raw.pointer("/Config/Env").and_then(|env| env.as_array()).into_iter().flatten();
        let named =
            words.any(|word| word.split_whitespace().any(is_it)) || env.filter_map(|line| line.as_str()).any(is_it);
        return Ok(if named { Serving::Container(Box::new(target)) } else { Serving::No });
    }
    let Some(owner) = &server.owner else { return Ok(Serving::No) };
    let (fs, pid) = (desk.ports.fs.clone(), owner.pid);
    let line = desk.blocking(move || fs.read(format!("/proc/{pid}/cmdline")).unwrap_or_default()).await?;
    Ok(if line.split('\0').any(is_it) { Serving::ByHand(pid) } else { Serving::No })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_link_leads_from_its_own_folder() {
        let way = |link: &str, file: &str| between(Path::new(link), Path::new(file)).display().to_string();
        assert_eq!(way("/models/chat.gguf", "/models/a.gguf"), "a.gguf");
        assert_eq!(way("/models/live/chat.gguf", "/models/a/b.gguf"), "../a/b.gguf");
        assert_eq!(way("/chat.gguf", "/models/a.gguf"), "models/a.gguf");
    }

    #[test]
    fn only_whole_plain_paths_are_taken() {
        for path in ["models/a", "/", "/a/../b", "/a/./b", "", "/a\u{1b}b", "/a\nb"] {
            assert!(whole(path).is_err(), "{path}");
        }
        assert!(whole("/models/a b.gguf").is_ok());
    }
}
