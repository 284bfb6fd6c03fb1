//! The client itself: what it sends, and how it words what goes wrong.

use hostler::host::{Http, HttpError, Origin};
use tokio::runtime::Builder;

use super::double::{Double, Reply, answer};

#[test]
fn http_failures_are_told_in_words() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let http = Http::default();
    let ask = |double: &Double| {
        let origin = Origin::new(double.address()).unwrap();
        runtime.block_on(http.get(origin, "/x?y=1"))
    };
    let broken = Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec());
    let endless_head = Reply::Endless(b"HTTP/1.1 200 OK\r\nA: b\r\n".to_vec());
    for (reply, error) in [
        (Reply::Silence, HttpError::NoAnswer(Http::TOTAL)),
        (Reply::Close, HttpError::Closed),
        (Reply::Bytes(b"-ERR unknown command\r\n".to_vec()), HttpError::NotHttp),
        (endless_head, HttpError::NotHttp),
        (broken, HttpError::BrokeOff),
        (Reply::Endless(b"HTTP/1.1 200 OK\r\n\r\nxxxxxxxxxxxxxxxx".to_vec()), HttpError::TooLarge(Http::BODY_BYTES)),
    ] {
        let shown = format!("{reply:?}");
        assert_eq!(ask(&Double::new(reply)).unwrap_err(), error, "{}", &shown[..shown.len().min(80)]);
    }
    let gone = Double::new(Reply::Close).address();
    let refused = runtime.block_on(http.get(Origin::new(gone).unwrap(), "/"));
    assert_eq!(refused.unwrap_err(), HttpError::Refused);

    let server = Double::new(answer("503 Service Unavailable", "{\"a\":1}"));
    let answer = ask(&server).unwrap();
    assert_eq!((answer.status, answer.text().as_ref()), (503, "{\"a\":1}"));
    assert_eq!(answer.success().unwrap_err().to_string(), "status 503");
    assert!(matches!(answer.json::<Vec<u8>>(), Err(HttpError::NotUnderstood(_))));
}

#[test]
fn http_requests_are_plain() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let server = Double::new(answer("302 Found\r\nLocation: http://127.0.0.1:1/", ""));
    let origin = Origin::new(server.address()).unwrap();
    let http = Http::default();
    let answer = runtime.block_on(http.post(origin, "/api/generate", &[1, 2], Http::TOTAL)).unwrap();
    assert_eq!(answer.status, 302, "not followed");
    let request = server.last_request().to_lowercase();
    assert!(request.starts_with("post /api/generate http/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("\r\nuser-agent: hostler/{}\r\n", env!("CARGO_PKG_VERSION"))), "{request}");
    assert!(request.contains("\r\ncontent-type: application/json\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n[1,2]"), "{request}");
}
