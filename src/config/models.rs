//! `[models]`: folders, the naming convention, the models that were fine-tuned, and the families that are watched.

use std::collections::BTreeMap;

use toml::Spanned;

use super::check::Checker;
use super::raw::{Count, RawModels, RawTuned};
use crate::domain::{ModelOrigin, NoOrigin, Tuned};
use crate::sources::{Day, LibrarySettings};

impl Checker<'_> {
    /// What is said about models on disk.
    pub(super) fn library(&mut self, raw: &RawModels, defaults: &LibrarySettings) -> LibrarySettings {
        let retrain_days = self.days(raw.retrain_days.as_ref(), defaults.retrain_days);
        LibrarySettings {
            folders: raw.folders.iter().flatten().filter_map(|folder| self.folder(folder)).collect(),
            naming: raw.naming.as_ref().and_then(|naming| match naming.get_ref().parse() {
                Ok(convention) => Some(convention),
                Err(error) => {
                    self.fault(naming, crate::sources::NoConvention::to_string(&error));
                    None
                }
            }),
            tuned: self.tuned(&raw.tuned, retrain_days),
            retrain_days,
        }
    }

    /// The families of models that are watched, each once.
    pub(super) fn watched_models(&mut self, raw: &RawModels) -> Vec<ModelOrigin> {
        let mut all = Vec::new();
        for written in raw.watch.iter().flatten() {
            match written.get_ref().parse::<ModelOrigin>() {
                Ok(family) if all.contains(&family) => {}
                Ok(family) => all.push(family),
                Err(error) => self.fault(written, NoOrigin::to_string(&error)),
            }
        }
        all
    }

    fn days(&mut self, written: Option<&Spanned<Count>>, default: u32) -> u32 {
        self.within(written, |Count(days)| days, 1..=3650, (default, |days| format!("{days} days")))
    }

    fn folder(&mut self, written: &Spanned<String>) -> Option<String> {
        let path = self.filled(written)?;
        if !path.starts_with('/') || path == "/" {
            self.fault(written, "this is no folder of models; allowed: an absolute path, such as /models".to_owned());
            return None;
        }
        Some(if path.len() > 1 { path.trim_end_matches('/').to_owned() } else { path })
    }

    fn tuned(&mut self, raw: &[RawTuned], retrain_days: u32) -> BTreeMap<String, Tuned> {
        let mut all = BTreeMap::new();
        for model in raw {
            let Some(name) = self.filled(&model.name) else { continue };
            let tuned = Tuned {
                base: model.base.clone(),
                trained_at: model.trained_at.map(|Day(date)| date),
                corpus: model.corpus.clone(),
                retrain_days: self.days(model.retrain_days.as_ref(), retrain_days),
            };
            if all.insert(name, tuned).is_some() {
                self.fault(&model.name, format!("there are two models `{}`; write one of them", model.name.get_ref()));
            }
        }
        all
    }
}
