//! cutover-api.
