//! What registries ask for and how they refuse, played by a double.

use std::sync::atomic::{AtomicUsize, Ordering};

use hostler::domain::FaultKind;
use hostler::host::Tags;

use super::Client;
use crate::bed::{Asked, Reply, registry_double};

const DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

/// The manifest, with its digest in the head.
fn manifest() -> Reply {
    Reply::new(200, "{}").with(format!("Docker-Content-Digest: {DIGEST}"))
}

/// A registry that wants a token from itself, which it gives to whoever `knows`.
fn with_tokens(knows: impl Fn(&Asked) -> bool + Send + Sync + 'static) -> crate::bed::RegistryDouble {
    registry_double(move |asked| {
        let host = asked.header("host");
        match asked.path.split('?').next().unwrap() {
            "/token" if knows(asked) => Reply::new(200, "{\"access_token\": \"t0ken\", \"expires_in\": 60}"),
            "/token" => Reply::new(401, ""),
            _ if asked.header("authorization") == "Bearer t0ken" => manifest(),
            _ => Reply::new(401, "").with(format!(
                "WWW-Authenticate: Bearer realm=\"http://{host}/token\",service=\"double\",scope=\"repository:a/b:pull\""
            )),
        }
    })
}

fn config(host: &str, stored: &str) -> String {
    format!("{{\"auths\": {{\"{host}\": {stored}}}}}")
}

#[test]
fn a_token_is_fetched_without_an_account() {
    let double = with_tokens(|asked| asked.header("authorization").is_empty());
    let reference = format!("{}/a/b:1", double.host());
    assert_eq!(Client::new().digest(&reference).as_deref(), Ok(DIGEST));
    let asked = double.asked();
    let lines: Vec<String> = asked.iter().map(|asked| format!("{} {}", asked.method, asked.path)).collect();
    let token = "GET /token?service=double&scope=repository%3Aa%2Fb%3Apull";
    assert_eq!(lines, ["HEAD /v2/a/b/manifests/1", token, "HEAD /v2/a/b/manifests/1"]);
    for kind in ["oci.image.index.v1+json", "manifest.list.v2+json", "oci.image.manifest.v1+json", "manifest.v2+json"] {
        assert!(asked[2].header("accept").contains(kind), "{:?}", asked[2]);
    }
}

#[test]
fn credentials_of_the_docker_command_are_used_and_never_shown() {
    // "jo:s3cret"
    let pair = "am86czNjcmV0";
    let double = with_tokens(move |asked| asked.header("authorization") == format!("Basic {pair}"));
    let reference = format!("{}/a/b:1", double.host());
    let good = config(&double.host(), &format!("{{\"auth\": \"{pair}\"}}"));
    assert_eq!(Client::with_config(&good).digest(&reference).as_deref(), Ok(DIGEST));

    let (kind, what) = Client::new().fault(&reference);
    assert_eq!(kind, FaultKind::Denied);
    assert!(what.contains("gives no token"), "{what}");
    let wrong = config(&double.host(), "{\"username\": \"jo\", \"password\": \"wr0ng\"}");
    let (kind, what) = Client::with_config(&wrong).fault(&reference);
    assert_eq!(kind, FaultKind::Denied);
    assert!(what.contains("does not take the credentials") && !what.contains("wr0ng"), "{what}");
}

#[test]
fn an_identity_is_exchanged_for_a_token() {
    let double = with_tokens(|asked| {
        asked.method == "POST"
            && asked.body.contains("grant_type=refresh_token")
            && asked.body.ends_with("&refresh_token=l0ng%2Btoken")
    });
    let reference = format!("{}/a/b:1", double.host());
    let config = config(&double.host(), "{\"identitytoken\": \"l0ng+token\"}");
    assert_eq!(Client::with_config(&config).digest(&reference).as_deref(), Ok(DIGEST));
}

#[test]
fn a_password_is_given_where_it_is_asked_for() {
    let double = registry_double(|asked| match asked.header("authorization") {
        "Basic am86czNjcmV0" => manifest(),
        _ => Reply::new(401, "").with("WWW-Authenticate: Basic realm=\"x\""),
    });
    let reference = format!("{}/a/b:1", double.host());
    let good = config(&double.host(), "{\"auth\": \"am86czNjcmV0\"}");
    assert_eq!(Client::with_config(&good).digest(&reference).as_deref(), Ok(DIGEST));
    let wants = format!("{host} wants credentials for {reference}: `docker login {host}`", host = double.host());
    assert_eq!(Client::new().fault(&reference), (FaultKind::Denied, wants));
    let helper = "{\"credsStore\": \"no-such-helper-here\"}";
    let (_, what) = Client::with_config(helper).fault(&reference);
    assert!(what.ends_with("docker-credential-no-such-helper-here, which docker's config names, is not installed"));
    let (_, what) = Client::with_config("not JSON").fault(&reference);
    assert!(what.ends_with("there are none: docker's config.json is not understood"), "{what}");
}

