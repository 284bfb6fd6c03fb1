//! What is published of models, asked of a double of both registries: one that speaks as Ollama's and as Hugging Face do
//! (ollama: `server/images.go`; `huggingface_hub`: `hf_api.py`), and one that fails in every way.

use std::path::Path;
use std::time::Duration;

use hostler::domain::{FaultKind, ModelOrigin, ModelRelease, RegistryFault};
use hostler::host::sha256;

use super::Client;
use crate::bed::{Asked, RegistryDouble, Reply, registry_double};

/// A manifest as Ollama's registry serves it.
const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"sha256:aa","size":487},"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:bb","size":5225374496},{"mediaType":"application/vnd.ollama.image.template","digest":"sha256:cc","size":1723}]}"#;
const COMMIT: &str = "9216db5781bf21249d130ec9da846c4624c16137";

/// A client that asks `double` in Hugging Face's place, and is not patient.
fn client(double: &RegistryDouble) -> Client {
    let mirror = format!("http://{}", double.host());
    Client::with(|registries| {
        registries.docker_config(Path::new("/nonexistent")).hugging_face(&mirror).patience(Duration::from_millis(500))
    })
}

impl Client {
    fn models(&self, origin: &str, known: Option<&str>) -> Result<Vec<ModelRelease>, RegistryFault> {
        let origin: ModelOrigin = origin.parse().unwrap();
        self.runtime.block_on(self.open.models(&origin, known))
    }
}

fn asked(double: &RegistryDouble) -> Vec<String> {
    double.asked().iter().map(|asked| format!("{} {}", asked.method, asked.path)).collect()
}

#[test]
fn a_model_of_ollama_is_told_by_the_bytes_of_its_manifest() {
    let double = registry_double(|asked: &Asked| match asked.method.as_str() {
        // The time is told with a head alone, as the real one does.
        "HEAD" => Reply::new(200, "").with("ollama-push-time: 1795000000"),
        _ => Reply::new(200, MANIFEST),
    });
    let origin = format!("{}/library/qwen3:8b", double.host());
    let client = client(&double);
    let [release] = &client.models(&origin, None).unwrap()[..] else { panic!("one") };
    let digest = sha256(MANIFEST.as_bytes()).trim_start_matches("sha256:").to_owned();
    assert_eq!((release.name.as_str(), release.digest.as_ref()), (origin.as_str(), Some(&digest)));
    assert_eq!(release.published.unwrap().as_second(), 1_795_000_000);
    assert_eq!(release.weights_bytes, Some(5_225_374_496));
    let path = "/v2/library/qwen3/manifests/8b";
    assert_eq!(asked(&double), [format!("GET {path}"), format!("HEAD {path}")]);
    let again = client.models(&origin, Some(&digest)).unwrap();
    assert_eq!((again[0].published, asked(&double).len()), (None, 3), "what is known is not looked up again");
}

#[test]
fn a_time_that_cannot_be_is_none() {
    for time in ["", "soon", "-9999999999999", "99999999999", "0"] {
        let header = format!("ollama-push-time: {time}");
        let double = registry_double(move |_| Reply::new(200, MANIFEST).with(header.clone()));
        let release = client(&double).models(&format!("{}/a/b:1", double.host()), None).unwrap().remove(0);
        assert_eq!(release.published, None, "{time}");
    }
}

#[test]
fn a_model_of_hugging_face_is_told_by_the_commit_of_its_branch() {
    let body = format!(
        r#"{{"id":"Qwen/Qwen3-32B","sha":"{COMMIT}","lastModified":"2026-07-26T03:45:56.000Z",
            "safetensors":{{"parameters":{{"BF16":32762123264}},"total":32762123264}}}}"#
    );
    let double = registry_double(move |_| Reply::new(200, body.clone()));
    let releases = client(&double).models("hf:Qwen/Qwen3-32B", None).unwrap();
    let [release] = &releases[..] else { panic!("{releases:?}") };
    assert_eq!(release.digest.as_deref(), Some(COMMIT));
    assert_eq!(release.published.unwrap().to_string(), "2026-07-26T03:45:56Z");
    assert_eq!((release.parameters, release.weights_bytes), (Some(32_762_123_264), Some(65_524_246_528)));
    assert_eq!(asked(&double), ["GET /api/models/Qwen/Qwen3-32B/revision/main"]);
    assert_eq!(double.asked()[0].header("authorization"), "", "Hugging Face is told no token");
}

