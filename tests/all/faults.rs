//! Faults around the screen: what hangs, goes or may not be opened costs its own panel, which says why, and nothing
//! else. And bad input: what is wrong with a config is told with its place, and changes nothing that runs.

mod foreign;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};

use serde_json::{Value, json};

use crate::bed::{self, Share};
use crate::gpu::{Double, ready};
use crate::pty::{Ending, Screen, Term};
use crate::screen::{Desk, Home, LOUD, PROMPT, QUIET, TABS};

/// The dots of the graphs.
fn dots(screen: &Screen) -> String {
    screen.text().chars().filter(|character| ('\u{2801}'..='\u{28ff}').contains(character)).collect()
}

/// Whatever hangs: the host is read on, and keys are answered.
#[track_caller]
fn assert_all_else_lives(desk: &mut Desk) {
    desk.press_see("1", TABS[0].1);
    desk.read(r"  cpu (\d+%)");
    desk.read(r"  ram (\d+%)");
    let before = dots(desk.screen());
    desk.until("the graphs of the host go on", |screen| dots(screen) != before);
    for (key, heading) in TABS {
        desk.press(key);
        if let Err(why) = desk.within(PROMPT, |screen| screen.contains(heading)) {
            panic!("{key} is not answered: {why}");
        }
    }
}

#[test]
fn an_engine_that_never_answers_costs_its_own_panel() {
    let socket = bed::hung_unix_socket();
    let port = bed::hung_tcp();
    for hung in [&socket, &port] {
        let mut home = Home::new().engine(hung.endpoint());
        if hung.endpoint().starts_with("tcp") {
            home = home.among(&[]);
        }
        let mut desk = home.open();
        // Before it is given up.
        desk.press_see("2", "asking the container engine");
        desk.press_see("1", TABS[0].1);
        // And after.
        desk.press_see("2", &format!("{} accepts connections and does not answer", hung.endpoint()));
        desk.see("look at the engine's own log, `journalctl -u docker`");
        desk.see("containers not read");
        desk.see("? unknown: something could not be read");
        assert_all_else_lives(&mut desk);
        desk.press("q");
        assert!(desk.end().is_clean());
    }
}

#[test]
fn an_engine_that_begins_to_hang_is_stale_with_the_reason() {
    let Some(engine) = bed::engine() else { return };
    let share = Share::of(&engine);
    let _web = engine.run("web", |spec| spec.compose("shop", "web"));
    let mut desk = Home::new().engine(share.endpoint()).args(["--tab", "containers"]).open();
    desk.see("● web ");
    desk.see("containers 1/1");
    share.hang();
    desk.read(&format!(r"stale (\d+) s: {} accepts connections and does not answer", share.endpoint()));
    // The last list stays, marked with its age.
    desk.see("● web ");
    desk.see("containers stale");
    assert_all_else_lives(&mut desk);
    share.answer_again();
    desk.press("2");
    desk.see("containers 1/1");
    desk.miss("accepts connections and does not answer");
}

#[test]
fn an_engine_that_goes_is_missed_and_seen_again() {
    let Some(engine) = bed::engine() else { return };
    let mut share = Share::of(&engine);
    let _first = engine.run("first", |spec| spec.compose("shop", "first"));
    let mut desk = Home::new().engine(share.endpoint()).args(["--tab", "containers"]).open();
    desk.see("● first ");
    share.go();
    desk.read(r"stale (\d+) s: unix:.*: nobody listens, so the engine does not run");
    desk.see("● first ");
    assert_all_else_lives(&mut desk);
    let _second = engine.run("second", |spec| spec.compose("shop", "second"));
    share.come_back();
    desk.press_see("2", "2 of 2 running");
    desk.see("● second ");
}

/// A script of the double in which a reading of its first card hangs.
fn hanging(script: &Value) -> Value {
    let mut script = script.clone();
    script["gpus"][0]["hang"] = json!(["temperature"]);
    script
}

#[test]
fn a_driver_that_hangs_costs_its_own_panel() {
    let script = ready("two-busy.json");
    let Some(double) = Double::new(&script) else { return };
    let mut desk = Home::new().env("HOSTLER_NVML_LIBRARY", double.library()).open();
    desk.see("── gpu0  RTX 4090 ──");
    desk.read(r"  gpu (\d+%) \d+°C");
    double.rewrite(&hanging(&script));
    desk.read(r"stale (\d+) s: ");
    desk.see("gpu stale");
    // What was last read stays, marked with its age.
    desk.see("── gpu0  RTX 4090 ──");
    assert_all_else_lives(&mut desk);
    double.rewrite(&script);
    desk.press("1");
    desk.read(r"  gpu (\d+%) \d+°C");
    desk.miss("stale");

    double.rewrite(&hanging(&script));
    desk.see("gpu stale");
    desk.press("q");
    assert!(desk.end().is_clean());
}

#[test]
fn a_driver_that_hangs_from_the_start_holds_nothing_up() {
    let Some(double) = Double::new(&json!({"init": "hang"})) else { return };
    let mut desk = Home::new().env("HOSTLER_NVML_LIBRARY", double.library()).open();
    desk.read(r"  cpu (\d+%)");
    desk.see("no answer within");
    assert_all_else_lives(&mut desk);
}

/// The user and group that everybody may become and that may nothing.
const NOBODY: &str = "65534";

