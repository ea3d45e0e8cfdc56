#![no_main]

#[path = "../../producers/spool/tests/common/mod.rs"]
mod common;
#[path = "../../producers/spool/tests/targets/mod.rs"]
mod targets;

// The first byte says where one segment ends and the other begins.
libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Some((&at, segments)) = input.split_first() {
        let (bytes, more) = segments.split_at((16 * usize::from(at)).min(segments.len()));
        targets::spool(bytes, more);
    }
});
