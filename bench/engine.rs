//! What the engine costs without any socket: composing, rendering, the table and the wheel, each by
//! the message that needs it.
//!
//! - `told`: a PUBLISH whose change goes to 1,000 watchers, by NOTIFY: reading its XML, composing,
//!   one body, a head each, a timer each.
//! - `unheard`: a PUBLISH nobody watches: reading and composing alone.
//! - `answered`: the 200 to a NOTIFY: found by its branch, its timer cancelled.
//! - `refreshed`: a SUBSCRIBE in a dialog among 1,000 and among 100,000, with its 200, its NOTIFY
//!   and the 200 to that.
//!
//! `cargo bench --bench engine`, a quarter of a minute. Criterion's times are of the clock; compare
//! two runs on a calm machine (`--save-baseline`, `--baseline`).

mod inside;

use std::time::Duration;
use std::time::Instant;

use criterion::Criterion;
use criterion::Throughput;
use inside::Inside;
use lamplighter_bench::Error;

const WATCHERS: u32 = 1000;

fn main() -> Result<(), Error> {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
        .configure_from_args();

    let mut inside = Inside::new(WATCHERS, 1)?;
    let mut group = criterion.benchmark_group("change");
    group.throughput(Throughput::Elements(u64::from(WATCHERS)));
    group.bench_function("told", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            for _ in 0..rounds {
                let start = Instant::now();
                inside.publish(0);
                spent += start.elapsed();
                inside.acknowledge(1);
            }
            spent
        });
    });
    group.bench_function("answered", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            for _ in 0..rounds {
                inside.publish(0);
                let answers = inside.answers(1);
                let start = Instant::now();
                inside.take_answers(&answers);
                spent += start.elapsed();
                inside.out.clear();
            }
            spent
        });
    });
    group.finish();

    let mut unwatched = Inside::new(0, 1)?;
    criterion.bench_function("change/unheard", |bencher| {
        bencher.iter(|| {
            unwatched.publish(0);
            unwatched.out.clear();
        });
    });

    for watchers in [WATCHERS, 100 * WATCHERS] {
        let mut inside = Inside::new(watchers, watchers / 10)?;
        let mut next = 0;
        criterion.bench_function(&format!("refreshed/{watchers}"), |bencher| {
            bencher.iter(|| {
                // Prime to both: all over the table.
                next = (next + 7_919) % watchers;
                inside.refresh(next);
                inside.acknowledge(1);
            });
        });
    }
    criterion.final_summary();
    Ok(())
}
