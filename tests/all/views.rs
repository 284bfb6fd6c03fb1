//! Every tab as text and as roles, at 160×48 and 80×24, in four states of the box and with foreign text: what is drawn is
//! compared with `snapshots/`. The role snapshot has a letter a cell, because a picture in text shows no colours.
//!
//! To accept a change after having looked at it: `INSTA_UPDATE=always tests/run views`.

mod models;
mod plan;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use hostler::checks;
use hostler::domain::{Container, DockerDisk, DockerVolume, Event, Failure, Image, Moment, Sample, SourceId};
use hostler::sources::demo;
use hostler::store::{SourceState, Sources, State};
use hostler::ui::command::Command;
use hostler::ui::glyph::{ASCII, UNICODE};
use hostler::ui::keymap::Keymap;
use hostler::ui::list::{ListId, RowKey};
use hostler::ui::popups::{Detail, Popup};
use hostler::ui::tabs::TabId;
use hostler::ui::theme::{Depth, Role, Theme};
use hostler::ui::{Setup, Ui, screen};
use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use ratatui::style::Color;
use strum::IntoEnumIterator;

use crate::make;

/// Makes a box.
type Make = fn() -> State;

/// The states of the box in which every tab is drawn.
const STATES: &[(&str, Make)] =
    &[("waiting", waiting), ("healthy", healthy), ("findings", findings), ("failed", failed), ("foreign", foreign)];

const SIZES: &[(u16, u16)] = &[(160, 48), (80, 24)];

/// A box that nothing was read of yet.
fn waiting() -> State {
    let mut sources = Sources::default();
    for id in SourceId::iter() {
        sources.expect(id, SourceState::waiting(Duration::from_secs(1_000), true));
    }
    State::new(make::moment(1_000), Arc::default(), sources)
}

/// The made-up box at a second of its play, with its past.
fn played(second: u64) -> State {
    let mut state = waiting();
    for past in second.saturating_sub(300)..=second {
        let at = make::moment(1_000 + past - second.saturating_sub(300));
        // The journal and the engine's memory come first, whatever the second is.
        if past == second.saturating_sub(300) && past > 0 {
            for event in demo::events(0, at) {
                state.apply(event);
            }
        }
        for event in demo::events(past, at) {
            state.apply(event);
        }
    }
    assessed(state)
}

fn assessed(mut state: State) -> State {
    let at = state.now;
    for at in [at, Moment { mono: at.mono + Duration::from_mins(2), wall: at.wall }] {
        let (observations, unassessed) = checks::assess(&state, at);
        state.apply(Event::Assessed { observations, unassessed, at });
    }
    let today = TimeZone::UTC.to_datetime(state.now.wall).date();
    let standings = checks::standings(&state, state.now, today);
    state.apply(Event::Routine(standings));
    state
}

/// A quiet moment: nothing dies, and the disk was accepted.
fn healthy() -> State {
    let mut state = waiting();
    let at = make::moment(1_000);
    let remembered = demo::events(0, at).into_iter().filter(|event| matches!(event, Event::ImagesSeen(_)));
    for event in remembered.chain(demo::events(280, at)).chain(demo::events(250, at)) {
        match event {
            Event::Sampled { sample: Sample::Volumes(_), .. } | Event::Docker { .. } => {}
            Event::Sampled { sample: Sample::Docker(docker), detail, at } => {
                let mut docker = (*docker).clone();
                for container in &mut docker.containers {
                    *container = Container { last_exit: None, restart_count: 0, ..(**container).clone() }.into();
                }
                drop(state.apply(Event::Sampled { sample: Sample::Docker(docker.into()), detail, at }));
            }
            event => drop(state.apply(event)),
        }
    }
    state.apply(Event::Sampled {
        sample: Sample::Volumes(vec![make::volume("/", 0.62), make::volume("/models", 0.48)].into()),
        detail: "2 file systems".to_owned(),
        at,
    });
    assessed(state)
}

/// A worker dies again and again, a sandbox is unhealthy, a disk is full.
fn findings() -> State {
    played(300 + 90)
}

