//! Structures that host and card share, each from one table: its rows (name, type, and the length of what a pointer points to)
//! give the Rust structure, the text of the C++ one, the allocation and the forecast of memory.
//!
//! ```text
//! device_struct! {
//!     /// Positions.
//!     pub struct Places = "Places" { atoms: u32 }
//!     /// One entry an atom.
//!     arrays BY_ATOM(usize) { positions: Pointer<f64> = |n| 3 * n }
//! }
//! ```
//!
//! The C++ text asserts the size of each; [`DeviceStruct::probe`] has the compiler check where every field lies.

use std::marker::PhantomData;

use super::device::Device;
use super::memory::Memory;
use crate::Result;

/// A type of a field: how C++ declares it, and its bytes.
pub trait DeviceType: Copy {
    /// The declaration of a field of this type, such as `double cell[3][3];`.
    fn declare(name: &str) -> String;
    /// Writes its bytes to `out`, which is as long as the type.
    fn store(&self, out: &mut [u8]);
}

/// A number, or several of them, as arrays on the card hold them: any bits are one.
pub trait Element: Copy + 'static {
    /// Its name in C++.
    const NAME: &'static str;
}

/// Numbers of the same size and meaning on both sides.
macro_rules! numbers {
    ($($type:ty = $name:literal),*) => {$(
        impl Element for $type {
            const NAME: &'static str = $name;
        }
        impl DeviceType for $type {
            fn declare(name: &str) -> String {
                format!("{} {name};", Self::NAME)
            }
            fn store(&self, out: &mut [u8]) {
                out.copy_from_slice(&self.to_ne_bytes());
            }
        }
    )*};
}

numbers!(
    u16 = "unsigned short",
    u32 = "u32",
    i32 = "int",
    u64 = "u64",
    i64 = "i64",
    f32 = "float",
    f64 = "double"
);

impl Element for [f32; 4] {
    const NAME: &'static str = "float4";
}

impl Element for [u32; 4] {
    const NAME: &'static str = "uint4";
}

impl Element for [u32; 2] {
    const NAME: &'static str = "uint2";
}

impl<T: DeviceType, const N: usize> DeviceType for [T; N] {
    fn declare(name: &str) -> String {
        T::declare(&format!("{name}[{N}]"))
    }

    fn store(&self, out: &mut [u8]) {
        for (item, place) in self.iter().zip(out.chunks_exact_mut(size_of::<T>())) {
            item.store(place);
        }
    }
}

/// An address on the card of values that kernels write.
#[repr(transparent)]
#[derive(Debug)]
pub struct Pointer<T>(u64, PhantomData<T>);

/// An address on the card of values that kernels only read.
#[repr(transparent)]
#[derive(Debug)]
pub struct Constant<T>(u64, PhantomData<T>);

/// What both kinds of addresses have; derived traits would ask the same of `T`.
macro_rules! addresses {
    ($($type:ident = $prefix:literal),*) => {$(
        impl<T> Clone for $type<T> {
            fn clone(&self) -> Self {
                *self
            }
        }
        impl<T> Copy for $type<T> {}
        impl<T> Default for $type<T> {
            fn default() -> Self {
                Self(0, PhantomData)
            }
        }
        impl<T: Element> DeviceType for $type<T> {
            fn declare(name: &str) -> String {
                format!("{}{} *{name};", $prefix, T::NAME)
            }
            fn store(&self, out: &mut [u8]) {
                self.0.store(out);
            }
        }
    )*};
}

addresses!(Pointer = "", Constant = "const ");

impl<T> Constant<T> {
    /// Points to this memory as values of another type.
    pub fn cast<U>(self) -> Constant<U> {
        Constant(self.0, PhantomData)
    }
}

impl<T: Element> Placed for Pointer<T> {
    fn bytes(length: usize) -> usize {
        length.saturating_mul(size_of::<T>())
    }

    fn take(arena: &mut Arena<'_>, length: usize) -> Result<Self> {
        Ok(Self(arena.take(Self::bytes(length))?, PhantomData))
    }
}

impl<T> Pointer<T> {
    /// Points to the start of some memory.
    pub fn to(memory: &Memory) -> Self {
        Self(memory.address(), PhantomData)
    }

    /// The address.
    pub fn address(self) -> u64 {
        self.0
    }

    /// The address of the value number `index`.
    pub fn at(self, index: usize) -> u64 {
        self.0 + (index * size_of::<T>()) as u64
    }

    /// Points to this memory as values of another type.
    pub fn cast<U>(self) -> Pointer<U> {
        Pointer(self.0, PhantomData)
    }
}

/// A field for which memory is taken.
pub trait Placed: Sized {
    /// Bytes that `length` values take.
    fn bytes(length: usize) -> usize;
    /// Takes them, set to zero.
    ///
    /// # Errors
    /// There is no room on the card.
    fn take(arena: &mut Arena<'_>, length: usize) -> Result<Self>;
}

/// Each of several arrays of the same length.
impl<P: Placed + Copy + Default, const N: usize> Placed for [P; N] {
    fn bytes(length: usize) -> usize {
        N * P::bytes(length)
    }

