//! Proof files: what is written is read and accepted, whatever is damaged, missing, foreign or out of range is refused for its
//! own reason, and nothing but the file, the network and the property decides.

mod support;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use certus_core::proof::{Meaning, Rejection};
use certus_engine::Model;
use certus_engine::property::Property;
use certus_engine::search::{Progress, Recorder, Silent, Snapshot};
use certus_engine::verify::program::verify_program;
use certus_engine::verify::proof_file::{
    CheckOptions, Checked, FormatError, Identity, Journal, ProofError, Reader, check, identify, shorten,
    write,
};
use certus_engine::verify::{Branching, CaseProof, Reason, Report, Settings, Verdict, verify};
use support::exact::Question;
use support::tiny::{Random, base, property};
use support::tree::{Node, Style};
use support::{accepts, model, program_proof};

const LIMIT: u64 = 1 << 24;

/// A question of two cases with a proof of each.
struct Two {
    question: Question,
    property: Property,
    proofs: Vec<CaseProof>,
    style: Style,
}

impl Two {
    fn new(style: Style, seed: u64) -> Self {
        let mut random = Random(seed);
        let (question, bytes) = loop {
            let Some((question, bytes)) = base(&mut random) else { continue };
            let bytes = match style {
                Style::Chain => Some(bytes),
                Style::Program => program_proof(&question, &bytes, true),
            };
            if let Some(bytes) = bytes {
                break (question, bytes);
            }
        };
        let mut property = property(&question);
        property.cases.push(property.cases[0].clone());
        let proofs =
            vec![CaseProof { cases: vec![0], bytes: bytes.clone() }, CaseProof { cases: vec![1], bytes }];
        Self { question, property, proofs, style }
    }

    fn identity(&self) -> Identity {
        let model = model(&self.question.net, self.style);
        identify(&model, &self.property, Meaning::Real, [[1; 32], [0; 32], [2; 32]])
    }

    fn check(
        &self,
        file: &[u8],
        identity: &Identity,
        threads: usize,
        plain: bool,
    ) -> Result<Checked, ProofError> {
        let model = model(&self.question.net, self.style);
        let mut reader = Reader::new(file, file.len() as u64, LIMIT)?;
        let options = CheckOptions { threads, plain, stop: &AtomicBool::new(false) };
        check(&mut reader, identity, &model, &self.property, options)
    }

    fn file(&self) -> Vec<u8> {
        write(&self.identity(), &self.proofs, LIMIT).unwrap()
    }

    fn answer(&self, file: &[u8]) -> Result<Checked, ProofError> {
        self.check(file, &self.identity(), 1, false)
    }
}

const STYLES: [Style; 2] = [Style::Chain, Style::Program];

#[test]
fn what_is_written_is_accepted_by_both_kernels_and_any_number_of_threads() {
    for style in STYLES {
        for seed in 0..5 {
            let two = Two::new(style, seed);
            let file = two.file();
            let one = two.answer(&file).unwrap();
            let root = Node::parse(&two.proofs[0].bytes, style, &two.question);
            let leaves = 2 * root.count(&|n| matches!(n, Node::Leaf { .. }));
            let lemmas = 2 * root.count(&|n| matches!(n, Node::Lemma { .. }));
            assert_eq!((one.cases, one.groups, one.leaves, one.lemmas), (2, 2, leaves, lemmas));
            assert!(one.leaves > 2 && one.depth > 0);
            for (threads, plain) in [(1, true), (3, false), (3, true)] {
                assert_eq!(two.check(&file, &two.identity(), threads, plain).unwrap(), one);
            }
        }
    }
}

