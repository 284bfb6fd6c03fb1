//! The screen beside a real engine: what runs is seen, what goes wrong is named, what comes and goes is told at once.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use super::{Desk, Home};
use crate::bed::{self, Container, DEADLINE, Engine, Restart, Share, faults};

/// The engine reports what happens; a list is only asked for each ten seconds, so what is seen sooner was reported.
const AT_ONCE: Duration = Duration::from_secs(5);

/// A container that does nothing, seen on screen by the name of its service.
fn service(engine: &Engine, name: &str) -> Container {
    engine.run(name, |spec| spec.compose("shop", name))
}

/// hostler on the Containers tab, beside the containers of this test alone.
#[track_caller]
fn open(share: &Share) -> Desk {
    Home::new().engine(share.endpoint()).args(["--tab", "containers"]).open()
}

#[test]
fn running_containers_are_seen_with_what_they_use() {
    let Some(engine) = bed::engine() else { return };
    let share = Share::of(&engine);
    let _db = service(&engine, "db");
    let web = engine.run("web", |spec| spec.compose("shop", "web").healthcheck("true"));
    let mut desk = open(&share);
    desk.see("shop  compose · 2 of 2 running");
    desk.see("● web ");
    desk.see("containers 2/2");
    let version = engine.block_on(engine.docker().version()).unwrap().version.unwrap();
    desk.read(r"── (2) · images \d+ · volumes \d+ · build cache 0 B · ");
    desk.see(&format!(" · engine {version} ──"));
    desk.see("── Disk held by Docker ──");
    // Rates need two readings.
    desk.read(r"● db +running .* ([0-9.]+%) ");
    desk.read(r"● web +running +(ok) ");
    desk.see("nothing needs you");
    let row = desk.place("● web ");
    desk.click(row);
    desk.see(&format!("── {} ──", web.name()));
    desk.press_see("Enter", "image id");
    desk.see(web.id());
    desk.press("Esc");
    desk.miss(web.id());
}

#[test]
fn a_crash_loop_is_named_with_its_evidence() {
    let Some(engine) = bed::engine() else { return };
    let share = Share::of(&engine);
    let healthy = faults::healthy(&engine);
    let looping = faults::crash_loop(&engine);
    let mut desk = open(&share);
    desk.see(&format!("✖ {}  restarting again and again", looping.name()));
    desk.see("✖ 1 critical");
    let exits: u32 = desk.read(r"again and again: (\d+) exits in 5 min, exit code 1").parse().unwrap();
    assert!(exits >= 3, "{exits}");
    assert!(!desk.screen().contains(&format!("✖ {}", healthy.name())), "the healthy one is blamed");
    // Beside the list, where it comes last.
    desk.press_see("G", "── Why it dies ──");
    desk.read(r"  (exit code 1)");
    desk.read(r"\d\d:\d\d:\d\d–\d\d:\d\d:\d\d  ran (.+)  exit 1");
    desk.see("── Last lines before death ──");
    desk.see("cannot reach the database");
    desk.press_see("a", "container.restart-loop   since");
    desk.press_see("l", &format!("/source={}", looping.name()));
    desk.see("cannot reach the database");
}

#[test]
fn what_starts_and_goes_is_seen_at_once() {
    let Some(engine) = bed::engine() else { return };
    let share = Share::of(&engine);
    let _first = service(&engine, "first");
    let mut desk = open(&share);
    desk.see("● first ");
    desk.see("containers 1/1");

    let second = service(&engine, "second");
    desk.within(AT_ONCE, |screen| screen.contains("● second ") && screen.contains("2 of 2 running")).unwrap();
    second.stop();
    desk.within(AT_ONCE, |screen| screen.contains("○ second ") && screen.contains("1 of 2 running")).unwrap();
    second.start();
    desk.within(AT_ONCE, |screen| screen.contains("● second ") && screen.contains("2 of 2 running")).unwrap();
    drop(second);
    desk.within(AT_ONCE, |screen| !screen.contains(" second ") && screen.contains("1 of 1 running")).unwrap();
}

