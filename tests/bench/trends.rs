//! What a look at the history of a full box costs: 1,520 series of 90 days, of which a third changes or fills up.
//!
//! `cargo bench --bench trends`. The recorder looks once an hour; at 2 s that would be 0.06 % of a processor.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a benchmark is no interface")]
#![allow(dead_code, reason = "of the corpus only the series are used")]

#[path = "../all/trends/corpus.rs"]
mod corpus;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use hostler::domain::{Mark, SeriesKey};
use hostler::history::trends::{HourPoint, Related, look};

fn looks(criterion: &mut Criterion) {
    let planted: Vec<corpus::Planted> = (1..=38).flat_map(corpus::corpus).collect();
    let marks: Vec<Mark> = planted.iter().take(80).flat_map(|planted| planted.marks.clone()).collect();
    let series: Vec<(SeriesKey, Vec<HourPoint>)> =
        planted.into_iter().map(|planted| (planted.series, planted.points)).collect();
    let at = corpus::timestamp(corpus::DAYS * 24);
    let mut group = criterion.benchmark_group("trends");
    group.sample_size(10);
    group.bench_function(format!("look at {} series", series.len()), |bencher| {
        bencher.iter_batched(
            || series.clone(),
            |series| black_box(look(series, &marks, &Related::default(), at)),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, looks);
criterion_main!(benches);
