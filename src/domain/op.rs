//! What a worker can do, one operation at a time: plain data that stands in a plan and in the run's file.
//!
//! Each operation names what it touches by id, and may be carried out again after a worker died in it: it looks what is
//! there, and does what is still missing. How each is done stands in `actions::ops`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ContainerId, DataPlace, ModelOp, RestartPolicy};

/// A container that a plan is about: what it was when the plan was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerRef {
    /// Its id.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
}

/// What is done to a container as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Verb {
    /// Starts it.
    Start,
    /// Asks it to end, and ends it when its time is over.
    Stop,
    /// Stop and start.
    Restart,
    /// Ends it at once.
    Kill,
    /// Freezes it.
    Pause,
    /// Lets it go on.
    Resume,
}

impl Verb {
    /// The word that the docker command uses, too, except for `resume` (`unpause`).
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// The docker command's word.
    pub fn command(self) -> &'static str {
        match self {
            Self::Resume => "unpause",
            other => other.word(),
        }
    }
}

/// How it is told that a container has come up well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum Probe {
    /// Its own health check.
    Healthcheck,
    /// A TCP port of this host that it publishes accepts connections, and it keeps running.
    Port {
        /// The host's port.
        port: u16,
    },
    /// It answers a GET on a port of this host with a status below 400, and it keeps running.
    Http {
        /// The host's port.
        port: u16,
        /// The path, beginning with `/`.
        path: String,
    },
    /// It keeps running.
    Running,
}

/// Which compose made a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComposeProgram {
    /// `docker compose`.
    Plugin,
    /// `docker-compose`.
    Standalone,
}

/// A service of a compose project, with the files that tell what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComposeService {
    /// The compose that knows it.
    pub program: ComposeProgram,
    /// The project's name.
    pub project: String,
    /// Its name in the project.
    pub service: String,
    /// The project's folder.
    pub folder: String,
    /// The compose files, in their order.
    pub files: Vec<String>,
    /// Files of variables; empty for the `.env` of the folder.
    pub env_files: Vec<String>,
}

/// A list of words that a container is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
pub enum WordList {
    /// Its entry point.
    Entrypoint,
    /// What follows that.
    Cmd,
    /// Its variables, each `NAME=value`.
    Env,
}

/// A word of a container that is another one in what is made like it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WordChange {
    /// The list in which it stands.
    pub list: WordList,
    /// Its place there, counted from 0.
    pub index: usize,
    /// What it says.
    pub from: String,
    /// What it will say.
    pub to: String,
}

/// A program of the operator's: no shell reads its words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnCommand {
    /// The program and its words, at least one.
    pub argv: Vec<String>,
    /// Variables beside those that hostler has itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Variables whose values stand in these files: the values themselves are never written down.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// Seconds that it may take.
    pub seconds: u64,
}

impl OwnCommand {
    /// The words as a shell would be given them.
    pub fn line(&self) -> String {
        command_line(&self.argv)
    }
}

