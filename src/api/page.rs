//! Pages of a list: `?limit=&cursor=`.
//!
//! Owns how such a query is read. Each list knows what its own cursor means.

use std::ops::RangeInclusive;

use url::form_urlencoded;

use super::error::ApiError;
use crate::domain::problem::Code;

/// What a query says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PageQuery<C> {
    /// How many at most, if it says so.
    pub(super) limit: Option<usize>,
    /// After which one, if it says so.
    pub(super) after: Option<C>,
}

/// Reads a query; unknown parameters are ignored.
///
/// # Errors
/// A limit outside of `limits`, a cursor that `cursor` does not know, or either of them twice.
pub(super) fn page<C>(
    query: &str,
    limits: RangeInclusive<usize>,
    cursor: impl Fn(&str) -> Option<C>,
) -> Result<PageQuery<C>, ApiError> {
    let wrong = |detail: &str| ApiError::new(Code::InvalidField, detail);
    let mut page = PageQuery { limit: None, after: None };
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let again = match &*name {
            "limit" => {
                let given = value.parse().ok().filter(|given| limits.contains(given));
                let (least, most) = (limits.start(), limits.end());
                let what = || wrong(&format!("`limit` must be a whole number from {least} to {most}"));
                page.limit.replace(given.ok_or_else(what)?).is_some()
            }
            "cursor" => {
                let given = cursor(&value);
                let what = || wrong("`cursor` must be a `nextCursor` of this list");
                page.after.replace(given.ok_or_else(what)?).is_some()
            }
            _ => false,
        };
        if again {
            return Err(wrong("`limit` and `cursor` may each be given once"));
        }
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_what_the_query_says_within_limits() {
        let read = |query: &str| page(query, 1..=100, |text| (text == "here").then_some(7));
        assert_eq!(read("").unwrap(), PageQuery { limit: None, after: None });
        assert_eq!(read("limit=1").unwrap().limit, Some(1));
        assert_eq!(read("since=x'--&cursor=here&limit=100").unwrap(), PageQuery { limit: Some(100), after: Some(7) });
        for bad in [
            "limit=0",
            "limit=101",
            "limit=-1",
            "limit=x",
            "limit=",
            "limit=1&limit=2",
            "cursor=",
            "cursor=there",
            "cursor=here&cursor=here",
        ] {
            assert_eq!(read(bad).unwrap_err().code(), Code::InvalidField, "{bad}");
        }
    }
}
