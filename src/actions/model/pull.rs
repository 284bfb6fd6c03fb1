//! Pull: a model is fetched, or what is newer under its name; what the name meant before is kept first.

use futures_util::future::LocalBoxFuture;

use super::place::{Written, ollama, ollama_name};
use super::versions::Names;
use crate::actions::{Action, Desk, Refusal, Wish};
use crate::domain::{ActionSpec, Item, ModelOp, Op, Over, Plan, Risk, Step, units};

/// Pulls models with Ollama.
pub(in crate::actions) struct Pull;

impl Action for Pull {
    fn spec(&self) -> &'static ActionSpec {
        crate::actions::spec("model.pull")
    }

    fn plan<'a>(&'a self, desk: &'a Desk, wish: &'a Wish) -> LocalBoxFuture<'a, Result<Plan, Refusal>> {
        Box::pin(async move {
            let [target] = wish.targets.as_slice() else { return Err(Refusal::new("name one model to pull")) };
            let written = Written::parse(target)?;
            let name = ollama_name(written.name)?;
            if name.previous_of().is_some() || name.aside_of().is_some() {
                return Err(Refusal::new(format!("{name} is a name under which hostler keeps earlier versions")));
            }
            let server = ollama(desk, &written).await?;
            let names = Names::of(desk, &server).await?;
            let pulled = name.to_string();
            let mut plan = super::begin(desk, self.spec(), wish, vec![server.lock(&pulled)]).await?;
            plan.title = format!("Pull {pulled} at {}", server.word());
            let op = Op::Model(ModelOp::Pull { endpoint: server.origin.to_string(), name: pulled.clone() });
            let mut pull = Step::new("pull", format!("pull {pulled}"), Risk::Disruptive, op);
            pull.command = Some(format!("ollama pull {pulled}"));
            let before = names.model(&pulled);
            let Some(before) = before else {
                pull.items.push(Item { name: pulled.clone(), detail: "not here yet".to_owned(), ..Item::default() });
                plan.steps.push(pull.undone_by(names.let_go(&pulled, None, None)));
                plan.undo = "deletes what was pulled".into();
                return Ok(plan);
            };
            let kept = names.next_previous(&name)?;
            plan.steps.push(names.keep(&pulled, &before.digest, &kept));
            plan.kept.push(format!("the present {pulled} as {kept}, for roll back"));
            let detail = format!("{}, {}", crate::actions::ops::short(&before.digest), units::bytes(before.size_bytes));
            pull.items.push(Item { name: pulled.clone(), detail, ..Item::default() });
            plan.steps.push(pull.undone_by(names.copy(&kept, &before.digest, &pulled, Over::Anything)));
            let title = format!("let {kept} go if {pulled} was the newest already");
            let op = names.let_go(&kept, Some(&before.digest), Some(&pulled));
            let same = Step::new("same", title, Risk::Safe, op);
            plan.steps.push(same.undone_by(names.copy(&pulled, &before.digest, &kept, Over::Nothing)));
            let (steps, last) = names.trim(&name, desk.settings.keep);
            plan.steps.extend(steps);
            plan.kept.extend(last.iter().map(|name| format!("{name}, the last name of its bytes: see model.delete")));
            plan.rolls_back = true;
            plan.undo = "returns to the present version; what was fetched then has no name, and Ollama removes it when it next starts".into();
            plan.downtime = Some("none: the present version serves until the new one is whole".to_owned());
            Ok(plan)
        })
    }
}
