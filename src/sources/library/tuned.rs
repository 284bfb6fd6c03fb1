//! Where a fine-tuned model comes from: the file `<weights>.hostler.toml` beside its weights, or the config.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::civil::Date;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::memory::Memory;
use crate::domain::Tuned;
use crate::host::{RootedFs, foreign};

/// How such a file's name ends.
pub(super) const ENDING: &str = ".hostler.toml";

/// The largest such file, bytes.
const MOST_BYTES: u64 = 64 << 10;

/// A day: `2026-10-01` as TOML writes it, or in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day(pub Date);

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Day;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a day such as 2026-10-01")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Day, E> {
                text.trim().parse().map(Day).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Day, A::Error> {
                let written = toml::value::Datetime::deserialize(MapAccessDeserializer::new(map))?;
                let day = written.date.map_or_else(String::new, |date| date.to_string());
                self.visit_str(&day)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// What stands in such a file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sidecar {
    base: Option<String>,
    trained_at: Option<Day>,
    corpus: Option<String>,
    retrain_days: Option<u32>,
}

impl Sidecar {
    fn tuned(&self, retrain_days: u32) -> Tuned {
        let words = |text: &Option<String>| text.as_deref().map(foreign::name);
        Tuned {
            base: words(&self.base),
            trained_at: self.trained_at.map(|Day(date)| date),
            corpus: words(&self.corpus),
            retrain_days: self.retrain_days.unwrap_or(retrain_days),
        }
    }
}

/// The path of the file that belongs to these weights.
pub(super) fn beside(weights: &Path) -> PathBuf {
    let mut path = weights.as_os_str().to_owned();
    path.push(ENDING);
    path.into()
}

/// What the file beside weights says; `None` where there is none.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(
    fs: &RootedFs,
    memory: &mut Memory,
    weights: &Path,
    retrain_days: u32,
) -> Result<Option<Tuned>, String> {
    let path = beside(weights);
    let Ok(facts) = fs.facts(&path) else { return Ok(None) };
    let said: Arc<Result<Sidecar, String>> = memory.sidecars.get(&path, &facts, || (said(fs, &path), true));
    said.as_ref().as_ref().map(|sidecar| Some(sidecar.tuned(retrain_days))).map_err(String::clone)
}

fn said(fs: &RootedFs, path: &Path) -> Result<Sidecar, String> {
    let mut text = String::new();
    let (file, _) = fs.open_unnoticed(path).map_err(|error| format!("cannot be read: {error}"))?;
    file.take(MOST_BYTES).read_to_string(&mut text).map_err(|error| format!("cannot be read: {error}"))?;
    toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
        foreign::clean(&format!("line {line}: {}", error.message().trim()), 300).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_written_as_toml_or_as_text() {
        for text in ["trained_at = 2026-10-01", "trained_at = \"2026-10-01\"", "trained_at = 2026-10-01T08:00:00Z"] {
            let sidecar: Sidecar = toml::from_str(text).unwrap();
            assert_eq!(sidecar.trained_at.unwrap().0.to_string(), "2026-10-01", "{text}");
        }
        for text in ["trained_at = \"autumn\"", "trained_at = 08:00:00", "trained_at = 3", "trained = 1"] {
            assert!(toml::from_str::<Sidecar>(text).is_err(), "{text}");
        }
    }
}
