#![no_main]

use std::sync::{Arc, LazyLock};

use millrace_jobs::parse::Source;
use millrace_jobs::parse::source::targets;

static SOURCES: LazyLock<Vec<Arc<Source>>> = LazyLock::new(targets::compiled);

// The first byte says which step reads the rest.
libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Some((&step, line)) = input.split_first() {
        targets::step(&SOURCES, usize::from(step), line, 1_767_323_045_000_000);
    }
});
