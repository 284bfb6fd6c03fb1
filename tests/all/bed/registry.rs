//! A real registry of images: Debian's `docker-registry`, with an empty store of its own.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bollard::query_parameters::{PushImageOptionsBuilder, RemoveImageOptionsBuilder, TagImageOptionsBuilder};
use futures_util::StreamExt as _;
use tempfile::TempDir;

use super::{DEADLINE, Engine, part, wait_until};

/// A registry that listens; dropping it ends it, with everything in it.
pub(crate) struct Registry {
    process: Child,
    address: SocketAddr,
    folder: TempDir,
}

/// Starts a registry on a free loopback port. `None`, noted as left out, where there is none.
#[track_caller]
pub(crate) fn registry() -> Option<Registry> {
    registry_with("127.0.0.1", "")
}

/// Starts a registry on a free port of this address, with these lines below `http:` in its config.
#[track_caller]
pub(crate) fn registry_with(host: &str, http: &str) -> Option<Registry> {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    start(host, http, folder, &store)
}

#[track_caller]
fn start(host: &str, http: &str, folder: TempDir, store: &Path) -> Option<Registry> {
    let program = part("HOSTLER_TEST_REGISTRY", "docker-registry")?;
    // Free a moment ago; in the bed's own network nobody else asks for one.
    let address = TcpListener::bind((host, 0)).unwrap().local_addr().unwrap();
    let config = format!(
        "version: 0.1\nlog: {{level: warn}}\n\
         storage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\nhttp:\n  addr: {address}\n{http}",
        store.display()
    );
    fs::write(folder.path().join("config.yml"), config).unwrap();
    let output = File::create(folder.path().join("output")).unwrap();
    let process = Command::new(program)
        .arg("serve")
        .arg(folder.path().join("config.yml"))
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap();
    let mut registry = Registry { process, address, folder };
    wait_until(DEADLINE, "the registry listens", || {
        if let Some(status) = registry.process.try_wait().unwrap() {
            panic!("docker-registry ended ({status}): {}", registry.output());
        }
        TcpStream::connect(address).ok().map(drop)
    });
    Some(registry)
}

impl Registry {
    /// Host and port, as references begin with them.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// Another registry with the same images, which gives them to `ada` alone, whose password is `tell-nobody`.
    #[track_caller]
    pub(crate) fn guarded(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let users = folder.path().join("users");
        fs::write(&users, "ada:$2y$04$S787kOGQWO5oGIdqIGR8GO9237n4ZrJ5rYjETsfOowfX3J3FybSXq\n").unwrap();
        let auth = format!("auth: {{htpasswd: {{realm: bed, path: {}}}}}\n", users.display());
        let guarded = start("127.0.0.1", &auth, folder, &self.folder.path().join("store"));
        guarded.expect("there is a registry already")
    }

    /// A reference to something in it: `127.0.0.1:…/REPOSITORY:TAG`.
    pub(crate) fn reference(&self, repository: &str, tag: &str) -> String {
        format!("{}/{repository}:{tag}", self.address)
    }

    /// Pushes an image of the tests, told from all others by `version`, and returns the digest that the registry gave it.
    /// The engine keeps the image under the reference.
    #[track_caller]
    pub(crate) fn push(&self, engine: &Engine, repository: &str, tag: &str, version: &str) -> String {
        self.push_changed(engine, repository, tag, version, &[])
    }

    /// The same with instructions of a Dockerfile, such as `CMD …`.
    #[track_caller]
    pub(crate) fn push_changed(
        &self,
        engine: &Engine,
        repository: &str,
        tag: &str,
        version: &str,
        instructions: &[&str],
    ) -> String {
        engine.import_changed(&format!("{}/{repository}", self.address), tag, version, instructions);
        self.push_image(engine, repository, tag)
    }

