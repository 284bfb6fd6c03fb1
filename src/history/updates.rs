//! What registries answered about images and models, and what people decided about images: two small files that outlive the
//! process.
//!
//! `updates.json` is a cache: it may be lost, and several hostlers may write it; the later answer about each of them wins.
//! `images.json` holds decisions, so it is changed under a lock.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{HistoryError, Place, StateDir, files};
use crate::domain::{Asked, ImageRule, ImageRules, UpdateMemory};

const CACHE: &str = "updates.json";
const RULES: &str = "images.json";
const RULES_LOCK: &str = "images.lock";
/// The format of both files.
const SCHEMA: u32 = 1;

/// `updates.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cache {
    schema: u32,
    #[serde(flatten)]
    memory: UpdateMemory,
}

impl StateDir {
    /// What registries answered, as far as it is remembered.
    pub fn updates(&self) -> UpdateMemory {
        self.path().map(cached).unwrap_or_default()
    }

    /// Remembers what registries answered, with what others have remembered since, and forgets what is old at `now`.
    ///
    /// # Errors
    /// When it could not be written.
    pub fn remember_updates(&self, memory: &UpdateMemory, now: Timestamp) -> Result<(), HistoryError> {
        match &self.place {
            Place::Folder { path, .. } => {
                let before = cached(path);
                let mut all = before.clone();
                keep_later(&mut all.images, &memory.images);
                keep_later(&mut all.models, &memory.models);
                all.forget_old(now);
                if all == before {
                    return Ok(());
                }
                let cache = Cache { schema: SCHEMA, memory: all };
                files::replace(&path.join(CACHE), &serde_json::to_vec(&cache)?)
            }
            Place::Demo => Ok(()),
            Place::Nowhere => Err(HistoryError::NoFolder),
        }
    }

    /// What people decided about images, as far as it can be understood.
    pub fn image_rules(&self) -> ImageRules {
        self.path().map(rules).unwrap_or_default()
    }

    /// Changes what is decided about `subject` (a container's name, or an image), and gives all decisions back.
    ///
    /// # Errors
    /// When it could not be written: then nothing was decided.
    pub fn decide(&self, subject: &str, change: impl FnOnce(&mut ImageRule)) -> Result<ImageRules, HistoryError> {
        let subject = ImageRules::subject(subject);
        match &self.place {
            Place::Folder { path, .. } => {
                let _alone = files::hold(&path.join(RULES_LOCK))?;
                let mut all = rules(path);
                all.change(&subject, change);
                all.schema = SCHEMA;
                files::replace(&path.join(RULES), &serde_json::to_vec(&all)?)?;
                Ok(all)
            }
            Place::Demo => Ok(ImageRules::default()),
            Place::Nowhere => Err(HistoryError::NoFolder),
        }
    }

    /// Offers no update for `subject` from now on, or offers them again.
    ///
    /// # Errors
    /// When it could not be written.
    pub fn pin_image(&self, subject: &str, pinned: bool) -> Result<ImageRules, HistoryError> {
        self.decide(subject, |rule| rule.pinned = pinned)
    }

    /// Passes versions over (tags, or digests of the tag that is used), or offers them again.
    ///
    /// # Errors
    /// When it could not be written.
    pub fn skip_versions(
        &self,
        subject: &str,
        versions: &[impl AsRef<str>],
        skip: bool,
    ) -> Result<ImageRules, HistoryError> {
        self.decide(subject, |rule| {
            for version in versions.iter().map(AsRef::as_ref) {
                if skip {
                    rule.skip(version);
                } else {
                    rule.skipped.retain(|skipped| skipped != version);
                }
            }
        })
    }

    /// Offers a release only so many days after it appeared; `None` goes back to what the config says.
    ///
    /// # Errors
    /// When it could not be written.
    pub fn wait_for_release(&self, subject: &str, days: Option<u32>) -> Result<ImageRules, HistoryError> {
        self.decide(subject, |rule| rule.wait_days = days)
    }
}

fn cached(folder: &Path) -> UpdateMemory {
    let cache: Option<Cache> = files::read_json(&folder.join(CACHE));
    cache.filter(|cache| cache.schema == SCHEMA).map(|cache| cache.memory).unwrap_or_default()
}

/// Adds answers to `all`; of two about the same the later one stays.
fn keep_later<A: Clone>(all: &mut BTreeMap<String, Asked<A>>, memory: &BTreeMap<String, Asked<A>>) {
    for (subject, asked) in memory {
        if all.get(subject).is_none_or(|theirs| theirs.at <= asked.at) {
            all.insert(subject.clone(), asked.clone());
        }
    }
}

