//! Many inputs at full speed: damaged copies of the files of a folder, such as those that libFuzzer
//! collected, for one body, without watching which code they reach.
//!
//! `volume BODY FOLDER COUNT [SEED]`

use std::error::Error;
use std::path::Path;
use std::time::Instant;
use std::{env, fs};

use lamplighter_fuzz::mutator::{XorShift, damaged};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [body, folder, count, rest @ ..] = &arguments[..] else {
        return Err("volume BODY FOLDER COUNT [SEED]".into());
    };
    let seeds = files_of(Path::new(folder))?;
    let count: u64 = count.parse()?;
    let seed = rest.first().map_or(Ok(1), |seed| seed.parse())?;
    let mut random = XorShift(seed);
    let started = Instant::now();
    for _ in 0..count {
        let input = damaged(&seeds, &mut random);
        let run = std::panic::catch_unwind(|| lamplighter_fuzz::run(body, &input));
        if run.is_err() {
            fs::write(format!("crash-{body}"), &input)?;
            return Err(format!("the input is in crash-{body}").into());
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{body}: {count} inputs of {} files in {seconds:.0} s",
        seeds.len()
    );
    Ok(())
}

fn files_of(folder: &Path) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        files.push(fs::read(path)?);
    }
    files.retain(|file| !file.is_empty());
    if files.is_empty() {
        return Err("no files to damage".into());
    }
    Ok(files)
}
