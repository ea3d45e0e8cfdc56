//! What rules of parsed_logs call.

use std::net::IpAddr;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::expression::{Event, plain};

pub(crate) fn call(name: &str, arguments: &[Value], event: &mut Event) -> Result<Value, String> {
    let text = |at: usize| arguments.get(at).map(plain).unwrap_or_default();
    let list = |at: usize| arguments.get(at).and_then(Value::as_array).cloned().unwrap_or_default();
    let among = |at: usize| move |own: char| arguments.get(at).is_some_and(|set| plain(set).contains(own));
    let address = || text(0).parse::<IpAddr>().ok();
    let place = |at: Option<usize>| json!(at.map_or(-1, |at| at as i64));
    Ok(match name {
        "Lower" | "lower" => json!(text(0).to_lowercase()),
        "Upper" | "upper" => json!(text(0).to_uppercase()),
        "TrimSpace" => json!(text(0).trim()),
        "trim" if arguments.len() == 1 => json!(text(0).trim()),
        "Trim" | "trim" => json!(text(0).trim_matches(among(1))),
        "TrimLeft" => json!(text(0).trim_start_matches(among(1))),
        "TrimRight" => json!(text(0).trim_end_matches(among(1))),
        "TrimSuffix" | "trimSuffix" => json!(text(0).strip_suffix(text(1).as_str()).unwrap_or(&text(0))),
        "TrimPrefix" | "trimPrefix" => json!(text(0).strip_prefix(text(1).as_str()).unwrap_or(&text(0))),
        "ToString" | "String" | "string" => json!(text(0)),
        "Replace" => match arguments.get(3).and_then(Value::as_u64) {
            Some(most) => json!(text(0).replacen(&text(1), &text(2), most as usize)),
            None => json!(text(0).replace(&text(1), &text(2))),
        },
        "ReplaceAll" | "replace" => json!(text(0).replace(&text(1), &text(2))),
        "Sprintf" => json!(printed(&text(0), arguments.get(1..).unwrap_or_default())),
        "XMLGetNodeValue" => json!(node(&text(0), &text(1)).map(|(_, inner)| unescaped(&inner))),
        "XMLGetAttributeValue" => {
            let start = node(&text(0), &text(1)).map(|(start, _)| start).unwrap_or_default();
            json!(attribute(&start, &text(2)).map(|value| unescaped(&value)))
        }
        "Split" | "split" => json!(text(0).split(text(1).as_str()).collect::<Vec<_>>()),
        "SplitN" => {
            // A number below nothing is every part.
            let parts = arguments
                .get(2)
                .map(number)
                .filter(|parts| *parts >= 0.0)
                .map_or(usize::MAX, |parts| parts as usize);
            json!(text(0).splitn(parts, text(1).as_str()).collect::<Vec<_>>())
        }
        "Fields" => json!(text(0).split_whitespace().collect::<Vec<_>>()),
        "Join" | "join" => json!(list(0).iter().map(plain).collect::<Vec<_>>().join(&text(1))),
        "Index" | "indexOf" => place(text(0).find(text(1).as_str())),
        "IndexAny" => place(text(0).find(among(1))),
        "hasPrefix" => json!(text(0).starts_with(&text(1))),
        "hasSuffix" => json!(text(0).ends_with(&text(1))),
        "len" => json!(match arguments.first() {
            Some(Value::Array(all)) => all.len(),
            Some(Value::Object(all)) => all.len(),
            _ => text(0).chars().count(),
        }),
        "first" => list(0).first().cloned().unwrap_or_default(),
        "last" => list(0).last().cloned().unwrap_or_default(),
        "int" => json!(text(0).parse::<f64>().map_err(|error| error.to_string())? as i64),
        "float" | "Atof" => json!(text(0).parse::<f64>().map_err(|error| error.to_string())?),
        "get" | "Get" => match arguments.get(1).and_then(Value::as_u64) {
            Some(at) => list(0).get(at as usize).cloned().unwrap_or_default(),
            None => arguments.first().and_then(|object| object.get(text(1))).cloned().unwrap_or_default(),
        },
        "KeyExists" => json!(arguments.get(1).is_some_and(|object| object.get(text(0)).is_some())),
        "IsIP" => json!(address().is_some()),
        "IsIPV4" => json!(address().is_some_and(|own| own.is_ipv4())),
        "IsIPV6" => json!(address().is_some_and(|own| own.is_ipv6())),
        "PathUnescape" => json!(percent(&text(0))),
        "QueryUnescape" => json!(percent(&text(0).replace('+', " "))),
        "B64Decode" | "fromBase64" => {
            let bytes = base64::engine::general_purpose::STANDARD.decode(text(0));
            json!(String::from_utf8_lossy(&bytes.map_err(|error| error.to_string())?))
        }
        // A text as it stands in the object: escapes are not undone.
        "JsonExtract" => match member(&text(0), &text(1)) {
            own @ Value::String(_) => json!(own.to_string().trim_matches('"')),
            own => own,
        },
        "JsonExtractUnescape" | "JsonExtractLib" => {
            let path: Vec<String> = arguments.iter().skip(1).map(plain).collect();
            member(&text(0), &path.join("."))
        }
        "JsonExtractSlice" | "JsonExtractObject" => member(&text(0), &text(1)),
        "ToJsonString" | "toJSON" => json!(arguments.first().map(Value::to_string)),
        "UnmarshalJSON" => match serde_json::from_str(&text(0)) {
            Ok(object) => {
                event.unmarshaled.insert(text(2), object);
                Value::Null
            }
            Err(error) => json!(error.to_string()),
        },
        "ParseKV" | "ParseKVLax" => {
            let pairs = pairs(&text(0))?;
            event.unmarshaled.insert(text(2), pairs);
            Value::Null
        }
        other => return Err(format!("the function {other} is not known")),
    })
}

