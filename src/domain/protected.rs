//! What the operator keeps by name: nothing that the config names is ever cleaned up.

use std::fmt;
use std::str::FromStr;

use super::DockerDisk;

/// Names of containers, images, volumes and networks that stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Protected(Vec<NamePattern>);

/// A name; `*` stands for any characters, `?` for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern(String);

/// Why a text names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPattern {
    /// There is nothing in it.
    #[error("this is empty; a name is wanted, such as \"postgres-*\"")]
    Empty,
    /// No name has this character.
    #[error(
        "no name has `{0}` in it; allowed: letters, digits, . _ - / : @, with * for anything and ? for one character"
    )]
    Character(char),
}

impl FromStr for NamePattern {
    type Err = NoPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |character: char| character.is_ascii_alphanumeric() || "._-/:@*?".contains(character);
        match text.chars().find(|character| !fits(*character)) {
            Some(other) => Err(NoPattern::Character(other)),
            None if text.is_empty() => Err(NoPattern::Empty),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl NamePattern {
    /// Whether it means this name.
    pub fn means(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        // Where both stand; and the last star, with the character up to which it reaches.
        let (mut at, mut star) = ((0, 0), None);
        while let Some(byte) = name.get(at.1) {
            match pattern.get(at.0) {
                Some(b'*') => {
                    star = Some(at);
                    at.0 += 1;
                }
                Some(wanted) if *wanted == b'?' || wanted == byte => at = (at.0 + 1, at.1 + 1),
                _ => {
                    let Some((pattern_at, name_at)) = star else { return false };
                    star = Some((pattern_at, name_at + 1));
                    at = (pattern_at + 1, name_at + 1);
                }
            }
        }
        pattern[at.0..].iter().all(|byte| *byte == b'*')
    }
}

impl FromIterator<NamePattern> for Protected {
    fn from_iter<I: IntoIterator<Item = NamePattern>>(patterns: I) -> Self {
        Self(patterns.into_iter().collect())
    }
}

impl Protected {
    /// The names as they are written.
    pub fn patterns(&self) -> &[NamePattern] {
        &self.0
    }

    /// Whether one of them means this name.
    pub fn means(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| pattern.means(name))
    }

    /// Marks what they mean as kept. An image is meant by a reference, with or without its tag, and by where it came from.
    pub fn mark(&self, disk: &mut DockerDisk) {
        for image in &mut disk.images {
            let references = image.references.iter().flat_map(|reference| [reference.as_str(), untagged(reference)]);
            image.keep |= references.chain(image.repository.as_deref()).any(|name| self.means(name));
        }
        for container in &mut disk.containers {
            container.keep |= self.means(&container.name);
        }
        for volume in &mut disk.volumes {
            volume.keep |= self.means(&volume.name);
        }
        for network in &mut disk.networks {
            network.keep |= self.means(&network.name);
        }
    }
}

/// A reference without its tag.
fn untagged(reference: &str) -> &str {
    match reference.rsplit_once(':') {
        // A colon before a slash belongs to a port.
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => reference,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::make::{docker_network, docker_volume, image};

    fn protected(patterns: &[&str]) -> Protected {
        patterns.iter().map(|pattern| pattern.parse::<NamePattern>().unwrap()).collect()
    }

    #[test]
    fn a_star_is_anything_and_a_question_mark_is_one() {
        for (pattern, meant, other) in [
            ("postgres", "postgres", "postgres-1"),
            ("postgres-*", "postgres-", "postgres"),
            ("d*", "d", ""),
            ("*-db-*-1", "a-db-db-b-1", "a-db-1"),
            ("db?", "db1", "db"),
            ("*a*b", "xaabab", "xaaba"),
        ] {
            let pattern: NamePattern = pattern.parse().unwrap();
            assert!(pattern.means(meant), "{pattern} {meant}");
            assert!(!pattern.means(other), "{pattern} {other}");
        }
    }

    #[test]
    fn what_can_be_no_name_is_told() {
        assert_eq!("".parse::<NamePattern>(), Err(NoPattern::Empty));
        assert_eq!("a b".parse::<NamePattern>(), Err(NoPattern::Character(' ')));
        assert_eq!("db[12]".parse::<NamePattern>(), Err(NoPattern::Character('[')));
    }

    #[test]
    fn things_are_kept_by_their_names() {
        let mut disk = DockerDisk {
            images: ["postgres:16", "127.0.0.1:5000/app", "web:1"].map(image).to_vec(),
            volumes: ["pg-data", "cache"].map(docker_volume).to_vec(),
            networks: ["shop_default", "other"].map(docker_network).to_vec(),
            ..DockerDisk::default()
        };
        disk.images[2].references.clear();
        disk.images[2].repository = Some("n8nio/n8n".to_owned());
        protected(&["postgres", "127.0.0.1:5000/*", "n8nio/*", "pg-*", "shop_*"]).mark(&mut disk);
        assert!(disk.images.iter().all(|image| image.keep && !image.is_reclaimable()));
        assert_eq!(disk.volumes.iter().map(|volume| volume.keep).collect::<Vec<_>>(), [true, false]);
        assert_eq!(disk.networks.iter().map(|network| network.keep).collect::<Vec<_>>(), [true, false]);
    }
}
