//! `[[action]]`: the operator's own actions, checked word by word.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use toml::Spanned;

use super::check::Checker;
use super::raw::{RawAction, RawSubject};
use crate::actions::{OwnAction, PLACEHOLDERS};
use crate::domain::{ActionSpec, Risk, Subject, secret};

/// How long one may take where nothing is said.
const PATIENCE: Duration = Duration::from_mins(10);

impl Checker<'_> {
    /// The actions, without those that are at fault.
    pub(super) fn own(&mut self, raw: &[RawAction]) -> Vec<OwnAction> {
        let mut ids = HashSet::new();
        raw.iter().filter_map(|action| self.own_action(action, &mut ids)).collect()
    }

    fn own_action<'a>(&mut self, raw: &'a RawAction, ids: &mut HashSet<&'a str>) -> Option<OwnAction> {
        let before = self.faults();
        let id = raw.id.get_ref();
        if !is_id(id) {
            let allowed = "allowed: two words of small letters and -, such as cache.flush";
            self.fault(&raw.id, format!("`{id}` is no id of an action; {allowed}"));
        } else if ActionSpec::named(id).is_some() {
            self.fault(&raw.id, format!("hostler has an action `{id}` already; choose another id"));
        } else if !ids.insert(id) {
            self.fault(&raw.id, format!("there are two actions `{id}`; choose another id"));
        }
        if raw.title.get_ref().trim().is_empty() {
            self.fault(&raw.title, "this is empty; write in a word or two what it does".to_owned());
        }
        let on = raw.on.map_or(Subject::Box, |on| match on {
            RawSubject::Container => Subject::Container,
            RawSubject::Box => Subject::Box,
        });
        self.words(raw, on);
        self.variables(raw);
        let day = Duration::from_hours(24);
        let patience = self.span(raw.timeout.as_ref(), Duration::from_secs(1)..=day, PATIENCE);
        if self.faults() > before {
            return None;
        }
        let text = |values: &BTreeMap<String, Spanned<String>>| -> BTreeMap<String, String> {
            values.iter().map(|(name, value)| (name.clone(), value.get_ref().clone())).collect()
        };
        let argv: Vec<String> = raw.argv.get_ref().iter().map(|word| word.get_ref().clone()).collect();
        Some(OwnAction {
            spec: kept(ActionSpec {
                id: kept_text(id),
                title: kept_text(raw.title.get_ref().trim()),
                about: kept_text(&format!("runs {}", argv.join(" "))),
                on,
                risk: raw.risk.unwrap_or(Risk::Disruptive),
                key: raw.key.as_ref().map(|key| kept_text(key.get_ref())),
            }),
            argv,
            env: text(&raw.env),
            secrets: text(&raw.secrets),
            confirm: raw.confirm.clone(),
            patience,
        })
    }

    /// The program and its words.
    fn words(&mut self, raw: &RawAction, on: Subject) {
        let words = raw.argv.get_ref();
        if words.first().is_none_or(|program| program.get_ref().trim().is_empty()) {
            self.fault(
                &raw.argv,
                "there is no program; write it and its words, such as [\"systemctl\", \"restart\", \"x\"]".to_owned(),
            );
        }
        let plain: Vec<&str> = words.iter().map(|word| word.get_ref().as_str()).collect();
        for (word, masked) in words.iter().zip(secret::mask_words(plain)) {
            if *word.get_ref() != masked {
                self.fault(word, "this looks like a secret; write it to a file, and name that in `secrets`".to_owned());
            }
            for name in braced(word.get_ref()) {
                let near = PLACEHOLDERS.iter().find(|known| strsim::damerau_levenshtein(known, name) <= 1);
                match near {
                    Some(known) if *known != name => {
                        self.fault(word, format!("there is no `{{{name}}}` (did you mean `{{{known}}}`?)"));
                    }
                    Some(_) if on != Subject::Container => {
                        let what =
                            format!("`{{{name}}}` is known of a container only; allowed with on = \"container\"");
                        self.fault(word, what);
                    }
                    _ => {}
                }
            }
        }
    }

    /// The variables: names that can be such, values without secrets, files that are found from anywhere.
    fn variables(&mut self, raw: &RawAction) {
        for (name, value) in raw.env.iter().chain(&raw.secrets) {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            if name.is_empty() || !name.bytes().all(plain) || name.starts_with(|first: char| first.is_ascii_digit()) {
                self.fault(value, format!("`{name}` is no name of a variable; allowed: letters, digits and _"));
            }
        }
        for (name, value) in &raw.env {
            let written = format!("{name}={}", value.get_ref());
            if secret::mask_assignment(&written) != written {
                self.fault(
                    value,
                    format!("{name} looks like a secret; write it to a file, and name that in `secrets`"),
                );
            }
        }
        for value in raw.secrets.values().filter(|value| !value.get_ref().starts_with('/')) {
            self.fault(value, "this is no file; allowed: an absolute path, such as /etc/hostler/token".to_owned());
        }
    }
}

/// Two dotted words of small letters and dashes.
pub(super) fn is_id(id: &str) -> bool {
    let plain = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    id.len() <= 64 && id.split_once('.').is_some_and(|(first, second)| plain(first) && plain(second))
}

/// What stands in braces and is a word of small letters.
fn braced(word: &str) -> impl Iterator<Item = &str> {
    let parts = word.split('{').skip(1).filter_map(|part| part.split_once('}'));
    parts.map(|(name, _)| name).filter(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase()))
}

/// A specification that lives as long as the process, as those of hostler's own actions do. A config is read at the start
/// and when somebody asks for it: what is kept of an old one is a few hundred bytes.
fn kept(spec: ActionSpec) -> &'static ActionSpec {
    Box::leak(Box::new(spec))
}

/// A text that lives as long as the process.
pub(super) fn kept_text(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}
