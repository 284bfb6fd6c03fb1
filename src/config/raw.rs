//! The config as it is written: every key may be absent, and a key that is not here is a fault.
//!
//! Values are read in the operator's units (`"20%"`, `"5m"`) and remember where they stand; whether they are possible is
//! for `check` to say.

mod alerts;

pub(super) use alerts::{Limit, RawAlerts, RawDay, RawHeartbeat, RawKind, RawQuiet, RawReceiver, RawRule};

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, SpanRelativeTo};
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Config, Fault, GlyphChoice, Place};
use crate::domain::Risk;
use crate::sources::Day;
use crate::ui::command::Command;

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) read_only: Option<bool>,
    pub(super) ui: RawUi,
    pub(super) sources: RawSources,
    pub(super) thresholds: RawThresholds,
    pub(super) updates: RawUpdates,
    pub(super) actions: RawActions,
    pub(super) models: RawModels,
    pub(super) alerts: RawAlerts,
    pub(super) history: RawHistory,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) schedule: Vec<RawScheduled>,
    /// By command.
    pub(super) keys: BTreeMap<Spanned<String>, Spanned<Keys>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) action: Vec<RawAction>,
}

/// `[ui]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawUi {
    pub(super) theme: Option<Spanned<String>>,
    pub(super) glyphs: Option<GlyphChoice>,
    pub(super) mouse: Option<bool>,
}

/// `[sources]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawSources {
    pub(super) refresh: Option<Spanned<Span>>,
    pub(super) docker: Option<Spanned<String>>,
    pub(super) nvml_library: Option<Spanned<String>>,
    pub(super) engines: Option<Vec<Spanned<String>>>,
    pub(super) probe_every: Option<Spanned<Span>>,
}

/// `[thresholds]`: the names are those of [`Thresholds`](crate::domain::Thresholds).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawThresholds {
    pub(super) disk_free_warning: Option<Spanned<Ratio>>,
    pub(super) disk_free_critical: Option<Spanned<Ratio>>,
    pub(super) memory_used_warning: Option<Spanned<Ratio>>,
    pub(super) memory_used_critical: Option<Spanned<Ratio>>,
    pub(super) memory_hold_for: Option<Spanned<Span>>,
    pub(super) gpu_temperature_warning: Option<Spanned<Celsius>>,
    pub(super) gpu_temperature_critical: Option<Spanned<Celsius>>,
    pub(super) gpu_hold_for: Option<Spanned<Span>>,
    pub(super) restart_count: Option<Spanned<Count>>,
    pub(super) restart_window: Option<Spanned<Span>>,
    pub(super) restart_clear: Option<Spanned<Span>>,
    pub(super) oom_window: Option<Spanned<Span>>,
    pub(super) error_rate_warning: Option<Spanned<Ratio>>,
    pub(super) error_rate_critical: Option<Spanned<Ratio>>,
}

/// `[updates]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawUpdates {
    pub(super) check: Option<bool>,
    pub(super) wait_days: Option<Spanned<Count>>,
    pub(super) notes: Option<bool>,
}

/// `[models]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawModels {
    pub(super) aliases: Option<Vec<Spanned<String>>>,
    pub(super) folders: Option<Vec<Spanned<String>>>,
    pub(super) naming: Option<Spanned<String>>,
    pub(super) retrain_days: Option<Spanned<Count>>,
    pub(super) watch: Option<Vec<Spanned<String>>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tuned: Vec<RawTuned>,
}

/// `[[schedule]]`: what is done at a set time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawScheduled {
    pub(super) name: Spanned<String>,
    pub(super) action: Spanned<String>,
    pub(super) targets: Option<Vec<String>>,
    pub(super) with: Option<Vec<String>>,
    pub(super) without: Option<Vec<String>>,
    pub(super) days: Option<Vec<RawDay>>,
    pub(super) day: Option<Spanned<Count>>,
    pub(super) at: Spanned<String>,
}

/// `[history]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawHistory {
    pub(super) prometheus: Option<Spanned<String>>,
    pub(super) token_file: Option<Spanned<String>>,
    pub(super) token_env: Option<Spanned<String>>,
    pub(super) listen: Option<Spanned<String>>,
    pub(super) listen_token_file: Option<Spanned<String>>,
    pub(super) listen_token_env: Option<Spanned<String>>,
    pub(super) labels: BTreeMap<Spanned<String>, Spanned<String>>,
}

/// `[[models.tuned]]`: a model that was fine-tuned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTuned {
    pub(super) name: Spanned<String>,
    pub(super) base: Option<String>,
    pub(super) trained_at: Option<Day>,
    pub(super) corpus: Option<String>,
    pub(super) retrain_days: Option<Spanned<Count>>,
}

/// `[actions]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawActions {
    pub(super) gate: Option<Spanned<Span>>,
    pub(super) steady: Option<Spanned<Span>>,
    pub(super) keep: Option<Spanned<Count>>,
    pub(super) archive_gib: Option<Spanned<Count>>,
    /// By container.
    pub(super) probes: BTreeMap<Spanned<String>, Spanned<String>>,
    pub(super) protect: Option<Vec<Spanned<String>>>,
}

/// `[[action]]`: one of the operator's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAction {
    pub(super) id: Spanned<String>,
    pub(super) title: Spanned<String>,
    pub(super) argv: Spanned<Vec<Spanned<String>>>,
    pub(super) on: Option<RawSubject>,
    pub(super) risk: Option<Risk>,
    pub(super) key: Option<Spanned<String>>,
    pub(super) confirm: Option<String>,
    pub(super) timeout: Option<Spanned<Span>>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    pub(super) secrets: BTreeMap<String, Spanned<String>>,
}

