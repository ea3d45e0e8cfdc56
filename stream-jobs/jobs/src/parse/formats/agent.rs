//! User agents: browser, system and kind of device, by the signs that they have carried for decades.

use std::borrow::Cow;

use millrace_schemas::Value;

use crate::parse::found::Found;

/// Sign in the text, name of the browser; the version follows the sign. The first one counts: later ones imitate.
const BROWSERS: [(&str, &str); 24] = [
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("Edge/", "Edge"),
    ("OPR/", "Opera"),
    ("Opera Mini/", "Opera Mini"),
    ("Opera/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("YaBrowser/", "Yandex"),
    ("Vivaldi/", "Vivaldi"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("MSIE ", "Internet Explorer"),
    ("Trident/7.0; rv:", "Internet Explorer"),
    ("Trident/", "Internet Explorer"),
    ("Konqueror/", "Konqueror"),
    ("Version/", "Safari"),
    ("curl/", "curl"),
    ("Wget/", "Wget"),
    ("python-requests/", "python-requests"),
];

/// Sign, name of the system, whether a version follows.
const SYSTEMS: [(&str, &str, &str); 22] = [
    ("Windows NT 10.0", "Windows 10", "NT 10.0"),
    ("Windows NT 6.3", "Windows 8.1", "NT 6.3"),
    ("Windows NT 6.2", "Windows 8", "NT 6.2"),
    ("Windows NT 6.1", "Windows 7", "NT 6.1"),
    ("Windows NT 6.0", "Windows Vista", "NT 6.0"),
    ("Windows NT 5.2", "Windows XP", "NT 5.2"),
    ("Windows NT 5.1", "Windows XP", "NT 5.1"),
    ("Windows NT 5.0", "Windows 2000", "NT 5.0"),
    ("Windows Phone", "Windows Phone OS", "+"),
    ("Windows 98", "Windows 98", "98"),
    ("Windows", "Windows", ""),
    ("Android", "Android", "+"),
    ("iPhone OS", "iPhone", "+"),
    ("CPU OS", "iPad", "+"),
    ("Mac OS X", "Mac OSX", "+"),
    ("Macintosh", "Mac OSX", ""),
    ("CrOS", "ChromeOS", ""),
    ("FreeBSD", "FreeBSD", ""),
    ("OpenBSD", "OpenBSD", ""),
    ("Ubuntu", "Linux", ""),
    ("Linux", "Linux", ""),
    ("X11", "UNIX", ""),
];

const CRAWLERS: [&str; 9] =
    ["bot", "Bot", "crawl", "Crawl", "spider", "Spider", "slurp", "Slurp", "archiver"];

/// `browser.family`, `browser.version`, `os.family`, `os.version`, `device.category`; what is not known is no field.
pub(crate) fn parse<'t>(text: &'t str) -> Found<'t> {
    let mut found = Found::default();
    let mut put = |name: &'static str, value: Cow<'t, str>| {
        if !value.is_empty() {
            found.fields.push(name, Value::String(value));
        }
    };
    let crawler = CRAWLERS.iter().any(|sign| text.contains(sign));
    let browser = BROWSERS.iter().find_map(|(sign, name)| Some((text.find(sign)? + sign.len(), *name)));
    // Safari is what says so and has no other name; its version stands apart.
    let browser = browser.filter(|(_, name)| *name != "Safari" || text.contains("Safari/"));
    if crawler {
        put(
            "browser.family",
            Cow::Borrowed(
                text.split(['/', ' ', ';'])
                    .find(|word| CRAWLERS.iter().any(|sign| word.contains(sign)))
                    .unwrap_or("crawler"),
            ),
        );
    } else if let Some((at, name)) = browser {
        put("browser.family", Cow::Borrowed(name));
        put("browser.version", Cow::Borrowed(version(&text[at..])));
    }
    if let Some((at, sign, name, number)) =
        SYSTEMS.iter().find_map(|(sign, name, own)| Some((text.find(sign)?, *sign, *name, *own)))
    {
        put("os.family", Cow::Borrowed(name));
        match number {
            "+" => put("os.version", dotted(version(text[at + sign.len()..].trim_start()))),
            own => put("os.version", Cow::Borrowed(own)),
        }
    }
    let tablet = text.contains("iPad")
        || text.contains("Tablet")
        || text.contains("Android") && !text.contains("Mobile");
    let phone = text.contains("Mobile") || text.contains("iPhone") || text.contains("Phone");
    let computer =
        ["Windows", "Macintosh", "X11", "Linux", "CrOS", "BSD"].iter().any(|sign| text.contains(sign));
    let category = match () {
        () if crawler => "crawler",
        () if tablet => "tablet",
        () if phone => "smartphone",
        () if computer => "pc",
        () => "",
    };
    put("device.category", Cow::Borrowed(category));
    found
}

fn version(text: &str) -> &str {
    let is = |own: char| own.is_ascii_alphanumeric() || own == '.' || own == '_';
    text[..text.find(|own| !is(own)).unwrap_or(text.len())].trim_end_matches('.')
}

fn dotted(version: &str) -> Cow<'_, str> {
    if version.contains('_') { Cow::Owned(version.replace('_', ".")) } else { Cow::Borrowed(version) }
}
