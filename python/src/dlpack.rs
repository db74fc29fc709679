//! DLPack: arrays handed to other libraries without a copy, and arrays on a card that are theirs.
//!
//! The structures are those of DLPack's `dlpack.h`, versions 0 and 1. A capsule that nobody has taken gives its memory back itself;
//! one that was taken has another name, and its new owner calls `deleter`.

use std::ffi::{CStr, c_void};
use std::ptr;

use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;

/// Types of devices.
pub const CPU: i32 = 1;
pub const CUDA: i32 = 2;

/// Types of numbers.
const INTEGER: u8 = 0;
const UNSIGNED: u8 = 1;
const FLOAT: u8 = 2;
const BOOLEAN: u8 = 6;

/// Names of capsules, fresh and taken, of both layouts.
const PLAIN: [&CStr; 2] = [c"dltensor", c"used_dltensor"];
const VERSIONED: [&CStr; 2] = [c"dltensor_versioned", c"used_dltensor_versioned"];

/// The version whose layout is handed out where it is understood.
const VERSION: [u32; 2] = [1, 0];

#[repr(C)]
struct DlDevice {
    kind: i32,
    index: i32,
}

#[repr(C)]
struct DlType {
    code: u8,
    bits: u8,
    lanes: u16,
}

#[repr(C)]
struct DlTensor {
    data: *mut c_void,
    device: DlDevice,
    dimensions: i32,
    numbers: DlType,
    shape: *mut i64,
    strides: *mut i64,
    offset: u64,
}

#[repr(C)]
struct DlManaged {
    tensor: DlTensor,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut DlManaged)>,
}

#[repr(C)]
struct DlManagedVersioned {
    version: [u32; 2],
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut DlManagedVersioned)>,
    flags: u64,
    tensor: DlTensor,
}

/// Numbers (f64, row after row) somewhere, and what keeps them there.
pub struct Lent {
    /// Where the first is.
    pub address: u64,
    /// How many there are along each axis.
    pub shape: Vec<usize>,
    /// The type of device, and its number.
    pub device: (i32, usize),
    /// Let go of when the last who has them is done.
    pub keep: Box<dyn Send + Sync>,
}

/// What a capsule has beside the tensor: its shape and strides, and what keeps the numbers.
struct Context {
    axes: Vec<i64>,
    _keep: Box<dyn Send + Sync>,
}

/// The tensor of numbers that are lent, and its context.
fn tensor(lent: Lent) -> (DlTensor, *mut c_void) {
    let dimensions = lent.shape.len();
    let mut axes: Vec<i64> = lent.shape.iter().map(|&n| n as i64).collect();
    let mut strides = vec![1; dimensions];
    for k in (1..dimensions).rev() {
        strides[k - 1] = strides[k] * axes[k];
    }
    axes.extend(strides);
    let mut context = Box::new(Context {
        axes,
        _keep: lent.keep,
    });
    let shape = context.axes.as_mut_ptr();
    let tensor = DlTensor {
        data: lent.address as *mut c_void,
        device: DlDevice {
            kind: lent.device.0,
            index: lent.device.1 as i32,
        },
        dimensions: dimensions as i32,
        numbers: DlType {
            code: FLOAT,
            bits: 64,
            lanes: 1,
        },
        shape,
        strides: shape.wrapping_add(dimensions),
        offset: 0,
    };
    (tensor, Box::into_raw(context).cast())
}

unsafe extern "C" fn delete(managed: *mut DlManaged) {
    // SAFETY: both were made by `capsule`, whose deleter is called once.
    unsafe {
        let managed = Box::from_raw(managed);
        drop(Box::from_raw(managed.context.cast::<Context>()));
    }
}

unsafe extern "C" fn delete_versioned(managed: *mut DlManagedVersioned) {
    // SAFETY: both were made by `capsule`, whose deleter is called once.
    unsafe {
        let managed = Box::from_raw(managed);
        drop(Box::from_raw(managed.context.cast::<Context>()));
    }
}

