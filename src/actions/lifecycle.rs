//! Start, stop, restart, pause, resume, kill, remove: a container, a compose project in the order of its dependencies, or
//! several at once.

use futures_util::future::LocalBoxFuture;

use super::target::{Target, resolve};
use super::{Action, Desk, Refusal, Wish};
use crate::domain::{ActionSpec, ContainerState, Guard, Item, Op, Plan, Risk, Step, Verb, is_made_up, units};

/// One verb as an action.
pub(super) struct Lifecycle {
    id: &'static str,
    verb: Verb,
}

pub(super) const START: Lifecycle = Lifecycle { id: "container.start", verb: Verb::Start };
pub(super) const STOP: Lifecycle = Lifecycle { id: "container.stop", verb: Verb::Stop };
pub(super) const RESTART: Lifecycle = Lifecycle { id: "container.restart", verb: Verb::Restart };
pub(super) const PAUSE: Lifecycle = Lifecycle { id: "container.pause", verb: Verb::Pause };
pub(super) const RESUME: Lifecycle = Lifecycle { id: "container.resume", verb: Verb::Resume };
pub(super) const KILL: Lifecycle = Lifecycle { id: "container.kill", verb: Verb::Kill };

impl Action for Lifecycle {
    fn spec(&self) -> &'static ActionSpec {
        super::spec(self.id)
    }

    fn plan<'a>(&'a self, desk: &'a Desk, wish: &'a Wish) -> LocalBoxFuture<'a, Result<Plan, Refusal>> {
        Box::pin(async move {
            let targets = resolve(desk.docker().await?, &wish.targets).await?;
            Ok(self.plan_for(wish, &targets, desk))
        })
    }
}

impl Lifecycle {
    fn plan_for(&self, wish: &Wish, targets: &[Target], desk: &Desk) -> Plan {
        let spec = self.spec();
        let mut plan = of(spec, wish, targets);
        let mut steps: Vec<Step> =
            targets.iter().filter(|target| self.changes(target)).map(|it| self.step(it, desk)).collect();
        // What others need is the last to go.
        if matches!(self.verb, Verb::Stop | Verb::Kill | Verb::Pause) {
            steps.reverse();
        }
        plan.commands = steps.iter().map(|step| command(self.verb.command(), step)).collect();
        let still: Vec<String> =
            targets.iter().filter(|target| !self.changes(target)).map(|target| self.left_alone(target)).collect();
        plan.kept = still;
        plan.steps = steps;
        plan.undo = self.undo().into();
        plan.downtime = match self.verb {
            Verb::Restart => Some("from its stop until it is up again".to_owned()),
            Verb::Stop | Verb::Kill => Some("until it is started again".to_owned()),
            Verb::Pause => Some("until it is resumed".to_owned()),
            Verb::Start | Verb::Resume => None,
        };
        if matches!(self.verb, Verb::Stop | Verb::Restart | Verb::Kill) {
            plan.warnings.extend(targets.iter().filter(|target| target.goes_when_it_ends()).map(|target| {
                format!("{} was started with --rm: the engine removes it as soon as it ends", target.shown())
            }));
        }
        plan
    }

    /// Whether there is anything to do.
    fn changes(&self, target: &Target) -> bool {
        let state = target.container.state;
        match self.verb {
            Verb::Start => matches!(state, ContainerState::Created | ContainerState::Exited | ContainerState::Dead),
            Verb::Stop | Verb::Kill => state.is_up() || state == ContainerState::Restarting,
            Verb::Restart => true,
            Verb::Pause => state == ContainerState::Running,
            Verb::Resume => state == ContainerState::Paused,
        }
    }

    fn left_alone(&self, target: &Target) -> String {
        format!("{} is {}: there is nothing to {}", target.shown(), target.container.state.word(), self.verb.word())
    }

    fn step(&self, target: &Target, desk: &Desk) -> Step {
        let container = target.reference();
        let op = |verb| Op::Lifecycle { verb, container: container.clone(), stop_seconds: None };
        let title = format!("{} {}", self.verb.word(), target.shown());
        let mut step = Step::new(target.shown(), title, self.spec().risk, op(self.verb))
            .guarded(Guard::Same { container: container.clone() });
        step.items.push(item(target, desk));
        match self.verb {
            Verb::Stop | Verb::Kill if !target.goes_when_it_ends() => step.undone_by(op(Verb::Start)),
            Verb::Start => step.undone_by(op(Verb::Stop)),
            Verb::Pause => step.undone_by(op(Verb::Resume)),
            Verb::Resume => step.undone_by(op(Verb::Pause)),
            _ => step,
        }
    }

    fn undo(&self) -> &'static str {
        match self.verb {
            Verb::Start => "stops it again",
            Verb::Stop | Verb::Kill => "starts it again",
            Verb::Pause => "resumes it",
            Verb::Resume => "pauses it again",
            Verb::Restart => "a restart cannot be taken back",
        }
    }
}

