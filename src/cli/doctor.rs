//! `hostler doctor`: gathers what is known beside the state (places, files, terminal) and has it reported.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::args::DoctorArgs;
use super::{Exit, Stop, look, out, variable};
use crate::config;
use crate::domain::{Delivery, Outbox, Reading, Why, units};
use crate::history::{HistoryError, SampleReader};
use crate::host::{Candidate, Clock, RootedFs, Standing, Surroundings, candidates, choose, foreign, login_name};
use crate::report::alerts::{self as report_alerts, AlertList, ListedReceiver};
use crate::report::check::CheckReport;
use crate::report::doctor::{DockerPlace, DoctorReport, Fact, Section};
use crate::report::mask::Names;
use crate::report::{self, LastState, Look, bundle};
use crate::runtime::{self, Scope, Setup};
use crate::store::State;
use crate::terminal;
use crate::ui::glyph;
use crate::ui::theme::Depth;

pub(super) fn run(setup: &Setup, args: &DoctorArgs) -> Result<Exit, Stop> {
    let look = look(&setup.config);
    // Before this look becomes the last one.
    let storage = storage(setup, &look);
    let state = runtime::observe(setup, Scope::Sources, Duration::ZERO).map_err(Stop::failure)?;
    let fs = RootedFs::new(&setup.rootfs);
    let (system, nvidia) = (system(setup, &state, &fs), nvidia(setup, &state, &fs));
    let sections =
        vec![system, nvidia, storage, history(setup, &look), alerts(setup, &look), terminal(setup), clock(&look)];
    // A made-up box has no engine to be sought.
    let places = if setup.demo { Vec::new() } else { docker_places(setup, &fs) };
    let report = DoctorReport::of(&state, places, sections);
    let text = if args.bundle {
        let host = args.hide_host.then(|| report.host.clone());
        let names = Names { home: variable("HOME"), user: Some(login_name()), host };
        let plain = Look { colour: false, ..look };
        bundle::bundle(&report, &CheckReport::of(&state, setup.demo), &setup.config.to_toml(), &names, &plain)
    } else if args.json {
        report::json(&report, out::is_terminal()).map_err(Stop::failure)?
    } else {
        report.text(&look)
    };
    out::print(&text).map_err(Stop::failure)?;
    Ok(if report.is_trouble() { Exit::Failure } else { Exit::Success })
}

/// Where a container engine is sought, and which of these places is taken.
fn docker_places(setup: &Setup, fs: &RootedFs) -> Vec<DockerPlace> {
    let around = Surroundings::of_this_process(setup.config.sources.docker_endpoint.as_deref());
    let candidates = candidates(&around, fs);
    let taken = choose(&candidates).ok();
    let place = |candidate: &Candidate| DockerPlace {
        endpoint: candidate.shown(),
        because: candidate.because.clone(),
        found: match (&candidate.standing, &candidate.group) {
            (Standing::Exists, Some(group)) => format!("a socket of the group {group}"),
            (Standing::Exists, None) => "a socket".to_owned(),
            (Standing::Missing, _) => "no such socket".to_owned(),
            (Standing::Hidden, _) => "its folder may not be entered".to_owned(),
            (Standing::Remote, _) => "an address of the network".to_owned(),
            (Standing::Unusable(why), _) => why.clone(),
        },
        taken: taken.is_some_and(|taken| std::ptr::eq(taken, candidate)),
    };
    candidates.iter().map(place).collect()
}

fn system(setup: &Setup, state: &State, fs: &RootedFs) -> Section {
    let facts = state.host.get().map(|host| &host.facts);
    let unread = || Reading::Unavailable(Why::new("the host could not be read"));
    let fact = |value: Option<String>| value.map_or_else(unread, Reading::Known);
    let mut all = vec![
        Fact::new("os", fact(facts.map(|facts| facts.os.clone()))),
        Fact::new("kernel", fact(facts.map(|facts| format!("{} ({})", facts.kernel, std::env::consts::ARCH)))),
        Fact::known("user", user(fs)),
        Fact::known("read_only", yes_or_no(setup.read_only)),
    ];
    if !fs.is_live() {
        all.push(Fact::known("root", setup.rootfs.display().to_string()));
    }
    Section { id: "system", title: "System", facts: all }
}

/// The user and the groups: what a socket or a device lets in.
fn user(fs: &RootedFs) -> String {
    let table = fs.read("/etc/group").unwrap_or_default();
    let name_of = |gid: u32| {
        let gid = gid.to_string();
        let found =
            table.lines().find(|line| line.split(':').nth(2) == Some(&gid)).and_then(|line| line.split(':').next());
        found.map_or(gid.clone(), foreign::name)
    };
    let mut groups = rustix::process::getgroups().unwrap_or_default();
    groups.push(rustix::process::getegid());
    let mut groups: Vec<u32> = groups.into_iter().map(rustix::process::Gid::as_raw).collect();
    groups.sort_unstable();
    groups.dedup();
    let groups: Vec<String> = groups.into_iter().map(name_of).collect();
    let (name, uid) = (login_name(), format!("uid {}", rustix::process::geteuid().as_raw()));
    let who = if name == uid { uid } else { format!("{name} ({uid})") };
    format!("{who}, groups {}", groups.join(", "))
}

