//! Rules about what is broken in or below a graphics card: lost cards, driver and library apart, Xids, memory errors.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::gpu::card_name;
use super::{Rule, observation};
use crate::domain::{
    Failure, Gpu, Moment, Observation, Severity, SourceId, Unit, XidClass, XidEvent, units, xid_class, xid_name,
};
use crate::store::{Card, State};

/// A card that is gone from the bus.
pub(super) const LOST: Rule = Rule {
    id: "gpu.lost",
    title: "Lost GPUs",
    why: "A card that fell off the bus comes back only with a reset or a reboot; what ran on it is dead.",
    fix: &[],
    reads: Some(SourceId::Gpu),
    assess: |state, at, assessment| {
        if let Some(sample) = state.gpus.get() {
            assessment.observations.extend(sample.gpus.iter().filter(|gpu| gpu.lost).map(|gpu| silent(state, gpu)));
            assessment.observations.extend(state.cards.missing_from(sample).map(|card| unlisted(card, at)));
        }
    },
};

/// The library and the kernel's driver differ. The library then refuses to start, so this rule also judges why the
/// source failed.
pub(super) const DRIVER_MISMATCH: Rule = Rule {
    id: "gpu.driver-mismatch",
    title: "GPU driver and library",
    why: "After an update of the driver nothing new can use the cards until the machine has been restarted.",
    fix: &[],
    reads: None,
    assess: |state, _, assessment| assessment.observations.extend(mismatch(state)),
};

/// Faults that the driver reported.
pub(super) const XID: Rule = Rule {
    id: "gpu.xid",
    title: "GPU faults (Xid)",
    why: "The driver names each fault by a number; some mean that the hardware is failing.",
    fix: &[],
    reads: None,
    assess: |state, at, assessment| assessment.observations.extend(faults(state, at)),
};

/// Memory errors that could not be corrected.
pub(super) const ECC: Rule = Rule {
    id: "gpu.ecc",
    title: "GPU memory errors",
    why: "Data on the card was lost; answers may be wrong, and the card may need to be replaced.",
    fix: &[],
    reads: Some(SourceId::Gpu),
    assess: |state, _, assessment| {
        let gpus = state.gpus.get().into_iter().flat_map(|sample| &sample.gpus);
        assessment.observations.extend(gpus.filter_map(memory_errors));
    },
};

/// How long after its last report a fault of the hardware wants somebody. Nothing tells that it was mended, short of a
/// new start of the driver.
const HARDWARE_LASTS: Duration = Duration::from_hours(24);

/// How long after its last report a program's fault does.
const PROGRAM_LASTS: Duration = Duration::from_hours(1);

/// *A program was stopped and cleaned up*: it follows every kill of a program on the card, so it is worth knowing only.
const CLEANED_UP: u64 = 45;

fn silent(state: &State, gpu: &Gpu) -> Observation {
    let subject = if gpu.uuid.is_empty() { format!("gpu{}", gpu.index).into() } else { gpu.uuid.clone() };
    // What is lost may not tell its name any more.
    let name = state.cards.get(&gpu.uuid).map_or(&gpu.name, |card| &card.name);
    lost(subject, card_name(gpu.index, name), "it has fallen off the bus".to_owned(), None)
}

fn unlisted(card: &Card, at: Moment) -> Observation {
    let gone = format!("not listed any more, last seen {} ago", units::span(at.since(card.listed)));
    lost(card.uuid.clone(), card_name(card.index, &card.name), gone, Some(card.listed.wall))
}

fn lost(subject: Arc<str>, name: String, what: String, since: Option<Timestamp>) -> Observation {
    Observation {
        evidence: vec![name, what],
        since,
        look: &["gpu"],
        ..observation(LOST.id, subject, Severity::Critical, "lost")
    }
}

