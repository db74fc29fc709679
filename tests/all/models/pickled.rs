//! Files as `torch.save` writes them, made here: pickles of protocol 2 or 4, in a zip archive or in the format before 1.6.

use std::collections::HashMap;

/// What is pickled.
#[derive(Debug, Clone)]
pub enum Py {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Tuple(Vec<Py>),
    List(Vec<Py>),
    Dict(Vec<(Py, Py)>),
    /// An `OrderedDict`.
    Ordered(Vec<(Py, Py)>),
    Global(String),
    /// A function called with arguments.
    Call(String, Vec<Py>),
    /// An object of a class with a state.
    Object(String, Box<Py>),
    Tensor(Array),
    /// The same, as a parameter.
    Parameter(Array),
}

/// Numbers of a tensor.
#[derive(Debug, Clone)]
pub struct Array {
    pub shape: Vec<usize>,
    pub values: Vec<f64>,
    /// Whether they are stored in 64 bits.
    pub double: bool,
}

impl Array {
    pub fn single(shape: &[usize], values: &[f64]) -> Self {
        assert_eq!(shape.iter().product::<usize>(), values.len());
        Self {
            shape: shape.to_vec(),
            values: values.to_vec(),
            double: false,
        }
    }

    pub fn double(shape: &[usize], values: &[f64]) -> Self {
        Self {
            double: true,
            ..Self::single(shape, values)
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self.double {
            true => self.values.iter().flat_map(|x| x.to_le_bytes()).collect(),
            false => self
                .values
                .iter()
                .flat_map(|x| (*x as f32).to_le_bytes())
                .collect(),
        }
    }
}

pub fn text(text: &str) -> Py {
    Py::Text(text.to_owned())
}

/// A dict with keys of text.
pub fn dict(entries: Vec<(&str, Py)>) -> Py {
    Py::Dict(
        entries
            .into_iter()
            .map(|(key, value)| (text(key), value))
            .collect(),
    )
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// With a pickle of this protocol.
    Zip(u8),
    Legacy,
}

pub const CONTAINERS: [Container; 5] = [
    Container::Zip(2),
    Container::Zip(3),
    Container::Zip(4),
    Container::Zip(5),
    Container::Legacy,
];

/// The file of a value.
pub fn save(value: &Py, container: Container) -> Vec<u8> {
    let protocol = match container {
        Container::Zip(protocol) => protocol,
        Container::Legacy => 2,
    };
    let mut pickler = Pickler::new(protocol);
    pickler.legacy = container == Container::Legacy;
    let pickle = pickler.whole(value);
    match container {
        Container::Zip(_) => archive(&pickle, &pickler.storages),
        Container::Legacy => legacy(&pickle, &pickler.storages),
    }
}

/// The pickle alone.
pub fn pickle(value: &Py, protocol: u8) -> Vec<u8> {
    Pickler::new(protocol).whole(value)
}

struct Pickler {
    out: Vec<u8>,
    protocol: u8,
    legacy: bool,
    /// Places of the memo.
    memo: u32,
    /// Those of texts, which are written once.
    texts: HashMap<String, u32>,
    globals: HashMap<String, u32>,
    storages: Vec<Array>,
}

impl Pickler {
    fn new(protocol: u8) -> Self {
        Self {
            out: Vec::new(),
            protocol,
            legacy: false,
            memo: 0,
            texts: HashMap::new(),
            globals: HashMap::new(),
            storages: Vec::new(),
        }
    }

    fn whole(&mut self, value: &Py) -> Vec<u8> {
        self.out.extend([0x80, self.protocol]);
        self.put(value);
        self.out.push(b'.');
        std::mem::take(&mut self.out)
    }

    fn remember(&mut self) -> u32 {
        let place = self.memo;
        self.memo += 1;
        match (self.protocol, u8::try_from(place)) {
            (4.., _) => self.out.push(0x94),
            (_, Ok(place)) => self.out.extend([b'q', place]),
            _ => {
                self.out.push(b'r');
                self.out.extend(place.to_le_bytes());
            }
        }
        place
    }

