//! Addresses of the web, whole or from the path on, and query strings.

use std::borrow::Cow;

use millrace_schemas::{Fields, Value};

use super::gather::Gather;
use crate::parse::found::{Found, Stopped};

/// `scheme`, `username`, `password`, `host`, `port`, `path`, `query`, `fragment`; parameters as `query.name` where wanted.
pub(crate) fn parse<'t>(text: &'t str, parameters: bool) -> Result<Found<'t>, Stopped> {
    let mut found = Found::default();
    if text.starts_with('/') || text.starts_with('?') {
        let (rest, fragment) = text.split_once('#').map_or((text, None), |(rest, own)| (rest, Some(own)));
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, own)| (path, Some(own)));
        put(&mut found, "path", Cow::Borrowed(path));
        rest_of(&mut found, query.map(Cow::Borrowed), fragment.map(Cow::Borrowed), parameters);
        return Ok(found);
    }
    let url = ::url::Url::parse(text).map_err(|error| Stopped {
        expected: format!("an address ({error})").into(),
        ..Stopped::new(0, "")
    })?;
    let own = |text: &str| Cow::<'t, str>::Owned(text.to_owned());
    put(&mut found, "scheme", own(url.scheme()));
    put(&mut found, "username", own(url.username()));
    put(&mut found, "password", url.password().map_or(Cow::Borrowed(""), own));
    put(&mut found, "host", url.host_str().map_or(Cow::Borrowed(""), own));
    if let Some(port) = url.port_or_known_default() {
        found.fields.push("port", Value::Long(port.into()));
    }
    put(&mut found, "path", own(url.path()));
    rest_of(&mut found, url.query().map(own), url.fragment().map(own), parameters);
    Ok(found)
}

fn rest_of<'t>(
    found: &mut Found<'t>,
    query: Option<Cow<'t, str>>,
    fragment: Option<Cow<'t, str>>,
    parameters: bool,
) {
    if let Some(query) = query {
        if parameters {
            found.fields.0.extend(pairs(&query, "query.").0);
        }
        put(found, "query", query);
    }
    if let Some(fragment) = fragment {
        put(found, "fragment", fragment);
    }
}

fn put<'t>(found: &mut Found<'t>, name: &'static str, value: Cow<'t, str>) {
    if !value.is_empty() {
        found.fields.push(name, Value::String(value));
    }
}

/// Parameters of a query string as fields.
pub(crate) fn query<'t>(text: &str) -> Found<'t> {
    Found { fields: pairs(text, ""), ..Found::default() }
}

/// Names behind `prefix`, and values, both unescaped.
fn pairs<'t>(query: &str, prefix: &str) -> Fields<'t> {
    let mut found = Gather::default();
    for (name, value) in ::url::form_urlencoded::parse(query.trim_start_matches('?').as_bytes()) {
        found.add(Cow::Owned(format!("{prefix}{name}")), Value::String(Cow::Owned(value.into_owned())));
    }
    found.finish()
}
