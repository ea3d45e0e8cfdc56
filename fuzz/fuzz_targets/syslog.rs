#![no_main]

// The first byte says in what chunks the rest comes.
libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Some((&cut, stream)) = input.split_first() {
        millrace_gateway::targets::syslog(stream, &[usize::from(cut); 20]);
    }
});
