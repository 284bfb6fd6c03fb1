//! Every series as it stands now: what the recorder keeps, the exporter tells and alerts judge.
//!
//! A value that cannot be read has no series at this moment: a gap, never a zero. The same holds for all that comes from a
//! source whose last reading is too old.

use std::sync::Arc;

use super::{Performance, State, Window};
use crate::domain::metric as of;
use crate::domain::{
    Container, ContainerState, Counter, Engine, Gpu, HealthState, Metric, Moment, PlatformHealth, SeriesKey, Severity,
    SourceId, SourceStatus, Spread, ThrottleReason,
};

/// Values with their series.
#[derive(Debug, Default)]
struct Told(Vec<(SeriesKey, f64)>);

impl Told {
    fn tell<'a>(&mut self, metric: &Metric, labels: impl IntoIterator<Item = (&'a str, &'a str)>, value: Option<f64>) {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            self.0.push((SeriesKey::new(metric, labels), value));
        }
    }
}

impl State {
    /// Every series that has a value at `now`.
    pub fn metrics(&self, now: Moment) -> Vec<(SeriesKey, f64)> {
        let mut told = Told::default();
        let is_fresh = |source| self.sources.status(source, now) == SourceStatus::Fresh;
        if is_fresh(SourceId::Host) {
            self.host_metrics(&mut told);
        }
        if is_fresh(SourceId::Volumes) {
            self.volume_metrics(&mut told);
        }
        if is_fresh(SourceId::Gpu) {
            self.gpus.get().into_iter().flat_map(|sample| &sample.gpus).for_each(|gpu| gpu_metrics(gpu, &mut told));
        }
        if is_fresh(SourceId::Docker) {
            let usage_is_fresh = is_fresh(SourceId::Usage);
            for container in self.current_containers() {
                self.container_metrics(container, usage_is_fresh, &mut told);
            }
        }
        if is_fresh(SourceId::Engines) {
            let engines = self.engines.get().into_iter().flat_map(|sample| &sample.engines);
            engines.for_each(|engine| self.engine_metrics(engine, &mut told));
        }
        if is_fresh(SourceId::Platforms) {
            self.platform_metrics(&mut told);
        }
        self.finding_metrics(now, &mut told);
        told.0
    }

    fn host_metrics(&self, told: &mut Told) {
        let Some(host) = self.host.get() else { return };
        told.tell(&of::CPU_USED, [], host.cpu.known().map(|cpu| cpu.used_ratio));
        told.tell(&of::LOAD, [], host.load.get().map(|load| load[0]));
        told.tell(&of::MEMORY_USED, [], host.memory.get().map(crate::domain::Memory::used_ratio));
        told.tell(&of::MEMORY_USED_BYTES, [], host.memory.get().map(|memory| memory.used_bytes() as f64));
        told.tell(&of::SWAP_USED_BYTES, [], host.swap.get().map(|swap| swap.used_bytes as f64));
        let pressure = host.pressure.get();
        told.tell(&of::PRESSURE_CPU, [], pressure.map(|pressure| pressure.cpu_ratio));
        told.tell(&of::PRESSURE_MEMORY, [], pressure.map(|pressure| pressure.memory_ratio));
        told.tell(&of::PRESSURE_IO, [], pressure.map(|pressure| pressure.io_ratio));
        for disk in &host.disks {
            let labels = [("disk", disk.name.as_str())];
            told.tell(&of::DISK_READ, labels, Some(disk.read_bytes_per_second));
            told.tell(&of::DISK_WRITTEN, labels, Some(disk.written_bytes_per_second));
        }
        for net in &host.networks {
            let labels = [("interface", net.name.as_str())];
            told.tell(&of::NETWORK_RECEIVED, labels, Some(net.received_bytes_per_second));
            told.tell(&of::NETWORK_TRANSMITTED, labels, Some(net.transmitted_bytes_per_second));
        }
        for sensor in &host.temperatures {
            told.tell(&of::SENSOR_TEMPERATURE, [("sensor", sensor.label.as_str())], Some(sensor.celsius));
        }
        told.tell(&of::UPTIME, [], host.uptime_seconds.get().map(|seconds| seconds as f64));
    }

