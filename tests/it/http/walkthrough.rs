//! The walk through the API in `docs/api.md`: every command of it is run, and what it says of the output is demanded.

