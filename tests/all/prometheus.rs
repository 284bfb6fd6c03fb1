//! The whole path with real parts: the recorder is asked by Prometheus, tells Alertmanager, and what Prometheus kept is what
//! hostler kept. All of it in a network of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hostler::history::StateDir;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::bed::{self, Ended, Home, wait_until};

/// Long enough for a whole minute to be recorded, twice over on a busy machine.
const PATIENCE: Duration = Duration::from_mins(4);

/// Programs in the network of the first of them; all end with it.
struct Net {
    home: Home,
    recorder: Child,
    others: Vec<Child>,
}

impl Drop for Net {
    fn drop(&mut self) {
        for child in self.others.iter_mut().chain([&mut self.recorder]) {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

impl Net {
    /// A recorder with this config, which tells Prometheus what it measures.
    fn new(config: &str) -> Option<Self> {
        let home = Home::with(config).alone();
        let state = home.state();
        let mut command = home.command(&["record", "--listen", "--state-dir", state.to_str().unwrap()]);
        let recorder = command.stderr(Stdio::null()).spawn().unwrap();
        wait_until(bed::DEADLINE, "the recorder to hold its lock", || {
            StateDir::choose(Some(&state)).has_recorder().then_some(())
        });
        let net = Self { home, recorder, others: Vec::new() };
        let up = net.enter(Path::new("ip")).args(["link", "set", "lo", "up"]).status();
        if !up.is_ok_and(|status| status.success()) {
            bed::left_out("the network of another process cannot be entered here");
            return None;
        }
        Some(net)
    }

    /// A program in this network.
    fn enter(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--target", &self.recorder.id().to_string(), "--"]).arg(program);
        command
    }

    fn start(&mut self, program: &Path, args: &[String]) {
        let child = self.enter(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        self.others.push(child);
    }

    /// What is at this address of the network; `None` while nothing answers.
    fn get(&self, port: u16, path: &str) -> Option<Value> {
        let request = format!(
            "exec 3<>/dev/tcp/127.0.0.1/{port} && printf 'GET {path} HTTP/1.0\\r\\nHost: a\\r\\n\\r\\n' >&3 && cat <&3"
        );
        let output = self.enter(Path::new("bash")).args(["-c", &request]).stderr(Stdio::null()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        serde_json::from_str(text.split_once("\r\n\r\n")?.1).ok()
    }

    /// The alerts that Alertmanager has, by name and subject.
    fn alerts(&self) -> Option<Vec<String>> {
        let alerts = self.get(9093, "/api/v2/alerts?active=true")?;
        let word = |alert: &Value, label: &str| alert["labels"][label].as_str().unwrap_or_default().to_owned();
        let told = alerts.as_array()?.iter();
        Some(told.map(|alert| format!("{} {}", word(alert, "alertname"), word(alert, "subject"))).collect())
    }

    /// A series by the minute, as `hostler history` tells it with this config; `None` while nothing is recorded.
    fn history(&self, config: &Path, series: &str) -> Option<Vec<(String, f64)>> {
        let state = self.home.state();
        let command = self.home.command(&[
            "history",
            series,
            "--since",
            "10m",
            "--step",
            "1m",
            "--json",
            "--config",
            config.to_str().unwrap(),
            "--state-dir",
            state.to_str().unwrap(),
        ]);
        let hostler = bed::hostler();
        let mut entered = self.enter(&hostler);
        entered.args(command.get_args().skip_while(|word| Path::new(word) != hostler.as_path()).skip(1));
        entered.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let ended = Ended::of(&mut entered);
        if ended.code != 0 {
            assert!(ended.err.contains("recorded"), "{}", ended.err);
            return None;
        }
        let lines = ended.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let at = |line: &Value| line["at"].as_str().unwrap().to_owned();
        Some(lines.map(|line| (at(&line), line["mean"].as_f64().unwrap())).collect())
    }
}

fn config(free: &str) -> String {
    format!(
        "[thresholds]\ndisk_free_warning = \"{free}\"\ndisk_free_critical = \"0%\"\n\
         [alerts]\ngroup_wait = \"0s\"\nsettle = \"0s\"\n\
         [[alerts.to]]\nkind = \"alertmanager\"\nurl = \"http://127.0.0.1:9093\"\n"
    )
}

fn part(variable: &str, what: &str) -> Option<PathBuf> {
    bed::part(variable, what)
}

#[test]
fn an_alert_fires_is_grouped_and_clears_and_prometheus_keeps_what_hostler_keeps() {
    let Some(prometheus) = part("HOSTLER_TEST_PROMETHEUS", "Prometheus") else { return };
    let Some(alertmanager) = part("HOSTLER_TEST_ALERTMANAGER", "Alertmanager") else { return };
    // Every disk has less than all of it free.
    let Some(mut net) = Net::new(&config("100%")) else { return };
    let folder = net.home.path().to_owned();
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/prometheus-rules.yml");
    let of_alertmanager = write(
        "alertmanager.yml",
        "route:\n  receiver: nobody\n  group_by: [alertname]\n  group_wait: 1s\nreceivers:\n  - name: nobody\n",
    );
    let of_prometheus = write(
        "prometheus.yml",
        &format!(
            "global: {{scrape_interval: 5s, evaluation_interval: 5s}}\nrule_files: [{}]\n\
             scrape_configs:\n  - job_name: hostler\n    static_configs: [{{targets: ['127.0.0.1:9709']}}]\n",
            rules.display()
        ),
    );
    net.start(
        &alertmanager,
        &[
            format!("--config.file={of_alertmanager}"),
            format!("--storage.path={}", folder.join("alertmanager").display()),
            "--web.listen-address=127.0.0.1:9093".to_owned(),
            "--cluster.listen-address=".to_owned(),
        ],
    );
    net.start(
        &prometheus,
        &[
            format!("--config.file={of_prometheus}"),
            format!("--storage.tsdb.path={}", folder.join("prometheus").display()),
            "--web.listen-address=127.0.0.1:9090".to_owned(),
        ],
    );
    let fired = |net: &Net| net.alerts()?.iter().any(|alert| alert.starts_with("disk.free ")).then_some(());
    wait_until(PATIENCE, "the finding to reach Alertmanager", || fired(&net));
    let groups = net.get(9093, "/api/v2/alerts/groups").unwrap();
    let group = groups.as_array().unwrap().iter().find(|group| group["labels"]["alertname"] == "disk.free");
    assert!(group.is_some_and(|group| !group["alerts"].as_array().unwrap().is_empty()), "{groups}");
    // The rules of the repository tell Prometheus the same.
    let pending = |net: &Net| {
        let alerts = net.get(9090, "/api/v1/alerts")?;
        let alerts = alerts["data"]["alerts"].as_array()?.clone();
        alerts.iter().any(|alert| alert["labels"]["alertname"] == "HostlerFinding").then_some(())
    };
    wait_until(PATIENCE, "Prometheus to see the finding", || pending(&net));

    // Two whole minutes that both have seen.
    let local = net.home.config();
    let with_prometheus = folder.join("with-prometheus.toml");
    fs::write(&with_prometheus, "[history]\nprometheus = \"http://127.0.0.1:9090\"\n").unwrap();
    let both = |net: &Net, series: &str| {
        let (own, others) = (net.history(&local, series)?, net.history(&with_prometheus, series)?);
        // Neither the minute in which one of them began nor the one that goes on.
        let whole = |rows: &[(String, f64)]| rows.get(1..rows.len().max(2) - 1).unwrap_or_default().to_vec();
        let (own, others) = (whole(&own), whole(&others));
        let same = own.iter().filter_map(|(at, mean)| {
            let other = others.iter().find(|(of, _)| of == at)?.1;
            Some((*mean, other))
        });
        let same: Vec<(f64, f64)> = same.collect();
        (!same.is_empty()).then_some(same)
    };
    for series in ["memory_used_bytes", "disk_free_ratio{mount=\"/\"}"] {
        for (own, other) in wait_until(PATIENCE, "a minute that both have seen", || both(&net, series)) {
            assert!((own - other).abs() <= own * 0.02, "{series}: {own} and {other}");
        }
    }

    fs::write(net.home.config(), config("0%")).unwrap();
    kill_process(Pid::from_child(&net.recorder), Signal::HUP).unwrap();
    wait_until(PATIENCE, "Alertmanager to hear that it is over", || {
        net.alerts()?.iter().all(|alert| !alert.starts_with("disk.free ")).then_some(())
    });
}