    fn volume_metrics(&self, told: &mut Told) {
        for volume in self.volumes.get().into_iter().flatten().filter(|volume| volume.size_bytes > 0) {
            let labels = [("mount", volume.mount.as_str())];
            told.tell(&of::DISK_FREE, labels, Some(volume.free_ratio()));
            told.tell(&of::DISK_FREE_BYTES, labels, Some(volume.free_bytes as f64));
            told.tell(&of::INODES_FREE, labels, volume.inodes_free_ratio());
        }
    }

    fn container_metrics(&self, container: &Arc<Container>, usage_is_fresh: bool, told: &mut Told) {
        let mut labels = vec![("container", &*container.name)];
        labels.extend(container.project.as_deref().map(|project| ("project", project)));
        labels.extend(container.service.as_deref().map(|service| ("service", service)));
        let mut tell = |metric: &Metric, value: Option<f64>| told.tell(metric, labels.iter().copied(), value);
        let is_running = container.state == ContainerState::Running;
        tell(&of::CONTAINER_RUNNING, Some(f64::from(u8::from(is_running))));
        let healthy = container.health.as_ref().filter(|_| is_running).and_then(|health| match health.state {
            HealthState::Healthy => Some(1.0),
            HealthState::Unhealthy => Some(0.0),
            HealthState::Starting => None,
        });
        tell(&of::CONTAINER_HEALTHY, healthy);
        tell(&of::CONTAINER_RESTARTS, Some(f64::from(container.restart_count)));
        let usage = self.usage.get().filter(|_| usage_is_fresh).and_then(|usage| usage.by_id.get(&container.id));
        tell(&of::CONTAINER_CPU, usage.and_then(|usage| usage.cpu_cores.get()));
        tell(&of::CONTAINER_MEMORY, usage.and_then(|usage| usage.memory_bytes.get()).map(|bytes| bytes as f64));
        tell(&of::CONTAINER_PIDS, usage.and_then(|usage| usage.pids.get()).map(|pids| pids as f64));
        tell(&of::CONTAINER_GPU_MEMORY, self.gpu_memory_of(&container.id).map(|bytes| bytes as f64));
    }

    fn engine_metrics(&self, engine: &Engine, told: &mut Told) {
        let subject = engine.subject();
        let labels = [("engine", subject.as_str())];
        told.tell(&of::INFERENCE_RUNNING, labels, engine.requests_running.get().map(|count| count as f64));
        told.tell(&of::INFERENCE_WAITING, labels, engine.requests_waiting.get().map(|count| count as f64));
        told.tell(&of::INFERENCE_KV_CACHE, labels, engine.kv_cache_used_ratio.get());
        let Some(minute) = self.measures.of(&engine.endpoint, Window::Minute) else { return };
        for (metric, counter) in [
            (of::INFERENCE_FAULTS, Counter::Faults),
            (of::INFERENCE_OVERLOADS, Counter::Overloads),
            (of::INFERENCE_PROMPT_TOKENS, Counter::PromptTokens),
            (of::INFERENCE_GENERATED, Counter::GeneratedTokens),
            (of::INFERENCE_PREEMPTIONS, Counter::Preemptions),
        ] {
            told.tell(&metric, labels, minute.rate(counter));
        }
        let requests = minute.requests().filter(|_| minute.seconds > 0.0);
        told.tell(&of::INFERENCE_REQUESTS, labels, requests.map(|count| count / minute.seconds));
        told.tell(&of::INFERENCE_ERRORS, labels, minute.error_ratio());
        told.tell(&of::INFERENCE_PREFIX_HITS, labels, minute.prefix_hit_ratio());
        told.tell(&of::INFERENCE_SPEED, labels, minute.generation_speed());
        let watts = self.on_cards(engine).power_watts().filter(|watts| *watts > 0.0);
        let per_joule = minute.rate(Counter::GeneratedTokens).filter(|rate| *rate > 0.0).zip(watts);
        told.tell(&of::INFERENCE_PER_JOULE, labels, per_joule.map(|(rate, watts)| rate / watts));
        for (spread, metric) in of::SPREADS {
            for (quantile, share) in of::QUANTILES {
                let labels = [("engine", subject.as_str()), ("quantile", quantile)];
                told.tell(&metric, labels, minute.quantile(spread, share));
            }
        }
    }