#[test]
fn a_selected_container_that_goes_leaves_the_cursor_on_a_neighbour() {
    let Some(engine) = bed::engine() else { return };
    let share = Share::of(&engine);
    let [_a, b, c] = ["a", "b", "c"].map(|name| service(&engine, name));
    let mut desk = open(&share);
    desk.see("● c ");
    let row = desk.place("● b ");
    desk.click(row);
    desk.see(&format!("── {} ──", b.name()));
    desk.press_see("Space", "· 1 marked");
    desk.click(row);
    desk.see(&format!("── {} ──", b.name()));
    drop(b);
    desk.miss("● b ");
    desk.see(&format!("── {} ──", c.name()));
    desk.press_see("y", &format!("copied: {}", c.name()));
}

#[test]
fn logs_are_followed_from_all_containers() {
    let Some(engine) = bed::engine() else { return };
    let share = Share::of(&engine);
    let logger = faults::logger(&engine, 5);
    let failing =
        engine.run("failing", |spec| spec.shell("echo begin; echo ERROR no space left on device; exec sleep inf"));
    let mut desk = Home::new().engine(share.endpoint()).args(["--tab", "logs"]).open();
    desk.see("2 containers · following");
    desk.see("ERROR no space left on device");
    let first: u32 = desk.read(r"line (\d+) of the log").parse().unwrap();
    desk.until("newer lines come", |screen| screen.contains(&format!("line {} of the log", first + 12)));

    // Back to the error: the stream is held there until it is followed again.
    desk.press_see("E", "held: G follows");
    desk.press_see("Enter", " Log line ");
    desk.see("ERROR no space left on device");
    desk.press("Esc");
    desk.miss(" Log line ");
    desk.press_see("y", "copied: ERROR no space left on device");
    desk.press_see("G", "· following");
    desk.press_see("/", "enter keeps");
    desk.write(&format!("source={}", failing.name()));
    desk.press("Enter");
    desk.miss("of the log");
    desk.see("begin");
    desk.press("Esc");
    desk.read(r"line (\d+) of the log");
    logger.stop();
    desk.see("1 container · following");
}

#[test]
fn a_container_that_ended_for_good_is_critical_until_it_runs_again() {
    let Some(engine) = bed::engine() else { return };
    let share = Share::of(&engine);
    let worker = engine.run("worker", |spec| {
        spec.shell("if [ -e /tmp/once ]; then exec sleep inf; fi; touch /tmp/once; exit 3")
            .restart(Restart::OnFailure(1))
    });
    let done = faults::completed(&engine);
    let exhausted = faults::retries_exhausted(&engine);
    let mut desk = open(&share);
    desk.until("the one that is down is named", |screen| {
        screen.rows().any(|row| row.contains(&format!("✖ {}", exhausted.name())) && row.contains("since"))
    });
    desk.see("exit code 7");
    for innocent in [worker.name(), done.name()] {
        assert!(!desk.screen().contains(&format!("✖ {innocent}")), "{}", desk.screen());
    }
    drop(exhausted);
    desk.see("nothing needs you");
}

/// A port of loopback that is free.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Whether a web server answers at this port.
fn answers(port: u16) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer.starts_with("HTTP/1."))
    };
    ask().unwrap_or(false)
}

#[test]
fn a_server_behind_a_published_port_is_shown_in_its_container() {
    let Some(engine) = bed::engine() else { return };
    let share = Share::of(&engine);
    let port = free_port();
    let models = r#"{"data":[{"id":"tiny","owned_by":"vllm","max_model_len":512}]}"#;
    let serve = format!("mkdir -p /w/v1; echo '{models}' >/w/v1/models; exec busybox httpd -f -p 8000 -h /w");
    let server = engine.run("vllm", |spec| spec.publish(port, 8000).shell(&serve));
    bed::wait_until(DEADLINE, "the server answers", || answers(port).then_some(()));
    let home = Home::new().engine(share.endpoint()).among(&[port]).args(["--tab", "models"]);
    let mut desk = home.open();
    desk.see(&format!("▾ vLLM :{port}  in {}", server.name()));
    desk.see("tiny");
}