fn mismatch(state: &State) -> Option<Observation> {
    let refused = state.sources.get(SourceId::Gpu).and_then(|source| source.failure.as_ref());
    let refused = refused.filter(|(failure, _)| failure.what.starts_with(Failure::DRIVER_MISMATCH));
    let (evidence, since) = match (refused, state.gpus.get().and_then(|sample| sample.driver.mismatch())) {
        (Some((failure, since)), _) => {
            (std::iter::once(failure.what.clone()).chain(failure.remedy.clone()).collect(), Some(since.wall))
        }
        (None, Some((loaded, on_disk))) => {
            (vec![format!("{loaded} is loaded, {on_disk} is installed"), "restart the machine".to_owned()], None)
        }
        (None, None) => return None,
    };
    let title = "driver and library differ";
    Some(Observation {
        evidence,
        since,
        look: &["gpu"],
        ..observation(DRIVER_MISMATCH.id, "host", Severity::Critical, title)
    })
}

fn faults(state: &State, at: Moment) -> Vec<Observation> {
    let lasting: Vec<&XidEvent> = state.xids.iter().filter(|xid| at.since_wall(xid.at) <= lasts(xid.code)).collect();
    let mut cards: Vec<&Arc<str>> = lasting.iter().map(|xid| &xid.gpu).collect();
    cards.sort();
    cards.dedup();
    cards
        .into_iter()
        .filter_map(|gpu| faults_of(state, gpu, lasting.iter().copied().filter(|xid| xid.gpu == *gpu)))
        .collect()
}

/// One finding a card, named by its gravest fault, the latest of equals.
fn faults_of<'a>(
    state: &State,
    gpu: &Arc<str>,
    xids: impl Iterator<Item = &'a XidEvent> + Clone,
) -> Option<Observation> {
    let worst = xids.clone().max_by_key(|xid| (severity(xid.code), xid.at))?;
    let mut codes: Vec<u64> = xids.clone().map(|xid| xid.code).filter(|code| *code != worst.code).collect();
    codes.sort_unstable();
    codes.dedup();
    let times = |code| xids.clone().filter(|xid| xid.code == code).count();
    let mut evidence: Vec<String> =
        state.cards.get(gpu).map(|card| card_name(card.index, &card.name)).into_iter().collect();
    evidence.push(xid_name(worst.code).to_owned());
    evidence.extend(Some(times(worst.code)).filter(|times| *times > 1).map(|times| format!("{times} times")));
    evidence.extend(codes.into_iter().map(|code| format!("Xid {code}: {}", xid_name(code))));
    Some(Observation {
        evidence,
        value: Some(xids.clone().count() as f64),
        limit: Some(0.0),
        unit: Some(Unit::Errors),
        since: xids.map(|xid| xid.at).min(),
        look: &["gpu"],
        ..observation(XID.id, gpu.clone(), severity(worst.code), format!("reported Xid {}", worst.code))
    })
}

fn severity(code: u64) -> Severity {
    match xid_class(code) {
        XidClass::Hardware => Severity::Critical,
        XidClass::Application if code == CLEANED_UP => Severity::Info,
        XidClass::Application => Severity::Warning,
    }
}

fn lasts(code: u64) -> Duration {
    match xid_class(code) {
        XidClass::Hardware => HARDWARE_LASTS,
        XidClass::Application => PROGRAM_LASTS,
    }
}

