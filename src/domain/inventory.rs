//! What the box consisted of when it was looked at last: what a later look is held against, to tell what changed meanwhile
//! and what did not come back after a reboot.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Mark, MarkKind};

/// The parts of the box at one moment; `None` for what could not be seen then.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Inventory {
    /// The kernel's own id of this start of the machine.
    pub boot: Option<String>,
    /// The kernel's release.
    pub kernel: Option<String>,
    /// The version of the GPU driver that is loaded.
    pub driver: Option<String>,
    /// The containers that run, by name.
    pub containers: Option<BTreeMap<String, RunningContainer>>,
    /// The models that each inference server holds in memory, by server.
    pub models: Option<BTreeMap<String, BTreeSet<String>>>,
    /// The volumes that are mounted.
    pub mounts: Option<BTreeSet<String>>,
    /// The cards, by UUID, with their power limit in watts.
    pub gpus: Option<BTreeMap<String, Option<f64>>>,
    /// What needed someone: each finding's title, by its id and subject.
    pub findings: Option<BTreeMap<String, String>>,
}

/// A container that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningContainer {
    /// The id of its image.
    pub image: String,
    /// The image as the container names it.
    pub reference: String,
    /// When it was started.
    pub started: Option<Timestamp>,
    /// Automatic restarts until then.
    pub restarts: u32,
}

/// Something that was there before a reboot and is not any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What it is, as findings name it.
    pub subject: String,
    /// What is the matter with it, in a clause without the subject.
    pub what: String,
}

impl Inventory {
    /// The later inventory, with what it could not see as it was before.
    #[must_use]
    pub fn then(self, later: Self) -> Self {
        Self {
            boot: later.boot.or(self.boot),
            kernel: later.kernel.or(self.kernel),
            driver: later.driver.or(self.driver),
            containers: later.containers.or(self.containers),
            models: later.models.or(self.models),
            mounts: later.mounts.or(self.mounts),
            gpus: later.gpus.or(self.gpus),
            findings: later.findings.or(self.findings),
        }
    }

    /// What changed until `later`, of what both could see, as marks of `at`.
    pub fn changes_to(&self, later: &Self, at: Timestamp) -> Vec<Mark> {
        let mut marks = Vec::new();
        let mut mark = |kind, subject: Option<&str>, text: String| {
            marks.push(Mark { at, kind, subject: subject.map(str::to_owned), text });
        };
        for (kind, what, before, now) in [
            (MarkKind::Kernel, "kernel", &self.kernel, &later.kernel),
            (MarkKind::Driver, "GPU driver", &self.driver, &later.driver),
        ] {
            if let (Some(before), Some(now)) = (before, now)
                && before != now
            {
                mark(kind, None, format!("{what} {now}, before {before}"));
            }
        }
        let rebooted = self.boot.is_some() && later.boot.is_some() && self.boot != later.boot;
        if rebooted {
            mark(MarkKind::Reboot, None, "the machine was started anew".to_owned());
        }
        if let (Some(before), Some(now)) = (&self.containers, &later.containers) {
            for (name, now) in now {
                let Some(before) = before.get(name) else { continue };
                if before.image != now.image {
                    mark(MarkKind::Image, Some(name), format!("{name}: another image, {}", now.reference));
                // A restart that the engine counts is one of a loop, which findings tell; and a reboot restarts all.
                } else if before.started != now.started && before.restarts >= now.restarts && !rebooted {
                    mark(MarkKind::Restart, Some(name), format!("{name} was started anew"));
                }
            }
        }
        if let (Some(before), Some(now)) = (&self.findings, &later.findings) {
            let subject = |key: &str| key.split_once(' ').map_or_else(String::new, |(_, subject)| subject.to_owned());
            for (key, title) in now.iter().filter(|(key, _)| !before.contains_key(*key)) {
                mark(MarkKind::Finding, Some(&subject(key)), format!("{key}: {title}"));
            }
            for key in before.keys().filter(|key| !now.contains_key(*key)) {
                mark(MarkKind::Finding, Some(&subject(key)), format!("{key}: cleared"));
            }
        }
        marks
    }

