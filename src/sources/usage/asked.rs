//! The engine's own account of what containers use, where the kernel's files cannot be read.
//!
//! A reading costs the engine milliseconds, and engines before 23 take a second for it. So a few containers are asked about
//! at a turn, at the same time, and what was read counts until its turn comes again, but not for ever.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;

use super::meters::{Unreadable, cores, unavailable};
use crate::domain::{ContainerId, ContainerUsage, ContainerUsages, Moment, Reading, Why};
use crate::host::{Clock, DockerClient, Stats};

/// Readings by the engine, and whose turn it is.
#[derive(Default)]
pub(super) struct Asked {
    last: HashMap<ContainerId, Last>,
    next: usize,
}

/// The last answer about one container.
struct Last {
    at: Moment,
    cpu: Option<(Timestamp, u64)>,
    usage: ContainerUsage,
}

impl Asked {
    /// Containers at a turn.
    const AT_ONCE: usize = 16;
    /// A reading counts so long.
    const COUNTS_FOR: Duration = Duration::from_secs(30);

    /// Asks about the next few of `unreadable`, and adds what is known of all of them to `usages`.
    pub(super) async fn read(
        &mut self,
        client: &DockerClient,
        unreadable: &[Unreadable],
        clock: Clock,
        usages: &mut ContainerUsages,
    ) {
        if unreadable.is_empty() {
            self.last.clear();
            return;
        }
        self.last.retain(|id, _| unreadable.iter().any(|container| container.id == *id));
        for (id, answer) in self.ask(client, unreadable).await {
            self.take_in(id, answer, clock.now());
        }
        let now = clock.now();
        for container in unreadable {
            let usage = match self.last.get(&container.id) {
                Some(last) if now.since(last.at) <= Self::COUNTS_FOR => last.usage.clone(),
                Some(_) => unavailable("the engine has not told it lately".into()),
                None => unavailable(container.why.clone()),
            };
            usages.by_id.insert(container.id.clone(), usage);
        }
    }

    async fn ask(
        &mut self,
        client: &DockerClient,
        unreadable: &[Unreadable],
    ) -> Vec<(ContainerId, Result<Option<Stats>, Why>)> {
        let first = self.next % unreadable.len();
        self.next = first + Self::AT_ONCE.min(unreadable.len());
        stream::iter(unreadable.iter().cycle().skip(first))
            .take(Self::AT_ONCE.min(unreadable.len()))
            .map(|container| async {
                let answer = client.stats(&container.id).await;
                let answer = answer.map_err(|failure| Why::new(failure.what));
                (container.id.clone(), answer)
            })
            .buffer_unordered(Self::AT_ONCE)
            .collect()
            .await
    }

    fn take_in(&mut self, id: ContainerId, answer: Result<Option<Stats>, Why>, at: Moment) {
        let before = self.last.get(&id).and_then(|last| last.cpu);
        let last = match answer {
            Ok(Some(stats)) => told(&stats, before, at),
            Ok(None) => Last { at, cpu: None, usage: unavailable("the engine counts nothing for it".into()) },
            Err(why) => Last { at, cpu: before, usage: unavailable(why) },
        };
        self.last.insert(id, last);
    }
}

/// A reading as usage, given the processor time of the reading before.
fn told(stats: &Stats, before: Option<(Timestamp, u64)>, at: Moment) -> Last {
    let counted = |count: Option<u64>| {
        count.map_or_else(|| Reading::Unavailable("the engine does not count it".into()), Reading::Known)
    };
    let cpu = stats.cpu_ns.map(|cpu_ns| (stats.at, cpu_ns));
    Last {
        at,
        cpu,
        usage: ContainerUsage {
            cpu_cores: match cpu {
                Some(now) => cores(before, now),
                None => Reading::Unavailable("the engine does not count it".into()),
            },
            memory_bytes: counted(stats.memory_bytes),
            pids: counted(stats.pids),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_told_from_the_second_reading_on() {
        let at = Clock::start().now();
        let read = |second, cpu_ns| Stats {
            at: Timestamp::from_second(second).unwrap(),
            cpu_ns: Some(cpu_ns),
            memory_bytes: None,
            pids: Some(3),
        };
        let first = told(&read(100, 5_000_000_000), None, at);
        assert_eq!(first.usage.cpu_cores, Reading::Unavailable(Why::WAITING));
        assert!(first.usage.memory_bytes.known().is_none());
        let second = told(&read(102, 6_000_000_000), first.cpu, at);
        assert_eq!(second.usage.cpu_cores, Reading::Known(0.5));
        assert_eq!(second.usage.pids, Reading::Known(3));
        // Started again: the counter begins at nothing.
        let third = told(&read(103, 1), second.cpu, at);
        assert!(third.usage.cpu_cores.known().is_none());
    }
}
