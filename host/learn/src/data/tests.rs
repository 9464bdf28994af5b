//! Files as other tools write them, and files that are wrong.

use super::{DataError, Set, Targets, cifar, idx, npy, table, wav};
use std::path::Path;

fn path() -> &'static Path {
    Path::new("some.file")
}

fn message(e: DataError) -> String {
    e.to_string()
}

#[test]
fn idx_files_of_every_type_are_read() {
    let file = |kind: u8, data: &[u8]| [&[0, 0, kind, 2, 0, 0, 0, 1, 0, 0, 0, 2], data].concat();
    let values = |kind, data: &[u8]| idx::parse(path(), &file(kind, data)).unwrap().values;
    assert_eq!(values(0x08, &[3, 255]), [3.0, 255.0]);
    assert_eq!(values(0x09, &[3, 255]), [3.0, -1.0]);
    assert_eq!(values(0x0B, &[1, 0, 255, 254]), [256.0, -2.0]);
    assert_eq!(values(0x0C, &[0, 0, 1, 0, 255, 255, 255, 255]), [256.0, -1.0]);
    let floats: Vec<u8> = [0.5f32, -2.0].iter().flat_map(|x| x.to_be_bytes()).collect();
    assert_eq!(values(0x0D, &floats), [0.5, -2.0]);
    let floats: Vec<u8> = [0.5f64, -2.0].iter().flat_map(|x| x.to_be_bytes()).collect();
    assert_eq!(values(0x0E, &floats), [0.5, -2.0]);
    assert_eq!(idx::parse(path(), &file(0x08, &[3, 255])).unwrap().shape, [1, 2]);
    let fails = |bytes: &[u8]| message(idx::parse(path(), bytes).unwrap_err());
    assert!(fails(&[0, 0]).contains("shorter than an IDX header"));
    assert!(fails(&[1, 0, 8, 1]).contains("first two bytes"));
    assert!(fails(&file(0x0A, &[1, 2])).contains("type 0x0a at byte 2"));
    assert!(fails(&file(0x08, &[1])).contains("asks for 2 bytes of data, there are 1"));
    assert!(fails(&[0, 0, 8, 3, 0, 0]).contains("cut off"));
    let huge = [&[0, 0, 8, 4], [255u8; 16].as_slice()].concat();
    assert!(fails(&huge).contains("too many"), "lengths whose product overflows");
}

#[test]
fn npy_files_of_both_orders_are_read() {
    // As numpy.save writes arange(6).reshape(2, 3), in both orders.
    let file = |descr: &str, order: &str, shape: &str, data: &[u8]| {
        let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
        [b"\x93NUMPY\x01\x00", (header.len() as u16).to_le_bytes().as_slice(), header.as_bytes(), data]
            .concat()
    };
    let rows: Vec<u8> = (0..6i64).flat_map(i64::to_le_bytes).collect();
    let columns: Vec<u8> = [0i64, 3, 1, 4, 2, 5].iter().flat_map(|x| x.to_le_bytes()).collect();
    let expected = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
    let array = npy::parse(path(), &file("<i8", "False", "(2, 3)", &rows)).unwrap();
    assert_eq!((array.shape.as_slice(), array.values.as_slice()), ([2, 3].as_slice(), expected.as_slice()));
    assert_eq!(npy::parse(path(), &file("<i8", "True", "(2, 3)", &columns)).unwrap().values, expected);
    let big: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|x| x.to_be_bytes()).collect();
    assert_eq!(npy::parse(path(), &file(">f4", "False", "(2,)", &big)).unwrap().values, [1.5, -2.0]);
    assert_eq!(npy::parse(path(), &file("|b1", "False", "()", &[1])).unwrap().values, [1.0]);
    let fails = |bytes: &[u8]| message(npy::parse(path(), bytes).unwrap_err());
    assert!(fails(b"PK").contains("has to begin"));
    assert!(fails(&file("<c8", "False", "(1,)", &[0; 8])).contains("'<c8'"));
    assert!(fails(&file("<f4", "False", "(3,)", &[0; 8])).contains("12 bytes of data, there are 8"));
    assert!(fails(&file("<f4", "False", "(x,)", &[0; 8])).contains("shape"));
    assert!(fails(&file("<f4", "False", "(2,)", &[0; 8])[..20]).contains("cut off"));
}

#[test]
fn archives_name_their_arrays() {
    use std::io::Write;
    let npy = |x: f32| {
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\n";
        let len = (header.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\x00", len.as_slice(), header.as_bytes(), &x.to_le_bytes()].concat()
    };
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, x) in [("x.npy", 1.5), ("y.npy", 2.5)] {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(&npy(x)).unwrap();
    }
    let bytes = archive.finish().unwrap().into_inner();
    let file = std::env::temp_dir().join(format!("certus-learn-{}.npz", std::process::id()));
    std::fs::write(&file, bytes).unwrap();
    assert_eq!(npy::read_archive(&file, Some("y")).unwrap().values, [2.5]);
    let e = message(npy::read_archive(&file, None).unwrap_err());
    assert!(e.contains("name one array; there are: x, y"), "{e}");
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(npy::read_archive(&file, None), Err(DataError::Read { .. })));
}

