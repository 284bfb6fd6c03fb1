//! A registry behind TLS: on an address that is not loopback, with a certificate of its own.

use std::fs;
use std::path::Path;
use std::process::Command;

use hostler::domain::FaultKind;

use super::Client;
use crate::bed;

/// The address of the private engine's bridge: this host's own, and yet not loopback.
fn bridge_address() -> Option<String> {
    let told = Command::new("ip").args(["-4", "-oneline", "address", "show", "docker0"]).output().ok()?;
    let told = String::from_utf8(told.stdout).ok()?;
    let (_, rest) = told.split_once(" inet ")?;
    rest.split_once('/').map(|(address, _)| address.to_owned())
}

/// Makes a key and a certificate for this address, signed by itself.
fn certificate(folder: &Path, address: &str) -> bool {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=bed", "-addext", &format!("subjectAltName=IP:{address}")])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder)
        .output();
    made.is_ok_and(|made| made.status.success())
}

#[test]
fn a_registry_is_trusted_by_the_certificates_that_the_engine_has() {
    // The engine makes the bridge.
    let Some(_engine) = bed::engine() else { return };
    let Some(address) = bridge_address() else {
        return bed::left_out("the private engine has no bridge");
    };
    let folder = tempfile::tempdir().unwrap();
    if !certificate(folder.path(), &address) {
        return bed::left_out("openssl makes no certificate here");
    }
    let path = folder.path().display();
    let lines = format!("  tls: {{certificate: {path}/cert.pem, key: {path}/key.pem}}\n");
    let Some(registry) = bed::registry_with(&address, &lines) else { return };
    let reference = registry.reference("bed/app", "1");

    let (kind, what) = Client::new().fault(&reference);
    let why = "cannot be trusted: this machine does not know who signed its certificate";
    assert_eq!((kind, what), (FaultKind::Unreachable, format!("{} {why}", registry.host())));

    let root = tempfile::tempdir().unwrap();
    let vouched = root.path().join("etc/docker/certs.d").join(registry.host());
    fs::create_dir_all(&vouched).unwrap();
    fs::copy(folder.path().join("cert.pem"), vouched.join("ca.crt")).unwrap();
    // It answers: there is nothing in it.
    let client = Client::at(root.path(), |registries| registries);
    assert_eq!(client.fault(&reference).0, FaultKind::NotFound);
}
