//! What `i` shows: everything the engine says of a container, narrowed by a search, and never a secret. First with a made-up
//! answer, then through the program beside the private engine.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use hostler::domain::{ContainerId, Failure, Inspection, InspectionLine};
use hostler::host::{Candidate, DockerClient, Standing};
use hostler::store::State;
use hostler::ui::command::Command;
use hostler::ui::list::{ListId, RowKey};
use hostler::ui::tabs::TabId;
use hostler::ui::{Intent, Ui};
use tokio::runtime::Builder;

use crate::bed::{self, Share};
use crate::make::{Script, container, container_id};
use crate::screen::Home;
use crate::views;

fn line(depth: usize, label: &str, value: &str) -> InspectionLine {
    InspectionLine { depth, label: label.to_owned(), value: value.to_owned() }
}

fn said() -> Inspection {
    let mut lines = vec![
        line(0, "Config:", ""),
        line(1, "Env:", ""),
        line(2, "-", "PATH=/usr/bin"),
        line(2, "-", "DB_PASSWORD=***"),
        line(1, "Labels:", "{}"),
        line(0, "HostConfig:", ""),
        line(1, "Memory:", "536870912"),
    ];
    lines.extend((0..60).map(|number| line(1, &format!("Field{number}:"), "x")));
    Inspection { lines, cut: false }
}

/// A screen with the cursor on `web`, which has just been asked about.
fn asked(size: (u16, u16)) -> (Ui, State) {
    let mut script = Script::new();
    script.at(1).docker([container("web")]);
    let mut ui = views::ui(TabId::Containers, size, views::role_theme());
    ui.list_mut(ListId::Containers).selected = Some(RowKey::Container(container_id("web")));
    let intents = ui.command(Command::Inspect, &script.state, script.state.now);
    assert_eq!(intents, [Intent::Inspect(container_id("web"))]);
    (ui, script.state)
}

fn press(ui: &mut Ui, state: &State, code: KeyCode) {
    ui.key(KeyEvent::new(code, KeyModifiers::NONE), state, state.now);
}

fn text(ui: &Ui, state: &State) -> String {
    views::text_of(&views::drawn(ui, state))
}

#[test]
fn it_says_that_it_asks_then_what_was_answered_or_why_not() {
    let (mut ui, state) = asked((160, 48));
    assert!(text(&ui, &state).contains("asking the container engine"));
    ui.inspected(&container_id("other"), Ok(None));
    assert!(text(&ui, &state).contains("asking the container engine"), "somebody else's answer");
    ui.inspected(&container_id("web"), Err(Failure::failed("/run/docker.sock does not answer")));
    assert!(text(&ui, &state).contains("/run/docker.sock does not answer"));
    ui.inspected(&container_id("web"), Ok(Some(said())));
    views::named("inspect-160x48", &views::drawn(&ui, &state));
}

#[test]
fn a_search_keeps_what_it_finds_with_what_stands_around_it() {
    let (mut ui, state) = asked((80, 24));
    ui.inspected(&container_id("web"), Ok(Some(said())));
    press(&mut ui, &state, KeyCode::End);
    for key in "/passw".chars() {
        press(&mut ui, &state, KeyCode::Char(key));
    }
    views::named("inspect-search-80x24", &views::drawn(&ui, &state));
    press(&mut ui, &state, KeyCode::Enter);
    let drawn = text(&ui, &state);
    assert!(drawn.contains("DB_PASSWORD=***") && drawn.contains("Config:") && !drawn.contains("Memory:"), "{drawn}");
    press(&mut ui, &state, KeyCode::Esc);
    assert!(text(&ui, &state).contains("Labels:"), "the search is gone, the popup is not");
    press(&mut ui, &state, KeyCode::Esc);
    assert!(ui.popup.is_none());
}

/// A container whose secrets all read `tiger`.
fn with_secrets(engine: &bed::Engine) -> bed::Container {
    engine.run("secretive", |spec| {
        spec.label("app.token", "tiger-label").with(|body| {
            body.env = Some(
                ["DB_PASSWORD=tiger lily", "URL=postgres://u:tiger@db/x", "PLAIN=zebra"].map(str::to_owned).into(),
            );
            body.cmd =
                Some(["sh", "-c", "exec sleep inf", "--api-key", "tiger", "--token=tiger"].map(str::to_owned).into());
        })
    })
}

#[test]
fn no_secret_leaves_the_port_of_the_engine() {
    let Some(engine) = bed::engine() else { return };
    let secretive = with_secrets(&engine);
    let place = Candidate {
        endpoint: engine.endpoint().to_owned(),
        because: "the test names it".to_owned(),
        named: true,
        standing: Standing::Exists,
        group: None,
    };
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let id = ContainerId::from(secretive.id());
    let (told, none) = runtime.block_on(async {
        let client = DockerClient::connect(&place).await.unwrap();
        (client.describe(&id).await.unwrap().unwrap(), client.describe(&"0".repeat(64).as_str().into()).await.unwrap())
    });
    assert_eq!(none, None);
    let text: Vec<_> = told.lines.iter().map(|line| format!("{} {}", line.label, line.value)).collect();
    let text = text.join("\n");
    assert!(!text.contains("tiger"), "{text}");
    for kept in ["DB_PASSWORD=***", "postgres://***@db/x", "PLAIN=zebra", "app.token: ***", "RestartCount: 0"] {
        assert!(text.contains(kept), "{kept} is not in {text}");
    }
}

#[test]
fn the_program_shows_it_beside_a_real_engine() {
    let Some(engine) = bed::engine() else { return };
    let share = Share::of(&engine);
    let secretive = with_secrets(&engine);
    let mut desk = Home::new().engine(share.endpoint()).args(["--tab", "containers"]).open();
    desk.see(secretive.name());
    desk.press("j");
    let title = format!(" inspect {} ", secretive.name());
    desk.press_see("i", &title);
    desk.see("AppArmorProfile:");
    desk.press_see("/", " /_ ");
    desk.write("password");
    desk.see("DB_PASSWORD=***");
    desk.miss("AppArmorProfile:");
    assert!(!desk.screen().contains("tiger"));
    desk.press("Enter");
    desk.press("Esc");
    desk.see("AppArmorProfile:");
    desk.press("Esc");
    desk.miss(&title);
    share.hang();
    desk.press_see("i", "asking the container engine");
    desk.see("look at the engine's own log");
    desk.press("Esc");
    desk.miss(&title);
    share.answer_again();
    desk.press_see("i", "AppArmorProfile:");
}
