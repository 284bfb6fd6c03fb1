//! What happened to one container: exits, restarts, kills for memory, readiness. Restart loops are told from here, never
//! from the state word, which reads `running` in most of a loop.
//!
//! Events reach a track in any order and more than once (live, from the engine's memory, after a reconnection). So each
//! list is kept sorted by the engine's own times, and what follows from several events (was this exit asked for?) is
//! worked out anew from the lists whenever one of them changes.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use super::lives::Lives;
use crate::domain::{Container, ContainerUsage, DockerEvent, DockerEventKind, HealthState, Moment};

/// One end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitSeen {
    /// When.
    pub at: Timestamp,
    /// The exit code.
    pub code: i64,
    /// Somebody had asked for it (stop, kill, restart).
    pub asked: bool,
    /// When its run began, if that was told.
    pub began: Option<Timestamp>,
    /// Its run was seen from its start, and at no time of it did the container pass its health check.
    pub unready: bool,
}

/// The record of one container.
#[derive(Debug, Clone, Default)]
pub struct Track {
    /// Ends of runs, oldest first: from events, and from the engine's own memory at the start.
    pub exits: VecDeque<ExitSeen>,
    /// Kills for memory, oldest first. One death may count several, because each killed process is told.
    pub ooms: VecDeque<Timestamp>,
    /// The engine's restart count as it was seen, each time it changed.
    pub restart_counts: VecDeque<(Timestamp, u32)>,
    /// It passed its health check at least once, or answered as the inference server that it is.
    pub was_ready: bool,
    /// Memory used by the second, bytes; NaN marks a gap.
    pub memory: VecDeque<f32>,
    /// Processors used by the second; NaN marks a gap.
    pub cpu: VecDeque<f32>,
    /// What each of the last runs used of memory.
    pub lives: Lives,
    /// Ends of runs that an inspection called a kill for memory: the engine does not tell of each one by an event.
    killed: VecDeque<Timestamp>,
    starts: VecDeque<Timestamp>,
    signals: VecDeque<Timestamp>,
    stops: VecDeque<Timestamp>,
    passes: VecDeque<Timestamp>,
    listed: Option<Moment>,
    gone_since: Option<Moment>,
}

impl Track {
    /// Entries of each list that are kept.
    pub const KEPT: usize = 64;
    /// Seconds of use that are kept.
    pub const USED: usize = 120;
    /// A container that is gone is remembered so long: a recreated one has another id, but a list may lag behind events.
    const GONE_FOR: Duration = Duration::from_mins(1);
    /// An exit so soon after a signal was asked for. Three times the engine's own patience with a stop; not longer,
    /// because a signal may also mean *read your configuration again*.
    const SIGNAL_REACHES: Duration = Duration::from_secs(30);
    /// The engine tells of a stop when it is over, so its exit comes a little before it.
    const STOP_TOLD_WITHIN: Duration = Duration::from_secs(5);
    /// How far the inspected end of a run and the event that tells of it may lie apart.
    const SAME_EXIT: Duration = Duration::from_secs(10);
    /// The same where one end of a loop must not be taken for the next.
    const SAME_END: Duration = Duration::from_secs(1);

    /// Takes an event in.
    pub(super) fn happened(&mut self, event: &DockerEvent) {
        let at = event.at;
        match event.kind {
            DockerEventKind::Kill => keep(&mut self.signals, at, |at| *at),
            DockerEventKind::Stop => keep(&mut self.stops, at, |at| *at),
            DockerEventKind::Start => {
                keep(&mut self.starts, at, |at| *at);
                self.lives.begin(at);
            }
            DockerEventKind::Die { code } => {
                keep(&mut self.exits, ExitSeen { at, code, asked: false, began: None, unready: false }, |exit| exit.at);
            }
            DockerEventKind::Oom => keep(&mut self.ooms, at, |at| *at),
            DockerEventKind::Healthy => {
                self.was_ready = true;
                keep(&mut self.passes, at, |at| *at);
            }
            DockerEventKind::Unhealthy | DockerEventKind::Changed => return,
        }
        self.settle();
    }

    /// Works out for each exit what the events around it say.
    fn settle(&mut self) {
        let mut before: Option<Timestamp> = None;
        for exit in &mut self.exits {
            let at = exit.at;
            let signalled =
                self.signals.iter().any(|signal| *signal <= at && span(*signal, at) <= Self::SIGNAL_REACHES);
            let stopped = self.stops.iter().any(|stop| {
                if *stop <= at {
                    span(*stop, at) <= Self::SIGNAL_REACHES
                } else {
                    span(at, *stop) <= Self::STOP_TOLD_WITHIN
                }
            });
            exit.asked = signalled || stopped;
            let start = self.starts.iter().rev().find(|start| **start < at).copied();
            // A start before the previous exit belongs to that one's run.
            let start = start.filter(|start| before.is_none_or(|before| before <= *start));
            exit.began = start;
            exit.unready = start.is_some_and(|start| !self.passes.iter().any(|pass| (start..=at).contains(pass)));
            before = Some(at);
        }
    }

    /// Takes an inspection in.
    pub(super) fn inspected(&mut self, container: &Container, at: Moment) {
        self.listed = Some(at);
        self.gone_since = None;
        if container.health.as_ref().is_some_and(|health| health.state == HealthState::Healthy) {
            self.was_ready = true;
        }
        if let Some(at) = container.last_exit.filter(|exit| exit.oom_killed).and_then(|exit| exit.at) {
            keep(&mut self.killed, at, |at| *at);
        }
        if let Some(started) = container.started.filter(|_| container.state.is_up()) {
            self.lives.begin(started);
        }
        // It never ran, or could only be listed: nobody told its counter.
        if container.started.is_some() {
            self.counted(container.restart_count, at);
        }
    }