#[test]
fn cifar_records_are_divided() {
    let mut bytes = vec![7u8; 2 * 3073];
    bytes[3073] = 9;
    bytes[1] = 200;
    let (images, labels) = cifar::parse(path(), &bytes, 1).unwrap();
    assert_eq!(
        (images.shape.as_slice(), labels.values.as_slice()),
        ([2, 3, 32, 32].as_slice(), [7.0, 9.0].as_slice())
    );
    assert_eq!(images.values[0], 200.0);
    assert!(message(cifar::parse(path(), &bytes[1..], 1).unwrap_err()).contains("records of 3073"));
    let fine = [vec![1u8, 42], vec![0; 3072]].concat();
    assert_eq!(cifar::parse(path(), &fine, 2).unwrap().1.values, [42.0]);
}

#[test]
fn sounds_are_scaled_and_divided_into_channels() {
    let file = |tag: u16, channels: u16, bits: u16, data: &[u8]| {
        let mut f = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0".to_vec();
        f.extend(tag.to_le_bytes());
        f.extend(channels.to_le_bytes());
        f.extend(8000u32.to_le_bytes());
        f.extend([0; 6]);
        f.extend(bits.to_le_bytes());
        f.extend(b"data");
        f.extend((data.len() as u32).to_le_bytes());
        f.extend(data);
        f
    };
    let pcm: Vec<u8> = [16384i16, -32768, 0, 8192].iter().flat_map(|x| x.to_le_bytes()).collect();
    let sound = wav::parse(path(), &file(1, 2, 16, &pcm)).unwrap();
    assert_eq!((sound.rate, sound.samples.shape.as_slice()), (8000, [2, 2].as_slice()));
    assert_eq!(sound.samples.values, [0.5, 0.0, -1.0, 0.25], "channel after channel");
    assert_eq!(wav::parse(path(), &file(1, 1, 8, &[0, 128, 192])).unwrap().samples.values, [-1.0, 0.0, 0.5]);
    let float = 0.25f32.to_le_bytes();
    assert_eq!(wav::parse(path(), &file(3, 1, 32, &float)).unwrap().samples.values, [0.25]);
    let fails = |bytes: &[u8]| message(wav::parse(path(), bytes).unwrap_err());
    assert!(fails(&file(7, 1, 8, &[0])).contains("format 7 with 8 bits"));
    assert!(fails(b"RIFF").contains("has to begin"));
    assert!(fails(&file(1, 1, 16, &pcm)[..30]).contains("no chunk `data`"));
}

#[test]
fn tables_say_line_and_column_of_what_is_wrong() {
    let t = table::parse(path(), b"a;b;kind\n1.5;2;wet\n-3;1e2;dry\n").unwrap();
    assert_eq!(t.names, ["a", "b", "kind"]);
    assert_eq!(t.numbers(path(), &[0, 1]).unwrap().values, [1.5, 2.0, -3.0, 100.0]);
    assert_eq!(t.labels(2), (vec![1, 0], vec!["dry".into(), "wet".into()]));
    assert!(message(t.column(path(), "c").unwrap_err()).contains("no column `c`; there are: a, b, kind"));
    let e = message(t.numbers(path(), &[2]).unwrap_err());
    assert!(e.contains("line 2, column `kind`: `wet`"), "{e}");
    let bare = table::parse(path(), b"1,2\n3,nan\n").unwrap();
    assert_eq!(bare.names, ["0", "1"]);
    assert!(message(bare.numbers(path(), &[1]).unwrap_err()).contains("line 2, column `1`: `nan`"));
    assert!(message(table::parse(path(), b"1,2\n3\n").unwrap_err()).contains("not a table"));
    let tabs = table::parse(Path::new("x.tsv.gz"), b"a, b\tc\n1\t2\n").unwrap();
    assert_eq!(tabs.names, ["a, b", "c"]);
    let many = table::parse(path(), b"10\n9\n10\n").unwrap();
    assert_eq!(many.labels(0), (vec![1, 0, 1], vec!["9".into(), "10".into()]), "classes by number");
}

#[test]
fn sets_are_gathered_into_lanes_and_divided() {
    let names: Vec<String> = ["a", "b", "c"].map(String::from).into();
    let labels: Vec<u32> = (0..40).map(|k| k % 3).collect();
    let inputs: Vec<f32> = (0..40).flat_map(|k| [k as f32, 100.0 - k as f32]).collect();
    let set = Set { shape: vec![2], inputs, targets: Targets::Classes { labels, names } };
    let which: Vec<u32> = (0..40).rev().chain([7]).collect();
    let (mut lanes, mut targets) = (vec![0.0; 2 * 41], vec![0.0; 3 * 41]);
    set.gather(&which, &mut lanes);
    set.gather_targets(&which, &mut targets);
    for (lane, k) in which.iter().enumerate() {
        assert_eq!([lanes[lane], lanes[41 + lane]], [*k as f32, 100.0 - *k as f32]);
        let one: Vec<f32> = (0..3).map(|c| targets[c * 41 + lane]).collect();
        assert_eq!(one.iter().position(|x| *x == 1.0), Some(*k as usize % 3));
        assert_eq!(one.iter().sum::<f32>(), 1.0);
    }
    let [train, held] = set.hold_out(10, &mut crate::model::Random(3));
    assert_eq!([train.len(), held.len()], [30, 10]);
    let mut all: Vec<f32> =
        (0..30).map(|k| train.input(k)[0]).chain((0..10).map(|k| held.input(k)[0])).collect();
    all.sort_by(f32::total_cmp);
    assert_eq!(all, (0..40).map(|k| k as f32).collect::<Vec<_>>(), "each once");
    assert_eq!(set.range(), [vec![0.0, 61.0], vec![39.0, 100.0]]);
}
