//! The machine of pickles: a stack of values, marks in it, and a memo.

use std::collections::HashMap;

use super::tree::{PickleValue, PickledObject, Tree, ValueId};
use crate::{Error, Result};

/// Most values of one pickle; a model has some thousands, a checkpoint with an optimiser's state some ten thousands.
pub const MOST_VALUES: usize = 1 << 22;

/// Most marks that are open at a time; Python's own writer ends at 1000.
const MOST_MARKS: usize = 10_000;

/// A pickle that was read.
#[derive(Debug)]
pub struct ReadPickle {
    /// What it says.
    pub tree: Tree,
    /// Its length (bytes); what follows is another one's.
    pub length: usize,
}

/// Reads the pickle that some bytes begin with.
///
/// # Errors
/// It is cut short or damaged, is of a protocol other than 2 to 5, or uses an instruction that is not known here or that
/// takes something from outside of the file. The message has the place (bytes from the pickle's beginning).
pub fn read(bytes: &[u8]) -> Result<ReadPickle> {
    let mut machine = Machine {
        bytes,
        at: 0,
        values: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    for value in CONSTANTS {
        machine.values.push(value);
    }
    loop {
        let at = machine.at;
        let done = machine.step();
        let done = done.map_err(|what| Error::input(format!("the pickle, byte {at}: {what}")))?;
        if let Some(root) = done {
            let tree = Tree {
                values: machine.values,
                root,
            };
            return Ok(ReadPickle {
                tree,
                length: machine.at,
            });
        }
    }
}

/// Values that are there from the beginning, since they are often meant.
const CONSTANTS: [PickleValue; 3] = [
    PickleValue::None,
    PickleValue::Bool(false),
    PickleValue::Bool(true),
];
const NONE: ValueId = ValueId(0);
const FALSE: ValueId = ValueId(1);
const TRUE: ValueId = ValueId(2);

/// What is wrong with an instruction.
type Followed<T> = std::result::Result<T, String>;

struct Machine<'b> {
    bytes: &'b [u8],
    at: usize,
    values: Vec<PickleValue>,
    stack: Vec<ValueId>,
    /// How high the stack was at each mark.
    marks: Vec<usize>,
    memo: HashMap<u32, ValueId>,
}

impl<'b> Machine<'b> {
    /// Follows one instruction; the result at the last one.
    fn step(&mut self) -> Followed<Option<ValueId>> {
        let first = self.at == 0;
        let code = self.byte()?;
        if first != (code == 0x80) {
            return Err(match first {
                true => {
                    "this is no pickle of protocol 2 to 5: those begin with the byte 0x80".into()
                }
                false => "a second beginning".into(),
            });
        }
        match code {
            0x80 => self.protocol()?,
            b'.' => return self.stop().map(Some),
            b'(' => self.mark()?,
            b'0' => drop(self.pop()?),
            b'1' => drop(self.above_mark()?),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            b'N' => self.stack.push(NONE),
            0x88 => self.stack.push(TRUE),
            0x89 => self.stack.push(FALSE),
            b'q' | b'r' | 0x94 => self.remember(code)?,
            b'h' | b'j' => self.recall(code)?,
            // A frame is a hint for readers of streams.
            0x95 => drop(self.size(8)?),
            b'J' | b'K' | b'M' | 0x8a | 0x8b | b'G' => self.push_number(code)?,
            b'X' | 0x8c | 0x8d | b'B' | b'C' | 0x8e | 0x96 | b'U' | b'T' => self.push_text(code)?,
            b')' | b't' | 0x85..=0x87 | b']' | b'l' | b'}' | b'd' | 0x8f | 0x91 => {
                self.push_container(code)?;
            }
            b'a' | b'e' | b's' | b'u' | 0x90 => self.fill(code)?,
            b'c' | 0x93 => self.push_global(code)?,
            b'R' | 0x81 | 0x92 => self.call(code)?,
            b'b' => self.build()?,
            b'Q' => {
                let name = self.pop()?;
                self.push(PickleValue::Persistent(name))?;
            }
            other => return Err(unknown(other)),
        }
        Ok(None)
    }

