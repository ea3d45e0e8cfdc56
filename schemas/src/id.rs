//! Names of tenants, and Kafka's default partitioning of keys.

/// A checked tenant id (I9).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(String);

impl Tenant {
    /// Accepts `[a-z0-9-]{1,64}`.
    pub fn new(id: &str) -> Option<Tenant> {
        valid_id(id).then(|| Tenant(id.to_owned()))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Tenant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether `id` is `[a-z0-9-]{1,64}`.
pub fn valid_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=64).contains(&id.len()) && id.bytes().all(allowed)
}

/// Whether `name` can name a stream: 1 to 128 of `[a-z0-9._-]`, the first a letter or digit. Wider than an id, since senders
/// bring names of their own, such as Elasticsearch's indexes.
pub fn valid_stream(name: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    first && name.len() <= 128 && name.bytes().all(allowed)
}

/// Why `id` names no tenant.
pub fn id_fault(id: &str) -> String {
    format!("{id:?} is no tenant id: 1 to 64 of a-z, 0-9 and '-'")
}

/// Why `stream` is no name of a stream.
pub fn stream_fault(stream: &str) -> String {
    let shown: String = stream.chars().take(64).collect();
    format!(
        "{shown:?} is no name of a stream: 1 to 128 of a-z, 0-9, '-', '_' and '.', the first a letter or digit"
    )
}

/// Whether `bytes` are hexadecimal digits, lower case.
pub(crate) fn is_hex(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Partition of `key` among `n_partitions` as the Java client's default partitioner gives it.
pub fn key_partition(key: &[u8], n_partitions: i32) -> i32 {
    (murmur2(key) & 0x7fff_ffff) as i32 % n_partitions.max(1)
}

/// Murmur2 with the seed that Kafka uses (`org.apache.kafka.common.utils.Utils.murmur2`).
pub fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    let mut hash = SEED ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    for (i, byte) in rest.iter().enumerate() {
        hash ^= u32::from(*byte) << (8 * i);
    }
    if !rest.is_empty() {
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Values of `Utils.murmur2` as published in Kafka's own `UtilsTest.testMurmur2`.
    #[test]
    fn murmur2_equals_kafkas() {
        let cases = [
            ("21", -973932308),
            ("foobar", -790332482),
            ("a-little-bit-long-string", -985981536),
            ("a-little-bit-longer-string", -1486304829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
            ("abc", 479470107),
        ];
        for (text, hash) in cases {
            assert_eq!(murmur2(text.as_bytes()) as i32, hash, "{text}");
        }
    }

    #[test]
    fn streams_have_the_names_that_senders_bring() {
        for good in ["web", "filebeat-8.8.0", "test_index", "2026.01.02"] {
            assert!(valid_stream(good), "{good}");
        }
        for bad in ["", ".", "..", "-a", "_all", "A", "a/b", "a b", "ä", &"x".repeat(129)] {
            assert!(!valid_stream(bad), "{bad}");
        }
    }

    #[test]
    fn ids_are_short_and_plain() {
        for good in ["default", "a", "team-7"] {
            assert!(valid_id(good), "{good}");
        }
        for bad in ["", "A", "a/b", "ä", "a_b", &"x".repeat(65)] {
            assert!(!valid_id(bad), "{bad}");
        }
    }
}