#[test]
fn a_file_of_another_question_is_refused_for_what_differs() {
    let two = Two::new(Style::Chain, 1);
    let file = two.file();
    let mut identities = vec![two.identity(); 7];
    identities[0].network[3] ^= 1;
    identities[1].weights[31] ^= 1;
    identities[2].property[0] ^= 1;
    identities[3].lowered[9] ^= 1;
    identities[4].meaning = Meaning::RealAndF32;
    identities[5].cases = 3;
    identities[6].kind = certus_engine::verify::proof_file::Kind::Program;
    let words = ["network", "weights", "property", "lowering", "RealAndF32", "3 cases", "Program"];
    for (identity, word) in identities.iter().zip(words) {
        let error = two.check(&file, identity, 1, false).unwrap_err();
        assert!(matches!(error, ProofError::Other { .. } | ProofError::Differs { .. }), "{error}");
        assert!(error.to_string().contains(word), "{error} for {word}");
    }
    // The digest of the lowered question knows every number that a proof speaks of.
    let base = two.identity().lowered;
    let mut others: Vec<Two> = (0..6).map(|_| Two::new(Style::Chain, 1)).collect();
    others[0].question.net.layers[0].weights[0] += 0.125;
    others[1].question.net.layers[1].bias[0] += 0.125;
    others[2].property.cases[0].region.lower[0] -= 0.125;
    others[3].property.cases[1].region.upper[1] += 0.125;
    others[4].property.cases[0].disjuncts[0].rows[0].rhs_upper += 0.125;
    others[5].property.cases[0].disjuncts[0].rows[0].coefficients[0] += 0.125;
    for (i, other) in others.iter().enumerate() {
        assert_ne!(other.identity().lowered, base, "change {i} leaves the digest as it was");
    }
}

#[test]
fn a_case_without_proof_a_case_that_is_not_there_and_cases_out_of_order_are_refused() {
    let mut two = Two::new(Style::Program, 2);
    let both = two.proofs.clone();
    two.proofs = both[1..].to_vec();
    assert!(matches!(two.answer(&two.file()), Err(ProofError::Missing { case: 0, cases: 2, missing: 1 })));
    two.proofs = Vec::new();
    assert!(matches!(two.answer(&two.file()), Err(ProofError::Missing { case: 0, cases: 2, missing: 2 })));
    two.proofs = both.clone();
    two.proofs[1].cases = vec![2];
    assert!(matches!(two.answer(&two.file()), Err(ProofError::Case { group: 1, case: 2, cases: 2 })));
    for cases in [vec![1, 0], vec![0, 0]] {
        two.proofs[1].cases = cases;
        assert!(matches!(two.answer(&two.file()), Err(ProofError::Format(FormatError::Cases { .. }))));
    }
    // One group of both cases, which are the same, is enough.
    two.proofs = vec![CaseProof { cases: vec![0, 1], bytes: both[0].bytes.clone() }];
    assert_eq!(two.answer(&two.file()).unwrap().groups, 1);
}

#[test]
fn every_cut_every_flipped_byte_and_every_byte_more_is_refused() {
    let two = Two::new(Style::Chain, 3);
    let file = two.file();
    for end in 0..file.len() {
        assert!(matches!(two.answer(&file[..end]), Err(ProofError::Format(_))), "cut to {end}");
    }
    for at in 0..file.len() {
        let mut damaged = file.clone();
        damaged[at] ^= 0x10;
        assert!(two.answer(&damaged).is_err(), "byte {at}");
    }
    let longer = [file.as_slice(), &[0]].concat();
    assert!(matches!(two.answer(&longer), Err(ProofError::Format(FormatError::Length { .. }))));
}

/// The file with other bytes at `at`, and checksums that fit again.
fn forged(file: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    let crc = |bytes: &[u8]| {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        crc.sum().to_le_bytes()
    };
    let header = crc(&file[..160]);
    file[160..164].copy_from_slice(&header);
    let end = file.len() - 4;
    if at >= 164 {
        let record = crc(&file[164..end]);
        file[end..].copy_from_slice(&record);
    }
    file
}

