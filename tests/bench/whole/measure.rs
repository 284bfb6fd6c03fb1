//! The measurements of one program: starts, a window in which nobody types, keys, and the four ways to end.

use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::process::Signal;
use serde::Serialize;

use crate::docker::{Servers, ServersCpu};
use crate::peers::Subject;
use crate::process::{self, CpuMeter, Holdings, Machine};
use crate::pty::{Ending, Failure, Spec, Term, session_members};
use crate::scenario::Options;

/// The longest a frame may take to come.
const FRAME_DEADLINE: Duration = Duration::from_secs(15);
/// The longest a key may take to change the screen.
const KEY_DEADLINE: Duration = Duration::from_millis(500);
/// The longest an end may take.
const EXIT_DEADLINE: Duration = Duration::from_secs(3);

/// Some times, in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Times {
    /// How many there are.
    pub(crate) count: usize,
    /// The median.
    pub(crate) p50_ms: f64,
    /// The 95th percentile, by nearest rank.
    pub(crate) p95_ms: f64,
    /// The longest.
    pub(crate) max_ms: f64,
}

impl Times {
    /// `None` for no times at all.
    pub(crate) fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort_unstable();
        let rank = |percent: usize| (times.len() * percent).div_ceil(100).saturating_sub(1);
        let ms = |index: usize| times.get(index).map(|time| time.as_secs_f64() * 1000.0);
        Some(Self {
            count: times.len(),
            p50_ms: ms(rank(50))?,
            p95_ms: ms(rank(95))?,
            max_ms: ms(times.len().saturating_sub(1))?,
        })
    }
}

/// A stretch of time with nobody typing.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Window {
    /// Its length in seconds.
    pub(crate) seconds: f64,
    /// CPU of the program, in percent of one core.
    pub(crate) cpu_percent: f64,
    /// CPU of the engine in this time, in percent of one core, less its idle load.
    pub(crate) engine_percent: Option<ServersCpu>,
    /// CPU of the processes named by `--also`, likewise.
    pub(crate) also_percent: Vec<(u32, f64)>,
    /// CPU of this harness, in percent of one core.
    pub(crate) harness_percent: f64,
    /// How busy the machine was, in percent of all cores.
    pub(crate) machine_percent: f64,
    /// What the program held at the end.
    pub(crate) holdings: Holdings,
    /// Bytes a second to the terminal.
    pub(crate) bytes_per_second: f64,
    /// Cells a second that changed.
    pub(crate) cells_per_second: f64,
    /// Bytes for each changed cell.
    pub(crate) bytes_per_cell: Option<f64>,
    /// Writes after which the screen looked as before.
    pub(crate) empty_bursts: usize,
    /// Seconds in which something was written though nothing visible changed.
    pub(crate) wasted_seconds: usize,
}

/// Key presses and the first changed cell after each.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Keys {
    /// From the key to the first output that changed a cell.
    pub(crate) answers: Option<Times>,
    /// Keys that changed nothing.
    pub(crate) unanswered: usize,
    /// Times that the screen changed by itself within the median answer time, of as many tries.
    pub(crate) control_changed: usize,
}

/// One of the ways to end.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Exit {
    /// `q`, `SIGTERM`, `SIGHUP` or `closed terminal`.
    pub(crate) way: String,
    /// Whether terminal and session were left as they were.
    pub(crate) clean: bool,
    /// From the request to the end, in milliseconds; `None` if it did not end.
    pub(crate) ms: Option<f64>,
    /// How it ended and what it left, in words.
    pub(crate) detail: String,
}

/// All that was measured of one program.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    /// The program.
    pub(crate) name: String,
    /// From the start to the first frame with data.
    pub(crate) first_frame: Option<Times>,
    /// From the start to the containers.
    pub(crate) containers: Option<Times>,
    /// A stretch of time with nobody typing.
    pub(crate) window: Option<Window>,
    /// Keys and their answers.
    pub(crate) keys: Option<Keys>,
    /// The four ways to end.
    pub(crate) exits: Vec<Exit>,
    /// What could not be measured, and why.
    pub(crate) left_out: Vec<String>,
}

/// The processes beside the program whose CPU counts, and what they use while nobody looks.
pub(crate) struct Beside<'a> {
    /// The engine's processes with their idle load.
    pub(crate) engine: Option<(&'a Servers, ServersCpu)>,
    /// Other processes with their idle load in percent of one core.
    pub(crate) also: &'a [(u32, f64)],
}

