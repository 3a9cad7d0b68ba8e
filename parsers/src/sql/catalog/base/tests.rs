use super::*;

#[test]
fn every_version_loads() {
    for (major, functions, types, relations, operators, casts) in [
        (12, 2960, 399, 381, 770, 216),
        (13, 3034, 407, 378, 784, 224),
        (14, 3202, 601, 388, 804, 230),
        (15, 3244, 611, 402, 799, 229),
        (16, 3297, 613, 405, 799, 229),
        (17, 3330, 617, 407, 799, 229),
        (18, 3413, 621, 407, 799, 235),
    ] {
        let started = std::time::Instant::now();
        let catalog = of(major);
        println!("{major}: {:?}", started.elapsed());
        let found = [
            catalog.functions.len(),
            catalog.types.len(),
            catalog.relations.len(),
            catalog.operators.len(),
            catalog.casts.len(),
        ];
        assert_eq!(found, [functions, types, relations, operators, casts], "{major}");
    }
}