fn memory_errors(gpu: &Gpu) -> Option<Observation> {
    let errors = gpu.ecc.get()?.uncorrected;
    (errors > 0).then(|| Observation {
        evidence: vec![card_name(gpu.index, &gpu.name), format!("{errors} since the driver was loaded")],
        value: Some(errors as f64),
        limit: Some(0.0),
        unit: Some(Unit::Errors),
        look: &["gpu"],
        ..observation(ECC.id, gpu.uuid.clone(), Severity::Critical, "uncorrected memory errors")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Ecc, GpuDriver, GpuSample, Reading::Known, Sample};
    use crate::make::{Script, gpu, wall};

    #[test]
    fn a_card_that_says_it_is_lost_keeps_the_name_it_had() {
        let mut script = Script::new();
        script.at(0).gpus([gpu(0), gpu(1)]).assess();
        script.at(1).gpus([gpu(0), Gpu { lost: true, name: String::new(), ..gpu(1) }]).assess();
        assert_eq!(script.open(), ["gpu.lost GPU-1"]);
        assert_eq!(script.finding("gpu.lost", "GPU-1").seen.evidence, ["gpu1 RTX 4090", "it has fallen off the bus"]);
    }

    #[test]
    fn a_card_that_leaves_the_list_is_missed_until_it_is_back() {
        let mut script = Script::new();
        script.at(0).gpus([gpu(0), gpu(1)]).assess();
        script.at(200).gpus([gpu(0)]).assess();
        assert_eq!(script.open(), ["gpu.lost GPU-1"]);
        let finding = script.finding("gpu.lost", "GPU-1");
        assert_eq!(
            (finding.since, finding.seen.evidence[1].as_str()),
            (wall(0), "not listed any more, last seen 3 min ago")
        );
        script.at(201).gpus([gpu(0), gpu(1)]).assess();
        assert!(script.open().is_empty());
    }

    #[test]
    fn driver_and_library_are_compared_while_the_old_library_runs() {
        let mut script = Script::new();
        let driver = GpuDriver {
            loaded: Known("580.95.05".to_owned()),
            on_disk: Known("580.105.08".to_owned()),
            ..GpuDriver::default()
        };
        script.at(0).sample(Sample::Gpu(GpuSample { driver, gpus: vec![gpu(0)] }.into())).assess();
        assert_eq!(script.open(), ["gpu.driver-mismatch host"]);
        let evidence = script.finding("gpu.driver-mismatch", "host").seen.evidence;
        assert_eq!(evidence, ["580.95.05 is loaded, 580.105.08 is installed", "restart the machine"]);
    }

    #[test]
    fn a_library_that_refuses_to_start_says_it_too() {
        let mut script = Script::new();
        let failure =
            Failure::failed(format!("{}: NVML 580.105", Failure::DRIVER_MISMATCH)).remedy("restart the machine");
        script.at(0).failure(SourceId::Gpu, failure).assess();
        assert_eq!(script.open(), ["gpu.driver-mismatch host", "source.failed gpu.nvidia"]);
        script.at(1).failure(SourceId::Gpu, Failure::failed("the driver is not loaded")).assess();
        assert_eq!(script.open(), ["source.failed gpu.nvidia"]);
    }

    #[test]
    fn an_xid_is_as_grave_as_its_class_and_lasts_by_it() {
        for (code, severity, lasts) in
            [(79, Severity::Critical, 86_400), (31, Severity::Warning, 3600), (45, Severity::Info, 3600)]
        {
            let mut script = Script::new();
            script.at(0).gpus([gpu(0)]).xid("GPU-0", code).assess();
            let finding = script.finding("gpu.xid", "GPU-0");
            assert_eq!(finding.seen.severity, severity, "Xid {code}");
            assert_eq!(finding.seen.evidence, ["gpu0 RTX 4090", xid_name(code)]);
            script.at(lasts).gpus([gpu(0)]).assess();
            assert_eq!(script.open().len(), 1, "Xid {code}");
            script.at(lasts + 1).gpus([gpu(0)]).assess();
            assert!(script.open().is_empty(), "Xid {code}");
        }
    }

    #[test]
    fn several_xids_of_one_card_are_one_finding_named_by_the_gravest() {
        let mut script = Script::new();
        script.at(0).gpus([gpu(0), gpu(1)]).xid("GPU-1", 31);
        script.at(1).xid("GPU-1", 79);
        script.at(2).xid("GPU-1", 31).assess();
        assert_eq!(script.open(), ["gpu.xid GPU-1"]);
        let finding = script.finding("gpu.xid", "GPU-1");
        assert_eq!(finding.seen.title, "reported Xid 79");
        assert_eq!((finding.seen.value, finding.since), (Some(3.0), wall(0)));
        let touched = "Xid 31: a program touched memory it may not (MMU fault)";
        assert_eq!(finding.seen.evidence, ["gpu1 RTX 4090", "it has fallen off the bus", touched]);
    }

    #[test]
    fn only_uncorrected_errors_count() {
        let mut script = Script::new();
        let ecc = |corrected, uncorrected| Known(Ecc { enabled: true, corrected, uncorrected });
        script.at(0).gpus([Gpu { ecc: ecc(900, 0), ..gpu(0) }, Gpu { ecc: ecc(0, 2), ..gpu(1) }]).assess();
        assert_eq!(script.open(), ["gpu.ecc GPU-1"]);
        assert_eq!(
            script.finding("gpu.ecc", "GPU-1").seen.evidence,
            ["gpu1 RTX 4090", "2 since the driver was loaded"]
        );
    }
}
