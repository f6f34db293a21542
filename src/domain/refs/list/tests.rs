use proptest::prelude::*;

use super::*;

const A: &[u8] = b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &[u8] = b"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn built(names: &[&str]) -> Result<RefList, NotAdded> {
    let mut builder = RefListBuilder::new(usize::MAX);
    for name in names {
        builder.push(name.as_bytes(), A)?;
    }
    builder.finish(None)
}

/// A list of `count` refs with names of 60 bytes.
fn long(count: usize, limit: usize) -> Result<RefList, NotAdded> {
    let mut builder = RefListBuilder::new(limit);
    for number in 0..count {
        builder.push(format!("refs/heads/{number:049}").as_bytes(), A)?;
    }
    builder.finish(None)
}

#[test]
fn a_list_that_comes_unsorted_is_the_sorted_one() {
    let sorted = built(&["refs/heads/a", "refs/heads/b", "refs/tags/a"]).unwrap();
    let unsorted = built(&["refs/tags/a", "refs/heads/b", "refs/heads/a"]).unwrap();
    assert_eq!((&sorted, sorted.digest()), (&unsorted, unsorted.digest()));
    assert_eq!(unsorted.branches(), 2);
}

#[test]
fn a_repeated_name_is_refused_at_every_position() {
    for names in [["refs/heads/a", "refs/heads/a", "refs/heads/b"], ["refs/heads/a", "refs/heads/b", "refs/heads/a"]] {
        assert_eq!(built(&names), Err(NotAdded::Twice), "{names:?}");
    }
}

#[test]
fn a_name_or_id_that_git_does_not_allow_is_refused() {
    let push = |name: &[u8], id: &[u8]| RefListBuilder::new(usize::MAX).push(name, id);
    assert_eq!(push(b"refs/heads/a b", A), Err(NotAdded::BadName));
    assert_eq!(push(b"refs/heads/a", &A[1..]), Err(NotAdded::BadId));
    assert_eq!(push(b"refs/heads/a", &A.to_ascii_uppercase()), Err(NotAdded::BadId));
    let name = format!("refs/heads/{}", "x".repeat(300));
    assert!(matches!(push(name.as_bytes(), A), Err(NotAdded::LongName(long)) if long.as_str() == name));
    let mut mixed = RefListBuilder::new(usize::MAX);
    mixed.push(b"refs/heads/a", A).unwrap();
    assert_eq!(mixed.push(b"refs/heads/b", &[b'a'; 64]), Err(NotAdded::BadId));
}

#[test]
fn the_digest_is_over_the_bytes_and_not_over_the_displayed_name() {
    use sha2::{Digest as _, Sha256};
    let mut builder = RefListBuilder::new(usize::MAX);
    builder.push(b"refs/heads/\xfc", A).unwrap();
    let line = [A, b" refs/heads/\xfc\n"].concat();
    let digest = format!("sha256:{:x}", Sha256::digest(&line));
    assert_eq!(builder.finish(None).unwrap().digest().as_str(), digest);
}

#[test]
fn ids_of_sha256_are_kept_whole() {
    let id = "0123456789abcdef".repeat(4);
    let mut builder = RefListBuilder::new(usize::MAX);
    builder.push(b"refs/heads/main", id.as_bytes()).unwrap();
    assert_eq!(builder.finish(None).unwrap().get(b"refs/heads/main").unwrap().as_str(), id);
}

#[test]
fn two_hundred_thousand_refs_take_little_more_than_their_bytes() {
    let list = long(200_000, usize::MAX).unwrap();
    let least = 200_000 * (60 + 20);
    assert!(list.bytes() < least * 5 / 4, "{} of {least}", list.bytes());
    assert_eq!(list.iter().count(), 200_000);
    let some = format!("refs/heads/{:049}", 123_456);
    assert!(list.get(some.as_bytes()).is_some());
}

#[test]
fn a_list_never_takes_more_than_it_may() {
    for limit in [10_000, 100_000, 1_000_000, 10_000_000] {
        let mut builder = RefListBuilder::new(limit);
        let refused = (0..).find_map(|number: u32| {
            let result = builder.push(format!("refs/heads/{number:049}").as_bytes(), A);
            assert!(builder.list.bytes() <= limit, "{} of {limit}", builder.list.bytes());
            result.err()
        });
        assert_eq!(refused, Some(NotAdded::TooLarge(builder.list.order.len())));
        assert!(builder.list.bytes() > limit / 3, "{} of {limit}", builder.list.bytes());
    }
    assert!(matches!(long(900_000, 24 << 20), Err(NotAdded::TooLarge(fitted)) if fitted > 200_000));
}

#[test]
fn a_name_is_blocked_by_its_folder_or_by_names_in_its_folder() {
    let list = built(&["refs/heads/a", "refs/heads/b-c", "refs/heads/b/c", "refs/tags/a"]).unwrap();
    let blocking = |name: &str| list.blocking(name.as_bytes()).map(|one| one.name().to_string());
    assert_eq!(blocking("refs/heads/a/b").as_deref(), Some("refs/heads/a"));
    assert_eq!(blocking("refs/heads/a/b/c").as_deref(), Some("refs/heads/a"));
    assert_eq!(blocking("refs/heads/b").as_deref(), Some("refs/heads/b/c"));
    for free in ["refs/heads/a", "refs/heads/ab", "refs/heads/b/d", "refs/heads/c", "refs/tags/b"] {
        assert_eq!(blocking(free), None, "{free}");
    }
}

#[test]
fn objects_are_looked_for_under_every_name() {
    let of = |refs: &[(&str, &[u8])]| {
        let mut builder = RefListBuilder::new(usize::MAX);
        for (name, id) in refs {
            builder.push(name.as_bytes(), id).unwrap();
        }
        builder.finish(None).unwrap()
    };
    let here = of(&[("refs/heads/a", A), ("refs/heads/b", B)]);
    let names = |other: &RefList| here.without_objects_of(other).map(|one| one.name().to_string()).collect::<Vec<_>>();
    assert_eq!(names(&of(&[("refs/tags/x", A)])), ["refs/heads/b"]);
    assert_eq!(names(&RefList::default()).len(), 2);
    assert_eq!(names(&here), Vec::<String>::new());
}

proptest! {
    #[test]
    fn each_ref_is_found_by_its_name_and_no_other_is(
        refs in proptest::collection::btree_map("(heads|tags)/[a-e]{1,3}", prop::bool::ANY, 0..40),
        other in "(heads|tags)/[a-e]{1,3}",
    ) {
        let mut builder = RefListBuilder::new(usize::MAX);
        for (name, a) in refs.iter().rev() {
            builder.push(format!("refs/{name}").as_bytes(), if *a { A } else { B }).unwrap();
        }
        let list = builder.finish(None).unwrap();
        prop_assert_eq!(list.len(), refs.len());
        for (name, a) in &refs {
            let id = list.get(format!("refs/{name}").as_bytes()).unwrap();
            prop_assert_eq!(id.as_str().as_bytes(), if *a { A } else { B });
        }
        prop_assert_eq!(list.get(format!("refs/{other}").as_bytes()).is_some(), refs.contains_key(&other));
    }
}
