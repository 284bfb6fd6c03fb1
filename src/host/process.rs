//! What a process is called, and which processes it descends from.
//!
//! The kernel keeps 15 bytes of a name (`comm`); where those may be only the beginning, the first word of the command
//! line tells the rest. Both can be set by the process itself, so both are foreign text.

use std::collections::HashSet;
use std::io::{self, Cursor};
use std::iter::successors;

use procfs_core::FromRead;
use procfs_core::process::Stat;

use super::{RootedFs, foreign};
use crate::domain::{Reading, Why};

/// The longest name that the kernel keeps, bytes (`TASK_COMM_LEN` without its end mark).
const COMM_BYTES: usize = 15;

/// The name of a process as seen below `fs`, such as `llama-server` or `VLLM::EngineCore`.
pub fn name_of(fs: &RootedFs, pid: u32) -> Reading<String> {
    let comm = match fs.read(format!("/proc/{pid}/comm")) {
        Ok(comm) => comm,
        Err(error) => return Reading::Unavailable(why(&error)),
    };
    let comm = comm.trim_end_matches('\n');
    let whole =
        (comm.len() >= COMM_BYTES).then(|| program(fs, pid)).flatten().filter(|program| program.starts_with(comm));
    match foreign::name(whole.as_deref().unwrap_or(comm)) {
        name if name.is_empty() => Reading::Unavailable("it has no name".into()),
        name => Reading::Known(name),
    }
}

/// The processes that this one descends from, the nearest first, at most so many: without the first process of all, and
/// only as far as they can be read.
pub fn parents_of(fs: &RootedFs, pid: u32, most: usize) -> Vec<u32> {
    let parent = |pid: u32| u32::try_from(stat(fs, pid)?.ppid).ok().filter(|parent| *parent > 1);
    successors(parent(pid), |pid| parent(*pid)).take(most).collect()
}

/// The files that processes have open, by device and inode; of other users' processes only root is told.
pub fn open_files(fs: &RootedFs) -> HashSet<(u64, u64)> {
    let pids = fs.list("/proc").unwrap_or_default().into_iter().filter(|name| name.parse::<u32>().is_ok());
    let files = pids.flat_map(|pid| {
        let folder = format!("/proc/{pid}/fd");
        fs.list(&folder).unwrap_or_default().into_iter().map(move |name| format!("{folder}/{name}"))
    });
    files.filter_map(|file| fs.facts_behind(file).ok()).map(|facts| facts.id).collect()
}

/// Whether a shell waits for hostler with job control. Where none does (`ssh -t box hostler`, a tmux window of its
/// own), nobody could bring it back once it is stopped.
pub fn has_shell() -> bool {
    is_job(&RootedFs::new("/"), std::process::id())
}

/// The same of any process. `/proc` says 0 of a session outside this PID namespace.
fn is_job(fs: &RootedFs, pid: u32) -> bool {
    let parent_of = |own: &Stat| stat(fs, u32::try_from(own.ppid).ok()?);
    let Some((own, parent)) = stat(fs, pid).and_then(|own| parent_of(&own).map(|parent| (own, parent))) else {
        return false;
    };
    // The leader of a session whose group is ours waits for us without job control: `sh -c`.
    let bystander = parent.pgrp == own.pgrp && parent.session == parent.pid;
    parent.session == own.session && !bystander
}

/// What the kernel counts of a process; `None` for one that is gone or may not be seen.
pub(super) fn stat(fs: &RootedFs, pid: u32) -> Option<Stat> {
    let text = fs.read(format!("/proc/{pid}/stat")).ok()?;
    Stat::from_read(Cursor::new(text)).ok()
}

/// The first word of the command line, without its folder.
fn program(fs: &RootedFs, pid: u32) -> Option<String> {
    let line = fs.read(format!("/proc/{pid}/cmdline")).ok()?;
    let first = line.split('\0').next()?;
    first.rsplit('/').next().map(str::to_owned)
}

fn why(error: &io::Error) -> Why {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such process any more, or this user may not see it".into(),
        io::ErrorKind::PermissionDenied => "not permitted".into(),
        // The process ended between opening and reading (ESRCH).
        _ => Why::new(error.to_string()),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests write a tree of their own")]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_whole_and_harmless() {
        let root = tempfile::tempdir().unwrap();
        let process = |pid: u32, comm: &str, line: &str| {
            let folder = root.path().join(format!("proc/{pid}"));
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("comm"), comm).unwrap();
            std::fs::write(folder.join("cmdline"), line).unwrap();
        };
        process(1, "ollama\n", "/usr/bin/ollama\0serve\0");
        process(2, "VLLM::EngineCor\n", "VLLM::EngineCore\0\0\0");
        process(3, "text-generation\n", "/opt/tgi/text-generation-router\0--port\0");
        process(4, "exactly15bytes!\n", "/usr/bin/python3\0-m\0x\0");
        process(5, "a\u{1b}[31mb\u{202e}c\n", "");
        let fs = RootedFs::new(root.path());
        let names: Vec<_> = (1..=5).map(|pid| name_of(&fs, pid)).collect();
        let expected = ["ollama", "VLLM::EngineCore", "text-generation-router", "exactly15bytes!", "abc"];
        assert_eq!(names, expected.map(|name| Reading::Known(name.to_owned())));
        assert!(name_of(&fs, 6).why().is_some());
    }

    #[test]
    fn a_shell_with_job_control_is_told_from_whoever_else_started_it() {
        let root = tempfile::tempdir().unwrap();
        let zeros = vec!["0"; 46].join(" ");
        let process = |pid: u32, parent: u32, group: u32, session: u32| {
            let folder = root.path().join(format!("proc/{pid}"));
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("stat"), format!("{pid} (a) S {parent} {group} {session} {zeros}\n")).unwrap();
        };
        process(10, 1, 10, 10);
        process(11, 10, 11, 10);
        process(12, 10, 10, 10);
        process(13, 10, 13, 13);
        // Below a process whose session began outside this PID namespace, as in one made by `unshare`.
        process(20, 0, 0, 0);
        process(21, 20, 21, 21);
        process(22, 0, 22, 0);
        let fs = RootedFs::new(root.path());
        assert!(is_job(&fs, 11), "a job of a shell");
        assert!(!is_job(&fs, 12), "`sh -c` waits in the same group");
        assert!(!is_job(&fs, 13), "a session of its own");
        assert!(!is_job(&fs, 21) && !is_job(&fs, 22), "nobody in this namespace waits for it");
        assert!(!is_job(&fs, 30), "there is no such process");
    }

    #[test]
    fn parents_are_followed_as_far_as_they_are_told_and_no_further() {
        let root = tempfile::tempdir().unwrap();
        let zeros = vec!["0"; 48].join(" ");
        let process = |pid: u32, parent: u32| {
            let folder = root.path().join(format!("proc/{pid}"));
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("stat"), format!("{pid} (a) b) S {parent} {zeros}\n")).unwrap();
        };
        process(1, 0);
        for pid in 10..30 {
            process(pid, pid + 1);
        }
        process(40, 41);
        process(41, 1);
        process(50, 51);
        process(60, 60);
        let fs = RootedFs::new(root.path());
        assert_eq!(parents_of(&fs, 10, 8), (11..19).collect::<Vec<_>>());
        assert_eq!(parents_of(&fs, 40, 8), [41]);
        assert_eq!(parents_of(&fs, 50, 8), [51], "the one above it cannot be read");
        assert_eq!(parents_of(&fs, 60, 8).len(), 8, "a line that leads back to itself ends");
        assert_eq!(parents_of(&fs, 70, 8), [0_u32; 0]);
    }
}