#[test]
fn refusals_have_their_own_words() {
    for (status, header, kind, words) in [
        (403, "", FaultKind::Denied, "refuses to tell about"),
        (404, "", FaultKind::NotFound, "(any more)"),
        (429, "Retry-After: 900", FaultKind::Limited, "limits how much is asked, for 15 min more"),
        (500, "", FaultKind::Server, "failed (status 500)"),
        (503, "", FaultKind::Server, "failed (status 503)"),
        (302, "Location: http://10.0.0.1/", FaultKind::NotUnderstood, "status 302"),
        (418, "", FaultKind::NotUnderstood, "status 418"),
        (401, "", FaultKind::Denied, "wants credentials"),
        (
            200,
            "Content-Type: application/vnd.docker.distribution.manifest.v1+prettyjws",
            FaultKind::NotUnderstood,
            "old",
        ),
    ] {
        let double = registry_double(move |_| {
            let reply = Reply::new(status, "").with(format!("Docker-Content-Digest: {DIGEST}"));
            if header.is_empty() { reply } else { reply.with(header) }
        });
        let client = Client::new();
        let fault = client.digest(&format!("{}/a/b:1", double.host())).unwrap_err();
        assert_eq!(fault.kind, kind, "{status}: {fault}");
        assert!(fault.what.starts_with(&double.host()) && fault.what.contains(words), "{status}: {fault}");
        assert_eq!(fault.until.is_some(), status == 429, "{status}");
    }
}

#[test]
fn a_digest_that_is_not_told_is_worked_out() {
    // sha256 of "{}"
    let known = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    for refuses_head in [false, true] {
        let double = registry_double(move |asked| {
            Reply::new(if refuses_head && asked.method == "HEAD" { 405 } else { 200 }, "{}")
        });
        let client = Client::new();
        assert_eq!(client.digest(&format!("{}/a/b:1", double.host())).as_deref(), Ok(known));
        let methods: Vec<String> = double.asked().into_iter().map(|asked| asked.method).collect();
        assert_eq!(methods, ["HEAD", "GET"]);
    }
}

#[test]
fn an_endless_answer_is_given_up() {
    let double = registry_double(|_| Reply::Endless("x".repeat(1 << 16)));
    let fault = Client::new().tags(&format!("{}/a/b:1", double.host()), None).unwrap_err();
    assert_eq!(fault.kind, FaultKind::NotUnderstood);
    assert!(fault.what.contains("larger than 4.0 MiB"), "{fault}");
}

#[test]
fn pages_of_tags_are_followed_within_bounds() {
    let double = registry_double(|asked| {
        let link = |target: &str| format!("Link: <{target}>; rel=\"next\"");
        match asked.path.as_str() {
            "/v2/a/b/tags/list?n=1000" => Reply::new(200, "{\"tags\": [\"1.0\", \"main\"]}")
                .with(link("/v2/a/b/tags/list?last=main&n=1000"))
                .with("ETag: \"page\""),
            "/v2/a/b/tags/list?last=main&n=1000" => {
                Reply::new(200, "{\"tags\": [\"1.1\"]}").with(link("http://127.0.0.1:1/v2/a/b/tags/list?n=1"))
            }
            "/v2/endless/tags/list?n=1000" => Reply::new(200, "{}").with(link("/v2/endless/tags/list?n=1000")),
            "/v2/none/tags/list?n=1000" => Reply::new(200, "{\"tags\": null}").with("ETag: \"none\""),
            _ => Reply::new(200, "[]"),
        }
    });
    let client = Client::new();
    let tags = |repository: &str| client.tags(&format!("{}/{repository}:1", double.host()), None);
    let listed = |tags: &[&str], etag: Option<&str>| {
        Ok(Tags::Listed { tags: tags.iter().map(ToString::to_string).collect(), etag: etag.map(str::to_owned) })
    };
    // Another server's page is no page of this list, and the mark of one page is not that of all.
    assert_eq!(tags("a/b"), listed(&["1.0", "1.1"], None));
    assert_eq!(tags("none"), listed(&[], Some("\"none\"")));
    assert!(tags("endless").unwrap_err().what.contains("more than 50000 tags"));
    assert_eq!(tags("other").unwrap_err().kind, FaultKind::NotUnderstood);
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let asked = AtomicUsize::new(0);
    let double = registry_double(move |request| {
        asked.fetch_add(1, Ordering::Relaxed);
        match request.header("if-none-match") {
            "\"list\"" => Reply::new(304, ""),
            condition if condition == format!("\"{DIGEST}\"") => Reply::new(304, ""),
            _ => Reply::new(200, "{\"tags\": []}").with("ETag: \"list\""),
        }
    });
    let client = Client::new();
    let reference = format!("{}/a/b:1", double.host());
    assert_eq!(client.tags(&reference, Some("\"list\"")), Ok(Tags::Unchanged));
    let again = client.runtime.block_on(client.visit(&reference).digest(Some(DIGEST)));
    assert_eq!(again.as_deref(), Ok(DIGEST));
}

#[test]
fn pulls_that_are_left_are_spared() {
    let double = registry_double(|asked| {
        assert!(!asked.path.contains("blobs"), "nothing is pulled: {asked:?}");
        manifest().with("ratelimit-remaining: 49;w=21600")
    });
    let client = Client::new();
    let mut visit = client.visit(&format!("{}/a/b:1", double.host()));
    client.runtime.block_on(visit.digest(None)).unwrap();
    assert_eq!(visit.remaining(), Some(49));
    assert_eq!(client.runtime.block_on(visit.published("1")), Ok(None));
    assert_eq!(double.asked().len(), 1);
}
