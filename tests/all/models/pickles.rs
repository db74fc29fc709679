//! The machine that reads pickles: every instruction in use, limits, and what is refused.

use mdrun::formats::pickle::{PickleValue, Tree, read};
use mdrun::formats::torch;

use super::convert::ZIP;
use super::layouts::SchNetPack;
use super::pickled::{Array, Py, dict, pickle, save, text, zip};
use crate::parity::model_file::small;
use crate::support::allocator::largest_allocation;

fn refused(bytes: &[u8], says: &str) {
    let message = read(bytes).map(|read| read.tree).unwrap_err().to_string();
    assert!(message.contains(says), "no {says:?} in: {message}");
    assert!(message.starts_with("the pickle, byte "), "{message}");
}

/// The value of a pickle of these instructions.
fn value_of(code: &[u8]) -> PickleValue {
    let bytes = [b"\x80\x04", code, b"."].concat();
    let read = read(&bytes).unwrap();
    assert_eq!(read.length, bytes.len());
    read.tree.get(read.tree.root()).clone()
}

#[test]
fn numbers_and_texts_are_what_python_means() {
    for (code, value) in [
        (&b"N"[..], PickleValue::None),
        (b"\x88", PickleValue::Bool(true)),
        (b"\x89", PickleValue::Bool(false)),
        (b"J\xff\xff\xff\xff", PickleValue::Int(-1)),
        (b"K\xff", PickleValue::Int(255)),
        (b"M\x01\x02", PickleValue::Int(513)),
        (b"\x8a\x00", PickleValue::Int(0)),
        (b"\x8a\x02\x00\x80", PickleValue::Int(-32768)),
        (b"\x8b\x02\x00\x00\x00\xff\x00", PickleValue::Int(255)),
        (b"G?\xf8\x00\x00\x00\x00\x00\x00", PickleValue::Float(1.5)),
        (
            b"X\x02\x00\x00\x00\xc3\xa4",
            PickleValue::Text("\u{e4}".into()),
        ),
        (b"\x8c\x01a", PickleValue::Text("a".into())),
        (
            b"\x8d\x01\x00\x00\x00\x00\x00\x00\x00a",
            PickleValue::Text("a".into()),
        ),
        (b"C\x01\xff", PickleValue::Bytes([255].into())),
        (
            b"\x96\x01\x00\x00\x00\x00\x00\x00\x00a",
            PickleValue::Bytes([97].into()),
        ),
        // Of two equal values on the stack one is thrown away.
        (b"K\x072" as &[u8], PickleValue::Int(7)),
    ] {
        let code = match code {
            b"K\x072" => b"K\x0720".as_slice(),
            code => code,
        };
        assert_eq!(value_of(code), value, "{code:?}");
    }
}

fn words(tree: &Tree, list: &[mdrun::formats::pickle::ValueId]) -> Vec<String> {
    list.iter().map(|id| tree.describe(*id)).collect()
}

#[test]
fn containers_are_filled_and_shared() {
    let list = read(b"\x80\x02]q\x00(K\x01K\x02eh\x00K\x03a.").unwrap_err();
    assert!(list.to_string().contains("left over"), "{list}");
    let shared = read(b"\x80\x02]q\x00K\x01ah\x00\x86.").unwrap().tree;
    let pair = shared.sequence(shared.root()).unwrap().to_vec();
    assert_eq!(pair[0], pair[1]);
    assert_eq!(words(&shared, shared.sequence(pair[0]).unwrap()), ["1"]);
    let all = read(&pickle(
        &dict(vec![
            (
                "a",
                Py::Tuple(vec![Py::Int(1), Py::Bool(true), Py::None, Py::Float(0.5)]),
            ),
            (
                "b",
                Py::Ordered(vec![(text("c"), Py::List(vec![text("d")]))]),
            ),
            ("e", Py::Global("torch.nn.functional.silu".into())),
        ]),
        2,
    ));
    let tree = all.unwrap().tree;
    let root = tree.root();
    let tuple = tree.sequence(tree.entry(root, "a").unwrap()).unwrap();
    assert_eq!(words(&tree, tuple), ["1", "True", "None", "0.5"]);
    let inner = tree.entry(tree.entry(root, "b").unwrap(), "c").unwrap();
    assert_eq!(words(&tree, tree.sequence(inner).unwrap()), ["\"d\""]);
    assert_eq!(
        tree.global(tree.entry(root, "e").unwrap()),
        Some("torch.nn.functional.silu")
    );
}

/// A call is kept as what would be called, and nothing is called.
#[test]
fn nothing_is_executed() {
    let tree = read(&pickle(
        &Py::Call("os.system".into(), vec![text("touch harm")]),
        2,
    ))
    .unwrap()
    .tree;
    assert_eq!(tree.class(tree.root()), Some("os.system"));
    assert!(matches!(tree.get(tree.root()), PickleValue::Object(_)));
    let bytes = save(&Py::Call("os.system".into(), vec![text("touch harm")]), ZIP);
    let saved = torch::open(&bytes).unwrap();
    assert_eq!(
        saved.tree.describe(saved.tree.root()),
        "an object of os.system"
    );
}