/// Every source was read once and fails now.
fn failed() -> State {
    let mut state = played(300 + 90);
    let at = make::moment(1_400);
    for id in SourceId::iter() {
        let failure = Failure::failed("no answer within 5 s").remedy("is it running?");
        state.apply(Event::SourceFailed { source: id, failure, at });
    }
    assessed(state)
}

/// Long and wide names, as they come out of the stripping of foreign text.
fn foreign() -> State {
    let mut script = make::Script::new();
    let hostile = |text: &str| hostler::host::foreign::name(text);
    let names = [
        hostile("\u{1b}[31mred\u{1b}]52;c;ZXZpbA==\u{7}-worker"),
        hostile("数据库-很长的名字-很长的名字-很长的名字-很长的名字"),
        hostile("admin\u{202e}gpj.exe\u{2066}"),
        hostile(&"very-long-name-".repeat(20)),
        hostile("emoji-👩‍👩‍👧-é-ß"),
    ];
    script.at(1).docker(names.iter().map(|name| make::container(name)));
    let users: Vec<Arc<str>> = names.iter().map(|name| name.as_str().into()).collect();
    script.disk(DockerDisk {
        images: names.iter().map(|name| Image { users: users.clone(), ..make::image(name) }).collect(),
        volumes: names.iter().map(|name| DockerVolume { users: users.clone(), ..make::docker_volume(name) }).collect(),
        networks: names.iter().map(|name| make::docker_network(name)).collect(),
        ..DockerDisk::default()
    });
    script.memory(0.4).volumes([("/mnt/ünïcode-ディスク", 0.05), ("/", 0.5)]);
    for name in &names {
        script.log(
            name,
            hostler::domain::LogLevel::Error,
            &hostile("GET \u{9b}2J/\u{90}q#0\u{9c}path Ｆｕｌｌｗｉｄｔｈ \u{200b}text"),
        );
    }
    assessed(script.state)
}

/// A theme in which every role is a colour of its own, so that roles can be read back from cells.
pub(crate) fn role_theme() -> Theme {
    let mut file = String::from("[roles]\n");
    for (number, role) in Role::iter().enumerate() {
        let name: &str = role.into();
        let look = match role {
            Role::Selection | Role::Bar => format!("{{ bg = \"{number}\" }}"),
            _ => format!("\"{number}\""),
        };
        writeln!(file, "{name} = {look}").unwrap();
    }
    Theme::parse("roles", &file, Depth::True).unwrap()
}

pub(crate) fn ui(tab: TabId, size: (u16, u16), theme: Theme) -> Ui {
    let setup = Setup {
        keymap: Keymap::with([]).unwrap(),
        theme,
        depth: Depth::True,
        glyphs: &UNICODE,
        zone: TimeZone::UTC,
        tab,
        mouse: true,
        read_only: false,
        demo: false,
        aliases: Vec::new(),
    };
    Ui::new(setup, Size { width: size.0, height: size.1 })
}

pub(crate) fn drawn(ui: &Ui, state: &State) -> Buffer {
    let mut buffer = Buffer::empty(Rect { x: 0, y: 0, width: ui.size.width, height: ui.size.height });
    screen::view(&mut buffer, &ui.scene(state, state.now));
    buffer
}

