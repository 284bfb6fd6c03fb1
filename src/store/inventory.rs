//! What the box consists of now, as far as it can be seen.

use std::collections::BTreeSet;

use super::State;
use crate::domain::{
    ContainerState, Inventory, Missing, Moment, Residency, RunningContainer, Severity, SourceId, SourceStatus,
};

impl State {
    /// What the box consists of at `now`.
    pub fn inventory(&self, now: Moment) -> Inventory {
        let is_fresh = |source| self.sources.status(source, now) == SourceStatus::Fresh;
        let facts = self.host.get().map(|host| &host.facts);
        let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let gpus = self.gpus.get().filter(|_| is_fresh(SourceId::Gpu));
        let driver = gpus.and_then(|sample| sample.driver.loaded.known().cloned());
        let cards = gpus.map(|sample| sample.gpus.iter().filter(|gpu| !gpu.lost));
        let volumes = self.volumes.get().filter(|_| is_fresh(SourceId::Volumes));
        Inventory {
            boot: facts.and_then(|facts| text(&facts.boot_id)),
            kernel: facts.and_then(|facts| text(&facts.kernel)),
            driver,
            containers: is_fresh(SourceId::Docker).then(|| self.running_containers().collect()),
            models: is_fresh(SourceId::Engines).then(|| self.loaded_models().collect()),
            mounts: volumes.map(|volumes| volumes.iter().map(|volume| volume.mount.clone()).collect()),
            gpus: cards.map(|cards| cards.map(|gpu| (gpu.uuid.to_string(), gpu.power_limit_watts.get())).collect()),
            findings: Some(self.told_findings(now).collect()),
        }
    }

    /// What was there before the machine was started as it is now, and is not any more; nothing where it was not started
    /// anew since hostler looked first.
    pub fn not_back(&self, now: Moment) -> Vec<Missing> {
        let boot = self.host.get().map(|host| host.facts.boot_id.as_str()).filter(|boot| !boot.is_empty());
        let before = self.remembered.as_ref().zip(boot).and_then(|(remembered, boot)| remembered.before(boot));
        before.map(|before| before.missing_in(&self.inventory(now))).unwrap_or_default()
    }

    fn running_containers(&self) -> impl Iterator<Item = (String, RunningContainer)> {
        let running = self.current_containers().filter(|container| container.state == ContainerState::Running);
        running.map(|container| {
            let facts = RunningContainer {
                image: container.image_id.clone(),
                reference: container.image.clone(),
                started: container.started,
                restarts: container.restart_count,
            };
            (container.name.to_string(), facts)
        })
    }

    fn loaded_models(&self) -> impl Iterator<Item = (String, BTreeSet<String>)> {
        let engines = self.engines.get().into_iter().flat_map(|sample| &sample.engines);
        engines.map(|engine| {
            let models = engine.models.known().into_iter().flatten();
            // A model that is unloaded when nobody asks is missed by nobody.
            let stays =
                |residency: &Residency| matches!(residency, Residency::Unknown | Residency::Loaded { until: None, .. });
            let loaded = models.filter(|model| stays(&model.residency)).map(|model| model.name.clone());
            (engine.subject(), loaded.collect())
        })
    }

    fn told_findings(&self, now: Moment) -> impl Iterator<Item = (String, String)> {
        let worth = self.findings.all(now).into_iter().filter(|finding| finding.seen.severity > Severity::Info);
        worth.map(|finding| (format!("{} {}", finding.seen.id, finding.seen.subject), finding.seen.title.clone()))
    }
}