    fn platform_metrics(&self, told: &mut Told) {
        for platform in self.platforms.get().into_iter().flat_map(|sample| &sample.platforms) {
            let Some(container) = self.container(&platform.container) else { continue };
            let labels = [("container", &*container.name), ("platform", platform.kind.title())];
            let healthy = platform.health.known().map(|health| !matches!(health, PlatformHealth::NotReady { .. }));
            told.tell(&of::PLATFORM_HEALTHY, labels, healthy.map(|healthy| f64::from(u8::from(healthy))));
            let requests = platform.requests.get();
            told.tell(&of::PLATFORM_REQUESTS, labels, requests.map(|requests| requests.total as f64));
            told.tell(&of::PLATFORM_FAILED, labels, requests.map(|requests| requests.failed as f64));
        }
    }

    fn finding_metrics(&self, now: Moment, told: &mut Told) {
        let findings = self.findings.needing_someone(now);
        for severity in [Severity::Info, Severity::Warning, Severity::Critical] {
            let count = findings.iter().filter(|finding| finding.seen.severity == severity).count();
            told.tell(&of::FINDINGS, [("severity", severity.into())], Some(count as f64));
        }
    }
}

fn gpu_metrics(gpu: &Gpu, told: &mut Told) {
    let mut tell = |metric: &Metric, value: Option<f64>| told.tell(metric, [("gpu", &*gpu.uuid)], value);
    tell(&of::GPU_UTILIZATION, gpu.compute_ratio.get());
    tell(&of::GPU_BANDWIDTH, gpu.bandwidth_ratio.get());
    tell(&of::GPU_MEMORY_USED, gpu.memory.get().map(|memory| memory.used_bytes as f64));
    tell(&of::GPU_MEMORY_TOTAL, gpu.memory.get().map(|memory| memory.total_bytes as f64));
    tell(&of::GPU_TEMPERATURE, gpu.temperature_celsius.get().map(f64::from));
    tell(&of::GPU_POWER, gpu.power_watts.get());
    tell(&of::GPU_POWER_LIMIT, gpu.power_limit_watts.get());
    tell(&of::GPU_SM_CLOCK, gpu.sm_clock_mhz.get().map(|mhz| f64::from(mhz) * 1e6));
    tell(&of::GPU_MEMORY_CLOCK, gpu.memory_clock_mhz.get().map(|mhz| f64::from(mhz) * 1e6));
    tell(&of::GPU_FAN, gpu.fan_ratio.get());
    let alarmed = gpu.throttle.known().map(|reasons| reasons.iter().copied().any(ThrottleReason::is_alarm));
    tell(&of::GPU_THROTTLED, alarmed.map(|alarmed| f64::from(u8::from(alarmed))));
    tell(&of::GPU_PCIE_WIDTH, gpu.pcie.get().map(|pcie| f64::from(pcie.width)));
    let ecc = gpu.ecc.get().filter(|ecc| ecc.enabled);
    tell(&of::GPU_ECC_CORRECTED, ecc.map(|ecc| ecc.corrected as f64));
    tell(&of::GPU_ECC_UNCORRECTED, ecc.map(|ecc| ecc.uncorrected as f64));
}

