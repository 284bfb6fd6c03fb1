//! Why a container dies: the ends of its runs that nobody asked for, what its memory did before, and what would help.
//!
//! Only what is known is told. Advice to raise a limit follows from a kill for memory alone, and is worked out against
//! what the host has free.

mod advice;

use std::time::Duration;

use jiff::Timestamp;

use super::{Growth, Life, State, Track};
use crate::domain::{Container, Exit, LogLine, Moment, RestartPolicy};

/// The end of one run that nobody asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Death<'a> {
    /// How it ended.
    pub exit: Exit,
    /// When.
    pub at: Timestamp,
    /// When the run began, if that was told.
    pub began: Option<Timestamp>,
    /// What it used of memory, if that was read.
    pub run: Option<&'a Life>,
}

/// A container that dies, or died and lies there, or could not be started.
#[derive(Debug, Clone, PartialEq)]
pub struct Crash<'a> {
    /// Its deaths within [`Crash::LOOKS_BACK`], oldest first; an older one alone if it still lies where that left it.
    pub deaths: Vec<Death<'a>>,
    /// The present run, while it is up.
    pub present: Option<&'a Life>,
    /// Why the engine could not start it.
    pub start_error: Option<&'a str>,
}

impl Death<'_> {
    /// How long the run lasted, if its start is known.
    pub fn ran(&self) -> Option<Duration> {
        let ran = self.at.duration_since(self.began?);
        (!ran.is_negative()).then(|| ran.unsigned_abs())
    }
}

impl Crash<'_> {
    /// Deaths that are older say nothing about a container that runs.
    pub const LOOKS_BACK: Duration = Duration::from_hours(1);

    /// The newest death.
    pub fn last(&self) -> Option<&Death<'_>> {
        self.deaths.last()
    }

    /// Bytes at the last reading before the newest death, and how long before it that was.
    pub fn memory_at_death(&self) -> Option<(u64, Duration)> {
        let death = self.last()?;
        let (read, bytes) = death.run?.last()?;
        // A reading is dated when it is taken in, which may be a moment after the end of what was read.
        let before = death.at.duration_since(read);
        Some((bytes, if before.is_negative() { Duration::ZERO } else { before.unsigned_abs() }))
    }

    /// How memory grew before the newest death.
    pub fn growth(&self) -> Option<Growth> {
        self.last()?.run?.growth()
    }
}

impl State {
    /// Why this container dies; `None` if it does not.
    pub fn crash<'a>(&'a self, container: &'a Container, now: Moment) -> Option<Crash<'a>> {
        let track = self.tracks.get(&container.id);
        let mut deaths: Vec<Death<'a>> = track.map(|track| told(track, container, now)).unwrap_or_default();
        if let Some(death) = inspected(track, container, now)
            && deaths.last().is_none_or(|last| last.at < death.at)
        {
            deaths.push(death);
        }
        // An error of an earlier start says nothing once it runs.
        let start_error = container.start_error.as_deref().filter(|_| !container.state.is_up());
        let present = track.filter(|_| container.state.is_up()).and_then(|track| track.lives.iter().next_back());
        let present = present.filter(|run| deaths.last().is_none_or(|last| run.began.is_some_and(|at| at >= last.at)));
        (!deaths.is_empty() || start_error.is_some()).then_some(Crash { deaths, present, start_error })
    }

    /// The last lines, at most `most`, that a container wrote before its newest death; its last ones where it never ran.
    pub fn last_words(&self, container: &Container, crash: &Crash<'_>, most: usize) -> Vec<&LogLine> {
        // What was written last may be dated a moment after the process has ended. The engine waits longer than that before
        // it begins the next one, whose lines are not these.
        let slack = |at: Timestamp| at.checked_add(Duration::from_millis(50)).unwrap_or(at);
        let until = crash.last().map(|death| slack(death.at));
        let mine = self.logs.iter().rev().map(|(_, line)| line).filter(|line| line.origin.container == container.id);
        let mut lines: Vec<_> = mine.filter(|line| until.is_none_or(|until| line.at <= until)).take(most).collect();
        lines.reverse();
        lines
    }

    /// What would help this container, as far as that can be told, most useful first.
    pub fn advice(&self, container: &Container, crash: Option<&Crash<'_>>) -> Vec<String> {
        advice::advice(self, container, crash)
    }
}

/// Deaths that events told of.
fn told<'a>(track: &'a Track, container: &Container, now: Moment) -> Vec<Death<'a>> {
    track
        .own_exits(now, Crash::LOOKS_BACK)
        .map(|exit| Death {
            exit: Exit { code: exit.code, oom_killed: track.oom_near(exit.at), at: Some(exit.at) },
            at: exit.at,
            began: exit.began,
            run: track.lives.ended(exit.began, exit.at),
        })
        .filter(|death| is_death(death.exit, container))
        .collect()
}

/// The death that an inspection shows and no event told of.
fn inspected<'a>(track: Option<&'a Track>, container: &Container, now: Moment) -> Option<Death<'a>> {
    let exit = container.last_exit.filter(|exit| is_death(*exit, container))?;
    let at = exit.at?;
    let down = !container.state.is_up();
    let young = container.restart_count > 0 && now.since_wall(at) <= Crash::LOOKS_BACK;
    let known = track.is_some_and(|track| track.exit_near(at).is_some());
    let asked = down && track.is_some_and(|track| track.stop_was_asked(Some(at)) == Some(true));
    if !(down || young) || known || asked {
        return None;
    }
    let began = container.started.filter(|began| down && *began < at);
    Some(Death { exit, at, began, run: track.and_then(|track| track.lives.ended(began, at)) })
}

/// Work that was done is no death, unless the engine is told to begin it again whenever it ends.
fn is_death(exit: Exit, container: &Container) -> bool {
    let again = matches!(container.restart_policy, RestartPolicy::Always | RestartPolicy::UnlessStopped);
    exit.code != 0 || exit.oom_killed || again
}