/// What one of the operator's own actions can work on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawSubject {
    /// Containers.
    Container,
    /// The whole box.
    Box,
}

/// Reads the raw form.
///
/// # Errors
/// Every unknown key; else the first fault of syntax or type.
pub(super) fn parse(text: &str) -> Result<RawConfig, Vec<Fault>> {
    toml::from_str(text).map_err(|error| {
        let unknown = unknown_keys(text);
        if unknown.is_empty() {
            let place = error.span().map(|span| Place::of(text, span));
            vec![Fault { place, what: error.message().trim().replace('\n', "; ") }]
        } else {
            unknown
        }
    })
}

/// Every key that means nothing, with what would mean something in its place; empty if the text is no TOML.
fn unknown_keys(text: &str) -> Vec<Fault> {
    let (Ok(written), Ok(defaults)) = (DeTable::parse(text), Config::defaults()) else {
        return Vec::new();
    };
    // The defaults say every key, apart from those that have no default.
    let Ok(known) = toml::Table::try_from(super::print::complete(&defaults)) else {
        return Vec::new();
    };
    let mut faults = Vec::new();
    compare(written.get_ref(), &known, text, &mut faults);
    faults.sort_by_key(|fault| fault.place.as_ref().map(|place| (place.line, place.column)));
    faults
}

fn compare(written: &DeTable<'_>, known: &toml::Table, text: &str, faults: &mut Vec<Fault>) {
    for (key, value) in written {
        let name: &str = key.get_ref();
        match (known.get(name), value.get_ref()) {
            (None, _) => {
                let place = Some(Place::of(text, key.span()));
                faults.push(Fault { place, what: unknown("key", name, known.keys().map(String::as_str)) });
            }
            // Which commands there are is checked with the keys themselves; containers and variables have any name.
            (Some(toml::Value::Table(_)), _) if ["keys", "probes", "env", "secrets", "labels"].contains(&name) => {}
            (Some(toml::Value::Table(known)), DeValue::Table(written)) => compare(written, known, text, faults),
            (Some(toml::Value::Array(known)), DeValue::Array(written)) => {
                let Some(toml::Value::Table(known)) = known.first() else { continue };
                let tables = written.iter().filter_map(|entry| match entry.get_ref() {
                    DeValue::Table(table) => Some(table),
                    _ => None,
                });
                tables.for_each(|table| compare(table, known, text, faults));
            }
            _ => {}
        }
    }
}

/// There is no such `thing`; the nearest of `allowed` first, then all of them.
pub(super) fn unknown<'a>(thing: &str, name: &str, allowed: impl Iterator<Item = &'a str>) -> String {
    let allowed: Vec<&str> = allowed.collect();
    let nearest = allowed.iter().map(|known| (strsim::damerau_levenshtein(name, known), known)).min();
    let meant = match nearest {
        Some((distance, known)) if distance <= 2.max(known.len() / 4) => format!(" (did you mean `{known}`?)"),
        _ => String::new(),
    };
    format!("unknown {thing} `{name}`{meant}; allowed here: {}", allowed.join(", "))
}

/// There is no such command.
pub(super) fn unknown_command(name: &str) -> String {
    // What leads back out cannot be bound to anything else.
    unknown("command", name, Command::all().filter(|command| *command != Command::Back).map(Command::name))
}

/// The share that `20%` says.
fn percent(text: &str) -> Option<f64> {
    let percent = text.trim().strip_suffix('%').and_then(|number| number.trim_end().parse::<f64>().ok());
    percent.filter(|percent| percent.is_finite()).map(|percent| percent / 100.0)
}

/// A share, 0 to 1; written `0.2` or `"20%"`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub(super) struct Ratio(pub(super) f64);

impl<'de> Deserialize<'de> for Ratio {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Ratio;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a share such as 0.2 or \"20%\"")
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Ratio, E> {
                Ok(Ratio(value))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Ratio, E> {
                Ok(Ratio(value as f64))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Ratio, E> {
                match percent(text) {
                    Some(ratio) => Ok(Ratio(ratio)),
                    None => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// A temperature, °C.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub(super) struct Celsius(pub(super) f64);

impl<'de> Deserialize<'de> for Celsius {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Celsius;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("degrees Celsius as a number, such as 85")
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Celsius, E> {
                Ok(Celsius(value))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Celsius, E> {
                Ok(Celsius(value as f64))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// A number of things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Serialize)]
#[serde(transparent)]
pub(super) struct Count(pub(super) u32);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Count;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number such as 3")
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Count, E> {
                u32::try_from(value).map(Count).map_err(|_| E::invalid_value(de::Unexpected::Signed(value), &self))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// A length of time, written as `"500ms"`, `"45s"`, `"5m"`, `"1h 30m"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(super) struct Span(pub(super) Duration);

impl Span {
    /// As it is written.
    pub(super) fn words(duration: Duration) -> String {
        SignedDuration::try_from(duration)
            .map_or_else(|_| format!("{}s", duration.as_secs()), |span| format!("{span:#}"))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Self::words(self.0))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Span;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as \"500ms\", \"45s\" or \"5m\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
                let span = text.trim().parse::<jiff::Span>().ok();
                let span = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
                span.and_then(|span| Duration::try_from(span).ok())
                    .map(Span)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// The keys of one command: `"k"` or `["k", "up"]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub(super) struct Keys(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Keys;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key such as \"k\", or several such as [\"k\", \"up\"]")
            }
            fn visit_str<E: de::Error>(self, key: &str) -> Result<Keys, E> {
                Ok(Keys(vec![key.to_owned()]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut keys: A) -> Result<Keys, A::Error> {
                let mut all = Vec::new();
                while let Some(key) = keys.next_element()? {
                    all.push(key);
                }
                Ok(Keys(all))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}