pub(crate) fn text_of(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut skip = 0;
        for x in 0..buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            if skip == 0 {
                line.push_str(symbol);
                skip = unicode_width::UnicodeWidthStr::width(symbol).saturating_sub(1);
            } else {
                skip -= 1;
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A letter for the role of each cell's text, upper case on the selection, `.` where nothing is written.
fn roles_of(buffer: &Buffer) -> String {
    let number = |colour: Color| match colour {
        Color::Indexed(number) => Some(number),
        _ => None,
    };
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        for x in 0..buffer.area.width {
            let cell = &buffer[(x, y)];
            let selected = number(cell.bg) == Some(Role::Selection as u8);
            line.push(match number(cell.fg) {
                _ if cell.symbol() == " " => {
                    if selected {
                        '_'
                    } else {
                        '.'
                    }
                }
                Some(role) if selected => char::from(b'A' + role),
                Some(role) => char::from(b'a' + role),
                None => '?',
            });
        }
        text.push_str(line.trim_end_matches('.'));
        text.push('\n');
    }
    text
}

#[test]
fn every_tab_in_every_state_at_both_sizes() {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (name, make) in STATES {
            let state = make();
            for tab in TabId::iter() {
                for size in SIZES {
                    let word: &str = tab.into();
                    let buffer = drawn(&ui(tab, *size, role_theme()), &state);
                    let label = format!("{word}-{name}-{}x{}", size.0, size.1);
                    insta::assert_snapshot!(label.clone(), text_of(&buffer));
                    insta::assert_snapshot!(format!("{label}-roles"), roles_of(&buffer));
                }
            }
        }
    });
}

/// The views of the Containers tab beside the containers, each with its word.
const VIEWS: [(&str, ListId); 3] =
    [("images", ListId::Images), ("volumes", ListId::Volumes), ("networks", ListId::Networks)];

#[test]
fn every_view_of_what_the_engine_holds() {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (name, make) in STATES.iter().filter(|(name, _)| *name != "findings") {
            let state = make();
            for (word, list) in VIEWS {
                for size in SIZES {
                    let mut ui = ui(TabId::Containers, *size, role_theme());
                    ui.focus(list);
                    let buffer = drawn(&ui, &state);
                    let label = format!("{word}-{name}-{}x{}", size.0, size.1);
                    insta::assert_snapshot!(label.clone(), text_of(&buffer));
                    insta::assert_snapshot!(format!("{label}-roles"), roles_of(&buffer));
                }
            }
        }
    });
}

#[test]
fn details_of_what_the_engine_holds_say_whether_it_can_go() {
    let state = healthy();
    let disk = state.disk.get().unwrap();
    let image = |name: &str, dangling: bool| {
        let mut images = disk.images.iter().filter(|image| image.is_dangling() == dangling);
        RowKey::Image(images.find(|image| image.name() == name).unwrap().id.clone())
    };
    let volume = |start: &str| {
        RowKey::Volume(disk.volumes.iter().find(|volume| volume.name.starts_with(start)).unwrap().name.clone())
    };
    let network =
        |name: &str| RowKey::Network(disk.networks.iter().find(|network| &*network.name == name).unwrap().id.clone());
    for (of, told) in [
        (image("n8nio/n8n:1.118.2", false), "used by     agents-n8n-worker-1  running"),
        (image("n8nio/n8n:1.117.1", false), "roll back of agents-n8n-main-1, run 20261111-061530-7c2e"),
        (image("n8nio/n8n", true), "Its name went to a newer image"),
        (image("grafana/grafana:11.4.0", false), "not since first seen 75 d ago"),
        (image("vllm/vllm-openai:v0.31.0", false), "9.9 GiB freed if it goes"),
        (volume("3f9a"), "may hold that"),
        (volume("open-webui"), "only when that name is typed"),
        (network("host"), "The engine made it for itself"),
        (network("flowise_default"), "Nothing belongs to it: it can go."),
    ] {
        let mut ui = ui(TabId::Containers, (160, 48), role_theme());
        ui.popup = Some(Popup::Detail(Detail { of, top: 0 }));
        let text = text_of(&drawn(&ui, &state));
        assert!(text.contains(told), "{told}\n{text}");
    }
}

#[test]
fn a_narrow_title_keeps_what_is_wrong() {
    let state = findings();
    for (width, right) in [(60, ""), (70, "Mon 23 Nov"), (90, "up 41d   Mon 23 Nov")] {
        let text = text_of(&drawn(&ui(TabId::Gpu, (width, 24), role_theme()), &state));
        let title = text.lines().next().unwrap();
        assert!(title.contains("✖ 2 critical  ▲"), "{title}");
        assert_eq!((title.contains("Nov"), title.contains(right)), (!right.is_empty(), true), "{title}");
    }
}

