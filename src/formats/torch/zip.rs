//! Zip archives whose entries are stored as they are, which PyTorch's all are: the directory at the end is read, with its
//! 64-bit extension, and every entry is compared with its checksum. (Format: PKWARE's APPNOTE 6.3.)

use std::collections::BTreeMap;

use crate::{Error, Result};

/// A record's signature and the bytes that it always has.
const END: (&[u8], usize) = (b"PK\x05\x06", 22);
const END_64: (&[u8], usize) = (b"PK\x06\x06", 56);
const LOCATOR_64: (&[u8], usize) = (b"PK\x06\x07", 20);
const ENTRY: (&[u8], usize) = (b"PK\x01\x02", 46);
const LOCAL: (&[u8], usize) = (b"PK\x03\x04", 30);

/// Said in place of a number that stands in the 64-bit extension.
const ELSEWHERE: u64 = u32::MAX as u64;
/// The extra field that has them.
const EXTRA_64: u64 = 1;
/// Flag of an entry that is encrypted.
const ENCRYPTED: u64 = 1;

/// The entries of an archive by name.
///
/// # Errors
/// It is cut short or damaged, an entry is packed, encrypted, or there twice, or does not have its checksum.
pub fn entries(bytes: &[u8]) -> Result<BTreeMap<String, &[u8]>> {
    let file = ZipFile(bytes);
    let (count, mut at, end) = file.directory().ok_or_else(|| {
        Error::input("a zip archive that is cut short: its directory, at its end, is missing; copy the file again")
    })?;
    let mut found = BTreeMap::new();
    for n in 0..count {
        let entry = file.entry(&mut at, end);
        let entry = entry.ok_or_else(|| damaged(format!("entry {n} of its directory")))?;
        let name = entry.name.escape_default().to_string();
        if entry.is_packed {
            return Err(Error::input(format!(
                "the entry '{name}' of the zip archive is packed or encrypted; PyTorch stores entries as they are"
            )));
        }
        let data = file.data(&entry);
        let data = data.ok_or_else(|| damaged(format!("the entry '{name}'")))?;
        if crc32fast::hash(data) != entry.checksum {
            return Err(damaged(format!(
                "the entry '{name}' does not have its checksum (one written without, by \
                 torch.serialization.set_crc32_options(False), has to be written again with them)"
            )));
        }
        if found.insert(entry.name, data).is_some() {
            return Err(damaged(format!("the entry '{name}' is there twice")));
        }
    }
    match at == end {
        true => Ok(found),
        false => Err(damaged("its directory".to_owned())),
    }
}

fn damaged(what: String) -> Error {
    Error::input(format!(
        "the zip archive is damaged: {what}; copy the file again"
    ))
}

/// An entry of the directory.
struct ZipEntry {
    name: String,
    is_packed: bool,
    checksum: u32,
    size: u64,
    local: u64,
}

struct ZipFile<'b>(&'b [u8]);

impl<'b> ZipFile<'b> {
    fn slice(&self, at: u64, size: u64) -> Option<&'b [u8]> {
        let at = usize::try_from(at).ok()?;
        let end = at.checked_add(usize::try_from(size).ok()?)?;
        self.0.get(at..end)
    }

    /// What a record always has, if one is there.
    fn record(&self, at: u64, (signature, size): (&[u8], usize)) -> Option<&'b [u8]> {
        let record = self.slice(at, size as u64)?;
        record.starts_with(signature).then_some(record)
    }

    /// Number of entries, and where the directory begins and ends.
    fn directory(&self) -> Option<(u64, u64, u64)> {
        // The last record is behind all others, but for a remark of at most 64 kB.
        let least = self.0.len().saturating_sub(END.1 + usize::from(u16::MAX));
        let mut places = (least..=self.0.len().checked_sub(END.1)?).rev();
        let place = places.find(|&at| {
            let record = self.record(at as u64, END);
            record.is_some_and(|r| at + END.1 + number(r, 20, 2) as usize == self.0.len())
        })? as u64;
        let end = self.record(place, END)?;
        let [count, size, offset] = [number(end, 10, 2), number(end, 12, 4), number(end, 16, 4)];
        let extended = count == u64::from(u16::MAX) || size == ELSEWHERE || offset == ELSEWHERE;
        let [count, size, offset] = match extended {
            false => [count, size, offset],
            true => {
                let locator = self.record(place.checked_sub(LOCATOR_64.1 as u64)?, LOCATOR_64)?;
                let end = self.record(number(locator, 8, 8), END_64)?;
                [number(end, 32, 8), number(end, 40, 8), number(end, 48, 8)]
            }
        };
        let end = offset.checked_add(size).filter(|end| *end <= place)?;
        Some((count, offset, end))
    }

    /// The entry of the directory at a place, which is moved to the next.
    fn entry(&self, at: &mut u64, end: u64) -> Option<ZipEntry> {
        let record = self.record(*at, ENTRY)?;
        let [name, extra, remark] = [28, 30, 32].map(|place| number(record, place, 2));
        let start = *at + ENTRY.1 as u64;
        let text = std::str::from_utf8(self.slice(start, name)?).ok()?;
        let mut wide = Zip64::of(self.slice(start + name, extra)?);
        *at = (start + name + extra + remark).min(end + 1);
        // In the order in which the extension has them.
        let size = wide.or(number(record, 24, 4))?;
        let packed = wide.or(number(record, 20, 4))?;
        let local = wide.or(number(record, 42, 4))?;
        let flags = number(record, 8, 2);
        Some(ZipEntry {
            name: text.to_owned(),
            is_packed: number(record, 10, 2) != 0 || packed != size || flags & ENCRYPTED != 0,
            checksum: number(record, 16, 4) as u32,
            size,
            local,
        })
    }

    /// The bytes of an entry, behind a header of its own that has to have its name.
    fn data(&self, entry: &ZipEntry) -> Option<&'b [u8]> {
        let header = self.record(entry.local, LOCAL)?;
        let [name, extra] = [26, 28].map(|place| number(header, place, 2));
        let start = entry.local.checked_add(LOCAL.1 as u64)?;
        let same = self.slice(start, name)? == entry.name.as_bytes();
        same.then(|| self.slice(start + name + extra, entry.size))?
    }
}