    fn take(&mut self, count: usize) -> Followed<&'b [u8]> {
        let end = self
            .at
            .checked_add(count)
            .filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| {
            format!(
                "it is cut short: {count} bytes are promised, {} are there",
                self.bytes.len() - self.at
            )
        })?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Followed<u8> {
        match self.bytes.get(self.at) {
            Some(byte) => {
                self.at += 1;
                Ok(*byte)
            }
            None => Err("it is cut short".into()),
        }
    }

    /// A number of `width` bytes without a sign, the lowest first.
    fn unsigned(&mut self, width: usize) -> Followed<u64> {
        let bytes = self.take(width)?;
        let mut value = 0;
        for byte in bytes.iter().rev() {
            value = value << 8 | u64::from(*byte);
        }
        Ok(value)
    }

    /// A size that a file may have.
    fn size(&mut self, width: usize) -> Followed<usize> {
        let size = self.unsigned(width)?;
        usize::try_from(size).map_err(|_| format!("a size of {size} bytes"))
    }

    fn push(&mut self, value: PickleValue) -> Followed<()> {
        if self.values.len() >= MOST_VALUES {
            return Err(format!("it has more than {MOST_VALUES} values"));
        }
        self.stack.push(ValueId(self.values.len() as u32));
        self.values.push(value);
        Ok(())
    }

    /// The lowest place that may be taken off the stack.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Followed<ValueId> {
        match self.stack.len() > self.floor() {
            true => self.stack.pop().ok_or_else(empty),
            false => Err(empty()),
        }
    }

    fn top(&self) -> Followed<ValueId> {
        let above = self.stack.get(self.floor()..).unwrap_or_default();
        above.last().copied().ok_or_else(empty)
    }

    fn mark(&mut self) -> Followed<()> {
        if self.marks.len() >= MOST_MARKS {
            return Err(format!("it is nested more than {MOST_MARKS} deep"));
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    /// Takes all that is above the last mark.
    fn above_mark(&mut self) -> Followed<Vec<ValueId>> {
        let mark = self.marks.pop().ok_or("there is no mark")?;
        Ok(self.stack.split_off(mark))
    }

    /// Takes so many values, the lowest first.
    fn several(&mut self, count: usize) -> Followed<Vec<ValueId>> {
        let from = self
            .stack
            .len()
            .checked_sub(count)
            .filter(|from| *from >= self.floor());
        Ok(self.stack.split_off(from.ok_or_else(empty)?))
    }

    fn protocol(&mut self) -> Followed<()> {
        match self.byte()? {
            2..=5 => Ok(()),
            other => Err(format!("protocol {other}; 2 to 5 can be read")),
        }
    }

    fn stop(&mut self) -> Followed<ValueId> {
        match (self.stack.as_slice(), self.marks.as_slice()) {
            (&[root], []) => Ok(root),
            (stack, marks) => Err(format!(
                "it ends with {} values and {} marks left over; one value is wanted",
                stack.len(),
                marks.len()
            )),
        }
    }

    fn remember(&mut self, code: u8) -> Followed<()> {
        let key = match code {
            b'q' => u32::from(self.byte()?),
            b'r' => self.unsigned(4)? as u32,
            _ => self.memo.len() as u32,
        };
        let value = self.top()?;
        match self.memo.insert(key, value) {
            None => Ok(()),
            Some(_) => Err(format!("place {key} of the memo is filled twice")),
        }
    }

    fn recall(&mut self, code: u8) -> Followed<()> {
        let key = match code {
            b'h' => u32::from(self.byte()?),
            _ => self.unsigned(4)? as u32,
        };
        let value = self.memo.get(&key).copied();
        self.stack
            .push(value.ok_or_else(|| format!("place {key} of the memo is empty"))?);
        Ok(())
    }

    fn push_number(&mut self, code: u8) -> Followed<()> {
        let value = match code {
            b'J' => PickleValue::Int(i128::from(self.unsigned(4)? as u32 as i32)),
            b'K' => PickleValue::Int(i128::from(self.byte()?)),
            b'M' => PickleValue::Int(i128::from(self.unsigned(2)?)),
            b'G' => {
                let bits = self.unsigned(8)?.swap_bytes();
                PickleValue::Float(f64::from_bits(bits))
            }
            _ => {
                let width = self.size(if code == 0x8a { 1 } else { 4 })?;
                PickleValue::Int(self.signed(width)?)
            }
        };
        self.push(value)
    }

    /// A number of `width` bytes with a sign, the lowest first.
    fn signed(&mut self, width: usize) -> Followed<i128> {
        let bytes = self.take(width)?;
        if bytes.len() > 16 {
            return Err(format!("a whole number of {width} bytes; 16 can be read"));
        }
        let filling = match bytes.last() {
            Some(last) if last & 0x80 != 0 => 0xff,
            _ => 0,
        };
        let mut whole = [filling; 16];
        whole[..bytes.len()].copy_from_slice(bytes);
        Ok(i128::from_le_bytes(whole))
    }

    fn push_text(&mut self, code: u8) -> Followed<()> {
        let width = match code {
            0x8c | b'C' | b'U' => 1,
            b'X' | b'B' | b'T' => 4,
            _ => 8,
        };
        let size = self.size(width)?;
        let bytes = self.take(size)?;
        let text = std::str::from_utf8(bytes);
        let value = match (code, text) {
            (b'X' | 0x8c | 0x8d | b'U' | b'T', Ok(text)) => PickleValue::Text(text.into()),
            (b'X' | 0x8c | 0x8d, Err(_)) => return Err("a text that is not UTF-8".into()),
            _ => PickleValue::Bytes(bytes.into()),
        };
        self.push(value)
    }

    fn push_container(&mut self, code: u8) -> Followed<()> {
        let value = match code {
            b')' => PickleValue::Tuple(Box::new([])),
            b't' => PickleValue::Tuple(self.above_mark()?.into()),
            0x85..=0x87 => PickleValue::Tuple(self.several(usize::from(code - 0x84))?.into()),
            b']' => PickleValue::List(Vec::new()),
            b'l' => PickleValue::List(self.above_mark()?),
            b'}' => PickleValue::Dict(Vec::new()),
            b'd' => PickleValue::Dict(in_twos(self.above_mark()?)?),
            0x8f => PickleValue::Set(Vec::new()),
            _ => PickleValue::Set(self.above_mark()?),
        };
        self.push(value)
    }

    /// Puts what is on the stack into the container below it.
    fn fill(&mut self, code: u8) -> Followed<()> {
        let taken = match code {
            b'a' => self.several(1)?,
            b's' => self.several(2)?,
            _ => self.above_mark()?,
        };
        let into = self.top()?;
        let value = &mut self.values[into.0 as usize];
        match (code, value) {
            (b'a' | b'e', PickleValue::List(list)) => list.extend(taken),
            (b'a' | b'e', PickleValue::Object(object)) => object.list.extend(taken),
            (b's' | b'u', PickleValue::Dict(items)) => items.extend(in_twos(taken)?),
            (b's' | b'u', PickleValue::Object(object)) => object.items.extend(in_twos(taken)?),
            (0x90, PickleValue::Set(list)) => list.extend(taken),
            _ => return Err("something is put into what is no container".into()),
        }
        Ok(())
    }

    fn push_global(&mut self, code: u8) -> Followed<()> {
        let (module, name) = if code == b'c' {
            (self.line()?, self.line()?)
        } else {
            let names = self.several(2)?;
            let text = |id: ValueId| match &self.values[id.0 as usize] {
                PickleValue::Text(text) => Ok(text.to_string()),
                _ => Err("the path of a class is no text".to_owned()),
            };
            (text(names[0])?, text(names[1])?)
        };
        // Protocol 2 has the names of Python 2.
        let module = match module.as_str() {
            "__builtin__" => "builtins",
            "copy_reg" => "copyreg",
            other => other,
        };
        self.push(PickleValue::Global(format!("{module}.{name}").into()))
    }

    /// Text up to the end of a line.
    fn line(&mut self) -> Followed<String> {
        let rest = &self.bytes[self.at..];
        let end = rest
            .iter()
            .position(|b| *b == b'\n')
            .ok_or("it is cut short within a name")?;
        let text = std::str::from_utf8(&rest[..end]).map_err(|_| "a name that is not UTF-8")?;
        self.at += end + 1;
        Ok(text.to_owned())
    }

    fn call(&mut self, code: u8) -> Followed<()> {
        if code == 0x92 {
            let named = self.pop()?;
            if !matches!(&self.values[named.0 as usize], PickleValue::Dict(items) if items.is_empty())
            {
                return Err(
                    "a class is called with arguments by name, which is not known here".into(),
                );
            }
        }
        let taken = self.several(2)?;
        let [class, arguments] = [taken[0], taken[1]];
        let called = &self.values[class.0 as usize];
        if !matches!(called, PickleValue::Global(_) | PickleValue::Persistent(_)) {
            return Err("something is called that is no class and no function".into());
        }
        if !matches!(self.values[arguments.0 as usize], PickleValue::Tuple(_)) {
            return Err("the arguments of a call are no tuple".into());
        }
        self.push(PickleValue::Object(Box::new(PickledObject {
            class,
            arguments,
            state: None,
            list: Vec::new(),
            items: Vec::new(),
        })))
    }

    fn build(&mut self) -> Followed<()> {
        let state = self.pop()?;
        let into = self.top()?;
        match &mut self.values[into.0 as usize] {
            PickleValue::Object(object) if object.state.is_none() => {
                object.state = Some(state);
                Ok(())
            }
            PickleValue::Object(_) => Err("an object is given its state twice".into()),
            _ => Err("a state is given to what is no object".into()),
        }
    }
}

fn empty() -> String {
    "it takes more off the stack than there is".into()
}

/// Keys and values that stand one after another.
fn in_twos(list: Vec<ValueId>) -> Followed<Vec<(ValueId, ValueId)>> {
    let (pairs, rest) = list.as_chunks::<2>();
    match rest.is_empty() {
        true => Ok(pairs.iter().map(|pair| (pair[0], pair[1])).collect()),
        false => Err("a key has no value".into()),
    }
}

/// Says which instruction it is that is not followed.
fn unknown(code: u8) -> String {
    const KNOWN: [(u8, &str); 18] = [
        (b'P', "PERSID, of protocol 0"),
        (b'I', "INT, of protocol 0"),
        (b'L', "LONG, of protocol 0"),
        (b'F', "FLOAT, of protocol 0"),
        (b'S', "STRING, of protocol 0"),
        (b'V', "UNICODE, of protocol 0"),
        (b'g', "GET, of protocol 0"),
        (b'p', "PUT, of protocol 0"),
        (b'i', "INST, of protocol 0"),
        (b'o', "OBJ, of protocol 1"),
        (0x82, "EXT1, which needs a registry of this Python"),
        (0x83, "EXT2, which needs a registry of this Python"),
        (0x84, "EXT4, which needs a registry of this Python"),
        (0x97, "NEXT_BUFFER, whose bytes are outside of the file"),
        (0x98, "READONLY_BUFFER, whose bytes are outside of the file"),
        (b'\n', "a line feed"),
        (b'\r', "a carriage return: the file was copied as text"),
        (0, "a zero"),
    ];
    let name = KNOWN.iter().find(|known| known.0 == code);
    match name {
        Some((_, name)) => format!("the instruction {name}, is not known here"),
        None => format!("0x{code:02x} is no instruction of a pickle"),
    }
}
