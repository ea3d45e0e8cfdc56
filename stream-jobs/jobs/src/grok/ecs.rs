//! Names of the Elastic Common Schema for the fields that the base library captures.

use super::Type;

/// Its name there, and its type.
pub(super) fn name(field: &str) -> Option<(&'static str, Type)> {
    NAMES.iter().find(|(own, ..)| *own == field).map(|(_, name, kind)| (*name, *kind))
}

const NAMES: [(&str, &str, Type); 48] = [
    ("agent", "user_agent.original", Type::Text),
    ("auth", "user.name", Type::Text),
    ("bytes", "http.response.body.bytes", Type::Long),
    ("class", "log.logger", Type::Text),
    ("client", "source.address", Type::Text),
    ("client_ip", "source.ip", Type::Text),
    ("client_port", "source.port", Type::Long),
    ("clientip", "source.address", Type::Text),
    ("clientport", "source.port", Type::Long),
    ("dst_ip", "destination.ip", Type::Text),
    ("dst_mac", "destination.mac", Type::Text),
    ("dst_port", "destination.port", Type::Long),
    ("duration", "event.duration", Type::Text),
    ("errorcode", "error.code", Type::Text),
    ("facility", "log.syslog.facility.code", Type::Long),
    ("file", "log.origin.file.name", Type::Text),
    ("host", "host.hostname", Type::Text),
    ("hostname", "host.hostname", Type::Text),
    ("http_host", "url.domain", Type::Text),
    ("http_request", "url.original", Type::Text),
    ("http_status_code", "http.response.status_code", Type::Long),
    ("http_verb", "http.request.method", Type::Text),
    ("http_version", "http.version", Type::Text),
    ("httpversion", "http.version", Type::Text),
    ("ident", "apache.access.user.identity", Type::Text),
    ("level", "log.level", Type::Text),
    ("line", "log.origin.file.line", Type::Long),
    ("loglevel", "log.level", Type::Text),
    ("logger", "log.logger", Type::Text),
    ("logsource", "host.hostname", Type::Text),
    ("method", "log.origin.function", Type::Text),
    ("pid", "process.pid", Type::Long),
    ("priority", "log.syslog.priority", Type::Long),
    ("program", "process.name", Type::Text),
    ("rawrequest", "http.request.original", Type::Text),
    ("reason", "event.reason", Type::Text),
    ("referrer", "http.request.referrer", Type::Text),
    ("request", "url.original", Type::Text),
    ("response", "http.response.status_code", Type::Long),
    ("src_ip", "source.ip", Type::Text),
    ("src_mac", "source.mac", Type::Text),
    ("src_port", "source.port", Type::Long),
    ("sysloghost", "host.hostname", Type::Text),
    ("thread", "process.thread.name", Type::Text),
    ("tid", "process.thread.id", Type::Long),
    ("user", "user.name", Type::Text),
    ("username", "user.name", Type::Text),
    ("verb", "http.request.method", Type::Text),
];
