//! Fields of forms that bring files.

use axum::extract::multipart::Field;

use crate::problem::Problem;

/// Bytes of a field beside the content.
pub(super) const FIELD_BYTES_MAX: usize = 16 << 10;

pub(super) fn unfit(error: impl ToString) -> Problem {
    Problem::malformed("form", error)
}

/// The text of a field, of so many bytes at most.
pub(super) async fn text(mut field: Field<'_>, most: usize) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(unfit)? {
        if bytes.len() + chunk.len() > most {
            return Err(unfit(format!("a field of it has more than {most} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(unfit)
}