impl Performance {
    /// Tokens a second of one answer while it is generated: what those who wait for it see, whatever else is asked at the
    /// same time. `None` where the server tells neither the time that it spent on generating nor the time between tokens.
    pub fn generation_speed(&self) -> Option<f64> {
        let spent = self.count(Counter::GenerationSeconds).filter(|seconds| *seconds > 0.0);
        let counted = self.count(Counter::GeneratedTokens).filter(|tokens| *tokens > 0.0).zip(spent);
        let by_tokens = self.mean(Spread::InterToken).filter(|seconds| *seconds > 0.0).map(|seconds| 1.0 / seconds);
        by_tokens.or(counted.map(|(tokens, seconds)| tokens / seconds))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::domain::{Counter, EngineKind, Histogram, Reading, Spread, Tally};
    use crate::make::{Script, container, engine, gpu};

    /// Every series now, as text with its value.
    fn told(script: &Script) -> Vec<String> {
        let metrics = script.state.metrics(script.state.now);
        metrics.into_iter().map(|(key, value)| format!("{key} {value}")).collect()
    }

    fn has(told: &[String], line: &str) -> bool {
        told.iter().any(|told| told == line)
    }

    #[test]
    fn what_can_be_read_is_told_and_what_cannot_is_a_gap() {
        let mut script = Script::new();
        script.at(0).memory(0.5).volumes([("/", 0.25)]).gpus([gpu(0)]);
        script
            .docker([container("n8n").project("agents", "n8n").running(0).restarted(2), container("old").exited(0, 0)]);
        let now = told(&script);
        let of_n8n = "{container=\"n8n\",project=\"agents\",service=\"n8n\"}";
        for line in [
            "memory_used_ratio 0.5".to_owned(),
            "disk_free_ratio{mount=\"/\"} 0.25".to_owned(),
            format!("container_running{of_n8n} 1"),
            format!("container_restarts{of_n8n} 2"),
            "container_running{container=\"old\"} 0".to_owned(),
        ] {
            assert!(has(&now, &line), "{line} is not in {now:#?}");
        }
        assert!(now.iter().any(|line| line.starts_with("gpu_temperature_celsius{gpu=")));
        // Without a health check there is no health, and what was never read has no value.
        assert!(!now.iter().any(|line| line.starts_with("container_healthy") || line.starts_with("container_cpu")));
        let mut keys: Vec<&str> = now.iter().map(|line| line.rsplit_once(' ').unwrap().0).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), now.len(), "a series is told once");

        // What was read too long ago is told no more.
        script.at(3 * Script::INTERVAL + 1).memory(0.7);
        let later = told(&script);
        assert!(has(&later, "memory_used_ratio 0.7"));
        assert!(!later.iter().any(|line| line.starts_with("disk_") || line.starts_with("gpu_")), "{later:#?}");
    }

    #[test]
    fn a_server_is_told_by_what_it_did_within_a_minute() {
        let counted = |tokens: f64, seconds: f64, requests: f64| {
            let mut tally = Tally::default();
            tally.add(Counter::GeneratedTokens, tokens);
            tally.add(Counter::GenerationSeconds, seconds);
            tally.add(Counter::Requests, requests);
            let buckets = vec![(0.5, 0.0), (1.0, requests), (f64::INFINITY, requests)];
            tally.put(Spread::EndToEnd, Histogram::new(buckets, Some(requests * 0.75)).unwrap());
            let mut vllm = engine(EngineKind::Vllm, 8000);
            vllm.tally = Reading::Known(Arc::new(tally));
            vllm
        };
        let mut script = Script::new();
        script.at(0).engines([counted(0.0, 0.0, 0.0)]);
        script.at(20).engines([counted(400.0, 8.0, 10.0)]);
        let now = told(&script);
        assert!(has(&now, "inference_generated_tokens_per_second{engine=\"vllm:8000\"} 20"), "{now:#?}");
        assert!(has(&now, "inference_generation_speed_tokens_per_second{engine=\"vllm:8000\"} 50"), "{now:#?}");
        let p95 =
            now.iter().find(|line| line.starts_with("inference_e2e_seconds{engine=\"vllm:8000\",quantile=\"0.95\"}"));
        let p95: f64 = p95.unwrap().rsplit_once(' ').unwrap().1.parse().unwrap();
        assert!((0.5..=1.01).contains(&p95), "{p95}");
    }
}
