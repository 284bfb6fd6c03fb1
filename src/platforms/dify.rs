//! Dify: `/health` of its API (`dify:api/extensions/ext_app_metrics.py`, 1.13). Workers and the scheduler have the same image
//! and listen nowhere.

use serde::Deserialize;

use super::{PlatformSpec, Probe, Readings, liveness};
use crate::domain::{PlatformKind, Reading};
use crate::host::foreign;

pub(super) const SPEC: PlatformSpec = PlatformSpec {
    kind: PlatformKind::Dify,
    image: "dify-api",
    port: 5001,
    path: HEALTH,
    read: |probe| Box::pin(read(probe)),
};

/// It says that the process lives, and asks neither its database nor Redis.
const HEALTH: &str = "/health";

#[derive(Deserialize)]
struct Health {
    version: String,
}

async fn read(probe: &mut Probe) -> Readings {
    Readings {
        health: liveness(probe, HEALTH).await.into(),
        version: probe.json::<Health>(HEALTH).await.map(|it| foreign::name(&it.version)).into(),
        requests: Reading::Unavailable("it has no metrics that can be asked for".into()),
    }
}