    fn take(arena: &mut Arena<'_>, length: usize) -> Result<Self> {
        let mut all = [P::default(); N];
        for one in &mut all {
            *one = P::take(arena, length)?;
        }
        Ok(all)
    }
}

/// Takes memory of a card, and keeps it until it is handed over.
pub struct Arena<'a> {
    device: &'a Device,
    kept: Vec<Memory>,
}

impl<'a> Arena<'a> {
    /// An arena that has taken nothing yet.
    pub fn new(device: &'a Device) -> Self {
        Self {
            device,
            kept: Vec::new(),
        }
    }

    fn take(&mut self, bytes: usize) -> Result<u64> {
        self.keep(self.device.zeros(bytes)?)
    }

    fn keep(&mut self, memory: Memory) -> Result<u64> {
        let address = memory.address();
        self.kept.push(memory);
        Ok(address)
    }

    /// The address of a copy of `values`.
    ///
    /// # Errors
    /// There is no room on the card.
    pub fn copy<T: Element>(&mut self, values: &[T]) -> Result<Constant<T>> {
        let memory = self.device.copy_of(values)?;
        Ok(Constant(self.keep(memory)?, PhantomData))
    }

    /// Takes memory for each row of a table, and has `block` point to it.
    ///
    /// # Errors
    /// There is no room on the card.
    pub fn place<B, S>(&mut self, block: &mut B, rows: &[ArrayRow<B, S>], sizes: &S) -> Result<()> {
        for row in rows {
            (row.place)(block, self, sizes)?;
        }
        Ok(())
    }

    /// Hands over what was taken.
    pub fn finish(self) -> Vec<Memory> {
        self.kept
    }
}

/// One array of a table.
pub struct ArrayRow<B, S> {
    /// Bytes that it takes.
    pub bytes: fn(&S) -> usize,
    /// Takes them.
    pub place: fn(&mut B, &mut Arena<'_>, &S) -> Result<()>,
}

/// Forecasts the bytes of some rows.
pub fn bytes_of<B, S>(rows: &[ArrayRow<B, S>], sizes: &S) -> usize {
    let bytes = rows.iter().map(|row| (row.bytes)(sizes));
    bytes.fold(0, usize::saturating_add)
}

/// One field of a structure, as C++ sees it.
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its declaration.
    pub text: String,
    /// Where it lies (bytes).
    pub offset: usize,
}

/// A structure that [`device_struct!`](crate::device_struct) has made.
pub trait DeviceStruct: DeviceType + Element {
    /// Its fields, in order.
    fn fields() -> Vec<Field>;

    /// Declarations of its fields.
    fn members() -> String {
        let line = |field: Field| format!("    {}\n", field.text);
        Self::fields().into_iter().map(line).collect()
    }

    /// The C++ text of the structure, which asserts its size.
    fn declaration() -> String {
        let (name, size) = (Self::NAME, size_of::<Self>());
        format!(
            "struct {name} {{\n{}}};\nstatic_assert(sizeof({name}) == {size}, \"{name}\");\n",
            Self::members(),
        )
    }

    /// C++ text, to be put behind that of the structure, that a compiler refuses where a field lies elsewhere: where all
    /// is well, it sees that a function that is nowhere is never called. The refusal names the function, and so the field.
    fn probe() -> String {
        let name = Self::NAME;
        let line = |field: Field| {
            let Field {
                name: at, offset, ..
            } = field;
            let place = format!("reinterpret_cast<size_t>(&reinterpret_cast<{name} *>(0)->{at})");
            format!(
                "extern \"C\" __device__ void misplaced_{name}_{at}();\n\
                 extern \"C\" __global__ void probe_{name}_{at}() {{ if ({place} != {offset}) misplaced_{name}_{at}(); }}\n"
            )
        };
        Self::fields().into_iter().map(line).collect()
    }

    /// Its bytes, with zeros where it has padding.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; size_of::<Self>()];
        self.store(&mut bytes);
        bytes
    }
}

