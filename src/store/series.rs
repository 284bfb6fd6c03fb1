//! Short in-memory histories for graphs: five minutes by the second, an hour by the quarter minute.
//!
//! Longer ranges are read from what was recorded ([`Past`](crate::domain::Past)). A second in which nothing could be read is a gap, not a
//! zero.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::{Measures, State, Window};
use crate::domain::metric as of;
use crate::domain::{
    Counter, Endpoint, Engine, EngineSample, GpuSample, HostSample, Moment, SeriesKey, SourceId, Spread,
};

/// What a history is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SeriesId {
    /// Processor use, 0 to 1.
    Cpu,
    /// Memory use, 0 to 1.
    Memory,
    /// Bytes received a second, all interfaces.
    NetReceived,
    /// Bytes sent a second, all interfaces.
    NetTransmitted,
    /// A card's compute use, 0 to 1.
    GpuCompute(Arc<str>),
    /// A card's memory bandwidth use, 0 to 1.
    GpuBandwidth(Arc<str>),
    /// A card's memory, bytes.
    GpuMemory(Arc<str>),
    /// A card's power, watts.
    GpuPower(Arc<str>),
    /// A card's temperature, °C.
    GpuTemperature(Arc<str>),
    /// Seconds to the end of an answer that 95 of 100 requests of a server did not exceed, within a minute.
    EndToEnd(Endpoint),
    /// Tokens that a server generates a second, within a minute.
    Generated(Endpoint),
}

impl SeriesId {
    fn source(&self) -> SourceId {
        match self {
            Self::Cpu | Self::Memory | Self::NetReceived | Self::NetTransmitted => SourceId::Host,
            Self::GpuCompute(_)
            | Self::GpuBandwidth(_)
            | Self::GpuMemory(_)
            | Self::GpuPower(_)
            | Self::GpuTemperature(_) => SourceId::Gpu,
            Self::EndToEnd(_) | Self::Generated(_) => SourceId::Engines,
        }
    }
}

impl State {
    /// The recorded series that a history is the sum of.
    pub fn recorded_as(&self, id: &SeriesId) -> SeriesKey {
        let gpu = |metric, uuid: &Arc<str>| SeriesKey::new(metric, [("gpu", &**uuid)]);
        let engine = |metric, endpoint: &Endpoint| {
            let subject = self.engine_at(endpoint).map_or_else(|| endpoint.0.clone(), Engine::subject);
            SeriesKey::new(metric, [("engine", subject.as_str())])
        };
        match id {
            SeriesId::Cpu => SeriesKey::new(&of::CPU_USED, []),
            SeriesId::Memory => SeriesKey::new(&of::MEMORY_USED, []),
            SeriesId::NetReceived => SeriesKey::new(&of::NETWORK_RECEIVED, []),
            SeriesId::NetTransmitted => SeriesKey::new(&of::NETWORK_TRANSMITTED, []),
            SeriesId::GpuCompute(uuid) => gpu(&of::GPU_UTILIZATION, uuid),
            SeriesId::GpuBandwidth(uuid) => gpu(&of::GPU_BANDWIDTH, uuid),
            SeriesId::GpuMemory(uuid) => gpu(&of::GPU_MEMORY_USED, uuid),
            SeriesId::GpuPower(uuid) => gpu(&of::GPU_POWER, uuid),
            SeriesId::GpuTemperature(uuid) => gpu(&of::GPU_TEMPERATURE, uuid),
            SeriesId::EndToEnd(endpoint) => engine(&of::INFERENCE_E2E, endpoint).with("quantile", "0.95"),
            SeriesId::Generated(endpoint) => engine(&of::INFERENCE_GENERATED, endpoint),
        }
    }

    /// How many series graphs may show.
    pub fn graph_count(&self) -> usize {
        self.series.0.len()
    }

    /// Every recorded series that graphs may show.
    pub fn recorded_graphs(&self) -> Vec<SeriesKey> {
        self.series.0.keys().map(|id| self.recorded_as(id)).collect()
    }
}

impl SeriesId {
    /// How long a value stands: the time between two readings, of which those of the host are taken as often as a graph is
    /// fine.
    fn lasts(&self) -> Duration {
        match self.source() {
            SourceId::Engines => Duration::from_secs(4),
            _ => Duration::ZERO,
        }
    }
}

/// A span of time that a graph can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The word on screen.
    pub word: &'static str,
    /// How long.
    pub span: Duration,
}

/// The ranges of every graph, shortest first. Only the first two are kept in memory.
pub const RANGES: &[Range] = &[
    Range { word: "5m", span: Duration::from_mins(5) },
    Range { word: "1h", span: Duration::from_hours(1) },
    Range { word: "24h", span: Duration::from_hours(24) },
    Range { word: "7d", span: Duration::from_hours(7 * 24) },
    Range { word: "30d", span: Duration::from_hours(30 * 24) },
    Range { word: "90d", span: Duration::from_hours(90 * 24) },
    Range { word: "400d", span: Duration::from_hours(400 * 24) },
];

/// One history: fine and coarse.
#[derive(Debug, Clone, Default)]
pub struct Series {
    fine: VecDeque<(Duration, f32)>,
    coarse: VecDeque<(Duration, f32)>,
    /// A value stands for so long: until the next reading.
    lasts: Duration,
    sum: f64,
    count: u32,
}

