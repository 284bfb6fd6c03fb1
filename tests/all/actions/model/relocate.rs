//! Files and folders of models that move to another place: on real file systems, killed at every step, on a full disk.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::killed::killed;
use crate::actions::interrupted::journal;
use crate::actions::{planned, run};
use crate::bed::{self, Home};

/// A folder `old` with a model in a folder, `m`, and in a file that has an alias; and an empty folder `new`.
struct Disks {
    home: Home,
}

impl Disks {
    fn new() -> Self {
        let disks = Self { home: Home::new() };
        fs::create_dir_all(disks.path("old/m")).unwrap();
        fs::create_dir_all(disks.path("new")).unwrap();
        fs::write(disks.path("old/m/model.safetensors"), vec![1; 3 << 20]).unwrap();
        fs::write(disks.path("old/m/config.json"), "{}").unwrap();
        fs::write(disks.path("old/one.gguf"), vec![2; 2 << 20]).unwrap();
        symlink("one.gguf", disks.path("old/chat.gguf")).unwrap();
        disks
    }

    fn path(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }

    /// What moves this, and the arguments after that.
    fn args(&self, name: &str) -> Vec<String> {
        let path = |path: &str| self.path(path).display().to_string();
        vec!["model.move".to_owned(), path(&format!("old/{name}")), "--to".to_owned(), path("new")]
    }

    #[track_caller]
    fn moved(&self, name: &str) -> Value {
        let args = self.args(name);
        let (_, done) = run(&self.home, &args.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(done["outcome"], "succeeded", "{done}");
        done
    }

    #[track_caller]
    fn plan(&self, name: &str) -> Value {
        let args = self.args(name);
        planned(&self.home, &args.iter().map(String::as_str).collect::<Vec<_>>())["plan"].clone()
    }

    #[track_caller]
    fn refused(&self, name: &str, why: &str) {
        let args = self.args(name);
        let args: Vec<&str> = ["run"].into_iter().chain(args.iter().map(String::as_str)).chain(["--yes"]).collect();
        self.home.run(&args).refused(4, why);
    }

    /// The names in a folder.
    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The model in the folder is whole by its old path.
    #[track_caller]
    fn whole(&self, when: &str) {
        let bytes = fs::read(self.path("old/m/model.safetensors")).unwrap_or_else(|error| panic!("{when}: {error}"));
        assert!(bytes.len() == 3 << 20 && bytes.iter().all(|byte| *byte == 1), "{when}");
        assert_eq!(fs::read_to_string(self.path("old/m/config.json")).unwrap(), "{}", "{when}");
    }

    /// Everything is as it was at first.
    #[track_caller]
    fn untouched(&self, when: &str) {
        self.whole(when);
        assert!(!self.path("old/m").is_symlink(), "{when}");
        assert_eq!((self.names("old"), self.names("new").len()), (names(&["chat.gguf", "m", "one.gguf"]), 0), "{when}");
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_folder_and_a_file_move_and_come_back() {
    let disks = Disks::new();
    let done = disks.moved("m");
    assert!(done["text"].as_str().unwrap().contains("freed 3.0 MiB, as planned"), "{done}");
    assert_eq!(fs::read_link(disks.path("old/m")).unwrap(), disks.path("new/m"));
    disks.whole("it has moved");
    assert_eq!((disks.names("old"), disks.names("new")), (names(&["chat.gguf", "m", "one.gguf"]), names(&["m"])));
    disks.refused("m", "is a link");

    let of_file = disks.moved("one.gguf");
    assert!(disks.path("old/one.gguf").is_symlink());
    assert_eq!(fs::read(disks.path("old/chat.gguf")).unwrap(), vec![2; 2 << 20], "its alias leads to it still");
    for run in [&of_file, &done] {
        let (code, back) = disks.home.json(&["undo", run["run"].as_str().unwrap(), "--json"]);
        assert_eq!((code, back["outcome"].as_str()), (0, Some("rolled-back")), "{back}");
    }
    disks.untouched("both came back");
}

#[test]
fn a_move_killed_at_any_step_is_taken_back_or_finished() {
    for (kind, step) in (0..3).flat_map(|step| [("began", step), ("finished", step)]) {
        let when = format!("{kind} {step}");
        let taken_back = Disks::new();
        let id = killed(&taken_back.home, &taken_back.plan("m"), kind, step);
        taken_back.whole(&when);
        let (code, back) = taken_back.home.json(&["undo", &id, "--json"]);
        assert_eq!((code, back["outcome"].as_str()), (0, Some("rolled-back")), "{when}: {back}");
        taken_back.untouched(&when);

        let finished = Disks::new();
        let id = killed(&finished.home, &finished.plan("m"), kind, step);
        if journal(&finished.home)["outcome"] == "died" {
            let (code, done) = finished.home.json(&["run", "--finish", &id, "--json"]);
            assert_eq!((code, done["outcome"].as_str()), (0, Some("succeeded")), "{when}: {done}");
        }
        finished.whole(&when);
        assert_eq!(finished.names("old"), names(&["chat.gguf", "m", "one.gguf"]), "{when}");
        assert_eq!(finished.names("new"), names(&["m"]), "{when}");
    }
}

#[test]
fn a_disk_that_fills_meanwhile_costs_nothing() {
    let disks = Disks::new();
    let new = disks.path("new");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(&new).status();
    if !mounted.is_ok_and(|status| status.success()) {
        return bed::left_out("only root can mount a small disk");
    }
    let plan = disks.plan("m");
    fs::File::create(new.join("filler")).unwrap().write_all(&vec![0; 7 << 20]).unwrap();
    let (mut worker, _) = crate::actions::interrupted::worker(&disks.home, &plan);
    worker.wait().unwrap();
    let ended = journal(&disks.home);
    fs::remove_file(new.join("filler")).unwrap();
    assert_eq!(ended["outcome"], "rolled-back", "{ended}");
    assert!(ended.to_string().contains("No space left on device"), "{ended}");
    disks.untouched("the disk was full");
    fs::write(new.join("filler"), vec![0; 7 << 20]).unwrap();
    disks.refused("m", "has no room: 3.0 MiB are needed");
    assert!(Command::new("umount").arg(&new).status().unwrap().success());
}

#[test]
fn what_a_store_knows_by_name_moves_as_a_whole() {
    let disks = Disks::new();
    let store = |path: &str| fs::create_dir_all(disks.path(path)).unwrap();
    store(".ollama/models/blobs");
    store(".ollama/models/manifests");
    let blob: &Path = &disks.path(".ollama/models/blobs/sha256-aa");
    fs::write(blob, "weights").unwrap();
    let (path, to) = (blob.display().to_string(), disks.path("new").display().to_string());
    disks.home.run(&["run", "model.move", &path, "--to", &to, "--yes"]).refused(4, "set OLLAMA_MODELS");
    disks.home.run(&["run", "model.move", "qwen3:32b", "--to", &to, "--yes"]).refused(4, "is no path");
    let home = disks.home.path().display().to_string();
    disks.home.run(&["run", "model.move", &home, "--to", &to, "--yes"]).refused(4, "set OLLAMA_MODELS");
    disks.home.run(&["run", "model.move", &path, "--yes"]).refused(4, "with --to the folder");
    symlink("../../elsewhere", disks.path("old/m/out")).unwrap();
    disks.refused("m", "leads out of what moves");
}
