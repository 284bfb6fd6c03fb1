//! Any other server that lists models in `OpenAI`'s form (LM Studio, `LocalAI`, mlx-lm, a gateway): what it serves can be
//! told, and that it generates; nothing else that all of them have.

use serde::Deserialize;

use super::{Description, EngineSpec, MODELS, ModelList, Probe, named};
use crate::domain::{EngineKind, ModelRef, Reading, Why};

pub(super) const SPEC: EngineSpec = EngineSpec {
    kind: EngineKind::OpenAi,
    fingerprint: |probe| Box::pin(async { models(probe).await.is_ok_and(|models| !models.is_empty()) }),
    describe: |probe| {
        Box::pin(async {
            let version = Reading::Unavailable("servers of this kind have no common way to say it".into());
            Description { version, models: models(probe).await.into() }
        })
    },
    load: |_, _| Box::pin(async { Err(Why::from("servers of this kind have no common way to say it")) }),
};

/// A model in the form that the list promises (`OpenAI` API reference, *List models*).
#[derive(Deserialize)]
struct Model {
    id: String,
    object: String,
}

async fn models(probe: &mut Probe) -> Result<Vec<ModelRef>, Why> {
    let list: ModelList<Model> = probe.json(MODELS).await?;
    let models = list.data.unwrap_or_default().into_iter().filter(|model| model.object == "model");
    Ok(models.map(|model| named(&model.id)).collect())
}
