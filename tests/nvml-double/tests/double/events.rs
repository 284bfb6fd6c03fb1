//! Xids reach a waiting event set once, and only from the GPUs registered in it.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::enums::event::XidError;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{EventSet, Nvml};
use serde_json::{Value, json};

use crate::harness::{A_WHILE, Double, SOON};

fn script(xids: &Value) -> Value {
    json!({ "gpus": [{ "uuid": "GPU-0" }, { "uuid": "GPU-1" }], "xids": xids })
}

/// An event set that wants the Xids of the given GPUs.
fn registered<'nvml>(nvml: &'nvml Nvml, gpus: &[u32]) -> EventSet<'nvml> {
    gpus.iter().fold(nvml.create_event_set().unwrap(), |set, index| {
        let gpu = nvml.device_by_index(*index).unwrap();
        let set = gpu.register_events(EventTypes::CRITICAL_XID_ERROR, set);
        set.map_err(|error| error.error).unwrap()
    })
}

/// The GPU and code of the next Xid.
fn wait(set: &EventSet<'_>, timeout: Duration) -> Result<(u32, u64), NvmlError> {
    let event = set.wait(u32::try_from(timeout.as_millis()).unwrap())?;
    assert_eq!(event.event_type, EventTypes::CRITICAL_XID_ERROR);
    let Some(XidError::Value(code)) = event.event_data else {
        panic!("no Xid in {event:?}");
    };
    Ok((event.device.index().unwrap(), code))
}

#[test]
fn each_xid_is_delivered_once_and_in_order() {
    let double = Double::new(&script(&json!([
        { "gpu": 1, "code": 79, "seq": 1 },
        { "gpu": 0, "code": 31, "seq": 2 },
    ])));
    let nvml = double.init();
    let set = registered(&nvml, &[0, 1]);
    assert_eq!(wait(&set, SOON).unwrap(), (1, 79));
    assert_eq!(wait(&set, SOON).unwrap(), (0, 31));
    assert_fails!(wait(&set, Duration::ZERO), Timeout);
    drop(set);
    let again = registered(&nvml, &[0, 1]);
    assert_fails!(wait(&again, Duration::ZERO), Timeout);
}

#[test]
fn an_xid_written_while_a_set_waits_reaches_it() {
    let double = Double::new(&script(&json!([])));
    let nvml = double.init();
    thread::scope(|scope| {
        let (sender, answers) = mpsc::channel();
        let nvml = &nvml;
        scope.spawn(move || {
            let set = registered(nvml, &[0, 1]);
            sender.send(wait(&set, SOON)).unwrap();
        });
        assert!(answers.recv_timeout(A_WHILE).is_err(), "nothing was there to deliver");
        double.rewrite(&script(&json!([{ "gpu": 1, "code": 48, "seq": 7 }])));
        assert_eq!(answers.recv_timeout(SOON).unwrap().unwrap(), (1, 48));
    });
}

#[test]
fn a_wait_ends_at_its_timeout() {
    let double = Double::new(&script(&json!([])));
    let nvml = double.init();
    let set = registered(&nvml, &[0]);
    let start = Instant::now();
    assert_fails!(wait(&set, A_WHILE), Timeout);
    let took = start.elapsed();
    assert!(took >= A_WHILE && took < SOON, "took {took:?}");
}

#[test]
fn other_gpus_do_not_disturb_a_set() {
    let double = Double::new(&script(&json!([{ "gpu": 1, "code": 79, "seq": 1 }])));
    let nvml = double.init();
    let first = registered(&nvml, &[0]);
    assert_fails!(wait(&first, Duration::ZERO), Timeout);
    let second = registered(&nvml, &[1]);
    assert_eq!(wait(&second, SOON).unwrap(), (1, 79));
}

#[test]
fn an_event_type_that_is_not_supported_is_refused() {
    let double = Double::new(&json!({ "gpus": [
        { "events": [] },
        { "events": ["xid", "clock"] },
        { "errors": { "events": "not-supported" } },
    ]}));
    let nvml = double.init();
    let register = |index: u32, types| {
        let gpu = nvml.device_by_index(index).unwrap();
        let set = nvml.create_event_set().unwrap();
        gpu.register_events(types, set).map(drop).map_err(|error| error.error)
    };
    let (xid, clock) = (EventTypes::CRITICAL_XID_ERROR, EventTypes::CLOCK_CHANGE);
    assert_fails!(register(0, xid), NotSupported);
    register(1, xid | clock).unwrap();
    assert_fails!(register(1, xid | EventTypes::PSTATE_CHANGE), NotSupported);
    assert_fails!(register(2, xid), NotSupported);
}

#[test]
fn waiting_fails_as_scripted() {
    let mut failing = script(&json!([]));
    failing["errors"] = json!({ "event_wait": "gpu-lost" });
    let double = Double::new(&failing);
    let nvml = double.init();
    let set = registered(&nvml, &[0]);
    assert_fails!(wait(&set, SOON), GpuLost);
    set.release_events().unwrap();
}
