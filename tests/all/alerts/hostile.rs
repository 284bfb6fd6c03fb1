//! Receivers that misbehave, and what a test of them says; and that no secret is ever said.

use std::fs;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{bodies, taken};
use crate::bed::{Home, free_port, hung_tcp};
use crate::engines::double::{Double, Reply, answer};

fn page(status: &str) -> Reply {
    let html = "<html>Welcome to the hotel</html>";
    Reply::Bytes(
        format!("HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{html}", html.len())
            .into_bytes(),
    )
}

fn leading_to(place: &str) -> Reply {
    Reply::Bytes(format!("HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n").into_bytes())
}

fn receiver(name: &str, kind: &str, address: SocketAddr, more: &str) -> String {
    format!(
        "[[alerts.to]]\nname = \"{name}\"\nkind = \"{kind}\"\nurl = \"http://{address}\"\ntimeout = \"1s\"\n{more}\n"
    )
}

#[test]
fn each_receiver_is_tried_and_what_came_back_is_told() {
    let endless = Reply::Endless([b"HTTP/1.1 500 Oh\r\n\r\n".as_slice(), &[b'x'; 4096]].concat());
    let endless_success = Reply::Endless([b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &[b'x'; 4096]].concat());
    let (good, hotel, huge, hung) =
        (Double::new(taken()), Double::new(page("200 OK")), Double::new(endless), hung_tcp());
    let (flood, closing, looping) = (Double::new(endless_success), Double::new(Reply::Close), Double::new(taken()));
    looping.reply_to_all(leading_to(&format!("http://{}/", looping.address())));
    let gone: SocketAddr = ([127, 0, 0, 1], free_port()).into();
    let hung: SocketAddr = hung.endpoint().trim_start_matches("tcp://").parse().unwrap();
    let topic = "topic = \"box\"";
    let receivers = [
        (receiver("good", "webhook", good.address(), ""), None),
        (receiver("page", "webhook", hotel.address(), ""), None),
        (receiver("flood", "webhook", flood.address(), ""), None),
        (receiver("manager", "alertmanager", hotel.address(), ""), Some("answers with a web page; is this the address of Alertmanager?")),
        (receiver("phone", "ntfy", hotel.address(), topic), Some("answers with a web page; is this the address of ntfy?")),
        (receiver("huge", "webhook", huge.address(), ""), Some("answers with status 500: xxxx")),
        (receiver("hung", "webhook", hung, ""), Some("no answer within 1 s")),
        (receiver("closing", "webhook", closing.address(), ""), Some("it closed the connection without an answer")),
        (receiver("looping", "ntfy", looping.address(), topic), Some("leads elsewhere (status 302), and no redirect is followed")),
        (receiver("gone", "webhook", gone, ""), Some("connection refused")),
        ("[[alerts.to]]\nname = \"none\"\nkind = \"command\"\nargv = [\"/no/such/program\"]\n".to_owned(), Some("/no/such/program: there is no such program")),
        ("[[alerts.to]]\nname = \"bad\"\nkind = \"command\"\nargv = [\"/bin/sh\", \"-c\", \"echo no >&2; exit 3\"]\n".to_owned(), Some("no, status 3")),
        ("[[alerts.to]]\nname = \"slow\"\nkind = \"command\"\ntimeout = \"1s\"\nargv = [\"/bin/sleep\", \"60\"]\n".to_owned(), Some("no answer within 1 s")),
    ];
    let config: String = receivers.iter().map(|(text, _)| text.as_str()).collect();
    let home = Home::with(&config);
    let (code, tested) = home.json(&["alert", "test", "--json"]);
    assert_eq!(code, 1);
    let tested = tested.as_array().unwrap();
    assert_eq!(tested.len(), receivers.len());
    for ((text, expected), said) in receivers.iter().zip(tested) {
        match (expected, &said["error"]) {
            (None, Value::Null) => {}
            (Some(part), Value::String(why)) => assert!(why.contains(part) && why.len() < 400, "{text}: {why}"),
            (_, found) => panic!("{text}: {found}"),
        }
        assert!(said["seconds"].as_f64().unwrap() < 30.0);
    }
    assert_eq!(looping.asked().iter().filter(|asked| *asked == "POST /").count(), 1);

    let ended = home.run(&["alert", "test", "good"]);
    assert!(ended.code == 0 && ended.out.contains("good (webhook, http://127.0.0.1:"), "{} {}", ended.out, ended.err);
    let body = bodies(&good).pop().unwrap();
    assert_eq!((&body["test"], &body["alerts"][0]["id"]), (&json!(true), &json!("alert.test")));
    home.run(&["alert", "test", "nobody"]).refused(64, "there is no receiver `nobody`; there are good, page");
    home.run(&["alert", "test", "--read-only"]).refused(4, "refused");
    Home::new().run(&["alert", "test"]).refused(1, "nobody is told");
}

