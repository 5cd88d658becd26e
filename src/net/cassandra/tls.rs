//! TLS as the driver speaks it: with OpenSSL, which the client of Kafka brings along already; what it
//! offers for rustls would bring a second cryptography.
//!
//! The certificate of a node is checked for the address that the driver connects to, or for `server_name`
//! where that is given: nodes tell of each other by address, and few certificates name those.

use openssl::ssl::SslConnector;
use openssl::ssl::SslFiletype;
use openssl::ssl::SslMethod;
use openssl::ssl::SslVerifyMode;
use openssl::ssl::SslVersion;
use openssl::x509::X509;
use openssl::x509::X509VerifyResult;
use openssl::x509::store::X509StoreBuilder;
use scylla::client::session::TlsContext;

use crate::net::Error;
use crate::net::tls::Error as TlsError;
use crate::net::tls::Tls;
use crate::net::tls::Version;

/// What OpenSSL says of a certificate that is not for the address: `X509_V_ERR_IP_ADDRESS_MISMATCH`.
const OTHER_ADDRESS: i32 = 64;

/// What the driver needs for these settings.
///
/// # Errors
/// When a file cannot be read or the settings contradict each other.
pub(super) fn context(tls: &Tls) -> Result<TlsContext, Error> {
    // What is wrong with files and versions is said as everywhere.
    tls.client()?;
    if !tls.ciphers.is_empty() {
        let why = "`ciphers` are not for Cassandra: its driver has its own; leave them out";
        return Err(TlsError::Range(why.to_owned()).into());
    }
    build(tls).map_err(|error| Error::OpenSsl(error.to_string()))
}

fn build(tls: &Tls) -> Result<TlsContext, openssl::error::ErrorStack> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    builder.set_min_proto_version(Some(version(tls.min_version)))?;
    builder.set_max_proto_version(Some(version(tls.max_version)))?;
    if let Some(path) = &tls.root_cafile {
        let mut store = X509StoreBuilder::new()?;
        for root in X509::stack_from_pem(&std::fs::read(path).unwrap_or_default())? {
            store.add_cert(root)?;
        }
        builder.set_cert_store(store.build());
    }
    if let (Some(certificate), Some(key)) = (&tls.cert_file, &tls.key_file) {
        builder.set_certificate_chain_file(certificate)?;
        builder.set_private_key_file(key, SslFiletype::PEM)?;
    }
    if tls.insecure_skip_verify {
        builder.set_verify(SslVerifyMode::NONE);
    } else if !tls.server_name.is_empty() {
        builder.verify_param_mut().set_host(&tls.server_name)?;
        builder.set_verify_callback(SslVerifyMode::PEER, |is_right, store| {
            let is_for_its_name = store.error().as_raw() == OTHER_ADDRESS;
            if is_for_its_name {
                store.set_error(X509VerifyResult::OK);
            }
            is_right || is_for_its_name
        });
    }
    let config = scylla::client::session::OpenSsl010Config::new(builder);
    Ok(config.set_use_tls_tickets(!tls.session_tickets_disabled).into())
}

fn version(version: Version) -> SslVersion {
    match version {
        Version::Tls12 => SslVersion::TLS1_2,
        Version::Tls13 => SslVersion::TLS1_3,
    }
}
