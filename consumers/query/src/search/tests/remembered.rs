//! What is remembered of splits, and what of them does not count any more.

use super::*;

#[test]
fn what_was_counted_before_is_counted_the_same() {
    let mut world = World::new();
    world.cache =
        SplitCache::new(world.store.clone(), CacheOptions { max_open: 9, folder: None, max_bytes: 0 })
            .unwrap();
    for n in 0..4 {
        world.add("t", &[line(2 * n, 10 * n, "a"), line(2 * n + 1, 10 * n + 5, "a b")]);
    }
    let ask = |world: &World, query: &str, from, cache| {
        let request = SearchRequest { from, limit: 1, cache, ..asking(query) };
        search(&world.cache, &world.fold, &request).unwrap().total
    };
    for (query, from, wanted) in
        [("a", None, 8), ("b", None, 4), ("a", Some(15), 5), ("-b", Some(1), 3), ("", None, 8)]
    {
        // The second time it is known, the third it is not asked for; with the range only one split is cut.
        let totals = [true, true, false].map(|cache| ask(&world, query, from, cache));
        assert_eq!(totals, [wanted; 3], "{query} from {from:?}");
    }
    world.add("t", &[line(99, 1, "a")]);
    assert_eq!(ask(&world, "a", None, true), 9, "a new split is counted");
    // A mark that comes later hides what was counted.
    let dead = |offset, time| Line { dead: true, ..line(offset, time, "a") };
    world.add("t", &[dead(100, 1), dead(101, 2)]);
    assert_eq!([ask(&world, "a", None, true), ask(&world, "a", None, true)], [11; 2]);
    world.add("t", &[Line { mark: true, body: vec![], ..dead(100, 1) }]);
    assert_eq!(ask(&world, "a", None, true), 10);
}

#[test]
fn attempts_that_were_replaced_are_not_found() {
    let of = |attempt, line| Line { attempt: Some(attempt), ..line };
    let mut world = World::new();
    world.add("t", &[of(1, line(1, 10, "a b")), of(1, line(2, 11, "b")), line(3, 12, "b")]);
    world.add("t", &[of(2, line(4, 10, "a b")), of(1, Line { dead: true, ..line(5, 13, "b") })]);
    let ask = |query: &str, limit, hidden: &[&str]| {
        let hidden = hidden.iter().map(|id| (*id).to_owned()).collect();
        let request = SearchRequest { limit, ..asking(query) };
        let found = run(&world.cache, plan(&world.fold, &request).unwrap().without(hidden)).unwrap();
        (found.total, found.hits.iter().map(|hit| hit.origin.offset).collect::<Vec<_>>())
    };
    let first = "1/web/batch/7";
    assert_eq!(ask("b", 9, &[]), (5, vec![5, 3, 2, 4, 1]));
    assert_eq!(ask("b", 9, &[first]), (2, vec![3, 4]));
    assert_eq!(ask("b", 0, &[first]), (2, vec![]), "counted without being shown");
    assert_eq!(ask("-a", 9, &[first]), (1, vec![3]));
    assert_eq!(ask("", 9, &[first, "2/web/batch/7"]), (1, vec![3]));
    assert_eq!(ask("b", 9, &["1/web/batch/70", "1/other/batch/7", "3/web/batch/7"]).0, 5);
}
