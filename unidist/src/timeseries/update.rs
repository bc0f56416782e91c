//! Rows to librrd: many of one file in one call.
//!
//! `rrd::ops::update` makes each row a text of its own, in four allocations: a fifth of the time that storing takes.
//! Here the rows of a call are one text. It is the only code of this crate that is marked unsafe.

#![expect(unsafe_code, reason = "librrd's update as the rrd crate calls it, with arguments made in fewer allocations")]

use std::ffi::{CStr, CString, c_char};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use rrd::ops::update::Datum;

use super::error::SeriesError;
use super::layout::Rows;

/// `RRD_SKIP_PAST_UPDATES` of rrd.h: another writer of the same file may have been faster, and its samples count.
const SKIP_PAST_UPDATES: i32 = 1;

/// The usual length of a row: a time and a number.
const ROW_BYTES: usize = 24;

/// Stores rows of `columns` numbers each, oldest first.
///
/// # Errors
/// `Library` when librrd refuses; rows before the one that it refuses are stored.
pub(super) fn store(path: &Path, rows: &Rows, columns: usize) -> Result<(), SeriesError> {
    let refused = |reason: String| SeriesError::refused("update", path, &reason);
    let file = CString::new(path.as_os_str().as_bytes()).map_err(|error| refused(error.to_string()))?;
    let arguments = Arguments::new(rows, columns);
    let pointers = arguments.pointers();
    let count = i32::try_from(pointers.len()).map_err(|error| refused(error.to_string()))?;
    // SAFETY: `file` and each of `pointers` are texts that end in a zero byte and outlive the call; there are `count` of
    // them; librrd copies what it changes, and a template may be null (rrd_update(1), rrd_update.c).
    let code = unsafe {
        rrd_sys::rrd_updatex_r(file.as_ptr(), ptr::null(), SKIP_PAST_UPDATES, count, pointers.as_ptr().cast_mut())
    };
    if code == 0 { Ok(()) } else { Err(refused(reason())) }
}

/// What librrd says of this thread's last call.
fn reason() -> String {
    // SAFETY: librrd keeps the text for each thread until it is cleared; it is copied before.
    unsafe {
        let text = rrd_sys::rrd_get_error();
        if text.is_null() {
            return "librrd gives no reason".to_owned();
        }
        let reason = CStr::from_ptr(text).to_string_lossy().into_owned();
        rrd_sys::rrd_clear_error();
        reason
    }
}

/// `TIME:NUMBER:NUMBER`, a text for each row, one behind the other, each with a zero byte at its end.
struct Arguments {
    text: Vec<u8>,
    starts: Vec<usize>,
}

impl Arguments {
    fn new(rows: &Rows, columns: usize) -> Self {
        let mut text = Vec::with_capacity(rows.times.len() * ROW_BYTES * columns.max(1));
        let mut starts = Vec::with_capacity(rows.times.len());
        let mut digits = itoa::Buffer::new();
        for (time, data) in rows.times.iter().zip(rows.data.chunks(columns.max(1))) {
            starts.push(text.len());
            text.extend_from_slice(digits.format(*time).as_bytes());
            for datum in data {
                text.push(b':');
                match datum {
                    Datum::Unspecified => text.push(b'U'),
                    Datum::Int(number) => text.extend_from_slice(digits.format(*number).as_bytes()),
                    // Writing to a vector can't fail.
                    Datum::Float(number) => drop(write!(text, "{number}")),
                }
            }
            text.push(0);
        }
        Arguments { text, starts }
    }

    fn pointers(&self) -> Vec<*const c_char> {
        let rest = |start: &usize| self.text.get(*start..).map_or(ptr::null(), |rest| rest.as_ptr().cast());
        self.starts.iter().map(rest).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_a_text_of_its_own() {
        let data = vec![Datum::Int(7), Datum::Unspecified, Datum::Float(-0.5), Datum::Float(1e21)];
        let arguments = Arguments::new(&Rows { times: vec![10, 1_700_000_005], data }, 2);
        assert_eq!(arguments.text, b"10:7:U\x001700000005:-0.5:1000000000000000000000\x00");
        assert_eq!(arguments.starts, [0, 7]);
        assert_eq!(arguments.pointers().len(), 2);
    }

    #[test]
    fn what_librrd_refuses_is_told_in_its_words() {
        let rows = Rows { times: vec![10], data: vec![Datum::Int(7)] };
        let error = store(Path::new("/nowhere/a.rrd"), &rows, 1).unwrap_err().to_string();
        assert!(error.contains("cannot update /nowhere/a.rrd") && error.contains("No such file"), "{error}");
        assert!(store(Path::new("a\0b"), &rows, 1).is_err());
    }
}
