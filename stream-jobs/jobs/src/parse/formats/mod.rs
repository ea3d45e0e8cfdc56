//! One file a format: from a text to fields.

pub(super) mod access;
pub(super) mod agent;
pub(super) mod apache;
pub(super) mod apache_error;
mod bsd_time;
pub(super) mod cef;
pub(super) mod container;
pub(super) mod delimited;
pub(super) mod dissect;
mod gather;
pub(super) mod glog;
pub(super) mod haproxy;
pub(super) mod json;
pub(super) mod key_value;
pub(super) mod layout;
pub(super) mod level;
pub(super) mod mysql_slow;
pub(super) mod netfilter;
pub(super) mod nginx_error;
pub(super) mod peer;
pub(super) mod plain;
pub(super) mod rfc3164;
pub(super) mod rfc5424;
pub(super) mod syslog;
pub(super) mod url;
pub(super) mod w3c;