/// Refuses, and says back what it was sent.
fn echo(sent: &str) -> Double {
    Double::new(answer("401 Unauthorized", &format!("bad credentials: {sent}")))
}

#[test]
fn a_secret_is_used_and_said_nowhere() {
    let files = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = files.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (token, password) = (file("token", "s3cret-token\n"), file("password", "s3cret-password"));
    let (of_token, of_variable) = (echo("s3cret-token"), echo("s3cret-variable"));
    let basic = "aG9zdGxlcjpzM2NyZXQtcGFzc3dvcmQ=";
    let (of_password, of_path) = (echo(&format!("s3cret-password {basic}")), echo("no /services/s3cret-path here"));
    let address = file("address", &format!("http://{}/services/s3cret-path\n", of_path.address()));
    let gone = file("gone", &format!("http://127.0.0.1:{}/services/s3cret-path\n", free_port()));
    let config = [
        receiver("token", "webhook", of_token.address(), &format!("token_file = \"{token}\"")),
        receiver("variable", "alertmanager", of_variable.address(), "token_env = \"TOLD_BY\""),
        receiver(
            "password",
            "webhook",
            of_password.address(),
            &format!("user = \"hostler\"\npassword_file = \"{password}\""),
        ),
        format!("[[alerts.to]]\nname = \"address\"\nkind = \"webhook\"\nurl_file = \"{address}\"\n"),
        format!("[[alerts.to]]\nname = \"gone\"\nkind = \"webhook\"\nurl_file = \"{gone}\"\n"),
        receiver("missing", "webhook", of_token.address(), "token_file = \"/no/such/file\""),
        receiver("unset", "webhook", of_token.address(), "token_env = \"NOT_SET\""),
    ];
    let home = Home::with(&config.concat());
    let mut said = String::new();
    for args in [
        &["alert", "test"][..],
        &["alert", "test", "--json"],
        &["doctor"],
        &["doctor", "--bundle"],
        &["alert", "list"],
        &["config", "print"],
    ] {
        let state = home.state();
        let args: Vec<&str> = args.iter().copied().chain(["--state-dir", state.to_str().unwrap()]).collect();
        let ended = crate::bed::Ended::of(home.command(&args).env("TOLD_BY", "s3cret-variable"));
        said += &(ended.out + &ended.err);
    }
    assert!(!said.contains("s3cret") && !said.contains(basic), "{said}");
    for part in ["status 401", "connection refused", "/no/such/file cannot be read", "the variable NOT_SET is not set"]
    {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    let has = |double: &Double, part: &str| double.requests().iter().any(|request| request.contains(part));
    assert!(has(&of_token, "authorization: Bearer s3cret-token"));
    assert!(has(&of_variable, "authorization: Bearer s3cret-variable"));
    assert!(has(&of_password, &format!("authorization: Basic {basic}")));
    assert!(of_path.asked().contains(&"POST /services/s3cret-path".to_owned()));
}

#[test]
fn the_list_tells_who_knows_and_who_waits() {
    let home = Home::with(
        "[[alerts.to]]\nname = \"phone\"\nkind = \"ntfy\"\nurl = \"https://ntfy.example\"\ntopic = \"box\"\n",
    );
    let none = home.run(&["alert", "list"]);
    assert!(none.code == 0 && none.out.starts_with("Nothing is to be told.\n"), "{}", none.out);
    let outbox = json!({"schema": 1, "host": "gpubox-01",
        "alerts": [{"id": "disk.free", "subject": "/\u{1b}[31m", "severity": "warning", "title": "15% free", "why": "", "evidence": [],
            "since": "2026-11-23T09:00:00Z", "fix": []}],
        "receivers": {"phone": {"delivery": {"failure": {"why": "connection refused", "since": "2026-11-23T09:00:00Z", "tries": 7}}}}});
    fs::create_dir_all(home.state()).unwrap();
    fs::write(home.state().join("alerts.json"), outbox.to_string()).unwrap();
    let (code, list) = home.json(&["alert", "list", "--json"]);
    assert_eq!(
        (code, &list["alerts"][0]["subject"], &list["alerts"][0]["waiting"]),
        (0, &json!("/"), &json!(["phone"]))
    );
    let text = home.run(&["alert", "list"]).out;
    assert!(text.contains("phone is to hear of it") && text.contains("(7 tries): connection refused"), "{text}");
    let doctor = home.run(&["doctor"]);
    let part = "`hostler alert test phone` tries it";
    assert!(doctor.code == 1 && doctor.out.contains(part), "{}", doctor.out);
    // What is spoilt is told with the remedy.
    fs::write(home.state().join("alerts.json"), "{\"alerts\": 7").unwrap();
    home.run(&["alert", "list"]).refused(1, "alerts.json: it cannot be understood");
    fs::write(home.state().join("alerts.json"), "{\"schema\": 2}").unwrap();
    home.run(&["alert", "list"]).refused(1, "a newer hostler wrote it");
    assert_eq!(home.run(&["doctor"]).code, 1);
}
