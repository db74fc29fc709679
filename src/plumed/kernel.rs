//! PLUMED's kernel: a library that is loaded while the program runs, by the protocol that its wrapper `Plumed.h` lays down.
//!
//! The kernel exports a function `plumed_symbol_table_init` and a table `plumed_symbol_table`, with a version and pointers to
//! functions: `create` makes an object, `cmd_safe_nothrow` (version 3, PLUMED 2.8) or `cmd_nothrow` (version 2, PLUMED 2.5) tells
//! it something by a word and a pointer, `finalize` ends it. What goes wrong inside is handed to a handler as text.

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_void};
use std::mem::ManuallyDrop;
use std::path::Path;
use std::ptr;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use crate::{Error, Result};

/// What the loader looks for where nothing else is said.
pub const USUAL_KERNEL: &str = "libplumedKernel.so";
/// The function by which a kernel is known.
const INIT: &str = "plumed_symbol_table_init";
/// The table of its functions.
const TABLE: &str = "plumed_symbol_table";
/// Versions of the table from which its functions can be told not to throw, and know what pointers point to.
const NOTHROW: c_int = 2;
const SAFE: c_int = 3;

/// Kinds and constness of what a pointer points to, in `flags` beside its size.
const INTEGER: usize = 3 << 16;
const FLOAT: usize = 4 << 16;
const STREAM: usize = 5 << 16;
const CONSTANT: usize = 3 << 25;
const MUTABLE: usize = 2 << 25;
/// That the pointer is no longer used when the command is done.
const NO_COPY: usize = 1 << 28;

/// A pointer with what it points to.
#[repr(C)]
#[derive(Clone, Copy)]
struct SafePointer {
    ptr: *const c_void,
    nelem: usize,
    /// Numbers of elements along each axis, and a zero behind them; or null.
    shape: *const usize,
    flags: usize,
    opt: *const c_void,
}

/// What hears of errors.
#[repr(C)]
#[derive(Clone, Copy)]
struct Handler {
    ptr: *mut c_void,
    handler: extern "C" fn(*mut c_void, c_int, *const c_char, *const c_void),
}

type Create = unsafe extern "C" fn() -> *mut c_void;
type Finalize = unsafe extern "C" fn(*mut c_void);
type PlumedCommand = unsafe extern "C" fn(*mut c_void, *const c_char, *const c_void, Handler);
type SafeCommand = unsafe extern "C" fn(*mut c_void, *const c_char, SafePointer, Handler);

/// The table, as far as version 2 has it.
#[repr(C)]
#[derive(Clone, Copy)]
struct TableHead {
    version: c_int,
    create: Option<Create>,
    cmd: *const c_void,
    finalize: Option<Finalize>,
    cmd_nothrow: Option<PlumedCommand>,
}

/// The table, as far as version 3 has it.
#[repr(C)]
#[derive(Clone, Copy)]
struct TableBody {
    head: TableHead,
    cmd_safe: *const c_void,
    cmd_safe_nothrow: Option<SafeCommand>,
}

/// How an object is told something.
#[derive(Clone, Copy)]
enum PlumedTelling {
    Plain(PlumedCommand),
    Safe(SafeCommand),
}

/// A kernel that is loaded. It stays so: what it has started in the process is not taken back.
pub struct PlumedKernel {
    _library: ManuallyDrop<Library>,
    create: Create,
    finalize: Finalize,
    telling: PlumedTelling,
}

unsafe extern "C" {
    fn fopen(path: *const c_char, mode: *const c_char) -> *mut c_void;
    fn fclose(stream: *mut c_void) -> c_int;
    fn fflush(stream: *mut c_void) -> c_int;
}

/// A file of the C library's, which is written to; closed when it is dropped.
pub(super) struct CStream(*mut c_void);

// SAFETY: the C library locks a file for each of its calls.
unsafe impl Send for CStream {}

impl CStream {
    /// Opens a file to add to it.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn append(path: &CStr) -> std::io::Result<Self> {
        // SAFETY: both are texts.
        let stream = unsafe { fopen(path.as_ptr(), c"a".as_ptr()) };
        match stream.is_null() {
            false => Ok(Self(stream)),
            true => Err(std::io::Error::last_os_error()),
        }
    }
}

