//! Langfuse: `/api/public/health` of its web container (`langfuse:web/src/pages/api/public/health.ts`, 4.16).

use serde::Deserialize;

use super::{PlatformSpec, Probe, Readings, readiness};
use crate::domain::{PlatformKind, Reading, Why};
use crate::host::foreign;

pub(super) const SPEC: PlatformSpec = PlatformSpec {
    kind: PlatformKind::Langfuse,
    image: "langfuse",
    port: 3000,
    path: HEALTH,
    read: |probe| Box::pin(read(probe)),
};

/// Newer versions look after the database only where that is asked for.
const HEALTH: &str = "/api/public/health?failIfDatabaseUnavailable=true";

#[derive(Deserialize)]
struct Health {
    version: String,
}

async fn read(probe: &mut Probe) -> Readings {
    Readings {
        health: readiness(probe, HEALTH).await.into(),
        version: version(probe).await.into(),
        requests: Reading::Unavailable("it has no metrics that can be asked for".into()),
    }
}

/// It is told with a failure too.
async fn version(probe: &mut Probe) -> Result<String, Why> {
    let answer = probe.get(HEALTH).await.map_err(|error| Why::new(error.to_string()))?;
    answer.json::<Health>().map(|it| foreign::name(&it.version)).map_err(|error| Why::new(error.to_string()))
}