fn nvidia(setup: &Setup, state: &State, fs: &RootedFs) -> Section {
    let library =
        match (variable("HOSTLER_NVML_LIBRARY").filter(|path| !path.is_empty()), &setup.config.sources.nvml_library) {
            (Some(path), _) => format!("{path} (HOSTLER_NVML_LIBRARY names it)"),
            (None, Some(path)) => format!("{path} (the config names it)"),
            (None, None) => "libnvidia-ml.so.1, wherever the dynamic loader finds it".to_owned(),
        };
    let module = match fs.read("/sys/module/nvidia/version") {
        Ok(version) => Fact::known("kernel_module", foreign::name(version.trim())),
        Err(_) => Fact::new("kernel_module", Reading::Unavailable(Why::new("it is not loaded"))),
    };
    let mut facts = vec![
        Fact::known("library", foreign::name(&library)),
        module,
        Fact::known(
            "device_files",
            if fs.exists("/dev/nvidiactl") { "/dev/nvidiactl is there" } else { "there is no /dev/nvidiactl" },
        ),
    ];
    if let Some(sample) = state.gpus.get() {
        facts.push(Fact::new("driver_loaded", sample.driver.loaded.clone()));
        facts.push(Fact::new("driver_on_disk", sample.driver.on_disk.clone()));
        facts.push(Fact::new("cuda", sample.driver.cuda.clone()));
        facts.push(Fact::known("cards", sample.gpus.len().to_string()));
    }
    Section { id: "nvidia", title: "NVIDIA", facts }
}

fn storage(setup: &Setup, look: &Look) -> Section {
    let dir = &setup.state_dir;
    let config =
        setup.config.path.as_ref().map_or_else(no_config, |path| Fact::known("config", path.display().to_string()));
    let folder = dir.path().map_or_else(|| "none".to_owned(), |path| path.display().to_string());
    let folder = Fact::known("state_folder", format!("{folder} ({})", dir.because()));
    let folder = match dir.writable() {
        Err(error) if !setup.demo => folder.trouble().remedy(error.to_string()),
        _ => folder,
    };
    let journal = match dir.read_journal() {
        Ok(read) => {
            let skipped = match read.skipped {
                0 => String::new(),
                count => format!("; lines that could not be understood and are left out: {count}"),
            };
            Fact::known("journal", format!("records: {}{skipped}", read.records.len()))
        }
        Err(error) => Fact::new("journal", Reading::Unavailable(Why::new(error.to_string()))).trouble(),
    };
    let last = dir.last::<LastState>();
    let last = last.map(|last| format!("{}, {}", last.verdict, look.ago(last.at, Clock::start().now().wall)));
    let none = || Reading::Unavailable(Why::new("nobody has looked yet"));
    Section {
        id: "storage",
        title: "Storage",
        facts: vec![config, folder, journal, Fact::new("last_look", last.map_or_else(none, Reading::Known))],
    }
}

/// Whether what is measured is kept, and for how long already.
fn history(setup: &Setup, look: &Look) -> Section {
    let dir = &setup.state_dir;
    let recorder = if dir.has_recorder() {
        Fact::known("recorder", "runs")
    } else {
        Fact::known("recorder", "does not run: history is kept, and alerts are told, only while one does; a screen keeps history while it is open")
            .remedy("`hostler record --install` makes it a service")
    };
    let recorded = match SampleReader::open(dir) {
        Ok(Some(mut reader)) => match (reader.series(), reader.beginning()) {
            (Ok(series), Ok(since)) => {
                let since = since.map_or_else(String::new, |at| format!(" since {}", look.time(at)));
                Fact::known(
                    "recorded",
                    format!("{} series{since}, {}", series.len(), units::bytes(dir.history_bytes())),
                )
            }
            (Err(error), _) | (_, Err(error)) => unread("recorded", &error).trouble(),
        },
        Ok(None) => Fact::new("recorded", Reading::Unavailable(Why::new("nothing was recorded yet"))),
        Err(error) => unread("recorded", &error).trouble(),
    };
    let trends = dir.trends().map(|sample| {
        format!("looked at {}, {} told", look.ago(sample.at, Clock::start().now().wall), sample.trends.len())
    });
    let none = || Reading::Unavailable(Why::new("nobody has looked yet"));
    let trends = Fact::new("trends", trends.map_or_else(none, Reading::Known));
    Section { id: "history", title: "History", facts: vec![recorder, recorded, trends] }
}

