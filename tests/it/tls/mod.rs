//! TLS between engines, and with others: both ways, with certificates of clients, and refused
//! wherever one is wrong.

mod admin;
pub(crate) mod certificates;
mod http;
mod syslog;
mod tcp;

use libtest_mimic::Trial;

use self::certificates::Authority;
use crate::harness::Place;

pub(crate) fn trials() -> Vec<Trial> {
    [admin::trials(), tcp::trials(), http::trials(), syslog::trials()]
        .into_iter()
        .flatten()
        .collect()
}

/// What a server with the good certificate asks of its clients.
const SERVER: &str = "use_tls = true\n[NAME.tls]\ncert_file = 'DIR/tls/server.pem'\n\
    key_file = 'DIR/tls/server.key'\nclient_auth = 'RequireAndVerifyClientCert'\n\
    client_cafile = 'DIR/tls/ours.pem'\n";

/// A place with an authority of `ours` and one of `theirs`, and certificates signed by them:
/// `server` and `client`, `expired`, `elsewhere` for another host, and `stranger` of theirs.
fn place() -> anyhow::Result<Place> {
    let place = Place::new("")?;
    let folder = place.path("tls");
    let ours = Authority::new(&folder, "ours")?;
    ours.sign("server", &["localhost", "127.0.0.1"])?;
    ours.sign("client", &["client"])?;
    ours.sign("elsewhere", &["elsewhere.example.com"])?;
    ours.sign_until("expired", &["localhost", "127.0.0.1"], 2001)?;
    Authority::new(&folder, "theirs")?.sign("stranger", &["localhost", "127.0.0.1"])?;
    Ok(place)
}

/// The settings of a client: how it checks the server, and the certificate it shows.
fn client(section: &str, root: &str, certificate: &str) -> String {
    let mut text = format!("[{section}.tls]\nroot_cafile = 'DIR/tls/{root}.pem'\n");
    if !certificate.is_empty() {
        text += &format!(
            "cert_file = 'DIR/tls/{certificate}.pem'\nkey_file = 'DIR/tls/{certificate}.key'\n"
        );
    }
    text
}
