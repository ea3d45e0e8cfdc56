#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| millrace_gateway::targets::others(body));
