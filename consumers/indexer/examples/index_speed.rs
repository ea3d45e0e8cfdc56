//! Measures how fast one core indexes: `cargo run --profile demo -p millrace-indexer --example index_speed [LINES]`.

use millrace_indexer::bench::{apache_event, apache_lines, codec, index};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let n_lines = std::env::args().nth(1).map_or(Ok(200_000), |text| text.parse())?;
    let codec = codec()?;
    let lines = apache_lines(n_lines);
    let values: Vec<Vec<u8>> = (0..).zip(&lines).map(|(at, line)| apache_event(&codec, line, at)).collect();
    for per_bundle in [2_000, 20_000, 200_000] {
        let (bodies, splits, seconds) = index(&codec, &values, per_bundle)?;
        let rate = bodies as f64 / seconds / 1e6;
        println!(
            "{per_bundle:>7} a bundle: {rate:.1} MB/s, {:.0} rows/s, {} B a line, splits {:.2} of the text",
            values.len() as f64 / seconds,
            bodies / values.len().max(1) as u64,
            splits as f64 / bodies as f64,
        );
    }
    Ok(())
}
