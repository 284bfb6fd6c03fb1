//! The operator's own actions: a program of theirs with its words, run as ours are: planned, confirmed, journalled.
//!
//! No shell reads the words. What a word says of its target in braces (`{name}`) is put in its place, and a word stays one
//! word, whatever stands in it then.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;

use super::target::{Target, resolve};
use super::{Action, Desk, Refusal, Wish, lifecycle};
use crate::domain::{ActionSpec, Guard, Item, Op, OwnCommand, Plan, Risk, Step, Subject};

/// What may stand in braces in the words of an action on containers.
pub const PLACEHOLDERS: &[&str] = &["name", "id", "image", "project", "service"];

/// One action of the operator's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnAction {
    /// What it is called and what it risks; it works on containers or the whole box.
    pub spec: &'static ActionSpec,
    /// The program and its words, at least one.
    pub argv: Vec<String>,
    /// Variables beside those that hostler has itself.
    pub env: BTreeMap<String, String>,
    /// Variables whose values stand in these files, absolute.
    pub secrets: BTreeMap<String, String>,
    /// What is said before it is confirmed.
    pub confirm: Option<String>,
    /// How long it may take.
    pub patience: Duration,
}

impl Action for OwnAction {
    fn spec(&self) -> &'static ActionSpec {
        self.spec
    }

    fn plan<'a>(&'a self, desk: &'a Desk, wish: &'a Wish) -> LocalBoxFuture<'a, Result<Plan, Refusal>> {
        Box::pin(async move {
            if self.spec.on == Subject::Box {
                return self.on_the_box(wish);
            }
            let targets = resolve(desk.docker().await?, &wish.targets).await?;
            let mut plan = lifecycle::of(self.spec, wish, &targets);
            for target in &targets {
                let argv = self.argv.iter().map(|word| filled(word, target)).collect::<Result<_, _>>()?;
                let step = self.step(target.shown(), Some(&target.container.name), argv);
                plan.steps.push(step.guarded(Guard::Same { container: target.reference() }));
            }
            Ok(self.told(plan))
        })
    }
}

impl OwnAction {
    fn on_the_box(&self, wish: &Wish) -> Result<Plan, Refusal> {
        if !wish.targets.is_empty() {
            return Err(Refusal::new(format!("{} is about the whole box: it takes no target", self.spec.id)));
        }
        let mut plan = lifecycle::of(self.spec, wish, &[]);
        plan.title = super::capitalised(self.spec.title);
        plan.locks = vec![format!("action/{}", self.spec.id)];
        // What goes must have a name that can be typed.
        let of = (self.spec.risk == Risk::Destructive).then_some(self.spec.id);
        plan.steps.push(self.step(self.spec.id.to_owned(), of, self.argv.clone()));
        Ok(self.told(plan))
    }

    fn step(&self, id: String, of: Option<&str>, argv: Vec<String>) -> Step {
        let command =
            OwnCommand { argv, env: self.env.clone(), secrets: self.secrets.clone(), seconds: self.patience.as_secs() };
        let mut step = Step::new(id, command.line(), self.spec.risk, Op::Command { command });
        let data = self.spec.risk == Risk::Destructive;
        step.items.extend(of.map(|name| Item { name: name.to_owned(), data, ..Item::default() }));
        step
    }

    /// The plan with what holds for all of its steps.
    fn told(&self, plan: Plan) -> Plan {
        let commands = plan.steps.iter().map(|step| step.title.clone()).collect();
        let undo = "hostler does not know how: it is an action of your own".to_owned();
        Plan { commands, undo, warnings: self.confirm.clone().into_iter().collect(), ..plan }
    }
}

/// A word with what it says of the target put in.
fn filled(word: &str, target: &Target) -> Result<String, Refusal> {
    let container = &target.container;
    let mut filled = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(at) = rest.find('{') {
        let name = rest[at + 1..].split_once('}').map(|(name, _)| name).filter(|name| PLACEHOLDERS.contains(name));
        let Some(name) = name else {
            filled.push_str(&rest[..=at]);
            rest = &rest[at + 1..];
            continue;
        };
        let value = match name {
            "name" => Some(&*container.name),
            "id" => Some(&*container.id.0),
            "image" => Some(&*container.image),
            "project" => container.project.as_deref(),
            _ => container.service.as_deref(),
        };
        let Some(value) = value else {
            return Err(Refusal::new(format!("{} has no {name}, which `{word}` wants", target.shown())));
        };
        filled.extend([&rest[..at], value]);
        rest = &rest[at + name.len() + 2..];
    }
    filled.push_str(rest);
    // Labels are written by others: what was meant for a name must not become an option.
    if filled.starts_with('-') && !word.starts_with('-') {
        return Err(Refusal::new(format!("`{word}` would be the option `{filled}` for {}", target.shown())));
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::make;

    fn filled_for(word: &str, project: &str) -> Result<String, String> {
        let container = make::container("n8n").project(project, "web").0;
        let target = Target { container, raw: serde_json::Value::Null };
        filled(word, &target).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn words_say_what_their_target_is() {
        for (word, expected) in [
            ("{name}", "n8n"),
            ("--on={project}/{service}:{name}", "--on=shop/web:n8n"),
            ("{{.ID}} {print} {", "{{.ID}} {print} {"),
            ("{{name}}", "{n8n}"),
            ("plain", "plain"),
            ("", ""),
        ] {
            assert_eq!(filled_for(word, "shop").as_deref(), Ok(expected), "{word}");
        }
    }

    #[test]
    fn what_others_wrote_becomes_no_option() {
        let refused = filled_for("{project}", "--rm").unwrap_err();
        assert!(refused.contains("would be the option `--rm`"), "{refused}");
        assert_eq!(filled_for("--project={project}", "--rm").as_deref(), Ok("--project=--rm"));
    }
}
