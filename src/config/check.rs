//! From what is written to what is possible: ranges, addresses, keys. Every fault is collected.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;

use super::raw::{Keys, Ratio, RawAction, RawActions, RawConfig, RawThresholds, Span, unknown_command};
use super::{Config, Fault, Place};
use crate::actions::{ActionSettings, NoProbePath, OwnAction, ProbePath};
use crate::domain::{ActionSpec, ModelName, NamePattern, Protected, SeriesRule, Thresholds, units};
use crate::sources::SourceSettings;
use crate::ui::command::Command;
use crate::ui::keymap::{Keymap, KeymapError};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// The config that `raw`, read from `text`, sets down over the defaults.
///
/// # Errors
/// Every fault, in the order of the file.
pub(super) fn check(raw: &RawConfig, text: &str) -> Result<Config, Vec<Fault>> {
    let mut defaults = Config::defaults().map_err(|error| vec![Fault { place: None, what: error.to_string() }])?;
    let mut checker = Checker { text, faults: Vec::new() };
    if let Some(theme) = &raw.ui.theme {
        defaults.theme.clone_from(theme.get_ref());
        defaults.theme_place = Some(Place::of(text, theme.span()));
    }
    let actions = checker.actions(raw, &defaults.actions);
    let rules = checker.rules(&raw.alerts.rule);
    let config = Config {
        glyphs: raw.ui.glyphs.unwrap_or_default(),
        mouse: raw.ui.mouse.unwrap_or(defaults.mouse),
        read_only: raw.read_only.unwrap_or(defaults.read_only),
        sources: checker.sources(raw, &defaults.sources),
        thresholds: checker.thresholds(&raw.thresholds, rules, &defaults.thresholds),
        alerts: checker.alerts(&raw.alerts, &defaults.alerts),
        schedule: checker.schedule(&raw.schedule, &raw.action),
        history: checker.history(&raw.history),
        keys: checker.keys(raw, &actions.own, defaults.keys),
        actions,
        ..defaults
    };
    if checker.faults.is_empty() {
        return Ok(config);
    }
    checker.faults.sort_by_key(|fault| fault.place.as_ref().map(|place| (place.line, place.column)));
    Err(checker.faults)
}

pub(super) struct Checker<'a> {
    text: &'a str,
    faults: Vec<Fault>,
}

