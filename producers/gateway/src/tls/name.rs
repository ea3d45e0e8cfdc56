//! What a client's certificate calls it: the common names of its subject, and the URIs of its alternative names. Pure.

use rustls_webpki::EndEntityCert;
use tokio_rustls::rustls::pki_types::CertificateDer;

/// DER of the type `commonName`, 2.5.4.3.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
const OID: u8 = 0x06;
/// Kinds of text that are, or are read as, UTF-8: UTF8String, PrintableString, T61String, IA5String.
const TEXTS: [u8; 4] = [0x0c, 0x13, 0x14, 0x16];

/// Names of the owner of `certificate`, which was verified before.
pub(super) fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else { return Vec::new() };
    let uris = certificate.valid_uri_names().map(str::to_owned);
    common_names(certificate.subject()).into_iter().chain(uris).collect()
}

/// A subject is a row of sets, each of pairs of a type and a value.
fn common_names(subject: &[u8]) -> Vec<String> {
    let pairs = elements(subject).flat_map(|(_, set)| elements(set));
    let values = pairs.filter_map(|(_, pair)| {
        let mut pair = elements(pair);
        let ((kind, oid), (text, value)) = (pair.next()?, pair.next()?);
        let is_name = kind == OID && oid == COMMON_NAME && TEXTS.contains(&text);
        is_name.then(|| String::from_utf8(value.to_vec()).ok()).flatten()
    });
    values.collect()
}

/// The elements of DER, with their tags, up to the first that is none.
fn elements(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (tag, content, rest) = element(bytes)?;
        bytes = rest;
        Some((tag, content))
    })
}

fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    // Above 127 it is the number of bytes of the length.
    let n_bytes = usize::from(first.saturating_sub(0x80));
    let length = match (n_bytes, rest.get(..n_bytes)?) {
        (0, _) if first < 0x80 => usize::from(first),
        (1..=3, bytes) => bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)),
        _ => return None,
    };
    let rest = rest.get(n_bytes..)?;
    Some((tag, rest.get(..length)?, rest.get(length..)?))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    #[test]
    fn a_certificate_names_its_owner_by_common_name_and_uri() {
        let mut params = CertificateParams::new(["host.example".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::OrganizationName, "an organisation".repeat(10));
        params.distinguished_name.push(DnType::CommonName, "web-01 ä");
        let uri = "spiffe://example.org/web".try_into().unwrap();
        params.subject_alt_names.push(SanType::URI(uri));
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert_eq!(names(certificate.der()), ["web-01 ä", "spiffe://example.org/web"]);
        assert_eq!(names(&CertificateDer::from(b"junk".to_vec())), Vec::<String>::new());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_have_names_or_none(bytes: Vec<u8>) {
            let names = common_names(&bytes);
            proptest::prop_assert!(names.iter().map(String::len).sum::<usize>() <= bytes.len());
        }
    }
}
