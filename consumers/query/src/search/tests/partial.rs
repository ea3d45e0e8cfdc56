//! Answers without the splits that are lost or damaged.

use super::*;

/// What there is of `query` without the splits that cannot be read.
fn readable(world: &World, query: &str) -> SearchResponse {
    let request = SearchRequest { limit: 9, partial: true, ..asking(query) };
    let plan = plan(&world.fold, &request).unwrap().readable(&world.cache).unwrap();
    run(&world.cache, plan).unwrap()
}

fn offsets(found: &SearchResponse) -> Vec<i64> {
    found.hits.iter().map(|hit| hit.origin.offset).collect()
}

#[test]
fn what_is_lost_or_damaged_is_left_out_and_named() {
    let mut world = World::new();
    for n in 0..4 {
        world.add("t", &[line(2 * n, 10 * n, "a"), line(2 * n + 1, 10 * n + 5, "b")]);
    }
    assert_eq!((offsets(&readable(&world, "a")), readable(&world, "a").missing), (vec![6, 4, 2, 0], vec![]));
    world.cache.retain(&Fold::default());
    world.store.delete("bundles/r1").unwrap();
    let rotten = world.store.local_file("bundles/r2").unwrap();
    let bytes = std::fs::read(&rotten).unwrap();
    std::fs::write(&rotten, &bytes[..bytes.len() - 9]).unwrap();

    let found = readable(&world, "a");
    assert_eq!((offsets(&found), found.total, found.splits_searched), (vec![6, 0], 2, 2));
    let [damaged, lost] = found.missing.as_slice() else { panic!("{:?}", found.missing) };
    assert_eq!((lost.object.as_str(), lost.part.as_str(), lost.rows), ("bundles/r1", "r1.0", 2));
    assert_eq!(lost.reason, "it is not in the store");
    let times = [&damaged.from, &damaged.to].map(String::as_str);
    assert_eq!(times, ["1970-01-01T00:00:00.000020Z", "1970-01-01T00:00:00.000025Z"]);
    assert_eq!(damaged.object, "bundles/r2");
    // Counted without being shown, and where nothing is left.
    assert_eq!(readable(&world, "b").total, 2);
    world.store.delete("bundles/r0").unwrap();
    world.store.delete("bundles/r3").unwrap();
    world.cache.retain(&Fold::default());
    let nothing = readable(&world, "a");
    assert_eq!((nothing.total, nothing.hits.len(), nothing.missing.len()), (0, 0, 4));
    // Of another time, it is not missed.
    assert_eq!(world.ask("a", Some(100), None, 9).total, 0);
}