/// Measures one program.
pub(crate) fn measure(subject: &Subject, options: &Options, beside: &Beside<'_>) -> Measured {
    let mut measured = Measured {
        name: subject.name.clone(),
        first_frame: None,
        containers: None,
        window: None,
        keys: None,
        exits: Vec::new(),
        left_out: Vec::new(),
    };
    if let Err(why) = starts(subject, options, &mut measured) {
        measured.left_out.push(why.brief());
        return measured;
    }
    if let Err(why) = life(subject, options, beside, &mut measured) {
        measured.left_out.push(why.brief());
    }
    for way in ["q", "SIGTERM", "SIGHUP", "closed terminal"] {
        let exit = exit(subject, way).unwrap_or_else(|why| Exit {
            way: way.to_owned(),
            clean: false,
            ms: None,
            detail: why.brief(),
        });
        measured.exits.push(exit);
    }
    measured
}

fn frame(subject: &Subject) -> Result<(Term, Duration), Failure> {
    let mut term = Term::start(&subject.spec)?;
    let time = term.wait_for(|screen| subject.frame.is_on(screen), FRAME_DEADLINE)?;
    Ok((term, time))
}

fn starts(subject: &Subject, options: &Options, measured: &mut Measured) -> Result<(), Failure> {
    let (mut frames, mut containers) = (Vec::new(), Vec::new());
    for _ in 0..options.starts {
        let (mut term, time) = frame(subject)?;
        frames.push(time);
        if let Some(shown) = &subject.containers {
            match term.wait_for(|screen| shown.is_on(screen), FRAME_DEADLINE) {
                Ok(time) => containers.push(time),
                Err(why) => {
                    measured.left_out.push(format!("containers were not shown: {}", why.brief()));
                    break;
                }
            }
        }
        term.press(&subject.quit)?;
        // One that does not quit is ended by the drop; how it quits is measured elsewhere.
        let _ = term.wait_exit(EXIT_DEADLINE);
    }
    measured.first_frame = Times::of(frames);
    measured.containers = Times::of(containers);
    Ok(())
}

fn life(subject: &Subject, options: &Options, beside: &Beside<'_>, measured: &mut Measured) -> Result<(), Failure> {
    let (mut term, _) = frame(subject)?;
    term.watch(options.warmup())?;
    measured.window = Some(window(&mut term, options.window(), beside)?);
    if !subject.keys.is_empty() && options.presses > 0 {
        measured.keys = Some(keys(&mut term, &subject.keys, options.presses)?);
    }
    Ok(())
}

fn window(term: &mut Term, length: Duration, beside: &Beside<'_>) -> Result<Window, Failure> {
    let mut own = session_members(term.pid());
    let harness = [std::process::id()];
    let (machine, began, from) = (Machine::now(), Instant::now(), term.mark());
    let servers = beside.engine.map(|(servers, _)| servers.meter());
    let also: Vec<_> = beside.also.iter().map(|&(pid, _)| CpuMeter::start(&[pid])).collect();
    let mut cpu = CpuMeter::start(&own);
    let harness_cpu = CpuMeter::start(&harness);
    while let left = length.saturating_sub(began.elapsed())
        && !left.is_zero()
    {
        term.watch(left.min(Duration::from_secs(1)))?;
        cpu.sample(&own);
    }
    let to = term.mark();
    own.extend(session_members(term.pid()).iter().filter(|pid| !own.contains(pid)).copied().collect::<Vec<_>>());
    let seconds = began.elapsed().as_secs_f64();
    let percent = |time: Duration| 100.0 * time.as_secs_f64() / seconds;
    let cpu_percent = percent(cpu.used(&own));
    let harness_percent = percent(harness_cpu.used(&harness));
    let engine_percent = servers.map(|meter| {
        let idle = beside.engine.map_or_else(ServersCpu::default, |(_, idle)| idle);
        meter.stop().above(idle)
    });
    let also_percent = also
        .into_iter()
        .zip(beside.also)
        .map(|(meter, &(pid, idle))| (pid, percent(meter.used(&[pid])) - idle))
        .collect();
    let traffic = term.traffic(from, to);
    let cells = traffic.changed_cells;
    Ok(Window {
        seconds,
        cpu_percent,
        engine_percent,
        also_percent,
        harness_percent,
        machine_percent: Machine::now().busy_percent_since(machine),
        holdings: process::holdings(&own),
        bytes_per_second: traffic.bytes as f64 / seconds,
        cells_per_second: cells as f64 / seconds,
        bytes_per_cell: (cells > 0).then(|| traffic.bytes as f64 / cells as f64),
        empty_bursts: traffic.empty_bursts,
        wasted_seconds: traffic.wasted_seconds,
    })
}