pub(crate) fn number(value: &Value) -> f64 {
    value.as_f64().or_else(|| plain(value).parse().ok()).unwrap_or_default()
}

/// Puts values in the place of `%s`, `%d`, `%v`; `%%` is a per cent sign.
fn printed(format: &str, values: &[Value]) -> String {
    let (mut out, mut values) = (String::new(), values.iter().map(plain));
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = rest[at + 1..].trim_start_matches(['+', '#', '-']);
        match rest.chars().next() {
            Some('%') => out.push('%'),
            Some(_) => out.push_str(&values.next().unwrap_or_default()),
            None => break,
        }
        rest = &rest[rest.chars().next().map_or(0, char::len_utf8)..];
    }
    out + rest
}

/// A member of a JSON text by a path of names and of places `[n]`, with points between them.
fn member(text: &str, path: &str) -> Value {
    let object: Value = serde_json::from_str(text).unwrap_or(Value::Null);
    path.split('.').fold(object, |object, name| {
        let place =
            name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).and_then(|name| name.parse().ok());
        match place {
            Some(place) => {
                object.as_array().and_then(|all| all.get::<usize>(place)).cloned().unwrap_or_default()
            }
            None => object[name].clone(),
        }
    })
}

/// What stands between the brackets of a node's start, and its text, by a path `/A/B[1]/C[@Name='x']`: the first that has
/// the last step's name and attribute.
fn node(xml: &str, path: &str) -> Option<(String, String)> {
    let step = path.rsplit_once('/').map_or(path, |(_, step)| step);
    let (name, condition) = step.split_once('[').unwrap_or((step, ""));
    let condition = condition.trim_end_matches(']').strip_prefix('@').and_then(|own| own.split_once('='));
    xml.match_indices(&format!("<{name}")).find_map(|(at, own)| {
        let (start, rest) = xml[at + own.len()..].split_once('>')?;
        let is_name = start.is_empty() || start.starts_with([' ', '/']);
        let holds = condition.is_none_or(|(name, value)| {
            attribute(start, name).as_deref() == Some(value.trim_matches(['\'', '"']))
        });
        let inner = rest.split('<').next().filter(|_| !start.ends_with('/')).unwrap_or_default();
        (is_name && holds).then(|| (start.to_owned(), inner.to_owned()))
    })
}

fn attribute(start: &str, name: &str) -> Option<String> {
    let (_, rest) = start.split_once(&format!(" {name}="))?;
    let sign = rest.chars().next()?;
    rest[sign.len_utf8()..].split(sign).next().map(str::to_owned)
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

fn percent(text: &str) -> String {
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(own) = text.as_bytes().get(at) {
        let coded = text.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let coded = coded.filter(|_| *own == b'%');
        out.push(coded.unwrap_or(*own));
        at += if coded.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// By our own step.
fn pairs(text: &str) -> Result<Value, String> {
    let read = crate::chain::read(&crate::chain::steps(r#"["logfmt"]"#)?, text, 0)?;
    let mut all = read.fields;
    // Of a key that comes again the peer keeps the last.
    for value in all.values_mut() {
        let several: Option<Vec<String>> = value.as_str().and_then(|own| serde_json::from_str(own).ok());
        if let Some(last) = several.and_then(|mut all| all.pop()) {
            *value = json!(last);
        }
    }
    for (name, value) in [("msg", read.message), ("level", read.severity), ("user", read.user)] {
        if let Some(value) = value {
            all.entry(name).or_insert(json!(value));
        }
    }
    Ok(Value::Object(all))
}