#[test]
fn of_an_author_the_newest_are_listed_and_nothing_of_others() {
    let body = format!(
        r#"[{{"id":"mistralai/New-24B","createdAt":"2026-11-20T10:00:00.000Z","sha":"{COMMIT}"}},
            {{"id":"mistralai/Old-7B","createdAt":"not a time"}},
            {{"id":"evil/Other-7B"}}, {{"id":"mistralai/../../x"}}, {{"id":"mistralai/a\u001b[31mb"}}, {{"nothing":1}}]"#
    );
    let double = registry_double(move |_| Reply::new(200, body.clone()));
    let releases = client(&double).models("hf-author:mistralai", None).unwrap();
    let told: Vec<_> = releases.iter().map(|it| (it.name.as_str(), it.published.is_some())).collect();
    assert_eq!(told, [("mistralai/New-24B", true), ("mistralai/Old-7B", false)]);
    let query = "author=mistralai&sort=createdAt&direction=-1&limit=20";
    assert_eq!(asked(&double), [format!("GET /api/models?{query}")]);
}

#[test]
fn each_fault_has_its_words_and_is_no_answer() {
    let large = || format!("{{\"layers\":[],\"x\":\"{}\"}}", "y".repeat(1 << 20));
    let faults: [(Reply, FaultKind, &str); 10] = [
        (Reply::new(404, "{\"errors\":[]}"), FaultKind::NotFound, "(any more)"),
        (Reply::new(401, ""), FaultKind::Denied, "only to those whom it knows"),
        (Reply::new(403, ""), FaultKind::Denied, "only to those whom it knows"),
        (Reply::new(429, "").with("Retry-After: 900"), FaultKind::Limited, "15 min"),
        (Reply::new(502, ""), FaultKind::Server, "status 502"),
        (Reply::new(200, "<html><body>Sign in to the wifi</body></html>"), FaultKind::NotUnderstood, "it is no"),
        (Reply::new(200, "{}"), FaultKind::NotUnderstood, "it is no"),
        (Reply::new(200, large()), FaultKind::NotUnderstood, "larger than 1 MiB"),
        (Reply::Endless("x".repeat(65_536)), FaultKind::NotUnderstood, "larger than 4.0 MiB"),
        (Reply::Silence, FaultKind::Unreachable, "no answer within"),
    ];
    for (reply, kind, words) in faults {
        let double = registry_double(move |_| reply.clone());
        let ollama = format!("{}/library/qwen3:8b", double.host());
        for origin in [ollama.as_str(), "hf:Qwen/Qwen3-32B", "hf-author:Qwen"] {
            let fault = client(&double).models(origin, None).unwrap_err();
            assert_eq!(fault.kind, kind, "{origin}: {}", fault.what);
            assert!(fault.what.contains(words) && fault.what.contains("127.0.0.1"), "{origin}: {}", fault.what);
            assert!(!fault.what.contains("docker login"), "{}", fault.what);
        }
    }
}

#[test]
fn a_commit_that_is_none_is_not_believed() {
    for sha in ["", "../../x", "main", "9216db5781bf21249d130ec9da846c4624c16137\u{1b}[31m"] {
        let body = serde_json::json!({"id": "a/b", "sha": sha}).to_string();
        let double = registry_double(move |_| Reply::new(200, body.clone()));
        let fault = client(&double).models("hf:a/b", None).unwrap_err();
        assert_eq!(fault.kind, FaultKind::NotUnderstood, "{sha}");
    }
}

#[test]
fn a_mirror_is_asked_over_https_or_on_loopback() {
    for address in ["http://10.0.0.7/", "ftp://x", "not an address", "file:///etc/passwd"] {
        let client = Client::with(|registries| registries.hugging_face(address));
        let fault = client.models("hf:a/b", None).unwrap_err();
        assert!(fault.what.contains("HF_ENDPOINT"), "{address}: {}", fault.what);
    }
    let double = registry_double(|_| Reply::new(404, ""));
    let below = format!("http://{}/mirror/", double.host());
    Client::with(|registries| registries.hugging_face(&below)).models("hf:a/b", None).unwrap_err();
    assert_eq!(asked(&double), ["GET /mirror/api/models/a/b/revision/main"]);
}
