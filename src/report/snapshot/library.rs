//! The models on disk, as `snapshot` tells them.

use serde::Serialize;

use crate::domain::{LibraryPlace, LibrarySample, Reading, SourceId, Standing, StoredModel, Why};
use crate::store::State;

/// Models and the places that hold them, with the sum.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LibraryReport {
    /// Bytes that all places take on disk, each file once.
    pub total_bytes: u64,
    /// Where models lie.
    pub places: Vec<LibraryPlace>,
    /// The models, by store and name.
    pub models: Vec<StoredReport>,
}

/// One model on disk.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StoredReport {
    /// As it was read.
    #[serde(flatten)]
    pub model: StoredModel,
    /// How it stands, by what its publisher said last.
    pub update: Reading<Standing>,
}

impl LibraryReport {
    /// What `state` knows of the models of `sample`.
    pub(super) fn of(state: &State, sample: &LibrarySample) -> Self {
        let report = |model: &StoredModel| StoredReport { model: model.clone(), update: standing(state, model) };
        let (places, models) = (sample.places.clone(), sample.models.iter().map(report).collect());
        Self { total_bytes: sample.total_bytes(), places, models }
    }
}

fn standing(state: &State, model: &StoredModel) -> Reading<Standing> {
    let looked = super::part(state, SourceId::ModelUpdates, &state.published_models, |_| state.model_update(model));
    match looked {
        Reading::Known(Some(update)) => update.standing.clone(),
        Reading::Known(None) => Reading::Unavailable(Why::WAITING),
        Reading::Unavailable(why) => Reading::Unavailable(why),
    }
}
