//! Reading of the vector files.

use serde_json::Value;

/// The tests of a vector file.
pub(crate) fn tests(file: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(file).unwrap();
    let tests = file["tests"].as_array().unwrap().clone();
    assert!(!tests.is_empty());
    tests
}

/// The bytes of a field of hexadecimal digits, none when there is no such field.
pub(crate) fn bytes(test: &Value, field: &str) -> Vec<u8> {
    hex(test[field].as_str().unwrap_or_default())
}

/// The bytes of a text of hexadecimal digits.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "{text}");
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
        .collect()
}
