//! Inference servers, models and the places that keep them, as labelled lines.

use super::super::super::Scene;
use super::super::super::canvas::{Pieces, piece};
use super::super::super::list::RowKey;
use super::super::super::tabs::models;
use super::super::super::theme::Role;
use super::{labelled, read, wrapped};
use crate::domain::{
    Endpoint, Engine, KV_TYPES, LibraryPlace, MemoryNeed, Reading, Residency, Standing, StoredModel, Weights,
    largest_memory, units,
};

/// Title and lines.
type Detail = (String, Vec<Pieces<'static>>);

pub(super) fn engine(scene: &Scene<'_>, endpoint: &Endpoint, columns: usize) -> Option<Detail> {
    let engine = scene.state.engine_at(endpoint)?;
    Some((format!("{} {endpoint}", engine.kind.title()), of_engine(scene, engine, columns)))
}

/// A model of a server: the file behind it, else its server.
pub(super) fn model(scene: &Scene<'_>, endpoint: &Endpoint, name: &str, columns: usize) -> Option<Detail> {
    let server = scene.state.engine_at(endpoint)?;
    let model = server.models.known().into_iter().flatten().find(|model| model.name == name);
    match model.and_then(|model| scene.state.stored_of(server, model)) {
        Some(stored) => Some((name.to_owned(), of_stored(scene, stored, columns))),
        None => engine(scene, endpoint, columns),
    }
}

pub(super) fn stored(scene: &Scene<'_>, path: &str, columns: usize) -> Option<Detail> {
    let stored = scene.state.library.get()?.models.iter().find(|model| model.path == path)?;
    Some((stored.name.clone(), of_stored(scene, stored, columns)))
}

pub(super) fn place(scene: &Scene<'_>, path: &str, columns: usize) -> Option<Detail> {
    let place = scene.state.library.get()?.places.iter().find(|place| place.path == path)?;
    Some((path.to_owned(), of_place(place, columns)))
}

fn of_engine(scene: &Scene<'_>, engine: &Engine, columns: usize) -> Vec<Pieces<'static>> {
    let container = scene.state.container_of(engine).and_then(|id| scene.container_name(id));
    let version = match &engine.version {
        Reading::Known(version) => version.clone(),
        Reading::Unavailable(why) => format!("unavailable, because {why}"),
    };
    let mut lines = vec![
        labelled("version", version),
        labelled(
            "container",
            container.map_or_else(|| "none: a process of the host".to_owned(), |name| name.to_string()),
        ),
        labelled("running", read(&engine.requests_running, |count| count.to_string())),
        labelled("waiting", read(&engine.requests_waiting, |count| count.to_string())),
        labelled("kv cache", read(&engine.kv_cache_used_ratio, |used| format!("{} in use", units::percent(used)))),
        Vec::new(),
    ];
    lines.extend(models::about(scene, engine, u16::try_from(columns).unwrap_or(u16::MAX)));
    lines.push(Vec::new());
    match &engine.models {
        Reading::Known(models) => lines.extend(models.iter().map(|model| {
            let residency = match &model.residency {
                Residency::Unknown => String::new(),
                Residency::OnDisk => "  on disk".to_owned(),
                Residency::Loaded { vram_bytes, .. } => vram_bytes.map_or_else(
                    || "  loaded".to_owned(),
                    |bytes| format!("  loaded, {} of video memory", units::bytes(bytes)),
                ),
            };
            vec![piece(Role::Strong, model.name.clone()), piece(Role::Muted, residency)]
        })),
        Reading::Unavailable(why) => lines.push(labelled("models", format!("unavailable, because {why}"))),
    }
    lines
}

fn of_stored(scene: &Scene<'_>, stored: &StoredModel, columns: usize) -> Vec<Pieces<'static>> {
    let mut lines = Vec::new();
    if let Some(damage) = &stored.damage {
        lines.push(vec![piece(Role::Critical, format!("broken: {damage}"))]);
    }
    let servers = scene.state.servers_of(stored);
    let served: Vec<String> = servers.iter().map(|(engine, _)| engine.subject()).collect();
    let served = if served.is_empty() { "nobody that is known".to_owned() } else { served.join(", ") };
    lines.extend([
        labelled("kept by", format!("{}, in {}", stored.store.title(), stored.place)),
        labelled("path", stored.path.clone()),
        labelled("served by", served),
        labelled("size", size(stored)),
        labelled("used", last_used(scene, stored)),
    ]);
    let facts = [
        ("digest", stored.digest.clone()),
        ("family", stored.family.clone()),
        ("version", stored.version.clone()),
        ("is", stored.alias_of.clone()),
        ("also named", Some(stored.also_named.join(", ")).filter(|names| !names.is_empty())),
    ];
    lines.extend(facts.into_iter().filter_map(|(label, fact)| Some(labelled(label, fact?))));
    lines.extend(scene.state.model_update(stored).map(|update| labelled("published", published(&update.standing))));
    lines.extend(tuned(stored));
    match &stored.weights {
        Reading::Known(weights) => lines.extend(of_weights(scene, weights)),
        Reading::Unavailable(why) => {
            lines.push(Vec::new());
            lines.extend(wrapped(&format!("Its weights cannot be told, because {why}."), columns));
        }
    }
    lines
}

/// What its registry has.
fn published(standing: &Reading<Standing>) -> String {
    match standing {
        Reading::Known(Standing::Current) => "nothing newer".to_owned(),
        Reading::Known(Standing::MadeHere) => "never: it was made here".to_owned(),
        Reading::Known(Standing::Newer { digest, published }) => {
            let since = published.map(|at| format!(", since {}", at.strftime("%-d %b %Y"))).unwrap_or_default();
            format!("a newer one, {}{since}", digest.get(..12).unwrap_or(digest))
        }
        Reading::Unavailable(why) => format!("unknown, because {why}"),
    }
}

fn size(stored: &StoredModel) -> String {
    let all = units::bytes(stored.size_bytes);
    if stored.own_bytes == stored.size_bytes {
        return all;
    }
    format!("{all}, of which {} would go with it", units::bytes(stored.own_bytes))
}

fn last_used(scene: &Scene<'_>, stored: &StoredModel) -> String {
    match &stored.last_used {
        Reading::Known(at) => format!("{} ago", units::age(scene.now.since_wall(*at))),
        Reading::Unavailable(why) => format!("unknown, because {why}"),
    }
}

fn tuned(stored: &StoredModel) -> Vec<Pieces<'static>> {
    let Some(tuned) = &stored.tuned else { return Vec::new() };
    let due = tuned.retrain_due().map(|due| format!("due {due}"));
    let facts = [
        ("made from", tuned.base.clone()),
        ("trained", tuned.trained_at.map(|day| day.to_string())),
        ("on", tuned.corpus.clone()),
        ("retraining", due),
    ];
    facts.into_iter().filter_map(|(label, fact)| Some(labelled(label, fact?))).collect()
}

fn of_weights(scene: &Scene<'_>, weights: &Weights) -> Vec<Pieces<'static>> {
    let quantization = weights.quantization.clone().unwrap_or_else(|| "not told".to_owned());
    let bits = read(&weights.bits_per_weight, |bits| format!("{bits:.2} bits a weight"));
    let mut lines = vec![
        Vec::new(),
        labelled("parameters", read(&weights.parameters, units::parameters)),
        labelled("quant", format!("{quantization}, {bits}")),
        labelled("weights", units::bytes(weights.tensor_bytes)),
    ];
    lines.extend(memory(scene, weights));
    lines
}

/// What it takes by context and type of the cache, for one sequence, and what of it fits beside what is there now.
fn memory(scene: &Scene<'_>, weights: &Weights) -> Vec<Pieces<'static>> {
    let Some(shape) = &weights.shape else { return Vec::new() };
    let all = scene.state.gpus.get().and_then(|sample| largest_memory(&sample.gpus));
    let trained = shape.context_length.unwrap_or(131_072);
    let types = KV_TYPES.into_iter().filter(|kind| kind.name != "fp8");
    let mut title = vec![piece(Role::Muted, format!("{:<12}", "context"))];
    title.extend(types.clone().map(|kind| piece(Role::Muted, format!("{:>12}", format!("kv {}", kind.name)))));
    let mut lines = vec![Vec::new(), title];
    for tokens in [4_096, 8_192, 16_384, 32_768, 65_536, 131_072].into_iter().filter(|tokens| *tokens <= trained) {
        let mut line = vec![piece(Role::Muted, format!("{tokens:<12}"))];
        for kind in types.clone() {
            let need = MemoryNeed::of(weights.tensor_bytes, shape, tokens, 1, kind).total_bytes();
            let role = match all {
                Some(all) if need > all => Role::Warning,
                _ => Role::Text,
            };
            line.push(piece(role, format!("{:>12}", units::bytes(need))));
        }
        lines.push(line);
    }
    lines.push(vec![piece(Role::Faint, "An estimate: weights, cache of one sequence, buffers.")]);
    let most = all.map(|all| format!("In this colour: more than the {} of a card.", units::bytes(all)));
    lines.extend(most.map(|text| vec![piece(Role::Warning, text)]));
    lines
}

fn of_place(place: &LibraryPlace, columns: usize) -> Vec<Pieces<'static>> {
    let left = |what: &crate::domain::Leftovers| format!("{} in {} files", units::bytes(what.bytes), what.count);
    let orphans = match &place.orphans {
        Reading::Known(orphans) => left(orphans),
        Reading::Unavailable(why) => format!("unknown, because {why}"),
    };
    let volume = match &place.volume {
        Reading::Known(volume) => volume.clone(),
        Reading::Unavailable(why) => format!("unknown, because {why}"),
    };
    let mut lines = vec![
        labelled("kept by", place.store.title()),
        labelled("looked at", format!("because {}", place.because)),
        labelled("volume", volume),
        labelled("size", units::bytes(place.total_bytes)),
        labelled("orphans", orphans),
        labelled("unfinished", left(&place.partial)),
        labelled("pieces", left(&place.pieces)),
    ];
    for secret in &place.secrets {
        let readable = if secret.others_can_read { ", which others can read" } else { "" };
        lines.push(labelled("token in", format!("{} ({:04o}){readable}", secret.path, secret.mode)));
    }
    for problem in &place.problems {
        lines.push(Vec::new());
        lines.extend(wrapped(&problem.to_string(), columns));
        lines.extend(problem.remedy.iter().flat_map(|remedy| wrapped(remedy, columns)));
    }
    lines
}

/// What names a detail of this file.
pub(super) fn of(scene: &Scene<'_>, key: &RowKey, columns: usize) -> Option<Detail> {
    match key {
        RowKey::Engine(endpoint) => engine(scene, endpoint, columns),
        RowKey::Model(endpoint, name) => model(scene, endpoint, name, columns),
        RowKey::Stored(path) => stored(scene, path, columns),
        RowKey::Place(path) => place(scene, path, columns),
        _ => None,
    }
}