#[test]
fn what_cannot_be_read_is_no_reason_to_say_that_all_is_well() {
    let mut script = make::Script::new();
    script.at(0);
    for id in SourceId::iter() {
        script.failure(id, Failure::unsupported("there is none"));
    }
    script.failed(SourceId::Docker, "/run/docker.sock: no answer within 5 s");
    for (size, line) in [((160, 48), 4), ((80, 24), 3), ((59, 14), 1)] {
        let text = text_of(&drawn(&ui(TabId::Gpu, size, role_theme()), &script.state));
        let told = text.lines().nth(line).unwrap();
        assert!(told.contains("docker: /run/docker.sock") && !told.contains('✔'), "{text}");
    }
}

#[test]
fn any_size_from_one_cell_is_drawn_without_a_panic() {
    let state = findings();
    for tab in TabId::iter() {
        for width in (1..=170).step_by(7).chain([59, 60, 61, 79, 80, 109, 110, 111, 119, 120, 130, 250]) {
            for height in (1..=50).step_by(3).chain([14, 15, 16, 19, 20, 29, 30, 80]) {
                drawn(&ui(tab, (width, height), role_theme()), &state);
                for (_, list) in VIEWS.iter().filter(|_| tab == TabId::Containers) {
                    let mut ui = ui(tab, (width, height), role_theme());
                    ui.focus(*list);
                    drawn(&ui, &state);
                }
            }
        }
    }
}

#[test]
fn nothing_foreign_reaches_a_cell() {
    let state = foreign();
    for tab in TabId::iter() {
        let text = text_of(&drawn(&ui(tab, (160, 48), role_theme()), &state));
        let bad = text.chars().find(|character| {
            (character.is_control() && *character != '\n') || ('\u{202a}'..='\u{202e}').contains(character)
        });
        assert_eq!(bad, None, "{tab:?}");
    }
}

#[test]
fn an_ascii_terminal_gets_ascii() {
    for (name, make) in STATES {
        let state = make();
        for tab in TabId::iter() {
            let mut ui = ui(tab, (160, 48), Theme::builtin("mono", Depth::None).unwrap());
            ui.setup.glyphs = &ASCII;
            let text = text_of(&drawn(&ui, &state));
            let other = text.chars().find(|character| !character.is_ascii());
            assert_eq!(other, None, "{tab:?}, {name}");
            for (word, list) in VIEWS.iter().filter(|_| tab == TabId::Containers) {
                ui.focus(*list);
                let text = text_of(&drawn(&ui, &state));
                let other = text.chars().find(|character| !character.is_ascii());
                assert_eq!(other, None, "{word}, {name}");
            }
        }
    }
}

#[test]
fn state_is_never_told_by_colour_alone() {
    // Without any colour the text still names what is wrong.
    let state = findings();
    let text = text_of(&drawn(&ui(TabId::Containers, (160, 48), Theme::builtin("mono", Depth::None).unwrap()), &state));
    assert!(text.contains("✖ 2 critical"), "{text}");
    assert!(text.contains("✖ n8n-worker"), "{text}");
}

/// The made-up box with the cursor on the worker that dies.
fn on_the_worker(size: (u16, u16), state: &State) -> Ui {
    let mut ui = ui(TabId::Containers, size, role_theme());
    let worker = state.containers().iter().find(|container| container.name.ends_with("n8n-worker-1")).unwrap();
    ui.list_mut(ListId::Containers).selected = Some(RowKey::Container(worker.id.clone()));
    ui
}

pub(crate) fn named(name: &str, buffer: &Buffer) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text_of(buffer)));
}

#[test]
fn a_dying_container_is_explained_beside_the_list_and_in_its_detail() {
    let state = findings();
    let beside = on_the_worker((160, 48), &state);
    named("crash-beside-160x48", &drawn(&beside, &state));
    for size in SIZES {
        let mut open = on_the_worker(*size, &state);
        open.command(Command::Open, &state, state.now);
        named(&format!("crash-detail-{}x{}", size.0, size.1), &drawn(&open, &state));
    }
}
