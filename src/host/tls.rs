//! TLS, for the few places that lie beyond this host: rustls with the cryptography of `ring`, and the certificates that the
//! machine trusts.
//!
//! `ring` needs a C compiler and nothing else, and is built in seconds.

use reqwest::ClientBuilder;

/// A client that trusts what the machine trusts. Building it reads the machine's certificates.
pub(super) fn trusting_the_machine(builder: ClientBuilder) -> ClientBuilder {
    choose_cryptography();
    builder
}

/// A client that trusts nobody, because it never speaks TLS. Building it reads nothing.
pub(super) fn without(builder: ClientBuilder) -> ClientBuilder {
    choose_cryptography();
    builder.tls_certs_only([])
}

/// Which code does the cryptography is chosen once in a process.
fn choose_cryptography() {
    let _chosen_already = rustls::crypto::ring::default_provider().install_default();
}
