//! What the registries of the made-up box have: a few newer images, one that cannot be told, one that stays as it is.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::containers;
use crate::domain::{
    Answer, Asked, FaultKind, ImageRef, ImageRules, LocalImage, RegistryFault, SeenTag, UpdateMemory, UpdatePolicy,
    UpdateSample,
};

/// How the source tells it.
pub(super) const DETAIL: &str = "12 images from registries, 12 asked about; 1 without an answer: ghcr.io cannot be reached: \
    no answer within 10 s";

/// Newer tags of an image, and since how many days they are out.
const NEWER: &[(&str, &[(&str, i64)])] = &[
    ("n8nio/n8n:1.118.2", &[("1.119.0", 3), ("1.118.5", 9)]),
    ("postgres:16.4", &[("17.2", 60), ("16.6", 20)]),
    ("qdrant/qdrant:v1.19.0", &[("v1.19.1", 5)]),
    ("langgenius/dify-api:1.13.3", &[("1.14.0", 12)]),
    ("postgres:15.8-alpine", &[("15.10-alpine", 20)]),
];

/// An image whose tag means another one by now.
const MOVED: &str = "ollama/ollama:0.33.0";

/// An image whose registry does not answer.
const SILENT: &str = "ghcr.io/ggml-org/llama.cpp:server-b10488";

/// The database is updated by hand.
pub(super) fn policy() -> UpdatePolicy {
    let mut rules = ImageRules::default();
    rules.change("dify-db-1", |rule| rule.pinned = true);
    UpdatePolicy { wait_days: 0, rules }
}

pub(super) fn sample(now: Timestamp) -> UpdateSample {
    let parsed = || containers::images().filter_map(|(image, id)| Some((image, id, image.parse::<ImageRef>().ok()?)));
    let images: BTreeMap<String, Asked> =
        parsed().map(|(image, id, reference)| (reference.to_string(), asked(image, &id, now))).collect();
    let local: HashMap<String, LocalImage> = parsed()
        .map(|(_, id, reference)| {
            let digests = vec![format!("{}@{}", reference.name(), digest(&id))];
            (id, LocalImage { digests, labels: BTreeMap::new() })
        })
        .collect();
    UpdateSample {
        memory: Arc::new(UpdateMemory { images, ..UpdateMemory::default() }),
        local: Arc::new(local),
        off: false,
    }
}

/// What the registry said two hours ago.
fn asked(image: &str, id: &str, now: Timestamp) -> Asked {
    let ago = |hours: i64| now.checked_sub(SignedDuration::from_hours(hours)).unwrap_or(now);
    let newer = NEWER.iter().find(|(known, _)| *known == image).map_or(&[][..], |(_, tags)| tags);
    let seen = |(tag, days): &(&str, i64)| {
        let out = ago(days * 24);
        SeenTag { tag: (*tag).to_owned(), since: out, published: Some(out) }
    };
    let moved = image == MOVED;
    let answer = Answer {
        at: ago(2),
        digest: digest(if moved { MOVED } else { id }),
        since: ago(26),
        published: None,
        newer: newer.iter().map(seen).collect(),
        tags_etag: None,
    };
    let silent = || RegistryFault {
        kind: FaultKind::Unreachable,
        what: "ghcr.io cannot be reached: no answer within 10 s".to_owned(),
        until: None,
    };
    let next = ago(2).checked_add(SignedDuration::from_hours(6)).unwrap_or(now);
    Asked { at: ago(2), next, answer: Some(answer), fault: (image == SILENT).then(silent) }
}

/// A digest that belongs to this text.
fn digest(of: &str) -> String {
    format!("sha256:{}", containers::id(of).0)
}
