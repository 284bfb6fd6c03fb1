//! The config in force, written as a file that sets down every key.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::civil::Date;
use toml::Spanned;

use super::raw::{
    Celsius, Count, Keys, Ratio, RawAction, RawActions, RawConfig, RawModels, RawSources, RawSubject, RawThresholds,
    RawTuned, RawUi, RawUpdates, Span,
};
use super::{Config, alerts, history, schedule};
use crate::actions::OwnAction;
use crate::domain::{Risk, Subject, Tuned};
use crate::sources::{Day, SourceSettings};
use crate::ui::command::Command;

/// The config as TOML. Keys without a value (such as an engine that is to be found by itself) stand as comments.
pub(super) fn print(config: &Config) -> String {
    let mut text = match &config.path {
        Some(path) => format!("# In force: {} and, for what it leaves out, the defaults.\n", path.display()),
        None => "# In force: the defaults; there is no config file.\n".to_owned(),
    };
    match toml::to_string(&raw(config)) {
        Ok(toml) => text.push_str(&toml),
        // Cannot happen: every value is a string, a number or a list of strings.
        Err(error) => drop(writeln!(text, "# cannot be written: {error}")),
    }
    text
}

/// The same with a value for every key, for the list of keys that there are.
pub(super) fn complete(config: &Config) -> RawConfig {
    let mut raw = raw(config);
    raw.sources.docker.get_or_insert_with(|| anywhere(String::new()));
    raw.sources.nvml_library.get_or_insert_with(|| anywhere(String::new()));
    raw.models.naming.get_or_insert_with(|| anywhere(String::new()));
    raw.models.tuned = vec![RawTuned {
        name: anywhere(String::new()),
        base: Some(String::new()),
        trained_at: Some(Day(Date::ZERO)),
        corpus: Some(String::new()),
        retrain_days: Some(anywhere(Count(0))),
    }];
    alerts::complete(&mut raw.alerts);
    history::complete(&mut raw.history);
    schedule::complete(&mut raw.schedule);
    raw.action = vec![RawAction {
        id: anywhere(String::new()),
        title: anywhere(String::new()),
        argv: anywhere(Vec::new()),
        on: Some(RawSubject::Box),
        risk: Some(Risk::Safe),
        key: Some(anywhere(String::new())),
        confirm: Some(String::new()),
        timeout: Some(anywhere(Span(Duration::ZERO))),
        env: BTreeMap::new(),
        secrets: BTreeMap::new(),
    }];
    raw
}

fn raw(config: &Config) -> RawConfig {
    let (sources, limits) = (&config.sources, &config.thresholds);
    let ratio = |ratio: f64| Some(anywhere(Ratio(ratio)));
    let celsius = |celsius: f64| Some(anywhere(Celsius(celsius)));
    let span = |span: Duration| Some(anywhere(Span(span)));
    RawConfig {
        read_only: Some(config.read_only),
        ui: RawUi {
            theme: Some(anywhere(config.theme.clone())),
            glyphs: Some(config.glyphs),
            mouse: Some(config.mouse),
        },
        sources: RawSources {
            refresh: span(sources.refresh),
            docker: sources.docker_endpoint.clone().map(anywhere),
            nvml_library: sources.nvml_library.clone().map(anywhere),
            engines: Some(sources.engine_endpoints.iter().cloned().map(anywhere).collect()),
            probe_every: sources.probe_every.and_then(span),
        },
        thresholds: RawThresholds {
            disk_free_warning: ratio(limits.disk_free_warning),
            disk_free_critical: ratio(limits.disk_free_critical),
            memory_used_warning: ratio(limits.memory_used_warning),
            memory_used_critical: ratio(limits.memory_used_critical),
            memory_hold_for: span(limits.memory_hold_for),
            gpu_temperature_warning: celsius(limits.gpu_temperature_warning),
            gpu_temperature_critical: celsius(limits.gpu_temperature_critical),
            gpu_hold_for: span(limits.gpu_hold_for),
            restart_count: Some(anywhere(Count(limits.restart_count))),
            restart_window: span(limits.restart_window),
            restart_clear: span(limits.restart_clear),
            oom_window: span(limits.oom_window),
            error_rate_warning: ratio(limits.error_rate_warning),
            error_rate_critical: ratio(limits.error_rate_critical),
        },
        updates: RawUpdates {
            check: Some(sources.check_updates),
            wait_days: Some(anywhere(Count(config.actions.wait_days))),
            notes: Some(config.actions.notes),
        },
        models: models(sources, &config.actions.aliases),
        alerts: alerts::raw(&config.alerts, &limits.own),
        history: history::raw(&config.history),
        schedule: config.schedule.iter().map(schedule::raw).collect(),
        actions: RawActions {
            gate: span(config.actions.gate),
            steady: span(config.actions.steady),
            keep: Some(anywhere(Count(config.actions.keep))),
            archive_gib: Some(anywhere(Count((config.actions.archive_bytes >> 30) as u32))),
            probes: config
                .actions
                .probes
                .iter()
                .map(|(name, path)| (anywhere(name.clone()), anywhere(path.to_string())))
                .collect(),
            protect: Some(sources.protected.patterns().iter().map(|name| anywhere(name.to_string())).collect()),
        },
        keys: keys(config),
        action: config.actions.own.iter().map(own).collect(),
    }
}

