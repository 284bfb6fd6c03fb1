//! A real Alertmanager, Debian's, that tells a webhook of the test.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::exchange::exchange;
use super::{DEADLINE, free_port, part, wait_until};

/// An Alertmanager that is ready; dropping it ends it.
pub(crate) struct Alertmanager {
    process: Child,
    address: SocketAddr,
    /// Holds its data and its output.
    folder: TempDir,
}

/// Starts one that groups by project, waits for a second, and tells the webhook at this address. `None`, noted as left out,
/// where `tests/run` could not provide it.
#[track_caller]
pub(crate) fn alertmanager(webhook: SocketAddr) -> Option<Alertmanager> {
    let program = part("HOSTLER_TEST_ALERTMANAGER", "Alertmanager")?;
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "route: {{receiver: test, group_by: [project], group_wait: 1s, group_interval: 1s}}\n\
         receivers: [{{name: test, webhook_configs: [{{url: 'http://{webhook}/told'}}]}}]\n"
    );
    fs::write(folder.path().join("config.yml"), config).unwrap();
    let output = File::create(folder.path().join("output")).unwrap();
    let address: SocketAddr = (Ipv4Addr::LOCALHOST, free_port()).into();
    let process = Command::new(program)
        .current_dir(folder.path())
        .args(["--config.file=config.yml", "--storage.path=data", "--cluster.listen-address="])
        .arg(format!("--web.listen-address={address}"))
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap();
    let mut server = Alertmanager { process, address, folder };
    wait_until(DEADLINE, "Alertmanager is ready", || {
        if let Some(status) = server.process.try_wait().unwrap() {
            panic!("Alertmanager ended ({status}): {}", server.output());
        }
        matches!(exchange(address, "GET", "/-/ready", b""), Ok((200, _))).then_some(())
    });
    Some(server)
}

impl Alertmanager {
    /// Where it listens, as the start of a URL.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What its API v2 says at this path.
    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, body) = exchange(self.address, "GET", &format!("/api/v2/{path}"), b"").unwrap();
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// What it has written.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(self.folder.path().join("output")).unwrap_or_default()
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        // It may have ended; and a drop must not panic.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
