//! The face: one loop that takes input, events and signals, and draws when something visible changed.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use crossterm::event::{Event as Input, EventStream, KeyCode, KeyEvent, KeyModifiers};
use futures_util::{FutureExt as _, StreamExt};
use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::{LocalSet, yield_now};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::acting::{Acting, Told};
use super::ask::{Answered, Asker};
use super::core::{ASSESS_EVERY, Queue};
use super::keeper::{Keeper, News};
use super::past::PastAsker;
use super::recording::{Recording, Writer};
use super::trending::Trending;
use super::worker::Order;
use super::{Core, Scope, Setup, async_runtime, diagnostics};
use crate::actions::Wish;
use crate::domain::{Event, Failure, JournalEntry, Keeping, Past, Run, TrendSample};
use crate::host::process::has_shell;
use crate::host::spawn;
use crate::terminal::{Terminal, restore_on_panic};
use crate::ui::{self, Intent, Ui};

/// At most twenty frames a second, but a key press is answered at once.
const FRAME: Duration = Duration::from_millis(50);
/// Readings of one turn come within a few milliseconds: they are drawn together.
const GATHER: Duration = Duration::from_millis(25);
/// So long after the start every reading is drawn as it comes.
const EAGER: Duration = Duration::from_millis(600);
/// The time between two offers of the rest of a frame to a terminal that takes nothing.
const OFFER_EVERY: Duration = Duration::from_millis(20);
/// So long after the start the first registry is asked, or up to twice as long: the first frames are long drawn.
const ASK_AFTER: Duration = Duration::from_secs(5);

/// Shows the screen until it is left.
///
/// # Errors
/// When the terminal cannot be taken or the async runtime cannot be started.
pub fn tui(setup: &Setup) -> anyhow::Result<()> {
    restore_on_panic();
    let diagnostics = diagnostics::begin(&setup.state_dir);
    let runtime = async_runtime()?;
    let result = LocalSet::new().block_on(&runtime, async {
        let mut face = Face::open(setup.clone())?;
        let result = face.run().await;
        // The reader of keys goes before the terminal does.
        face.input = None;
        let Face { core, mut keeper, news, terminal, recording, .. } = face;
        // The terminal is given back before anything is written; and nobody looks at news any more.
        drop((terminal, news));
        keeper.keep_answers(&core.state);
        if let Some(recording) = recording {
            recording.finish(&core.state, core.clock.now()).await;
        }
        if !keeper.finish(&core.state).await {
            // The diagnostics lie in the same folder: their guard would wait for it too.
            std::mem::forget(diagnostics);
        }
        match result {
            // A terminal that was closed is a way out like any other.
            Err(error) if is_gone(&error) => Ok(()),
            result => anyhow::Ok(result?),
        }
    });
    // A driver call that hangs must not hold the process back.
    runtime.shutdown_background();
    result
}

struct Face {
    setup: Setup,
    core: Core,
    queue: Queue,
    keeper: Keeper,
    news: mpsc::Receiver<News>,
    /// None with `--read-only`.
    recording: Option<Recording>,
    kept: mpsc::Receiver<Keeping>,
    acting: Acting,
    told: mpsc::Receiver<Told>,
    /// Runs that were begun here and have not ended.
    mine: Vec<String>,
    trending: Trending,
    found: mpsc::Receiver<TrendSample>,
    past: PastAsker,
    read: mpsc::Receiver<Past>,
    asker: Asker,
    answered: mpsc::Receiver<Answered>,
    ui: Ui,
    /// The reader of keys; none while another program has the terminal.
    input: Option<EventStream>,
    terminal: Terminal,
    /// When a terminal that is behind was last offered the rest.
    offered: Instant,
    /// Since when something may look different.
    dirty: Option<Instant>,
    drawn: Instant,
    began: Instant,
}

/// Whether to go on.
#[derive(PartialEq, Eq)]
enum Next {
    Stay,
    Leave,
}

impl Face {
    fn open(setup: Setup) -> anyhow::Result<Self> {
        let terminal = Terminal::enter(setup.config.mouse)?;
        let (core, queue) = Core::start(&setup, Scope::Everything, Some(ASK_AFTER));
        let (screen, warning) = setup.screen(core.zone.clone())?;
        let mut ui = Ui::new(screen, Terminal::size());
        if let Some(warning) = warning {
            ui.say(warning.to_string(), core.clock.now());
        }
        let (keeper, news) = Keeper::start(&setup.state_dir);
        let recording =
            (!setup.read_only).then(|| Recording::start(&setup.state_dir, Writer::Screen, core.clock.now()));
        let (recording, kept) = recording.map_or_else(|| (None, mpsc::channel(1).1), |(it, kept)| (Some(it), kept));
        let (acting, told) = Acting::start(&setup);
        let (asker, answered) = Asker::start(&setup);
        let (past, read) = PastAsker::start(&setup);
        let (trending, found) = Trending::start(&setup);
        let now = Instant::now();
        Ok(Self {
            setup,
            core,
            queue,
            keeper,
            news,
            recording,
            kept,
            acting,
            told,
            mine: Vec::new(),
            trending,
            found,
            past,
            read,
            asker,
            answered,
            ui,
            input: Some(EventStream::new()),
            terminal,
            offered: now,
            dirty: Some(now),
            drawn: now,
            began: now,
        })
    }