fn unread(name: &'static str, error: &HistoryError) -> Fact {
    Fact::new(name, Reading::Unavailable(Why::new(error.to_string())))
}

/// Whether those who are to be told of findings are reached, as the recorder knows.
fn alerts(setup: &Setup, look: &Look) -> Section {
    let (outbox, spoilt) = match setup.state_dir.outbox() {
        Ok(outbox) => (outbox, None),
        Err(error) => (Outbox::default(), Some(Reading::Unavailable(Why::new(error.to_string())))),
    };
    let now = Clock::start().now().wall;
    let went = |name: String, to: &str, delivery: &Delivery| {
        let fact = Fact::known(name, format!("{to}: {}", report_alerts::delivery(delivery, look, now)));
        if delivery.failure.is_some() { fact.trouble() } else { fact }
    };
    let list = AlertList::of(&outbox, &super::alert::names(setup));
    let of_receiver = |receiver: &ListedReceiver| {
        let to = format!("{}, {}", receiver.kind, receiver.place);
        let fact = went(receiver.name.clone(), &to, &receiver.delivery);
        if fact.trouble { fact.remedy(format!("`hostler alert test {}` tries it", receiver.name)) } else { fact }
    };
    let mut facts: Vec<Fact> = list.receivers.iter().map(of_receiver).collect();
    if facts.is_empty() {
        let none = Reading::Unavailable(Why::new("the config names none: nobody is told"));
        facts.push(Fact::new("receivers", none).remedy("`[[alerts.to]]` in the config names who is told of findings"));
    }
    let heartbeat = setup.config.alerts.heartbeat.as_ref();
    facts.extend(heartbeat.map(|beat| went("heartbeat".to_owned(), &beat.to.to_string(), &outbox.heartbeat)));
    facts.extend(spoilt.map(|why| Fact::new("told", why).trouble()));
    Section { id: "alerts", title: "Alerts", facts }
}

fn no_config() -> Fact {
    let places: Vec<String> = config::places().iter().map(|place| place.display().to_string()).collect();
    let why = format!("there is none at {}: the defaults are in force", places.join(" or "));
    Fact::new("config", Reading::Unavailable(Why::new(why))).remedy("`hostler config init` writes one")
}

fn terminal(setup: &Setup) -> Section {
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    let size = if terminal::is_terminal() {
        let size = terminal::Terminal::size();
        Reading::Known(format!("{}×{}", size.width, size.height))
    } else {
        Reading::Unavailable(Why::new("this is no terminal"))
    };
    let colours = match Depth::detect(variable) {
        Depth::None if is_set("NO_COLOR") => "none (NO_COLOR is set)",
        Depth::None => "none",
        Depth::Ansi => "16",
        Depth::Indexed => "256",
        Depth::True => "true colour",
    };
    let glyphs = if *setup.config.glyphs.glyphs(variable) == glyph::ASCII { "ASCII" } else { "Unicode" };
    let multiplexer =
        [("TMUX", "tmux"), ("STY", "screen"), ("ZELLIJ", "zellij")].into_iter().find(|(name, _)| is_set(name));
    let environment = |name: &'static str, variable_name: &str| {
        let unset = || Reading::Unavailable(Why::new(format!("{variable_name} is not set")));
        Fact::new(name, variable(variable_name).map_or_else(unset, |value| Reading::Known(foreign::name(&value))))
    };
    Section {
        id: "terminal",
        title: "Terminal",
        facts: vec![
            Fact::new("size", size),
            Fact::known("colours", colours),
            Fact::known("glyphs", glyphs),
            Fact::known("theme", setup.config.theme.clone()),
            environment("term", "TERM"),
            environment("colorterm", "COLORTERM"),
            environment("locale", if is_set("LC_ALL") { "LC_ALL" } else { "LANG" }),
            Fact::known("ssh", yes_or_no(is_set("SSH_CONNECTION") || is_set("SSH_TTY"))),
            Fact::known("multiplexer", multiplexer.map_or("none", |(_, name)| name)),
        ],
    }
}

fn clock(look: &Look) -> Section {
    let now = Clock::start().now().wall.to_zoned_datetime(look.zone.clone());
    let zone = look.zone.iana_name().map_or_else(|| zone_by_offset(&look.zone), str::to_owned);
    Section {
        id: "clock",
        title: "Clock",
        facts: vec![Fact::known("zone", zone), Fact::known("now", now.strftime("%Y-%m-%d %H:%M:%S %:z").to_string())],
    }
}

fn zone_by_offset(zone: &TimeZone) -> String {
    if zone.is_unknown() { "unknown, so UTC".to_owned() } else { "a fixed offset".to_owned() }
}

fn yes_or_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}