impl Drop for CStream {
    fn drop(&mut self) {
        // SAFETY: it is open, and used no more.
        unsafe { fclose(self.0) };
    }
}

/// All that libraries in the process have written into files of the C library's is given to the system.
///
/// # Errors
/// Some of it cannot be written.
pub(super) fn flush_all() -> std::io::Result<()> {
    // SAFETY: without a file the C library flushes all that there are.
    match unsafe { fflush(ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// What comes with a word.
pub(super) enum PlumedArgument<'a> {
    Nothing,
    Integer(c_int),
    Long(c_long),
    Text(&'a CStr),
    /// A file of the C library's.
    Stream(&'a CStream),
    /// Numbers of this shape, which stay where they are until the step is computed.
    Numbers(&'a mut [f64], &'a [usize]),
    /// A number that is read or written, now or at any time later.
    Number(&'a mut f64),
    /// Likewise.
    Flag(&'a mut c_int),
}

impl PlumedKernel {
    /// Loads a kernel: a path, or a name that the loader knows where to look for.
    ///
    /// # Errors
    /// It is not there, is no library, or no kernel of PLUMED 2.5 or later.
    pub fn load(path: &Path) -> Result<Self> {
        let name = path.display();
        // SAFETY: what a library does when it is loaded is up to it; the user has named it as one that may.
        let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
        let library = library.map_err(|e| {
            let why =
                std::error::Error::source(&e).map_or_else(|| e.to_string(), ToString::to_string);
            Error::input(format!("PLUMED's kernel {name} cannot be loaded: {why}"))
        })?;
        let library = ManuallyDrop::new(library);
        let no_kernel = |what: String| {
            Error::input(format!(
                "{name} is no kernel of PLUMED 2.5 or later: {what}"
            ))
        };
        let lacks = |symbol: &str| no_kernel(format!("it has no symbol {symbol}"));
        // SAFETY: PLUMED's wrapper declares the function and the table so.
        let (init, table) = unsafe {
            (
                library
                    .get::<unsafe extern "C" fn()>(INIT)
                    .map_err(|_| lacks(INIT))?,
                library
                    .get::<*const c_void>(TABLE)
                    .map_err(|_| lacks(TABLE))?,
            )
        };
        let table = table.into_raw();
        // SAFETY: as above; the table is there for as long as the library, and as long as its version says.
        let (head, safe) = unsafe {
            init();
            let head = table.cast::<TableHead>().read_unaligned();
            let safe = (head.version >= SAFE)
                .then(|| table.cast::<TableBody>().read_unaligned().cmd_safe_nothrow);
            (head, safe.flatten())
        };
        if head.version < NOTHROW {
            return Err(no_kernel(format!(
                "its table of functions is of version {}",
                head.version
            )));
        }
        let telling = safe
            .map(PlumedTelling::Safe)
            .or(head.cmd_nothrow.map(PlumedTelling::Plain));
        let (Some(create), Some(finalize), Some(telling)) = (head.create, head.finalize, telling)
        else {
            return Err(no_kernel("a function in its table is missing".to_owned()));
        };
        Ok(Self {
            _library: library,
            create,
            finalize,
            telling,
        })
    }
}

/// An object of a kernel; ended when it is dropped, if not before.
pub(super) struct PlumedObject {
    kernel: PlumedKernel,
    object: *mut c_void,
}

// SAFETY: PLUMED asks that one thread at a time uses an object, which `&mut` holds to; it keeps nothing for a thread.
unsafe impl Send for PlumedObject {}

impl PlumedObject {
    /// Makes an object.
    ///
    /// # Errors
    /// The kernel cannot; it has printed why.
    pub fn create(kernel: PlumedKernel) -> Result<Self> {
        // SAFETY: the function takes nothing.
        let object = unsafe { (kernel.create)() };
        match object.is_null() {
            false => Ok(Self { kernel, object }),
            true => Err(Error::run("PLUMED cannot begin")),
        }
    }

    /// Tells it something.
    ///
    /// # Errors
    /// What PLUMED says of it.
    pub fn tell(&mut self, word: &str, told: PlumedArgument<'_>) -> Result<()> {
        let word = CString::new(word).map_err(|e| Error::run(e.to_string()))?;
        let mut shape = [0; 4];
        let (pointer, count, flags) = match &told {
            PlumedArgument::Nothing => (ptr::null(), 0, 0),
            PlumedArgument::Integer(value) => of(value, INTEGER | CONSTANT | NO_COPY),
            PlumedArgument::Long(value) => of(value, INTEGER | CONSTANT | NO_COPY),
            PlumedArgument::Text(text) => {
                let bytes = text.to_bytes_with_nul();
                (
                    bytes.as_ptr().cast(),
                    bytes.len(),
                    1 | INTEGER | CONSTANT | NO_COPY,
                )
            }
            PlumedArgument::Stream(stream) => (stream.0.cast_const(), 1, STREAM | MUTABLE),
            PlumedArgument::Numbers(values, axes) => {
                shape[..axes.len()].copy_from_slice(axes);
                let (pointer, _, flags) = of(&values[0], FLOAT | MUTABLE);
                (pointer, values.len(), flags)
            }
            PlumedArgument::Flag(value) => of(&**value, INTEGER | MUTABLE),
            PlumedArgument::Number(value) => of(&**value, FLOAT | MUTABLE),
        };
        let shape = match shape[0] {
            0 => ptr::null(),
            _ => shape.as_ptr(),
        };
        let mut said = None::<String>;
        let handler = Handler {
            ptr: ptr::from_mut(&mut said).cast(),
            handler: hear,
        };
        // SAFETY: the object is this kernel's; pointers are to what they say, alive for as long as PLUMED uses them, and what
        // it writes to is held mutably.
        unsafe {
            match self.kernel.telling {
                PlumedTelling::Plain(command) => {
                    command(self.object, word.as_ptr(), pointer, handler)
                }
                PlumedTelling::Safe(command) => {
                    let safe = SafePointer {
                        ptr: pointer,
                        nelem: count,
                        shape,
                        flags,
                        opt: ptr::null(),
                    };
                    command(self.object, word.as_ptr(), safe, handler);
                }
            }
        }
        match said {
            None => Ok(()),
            Some(message) => Err(Error::run(format!("PLUMED says: {}", plain(&message)))),
        }
    }
}

impl PlumedObject {
    /// Ends it, once: it completes its files.
    pub fn end(&mut self) {
        let object = std::mem::replace(&mut self.object, ptr::null_mut());
        if !object.is_null() {
            // SAFETY: the object is this kernel's, and is used no more.
            unsafe { (self.kernel.finalize)(object) }
        }
    }
}

impl Drop for PlumedObject {
    fn drop(&mut self) {
        self.end();
    }
}

/// Address, count and flags of a value.
fn of<T>(value: &T, kind: usize) -> (*const c_void, usize, usize) {
    (ptr::from_ref(value).cast(), 1, size_of::<T>() | kind)
}

/// Takes down what PLUMED says of an error. Only the first counts.
extern "C" fn hear(said: *mut c_void, _code: c_int, message: *const c_char, _more: *const c_void) {
    if said.is_null() || message.is_null() {
        return;
    }
    // SAFETY: the first is what was put into the handler, which lives until the command is done, and the second is text.
    let (said, text) = unsafe { (&mut *said.cast::<Option<String>>(), CStr::from_ptr(message)) };
    said.get_or_insert_with(|| text.to_string_lossy().into_owned());
}

/// An error in one line: what follows the place in PLUMED's sources.
fn plain(message: &str) -> String {
    let lines = message.lines().map(str::trim);
    let place =
        |line: &str| line.starts_with("+++") || line.starts_with('(') && line.contains(".cpp:");
    let told = |line: &&str| !line.is_empty() && !place(line);
    let words: Vec<&str> = lines.filter(told).collect();
    match words.is_empty() {
        true => message.split_whitespace().collect::<Vec<_>>().join(" "),
        false => words
            .join(" ")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn errors_come_in_one_line() {
        let long = "\n+++ PLUMED error\n+++ at PlumedMain.cpp:1088, function void read()\n+++ message follows +++\nERROR\n\
                    I cannot understand line: d: DISTNACE\nMaybe a missing space or a typo?";
        let told = "ERROR I cannot understand line: d: DISTNACE Maybe a missing space or a typo?";
        assert_eq!(plain(long), told);
        assert_eq!(
            plain("+++ assertion failed: n>0"),
            "+++ assertion failed: n>0"
        );
    }
}
