//! The recorder: the same core as the screen's, without a face. It runs whether or not somebody looks.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio::time::{MissedTickBehavior, interval};

use super::alerting::Alerting;
use super::core::Queue;
use super::keeper::{Keeper, News};
use super::recording::{Recording, Writer};
use super::scheduling::Scheduling;
use super::trending::Trending;
use super::{Core, Scope, Setup, async_runtime, diagnostics};
use crate::domain::{Event, Keeping, Mark, MarkKind, TrendSample};
use crate::host::{Asked, Offer, listen};
use crate::report::{CONTENT_TYPE, exposition};

/// The least time between two readings of one source: a recorder is not looked at.
const REFRESH: Duration = Duration::from_secs(10);
/// So long after the start the first registry is asked.
const ASK_AFTER: Duration = Duration::from_secs(30);
/// The time between two looks of the rules: sources are read more rarely.
const ASSESS_EVERY: Duration = Duration::from_secs(5);

/// Records until it is told to end.
///
/// # Errors
/// When another recorder runs on this state folder, the folder cannot be written, or the async runtime cannot be started.
pub fn record(setup: &Setup, listen: Option<SocketAddr>) -> anyhow::Result<()> {
    let runtime = async_runtime()?;
    let result = LocalSet::new().block_on(&runtime, async {
        // Who sees the lock may send a signal.
        let signals = Signals::new()?;
        let _lock = setup.state_dir.be_recorder()?;
        let diagnostics = diagnostics::begin(&setup.state_dir);
        let mut recorder = Recorder::start(setup.clone(), listen).await?;
        recorder.run(signals).await;
        if !recorder.finish().await {
            // The diagnostics lie in the same folder: their guard would wait for it too.
            std::mem::forget(diagnostics);
        }
        anyhow::Ok(())
    });
    // A driver call that hangs must not hold the process back.
    runtime.shutdown_background();
    result
}

/// Tells what is measured to whom asks for it.
async fn serve(at: SocketAddr, setup: &Setup) -> anyhow::Result<mpsc::Receiver<Asked>> {
    let token = setup.config.history.listen_token.clone();
    if token.is_none() && !at.ip().is_loopback() {
        bail!("others than this machine could ask there; the config names a token in `listen_token_file`");
    }
    let offer = Offer { path: "/metrics", content_type: CONTENT_TYPE, token };
    let (at, asked) = listen(at, offer).await?;
    tracing::info!(%at, "Told to whom asks.");
    Ok(asked)
}

/// What tells the recorder to end, and to read the config again.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }
}

struct Recorder {
    setup: Setup,
    core: Core,
    queue: Queue,
    keeper: Keeper,
    news: mpsc::Receiver<News>,
    recording: Recording,
    kept: mpsc::Receiver<Keeping>,
    trending: Trending,
    found: mpsc::Receiver<TrendSample>,
    alerting: Alerting,
    scheduling: Scheduling,
    /// Who asks for what is measured.
    asked: mpsc::Receiver<Asked>,
}

impl Recorder {
    async fn start(setup: Setup, listen: Option<SocketAddr>) -> anyhow::Result<Self> {
        let asked = match listen.or(setup.config.history.listen) {
            Some(at) => serve(at, &setup).await.with_context(|| format!("cannot listen at {at}"))?,
            None => mpsc::channel(1).1,
        };
        let mut calm = setup.clone();
        calm.config.sources.refresh = calm.config.sources.refresh.max(REFRESH);
        let (core, queue) = Core::start(&calm, Scope::Everything, Some(ASK_AFTER));
        let (keeper, news) = Keeper::start(&setup.state_dir);
        let (recording, kept) = Recording::start(&setup.state_dir, Writer::Recorder, core.clock.now());
        let scheduling = Scheduling::start(&setup, core.zone.clone());
        let alerting = Alerting::start(&setup, core.clock.now());
        let (trending, found) = Trending::start(&setup);
        Ok(Self { setup, core, queue, keeper, news, recording, kept, trending, found, alerting, scheduling, asked })
    }

    async fn run(&mut self, mut signals: Signals) {
        let mut seconds = interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                biased;
                _ = signals.terminate.recv() => return,
                _ = signals.interrupt.recv() => return,
                _ = signals.hang_up.recv() => self.reload(),
                taken = self.queue.take(&mut batch) => match taken {
                    0 => return,
                    _ => batch.drain(..).for_each(|event| self.core.take(event)),
                },
                Some(news) = self.news.recv() => self.news(news),
                Some(keeping) = self.kept.recv() => self.core.take(Event::Keeping(keeping)),
                Some(trends) = self.found.recv() => self.core.take(Event::Trends(trends.into())),
                Some(asked) = self.asked.recv() => {
                    // Who asked may have gone.
                    drop(asked.send(exposition(&self.core.state, self.core.clock.now())));
                }
                _ = seconds.tick() => self.second(),
            }
        }
    }

    fn second(&mut self) {
        let at = self.core.clock.now();
        self.core.take(Event::Tick { at });
        self.core.assess_if_due(ASSESS_EVERY);
        self.recording.look(&self.core.state, at);
        if let Some(schedule) = self.scheduling.look(&self.core.state, at) {
            self.core.take(Event::Schedule(schedule));
        }
        self.alerting.look(&self.core.state);
        self.trending.look_if_due(&self.core.state, at);
        self.keeper.second(&self.core.state, true);
    }

    fn news(&mut self, news: News) {
        match news {
            News::Records(records) | News::Recorded(records) => self.core.take(Event::Journal(records)),
            News::Runs(runs) => self.core.take(Event::Runs(runs)),
            News::Rules(rules) => self.core.take(Event::Updates(self.setup.update_policy(rules).into())),
            News::Images(images) => self.core.take(Event::ImagesSeen(images)),
            News::Remembered(remembered) => {
                self.recording.remember((*remembered).clone());
                self.core.take(Event::Remembered((*remembered).into()));
            }
            News::Failed(why) => tracing::warn!(%why, "Could not write to the journal."),
        }
    }

    /// Reads the config again. A config that cannot be read changes nothing: the old one stays.
    fn reload(&mut self) {
        let before = &self.setup.config;
        match before.again() {
            Ok(config) => {
                self.core.renew(&config);
                let from_the_next_start = config.sources != before.sources;
                tracing::info!(from_the_next_start, "The config was read again.");
                let text = "hostler's config was changed".to_owned();
                let at = self.core.clock.now().wall;
                self.recording.mark(Mark { at, kind: MarkKind::Config, subject: None, text });
                self.setup.config = config;
                self.scheduling.renew(&self.setup);
                self.alerting.renew(&self.setup, self.core.clock.now());
            }
            Err(error) => tracing::error!(%error, "The old config stays."),
        }
    }

    /// Writes what is not written yet. False when the state folder does not answer.
    async fn finish(self) -> bool {
        let Self { core, mut keeper, recording, alerting, news, kept, .. } = self;
        // Nobody looks at news any more.
        drop((news, kept));
        keeper.keep_answers(&core.state);
        let told = alerting.finish(core.clock.now()).await;
        let written = recording.finish(&core.state, core.clock.now()).await;
        keeper.finish(&core.state).await && written && told
    }
}