/// Makes a structure that host and card share from a table of its rows: plain fields, then groups of arrays, each with the type
/// of the sizes that its lengths are made of.
#[macro_export]
macro_rules! device_struct {
    (
        $(#[$doc:meta])*
        $vis:vis struct $name:ident = $text:literal {
            $( $(#[$field_doc:meta])* $field:ident : $type:ty ),* $(,)?
        }
        $(
            $(#[$group_doc:meta])*
            arrays $group:ident ($sizes:ty) {
                $( $(#[$array_doc:meta])* $array:ident : $array_type:ty = $length:expr ),* $(,)?
            }
        )*
    ) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Default)]
        $vis struct $name {
            $( $(#[$field_doc])* pub $field: $type, )*
            $($( $(#[$array_doc])* pub $array: $array_type, )*)*
        }

        impl $name {
            $(
                $(#[$group_doc])*
                pub const $group: &'static [$crate::cuda::layout::ArrayRow<$name, $sizes>] = &[
                    $( $crate::cuda::layout::ArrayRow {
                        bytes: |sizes| {
                            let length: fn(&$sizes) -> usize = $length;
                            <$array_type as $crate::cuda::layout::Placed>::bytes(length(sizes))
                        },
                        place: |block, arena, sizes| {
                            let length: fn(&$sizes) -> usize = $length;
                            block.$array = $crate::cuda::layout::Placed::take(arena, length(sizes))?;
                            Ok(())
                        },
                    } ),*
                ];
            )*
        }

        impl $crate::cuda::layout::DeviceType for $name {
            fn declare(name: &str) -> String {
                format!("{} {name};", $text)
            }

            fn store(&self, out: &mut [u8]) {
                $(
                    let at = std::mem::offset_of!($name, $field);
                    let end = at + size_of::<$type>();
                    $crate::cuda::layout::DeviceType::store(&self.$field, &mut out[at..end]);
                )*
                $($(
                    let at = std::mem::offset_of!($name, $array);
                    let end = at + size_of::<$array_type>();
                    $crate::cuda::layout::DeviceType::store(&self.$array, &mut out[at..end]);
                )*)*
            }
        }

        impl $crate::cuda::layout::Element for $name {
            const NAME: &'static str = $text;
        }

        impl $crate::cuda::layout::DeviceStruct for $name {
            fn fields() -> Vec<$crate::cuda::layout::Field> {
                vec![
                    $( $crate::cuda::layout::Field {
                        name: stringify!($field),
                        text: <$type as $crate::cuda::layout::DeviceType>::declare(stringify!($field)),
                        offset: std::mem::offset_of!($name, $field),
                    }, )*
                    $($( $crate::cuda::layout::Field {
                        name: stringify!($array),
                        text: <$array_type as $crate::cuda::layout::DeviceType>::declare(stringify!($array)),
                        offset: std::mem::offset_of!($name, $array),
                    }, )*)*
                ]
            }
        }
    };
}

/// Definitions for the C++ text of constants that Rust has.
pub fn defines<'a>(constants: impl IntoIterator<Item = (&'a str, usize)>) -> String {
    let line = |(name, value)| format!("#define {name} {value}\n");
    constants.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::super::compiler;
    use super::*;

    device_struct! {
        /// Fields of every kind, with padding between.
        struct Mixed = "Mixed" {
            first: u32,
            matrix: [[f64; 3]; 2],
            small: f32,
            fixed: Constant<f32>,
        }
        /// Arrays.
        arrays ARRAYS(usize) {
            numbers: Pointer<f64> = |n| 3 * n,
            both: [Pointer<[f32; 4]>; 2] = |n| n + 1,
        }
    }

    #[test]
    fn a_table_gives_text_bytes_and_forecast() {
        let text = Mixed::declaration();
        for line in [
            "    u32 first;\n",
            "    double matrix[2][3];\n",
            "    const float *fixed;\n",
            "    double *numbers;\n",
            "    float4 *both[2];\n",
            "static_assert(sizeof(Mixed) == 96, ",
        ] {
            assert!(text.contains(line), "no {line:?} in\n{text}");
        }
        assert_eq!(bytes_of(Mixed::ARRAYS, &10), 3 * 10 * 8 + 2 * 11 * 16);
        let mut mixed = Mixed {
            first: 7,
            small: 2.5,
            ..Mixed::default()
        };
        mixed.matrix[1][2] = -3.0;
        let bytes = mixed.bytes();
        assert_eq!(bytes.len(), size_of::<Mixed>());
        assert_eq!(bytes[..8], [7_u32.to_ne_bytes(), [0; 4]].concat());
        assert_eq!(bytes[48..56], (-3.0_f64).to_ne_bytes());
        assert_eq!(bytes[56..60], 2.5_f32.to_ne_bytes());
    }

    /// The compiler lays structures out as Rust does, and refuses one whose fields have changed places.
    #[test]
    fn the_compiler_checks_where_fields_lie() {
        let right = [compiler::BASE, &Mixed::declaration(), &Mixed::probe()].concat();
        match compiler::check(&right) {
            Err(error) if compiler::excused(&error) => return,
            found => found.unwrap(),
        }
        let (fixed, numbers) = ("    const float *fixed;\n", "    double *numbers;\n");
        let swapped = right.replace(&[fixed, numbers].concat(), &[numbers, fixed].concat());
        assert_ne!(swapped, right);
        // The size is the same, so that alone would not tell.
        let refusal = compiler::check(&swapped).unwrap_err().to_string();
        assert!(refusal.contains("misplaced_Mixed_"), "{refusal}");
    }
}