#[test]
fn a_socket_that_may_not_be_opened_says_how_to_get_the_right() {
    let home = Home::new();
    let socket = home.path().join("docker.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, PermissionsExt::from_mode(0o600)).unwrap();
    let mut home = home.engine(format!("unix://{}", socket.display())).among(&[]);
    if rustix::process::geteuid().is_root() {
        // Root may open anything, so the program is run by nobody, from where nobody can reach it.
        fs::copy(bed::hostler(), home.path().join("hostler")).unwrap();
        fs::create_dir(home.state()).unwrap();
        for folder in [home.path().to_owned(), home.state()] {
            fs::set_permissions(folder, PermissionsExt::from_mode(0o777)).unwrap();
        }
        home = home.through(["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--"]);
        let set = std::process::Command::new("setpriv").args(["--reuid", NOBODY, "true"]).status();
        if !set.is_ok_and(|status| status.success()) {
            return bed::left_out("nobody may not run programs here");
        }
    } else {
        fs::set_permissions(&socket, PermissionsExt::from_mode(0o000)).unwrap();
        if UnixStream::connect(&socket).is_ok() {
            return bed::left_out("this user may open anything");
        }
    }
    let mut desk = home.open();
    desk.press_see("2", &format!("this user may not open {}", socket.display()));
    desk.until("the remedy is told", |screen| {
        screen.contains("only root may: run `sudo hostler`") || screen.contains("`sudo usermod -aG ")
    });
    desk.see("containers no permission");
    // A lack of rights is no fault of the box.
    desk.see("nothing needs you");
    assert_all_else_lives(&mut desk);
    desk.press("q");
    assert!(desk.end().is_clean());
}

#[test]
fn long_lines_do_not_stop_the_stream() {
    let Some(engine) = bed::engine() else { return };
    let share = Share::of(&engine);
    // An empty line after it: engine 20.10 forgets the end of a line longer than its buffer of 16 KiB.
    let script = "echo before; head -c 1048576 /dev/zero | tr '\\0' x; printf '\\n\\n'; \
                  i=0; while :; do i=$((i+1)); echo after $i; sleep 0.2; done";
    let drivers = ["json-file", "local"];
    let _writers =
        drivers.map(|driver| engine.run(driver, |spec| spec.log_driver(driver).compose("logs", driver).shell(script)));
    let mut desk = Home::new().engine(share.endpoint()).args(["--tab", "logs"]).open();
    desk.see("2 containers · following");
    for driver in drivers {
        let read = |desk: &mut Desk| desk.read(&format!(r" {driver} +after (\d+)")).parse::<u32>().unwrap();
        let first = read(&mut desk);
        desk.until("more lines come", |screen| {
            screen.rows().any(|row| row.contains(driver) && row.ends_with(&format!(" after {}", first + 5)))
        });
    }
    desk.press_see("/", "enter keeps");
    desk.write("xxxxxxxxxxxx");
    desk.press("Enter");
    desk.until("the long line is cut", |screen| screen.rows().any(|row| row.ends_with("xxxx…")));
    desk.press_see("k", "held: G follows");
    desk.press_see("Enter", " Log line ");
    assert_all_else_lives(&mut desk);
}

#[test]
fn a_config_that_cannot_be_used_is_told_before_the_terminal_is_taken() {
    let home = Home::new().configured("[ui]\nglyphs = \"auto\"\nthem = \"dark\"\n");
    let mut term = Term::start(&home.spec()).unwrap();
    let report = term.wait_exit(bed::DEADLINE).unwrap();
    assert_eq!(report.status, Ending::Code(78), "{report:?}");
    assert!(report.is_clean(), "{report:?}");
    assert!(!term.has_written(b"\x1b"), "the terminal was touched");
    let screen = term.screen().text().replace('\n', "");
    assert!(screen.contains(&format!("{}:3:1: ", home.config().display())), "{screen}");
    assert!(screen.contains("them") && screen.contains("theme"), "what is allowed: {screen}");
}

#[test]
fn a_broken_config_changes_nothing_that_runs() {
    let freeze_is_x = format!("{QUIET}[keys]\nfreeze = \"X\"\n");
    let home = Home::new().configured(&freeze_is_x);
    let mut desk = home.open();
    desk.see("X freeze");
    home.write_config("[keys]\nfreeze = \"q\"\n");
    desk.command("read the config again");
    desk.see(&format!("the old config stays: {}:2:", home.config().display()));
    desk.see("nothing needs you");
    desk.press_see("X", "FROZEN");
    desk.press("X");
    desk.miss("FROZEN");

    fs::remove_file(home.config()).unwrap();
    desk.command("read the config again");
    desk.see("the old config stays: ");
    desk.miss("the old config stays: ");
    desk.see("X freeze");

    // A good one counts at once: keys, limits, colours.
    let name = "hostler";
    let dark = desk.look(name);
    home.write_config(&format!("{LOUD}[keys]\nfreeze = \"F\"\n[ui]\ntheme = \"light\"\n"));
    // F5
    desk.write("\x1b[15~");
    desk.see("the config was read again");
    desk.see("▲ 1 warning");
    assert_ne!(desk.look(name), dark);
    desk.press_see("F", "FROZEN");
}

#[test]
fn what_cannot_be_recorded_is_not_said_to_be() {
    let home = Home::new();
    fs::write(home.state(), "a file, and no folder").unwrap();
    let mut desk = home.open();
    desk.read(r"  cpu (\d+%)");
    desk.press_see("N", " Note ");
    desk.write("lost");
    desk.see("lost_");
    desk.press_see("Enter", "not recorded: ");
    desk.press_see("2", TABS[1].1);
    desk.press("q");
    assert!(desk.end().is_clean());
}
