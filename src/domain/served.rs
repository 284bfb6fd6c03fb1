//! What was active when: which bytes an engine served, by which version of it, on which driver.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A model that an engine serves, and everything that an answer of it depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// The engine, `vllm:8000`.
    pub engine: String,
    /// The model, as the engine calls it.
    pub model: String,
    /// What tells the model's content; null where that is not known. Of Ollama the SHA-256 of the manifest, of Hugging
    /// Face's cache the commit, of a file its size and the time at which it was written.
    pub digest: Option<String>,
    /// The engine's version; null where it does not tell.
    pub engine_version: Option<String>,
    /// The driver of the cards, as it is loaded; null where there is none, or it does not tell.
    pub driver: Option<String>,
    /// It is the one model of its engine, and so took the place of the one before.
    #[serde(default)]
    pub only: bool,
}

impl Served {
    /// Whether something is known of it that `before` says otherwise, or does not say. What cannot be read now did not change.
    fn differs_from(&self, before: &Self) -> bool {
        let differs = |now: &Option<String>, before: &Option<String>| now.is_some() && now != before;
        differs(&self.digest, &before.digest)
            || differs(&self.engine_version, &before.engine_version)
            || differs(&self.driver, &before.driver)
    }
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.engine, self.model)?;
        if let Some(digest) = &self.digest {
            // As much of it as people read; a file is not told by a digest.
            let short = digest.get(..12).filter(|_| digest.bytes().all(|byte| byte.is_ascii_hexdigit()));
            write!(f, " ({})", short.unwrap_or(digest))?;
        }
        if let Some(version) = &self.engine_version {
            write!(f, ", version {version}")?;
        }
        self.driver.as_ref().map_or(Ok(()), |driver| write!(f, ", driver {driver}"))
    }
}

/// What each engine was last recorded to serve.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServedLedger {
    /// By engine and model.
    engines: BTreeMap<String, BTreeMap<String, Served>>,
}

impl ServedLedger {
    /// Takes a record in.
    pub fn take(&mut self, served: &Served) {
        let models = self.engines.entry(served.engine.clone()).or_default();
        if served.only {
            models.clear();
        }
        models.insert(served.model.clone(), served.clone());
    }

    /// Whether this is to be recorded: the model was not served before, or what it depends on has changed.
    pub fn is_news(&self, served: &Served) -> bool {
        let before = self.engines.get(&served.engine).and_then(|models| models.get(&served.model));
        before.is_none_or(|before| served.differs_from(before))
    }
}

impl<'a> FromIterator<&'a Served> for ServedLedger {
    fn from_iter<I: IntoIterator<Item = &'a Served>>(records: I) -> Self {
        let mut ledger = Self::default();
        records.into_iter().for_each(|served| ledger.take(served));
        ledger
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(model: &str, digest: &str, driver: Option<&str>, only: bool) -> Served {
        Served {
            engine: "vllm:8000".to_owned(),
            model: model.to_owned(),
            digest: Some(digest.to_owned()),
            engine_version: Some("0.33".to_owned()),
            driver: driver.map(str::to_owned),
            only,
        }
    }

    #[test]
    fn a_change_of_any_part_is_news_once() {
        let first = served("a", "1", Some("580"), false);
        let mut ledger = ServedLedger::default();
        assert!(ledger.is_news(&first));
        ledger.take(&first);
        assert!(!ledger.is_news(&first));
        for changed in [
            served("b", "1", Some("580"), false),
            served("a", "2", Some("580"), false),
            served("a", "1", Some("590"), false),
            Served { engine_version: Some("0.34".to_owned()), ..first.clone() },
            Served { engine: "vllm:8001".to_owned(), ..first.clone() },
        ] {
            let mut ledger = ledger.clone();
            assert!(ledger.is_news(&changed), "{changed:?}");
            ledger.take(&changed);
            assert!(!ledger.is_news(&changed), "{changed:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_now_did_not_change() {
        let whole = served("a", "1", Some("580"), false);
        let part = served("a", "1", None, false);
        assert!(!ServedLedger::from_iter([&whole]).is_news(&part));
        assert!(ServedLedger::from_iter([&part]).is_news(&whole), "and what was not known then is told later");
    }

    #[test]
    fn a_model_that_comes_back_in_the_place_of_another_is_news() {
        let (a, b) = (served("a", "1", None, true), served("b", "2", None, true));
        assert!(ServedLedger::from_iter([&a, &b]).is_news(&a));
        // Beside another one it was never gone.
        let (a, b) = (served("a", "1", None, false), served("b", "2", None, false));
        assert!(!ServedLedger::from_iter([&a, &b]).is_news(&a));
    }
}
