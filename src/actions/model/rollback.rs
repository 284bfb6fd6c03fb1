//! Roll back: a name means again what it meant before. Only names move, so that it takes no time.

use futures_util::future::LocalBoxFuture;

use super::place::{Server, Written, ollama, ollama_name};
use super::versions::{Names, Version};
use super::{generation, link, service};
use crate::actions::{Action, Desk, Refusal, Wish};
use crate::domain::{ActionSpec, Item, ModelName, Over, Plan, Risk, Step};

/// Rolls one name back.
pub(in crate::actions) struct Rollback;

impl Action for Rollback {
    fn spec(&self) -> &'static ActionSpec {
        crate::actions::spec("model.rollback")
    }

    fn plan<'a>(&'a self, desk: &'a Desk, wish: &'a Wish) -> LocalBoxFuture<'a, Result<Plan, Refusal>> {
        Box::pin(async move {
            let [target] = wish.targets.as_slice() else {
                return Err(Refusal::new("name the one model that goes back: the name that clients use"));
            };
            let written = Written::parse(target)?;
            if written.at.is_none() && written.name.starts_with('/') {
                return link::roll_back(self.spec(), desk, wish, written.name).await;
            }
            let engine = written.at.map_or_else(|| target.clone(), |(kind, port)| format!("{}:{port}", kind.word()));
            let service = match service::of_engine(desk, &engine).await? {
                Some(service) => service,
                None => match self.at_ollama(desk, wish, &written).await {
                    Ok(plan) => return Ok(plan),
                    Err(no_name) => service::of_container(desk, target).await?.ok_or(no_name)?,
                },
            };
            service::roll_back(self.spec(), desk, wish, &service).await
        })
    }
}

impl Rollback {
    async fn at_ollama(&self, desk: &Desk, wish: &Wish, written: &Written<'_>) -> Result<Plan, Refusal> {
        let alias = ollama_name(written.name)?;
        let server = ollama(desk, written).await?;
        self.of_ollama(desk, wish, &server, &alias).await
    }

    async fn of_ollama(&self, desk: &Desk, wish: &Wish, server: &Server, alias: &ModelName) -> Result<Plan, Refusal> {
        let names = Names::of(desk, server).await?;
        let to = alias.to_string();
        let now = names.digest(&to);
        let kept = names.previous(alias).into_iter().rev().find(|version| Some(version.digest.as_str()) != now);
        let Some(Version { name: kept, digest, .. }) = kept else {
            let like = alias.previous(1).map_or_else(|_| String::new(), |like| format!(" ({like})"));
            return Err(Refusal::new(format!(
                "no earlier version of {to} is kept: promoting to it, or pulling it, with hostler keeps one{like}"
            )));
        };
        let mut plan = super::begin(desk, self.spec(), wish, vec![server.lock(&to)]).await?;
        plan.title = format!("Roll back {to} at {}", server.word());
        let mut switch = Step::new(
            "switch",
            format!("{to} is again what {kept} is"),
            Risk::Disruptive,
            names.copy(&kept, &digest, &to, now.map_or(Over::Nothing, |now| Over::Digest(now.to_owned()))),
        );
        match now {
            Some(now) => {
                // The kept name will be let go: it holds no second one.
                let other = names.others(now, &to).find(|other| *other != kept).map(str::to_owned);
                let left = other.map_or_else(|| names.next_aside(alias), Ok)?;
                if names.model(&left).is_none() {
                    plan.steps.push(names.keep(&to, now, &left));
                }
                plan.kept.push(format!("the present {to}, as {left}: promote that to return to it"));
                switch = switch.undone_by(names.copy(&left, now, &to, Over::Digest(digest.clone())));
            }
            None => switch = switch.undone_by(names.let_go(&to, Some(&digest), Some(&kept))),
        }
        let detail = crate::actions::ops::short(&digest).to_owned();
        switch.items.push(Item { name: kept.clone(), detail, ..Item::default() });
        switch.command = Some(format!("ollama cp {kept} {to}"));
        plan.steps.push(switch);
        let title = format!("let {kept} go: {to} is the same model");
        let trim = Step::new("trim", title, Risk::Safe, names.let_go(&kept, Some(&digest), Some(&to)));
        plan.steps.push(trim.undone_by(names.copy(&to, &digest, &kept, Over::Nothing)));
        plan.steps.push(generation(server.model(to.clone()), desk));
        plan.undo = "returns to the present version, which stays".into();
        plan.verdict = Some(format!("{to} is again what it was before, {}", crate::actions::ops::short(&digest)));
        plan.downtime = Some("none; the first request under the name waits until the model is loaded".to_owned());
        Ok(plan)
    }
}