impl Checker<'_> {
    /// How many faults were found so far.
    pub(super) fn faults(&self) -> usize {
        self.faults.len()
    }

    pub(super) fn fault<T>(&mut self, written: &Spanned<T>, what: String) {
        self.faults.push(Fault { place: Some(Place::of(self.text, written.span())), what });
    }

    /// The written value if it lies in `range`, else the default.
    pub(super) fn within<W: Copy, T: PartialOrd>(
        &mut self,
        written: Option<&Spanned<W>>,
        value: impl Fn(W) -> T,
        range: RangeInclusive<T>,
        (default, words): (T, impl Fn(&T) -> String),
    ) -> T {
        let Some(written) = written else { return default };
        let found = value(*written.get_ref());
        if range.contains(&found) {
            return found;
        }
        let (from, to) = (words(range.start()), words(range.end()));
        self.fault(written, format!("{} is out of range; allowed: {from} to {to}", words(&found)));
        default
    }

    fn ratio(&mut self, written: Option<&Spanned<Ratio>>, default: f64) -> f64 {
        self.within(written, |Ratio(ratio)| ratio, 0.0..=1.0, (default, |ratio| format!("{ratio}")))
    }

    fn celsius(&mut self, written: Option<&Spanned<super::raw::Celsius>>, default: f64) -> f64 {
        self.within(written, |celsius| celsius.0, 1.0..=150.0, (default, |celsius| format!("{celsius} °C")))
    }

    pub(super) fn span(
        &mut self,
        written: Option<&Spanned<Span>>,
        range: RangeInclusive<Duration>,
        default: Duration,
    ) -> Duration {
        self.within(written, |Span(span)| span, range, (default, |span| Span::words(*span)))
    }

    fn actions(&mut self, raw: &RawConfig, defaults: &ActionSettings) -> ActionSettings {
        let (keep, days) = (defaults.keep, defaults.wait_days);
        let (wait_days, notes) = (raw.updates.wait_days.as_ref(), raw.updates.notes);
        let aliases = self.aliases(raw.models.aliases.as_deref().unwrap_or_default());
        let (raw, own) = (&raw.actions, &raw.action);
        let archive = ((defaults.archive_bytes >> 30) as u32, u32::to_string);
        let archive_gib = self.within(raw.archive_gib.as_ref(), |count| count.0, 0..=1024, archive);
        ActionSettings {
            archive_bytes: u64::from(archive_gib) << 30,
            gate: self.span(raw.gate.as_ref(), SECOND..=HOUR, defaults.gate),
            steady: self.span(raw.steady.as_ref(), Duration::ZERO..=HOUR, defaults.steady),
            aliases,
            own: self.own(own),
            keep: self.within(raw.keep.as_ref(), |count| count.0, 1..=20, (keep, u32::to_string)),
            notes: notes.unwrap_or(defaults.notes),
            wait_days: self.within(wait_days, |count| count.0, 0..=365, (days, u32::to_string)),
            probes: self.probes(raw),
        }
    }

    /// Names of Ollama as it writes them, and whole paths.
    fn aliases(&mut self, written: &[Spanned<String>]) -> Vec<String> {
        let mut aliases: Vec<String> = Vec::new();
        for written in written {
            let alias = written.get_ref();
            let is_path = alias.starts_with('/') && alias.len() > 1 && !alias.chars().any(char::is_control);
            match alias.parse::<ModelName>() {
                _ if is_path => aliases.push(alias.clone()),
                Ok(name) => aliases.push(name.to_string()),
                Err(error) => self.fault(written, format!("{error}; or the whole path of a symbolic link")),
            }
        }
        aliases
    }

    fn probes(&mut self, raw: &RawActions) -> BTreeMap<String, ProbePath> {
        let mut probes = BTreeMap::new();
        for (name, path) in &raw.probes {
            match path.get_ref().parse() {
                Ok(path) => drop(probes.insert(name.get_ref().clone(), path)),
                Err(error) => self.fault(path, NoProbePath::to_string(&error)),
            }
        }
        probes
    }

    fn thresholds(&mut self, raw: &RawThresholds, own: Vec<SeriesRule>, defaults: &Thresholds) -> Thresholds {
        let count = (defaults.restart_count, |count: &u32| count.to_string());
        let checked = Thresholds {
            disk_free_warning: self.ratio(raw.disk_free_warning.as_ref(), defaults.disk_free_warning),
            disk_free_critical: self.ratio(raw.disk_free_critical.as_ref(), defaults.disk_free_critical),
            memory_used_warning: self.ratio(raw.memory_used_warning.as_ref(), defaults.memory_used_warning),
            memory_used_critical: self.ratio(raw.memory_used_critical.as_ref(), defaults.memory_used_critical),
            memory_hold_for: self.span(raw.memory_hold_for.as_ref(), Duration::ZERO..=HOUR, defaults.memory_hold_for),
            gpu_temperature_warning: self
                .celsius(raw.gpu_temperature_warning.as_ref(), defaults.gpu_temperature_warning),
            gpu_temperature_critical: self
                .celsius(raw.gpu_temperature_critical.as_ref(), defaults.gpu_temperature_critical),
            gpu_hold_for: self.span(raw.gpu_hold_for.as_ref(), Duration::ZERO..=HOUR, defaults.gpu_hold_for),
            restart_count: self.within(raw.restart_count.as_ref(), |count| count.0, 1..=1000, count),
            restart_window: self.span(raw.restart_window.as_ref(), SECOND..=DAY, defaults.restart_window),
            restart_clear: self.span(raw.restart_clear.as_ref(), Duration::ZERO..=DAY, defaults.restart_clear),
            oom_window: self.span(raw.oom_window.as_ref(), Duration::ZERO..=30 * DAY, defaults.oom_window),
            error_rate_warning: self.ratio(raw.error_rate_warning.as_ref(), defaults.error_rate_warning),
            error_rate_critical: self.ratio(raw.error_rate_critical.as_ref(), defaults.error_rate_critical),
            own,
        };
        let celsius = |celsius: f64| format!("{celsius} °C");
        let disk = (checked.disk_free_critical, checked.disk_free_warning);
        if disk.0 > disk.1 {
            let written = (raw.disk_free_critical.as_ref(), raw.disk_free_warning.as_ref());
            self.upside_down(("disk_free", "below"), disk, written, units::percent_fine);
        }
        let memory = (checked.memory_used_critical, checked.memory_used_warning);
        if memory.0 < memory.1 {
            let written = (raw.memory_used_critical.as_ref(), raw.memory_used_warning.as_ref());
            self.upside_down(("memory_used", "above"), memory, written, units::percent_fine);
        }
        let errors = (checked.error_rate_critical, checked.error_rate_warning);
        if errors.0 < errors.1 {
            let written = (raw.error_rate_critical.as_ref(), raw.error_rate_warning.as_ref());
            self.upside_down(("error_rate", "above"), errors, written, units::percent_fine);
        }
        let heat = (checked.gpu_temperature_critical, checked.gpu_temperature_warning);
        if heat.0 < heat.1 {
            let written = (raw.gpu_temperature_critical.as_ref(), raw.gpu_temperature_warning.as_ref());
            self.upside_down(("gpu_temperature", "above"), heat, written, celsius);
        }
        checked
    }

    /// What is critical must be worse than what is a warning; else one of them could never be told.
    fn upside_down<W>(
        &mut self,
        (name, side): (&str, &str),
        (critical, warning): (f64, f64),
        (written_critical, written_warning): (Option<&Spanned<W>>, Option<&Spanned<W>>),
        words: impl Fn(f64) -> String,
    ) {
        let what = format!(
            "`{name}_critical` ({}) would come before `{name}_warning` ({}); allowed: {side} it, or the same",
            words(critical),
            words(warning)
        );
        if let Some(written) = written_critical.or(written_warning) {
            self.fault(written, what);
        }
    }

    fn sources(&mut self, raw: &RawConfig, defaults: &SourceSettings) -> SourceSettings {
        let check_updates = raw.updates.check.unwrap_or(defaults.check_updates);
        let protected = self.protected(raw.actions.protect.as_deref().unwrap_or_default());
        let library = self.library(&raw.models, &defaults.library);
        let watched_models = self.watched_models(&raw.models);
        let raw = &raw.sources;
        let (fastest, slowest) = (Duration::from_millis(250), Duration::from_mins(1));
        let probe = raw.probe_every.as_ref();
        SourceSettings {
            probe_every: probe.map(|every| self.span(Some(every), SECOND * 60..=DAY, DAY)),
            check_updates,
            library,
            watched_models,
            protected,
            refresh: self.span(raw.refresh.as_ref(), fastest..=slowest, defaults.refresh),
            docker_endpoint: self
                .address(raw.docker.as_ref(), &["unix:///path", "tcp://host:port", "http://host:port"]),
            nvml_library: raw.nvml_library.as_ref().and_then(|library| self.filled(library)),
            engine_endpoints: raw
                .engines
                .iter()
                .flatten()
                .filter_map(|engine| self.address(Some(engine), &["http://host:port"]))
                .map(|engine| engine.trim_end_matches('/').to_owned())
                .collect(),
        }
    }

    fn protected(&mut self, written: &[Spanned<String>]) -> Protected {
        let pattern = |written: &Spanned<String>| match written.get_ref().parse::<NamePattern>() {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                self.fault(written, error.to_string());
                None
            }
        };
        written.iter().filter_map(pattern).collect()
    }

    /// An address in one of the `allowed` forms, without a password in it.
    fn address(&mut self, written: Option<&Spanned<String>>, allowed: &[&str]) -> Option<String> {
        let written = written?;
        let address = self.filled(written)?;
        let is_allowed = address.split_once("://").is_some_and(|(scheme, rest)| {
            let known = allowed.iter().any(|form| form.split_once("://").is_some_and(|(known, _)| known == scheme));
            known && if scheme == "unix" { rest.starts_with('/') } else { !rest.is_empty() && !rest.starts_with('/') }
        });
        if !is_allowed {
            self.fault(written, format!("this is no address; allowed: {}", allowed.join(", ")));
            return None;
        }
        if !address.starts_with("unix:") && address.contains('@') {
            let what = "a name and a password do not belong in the config; allowed: an address without them".to_owned();
            self.fault(written, what);
            return None;
        }
        Some(address)
    }

    pub(super) fn filled(&mut self, written: &Spanned<String>) -> Option<String> {
        let text = written.get_ref().trim();
        if text.is_empty() {
            self.fault(written, "this is empty; leave the key out to go without it".to_owned());
            return None;
        }
        Some(text.to_owned())
    }

    fn keys(&mut self, raw: &RawConfig, own: &[OwnAction], defaults: Keymap) -> Keymap {
        let before = self.faults.len();
        for name in raw.keys.keys().filter(|name| Command::named(name.get_ref()).is_none()) {
            self.fault(name, unknown_command(name.get_ref()));
        }
        if self.faults.len() > before {
            return defaults;
        }
        let changes: Vec<(&str, &[String])> =
            raw.keys.iter().map(|(name, keys)| (name.get_ref().as_str(), keys.get_ref().0.as_slice())).collect();
        let specs: Vec<&'static ActionSpec> = own.iter().map(|own| own.spec).collect();
        match Keymap::with_own(changes.iter().copied(), &specs) {
            Ok(keymap) => keymap,
            Err(error) => {
                match (own_culprit(raw, &error), culprit(raw, &error)) {
                    (Some(key), _) => self.fault(key, error.to_string()),
                    (None, Some(keys)) => self.fault(keys, error.to_string()),
                    (None, None) => self.faults.push(Fault { place: None, what: error.to_string() }),
                }
                defaults
            }
        }
    }
}

