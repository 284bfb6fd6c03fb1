//! NVIDIA cards, their driver, their processes, and the Xid events that the driver reports.
//!
//! The reading itself happens on the lane of the driver's library, because any call may hang in the driver. A call that
//! was given up keeps what is known of the cards: once it comes back, the next reading goes on from there.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;

use super::{Read, Source, SourceContext, SourceSpec};
use crate::domain::{Failure, GpuSample, Sample, SourceId};
use crate::host::{Nvidia, NvmlLibrary, Reader};

pub(super) const SPEC: SourceSpec = SourceSpec {
    id: SourceId::Gpu,
    interval: None,
    heavy: false,
    timeout: Duration::from_secs(3),
    build: |context| Box::new(Gpu::new(context)),
};

struct Gpu {
    /// Locked only on the lane, one reading at a time.
    reader: Reader<Arc<Mutex<Nvidia>>>,
}

impl Gpu {
    fn new(context: &SourceContext) -> Self {
        let nvidia = Arc::new(Mutex::new(Nvidia::new(
            NvmlLibrary::choose(context.settings.nvml_library.as_deref()),
            context.ports.fs.clone(),
            context.ports.clock,
            context.events.clone(),
        )));
        Self { reader: context.ports.nvml.reader(move || Arc::clone(&nvidia)) }
    }
}

impl Source for Gpu {
    fn poll(&mut self) -> LocalBoxFuture<'_, Result<Read, Failure>> {
        Box::pin(async move {
            let sample = self
                .reader
                .read(|nvidia| nvidia.lock().unwrap_or_else(PoisonError::into_inner).read())
                .await
                .map_err(|why| Failure::failed(format!("NVIDIA driver: {why}")))??;
            Ok(Read { detail: detail(&sample), sample: Sample::Gpu(Arc::new(sample)) })
        })
    }
}

/// Such as `driver 580.95.05, CUDA 13.0, 2 cards`.
fn detail(sample: &GpuSample) -> String {
    let driver = &sample.driver;
    let versions = [("driver", driver.loaded.known()), ("CUDA", driver.cuda.known())];
    let mut parts: Vec<String> =
        versions.into_iter().filter_map(|(what, version)| Some(format!("{what} {}", version?))).collect();
    parts.push(match sample.gpus.len() {
        1 => "1 card".to_owned(),
        count => format!("{count} cards"),
    });
    parts.join(", ")
}