    fn counted(&mut self, count: u32, at: Moment) {
        let last = self.restart_counts.back().map(|(_, last)| *last);
        // A count that fell was reset by a manual start: what was counted before is over, and the new count began at 0.
        if last.is_some_and(|last| last > count) {
            self.restart_counts.clear();
            self.restart_counts.push_back((at.wall, 0));
        }
        if self.restart_counts.back().is_none_or(|(_, last)| *last != count) {
            if self.restart_counts.len() == Self::KEPT {
                self.restart_counts.pop_front();
            }
            self.restart_counts.push_back((at.wall, count));
        }
    }

    /// Takes in that it answered as an inference server.
    pub(super) fn answered(&mut self) {
        self.was_ready = true;
    }

    /// Takes a reading of use in.
    pub(super) fn used(&mut self, usage: &ContainerUsage, at: Timestamp) {
        if let Some(bytes) = usage.memory_bytes.get() {
            self.lives.used(at, bytes);
        }
        for (ring, value) in [
            (&mut self.memory, usage.memory_bytes.get().map(|bytes| bytes as f32)),
            (&mut self.cpu, usage.cpu_cores.get().map(|cores| cores as f32)),
        ] {
            if ring.len() == Self::USED {
                ring.pop_front();
            }
            ring.push_back(value.unwrap_or(f32::NAN));
        }
    }

    /// Whether the container left the list, of which the latest was read `at`, long enough ago to be forgotten.
    pub(super) fn is_gone(&mut self, at: Moment) -> bool {
        if self.listed == Some(at) {
            return false;
        }
        let since = *self.gone_since.get_or_insert(at);
        at.since(since) > Self::GONE_FOR
    }

    /// Runs that ended by themselves within `window` before `now`, oldest first, as events told.
    pub fn own_exits(&self, now: Moment, window: Duration) -> impl Iterator<Item = ExitSeen> {
        self.exits.iter().filter(move |exit| !exit.asked && now.since_wall(exit.at) <= window).copied()
    }

    /// Restarts by the engine within `window` before `now`, as its counter told. A counter seen for the first time counts
    /// in full only for a container that was created within the window.
    pub fn counted_restarts(&self, created: Option<Timestamp>, now: Moment, window: Duration) -> u32 {
        let Some((_, last)) = self.restart_counts.back() else { return 0 };
        let before =
            self.restart_counts.iter().rev().find(|(at, _)| now.since_wall(*at) > window).map(|(_, count)| *count);
        let young = created.is_some_and(|created| now.since_wall(created) <= window);
        let base = match before {
            Some(count) => count,
            None if young => 0,
            None => self.restart_counts.front().map_or(0, |(_, count)| *count),
        };
        last.saturating_sub(base)
    }

    /// When the engine's restart count was last seen to grow.
    pub fn last_counted_restart(&self) -> Option<Timestamp> {
        // The first entry is what the counter stood at when it was first read or reset.
        self.restart_counts.iter().skip(1).next_back().map(|(at, _)| *at)
    }

    /// The latest end of a run that nobody asked for.
    pub fn last_own_exit(&self) -> Option<ExitSeen> {
        self.exits.iter().rev().find(|exit| !exit.asked).copied()
    }

    /// The event that told of the exit that an inspection dates `finished`.
    pub fn exit_near(&self, finished: Timestamp) -> Option<ExitSeen> {
        self.exits.iter().rev().find(|exit| span(exit.at, finished) <= Self::SAME_EXIT).copied()
    }

    /// Whether a process of it was killed for memory about when a run ended.
    pub fn oom_near(&self, ended: Timestamp) -> bool {
        // An inspection dates the end itself; an event may tell of a child that was killed some time before.
        let same = |killed: &Timestamp| span(*killed, ended) <= Self::SAME_END;
        self.ooms.iter().any(|oom| span(*oom, ended) <= Self::SAME_EXIT) || self.killed.iter().any(same)
    }

    /// Whether somebody asked for the stop in which it has been since `finished` (the inspected end of its last run), as
    /// far as events tell. `None` when they do not reach that exit: an older one says nothing about this stop.
    pub fn stop_was_asked(&self, finished: Option<Timestamp>) -> Option<bool> {
        let last = self.exits.back()?;
        // A container that waited for its next start can be stopped without a process that would exit.
        let stopped_later = self
            .stops
            .back()
            .is_some_and(|stop| *stop >= last.at && self.starts.back().is_none_or(|start| start < stop));
        if stopped_later || last.asked {
            return finished
                .is_none_or(|finished| finished <= last.at || span(last.at, finished) <= Self::SAME_EXIT)
                .then_some(true);
        }
        finished.is_none_or(|finished| span(last.at, finished) <= Self::SAME_EXIT).then_some(false)
    }
}

/// The time between two instants, whichever comes first.
fn span(a: Timestamp, b: Timestamp) -> Duration {
    a.duration_since(b).unsigned_abs()
}

/// Puts an item into its place in a sorted, bounded list; one that is there already changes nothing.
fn keep<T>(list: &mut VecDeque<T>, item: T, time: impl Fn(&T) -> Timestamp) {
    let at = time(&item);
    let place = list.partition_point(|kept| time(kept) < at);
    if list.get(place).is_some_and(|kept| time(kept) == at) {
        return;
    }
    list.insert(place, item);
    if list.len() > Track::KEPT {
        list.pop_front();
    }
}
