//! Promote: a model becomes what a stable name means that clients use, and stays so only if it generates under that name.

use futures_util::future::LocalBoxFuture;

use super::place::{Place, Server, Written, ollama_name, only};
use super::versions::Names;
use super::{generation, link, service};
use crate::actions::{Action, Desk, Refusal, Wish};
use crate::domain::{ActionSpec, EngineKind, Item, ModelName, Over, Plan, Risk, Step, units};

/// Promotes one model.
pub(in crate::actions) struct Promote;

impl Action for Promote {
    fn spec(&self) -> &'static ActionSpec {
        crate::actions::spec("model.promote")
    }

    fn plan<'a>(&'a self, desk: &'a Desk, wish: &'a Wish) -> LocalBoxFuture<'a, Result<Plan, Refusal>> {
        Box::pin(async move {
            let [target] = wish.targets.as_slice() else {
                return Err(Refusal::new("name the one model that is promoted"));
            };
            let written = Written::parse(target)?;
            if written.at.is_none() && written.name.starts_with('/') {
                return link::promote(self.spec(), desk, wish, written.name).await;
            }
            let service = match service::of_engine(desk, target).await? {
                Some(service) => service,
                None => match only(desk, &wish.targets).await {
                    Ok(place) if place.server.kind == EngineKind::Ollama => {
                        return self.at_ollama(desk, wish, &place).await;
                    }
                    Ok(place) => service::of_server(desk, place.server).await?,
                    Err(no_model) => service::of_container(desk, target).await?.ok_or(no_model)?,
                },
            };
            service::promote(self.spec(), desk, wish, &service).await
        })
    }
}

impl Promote {
    async fn at_ollama(&self, desk: &Desk, wish: &Wish, place: &Place) -> Result<Plan, Refusal> {
        let alias = alias(desk, wish, |alias| !alias.starts_with('/'))?;
        self.of_ollama(desk, wish, place, &ollama_name(&alias)?).await
    }

    async fn of_ollama(&self, desk: &Desk, wish: &Wish, place: &Place, alias: &ModelName) -> Result<Plan, Refusal> {
        let Place { server, model } = place;
        let (name, to) = (model.name.as_str(), alias.to_string());
        if alias.previous_of().is_some() || alias.aside_of().is_some() {
            return Err(Refusal::new(format!("{to} is a name under which hostler keeps earlier versions")));
        }
        let names = Names::of(desk, server).await?;
        let Some(new) = names.model(name) else { return Err(Refusal::new(format!("{name} is gone"))) };
        let mut plan = super::begin(desk, self.spec(), wish, vec![server.lock(&to), server.lock(name)]).await?;
        plan.title = format!("Promote {name} to {to} at {}", server.word());
        let before = names.digest(&to);
        if before == Some(&new.digest) {
            plan.kept.push(format!("{to} is {name} already"));
            return Ok(plan);
        }
        let switch = Step::new(
            "switch",
            format!("{to} is {name}"),
            Risk::Disruptive,
            names.copy(name, &new.digest, &to, before.map_or(Over::Nothing, |before| Over::Digest(before.to_owned()))),
        );
        let mut switch = match before {
            Some(before) => {
                let kept = names.next_previous(alias)?;
                plan.steps.push(names.keep(&to, before, &kept));
                plan.kept.push(format!("the present {to} as {kept}, for roll back"));
                switch.undone_by(names.copy(&kept, before, &to, Over::Digest(new.digest.clone())))
            }
            None => switch.undone_by(names.let_go(&to, Some(&new.digest), Some(name))),
        };
        switch.items.push(Item {
            name: name.to_owned(),
            detail: detail(new.size_bytes, &new.digest),
            ..Item::default()
        });
        switch.command = Some(format!("ollama cp {name} {to}"));
        plan.steps.push(switch);
        plan.steps.push(generation(server.model(to.clone()), desk));
        if before.is_some() {
            let (steps, last) = names.trim(alias, desk.settings.keep);
            plan.steps.extend(steps);
            plan.kept.extend(last.iter().map(|name| format!("{name}, the last name of its bytes: see model.delete")));
        }
        plan.warnings.extend(unknown_alias(desk, &to));
        plan.rolls_back = true;
        plan.undo = "by itself if it generates nothing; later by `roll back`, in less than a second".into();
        plan.verdict = Some(format!("{to} is {name} at {}", server.word()));
        plan.downtime = Some("none; the first request under the name waits until the model is loaded".to_owned());
        Ok(plan)
    }
}

fn detail(bytes: u64, digest: &str) -> String {
    format!("{}, {}", crate::actions::ops::short(digest), units::bytes(bytes))
}

/// A name that the config does not list may be a slip of the pen.
fn unknown_alias(desk: &Desk, alias: &str) -> Option<String> {
    let known = desk
        .settings
        .aliases
        .iter()
        .any(|known| known == alias || ollama_name(known).is_ok_and(|it| it.to_string() == alias));
    let listed = desk.settings.aliases.join(", ");
    (!known && !listed.is_empty()).then(|| format!("{alias} is none of the names that the config lists ({listed})"))
}

/// The alias that is meant: what is asked for, else the only one of its sort in the config.
///
/// # Errors
/// When there is none, or several.
pub(super) fn alias(desk: &Desk, wish: &Wish, is_of_sort: impl Fn(&str) -> bool) -> Result<String, Refusal> {
    if let Some(to) = &wish.to {
        return Ok(to.clone());
    }
    let known: Vec<&str> = desk.settings.aliases.iter().map(String::as_str).filter(|alias| is_of_sort(alias)).collect();
    match known.as_slice() {
        [only] => Ok((*only).to_owned()),
        [] => Err(Refusal::new("say with --to which name clients use, or list it in the config ([models] aliases)")),
        several => Err(Refusal::new(format!("say with --to which of these it shall be: {}", several.join(", ")))),
    }
}

/// Whether a name is one that the config lists for clients.
pub(super) fn is_alias(desk: &Desk, server: &Server, name: &str) -> bool {
    server.kind == EngineKind::Ollama
        && desk
            .settings
            .aliases
            .iter()
            .filter_map(|alias| alias.parse::<ModelName>().ok())
            .any(|alias| crate::engines::is_same(&alias.to_string(), name))
}