    /// What was there and is not in `now`, of what both could see.
    pub fn missing_in(&self, now: &Self) -> Vec<Missing> {
        let mut missing = Vec::new();
        let mut miss = |subject: &str, what: String| missing.push(Missing { subject: subject.to_owned(), what });
        if let (Some(before), Some(now)) = (&self.containers, &now.containers) {
            before
                .keys()
                .filter(|name| !now.contains_key(*name))
                .for_each(|name| miss(name, "does not run".to_owned()));
        }
        if let (Some(before), Some(now)) = (&self.mounts, &now.mounts) {
            before.difference(now).for_each(|mount| miss(mount, "is not mounted".to_owned()));
        }
        if let (Some(before), Some(now)) = (&self.gpus, &now.gpus) {
            for (uuid, limit) in before {
                match (limit, now.get(uuid)) {
                    (_, None) => miss(uuid, "is not there".to_owned()),
                    (Some(before), Some(Some(now))) if (before - now).abs() >= 1.0 => {
                        miss(uuid, format!("has a power limit of {now:.0} W, {before:.0} W before"));
                    }
                    _ => {}
                }
            }
        }
        if let (Some(before), Some(now)) = (&self.models, &now.models) {
            for (engine, models) in before {
                match now.get(engine) {
                    None if models.is_empty() => {}
                    None => miss(engine, "does not serve".to_owned()),
                    Some(now) => {
                        let lost: Vec<&str> = models.difference(now).map(String::as_str).collect();
                        if !lost.is_empty() {
                            miss(engine, format!("has not loaded {}", lost.join(", ")));
                        }
                    }
                }
            }
        }
        missing
    }
}

/// What is known of the box from before: kept in hostler's own store.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Remembered {
    /// As it was seen last.
    pub last: Inventory,
    /// As it was before the last reboot.
    pub before_reboot: Option<Inventory>,
}

impl Remembered {
    /// Takes a new look in, taken at `at`, and tells what changed.
    pub fn look(&mut self, now: Inventory, at: Timestamp) -> Vec<Mark> {
        let marks = self.last.changes_to(&now, at);
        if marks.iter().any(|mark| mark.kind == MarkKind::Reboot) {
            self.before_reboot = Some(std::mem::take(&mut self.last));
            self.last = now;
        } else {
            self.last = std::mem::take(&mut self.last).then(now);
        }
        marks
    }

