//! The graphics cards that were seen since the start: one that falls off the bus may leave the list, and a throttle that
//! flickers is told from one that has ended only by when it was last seen.

use std::sync::Arc;

use crate::domain::{Gpu, GpuSample, Moment, ThrottleReason};

/// What is remembered of one card.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// The stable name of the card, `GPU-…`.
    pub uuid: Arc<str>,
    /// NVML's index when it was last listed.
    pub index: u32,
    /// The product name.
    pub name: String,
    /// When it was last listed.
    pub listed: Moment,
    /// When it last said that it is slowed down by a fault, and why.
    pub throttled: Option<(Moment, Vec<ThrottleReason>)>,
}

/// Every card that was seen, in the order of first sight.
#[derive(Debug, Clone, Default)]
pub struct Cards(Vec<Card>);

impl Cards {
    /// One card.
    pub fn get(&self, uuid: &str) -> Option<&Card> {
        self.0.iter().find(|card| *card.uuid == *uuid)
    }

    /// Cards that were listed before and that this reading does not list.
    pub fn missing_from<'a>(&'a self, sample: &'a GpuSample) -> impl Iterator<Item = &'a Card> {
        self.0.iter().filter(|card| !sample.gpus.iter().any(|gpu| gpu.uuid == card.uuid))
    }

    pub(super) fn sampled(&mut self, sample: &GpuSample, at: Moment) {
        // A card that is lost may not even tell its name: it is no new one then.
        for gpu in sample.gpus.iter().filter(|gpu| !gpu.uuid.is_empty()) {
            let reasons = alarming(gpu);
            let throttled = (!reasons.is_empty()).then_some((at, reasons));
            match self.0.iter_mut().find(|card| card.uuid == gpu.uuid) {
                Some(card) => {
                    card.index = gpu.index;
                    card.listed = at;
                    card.throttled = throttled.or(card.throttled.take());
                }
                None => {
                    self.0.push(Card {
                        uuid: gpu.uuid.clone(),
                        index: gpu.index,
                        name: gpu.name.clone(),
                        listed: at,
                        throttled,
                    });
                }
            }
        }
    }
}

/// The reasons to be slow that say that something is wrong.
fn alarming(gpu: &Gpu) -> Vec<ThrottleReason> {
    gpu.throttle.known().into_iter().flatten().copied().filter(|reason| reason.is_alarm()).collect()
}