/// Words as a shell would be given them.
pub fn command_line(words: &[String]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@,+%".contains(&byte);
    let quoted = |word: &String| {
        if !word.is_empty() && word.bytes().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub enum Op {
    /// Start, stop, restart, kill, pause, resume.
    Lifecycle {
        /// What.
        verb: Verb,
        /// Of which.
        container: ContainerRef,
        /// Seconds until a stop becomes a kill; `None` for the container's own.
        stop_seconds: Option<u32>,
    },
    /// Removes a container.
    RemoveContainer {
        /// Which.
        container: ContainerRef,
        /// With its anonymous volumes.
        volumes: bool,
    },
    /// Keeps the logs of containers that go, a file each, with the run.
    ArchiveLogs {
        /// Of which.
        containers: Vec<ContainerRef>,
    },
    /// Removes containers that are down. One that was started meanwhile stays.
    RemoveDown {
        /// Which, and when the last run of each ended (nothing for one that never ran).
        containers: Vec<(ContainerRef, Option<Timestamp>)>,
    },
    /// Removes images: first their names, then what nothing else holds. What is used meanwhile, or got another name, stays.
    RemoveImages {
        /// Ids, `sha256:…`, and the names that go with them.
        images: Vec<(String, Vec<String>)>,
    },
    /// Removes what builds left behind and nothing uses.
    RemoveBuildCache,
    /// Removes networks. What is used meanwhile stays.
    RemoveNetworks {
        /// Ids and names.
        networks: Vec<(String, String)>,
    },
    /// Removes volumes. What is used meanwhile stays.
    RemoveVolumes {
        /// Names.
        volumes: Vec<String>,
    },
    /// Gives an image a name under which it is kept for roll back.
    KeepImage {
        /// Its id.
        image: String,
        /// The container's name.
        container: String,
    },
    /// Pulls an image.
    Pull {
        /// The reference.
        reference: String,
    },
    /// Moves a reference to an image that is there.
    Tag {
        /// The image's id.
        image: String,
        /// The reference.
        reference: String,
    },
    /// Makes a container like another one from another image, under a name of its own. It does not run yet.
    Create {
        /// The one that it is like.
        like: ContainerRef,
        /// The reference of its image.
        image: String,
        /// The service whose hash its compose label gets, where the files were edited; `None` where the label stays.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        service: Option<ComposeService>,
        /// The word that is another one in it; `None` where all are as they are.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        word: Option<WordChange>,
    },
    /// Write a whole file of the machine.
    PutFile {
        /// Its path.
        path: String,
        /// The bytes in it now, so that what is read back of a run's file, which is stripped, is still these; null where it
        /// is not there.
        from: Option<Vec<u8>>,
        /// The bytes that shall be in it; null to remove it.
        to: Option<Vec<u8>>,
    },
    /// Make a folder that a group shares.
    MakeShared {
        /// Its path.
        path: String,
        /// The group's name.
        group: String,
    },
    /// Writes one line of a file anew; the whole old file is kept with the run.
    EditLine {
        /// The file, absolute.
        path: String,
        /// The line, counted from 1.
        line: usize,
        /// What it says, without its end.
        from: String,
        /// What it will say.
        to: String,
    },
    /// Copies a volume for a trial: as it is, while others may write to it.
    CopyVolume {
        /// Its name.
        volume: String,
        /// A container that mounts it.
        container: ContainerRef,
        /// Where.
        path: String,
    },
    /// Starts what stands for a container in a trial: on the copies that were made, in a network of the trial alone, without
    /// published ports.
    StartTrial {
        /// The container.
        like: ContainerRef,
        /// The reference of its image.
        image: String,
    },
    /// Removes all that a trial made, after the logs of its containers were kept with the run.
    EndTrial,
    /// Removes what [`Op::Create`] made.
    RemoveCreated {
        /// The one that it was like.
        like: ContainerRef,
    },
    /// Stops the old container and lets the one that [`Op::Create`] made take its name and place; the old one is kept.
    Swap {
        /// The old one.
        old: ContainerRef,
        /// Its restart policy.
        policy: RestartPolicy,
        /// It runs, and so must the new one.
        runs: bool,
    },
    /// Lets the old container take its name and place again. It does not run yet.
    SwapBack {
        /// The old one.
        old: ContainerRef,
        /// Its restart policy.
        policy: RestartPolicy,
    },
    /// Removes what was kept of old versions. What cannot be removed is told, and is no failure.
    LetGo {
        /// Old containers.
        containers: Vec<ContainerRef>,
        /// References under which their images are kept.
        references: Vec<String>,
        /// Runs whose backups go.
        runs: Vec<String>,
    },
    /// Keeps copies of files, and what the engine says of containers, with the run.
    KeepFiles {
        /// Files of this host, absolute.
        files: Vec<String>,
        /// The containers.
        containers: Vec<ContainerRef>,
    },
    /// Notes how the data is structured, so that it can be told later whether somebody migrated it.
    NoteStructure {
        /// Whose.
        places: Vec<DataPlace>,
    },
    /// Keeps a dump of a database, or an archive of a volume, with the run.
    BackUp {
        /// Of which.
        place: DataPlace,
    },
    /// Puts the data of [`Op::BackUp`] back, where it was migrated since.
    Restore {
        /// Which.
        place: DataPlace,
    },
    /// Runs a program of the operator's.
    Command {
        /// Which.
        command: OwnCommand,
    },
    /// Offers no update any more, or offers them again.
    Pin {
        /// For what: a container's name, or an image's repository.
        subject: String,
        /// Whether it is pinned afterwards.
        pinned: bool,
    },
    /// Passes versions over, or offers them again.
    Skip {
        /// For what: a container's name, or an image's repository.
        subject: String,
        /// Tags, and digests (`sha256:…`) of the tag that is used.
        versions: Vec<String>,
        /// Whether they are passed over afterwards.
        skipped: bool,
    },
    /// Waits until the container of this name has come up well.
    Gate {
        /// The container's name.
        name: String,
        /// How it is told.
        probe: Probe,
        /// Seconds that it may take.
        seconds: u64,
        /// Seconds that it must then stay well without a restart.
        steady: u64,
        /// The ports are its own, asked at its own address, rather than those of this host.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        inside: bool,
    },
    /// Has the inference server of the container of this name generate a few tokens.
    Generate {
        /// The container's name.
        name: String,
        /// The host's port.
        port: u16,
        /// Seconds that it may take.
        seconds: u64,
        /// The port is its own, asked at its own address, rather than one of this host.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        inside: bool,
    },
    /// Does something to a model; no container engine is asked.
    Model(ModelOp),
    /// Looks whether the container of this name sees as many GPUs as the one before.
    SeeGpus {
        /// The container's name.
        name: String,
        /// How many.
        count: usize,
    },
}

/// What must still be as it was when the plan was made; looked at before each step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "guard", rename_all = "kebab-case")]
pub enum Guard {
    /// The container of this name is still this one.
    Same {
        /// Which.
        container: ContainerRef,
    },
    /// No container uses the image.
    ImageUnused {
        /// The image's id.
        image: String,
    },
    /// No container uses the volume.
    VolumeUnused {
        /// Its name.
        volume: String,
    },
}