    fn recall(&mut self, place: u32) {
        match u8::try_from(place) {
            Ok(place) => self.out.extend([b'h', place]),
            Err(_) => {
                self.out.push(b'j');
                self.out.extend(place.to_le_bytes());
            }
        }
    }

    fn put_text(&mut self, text: &str) {
        if let Some(place) = self.texts.get(text) {
            return self.recall(*place);
        }
        match self.protocol {
            4.. => self.out.extend([0x8c, text.len() as u8]),
            _ => {
                self.out.push(b'X');
                self.out.extend((text.len() as u32).to_le_bytes());
            }
        }
        self.out.extend(text.as_bytes());
        let place = self.remember();
        self.texts.insert(text.to_owned(), place);
    }

    fn put_global(&mut self, path: &str) {
        if let Some(place) = self.globals.get(path) {
            return self.recall(*place);
        }
        let (module, name) = path.rsplit_once('.').unwrap();
        match self.protocol {
            4.. => {
                self.put_text(module);
                self.put_text(name);
                self.out.push(0x93);
            }
            _ => self.out.extend(format!("c{module}\n{name}\n").as_bytes()),
        }
        let place = self.remember();
        self.globals.insert(path.to_owned(), place);
    }

    fn put_int(&mut self, n: i64) {
        match n {
            0..=255 => self.out.extend([b'K', n as u8]),
            256..=65535 => {
                self.out.push(b'M');
                self.out.extend((n as u16).to_le_bytes());
            }
            _ => {
                self.out.push(b'J');
                self.out.extend((n as i32).to_le_bytes());
            }
        }
    }

    fn put_tuple(&mut self, parts: &[Py]) {
        match parts.len() {
            0 => return self.out.push(b')'),
            1..=3 => {
                parts.iter().for_each(|part| self.put(part));
                self.out.push(0x84 + parts.len() as u8);
            }
            _ => {
                self.out.push(b'(');
                parts.iter().for_each(|part| self.put(part));
                self.out.push(b't');
            }
        }
        self.remember();
    }

    fn put_items(&mut self, items: &[(Py, Py)]) {
        if items.is_empty() {
            return;
        }
        self.out.push(b'(');
        for (key, value) in items {
            self.put(key);
            self.put(value);
        }
        self.out.push(b'u');
    }

    /// A tensor, whose numbers are stored outside.
    fn put_tensor(&mut self, array: &Array) {
        let key = self.storages.len().to_string();
        self.storages.push(array.clone());
        let class = if array.double {
            "torch.DoubleStorage"
        } else {
            "torch.FloatStorage"
        };
        self.put_global("torch._utils._rebuild_tensor_v2");
        self.out.push(b'(');
        let count = array.values.len() as i64;
        let mut name = vec![
            text("storage"),
            Py::Global(class.into()),
            text(&key),
            text("cpu"),
            Py::Int(count),
        ];
        if self.legacy {
            name.push(Py::None);
        }
        self.put_tuple(&name);
        self.out.push(b'Q');
        self.put_int(0);
        let sizes = |list: &[usize]| list.iter().map(|n| Py::Int(*n as i64)).collect::<Vec<_>>();
        let mut stride = vec![1; array.shape.len()];
        for k in (1..stride.len()).rev() {
            stride[k - 1] = stride[k] * array.shape[k];
        }
        self.put_tuple(&sizes(&array.shape));
        self.put_tuple(&sizes(&stride));
        self.put(&Py::Bool(false));
        self.put(&Py::Ordered(Vec::new()));
        self.out.push(b't');
        self.remember();
        self.out.push(b'R');
        self.remember();
    }