/// What is said about models.
fn models(sources: &SourceSettings, aliases: &[String]) -> RawModels {
    let library = &sources.library;
    let tuned = |(name, tuned): (&String, &Tuned)| RawTuned {
        name: anywhere(name.clone()),
        base: tuned.base.clone(),
        trained_at: tuned.trained_at.map(Day),
        corpus: tuned.corpus.clone(),
        retrain_days: Some(anywhere(Count(tuned.retrain_days))),
    };
    RawModels {
        aliases: Some(aliases.iter().cloned().map(anywhere).collect()),
        folders: Some(library.folders.iter().cloned().map(anywhere).collect()),
        naming: library.naming.as_ref().map(|naming| anywhere(naming.to_string())),
        retrain_days: Some(anywhere(Count(library.retrain_days))),
        watch: Some(sources.watched_models.iter().map(|family| anywhere(family.to_string())).collect()),
        tuned: library.tuned.iter().map(tuned).collect(),
    }
}

/// One of the operator's own actions.
fn own(own: &OwnAction) -> RawAction {
    let text = |values: &BTreeMap<String, String>| {
        values.iter().map(|(name, value)| (name.clone(), anywhere(value.clone()))).collect()
    };
    RawAction {
        id: anywhere(own.spec.id.to_owned()),
        title: anywhere(own.spec.title.to_owned()),
        argv: anywhere(own.argv.iter().cloned().map(anywhere).collect()),
        on: Some(if own.spec.on == Subject::Container { RawSubject::Container } else { RawSubject::Box }),
        risk: Some(own.spec.risk),
        key: own.spec.key.map(|key| anywhere(key.to_owned())),
        confirm: own.confirm.clone(),
        timeout: Some(anywhere(Span(own.patience))),
        env: text(&own.env),
        secrets: text(&own.secrets),
    }
}

/// The keys of every command that can be bound: what leads back out cannot.
fn keys(config: &Config) -> BTreeMap<Spanned<String>, Spanned<Keys>> {
    // The key of one of the operator's own actions stands with the action.
    let bound = config.keys.iter().filter(|(command, _)| *command != Command::Back && !command.is_own());
    bound
        .map(|(command, keys)| {
            let keys = Keys(keys.iter().map(ToString::to_string).collect());
            (anywhere(command.name().to_owned()), anywhere(keys))
        })
        .collect()
}

/// A value that stands nowhere in a file.
pub(super) fn anywhere<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::TEMPLATE;
    use super::*;

    /// The template with its defaults in force: every `# key = value` taken at its word.
    fn uncommented() -> String {
        let line = |line: &str| match line.strip_prefix("# ") {
            Some(rest) if rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')) => rest.to_owned(),
            _ => line.to_owned(),
        };
        TEMPLATE.lines().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_is_printed_is_what_is_in_force() {
        let config = Config::parse(
            Path::new("c.toml"),
            "read_only = true\n[ui]\ntheme = \"mono\"\n[thresholds]\nmemory_used_warning = \"87%\"\n[keys]\nfreeze = \"F\"\n\
             [sources]\nengines = [\"http://127.0.0.1:8000\"]\nrefresh = \"1500ms\"",
        )
        .unwrap();
        let mut again = Config::parse(Path::new("c.toml"), &config.to_toml()).unwrap();
        again.theme_place = config.theme_place.clone();
        assert_eq!(again, config);
    }

    #[test]
    fn the_template_changes_nothing_and_says_the_defaults() {
        let defaults = Config::defaults().unwrap();
        for text in [TEMPLATE.to_owned(), uncommented()] {
            let config = Config::parse(Path::new("c.toml"), &text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(Config { path: None, theme_place: None, ..config }, defaults);
        }
    }

    /// Things of which there may be several, at the top.
    const LISTS: [&str; 2] = ["action", "schedule"];

    #[test]
    fn the_template_has_every_key() {
        let known = toml::Table::try_from(complete(&Config::defaults().unwrap())).unwrap();
        let of_lists = LISTS.iter().flat_map(|name| known[*name][0].as_table().unwrap());
        let (top, tables): (Vec<_>, Vec<_>) =
            known.iter().filter(|(key, _)| !LISTS.contains(&key.as_str())).partition(|(_, value)| !value.is_table());
        let has = |key: &str| {
            let key = if key.contains('.') { format!("\"{key}\"") } else { key.to_owned() };
            TEMPLATE
                .lines()
                .any(|line| line.starts_with(&format!("# {key} = ")) || line.starts_with(&format!("#   {key} = ")))
        };
        for (key, _) in top.into_iter().chain(of_lists) {
            assert!(has(key), "{key}");
        }
        for (name, table) in tables {
            assert!(TEMPLATE.lines().any(|line| line == format!("[{name}]")), "[{name}]");
            for (key, value) in table.as_table().unwrap() {
                let heading = format!("[{name}.{key}]");
                let list = value.as_array().and_then(|list| list.first()?.as_table());
                let known = match list {
                    // Things of which there may be several have no default: they stand there as an example.
                    Some(of_one) => {
                        TEMPLATE.contains(&format!("#   [[{name}.{key}]]")) && of_one.keys().all(|key| has(key))
                    }
                    None if value.is_table() => TEMPLATE.lines().any(|line| line == heading),
                    None => has(key),
                };
                assert!(known, "{name}.{key}");
            }
        }
    }
}
