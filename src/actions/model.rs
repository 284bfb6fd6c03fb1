//! Actions on models: load, unload, promote, roll back, pull, delete, move, prune. What a name meant before is kept under a name of its
//! own, which costs no bytes, so that going back is a matter of names.

mod argument;
mod delete;
mod link;
mod mounted;
mod place;
mod promote;
mod prune;
mod pull;
mod relocate;
mod residency;
mod rollback;
mod room;
mod service;
mod versions;

pub(super) use delete::Delete;
pub(super) use promote::Promote;
pub(super) use prune::Prune;
pub(super) use pull::Pull;
pub(super) use relocate::Move;
pub(super) use residency::{LOAD, UNLOAD};
pub(super) use rollback::Rollback;

use std::time::Duration;

use super::{Desk, Refusal, Wish, preflight};
use crate::domain::{ActionSpec, ModelOp, Op, Plan, Risk, ServedModel, Step};
use crate::engines::ControlError;

/// A model reads its weights before it generates: so long at least may that take.
const GENERATE_PATIENCE: Duration = Duration::from_mins(10);

impl From<ControlError> for Refusal {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Http(error) => Self::Failed(crate::domain::Failure::failed(format!("Ollama: {error}"))),
            other => Self::Refused(other.to_string()),
        }
    }
}

/// A plan of this action without steps, once nothing else is left half done with what it locks.
///
/// # Errors
/// When a run that holds one of `locks` was interrupted.
async fn begin(desk: &Desk, spec: &ActionSpec, wish: &Wish, locks: Vec<String>) -> Result<Plan, Refusal> {
    let runs = preflight::runs(desk).await?;
    preflight::interrupted(&runs, |run| run.plan.locks.iter().any(|lock| locks.contains(lock)))?;
    Ok(Plan { targets: wish.targets.clone(), locks, ..Plan::of(spec.id) })
}

/// The step that has a model generate.
fn generation(model: ServedModel, desk: &Desk) -> Step {
    let title = format!("have {} generate a few tokens", model.name);
    let seconds = desk.settings.gate.max(GENERATE_PATIENCE).as_secs();
    Step::new("generate", title, Risk::Safe, Op::Model(ModelOp::Generate { model, seconds }))
}
