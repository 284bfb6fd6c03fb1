//! What is published of the models of the made-up box: one has a newer revision, one was made here, one author is watched.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::library;
use crate::domain::{
    Asked, FaultKind, ModelAnswer, ModelOrigin, ModelRelease, ModelUpdateSample, RegistryFault, UpdateMemory,
};

/// How the source tells it.
pub(super) const DETAIL: &str = "4 models from registries, 4 asked about";

/// A model whose publisher has another revision by now.
const MOVED: &str = "llama3.1:8b";
/// A model that nobody published.
const MADE_HERE: &str = "qwen3-32b:q4_K_M";
/// Whom the box watches, and what of theirs is how many days old.
const AUTHOR: &str = "mistralai";
const PUBLISHED: &[(&str, i64)] =
    &[("mistralai/Mistral-Small-4.1-24B-Instruct-FP8", 2), ("mistralai/Mistral-Large-4-123B-Instruct", 17)];

pub(super) fn sample(now: Timestamp) -> ModelUpdateSample {
    let family = ModelOrigin::Author(AUTHOR.to_owned());
    let ago = |days: i64| now.checked_sub(SignedDuration::from_hours(24 * days)).unwrap_or(now);
    let release = |name: &str, digest, days| ModelRelease {
        name: name.to_owned(),
        digest,
        published: Some(ago(days)),
        since: ago(days),
        weights_bytes: None,
        parameters: None,
    };
    let models = library::sample(now).models;
    let of_model = models.iter().filter_map(|model| {
        let origin = ModelOrigin::of(model).ok()?.to_string();
        let asked = match model.name.as_str() {
            MADE_HERE => nowhere(now, &origin),
            MOVED => answered(now, vec![release(&origin, Some(library::digest("another one")), 3)]),
            _ => answered(now, vec![release(&origin, model.digest.clone(), 200)]),
        };
        Some((origin, asked))
    });
    let published = PUBLISHED.iter().map(|(name, days)| release(name, None, *days)).collect();
    let watched = [(family.to_string(), answered(now, published))];
    let memory = UpdateMemory { models: of_model.chain(watched).collect(), ..UpdateMemory::default() };
    ModelUpdateSample { memory: Arc::new(memory), families: [family].into(), off: false }
}

/// What was said two hours ago.
fn answered(now: Timestamp, releases: Vec<ModelRelease>) -> Asked<ModelAnswer> {
    let hours = |hours| now.saturating_add(SignedDuration::from_hours(hours)).unwrap_or(now);
    let answer = ModelAnswer { at: hours(-2), releases, before: Vec::new() };
    Asked { at: hours(-2), next: hours(4), answer: Some(answer), fault: None }
}

fn nowhere(now: Timestamp, origin: &str) -> Asked<ModelAnswer> {
    let what = format!("registry.ollama.ai has no {origin} (any more)");
    let fault = RegistryFault { kind: FaultKind::NotFound, what, until: None };
    Asked { answer: None, fault: Some(fault), ..answered(now, Vec::new()) }
}
