//! TLS, for the few places that lie beyond this host, and what its errors mean: rustls with the cryptography of `ring`, and the certificates that the
//! machine trusts.
//!
//! `ring` needs a C compiler and nothing else, and is built in seconds.

use std::error::Error;
use std::io;

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

/// Why the server at the other end cannot be trusted, if that is what `error` says. What rustls says of certificates is not
/// meant for people.
pub(super) fn distrust(error: &reqwest::Error) -> Option<String> {
    causes(error).find_map(carried_by).map(words)
}

/// The error of TLS that an error carries. The system's errors hide what they carry from `source`.
fn carried_by<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let system = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    match system {
        Some(carried) => carried_by(carried),
        None => error.downcast_ref::<rustls::Error>(),
    }
}

fn words(error: &rustls::Error) -> String {
    use rustls::CertificateError as Bad;
    match error {
        rustls::Error::InvalidCertificate(bad) => match bad {
            Bad::Expired | Bad::ExpiredContext { .. } => "its certificate has expired".to_owned(),
            Bad::UnknownIssuer => "this machine does not know who signed its certificate".to_owned(),
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                "its certificate is for another name".to_owned()
            }
            _ => "its certificate cannot be used".to_owned(),
        },
        _ => "it does not speak TLS as it should".to_owned(),
    }
}

/// Whether an error, or what caused it, says these words.
pub(super) fn says(error: &reqwest::Error, words: &str) -> bool {
    causes(error).any(|cause| cause.to_string().contains(words))
}

/// What caused an error, the nearest first.
pub(super) fn causes<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause: &&'a (dyn Error + 'static)| (*cause).source())
}
