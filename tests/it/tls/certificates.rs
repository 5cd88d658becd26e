//! Certificates for tests, made anew for each: an authority, and what it signed.

use std::path::Path;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::DnType;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;

/// An authority that signs certificates into one folder.
pub(crate) struct Authority<'a> {
    folder: &'a Path,
    issuer: Issuer<'static, KeyPair>,
}

impl<'a> Authority<'a> {
    /// Makes one and writes its own certificate into `<name>.pem`.
    pub(crate) fn new(folder: &'a Path, name: &str) -> anyhow::Result<Authority<'a>> {
        std::fs::create_dir_all(folder)?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.distinguished_name.push(DnType::CommonName, format!("authority of {name}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        std::fs::write(folder.join(format!("{name}.pem")), params.self_signed(&key)?.pem())?;
        Ok(Authority { folder, issuer: Issuer::new(params, key) })
    }

    /// Signs a certificate for these hosts into `<name>.pem`, with its key in `<name>.key`.
    pub(crate) fn sign(&self, name: &str, hosts: &[&str]) -> anyhow::Result<()> {
        self.sign_until(name, hosts, 2100)
    }

    /// Signs one that ends with the first day of `year`.
    pub(crate) fn sign_until(&self, name: &str, hosts: &[&str], year: i32) -> anyhow::Result<()> {
        let key = KeyPair::generate()?;
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(hosts)?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let signed = params.signed_by(&key, &self.issuer)?;
        std::fs::write(self.folder.join(format!("{name}.pem")), signed.pem())?;
        std::fs::write(self.folder.join(format!("{name}.key")), key.serialize_pem())?;
        Ok(())
    }
}