    /// The box before this start of the machine; `None` where the machine was not started anew since hostler looked first.
    pub fn before(&self, boot: &str) -> Option<&Inventory> {
        let is_older = self.last.boot.as_ref().is_some_and(|last| last != boot);
        if is_older { Some(&self.last) } else { self.before_reboot.as_ref() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(image: &str, started: i64, restarts: u32) -> RunningContainer {
        let started = Timestamp::from_second(started).ok();
        RunningContainer { image: image.to_owned(), reference: format!("{image}:1"), started, restarts }
    }

    fn inventory(boot: &str, containers: &[(&str, RunningContainer)]) -> Inventory {
        Inventory {
            boot: Some(boot.to_owned()),
            containers: Some(containers.iter().map(|(name, it)| ((*name).to_owned(), it.clone())).collect()),
            ..Inventory::default()
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn words(marks: &[Mark]) -> Vec<(&'static str, &str)> {
        marks.iter().map(|mark| (mark.kind.word(), mark.text.as_str())).collect()
    }

    #[test]
    fn what_changed_is_marked_once() {
        let mut kept = Remembered::default();
        let first = Inventory {
            driver: Some("580.1".to_owned()),
            ..inventory(
                "a",
                &[("n8n", container("n8n", 0, 0)), ("db", container("pg", 0, 0)), ("web", container("w", 0, 0))],
            )
        };
        assert!(kept.look(first, at(60)).is_empty(), "before the first look nothing was known");
        let second = Inventory {
            driver: Some("590.2".to_owned()),
            ..inventory(
                "a",
                &[("n8n", container("n9n", 30, 0)), ("db", container("pg", 40, 0)), ("web", container("w", 50, 1))],
            )
        };
        let marks = kept.look(second.clone(), at(60));
        let expected = [
            ("driver", "GPU driver 590.2, before 580.1"),
            ("restart", "db was started anew"),
            ("image", "n8n: another image, n9n:1"),
        ];
        assert_eq!(words(&marks), expected);
        assert!(kept.look(second, at(60)).is_empty());
    }

    #[test]
    fn what_could_not_be_seen_did_not_change() {
        let mut kept = Remembered::default();
        kept.look(inventory("a", &[("n8n", container("n8n", 0, 0))]), at(60));
        assert!(kept.look(Inventory { containers: None, ..inventory("a", &[]) }, at(60)).is_empty());
        let marks = kept.look(inventory("a", &[("n8n", container("new", 0, 0))]), at(60));
        assert_eq!(words(&marks), [("image", "n8n: another image, new:1")]);
    }

    #[test]
    fn findings_are_marked_when_they_open_and_clear() {
        let with = |findings: &[(&str, &str)]| Inventory {
            findings: Some(findings.iter().map(|(key, title)| ((*key).to_owned(), (*title).to_owned())).collect()),
            ..inventory("a", &[])
        };
        let mut kept = Remembered::default();
        kept.look(with(&[]), at(60));
        let opened = kept.look(with(&[("disk.free /", "17% free")]), at(60));
        assert_eq!(words(&opened), [("finding", "disk.free /: 17% free")]);
        assert_eq!(opened[0].subject.as_deref(), Some("/"));
        assert!(kept.look(with(&[("disk.free /", "16% free")]), at(60)).is_empty());
        assert_eq!(words(&kept.look(with(&[]), at(60))), [("finding", "disk.free /: cleared")]);
    }

    #[test]
    fn after_a_reboot_what_is_missing_is_told_until_it_is_back() {
        let mut kept = Remembered::default();
        let mut before = inventory("a", &[("db", container("pg", 0, 0)), ("n8n", container("n8n", 0, 0))]);
        before.mounts = Some(["/".to_owned(), "/models".to_owned()].into());
        before.gpus = Some([("GPU-1".to_owned(), Some(280.0)), ("GPU-2".to_owned(), None)].into());
        before.models = Some([("vllm:8000".to_owned(), ["qwen".to_owned()].into())].into());
        kept.look(before.clone(), at(60));
        assert!(kept.before("a").is_none());

        let mut after = inventory("b", &[("db", container("pg", 500, 0))]);
        after.mounts = Some(["/".to_owned()].into());
        after.gpus = Some([("GPU-1".to_owned(), Some(350.0))].into());
        after.models = Some(BTreeMap::new());
        let told = |kept: &Remembered, now: &Inventory| -> Vec<String> {
            let before = kept.before(now.boot.as_deref().unwrap());
            let missing = before.map(|before| before.missing_in(now)).unwrap_or_default();
            missing.iter().map(|missing| format!("{} {}", missing.subject, missing.what)).collect()
        };
        let expected = [
            "n8n does not run",
            "/models is not mounted",
            "GPU-1 has a power limit of 350 W, 280 W before",
            "GPU-2 is not there",
            "vllm:8000 does not serve",
        ];
        assert_eq!(told(&kept, &after), expected);
        assert!(kept.look(after.clone(), at(60)).iter().any(|mark| mark.kind == MarkKind::Reboot));
        assert_eq!(told(&kept, &after), expected, "after it was looked at, too");
        let mut back = Inventory { boot: after.boot.clone(), ..before };
        kept.look(back.clone(), at(60));
        assert!(told(&kept, &back).is_empty());
        back.models = Some([("vllm:8000".to_owned(), BTreeSet::new())].into());
        assert_eq!(told(&kept, &back), ["vllm:8000 has not loaded qwen"]);
    }

    #[test]
    fn what_is_kept_is_read_back() {
        let mut kept = Remembered::default();
        kept.look(inventory("a", &[("db", container("pg", 0, 0))]), at(60));
        let text = serde_json::to_string(&kept).unwrap();
        assert_eq!(serde_json::from_str::<Remembered>(&text).unwrap(), kept);
        assert_eq!(serde_json::from_str::<Remembered>("{}").unwrap(), Remembered::default());
    }
}