/// Ends a capsule: one that nobody has taken gives its memory back.
unsafe extern "C" fn end(capsule: *mut ffi::PyObject) {
    // SAFETY: the pointer is what `capsule` put under this name; one that was taken has another.
    unsafe {
        if ffi::PyCapsule_IsValid(capsule, PLAIN[0].as_ptr()) == 1 {
            delete(ffi::PyCapsule_GetPointer(capsule, PLAIN[0].as_ptr()).cast());
        } else if ffi::PyCapsule_IsValid(capsule, VERSIONED[0].as_ptr()) == 1 {
            delete_versioned(ffi::PyCapsule_GetPointer(capsule, VERSIONED[0].as_ptr()).cast());
        }
    }
}

/// A capsule of numbers that are lent, in the layout of the newest version that its taker understands.
///
/// # Errors
/// Python has no memory for it.
pub fn capsule(
    py: Python<'_>,
    lent: Lent,
    understood: Option<(u32, u32)>,
) -> PyResult<Bound<'_, PyAny>> {
    let (tensor, context) = tensor(lent);
    let (pointer, name): (*mut c_void, _) = match understood {
        Some((major, _)) if major >= VERSION[0] => {
            let managed = Box::new(DlManagedVersioned {
                version: VERSION,
                context,
                deleter: Some(delete_versioned),
                flags: 0,
                tensor,
            });
            (Box::into_raw(managed).cast(), VERSIONED[0])
        }
        _ => {
            let managed = Box::new(DlManaged {
                tensor,
                context,
                deleter: Some(delete),
            });
            (Box::into_raw(managed).cast(), PLAIN[0])
        }
    };
    // SAFETY: pointer and name outlive the capsule, whose end takes the pointer back; a failure is an exception that is set.
    unsafe {
        let made = ffi::PyCapsule_New(pointer, name.as_ptr(), Some(end));
        Bound::from_owned_ptr_or_err(py, made)
    }
}

/// Numbers on a card that are others', brought to the host: their bytes row after row, the type as numpy writes it, the shape.
pub struct Fetched {
    pub bytes: Vec<u8>,
    pub numbers: &'static str,
    pub shape: Vec<usize>,
}

/// A capsule that was taken; its owner's deleter is called with it.
struct Taken(*mut DlManaged);

impl Drop for Taken {
    fn drop(&mut self) {
        // SAFETY: the capsule was renamed, so that nobody else calls it.
        unsafe {
            if let Some(deleter) = (*self.0).deleter {
                deleter(self.0);
            }
        }
    }
}

/// Takes the tensor out of what an array's `__dlpack__` has made.
fn take(capsule: &Bound<'_, PyAny>) -> PyResult<Taken> {
    // SAFETY: a capsule of this name has such a pointer; it is renamed before anyone else may look.
    unsafe {
        let pointer = ffi::PyCapsule_GetPointer(capsule.as_ptr(), PLAIN[0].as_ptr());
        if pointer.is_null() || ffi::PyCapsule_SetName(capsule.as_ptr(), PLAIN[1].as_ptr()) != 0 {
            return Err(PyErr::fetch(capsule.py()));
        }
        Ok(Taken(pointer.cast()))
    }
}

