//! The two ways over HTTP: `cmd.cgi`, and NRDP.
//!
//! `cmd.cgi` takes a command only together with an id that it has put into a form before, as cookie and
//! as field: so the form is fetched first, once for as long as its id is believed.

use anyhow::anyhow;
use reqwest::Method;
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use reqwest::header::COOKIE;
use reqwest::header::HeaderMap;
use reqwest::header::HeaderValue;

use super::Check;
use super::Settings;
use crate::outputs::http::Answer;
use crate::outputs::http::Sender;
use crate::plugin::Failure;

/// As much of a page is told, in characters.
const SHOWN: usize = 300;

/// A page that takes checks.
#[derive(Debug)]
pub(super) struct Form {
    url: Url,
    sender: Sender,
    /// What NRDP wants to see.
    token: String,
    /// The id of the form, once it is known.
    id: Option<String>,
}

impl Form {
    pub(super) fn new(url: Url, sender: Sender, settings: &Settings) -> Form {
        let token = settings.nrdp_token.as_ref().map_or("", |token| token.reveal()).to_owned();
        Form { url, sender, token, id: None }
    }

    /// Submits a check to `cmd.cgi`.
    pub(super) async fn submit(&mut self, check: &Check) -> Result<(), Failure> {
        let is_known = self.id.is_some();
        if !is_known {
            self.id = Some(self.fetch_id(check).await?);
        }
        let page = self.commit(check).await?;
        if page.contains("successfully submitted") {
            return Ok(());
        }
        self.id = None;
        let said = shown(&page);
        if page.contains("CSRF") {
            // The id has grown old: the same is tried again with a new one.
            let error = anyhow!("cmd.cgi does not know the form any more: {said}");
            return Err(Failure::Retry(error));
        }
        if page.contains("not authorized") {
            return Err(Failure::Reject(anyhow!(
                "cmd.cgi refuses a check of `{}` on `{}`: are both known to Nagios, and is the user \
                 among authorized_for_all_service_commands or their contacts? {said}",
                check.service,
                check.host
            )));
        }
        Err(Failure::Retry(anyhow!("cmd.cgi has not taken a check: {said}")))
    }

    fn fields(check: &Check) -> Vec<(&'static str, String)> {
        let kind = if check.service.is_empty() { "87" } else { "30" };
        let mut fields = vec![("cmd_typ", kind.to_owned()), ("host", check.host.clone())];
        if !check.service.is_empty() {
            fields.push(("service", check.service.clone()));
        }
        fields
    }

    async fn fetch_id(&mut self, check: &Check) -> Result<String, Failure> {
        let mut url = self.url.clone();
        url.query_pairs_mut().extend_pairs(Form::fields(check));
        self.sender.method = Method::GET;
        let answer = self.sender.send(&url, Vec::new()).await.map_err(Failure::Retry)?;
        let page = taken(answer).await?;
        let marked = page.find("nagFormId").and_then(|at| {
            let rest = &page[at..];
            let start = rest.to_ascii_lowercase().find("value=")? + "value=".len() + 1;
            let value = rest.get(start..)?;
            Some(value[..value.find(['\'', '"'])?].to_owned())
        });
        // A page without an id says why.
        marked.ok_or_else(|| {
            let said = shown(&page);
            if said.contains("not authorized") {
                let (host, service) = (&check.host, &check.service);
                return Failure::Reject(anyhow!("no check of `{service}` on `{host}`: {said}"));
            }
            Failure::Retry(anyhow!("there is no form at {}: is it cmd.cgi? {said}", self.url))
        })
    }

    async fn commit(&mut self, check: &Check) -> Result<String, Failure> {
        let id = self.id.clone().unwrap_or_default();
        let (text, data) = check.text.split_once('|').unwrap_or((&check.text, ""));
        let mut fields = Form::fields(check);
        fields.extend([
            ("cmd_mod", "2".to_owned()),
            ("plugin_state", check.state.to_string()),
            ("plugin_output", text.trim_end().to_owned()),
            ("performance_data", data.to_owned()),
            ("btnSubmit", "Commit".to_owned()),
            ("nagFormId", id.clone()),
        ]);
        let mut headers = HeaderMap::new();
        let cookie = HeaderValue::from_str(&format!("NagFormId={id}"));
        headers.insert(COOKIE, cookie.map_err(|error| Failure::Retry(error.into()))?);
        let body = encode(&fields);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        self.sender.method = Method::POST;
        let answer = self.sender.send_with(&self.url, &headers, body).await;
        taken(answer.map_err(Failure::Retry)?).await
    }

    /// Submits checks to NRDP.
    pub(super) async fn submit_all(&self, checks: &[Check]) -> Result<(), Failure> {
        let mut xml = "<?xml version='1.0'?>\n<checkresults>".to_owned();
        for check in checks {
            let kind = if check.service.is_empty() { "host" } else { "service" };
            xml.push_str(&format!("<checkresult type='{kind}' checktype='1'><hostname>"));
            put_xml(&check.host, &mut xml);
            xml.push_str("</hostname>");
            if !check.service.is_empty() {
                xml.push_str("<servicename>");
                put_xml(&check.service, &mut xml);
                xml.push_str("</servicename>");
            }
            xml.push_str(&format!("<state>{}</state><output>", check.state));
            put_xml(&check.text, &mut xml);
            xml.push_str("</output></checkresult>");
        }
        xml.push_str("</checkresults>");
        let fields =
            [("token", self.token.clone()), ("cmd", "submitcheck".to_owned()), ("xml", xml)];
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let answer = self.sender.send_with(&self.url, &headers, encode(&fields)).await;
        let page = taken(answer.map_err(Failure::Retry)?).await?;
        if page.replace(' ', "").contains("<status>0</status>") {
            return Ok(());
        }
        let hint = if page.contains("TOKEN") { " (look at `nrdp_token`)" } else { "" };
        Err(Failure::Retry(anyhow!("nrdp has not taken checks{hint}: {}", shown(&page))))
    }
}

/// The page of an answer that is one.
async fn taken(answer: Answer) -> Result<String, Failure> {
    if answer.is_taken() {
        return Ok(String::from_utf8_lossy(&answer.body).into_owned());
    }
    // Whatever it is, it is not about one check.
    Err(match answer.failure().await {
        Failure::Reject(error) => Failure::Retry(error),
        failure => failure,
    })
}

fn encode(fields: &[(&'static str, String)]) -> Vec<u8> {
    let mut url = Url::parse("http://form").expect("it is a url");
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().as_bytes().to_vec()
}

/// The text of a page, without what a browser needs.
fn shown(page: &str) -> String {
    let mut text = String::new();
    let mut is_tag = false;
    let body = page.find("<body").or_else(|| page.find("<BODY")).unwrap_or(0);
    for letter in page[body..].chars() {
        match letter {
            '<' => is_tag = true,
            '>' => {
                is_tag = false;
                text.push(' ');
            }
            _ if is_tag => {}
            _ if letter.is_whitespace() => text.push(' '),
            _ => text.push(letter),
        }
    }
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ").chars().take(SHOWN).collect()
}

fn put_xml(text: &str, xml: &mut String) {
    for letter in text.chars() {
        match letter {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            letter => xml.push(letter),
        }
    }
}
