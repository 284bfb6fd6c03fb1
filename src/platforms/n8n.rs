//! n8n: `/healthz/readiness` and Prometheus metrics (`n8n:packages/cli/src/abstract-server.ts`, `src/metrics`, 2.41).

use super::{PlatformSpec, Probe, Readings, Sum, liveness, metrics, readiness, version_in};
use crate::domain::{PlatformHealth, PlatformKind, Reading, RequestCounts, Why};
use crate::engines::prometheus;

pub(super) const SPEC: PlatformSpec = PlatformSpec {
    kind: PlatformKind::N8n,
    image: "n8n",
    port: 5678,
    path: READINESS,
    read: |probe| Box::pin(read(probe)),
};

/// 503 unless its database is connected and migrated.
const READINESS: &str = "/healthz/readiness";

/// All that versions without the other have.
const LIVENESS: &str = "/healthz";

/// By status and mode, since 2.41 and unless it is switched off.
const DURATIONS: &str = "n8n_workflow_execution_duration_seconds";

async fn read(probe: &mut Probe) -> Readings {
    let health = health(probe).await;
    let page = metrics(probe, "/metrics", "N8N_METRICS=true").await;
    let version = page.as_ref().map_err(Clone::clone).and_then(|page| {
        version_in(page, "n8n_version_info").ok_or_else(|| "its metrics do not tell its version".into())
    });
    let requests = page.and_then(|page| runs(&page));
    Readings { version: version.into(), health: health.into(), requests: Reading::from(requests) }
}

async fn health(probe: &mut Probe) -> Result<PlatformHealth, Why> {
    match readiness(probe, READINESS).await {
        Err(why) => liveness(probe, LIVENESS).await.map_err(|_| why),
        health => health,
    }
}

/// Runs of workflows by the first of three kinds of counters that is there. What somebody tries out in the editor is left
/// out where that is told.
fn runs(page: &str) -> Result<RequestCounts, Why> {
    let (mut durations, mut events, mut queue) = (None, None, None);
    for sample in prometheus::samples(page) {
        let sample = sample.map_err(|malformed| Why::new(malformed.to_string()))?;
        let (sum, failed) = match &*sample.name {
            name if name.strip_suffix("_count") == Some(DURATIONS) && sample.label("mode") != Some("manual") => {
                (&mut durations, sample.label("status") == Some("failed"))
            }
            "n8n_workflow_success_total" => (&mut events, false),
            "n8n_workflow_failed_total" => (&mut events, true),
            "n8n_scaling_mode_queue_jobs_completed" => (&mut queue, false),
            "n8n_scaling_mode_queue_jobs_failed" => (&mut queue, true),
            _ => continue,
        };
        sum.get_or_insert_with(Sum::default).add(sample.value, failed);
    }
    // A histogram has no series before its first observation, but its heading is there.
    let none_yet = || page.contains(&format!("# TYPE {DURATIONS} ")).then(Sum::default);
    let sum = durations.or(events).or(queue).or_else(none_yet);
    sum.ok_or_else(|| Why::from(OFF))?.counts()
}

/// Events of before 2.41 are counted from the first one on, and only where that was switched on.
const OFF: &str = "it has counted no workflow runs: none has ended yet, or it was started without \
     N8N_METRICS_INCLUDE_MESSAGE_EVENT_BUS_METRICS=true";

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(page: &str) -> (u64, u64) {
        let counts = runs(page).unwrap();
        (counts.total, counts.failed)
    }

    #[test]
    fn events_are_counted() {
        assert_eq!(counts("n8n_workflow_success_total 40\nn8n_workflow_failed_total 2\n"), (42, 2));
        assert_eq!(
            counts(
                "n8n_workflow_success_total{workflow_id=\"a\"} 3\nn8n_workflow_success_total{workflow_id=\"b\"} 4\n"
            ),
            (7, 0)
        );
        assert_eq!(counts("n8n_workflow_failed_total 1\n"), (1, 1));
    }

    #[test]
    fn a_histogram_tells_more_and_goes_first() {
        let page = "# TYPE n8n_workflow_execution_duration_seconds histogram\n";
        assert_eq!(counts(page), (0, 0));
        let name = "n8n_workflow_execution_duration_seconds_count";
        let page = format!(
            "{page}{name}{{status=\"success\",mode=\"webhook\"}} 10\n{name}{{status=\"failed\",mode=\"trigger\"}} 5\n\
             {name}{{status=\"failed\",mode=\"manual\"}} 100\nn8n_workflow_success_total 1\n"
        );
        assert_eq!(counts(&page), (15, 5));
    }

    #[test]
    fn jobs_of_the_queue_are_counted_where_nothing_else_is() {
        let page = "n8n_scaling_mode_queue_jobs_completed 9\nn8n_scaling_mode_queue_jobs_failed 1\n";
        assert_eq!(counts(page), (10, 1));
        assert_eq!(counts(&format!("{page}n8n_workflow_success_total 3\n")), (3, 0));
    }

    #[test]
    fn what_is_not_counted_is_no_zero() {
        assert_eq!(runs("n8n_active_workflow_count 0\n"), Err(OFF.into()));
        assert_eq!(runs("n8n_workflow_failed_total NaN\n"), Err("it counts no number".into()));
        assert_eq!(runs("n8n_workflow_failed_total -1\n"), Err("it counts no number".into()));
        let why = runs("n8n_workflow_failed_total 1\n<html>\n").unwrap_err();
        assert!(why.to_string().starts_with("its metrics cannot be read: line 2"), "{why}");
    }
}