    async fn run(&mut self) -> io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut stop = signal(SignalKind::from_raw(Signal::TSTP.as_raw()))?;
        let mut resized = signal(SignalKind::window_change())?;
        // Another size may have come before the signal was heard.
        let size = Terminal::size();
        if size != self.ui.size || !self.terminal.fits(size) {
            self.measure();
        }
        let mut seconds = interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut batch = Vec::new();
        self.greet();
        // The pollers ask their first questions, which other threads answer while the first frame is drawn.
        yield_now().await;
        self.draw()?;
        loop {
            let frame = self.next_frame();
            let next = tokio::select! {
                biased;
                _ = terminate.recv() => Next::Leave,
                _ = hang_up.recv() => Next::Leave,
                _ = interrupt.recv() => Next::Leave,
                _ = stop.recv() => self.stopped()?,
                _ = resized.recv() => {
                    self.measure();
                    self.draw()?;
                    Next::Stay
                }
                event = next_input(&mut self.input) => match event {
                    Some(Ok(event)) if is_suspend(&event) => self.stopped()?,
                    Some(Ok(event)) => self.input(event)?,
                    // The terminal is gone.
                    Some(Err(_)) | None => Next::Leave,
                },
                () = sleep_until(self.offered + OFFER_EVERY), if self.terminal.is_behind() => {
                    self.offered = Instant::now();
                    self.terminal.send()?;
                    Next::Stay
                }
                () = sleep_until(frame), if self.dirty.is_some() && !self.terminal.is_behind() => {
                    self.draw()?;
                    Next::Stay
                }
                taken = self.queue.take(&mut batch) => {
                    if taken == 0 { Next::Leave } else { self.events(&mut batch) }
                }
                Some(news) = self.news.recv() => self.news(news),
                Some(keeping) = self.kept.recv() => {
                    self.core.take(Event::Keeping(keeping));
                    Next::Stay
                }
                Some(trends) = self.found.recv() => {
                    self.core.take(Event::Trends(trends.into()));
                    Next::Stay
                }
                Some(past) = self.read.recv() => {
                    self.core.take(Event::Past(past.into()));
                    self.dirty.get_or_insert_with(Instant::now);
                    Next::Stay
                }
                Some(told) = self.told.recv() => self.told(told)?,
                Some(answered) = self.answered.recv() => self.answered(answered),
                _ = seconds.tick() => self.second(),
            };
            if next == Next::Leave {
                return Ok(());
            }
        }
    }

    /// When the next frame is due: gathered readings, at most twenty a second; at the start at once.
    fn next_frame(&self) -> Instant {
        let since = self.dirty.unwrap_or(self.drawn);
        if since.duration_since(self.began) < EAGER { since } else { (self.drawn + FRAME).max(since + GATHER) }
    }

    /// Records the visit: next time, what changed is told from here.
    fn greet(&mut self) {
        if !self.setup.read_only {
            self.record(JournalEntry::Visit);
        }
    }

    fn events(&mut self, batch: &mut Vec<Event>) -> Next {
        for event in batch.drain(..) {
            self.core.take(event);
        }
        self.dirty.get_or_insert_with(Instant::now);
        Next::Stay
    }

    /// Ages and the clock move on, rules look.
    fn second(&mut self) -> Next {
        let at = self.core.clock.now();
        self.core.take(Event::Tick { at });
        self.ui.expire(at);
        self.past.ask_if_due(&self.core.state, self.ui.range, at);
        self.trending.look_if_due(&self.core.state, at);
        if let Some(recording) = &mut self.recording {
            recording.look(&self.core.state, at);
        }
        self.keeper.second(&self.core.state, !self.setup.read_only);
        self.dirty.get_or_insert_with(Instant::now);
        Next::Stay
    }

    fn input(&mut self, event: Input) -> io::Result<Next> {
        let now = self.core.clock.now();
        let intents = match event {
            Input::Key(key) => self.ui.key(key, &self.core.state, now),
            Input::Mouse(mouse) => self.ui.mouse(mouse, &self.core.state, now),
            Input::Paste(text) => self.pasted(&text),
            // The signal has told it already.
            Input::Resize(..) | Input::FocusGained | Input::FocusLost => return Ok(Next::Stay),
        };
        for intent in intents {
            if self.fulfil(intent)? == Next::Leave {
                return Ok(Next::Leave);
            }
        }
        self.past.ask_if_due(&self.core.state, self.ui.range, now);
        self.draw()?;
        Ok(Next::Stay)
    }

    /// Draws for the size that the terminal has now, and the next frame whole.
    fn measure(&mut self) {
        self.ui.size = Terminal::size();
        self.terminal.resize(self.ui.size);
    }

    /// A pasted text is typed where text is typed, and means nothing elsewhere: it never presses keys.
    fn pasted(&mut self, text: &str) -> Vec<Intent> {
        let now = self.core.clock.now();
        if !self.ui.takes_text() {
            self.ui.say("pasted text is only taken where text is typed", now);
            return Vec::new();
        }
        let typed = crate::host::foreign::clean(text, 1_000).into_owned();
        for character in typed.chars() {
            self.ui.key(KeyEvent::new(KeyCode::Char(character), KeyModifiers::NONE), &self.core.state, now);
        }
        Vec::new()
    }

    fn fulfil(&mut self, intent: Intent) -> io::Result<Next> {
        match intent {
            Intent::Quit => return Ok(Next::Leave),
            Intent::Copy(text) => {
                if let Err(error) = self.terminal.copy(&text) {
                    let now = self.core.clock.now();
                    self.ui.say(format!("not copied: {error}"), now);
                }
            }
            Intent::Record(entry) => self.record(entry),
            Intent::Plan { action, targets, to } => {
                self.acting.plan(Wish { action, targets, to, ..Wish::default() });
            }
            Intent::Carry(plan) => self.acting.carry(Order::Plan(plan)),
            Intent::TakeUp(run, back) => {
                self.acting.carry(if back { Order::TakeBack(run) } else { Order::Finish(run) });
            }
            Intent::Cancel(run) => self.keeper.cancel(run),
            Intent::Shell(name) => self.shell(&name)?,
            Intent::Refresh => self.core.refresh_all(),
            Intent::Redraw => self.measure(),
            Intent::Reload => self.reload(),
            Intent::Mouse(on) => self.terminal.set_mouse(on)?,
            Intent::Inspect(of) => {
                if !self.asker.inspect(of.clone()) {
                    self.ui.inspected(&of, Err(Failure::failed("too many questions wait for the engine")));
                }
            }
        }
        Ok(Next::Stay)
    }

    /// Reads the config again. A config that cannot be read changes nothing: the old one stays.
    fn reload(&mut self) {
        let now = self.core.clock.now();
        let before = &self.setup.config;
        let taken = before.again().and_then(|config| {
            // What the command line put over the config stays over it.
            let theme = if config.theme == before.theme { None } else { Some(config.theme(self.ui.setup.depth)?) };
            Ok((config, theme))
        });
        match taken {
            Ok((config, theme)) => {
                self.ui.setup.keymap = config.keys.clone();
                self.ui.setup.aliases.clone_from(&config.actions.aliases);
                if let Some(theme) = theme {
                    self.ui.setup.theme = theme;
                }
                self.core.renew(&config);
                let restart =
                    if config.sources == before.sources { "" } else { "; what is read counts from the next start" };
                self.ui.say(format!("the config was read again{restart}"), now);
                self.setup.config = config;
                self.acting.renew(&self.setup);
            }
            Err(error) => self.ui.say(format!("the old config stays: {}", first_line(&error.to_string())), now),
        }
    }

    /// Has something written to the journal; it comes back as news.
    fn record(&mut self, entry: JournalEntry) {
        let now = self.core.clock.now();
        if !self.keeper.record(entry, now.wall) {
            self.ui.say("not recorded: the state folder does not answer", now);
        }
    }

    /// Takes in what was written to the journal, here or by others.
    fn news(&mut self, news: News) -> Next {
        match news {
            News::Records(records) => self.core.take(Event::Journal(records)),
            News::Recorded(records) => {
                self.core.take(Event::Journal(records));
                self.ui.say("recorded in the journal", self.core.clock.now());
            }
            News::Runs(runs) => self.runs(runs),
            News::Rules(rules) => {
                let policy = self.setup.update_policy(rules);
                self.core.take(Event::Updates(policy.into()));
            }
            News::Images(images) => self.core.take(Event::ImagesSeen(images)),
            News::Remembered(remembered) => {
                if let Some(recording) = &mut self.recording {
                    recording.remember((*remembered).clone());
                }
                self.core.take(Event::Remembered((*remembered).into()));
            }
            News::Failed(why) => {
                let now = self.core.clock.now();
                self.ui.say(format!("not recorded: {why}"), now);
            }
        }
        self.dirty.get_or_insert_with(Instant::now);
        Next::Stay
    }

    /// Takes in how runs stand now; those that were begun here are told when they end.
    fn runs(&mut self, runs: Vec<Run>) {
        let now = self.core.clock.now();
        for run in runs.iter().filter(|run| run.ended.is_some() && !run.alive) {
            if let Some(place) = self.mine.iter().position(|mine| *mine == run.id) {
                self.mine.remove(place);
                self.ui.ended(run, now);
            }
        }
        self.core.take(Event::Runs(runs));
    }

    /// Takes in a plan or the beginning of a run.
    fn told(&mut self, told: Told) -> io::Result<Next> {
        let now = self.core.clock.now();
        let intents = match told {
            Told::Planned(plan) => {
                let intents = self.ui.planned(plan, now);
                // Keys that were typed before the plan was on the screen must not answer it.
                while next_input(&mut self.input).now_or_never().flatten().is_some() {}
                intents
            }
            Told::Begun(Ok(run), watch) => {
                self.ui.begun(&run, watch);
                self.mine.push(run);
                self.keeper.look();
                Vec::new()
            }
            Told::Begun(Err(why), _) => {
                self.ui.popup = None;
                self.ui.say(format!("not begun: {why}"), now);
                Vec::new()
            }
        };
        for intent in intents {
            self.fulfil(intent)?;
        }
        self.draw()?;
        Ok(Next::Stay)
    }

    /// Takes in what the engine says of a container.
    fn answered(&mut self, answered: Answered) -> Next {
        self.ui.inspected(&answered.of, answered.answer);
        self.dirty.get_or_insert_with(Instant::now);
        Next::Stay
    }

    /// Lets the shell have the terminal until it brings us back.
    fn stopped(&mut self) -> io::Result<Next> {
        if !has_shell() {
            self.ui.say("no shell waits behind this screen, so it is not left", self.core.clock.now());
            self.draw()?;
            return Ok(Next::Stay);
        }
        self.terminal.suspend()?;
        // All threads stop, the reader of keys too: nobody reads the terminal while the shell has it.
        kill_process(getpid(), Signal::STOP)?;
        self.terminal.resume()?;
        self.ui.size = Terminal::size();
        self.draw()?;
        Ok(Next::Stay)
    }

    /// Gives the terminal to a shell in a container, and takes it again when that ends.
    fn shell(&mut self, name: &str) -> io::Result<()> {
        let Some(endpoint) = self.core.state.docker.get().map(|docker| docker.engine.endpoint.clone()) else {
            self.ui.say("the container engine has not answered yet", self.core.clock.now());
            return Ok(());
        };
        self.terminal.suspend()?;
        self.input = None;
        let arguments = ["exec", "-it", name, "sh", "-c", "command -v bash >/dev/null && exec bash || exec sh"];
        let ended = spawn::on_the_terminal("docker", &arguments, &endpoint);
        self.input = Some(EventStream::new());
        self.terminal.resume()?;
        self.ui.size = Terminal::size();
        let said = match ended {
            Ok(0 | 130) => format!("back from {name}"),
            Ok(126 | 127) => format!("{name} has no shell"),
            Ok(code) => format!("the shell in {name} ended with {code}"),
            Err(error) => format!("no shell: the docker command cannot be started ({error})"),
        };
        self.ui.say(said, self.core.clock.now());
        Ok(())
    }

    /// Draws; a terminal that is behind gets the newest frame as soon as it has caught up.
    fn draw(&mut self) -> io::Result<()> {
        if self.terminal.is_behind() {
            self.dirty.get_or_insert_with(Instant::now);
            return Ok(());
        }
        self.core.assess_if_due(ASSESS_EVERY);
        let now = self.core.clock.now();
        let scene = self.ui.scene(&self.core.state, now);
        let (hits, _) = self.terminal.draw(|buffer| ui::screen::view(buffer, &scene))?;
        self.ui.hits = hits;
        self.dirty = None;
        self.drawn = Instant::now();
        Ok(())
    }
}

/// The next key, click or resize; none for as long as another program has the terminal.
async fn next_input(input: &mut Option<EventStream>) -> Option<io::Result<Input>> {
    match input {
        // The reader of keys would read the end of a closed terminal for ever, and never let anybody else have a turn.
        Some(input) => {
            poll_fn(|context| if Terminal::is_closed() { Poll::Ready(None) } else { input.poll_next_unpin(context) })
                .await
        }
        None => std::future::pending().await,
    }
}

/// Whether the error says that the terminal is there no more.
fn is_gone(error: &io::Error) -> bool {
    let hung_up = error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error());
    hung_up || matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::WriteZero)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Ctrl-Z, which raw mode hands to us as a key.
fn is_suspend(event: &Input) -> bool {
    matches!(event, Input::Key(key) if key.code == KeyCode::Char('z') && key.modifiers.contains(KeyModifiers::CONTROL))
}