    fn put(&mut self, value: &Py) {
        match value {
            Py::None => self.out.push(b'N'),
            Py::Bool(flag) => self.out.push(if *flag { 0x88 } else { 0x89 }),
            Py::Int(n) => self.put_int(*n),
            Py::Float(x) => {
                self.out.push(b'G');
                self.out.extend(x.to_be_bytes());
            }
            Py::Text(text) => self.put_text(text),
            Py::Tuple(parts) => self.put_tuple(parts),
            Py::List(list) => {
                self.out.push(b']');
                self.remember();
                self.out.push(b'(');
                list.iter().for_each(|part| self.put(part));
                self.out.push(b'e');
            }
            Py::Dict(items) => {
                self.out.push(b'}');
                self.remember();
                self.put_items(items);
            }
            Py::Ordered(items) => {
                self.put_global("collections.OrderedDict");
                self.out.extend(b")R");
                self.remember();
                self.put_items(items);
            }
            Py::Global(path) => self.put_global(path),
            Py::Call(path, arguments) => {
                self.put_global(path);
                self.put_tuple(arguments);
                self.out.push(b'R');
                self.remember();
            }
            Py::Object(class, state) => self.put_object(class, state),
            Py::Tensor(array) => self.put_tensor(array),
            Py::Parameter(array) => {
                self.put_global("torch._utils._rebuild_parameter");
                self.put_tensor(array);
                self.put(&Py::Bool(true));
                self.put(&Py::Ordered(Vec::new()));
                self.out.push(0x87);
                self.remember();
                self.out.push(b'R');
                self.remember();
            }
        }
    }

    /// Classes of modules are named outside of the pickle in the format before 1.6, with their source text.
    fn put_object(&mut self, class: &str, state: &Py) {
        if self.legacy {
            let source = text("class Some: pass");
            self.put_tuple(&[
                text("module"),
                Py::Global(class.into()),
                text("some.py"),
                source,
            ]);
            self.out.push(b'Q');
        } else {
            self.put_global(class);
        }
        self.out.extend(b")\x81");
        self.remember();
        self.put(state);
        self.out.push(b'b');
    }
}

/// Several pickles, and the numbers behind them.
fn legacy(pickle: &[u8], storages: &[Array]) -> Vec<u8> {
    let own = |value: &Py| Pickler::new(2).whole(value);
    let magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.".to_vec();
    let machine = dict(vec![
        ("protocol_version", Py::Int(1001)),
        ("little_endian", Py::Bool(true)),
    ]);
    let keys = (0..storages.len()).map(|k| text(&k.to_string())).collect();
    let mut out = [
        magic,
        own(&Py::Int(1001)),
        own(&machine),
        pickle.to_vec(),
        own(&Py::List(keys)),
    ]
    .concat();
    for storage in storages {
        out.extend((storage.values.len() as u64).to_le_bytes());
        out.extend(storage.bytes());
    }
    out
}

/// A zip archive with everything stored as it is.
fn archive(pickle: &[u8], storages: &[Array]) -> Vec<u8> {
    let mut files = vec![
        ("data.pkl".to_owned(), pickle.to_vec()),
        ("byteorder".to_owned(), b"little".to_vec()),
    ];
    for (key, storage) in storages.iter().enumerate() {
        files.push((format!("data/{key}"), storage.bytes()));
    }
    files.push(("version".to_owned(), b"3\n".to_vec()));
    zip(&files
        .iter()
        .map(|(name, data)| (format!("best_model/{name}"), data.as_slice()))
        .collect::<Vec<_>>())
}

/// A zip archive of these files.
pub fn zip(files: &[(String, &[u8])]) -> Vec<u8> {
    let two = |n: usize| (n as u16).to_le_bytes();
    let four = |n: usize| (n as u32).to_le_bytes();
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in files {
        let place = out.len();
        let sums = [
            &crc32fast::hash(data).to_le_bytes()[..],
            &four(data.len()),
            &four(data.len()),
            &two(name.len()),
        ]
        .concat();
        out.extend(
            [
                b"PK\x03\x04\0\0\0\x08\0\0\0\0\0\0",
                &sums[..],
                &two(0),
                name.as_bytes(),
                data,
            ]
            .concat(),
        );
        directory.extend(
            [
                b"PK\x01\x02\0\0\0\0\0\x08\0\0\0\0\0\0",
                &sums[..],
                &two(0),
                &[0; 10],
                &four(place),
            ]
            .concat(),
        );
        directory.extend(name.as_bytes());
    }
    let place = out.len();
    out.extend(&directory);
    let count = two(files.len());
    out.extend(
        [
            b"PK\x05\x06\0\0\0\0",
            &count[..],
            &count,
            &four(directory.len()),
            &four(place),
            &[0; 2],
        ]
        .concat(),
    );
    out
}