/// Numbers of the 64-bit extension, one after another.
struct Zip64<'b>(&'b [u8]);

impl<'b> Zip64<'b> {
    /// Those of the extra fields of an entry.
    fn of(mut fields: &'b [u8]) -> Self {
        while let Some((head, rest)) = fields.split_at_checked(4) {
            let size = number(head, 2, 2) as usize;
            let Some((field, after)) = rest.split_at_checked(size) else {
                break;
            };
            if number(head, 0, 2) == EXTRA_64 {
                return Self(field);
            }
            fields = after;
        }
        Self(&[])
    }

    /// The number, or the next one of the extension where it says that it stands there.
    fn or(&mut self, given: u64) -> Option<u64> {
        if given != ELSEWHERE {
            return Some(given);
        }
        let (next, rest) = self.0.split_at_checked(8)?;
        self.0 = rest;
        Some(number(next, 0, 8))
    }
}

/// A number of `width` bytes, the lowest first; zero where there are none.
fn number(record: &[u8], at: usize, width: usize) -> u64 {
    let bytes = record.get(at..at + width).unwrap_or_default();
    bytes
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of one entry whose sizes stand in the 64-bit extension, as PyTorch writes those over 4 GB.
    fn wide(name: &str, data: &[u8]) -> Vec<u8> {
        let two = |n: usize| (n as u16).to_le_bytes();
        let eight = |n: usize| (n as u64).to_le_bytes();
        let all = [0xff; 4];
        let checksum = crc32fast::hash(data).to_le_bytes();
        let mut out = Vec::new();
        out.extend(
            [
                LOCAL.0,
                &[0; 10],
                &checksum,
                &all,
                &all,
                &two(name.len()),
                &two(20),
            ]
            .concat(),
        );
        out.extend(
            [
                name.as_bytes(),
                &two(1),
                &two(16),
                &eight(data.len()),
                &eight(data.len()),
                data,
            ]
            .concat(),
        );
        let directory = out.len();
        out.extend(
            [
                ENTRY.0,
                &[0; 12],
                &checksum,
                &all,
                &all,
                &two(name.len()),
                &two(28),
                &[0; 10],
                &all,
            ]
            .concat(),
        );
        out.extend([name.as_bytes(), &two(1), &two(24)].concat());
        out.extend([eight(data.len()), eight(data.len()), eight(0)].concat());
        let end = out.len();
        out.extend([END_64.0, &eight(44), &[0; 12], &eight(1), &eight(1)].concat());
        out.extend([eight(end - directory), eight(directory)].concat());
        out.extend([LOCATOR_64.0, &[0; 4], &eight(end), &[0; 4]].concat());
        out.extend([END.0, &[0; 4], &[0xff; 12], &[0; 2]].concat());
        out
    }

    #[test]
    fn sizes_of_64_bits_are_read() {
        let bytes = wide("a/data.pkl", b"numbers");
        let found = entries(&bytes).unwrap();
        assert_eq!(found["a/data.pkl"], b"numbers");
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn damage_anywhere_in_the_data_is_found() {
        let bytes = wide("a/data.pkl", b"numbers");
        let at = bytes.windows(7).position(|w| w == b"numbers").unwrap();
        for bit in 0..56 {
            let mut bytes = bytes.clone();
            bytes[at + bit / 8] ^= 1 << (bit % 8);
            let message = entries(&bytes).unwrap_err().to_string();
            assert!(message.contains("checksum"), "{message}");
        }
        for length in 0..bytes.len() {
            assert!(entries(&bytes[..length]).is_err(), "{length}");
        }
    }
}
