//! A stand-in Gitea and a faulty upstream.
