//! Flowise: `/api/v1/ping` and Prometheus metrics (`Flowise:packages/server/src/metrics/Prometheus.ts`, 3.1).

use serde::Deserialize;

use super::{PlatformSpec, Probe, Readings, Sum, metrics};
use crate::domain::{PlatformHealth, PlatformKind, RequestCounts, Why};
use crate::engines::prometheus;
use crate::host::foreign;

pub(super) const SPEC: PlatformSpec = PlatformSpec {
    kind: PlatformKind::Flowise,
    image: "flowise",
    port: 3000,
    path: PING,
    read: |probe| Box::pin(read(probe)),
};

/// Answered before anything is asked of the database.
const PING: &str = "/api/v1/ping";
const VERSION: &str = "/api/v1/version";
/// Its own `http_requests_total` counts without labels.
const DURATIONS: &str = "http_request_duration_ms";

#[derive(Deserialize)]
struct Version {
    version: String,
}

async fn read(probe: &mut Probe) -> Readings {
    let health = health(probe).await;
    let version = probe.json::<Version>(VERSION).await.map(|it| foreign::name(&it.version));
    let page = metrics(probe, "/api/v1/metrics", "ENABLE_METRICS=true").await;
    let requests = page.and_then(|page| answered(&page));
    Readings { version: version.into(), health: health.into(), requests: requests.into() }
}

async fn health(probe: &mut Probe) -> Result<PlatformHealth, Why> {
    match probe.text(PING).await?.trim() {
        "pong" => Ok(PlatformHealth::Answering),
        _ => Err(Why::new(format!("{PING}: the answer is not understood"))),
    }
}

/// Requests by their status; those that hostler makes are left out.
fn answered(page: &str) -> Result<RequestCounts, Why> {
    let mut sum = page.contains(&format!("# TYPE {DURATIONS} ")).then(Sum::default);
    for sample in prometheus::samples(page) {
        let sample = sample.map_err(|malformed| Why::new(malformed.to_string()))?;
        let ours = sample.label("route").is_some_and(|route| [PING, VERSION].contains(&route));
        if sample.name.strip_suffix("_count") == Some(DURATIONS) && !ours {
            let failed = sample.label("code").is_some_and(|code| code.starts_with('5'));
            sum.get_or_insert_default().add(sample.value, failed);
        }
    }
    sum.ok_or_else(|| Why::new(format!("it does not tell {DURATIONS}")))?.counts()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_those_of_the_server() {
        let count = |route: &str, code: &str, count: u32| {
            format!(
                "http_request_duration_ms_count{{method=\"POST\",route=\"{route}\",code=\"{code}\",app=\"FlowiseAI\"}} {count}\n"
            )
        };
        let page = count("/api/v1/prediction/a", "200", 90)
            + &count("/api/v1/prediction/a", "500", 4)
            + &count("/api/v1/prediction/b", "404", 6)
            + &count("/api/v1/ping", "200", 1000);
        assert_eq!(answered(&page), Ok(RequestCounts { total: 100, failed: 4 }));
    }

    #[test]
    fn what_is_not_counted_is_no_zero() {
        let none_yet = "# TYPE http_request_duration_ms histogram\n";
        assert_eq!(answered(none_yet), Ok(RequestCounts::default()));
        assert_eq!(answered("http_requests_total 4\n"), Err("it does not tell http_request_duration_ms".into()));
        let page = "http_request_duration_ms_count{code=\"200\"} NaN\n";
        assert_eq!(answered(page), Err("it counts no number".into()));
    }
}