#[test]
fn lengths_that_are_not_there_allocate_nothing_and_are_refused() {
    let mut two = Two::new(Style::Chain, 4);
    two.property.cases.pop();
    two.proofs.pop();
    let file = two.file();
    assert!(two.answer(&forged(&file, 0, b"C")).is_ok());
    let most = u64::MAX.to_le_bytes();
    let groups = two.answer(&forged(&file, 148, &u32::MAX.to_le_bytes()));
    assert!(matches!(groups, Err(ProofError::Format(FormatError::Length { .. }))));
    let length = two.answer(&forged(&file, 152, &most));
    assert!(matches!(length, Err(ProofError::Format(FormatError::Length { .. }))));
    let cases = two.answer(&forged(&file, 166, &u32::MAX.to_le_bytes()));
    assert!(matches!(cases, Err(ProofError::Format(FormatError::Cases { .. }))));
    let raw = two.answer(&forged(&file, 174, &most));
    assert!(matches!(raw, Err(ProofError::Format(FormatError::TooLarge { .. }))));
    let stored = two.answer(&forged(&file, 182, &most));
    assert!(matches!(
        stored,
        Err(ProofError::Format(FormatError::Record { .. } | FormatError::Length { .. }))
    ));
    for (at, value) in [(10, 2), (11, 2), (12, 2), (13, 1)] {
        let field = two.answer(&forged(&file, at, &[value]));
        assert!(
            matches!(field, Err(ProofError::Format(FormatError::Field { at: found, .. })) if found == at)
        );
    }
    let version = two.answer(&forged(&file, 8, &[3]));
    assert!(matches!(version, Err(ProofError::Format(FormatError::Version { found: 3 }))));
    let journal = two.answer(&forged(&file, 10, &[1]));
    assert!(matches!(journal, Err(ProofError::Format(FormatError::Unfinished))));
    let other = two.answer(&forged(&file, 0, b"X"));
    assert!(matches!(other, Err(ProofError::Format(FormatError::Magic))));
}

#[test]
fn a_packed_tree_that_unpacks_to_more_than_it_says_is_refused() {
    let two = Two::new(Style::Chain, 5);
    let identity = two.identity();
    // Zeros pack well, and are no tree.
    let proofs = [CaseProof { cases: vec![0, 1], bytes: vec![0; 100_000] }];
    let file = write(&identity, &proofs, LIMIT).unwrap();
    assert!(file.len() < 2000, "packed");
    assert!(matches!(two.answer(&file), Err(ProofError::Rejected { reason: Rejection::Step { at: 0 }, .. })));
    let at = 164 + 2 + 4 + 8;
    for raw in [99_999u64, 100_001] {
        let forged = forged(&file, at, &raw.to_le_bytes());
        assert!(matches!(two.answer(&forged), Err(ProofError::Format(FormatError::Unpack { .. }))));
    }
    assert!(matches!(write(&identity, &proofs, 99_999), Err(FormatError::TooLarge { .. })));
}

