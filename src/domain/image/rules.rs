//! What people decided about updates: what stays as it is, which versions are passed over, how long a release must be out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ImageRef;

/// Decisions, by what they are about: a container's name, or an image's repository (`docker.io/n8nio/n8n`; a container's
/// name has no slash).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRules {
    /// The format, 1.
    #[serde(default)]
    pub schema: u32,
    /// By subject.
    #[serde(default)]
    pub rules: BTreeMap<String, ImageRule>,
}

/// What was decided about one subject.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRule {
    /// No update is offered.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pinned: bool,
    /// Versions that are not offered, the earliest decision first: tags, and digests (`sha256:…`) of the tag that is used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<String>,
    /// Days that a release must have been out before it is offered; `None` for what the config says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_days: Option<u32>,
}

impl ImageRule {
    /// The most versions that are passed over for one subject: the earliest decisions go.
    pub const SKIPPED: usize = 100;

    /// Passes a version over.
    pub fn skip(&mut self, version: &str) {
        if !self.skipped.iter().any(|known| known == version) {
            self.skipped.push(version.to_owned());
        }
        let surplus = self.skipped.len().saturating_sub(Self::SKIPPED);
        self.skipped.drain(..surplus);
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl ImageRules {
    /// The subject that a person means: a container's name as it is, an image's reference as its repository.
    pub fn subject(text: &str) -> String {
        match text.parse::<ImageRef>() {
            Ok(image) if text.contains(['/', ':', '@']) => image.name(),
            _ => text.to_owned(),
        }
    }

    /// What holds for a container of this name with this image: its own rule over its image's, and what either passes over.
    pub fn of(&self, container: &str, image: &ImageRef) -> ImageRule {
        let (own, shared) = (self.rules.get(container), self.rules.get(&image.name()));
        let both = || own.into_iter().chain(shared);
        ImageRule {
            pinned: both().any(|rule| rule.pinned),
            skipped: both().flat_map(|rule| rule.skipped.iter().cloned()).collect(),
            wait_days: both().find_map(|rule| rule.wait_days),
        }
    }

    /// Changes what is decided about a subject; a rule that says nothing any more goes.
    pub fn change(&mut self, subject: &str, change: impl FnOnce(&mut ImageRule)) {
        let rule = self.rules.entry(subject.to_owned()).or_default();
        change(rule);
        if rule.is_empty() {
            self.rules.remove(subject);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_containers_own_rule_goes_over_its_images() {
        let image: ImageRef = "n8nio/n8n:1.2".parse().unwrap();
        let mut rules = ImageRules::default();
        rules.change("docker.io/n8nio/n8n", |rule| {
            rule.wait_days = Some(7);
            rule.skip("1.3");
        });
        rules.change("n8n-1", |rule| {
            rule.wait_days = Some(0);
            rule.skip("1.4");
        });
        let of = rules.of("n8n-1", &image);
        assert_eq!((of.pinned, of.wait_days), (false, Some(0)));
        assert_eq!(of.skipped, ["1.4", "1.3"]);
        assert_eq!(rules.of("other", &image).wait_days, Some(7));
        rules.change("n8n-1", |rule| *rule = ImageRule::default());
        assert_eq!(rules.rules.len(), 1, "what says nothing is gone");
    }

    #[test]
    fn decisions_are_bounded() {
        let mut rule = ImageRule::default();
        (0..200).chain(190..200).for_each(|version| rule.skip(&version.to_string()));
        assert_eq!(rule.skipped.len(), ImageRule::SKIPPED);
        assert_eq!((rule.skipped[0].as_str(), rule.skipped[99].as_str()), ("100", "199"));
    }

    #[test]
    fn a_subject_is_a_name_or_a_repository() {
        for (text, subject) in [
            ("agents-n8n-1", "agents-n8n-1"),
            ("n8nio/n8n", "docker.io/n8nio/n8n"),
            ("n8nio/n8n:1.2", "docker.io/n8nio/n8n"),
            ("postgres:16", "docker.io/library/postgres"),
        ] {
            assert_eq!(ImageRules::subject(text), subject);
        }
    }
}
