//! Any bytes as a file of training data, in the format that the first byte names: reading is total, and an array has as many
//! values as its shape says.
#![no_main]

use certus_learn::data::{Array, DataError, cifar, idx, npy, table, wav};
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let Some((format, bytes)) = bytes.split_first() else { return };
    let path = Path::new("fuzz");
    match format {
        b'i' => check(idx::parse(path, bytes)),
        b'n' => check(npy::parse(path, bytes)),
        b'z' => check(npy::parse_archive(path, bytes, None)),
        b'a' => check(npy::parse_archive(path, bytes, Some("a"))),
        b'1' | b'2' => {
            if let Ok((images, labels)) = cifar::parse(path, bytes, usize::from(format - b'0')) {
                assert_eq!(images.shape[0], labels.shape[0]);
                check(Ok(images));
                check(Ok(labels));
            }
        }
        b'w' => match wav::parse(path, bytes) {
            Ok(sound) => {
                assert_eq!(sound.samples.shape.len(), 2);
                assert!(sound.samples.shape[0] > 0);
                check(Ok(sound.samples));
            }
            Err(e) => check(Err(e)),
        },
        b't' | b'c' => {
            let path = Path::new(if *format == b't' { "fuzz.tsv" } else { "fuzz.csv" });
            match table::parse(path, bytes) {
                Ok(table) => check_table(path, &table),
                Err(e) => check(Err(e)),
            }
        }
        _ => {}
    }
});

fn check(found: Result<Array, DataError>) {
    match found {
        Ok(array) => assert_eq!(array.shape.iter().product::<usize>(), array.values.len()),
        Err(e) => assert!(e.to_string().starts_with("fuzz")),
    }
}

fn check_table(path: &Path, table: &table::Table) {
    assert!(table.lines.iter().all(|line| line.len() == table.names.len()));
    for column in 0..table.names.len() {
        assert!(table.column(path, &table.names[column]).expect("there is one of that name") <= column);
        let (labels, classes) = table.labels(column);
        assert_eq!(labels.len(), table.lines.len());
        for (line, label) in table.lines.iter().zip(&labels) {
            assert_eq!(line[column], classes[*label as usize]);
        }
    }
    let all: Vec<usize> = (0..table.names.len()).collect();
    if let Ok(array) = table.numbers(path, &all) {
        assert!(array.values.iter().all(|x| x.is_finite()));
    }
    check(table.numbers(path, &all));
}