impl Series {
    /// Points kept by the second: five minutes of a one-second refresh.
    const FINE: usize = 300;
    /// Points kept by the quarter minute: one hour.
    const COARSE: usize = 240;
    const COARSE_STEP: Duration = Duration::from_secs(15);

    /// Adds a value; NaN marks a gap.
    pub fn push(&mut self, at: Moment, value: f32) {
        if self.fine.len() == Self::FINE {
            self.fine.pop_front();
        }
        self.fine.push_back((at.mono, value));
        let slot = at.mono.as_secs() / Self::COARSE_STEP.as_secs();
        if self.coarse.back().is_none_or(|(last, _)| last.as_secs() / Self::COARSE_STEP.as_secs() != slot) {
            if self.coarse.len() == Self::COARSE {
                self.coarse.pop_front();
            }
            self.coarse.push_back((at.mono, f32::NAN));
            (self.sum, self.count) = (0.0, 0);
        }
        if !value.is_nan() {
            self.sum += f64::from(value);
            self.count += 1;
            if let Some((_, mean)) = self.coarse.back_mut() {
                *mean = (self.sum / f64::from(self.count)) as f32;
            }
        }
    }

    /// The latest value, if it is no gap.
    pub fn last(&self) -> Option<f32> {
        self.fine.back().map(|(_, value)| *value).filter(|value| !value.is_nan())
    }

    /// The history that ends at `now` in `buckets` equal parts, oldest first: each the highest value in it, `None` where
    /// there is none. `None` altogether where the range is longer than memory.
    pub fn buckets(&self, range: Range, now: Moment, buckets: usize) -> Option<Vec<Option<f32>>> {
        let points = match range.span.as_secs() {
            ..=300 => &self.fine,
            301..=3_600 => &self.coarse,
            _ => return None,
        };
        let mut shown = vec![None::<f32>; buckets];
        // Buckets stand at fixed times, so that a graph moves by whole columns and old columns never change.
        let step = range.span.as_secs_f64() / buckets.max(1) as f64;
        let newest = (now.mono.as_secs_f64() / step).floor() as i64;
        let number = |at: Duration| (at.as_secs_f64() / step).floor() as i64;
        for (at, value) in points.iter().filter(|(_, value)| !value.is_nan()) {
            // Where readings are rarer than buckets, the one before stands in those between.
            for bucket in number(*at)..=number(*at + self.lasts).min(newest) {
                let back = usize::try_from(newest - bucket).unwrap_or(usize::MAX);
                if let Some(bucket) = buckets.checked_sub(back.saturating_add(1)) {
                    shown[bucket] = Some(shown[bucket].map_or(*value, |old| old.max(*value)));
                }
            }
        }
        Some(shown)
    }
}

/// Every history.
#[derive(Debug, Clone, Default)]
pub struct SeriesStore(HashMap<SeriesId, Series>);

impl SeriesStore {
    /// One history, if anything was ever recorded for it.
    pub fn get(&self, id: &SeriesId) -> Option<&Series> {
        self.0.get(id)
    }

    fn push(&mut self, id: SeriesId, at: Moment, value: Option<f64>) {
        let lasts = id.lasts();
        let series = self.0.entry(id).or_insert_with(|| Series { lasts, ..Series::default() });
        series.push(at, value.map_or(f32::NAN, |value| value as f32));
    }

    /// Marks that nothing could be read from `source`.
    pub(super) fn gap(&mut self, source: SourceId, at: Moment) {
        for series in self.0.iter_mut().filter(|(id, _)| id.source() == source).map(|(_, series)| series) {
            series.push(at, f32::NAN);
        }
    }

    pub(super) fn host(&mut self, host: &HostSample, at: Moment) {
        self.push(SeriesId::Cpu, at, host.cpu.known().map(|cpu| cpu.used_ratio));
        self.push(SeriesId::Memory, at, host.memory.get().map(crate::domain::Memory::used_ratio));
        self.push(SeriesId::NetReceived, at, Some(host.networks.iter().map(|net| net.received_bytes_per_second).sum()));
        self.push(
            SeriesId::NetTransmitted,
            at,
            Some(host.networks.iter().map(|net| net.transmitted_bytes_per_second).sum()),
        );
    }

    /// Takes what servers did in the last minute, of those that tell.
    pub(super) fn engines(&mut self, sample: &EngineSample, measures: &Measures, at: Moment) {
        for engine in &sample.engines {
            let Some(minute) = measures.of(&engine.endpoint, Window::Minute) else { continue };
            self.push(SeriesId::EndToEnd(engine.endpoint.clone()), at, minute.quantile(Spread::EndToEnd, 0.95));
            self.push(SeriesId::Generated(engine.endpoint.clone()), at, minute.rate(Counter::GeneratedTokens));
        }
    }

    pub(super) fn gpus(&mut self, sample: &GpuSample, at: Moment) {
        for gpu in &sample.gpus {
            let uuid = &gpu.uuid;
            self.push(SeriesId::GpuCompute(uuid.clone()), at, gpu.compute_ratio.get());
            self.push(SeriesId::GpuBandwidth(uuid.clone()), at, gpu.bandwidth_ratio.get());
            self.push(SeriesId::GpuMemory(uuid.clone()), at, gpu.memory.get().map(|memory| memory.used_bytes as f64));
            self.push(SeriesId::GpuPower(uuid.clone()), at, gpu.power_watts.get());
            self.push(SeriesId::GpuTemperature(uuid.clone()), at, gpu.temperature_celsius.get().map(f64::from));
        }
    }
}
