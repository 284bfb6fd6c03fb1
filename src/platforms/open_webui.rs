//! Open `WebUI`: `/ready`, before it was there `/health/db` (`open_webui/main.py`, 0.12).

use serde::Deserialize;

use super::{PlatformSpec, Probe, Readings, readiness};
use crate::domain::{PlatformHealth, PlatformKind, Reading, Why};
use crate::host::foreign;

pub(super) const SPEC: PlatformSpec = PlatformSpec {
    kind: PlatformKind::OpenWebui,
    image: "open-webui",
    port: 8080,
    path: READY,
    read: |probe| Box::pin(read(probe)),
};

/// 503 until it has started, and while its database or its Redis does not answer. Older versions serve their screen here.
const READY: &str = "/ready";
const DATABASE: &str = "/health/db";

#[derive(Deserialize)]
struct Version {
    version: String,
}

async fn read(probe: &mut Probe) -> Readings {
    Readings {
        health: health(probe).await.into(),
        version: probe.json::<Version>("/api/version").await.map(|it| foreign::name(&it.version)).into(),
        requests: Reading::Unavailable("it has no metrics that can be asked for".into()),
    }
}

async fn health(probe: &mut Probe) -> Result<PlatformHealth, Why> {
    match readiness(probe, READY).await {
        Err(why) => readiness(probe, DATABASE).await.map_err(|_| why),
        health => health,
    }
}
