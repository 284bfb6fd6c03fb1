//! `SGLang`: `/v1/models`, `/server_info` and, with `--enable-metrics`, Prometheus metrics.
//!
//! Its `/health` generates a token and is never asked for; `/get_server_info` writes a warning into its log each time
//! (`sglang/srt/entrypoints/http_server.py`, `sglang/srt/observability`, 0.5.23). With `--api-key` only health and metrics
//! stay open.

use serde::Deserialize;

use super::{
    Description, EngineSpec, Load, METRICS, NEEDS_KEY, Probe, is_closed, owner_of_models, prometheus,
    served_with_context,
};
use crate::domain::{EngineKind, Reading, Why};
use crate::host::foreign;

pub(super) const SPEC: EngineSpec = EngineSpec {
    kind: EngineKind::Sglang,
    fingerprint: |probe| Box::pin(fingerprint(probe)),
    describe: |probe| Box::pin(describe(probe)),
    load: |probe, _| Box::pin(load(probe)),
};

const INFO: &str = "/server_info";

/// What its series are called, all of them.
const PREFIX: &str = "sglang:";

#[derive(Deserialize)]
struct Info {
    version: String,
}

async fn fingerprint(probe: &mut Probe) -> bool {
    if owner_of_models(probe).await.as_deref() == Some("sglang") {
        return true;
    }
    is_closed(probe).await
        && matches!(probe.get(METRICS).await, Ok(answer) if answer.status == 200 && answer.text().contains(PREFIX))
}

async fn describe(probe: &mut Probe) -> Description {
    if is_closed(probe).await {
        return Description { version: Reading::Unavailable(NEEDS_KEY), models: Reading::Unavailable(NEEDS_KEY) };
    }
    let version = probe.json(INFO).await.map(|Info { version }| foreign::name(&version));
    Description { version: version.into(), models: served_with_context(probe).await.into() }
}

async fn load(probe: &mut Probe) -> Result<Load, Why> {
    if matches!(probe.get(METRICS).await, Ok(answer) if answer.status == 404) {
        return Err(Why::from("started without --enable-metrics"));
    }
    let text = probe.text(METRICS).await?;
    let sum = |name| prometheus::sum(&text, name);
    Ok(Load { running: sum("sglang:num_running_reqs"), waiting: sum("sglang:num_queue_reqs") })
}
