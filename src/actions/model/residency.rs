//! Load and unload: a model comes into memory, or goes from it.

use futures_util::future::LocalBoxFuture;

use super::place::{Place, resolve};
use crate::actions::{Action, Desk, Refusal, Wish, capitalised};
use crate::domain::{ActionSpec, EngineKind, Item, ModelOp, Op, Plan, Residency, Step, units};
use crate::engines::{Ollama, Router};

/// One of both.
pub(in crate::actions) struct Change {
    id: &'static str,
    /// It comes into memory.
    loads: bool,
}

pub(in crate::actions) const LOAD: Change = Change { id: "model.load", loads: true };
pub(in crate::actions) const UNLOAD: Change = Change { id: "model.unload", loads: false };

impl Action for Change {
    fn spec(&self) -> &'static ActionSpec {
        crate::actions::spec(self.id)
    }

    fn plan<'a>(&'a self, desk: &'a Desk, wish: &'a Wish) -> LocalBoxFuture<'a, Result<Plan, Refusal>> {
        Box::pin(async move {
            let places = resolve(desk, &wish.targets).await?;
            let locks = places.iter().map(|place| place.server.lock(&place.model.name)).collect();
            let mut plan = super::begin(desk, self.spec(), wish, locks).await?;
            let what = match places.as_slice() {
                [only] => only.shown(),
                several => format!("{} models", several.len()),
            };
            plan.title = format!("{} {what}", capitalised(self.spec().title));
            for place in &places {
                may_be_told(desk, place).await?;
                let loaded = is_loaded(desk, place).await?;
                if loaded == self.loads {
                    let how = if loaded { "in memory already" } else { "not in memory" };
                    plan.kept.push(format!("{} is {how}", place.shown()));
                } else {
                    plan.steps.push(self.step(place));
                }
            }
            plan.undo = if self.loads { "unloads it again" } else { "loads it again" }.into();
            if !self.loads {
                plan.downtime = Some("none: the next request loads it again, and waits for that".to_owned());
            }
            Ok(plan)
        })
    }
}

impl Change {
    fn step(&self, place: &Place) -> Step {
        let op = |loads: bool| {
            let model = place.served();
            Op::Model(if loads { ModelOp::Load { model } } else { ModelOp::Unload { model } })
        };
        let shown = place.shown();
        let title = format!("{} {shown}", self.spec().title);
        let mut step = Step::new(shown.clone(), title, self.spec().risk, op(self.loads)).undone_by(op(!self.loads));
        let detail = match &place.model.residency {
            Residency::Loaded { vram_bytes: Some(bytes), .. } => format!("{} of VRAM", units::bytes(*bytes)),
            _ => place.model.size_bytes.map(|bytes| format!("{} on disk", units::bytes(bytes))).unwrap_or_default(),
        };
        step.items.push(Item { name: shown, detail, ..Item::default() });
        step
    }
}

/// Whether it is in memory, also under another name that means the same model.
async fn is_loaded(desk: &Desk, place: &Place) -> Result<bool, Refusal> {
    if place.server.kind != EngineKind::Ollama {
        return Ok(matches!(place.model.residency, Residency::Loaded { .. }));
    }
    let ollama = Ollama::new(&desk.ports.http, place.server.origin);
    let (digest, loaded) = (ollama.digest(&place.model.name).await?, ollama.loaded().await?);
    Ok(digest.is_some_and(|digest| loaded.contains(&digest)))
}

/// Whether its server loads and unloads models when it is told to.
async fn may_be_told(desk: &Desk, place: &Place) -> Result<(), Refusal> {
    let server = &place.server;
    let router = match server.kind {
        EngineKind::Ollama if place.model.residency == Residency::Unknown => {
            return Err(Refusal::new(format!("{} lies elsewhere and only has a name here", place.shown())));
        }
        EngineKind::Ollama => return Ok(()),
        EngineKind::LlamaCpp => Router::new(&desk.ports.http, server.origin).is_router().await,
        _ => Ok(false),
    };
    match router {
        Ok(true) => Ok(()),
        Ok(false) => Err(Refusal::new(format!(
            "{} serves what it was started with: start it with another model instead",
            server.word()
        ))),
        Err(error) => Err(Refusal::new(format!("{}: {error}", server.word()))),
    }
}