/// Brings an array on a card to the host, once all is done that was begun to compute it.
///
/// # Errors
/// It is none, or not of numbers one after another, or the device failed.
pub fn fetch(array: &Bound<'_, PyAny>) -> PyResult<Fetched> {
    let wishes = pyo3::types::PyDict::new(array.py());
    // The legacy default stream, which the copy is made in.
    wishes.set_item("stream", 1)?;
    let taken = take(&array.call_method("__dlpack__", (), Some(&wishes))?)?;
    // SAFETY: the tensor lives until `taken` is dropped.
    let tensor = unsafe { &(*taken.0).tensor };
    let numbers = match (
        tensor.numbers.code,
        tensor.numbers.bits,
        tensor.numbers.lanes,
    ) {
        (FLOAT, 64, 1) => "<f8",
        (FLOAT, 32, 1) => "<f4",
        (INTEGER, 64, 1) => "<i8",
        (INTEGER, 32, 1) => "<i4",
        (UNSIGNED, 8, 1) => "|u1",
        (BOOLEAN, 8, 1) => "|b1",
        (code, bits, lanes) => {
            return Err(refused(format!(
                "numbers of DLPack's type {code} with {bits} bits and {lanes} lanes are not taken: floats of 64 or 32 bits are, \
                 whole numbers of 64 or 32, and booleans"
            )));
        }
    };
    if tensor.device.kind != CUDA {
        return Err(refused(format!(
            "an array on a device of DLPack's type {} is not taken, those of CUDA are",
            tensor.device.kind
        )));
    }
    let dimensions = tensor.dimensions.max(0) as usize;
    if dimensions > 0 && tensor.shape.is_null() {
        return Err(refused("the array does not say its shape".to_owned()));
    }
    // SAFETY: shape, and strides where there are any, have a number for each dimension.
    let (shape, strides) = unsafe {
        let row = |start: *mut i64| match start.is_null() || dimensions == 0 {
            true => Vec::new(),
            false => std::slice::from_raw_parts(start, dimensions).to_vec(),
        };
        (row(tensor.shape), row(tensor.strides))
    };
    if !strides.is_empty() && !is_in_a_row(&shape, &strides) {
        return Err(refused(
            "the array's numbers do not lie row after row: take its contiguous()".to_owned(),
        ));
    }
    let size = usize::from(tensor.numbers.bits / 8);
    let lengths: Option<Vec<usize>> = shape.iter().map(|&n| usize::try_from(n).ok()).collect();
    let product =
        |lengths: &Vec<usize>| lengths.iter().try_fold(size, |all, &n| all.checked_mul(n));
    let sized = lengths.and_then(|lengths| Some((product(&lengths)?, lengths)));
    let Some((bytes, shape)) = sized.filter(|(bytes, _)| isize::try_from(*bytes).is_ok()) else {
        return Err(refused(format!("an array of shape {shape:?} cannot be")));
    };
    let address = (tensor.data as u64).wrapping_add(tensor.offset);
    Ok(Fetched {
        bytes: copied(array.py(), tensor.device.index, address, bytes)?,
        numbers,
        shape,
    })
}

fn refused(why: String) -> PyErr {
    PyBufferError::new_err(why)
}

/// Whether numbers lie row after row, the last axis fastest. An axis of one, and an array of none, may have any stride.
fn is_in_a_row(shape: &[i64], strides: &[i64]) -> bool {
    let mut expected = 1;
    let mut axes = shape.iter().zip(strides).rev();
    shape.contains(&0)
        || axes.all(|(&length, &stride)| {
            let fits = length == 1 || stride == expected;
            expected = i64::wrapping_mul(expected, length);
            fits
        })
}

#[cfg(feature = "cuda")]
fn copied(py: Python<'_>, index: i32, address: u64, bytes: usize) -> PyResult<Vec<u8>> {
    let index =
        usize::try_from(index).map_err(|_| refused(format!("there is no device {index}")))?;
    let copy = py.detach(|| {
        // SAFETY: so many bytes lie there, as the tensor says, and its owner is told when they are not wanted any more.
        unsafe { mdrun::cuda::array::copy_of_others(index, address, bytes) }
    });
    Ok(copy.map_err(crate::fault::Fault)?)
}

#[cfg(not(feature = "cuda"))]
fn copied(_: Python<'_>, _: i32, _: u64, _: usize) -> PyResult<Vec<u8>> {
    Err(refused("this build has no CUDA".to_owned()))
}

/// A null pointer for numbers that are none would be taken for a fault by some.
pub fn address_of(numbers: &[f64]) -> u64 {
    let start = match numbers.is_empty() {
        true => ptr::NonNull::<f64>::dangling().as_ptr().cast_const(),
        false => numbers.as_ptr(),
    };
    start as u64
}