/// The key of one of the operator's own actions that is at fault: of two that clash the one further down.
fn own_culprit<'a>(raw: &'a RawConfig, error: &KeymapError) -> Option<&'a Spanned<String>> {
    let at_fault = |action: &&RawAction| match error {
        KeymapError::Clash { first, second, .. } => [*first, *second].contains(&action.id.get_ref().as_str()),
        KeymapError::NoKey(key) => action.key.as_ref().is_some_and(|written| written.get_ref() == key),
        KeymapError::Reserved(key) => action.key.as_ref().is_some_and(|written| *written.get_ref() == key.to_string()),
        KeymapError::NoCommand(_) => false,
    };
    raw.action.iter().rfind(at_fault)?.key.as_ref()
}

/// The binding that is at fault: of two that clash the one further down, else the one that fails by itself.
fn culprit<'a>(raw: &'a RawConfig, error: &KeymapError) -> Option<&'a Spanned<Keys>> {
    let fails_alone = |name: &str, keys: &Keys| match error {
        KeymapError::Clash { first, second, .. } => name == *first || name == *second,
        _ => Keymap::with([(name, keys.0.as_slice())]).is_err_and(|alone| alone == *error),
    };
    let mut failing: Vec<&Spanned<Keys>> = raw
        .keys
        .iter()
        .filter(|(name, keys)| fails_alone(name.get_ref(), keys.get_ref()))
        .map(|(_, keys)| keys)
        .collect();
    failing.sort_by_key(|keys| keys.span().start);
    match error {
        KeymapError::Clash { .. } => failing.pop(),
        _ => failing.into_iter().next(),
    }
}