/// Removes containers; their volumes stay unless they are asked for.
pub(super) struct Remove;

impl Action for Remove {
    fn spec(&self) -> &'static ActionSpec {
        super::spec("container.remove")
    }

    fn plan<'a>(&'a self, desk: &'a Desk, wish: &'a Wish) -> LocalBoxFuture<'a, Result<Plan, Refusal>> {
        Box::pin(async move {
            let targets = resolve(desk.docker().await?, &wish.targets).await?;
            Ok(self.plan_for(wish, &targets, desk))
        })
    }
}

impl Remove {
    fn plan_for(&self, wish: &Wish, targets: &[Target], desk: &Desk) -> Plan {
        let mut plan = of(self.spec(), wish, targets);
        for target in targets.iter().rev() {
            let (container, shown) = (target.reference(), target.shown());
            let same = || Guard::Same { container: container.clone() };
            if target.container.state.is_up() || target.container.state == ContainerState::Restarting {
                let op = Op::Lifecycle { verb: Verb::Stop, container: container.clone(), stop_seconds: None };
                let start = Op::Lifecycle { verb: Verb::Start, container: container.clone(), stop_seconds: None };
                let step = Step::new(format!("stop {shown}"), format!("stop {shown}"), Risk::Disruptive, op);
                plan.steps.push(step.guarded(same()).undone_by(start));
                plan.commands.push(format!("docker stop {}", container.name));
            }
            let op = Op::ArchiveLogs { containers: vec![container.clone()] };
            let step = Step::new(format!("log {shown}"), format!("keep the log of {shown}"), Risk::Safe, op);
            plan.steps.push(step.optional(true));
            let op = Op::RemoveContainer { container: container.clone(), volumes: false };
            let mut step = Step::new(shown.clone(), format!("remove {shown}"), Risk::Disruptive, op).guarded(same());
            step.items.push(item(target, desk));
            plan.steps.push(step);
            plan.commands.push(format!("docker rm {}", container.name));
            plan.steps.extend(anonymous_volumes(target));
            plan.kept.extend(named_volumes(target).map(|name| format!("volume {name}")));
        }
        plan.undo = "a removed container does not come back; its image and its named volumes stay".into();
        plan.downtime = Some("for good".to_owned());
        plan
    }
}

/// The step that also removes a container's anonymous volumes: data that nothing else names. It must be asked for.
fn anonymous_volumes(target: &Target) -> Option<Step> {
    let volumes: Vec<String> = volumes(target).filter(|name| is_made_up(name)).map(str::to_owned).collect();
    if volumes.is_empty() {
        return None;
    }
    let shown = target.shown();
    let op = Op::RemoveVolumes { volumes: volumes.clone() };
    let title = format!("remove the unnamed volumes of {shown}");
    let mut step = Step::new(format!("volumes {shown}"), title, Risk::Destructive, op).optional(false);
    step.items = volumes.into_iter().map(|name| Item { name, data: true, ..Item::default() }).collect();
    Some(step)
}

fn named_volumes(target: &Target) -> impl Iterator<Item = &str> {
    volumes(target).filter(|name| !is_made_up(name))
}

/// The volumes that a container mounts.
fn volumes(target: &Target) -> impl Iterator<Item = &str> {
    target.mounts("volume").filter_map(|mount| mount.get("Name")?.as_str())
}

/// A plan of this action without steps.
pub(super) fn of(spec: &ActionSpec, wish: &Wish, targets: &[Target]) -> Plan {
    let what = match targets {
        [only] => only.shown(),
        several => match wish.targets.as_slice() {
            [project] if project.ends_with('/') => format!("{project} ({} containers)", several.len()),
            _ => format!("{} containers", several.len()),
        },
    };
    Plan {
        targets: wish.targets.clone(),
        title: format!("{} {what}", super::capitalised(spec.title)),
        locks: targets.iter().map(Target::lock).collect(),
        ..Plan::of(spec.id)
    }
}

fn item(target: &Target, desk: &Desk) -> Item {
    let container = &target.container;
    let age = container.started.map(|started| units::span(desk.ports.clock.now().since_wall(started)));
    let detail = match (container.state, age) {
        (state, Some(age)) if state.is_up() => format!("{} for {age}", state.word()),
        (state, _) => match container.last_exit {
            Some(exit) => format!("{}, {exit}", state.word()),
            None => state.word().to_owned(),
        },
    };
    Item { name: container.name.to_string(), detail, ..Item::default() }
}

fn command(word: &str, step: &Step) -> String {
    let names: Vec<&str> = step.items.iter().map(|item| item.name.as_str()).collect();
    format!("docker {word} {}", names.join(" "))
}