/// Presses keys at uneven distances, so that they do not fall into step with a refresh.
fn keys(term: &mut Term, keys: &[String], presses: usize) -> Result<Keys, Failure> {
    let pause = |n: usize| Duration::from_millis(50 + (n as u64 * 73) % 200);
    let mut answers = Vec::new();
    for n in 0..presses {
        term.watch(pause(n))?;
        match term.answer(&keys[n % keys.len()], KEY_DEADLINE) {
            Ok(time) => answers.push(time),
            Err(why) if !term.is_running() => return Err(why),
            Err(_) => {}
        }
    }
    let (unanswered, answers) = (presses - answers.len(), Times::of(answers));
    let span = answers.as_ref().map_or(KEY_DEADLINE, |times| Duration::from_secs_f64(times.p50_ms / 1000.0));
    let mut control_changed = 0;
    for n in 0..presses {
        term.watch(pause(n))?;
        let before = term.screen().frame();
        term.watch(span)?;
        control_changed += usize::from(term.screen().changed_cells(&before) > 0);
    }
    Ok(Keys { answers, unanswered, control_changed })
}

fn exit(subject: &Subject, way: &str) -> Result<Exit, Failure> {
    let (mut term, _) = frame(subject)?;
    term.wait_quiet(Duration::from_millis(150), Duration::from_millis(1500));
    match way {
        "SIGTERM" => term.signal(Signal::TERM)?,
        "SIGHUP" => term.signal(Signal::HUP)?,
        "closed terminal" => term.hang_up(),
        _ => term.press(&subject.quit)?,
    }
    let report = match term.wait_exit(EXIT_DEADLINE) {
        Ok(report) => report,
        Err(_) if term.is_running() => {
            return Ok(Exit { way: way.to_owned(), clean: false, ms: None, detail: "still running".to_owned() });
        }
        Err(why) => return Err(why),
    };
    let mut detail = match report.status {
        Ending::Code(code) => format!("exit {code}"),
        Ending::Signal(number) => format!("signal {number}"),
    };
    let left = report.restored.as_ref().map(|restored| restored.left_on().join(", "));
    if let Some(left) = left.filter(|left| !left.is_empty()) {
        detail = format!("{detail}, leaves {left}");
    }
    if !report.orphans.is_empty() {
        detail = format!("{detail}, leaves {} processes", report.orphans.len());
    }
    Ok(Exit { way: way.to_owned(), clean: report.is_clean(), ms: Some(report.elapsed.as_secs_f64() * 1000.0), detail })
}

/// What the harness adds to every time it tells.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Floor {
    /// From the start of a program that only prints to its text.
    pub(crate) start: Option<Times>,
    /// From a key to its echo by the kernel's line discipline.
    pub(crate) kernel_echo: Option<Times>,
    /// From a key to its echo by `cat` on a raw line: one wake-up of a process.
    pub(crate) cat_echo: Option<Times>,
}

impl Floor {
    /// Measures it with `echo` and `cat`.
    pub(crate) fn measure() -> Result<Self, Failure> {
        let starts = (0..7).map(|_| Term::start(&Spec::new("echo").arg("ready"))?.wait_text("ready"));
        let start = Times::of(starts.collect::<Result<_, _>>()?);
        let kernel_echo = echo(&mut Term::start(&Spec::new("cat"))?)?;
        let raw = ["-c", "stty raw -echo; echo ready; exec cat"];
        let mut raw = Term::start(&Spec::new("sh").args(raw))?;
        raw.wait_text("ready")?;
        Ok(Self { start, kernel_echo, cat_echo: echo(&mut raw)? })
    }
}

fn echo(term: &mut Term) -> Result<Option<Times>, Failure> {
    // The first key waits for the program to come up; it is not counted.
    term.answer("x", FRAME_DEADLINE)?;
    let mut times = Vec::new();
    for n in 0..60 {
        term.watch(Duration::from_millis(20))?;
        times.push(term.answer(["a", "b", "c"][n % 3], KEY_DEADLINE)?);
    }
    Ok(Times::of(times))
}