fn rules(folder: &Path) -> ImageRules {
    let rules: Option<ImageRules> = files::read_json(&folder.join(RULES));
    rules.filter(|rules| rules.schema == SCHEMA).unwrap_or_default()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests spoil a store of their own")]
mod tests {
    use super::*;
    use crate::domain::{Answer, FaultKind, RegistryFault, SeenTag};

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_795_424_531 + hour * 3_600).unwrap()
    }

    fn asked(hour: i64, digest: &str) -> Asked {
        let seen = SeenTag { tag: "1.2".to_owned(), since: at(hour), published: Some(at(0)) };
        let answer = Answer {
            at: at(hour),
            digest: digest.to_owned(),
            since: at(hour),
            published: None,
            newer: vec![seen],
            tags_etag: Some("\"x\"".to_owned()),
        };
        let what = "x.lan failed (status 503)".to_owned();
        let fault = RegistryFault { kind: FaultKind::Server, what, until: Some(at(9)) };
        Asked { at: at(hour), next: at(hour + 6), answer: Some(answer), fault: Some(fault) }
    }

    fn memory<'a>(images: impl IntoIterator<Item = (&'a str, Asked)>) -> UpdateMemory {
        let images = images.into_iter().map(|(name, asked)| (name.to_owned(), asked)).collect();
        UpdateMemory { images, ..UpdateMemory::default() }
    }

    fn store() -> (tempfile::TempDir, StateDir) {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::choose(Some(&root.path().join("state")));
        (root, dir)
    }

    #[test]
    fn answers_come_back_and_the_later_one_wins() {
        let (_root, dir) = store();
        assert_eq!(dir.updates(), UpdateMemory::default());
        dir.remember_updates(&memory([("a:1", asked(2, "mine")), ("b:1", asked(2, "mine"))]), at(2)).unwrap();
        // Another hostler that was asleep, and one that was not.
        dir.remember_updates(&memory([("a:1", asked(1, "old")), ("c:1", asked(3, "theirs"))]), at(3)).unwrap();
        let all = memory([("a:1", asked(2, "mine")), ("b:1", asked(2, "mine")), ("c:1", asked(3, "theirs"))]);
        assert_eq!(dir.updates(), all);
        dir.remember_updates(&memory([]), at(24 * 60 + 2)).unwrap();
        assert_eq!(dir.updates().images.keys().collect::<Vec<_>>(), ["c:1"], "what nobody needs is forgotten");
        for spoilt in ["{\"schema\":1,\"images\":7}", "{\"schema\":2,\"images\":{}}", "[", ""] {
            std::fs::write(dir.path().unwrap().join(CACHE), spoilt).unwrap();
            assert_eq!(dir.updates(), UpdateMemory::default(), "{spoilt}");
        }
    }

    #[test]
    fn decisions_are_kept_and_taken_back() {
        let (_root, dir) = store();
        dir.pin_image("agents-n8n-1", true).unwrap();
        dir.skip_versions("n8nio/n8n:1.2", &["1.3"], true).unwrap();
        dir.skip_versions("n8nio/n8n", &["1.4"], true).unwrap();
        let rules = dir.wait_for_release("n8nio/n8n", Some(3)).unwrap();
        assert_eq!(rules, dir.image_rules());
        let of = rules.of("agents-n8n-1", &"n8nio/n8n:1.2".parse().unwrap());
        assert!(of.pinned && of.skipped == ["1.3", "1.4"] && of.wait_days == Some(3), "{of:?}");
        dir.pin_image("agents-n8n-1", false).unwrap();
        dir.skip_versions("n8nio/n8n", &["1.3"], false).unwrap();
        dir.skip_versions("n8nio/n8n", &["1.4"], false).unwrap();
        let rules = dir.wait_for_release("n8nio/n8n", None).unwrap();
        assert!(rules.rules.is_empty(), "{rules:?}");
    }

    #[test]
    fn decisions_of_many_are_all_kept() {
        let (_root, dir) = store();
        std::thread::scope(|scope| {
            for number in 0..4 {
                let dir = &dir;
                scope.spawn(move || {
                    (0..5).for_each(|version| {
                        dir.skip_versions("a/b", &[format!("{number}.{version}")], true).unwrap();
                    });
                });
            }
        });
        assert_eq!(dir.image_rules().rules["docker.io/a/b"].skipped.len(), 20);
    }

    #[test]
    fn a_demo_decides_nothing() {
        let dir = StateDir::demo();
        assert!(dir.pin_image("a", true).is_ok() && dir.remember_updates(&memory([]), at(0)).is_ok());
        assert_eq!(dir.image_rules(), ImageRules::default());
    }
}
