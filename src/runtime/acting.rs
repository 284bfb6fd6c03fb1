//! The screen's side of actions: plans are made and workers are started beside it, so that it never waits for an engine.

use std::rc::Rc;

use tokio::sync::mpsc;
use tokio::task::spawn_local;

use super::Setup;
use super::worker::{self, Order};
use crate::actions::{self, Desk, Wish};
use crate::domain::Plan;

/// Answers that may wait.
const QUEUE: usize = 8;

/// What came of a wish.
pub(super) enum Told {
    /// What an action would do, or why it cannot be done.
    Planned(Result<Box<Plan>, String>),
    /// The run that has begun, and whether it is to be watched; or why none has.
    Begun(Result<String, String>, bool),
}

/// Plans and starts.
pub(super) struct Acting {
    setup: Rc<Setup>,
    /// Made at the first wish: a screen that is only looked at needs no second way to the engine.
    desk: Option<Rc<Desk>>,
    tell: mpsc::Sender<Told>,
}

impl Acting {
    /// Begins. What is asked for must be asked within a [`LocalSet`](tokio::task::LocalSet).
    pub(super) fn start(setup: &Setup) -> (Self, mpsc::Receiver<Told>) {
        let (tell, told) = mpsc::channel(QUEUE);
        (Self { setup: Rc::new(setup.clone()), desk: None, tell }, told)
    }

    /// Takes another config: what is planned and started from now on heeds it.
    pub(super) fn renew(&mut self, setup: &Setup) {
        self.setup = Rc::new(setup.clone());
        self.desk = None;
    }

    /// Finds out what an action would do.
    pub(super) fn plan(&mut self, wish: Wish) {
        let desk = Rc::clone(self.desk.get_or_insert_with(|| Rc::new(self.setup.desk())));
        let tell = self.tell.clone();
        spawn_local(async move {
            let plan = actions::plan(&desk, &wish).await.map(Box::new).map_err(|refusal| refusal.to_string());
            // The screen may have been left.
            let _nobody = tell.send(Told::Planned(plan)).await;
        });
    }

    /// Starts a worker.
    pub(super) fn carry(&self, order: Order) {
        let watch = match &order {
            Order::Plan(plan) => plan.risk() > crate::domain::Risk::Safe,
            Order::Finish(_) | Order::TakeBack(_) => true,
        };
        let (setup, tell) = (Rc::clone(&self.setup), self.tell.clone());
        spawn_local(async move {
            let begun = worker::start(&setup, order).await;
            let _nobody = tell.send(Told::Begun(begun, watch)).await;
        });
    }
}
