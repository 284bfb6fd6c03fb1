//! The models on disk, as `snapshot` tells them.

use serde::Serialize;

use crate::domain::{LibraryPlace, LibrarySample, StoredModel};

/// Models and the places that hold them, with the sum.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LibraryReport {
    /// Bytes that all places take on disk, each file once.
    pub total_bytes: u64,
    /// Where models lie.
    pub places: Vec<LibraryPlace>,
    /// The models, by store and name.
    pub models: Vec<StoredModel>,
}

impl From<&LibrarySample> for LibraryReport {
    fn from(sample: &LibrarySample) -> Self {
        let (places, models) = (sample.places.clone(), sample.models.clone());
        Self { total_bytes: sample.total_bytes(), places, models }
    }
}
