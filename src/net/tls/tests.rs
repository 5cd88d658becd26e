//! Two sides shake hands under settings as a configuration gives them.

use std::path::Path;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;

use super::*;
use crate::net::Address;
use crate::net::Connector;
use crate::net::ListenOptions;
use crate::net::Listener;
use crate::net::StreamNet;

/// Writes `<name>-ca.pem`, and under it `<name>.pem` with `<name>.key` for localhost.
fn authority(folder: &Path, name: &str) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::<String>::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_file = ca.self_signed(&ca_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    std::fs::write(folder.join(format!("{name}-ca.pem")), ca_file).unwrap();
    std::fs::write(folder.join(format!("{name}.pem")), leaf.pem()).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

fn settings(folder: &Path, text: &str) -> Tls {
    toml::from_str(&text.replace("DIR", folder.to_str().unwrap())).unwrap()
}

/// Says whether a line gets through under these settings, and whether the server saw a certificate.
async fn check(server: &str, client: &str, expected: Result<bool, ()>) {
    let folder = tempfile::tempdir().unwrap();
    authority(folder.path(), "ours");
    authority(folder.path(), "theirs");
    let tls = settings(folder.path(), server).server().unwrap();
    let address = Address::stream(StreamNet::Tcp, "127.0.0.1:0").unwrap();
    let options =
        ListenOptions { keep_alive: None, max_connections: 1, tls: Some(tls), mode: None };
    let listener = Listener::bind(&address, options).await.unwrap();
    let port = listener.local_address().unwrap().port();
    let serving = tokio::spawn(async move {
        let (mut stream, _place) =
            listener.accept().await.unwrap().shake_hands().await.map_err(|_| ())?;
        let mut line = [0; 5];
        stream.read_exact(&mut line).await.map_err(|_| ())?;
        stream.write_all(&line).await.map_err(|_| ())?;
        Ok::<_, ()>(stream.certificate().is_some())
    });
    let target = Address::stream(StreamNet::Tcp, &format!("localhost:{port}")).unwrap();
    let connector = Connector::new(target).tls(&settings(folder.path(), client)).unwrap();
    let talked = async {
        let mut stream = connector.connect().await.map_err(|_| ())?;
        stream.write_all(b"hello").await.map_err(|_| ())?;
        let mut line = [0; 5];
        stream.read_exact(&mut line).await.map_err(|_| ())?;
        Ok::<_, ()>(())
    };
    let found = match talked.await {
        Ok(()) => serving.await.unwrap(),
        Err(()) => Err(()),
    };
    assert_eq!(found, expected, "server {server}, client {client}");
}

const SERVER: &str = "cert_file = 'DIR/ours.pem'\nkey_file = 'DIR/ours.key'\n";
const CLIENT: &str = "root_cafile = 'DIR/ours-ca.pem'\n";

#[tokio::test]
async fn servers_are_checked_unless_told_otherwise() {
    check(SERVER, CLIENT, Ok(false)).await;
    check(SERVER, "root_cafile = 'DIR/theirs-ca.pem'", Err(())).await;
    check(SERVER, "insecure_skip_verify = true", Ok(false)).await;
    check(SERVER, &format!("{CLIENT}server_name = 'elsewhere'"), Err(())).await;
    check(&format!("{SERVER}max_version = 'TLS12'"), CLIENT, Ok(false)).await;
    check(
        &format!("{SERVER}max_version = 'TLS12'"),
        &format!("{CLIENT}min_version = 'TLS13'"),
        Err(()),
    )
    .await;
}

#[tokio::test]
async fn clients_are_asked_for_certificates_as_client_auth_says() {
    let with =
        |auth: &str| format!("{SERVER}client_auth = '{auth}'\nclient_cafile = 'DIR/ours-ca.pem'");
    let ours = format!("{CLIENT}cert_file = 'DIR/ours.pem'\nkey_file = 'DIR/ours.key'");
    let theirs = format!("{CLIENT}cert_file = 'DIR/theirs.pem'\nkey_file = 'DIR/theirs.key'");
    check(&with("NoClientCert"), &ours, Ok(false)).await;
    check(&with("RequestClientCert"), CLIENT, Ok(false)).await;
    check(&with("RequestClientCert"), &theirs, Ok(true)).await;
    check(&with("RequireAnyClientCert"), CLIENT, Err(())).await;
    check(&with("RequireAnyClientCert"), &theirs, Ok(true)).await;
    check(&with("VerifyClientCertIfGiven"), CLIENT, Ok(false)).await;
    check(&with("VerifyClientCertIfGiven"), &theirs, Err(())).await;
    check(&with("RequireAndVerifyClientCert"), CLIENT, Err(())).await;
    check(&with("RequireAndVerifyClientCert"), &ours, Ok(true)).await;
}

#[test]
fn settings_that_are_no_longer_safe_are_refused_with_the_nearest() {
    for (text, expected) in [
        ("min_version = 'SSL30'", "the nearest that exists is `TLS12`"),
        ("max_version = 'TLS11'", "the nearest that exists is `TLS12`"),
        ("ciphers = ['RSA_WITH_RC4_128_SHA']", "no longer safe"),
        ("session_ticket_key = 'abc'", "64 hexadecimal digits"),
        ("client_auth = 'Maybe'", "RequireAnyClientCert"),
        ("cert = 'x'", "cert_file"),
    ] {
        let error = toml::from_str::<Tls>(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn contradictions_are_found() {
    let folder = tempfile::tempdir().unwrap();
    authority(folder.path(), "ours");
    for (text, expected) in [
        ("min_version = 'TLS13'\nmax_version = 'TLS12'", "is above"),
        ("max_version = 'TLS12'\nciphers = ['AES_128_GCM_SHA256']", "none of the `ciphers`"),
        ("cert_file = 'DIR/ours.pem'", "`key_file` is missing"),
        ("root_cafile = 'DIR/none.pem'", "cannot read a certificate from"),
        ("root_cafile = 'DIR/ours.key'", "does not hold a certificate"),
    ] {
        let mut text = text.to_owned();
        if !text.contains("root_cafile") {
            text.push_str("\nroot_cafile = 'DIR/ours-ca.pem'");
        }
        let error = settings(folder.path(), &text).client().unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let error = Tls::default().server().unwrap_err().to_string();
    assert!(error.contains("`cert_file` is missing"), "{error}");
}