#[test]
fn instructions_that_take_something_from_outside_are_named() {
    for (code, says) in [
        (&b"\x80\x02I1\n."[..], "INT, of protocol 0"),
        (b"\x80\x02cos\nsystem\n(i", "INST"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x05\x97.", "NEXT_BUFFER"),
        (b"\x80\x02P0\n.", "PERSID"),
        (b"\x80\x02\xff.", "0xff is no instruction"),
        (b"\x80\x06N.", "protocol 6"),
        (b"N.", "0x80"),
        (b"\x80\x02\x80\x02N.", "second beginning"),
        (b"\x80\x02", "cut short"),
        (b"\x80\x02X\xff\xff\xff\xffa.", "cut short"),
        (b"\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\xffa.", "cut short"),
        (b"\x80\x02\x8a\x11\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00.", "17 bytes"),
        (b"\x80\x02X\x01\x00\x00\x00\xff.", "UTF-8"),
        (b"\x80\x020.", "off the stack"),
        (b"\x80\x02(N0e.", "off the stack"),
        (b"\x80\x02t.", "no mark"),
        (b"\x80\x02Nh\x05.", "place 5 of the memo is empty"),
        (b"\x80\x02Nq\x00Nq\x00.", "filled twice"),
        (b"\x80\x02NK\x01a.", "no container"),
        (b"\x80\x02}(K\x01u.", "has no value"),
        (b"\x80\x02NN.", "2 values"),
        (b"\x80\x02(N.", "1 marks"),
        (b"\x80\x02N)R.", "no function"),
        (b"\x80\x02cos\nsystem\nNR.", "no tuple"),
        (b"\x80\x02NNb.", "no object"),
        (b"\x80\x02ca\nb\n)RNbNb.", "state twice"),
    ] {
        refused(code, says);
    }
}

/// Neither marks nor tuples of tuples are as deep as the file wants them to be.
#[test]
fn depth_and_sizes_are_bounded() {
    let marks = [b"\x80\x02".to_vec(), vec![b'('; 20_000]].concat();
    refused(&marks, "nested");
    let tuples = [b"\x80\x02N".to_vec(), vec![0x85; 1_000_000], b".".to_vec()].concat();
    let (tree, largest) = largest_allocation(|| read(&tuples).unwrap().tree);
    assert!(largest < 64 * tuples.len(), "{largest}");
    assert_eq!(tree.describe(tree.root()), "a tuple of 1");
    drop(tree.clone());
    let values = [b"\x80\x02".to_vec(), vec![b']'; (1 << 22) + 1]].concat();
    refused(&values, "more than 4194304 values");
}

#[test]
fn archives_that_are_damaged_or_others_are_refused() {
    let model = small();
    let good = save(&SchNetPack::of(&model).module(&model), ZIP);
    let refused = |bytes: &[u8], says: &str| {
        let message = torch::open(bytes).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains(says), "no {says:?} in: {message}");
    };
    let numbers = good.windows(12).position(|w| w == b"model/data/5").unwrap() + 20;
    let mut flipped = good.clone();
    flipped[numbers] ^= 1;
    refused(&flipped, "checksum");
    refused(&good[..good.len() - 5], "cut short");
    let file = |name: &str, data: &'static [u8]| (name.to_owned(), data);
    refused(&zip(&[file("a/constants.pkl", b"")]), "TorchScript");
    refused(&zip(&[file("a/b", b"")]), "no data.pkl");
    refused(
        &zip(&[
            file("a/data.pkl", b"\x80\x02N."),
            file("a/data.pkl", b"\x80\x02N."),
        ]),
        "twice",
    );
    refused(
        &zip(&[file("a/data.pkl", b"\x80\x02N.more")]),
        "4 bytes follow",
    );
    refused(
        &zip(&[file("a/data.pkl", b"\x80\x02N."), file("a/data/0", b"1234")]),
        "nothing refers to",
    );
    refused(
        &zip(&[file("a/data.pkl", b"\x80\x02N."), file("a/version", b"99")]),
        "version",
    );
    refused(
        &zip(&[
            file("a/data.pkl", b"\x80\x02N."),
            file("a/byteorder", b"mixed"),
        ]),
        "byte order",
    );
    refused(
        &zip(&[file("a/data.pkl", b"\x80\x02N."), file("a/code.py", b"")]),
        "does not write",
    );
    refused(b"\x80\x02N.", "torch.save did not write");
    // Big numbers first.
    let array = Py::Tensor(Array::single(&[2], &[1.5, -2.0]));
    let whole = save(&array, ZIP);
    let saved = torch::open(&whole).unwrap();
    assert_eq!(saved.tensor(saved.tree.root()).unwrap().unwrap().shape, [2]);
}