    /// Pushes what the engine has under the reference.
    #[track_caller]
    pub(crate) fn push_image(&self, engine: &Engine, repository: &str, tag: &str) -> String {
        let name = format!("{}/{repository}", self.address);
        engine.block_on(async {
            let options = PushImageOptionsBuilder::new().tag(tag).build();
            let mut progress = std::pin::pin!(engine.docker().push_image(&name, Some(options), None));
            while let Some(step) = progress.next().await {
                let step = step.unwrap_or_else(|error| panic!("pushing {name}:{tag}: {error}"));
                assert!(step.error_detail.is_none(), "pushing {name}:{tag}: {step:?}");
            }
        });
        self.digest(repository, tag)
    }

    /// Gives something that is in it one more tag, as quickly as that can be done.
    #[track_caller]
    pub(crate) fn copy(&self, repository: &str, from: &str, to: &str) {
        let kind = "application/vnd.docker.distribution.manifest.v2+json";
        let path = format!("/v2/{repository}/manifests");
        let (status, _, manifest) = self.request("GET", &format!("{path}/{from}"), &format!("Accept: {kind}\r\n"), "");
        assert_eq!(status, 200, "{manifest}");
        let (status, _, why) =
            self.request("PUT", &format!("{path}/{to}"), &format!("Content-Type: {kind}\r\n"), &manifest);
        assert_eq!(status, 201, "{why}");
    }

    /// Takes away what a tag names.
    #[track_caller]
    pub(crate) fn delete(&self, repository: &str, tag: &str) {
        let digest = self.digest(repository, tag);
        let (status, _, why) = self.request("DELETE", &format!("/v2/{repository}/manifests/{digest}"), "", "");
        assert_eq!(status, 202, "{why}");
    }

    /// Loses everything that was pushed.
    pub(crate) fn delete_all(&self) {
        fs::remove_dir_all(self.folder.path().join("store")).unwrap();
    }

    /// The digest behind a tag, asked for as it must be.
    #[track_caller]
    pub(crate) fn digest(&self, repository: &str, tag: &str) -> String {
        self.digest_with(repository, tag, "Accept: application/vnd.docker.distribution.manifest.v2+json\r\n")
    }

    /// The digest behind a tag that an answer to these headers tells.
    #[track_caller]
    pub(crate) fn digest_with(&self, repository: &str, tag: &str, headers: &str) -> String {
        let (status, head, body) = self.request("GET", &format!("/v2/{repository}/manifests/{tag}"), headers, "");
        assert_eq!(status, 200, "{body}");
        let digest = head.lines().find_map(|line| line.strip_prefix("Docker-Content-Digest: "));
        digest.expect("the registry tells the digest").trim().to_owned()
    }

    /// Status, head and body of an answer.
    #[track_caller]
    fn request(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String, String) {
        let mut connection = TcpStream::connect(self.address).unwrap();
        connection.set_read_timeout(Some(DEADLINE)).unwrap();
        let length = body.len();
        let host = self.address;
        write!(
            connection,
            "{method} {path} HTTP/1.0\r\nHost: {host}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        (status.unwrap_or_else(|| panic!("no HTTP answer: {answer:?}")), head.to_owned(), body.to_owned())
    }

    fn output(&self) -> String {
        fs::read_to_string(self.folder.path().join("output")).unwrap_or_default()
    }
}

impl Engine {
    /// The digests under which the engine has an image.
    #[track_caller]
    pub(crate) fn digests_of(&self, reference: &str) -> Vec<String> {
        let image = self.block_on(self.docker().inspect_image(reference)).unwrap();
        image.repo_digests.unwrap_or_default()
    }

    /// Gives an image one more name.
    #[track_caller]
    pub(crate) fn tag(&self, image: &str, repository: &str, tag: &str) {
        let options = TagImageOptionsBuilder::new().repo(repository).tag(tag).build();
        self.block_on(self.docker().tag_image(image, Some(options))).unwrap();
    }

    /// Removes an image, as far as nobody uses it.
    pub(crate) fn forget_image(&self, reference: &str) {
        let options = RemoveImageOptionsBuilder::new().build();
        // It may be in use, or gone: then it goes with the bed.
        drop(self.block_on(self.docker().remove_image(reference, Some(options), None)));
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // Either fails only when the process has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