/// What the checker says of a tree for the question of seed 6.
fn refused(style: Style, edit: impl FnOnce(&mut Node)) -> Rejection {
    let two = Two::new(style, 6);
    let mut root = Node::parse(&two.proofs[0].bytes, style, &two.question);
    edit(&mut root);
    match accepts(&two.question, style, &root.to_bytes(style)) {
        Err(ProofError::Rejected { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn trees_with_a_hole_and_claims_out_of_range_are_refused() {
    for style in STYLES {
        let two = Two::new(style, 6);
        let bytes = two.proofs[0].bytes.clone();
        let says = |bytes: &[u8]| match accepts(&two.question, style, bytes) {
            Err(ProofError::Rejected { reason, .. }) => reason,
            other => panic!("{other:?}"),
        };
        // The last leaf is missing; the first one comes twice.
        let leaf = Node::leaf(two.question.disjuncts.len()).to_bytes(style);
        let mut root = Node::parse(&bytes, style, &two.question);
        *root.last_leaf() = Node::leaf(two.question.disjuncts.len());
        let whole = root.to_bytes(style);
        assert_eq!(says(&whole[..whole.len() - leaf.len()]), Rejection::Length);
        assert_eq!(says(&[bytes.as_slice(), &leaf].concat()), Rejection::Length);
        // Claims.
        let claim = |edit: &dyn Fn(&mut support::tree::Claim)| {
            refused(style, |root| {
                if let Node::Leaf { claims } = root.last_leaf() {
                    edit(&mut claims[0]);
                }
            })
        };
        assert_eq!(claim(&|c| c.row = 9), Rejection::Claim);
        let beta = |value: f32| {
            let wrap = |inner: Node| Node::Value {
                layer: 0,
                neuron: 0,
                point: 0.0,
                halves: Box::new([inner.clone(), inner]),
            };
            refused(style, |root| {
                let mut bare = Node::leaf(two.question.disjuncts.len());
                if let Node::Leaf { claims } = &mut bare {
                    claims[0].beta = vec![value];
                }
                *root =
                    wrap(if style == Style::Chain { bare } else { Node::Lemma { below: Box::new(bare) } });
            })
        };
        for value in [-1.0, f32::NAN, f32::INFINITY, -f32::MIN_POSITIVE] {
            assert_eq!(beta(value), Rejection::Claim, "{value}");
        }
        assert!(!matches!(beta(1.0), Rejection::Claim), "a multiplier in range is no error of range");
        // Splits.
        let split = |coordinate, value| {
            refused(style, |root| {
                let halves = Box::new([root.clone(), root.clone()]);
                *root = Node::Input { coordinate, value, halves };
            })
        };
        for (coordinate, value) in [(2, 0.0), (0, 1.5), (0, f64::NAN), (1, f64::NEG_INFINITY)] {
            assert!(matches!(split(coordinate, value), Rejection::Split { .. }));
        }
        // Depth.
        let deep = refused(style, |root| {
            let mut bytes = Vec::new();
            let node =
                Node::Input { coordinate: 0, value: 0.0, halves: Box::new([root.clone(), root.clone()]) };
            node.head(style, &mut bytes);
            *root = Node::Raw { bytes: bytes.repeat(4097) };
        });
        assert_eq!(deep, Rejection::Depth);
    }
    // Lemmas: a leaf needs one above it, and only so many may be on a path.
    let bare = refused(Style::Program, |root| *root = root.without_lemmas());
    assert!(matches!(bare, Rejection::Step { .. }));
    let many = refused(Style::Program, |root| {
        (0..65).for_each(|_| *root = Node::Lemma { below: Box::new(root.clone()) });
    });
    assert_eq!(many, Rejection::Depth);
}

#[test]
fn a_shortened_proof_is_accepted_and_no_longer() {
    let (mut before, mut after) = ([0; 2], [0; 2]);
    for (style, seed) in STYLES.into_iter().flat_map(|style| (0..12).map(move |seed| (style, seed))) {
        let two = Two::new(style, seed);
        let model = model(&two.question.net, style);
        let mut proofs = two.proofs.clone();
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        shorten(&model, &two.property, Meaning::Real, &mut proofs, until);
        let file = write(&two.identity(), &proofs, LIMIT).unwrap();
        assert!(two.answer(&file).is_ok(), "seed {seed}");
        before[usize::from(style == Style::Program)] += two.proofs[0].bytes.len();
        after[usize::from(style == Style::Program)] += proofs[0].bytes.len();
    }
    println!("{before:?} bytes, shortened {after:?}");
    assert!(after[0] < before[0] && after[1] < before[1], "{after:?} of {before:?} bytes");
}

#[test]
fn a_journal_gives_back_what_was_noted_up_to_where_it_was_cut() {
    let two = Two::new(Style::Chain, 7);
    let identity = two.identity();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.part");
    let open = |identity: &Identity| Journal::open(&path, identity, LIMIT);
    let (one, other) = ([1; 32], [2; 32]);
    let journal = open(&identity).unwrap();
    assert!(!journal.is_resumed());
    assert!(matches!(open(&identity), Err(ProofError::Busy)), "one run at a time");
    journal.record(&one, b"first");
    journal.record(&other, b"else");
    journal.flush().unwrap();
    journal.record(&one, b" second");
    journal.flush().unwrap();
    drop(journal);
    let whole = std::fs::read(&path).unwrap();
    let journal = open(&identity).unwrap();
    assert!(journal.is_resumed());
    assert_eq!(journal.recorded(&one).unwrap(), b"first second");
    assert_eq!(journal.recorded(&other).unwrap(), b"else");
    assert_eq!(journal.recorded(&[3; 32]), None);
    drop(journal);
    // Cut anywhere, as by a kill: what was whole is there, and more can be noted.
    for end in 0..whole.len() {
        std::fs::write(&path, &whole[..end]).unwrap();
        let journal = open(&identity).unwrap();
        let found = journal.recorded(&one).unwrap_or_default();
        assert!(b"first second".starts_with(&found[..]), "cut to {end}");
        journal.record(&one, b"!");
        drop(journal);
        let again = open(&identity).unwrap();
        assert_eq!(again.recorded(&one).unwrap(), [&found[..], b"!"].concat(), "cut to {end}");
    }
    // Of another question, or no journal.
    std::fs::write(&path, &whole).unwrap();
    let mut foreign = identity.clone();
    foreign.network[0] ^= 1;
    assert!(matches!(open(&foreign), Err(ProofError::Other { what: "network", .. })));
    std::fs::write(&path, two.file()).unwrap();
    assert!(matches!(open(&identity), Err(ProofError::Format(FormatError::Finished))));
    std::fs::write(&path, b"something else").unwrap();
    assert!(matches!(open(&identity), Err(ProofError::Format(FormatError::Magic))));
    assert_eq!(std::fs::read(&path).unwrap(), b"something else");
}

/// Takes notes in memory, and ends the search after some of them.
struct Notes {
    notes: std::sync::Mutex<Vec<u8>>,
    found: Option<Vec<u8>>,
    left: std::sync::atomic::AtomicUsize,
    stop: Arc<AtomicBool>,
}

impl Recorder for Notes {
    fn record(&self, _: &[u8; 32], event: &[u8]) {
        self.notes.lock().unwrap().extend(event);
        if self.left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) == 1 {
            self.stop.store(true, std::sync::atomic::Ordering::SeqCst);
        }
    }
    fn recorded(&self, _: &[u8; 32]) -> Option<Vec<u8>> {
        self.found.clone()
    }
}

struct Noting(Arc<Notes>);

impl Progress for Noting {
    fn update(&self, _: Snapshot) {}
    fn recorder(&self) -> Option<Arc<dyn Recorder>> {
        Some(self.0.clone())
    }
}

/// A run that is stopped after `events` notes and begins with those `found`; what it noted, its report.
fn run(two: &Two, branching: Branching, events: usize, found: Option<Vec<u8>>) -> (Vec<u8>, Report) {
    let stop = Arc::new(AtomicBool::new(false));
    let notes = Notes { notes: Default::default(), found, left: events.into(), stop: stop.clone() };
    let notes = Arc::new(notes);
    let timeout = Duration::from_secs(20);
    let settings = Settings { threads: 2, attack: false, branching, timeout, ..Settings::default() };
    let one = Property { cases: vec![two.property.cases[0].clone()], ..two.property.clone() };
    let noting = Noting(notes.clone());
    let report = match model(&two.question.net, two.style) {
        Model::Chain(chain) => verify(&chain, &one, &settings, &stop, &noting),
        Model::Program(program) => verify_program(&program, &program, &one, &settings, &stop, &noting),
    };
    let bytes = notes.notes.lock().unwrap().clone();
    (bytes, report)
}

/// Searches that are stopped, of each kind.
const ENOUGH: usize = 3;

/// Stops searches after `events` notes; returns how many of those that had as many went on from there.
fn stop_and_go_on(style: Style, branching: Branching, events: usize) -> usize {
    let mut resumed = 0;
    for seed in 0..40 {
        let two = Two::new(style, 100 + seed);
        let (all, whole) = run(&two, branching, usize::MAX, None);
        let Verdict::Holds(_) = whole.verdict else { panic!("it holds") };
        if whole.stats.leaves < events.max(3) {
            continue;
        }
        let (notes, stopped) = run(&two, branching, events, None);
        if !matches!(stopped.verdict, Verdict::Unknown { reason: Reason::Stopped, .. }) {
            // The last step of the search was the one that was not stopped.
            continue;
        }
        let (more, report) = run(&two, branching, usize::MAX, Some(notes.clone()));
        let Verdict::Holds(proofs) = report.verdict else { panic!("{:?}", report.verdict) };
        assert!(accepts(&two.question, style, &proofs[0].bytes).is_ok());
        // Both runs' notes together are a whole tree: a third run has nothing left to do but check.
        let both = [notes.clone(), more].concat();
        let (none, third) = run(&two, branching, usize::MAX, Some(both.clone()));
        assert!(none.is_empty(), "seed {seed}: notes of a tree that was whole");
        assert!(third.stats.domains <= third.stats.leaves + 1, "the root and what is checked again");
        assert!(matches!(third.verdict, Verdict::Holds(_)));
        // Notes that are wrong, cut or foreign cost time, never the truth.
        let wrong = [5, 7, 11].map(|step| {
            let mut wrong = all.clone();
            wrong.iter_mut().skip(7).step_by(step).for_each(|b| *b = b.wrapping_add(1));
            wrong
        });
        for notes in wrong.into_iter().chain([all[..all.len() - 3].to_vec(), vec![0xff; 64]]) {
            let (_, report) = run(&two, branching, usize::MAX, Some(notes));
            match report.verdict {
                Verdict::Holds(proofs) => assert!(accepts(&two.question, style, &proofs[0].bytes).is_ok()),
                Verdict::Unknown { .. } => {}
                Verdict::Violated(_) => panic!("it holds"),
            }
        }
        resumed += 1;
        if resumed == ENOUGH {
            break;
        }
    }
    resumed
}

#[test]
fn a_stopped_search_goes_on_from_its_notes_and_trusts_none_of_them() {
    for style in STYLES {
        for branching in [Branching::Inputs, Branching::Neurons] {
            for events in [2, 8] {
                let resumed = stop_and_go_on(style, branching, events);
                println!("{style:?} {branching:?} {events}: {resumed}");
                assert!(
                    resumed == ENOUGH,
                    "{style:?}, {branching:?}: only {resumed} searches were long enough"
                );
            }
        }
    }
}

#[test]
fn a_search_without_memory_for_its_domains_comes_to_the_same_verdict() {
    let mut long = 0;
    for (style, seed) in STYLES.into_iter().flat_map(|style| (0..12).map(move |seed| (style, seed))) {
        let two = Two::new(style, 300 + seed);
        for branching in [Branching::Inputs, Branching::Neurons] {
            let verdict = |memory: usize| {
                let settings =
                    Settings { threads: 2, attack: false, branching, memory, ..Settings::default() };
                let stop = AtomicBool::new(false);
                match model(&two.question.net, style) {
                    Model::Chain(chain) => verify(&chain, &two.property, &settings, &stop, &Silent),
                    Model::Program(p) => verify_program(&p, &p, &two.property, &settings, &stop, &Silent),
                }
            };
            let (plenty, little) = (verdict(0), verdict(1));
            assert!(matches!(plenty.verdict, Verdict::Holds(_)), "{style:?} {seed}: {plenty:?}");
            let Verdict::Holds(proofs) = &little.verdict else { panic!("{style:?} {seed}: {little:?}") };
            for proof in proofs.iter().filter(|p| p.cases == [0]) {
                assert!(accepts(&two.question, style, &proof.bytes).is_ok());
            }
            long += usize::from(little.stats.domains > 8);
        }
    }
    assert!(long >= 8, "only {long} searches had anything to forget");
}
