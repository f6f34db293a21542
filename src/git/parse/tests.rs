//! Answers that arrive whole, cut anywhere, and in pieces of any size.

use proptest::prelude::*;

use super::super::pkt::tests::{at_once, body};
use super::*;
use crate::domain::refs::ObjectId;

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// Enough memory for any list of these tests.
const ROOM: usize = 1 << 20;

fn lines(lines: &[&str]) -> String {
    lines.iter().map(|line| pkt::line(line)).collect::<String>() + "0000"
}

fn not_a_list(why: ReadError) -> NotAList {
    match why {
        ReadError::NotAList(why) => why,
        ReadError::Oversize(_) | ReadError::Trouble(_) => panic!("{why:?}"),
    }
}

/// Reads `bytes` in pieces of several sizes and checks that the result is the same.
fn however_it_arrives<T: PartialEq + std::fmt::Debug>(bytes: &[u8], read: impl Fn(Packets) -> T) -> T {
    let whole = read(body(bytes, bytes.len().max(1)));
    for each in [1, 3, 7, 64] {
        assert_eq!(read(body(bytes, each)), whole, "in pieces of {each}");
    }
    whole
}

fn ls_refs(bytes: &[u8]) -> Result<RefList, NotAList> {
    however_it_arrives(bytes, |mut packets| at_once(super::ls_refs(&mut packets, ROOM))).map_err(not_a_list)
}

fn advertisement(bytes: &[u8]) -> Result<Advertisement, NotAList> {
    however_it_arrives(bytes, |mut packets| at_once(super::advertisement(&mut packets, ROOM))).map_err(not_a_list)
}

fn id(digits: &str) -> Option<ObjectId> {
    ObjectId::parse(digits).ok()
}

#[test]
fn an_ls_refs_answer_gives_heads_tags_and_the_branch_of_head() {
    let body = lines(&[
        &format!("{A} HEAD symref-target:refs/heads/main"),
        &format!("{A} refs/heads/main"),
        &format!("{B} refs/tags/v1 peeled:{A}"),
        &format!("{B} refs/pull/1/head"),
    ]);
    let list = ls_refs(body.as_bytes()).unwrap();
    assert_eq!((list.len(), list.head().unwrap().as_str()), (2, "main"));
    assert_eq!(list.get(b"refs/tags/v1"), id(B));
}

#[test]
fn a_list_without_its_end_is_an_error_at_every_byte() {
    let body = lines(&[&format!("{A} HEAD symref-target:refs/heads/main"), &format!("{A} refs/heads/main")]);
    for cut in 0..body.len() {
        assert!(ls_refs(&body.as_bytes()[..cut]).is_err(), "cut at {cut}");
    }
    let advertised = format!("001e# service=git-upload-pack\n0000{body}");
    for cut in 0..advertised.len() {
        let seen = advertisement(&advertised.as_bytes()[..cut]);
        assert!(matches!(seen, Err(_) | Ok(Advertisement::NothingAfterService)), "cut at {cut}: {seen:?}");
    }
}

#[test]
fn a_v0_advertisement_is_read() {
    let body = format!("{}0000", pkt::line("# service=git-upload-pack"))
        + &lines(&[
            &format!("{A} HEAD\0multi_ack symref=HEAD:refs/heads/main agent=git/2.39.5"),
            &format!("{A} refs/heads/main"),
            &format!("{B} refs/tags/v1"),
            &format!("{A} refs/tags/v1^{{}}"),
        ]);
    let Ok(Advertisement::V0(list)) = advertisement(body.as_bytes()) else { panic!("not v0") };
    assert_eq!((list.len(), list.head().unwrap().as_str()), (2, "main"));
}

#[test]
fn an_empty_repository_is_a_whole_and_empty_list() {
    for empty in [
        "001e# service=git-upload-pack\n00000000".to_owned(),
        format!(
            "001e# service=git-upload-pack\n0000{}",
            lines(&[&format!("{} capabilities^{{}}\0agent=git/2", "0".repeat(40))])
        ),
    ] {
        assert_eq!(advertisement(empty.as_bytes()), Ok(Advertisement::V0(RefList::default())), "{empty}");
    }
    assert_eq!(ls_refs(b"002eunborn HEAD symref-target:refs/heads/main\n0000").map(|list| list.len()), Ok(0));
}

#[test]
fn names_are_bytes_by_gits_rule() {
    let umlaut = [format!("{A} refs/heads/").as_bytes(), b"\xfc\xc2\x85"].concat();
    let framed = [format!("{:04x}", umlaut.len() + 4).as_bytes(), &umlaut, b"0000"].concat();
    let list = ls_refs(&framed).unwrap();
    assert_eq!(list.get(b"refs/heads/\xfc\xc2\x85"), id(A));
    let advertised = [b"001e# service=git-upload-pack\n0000", &framed[..]].concat();
    assert_eq!(advertisement(&advertised), Ok(Advertisement::V0(list)));
}

#[test]
fn a_head_that_is_not_utf_8_is_none() {
    let head = [format!("{A} HEAD symref-target:refs/heads/").as_bytes(), b"\xfc"].concat();
    let framed = [format!("{:04x}", head.len() + 4).as_bytes(), &head, b"0000"].concat();
    assert_eq!(ls_refs(&framed), Ok(RefList::default()));
}

#[test]
fn an_advertisement_of_a_shallow_repository_is_a_list_that_says_so() {
    let capabilities = format!("{A} refs/heads/main\0agent=git/2");
    let whole = lines(&[&capabilities]);
    let shallow = lines(&[&capabilities, &format!("shallow {B}")]);
    let Ok(Advertisement::V0(whole)) = advertisement(whole.as_bytes()) else { panic!("not v0") };
    let Ok(Advertisement::V0(shallow)) = advertisement(shallow.as_bytes()) else { panic!("not v0") };
    assert_eq!((whole.is_shallow(), shallow.is_shallow()), (false, true));
    assert_eq!((whole.len(), whole.digest()), (shallow.len(), shallow.digest()));
}

#[test]
fn a_list_over_its_memory_limit_and_one_with_a_long_name_are_oversize() {
    let many: Vec<_> = (0..1_000).map(|number| format!("{A} refs/heads/{number:060}")).collect();
    let many = lines(&many.iter().map(String::as_str).collect::<Vec<_>>());
    let read = |bytes: &[u8], room| at_once(super::ls_refs(&mut body(bytes, 1_000), room));
    assert!(
        matches!(read(many.as_bytes(), 20_000), Err(ReadError::Oversize(Oversize::List(fitted))) if fitted < 1_000)
    );
    assert_eq!(read(many.as_bytes(), 200_000).map(|list| list.len()), Ok(1_000));
    let name = format!("refs/heads/{}", "x".repeat(256));
    let long = lines(&[&format!("{A} {name}")]);
    let oversize = Oversize::Name(
        RefName::of(name.as_bytes())
            .err()
            .map(|bad| match bad {
                crate::domain::refs::BadRefName::TooLong(name) => name,
                crate::domain::refs::BadRefName::Malformed => panic!("it is well-formed"),
            })
            .unwrap(),
    );
    assert_eq!(read(long.as_bytes(), ROOM), Err(ReadError::Oversize(oversize)));
}

#[test]
fn an_answer_that_is_not_gits_is_named() {
    assert_eq!(advertisement(b"<html><body>Sign in</body></html>"), Err(NotAList::Page));
    assert_eq!(advertisement(b"hello\n"), Err(NotAList::NotGit));
    assert_eq!(advertisement(b""), Err(NotAList::Empty));
    assert_eq!(ls_refs(b""), Err(NotAList::Empty));
    assert_eq!(advertisement(b"001e# service=git-upload-pack\n0000"), Ok(Advertisement::NothingAfterService));
    assert_eq!(ls_refs(lines(&["ERR access denied"]).as_bytes()), Err(NotAList::Refused("access denied".into())));
    assert_eq!(ls_refs(lines(&["zz refs/heads/main"]).as_bytes()), Err(NotAList::BadLine));
    assert_eq!(ls_refs(lines(&[&format!("{A} refs/heads/../x")]).as_bytes()), Err(NotAList::BadLine));
    let twice = lines(&[&format!("{A} refs/heads/x"), &format!("{B} refs/heads/x")]);
    assert_eq!(ls_refs(twice.as_bytes()), Err(NotAList::BadLine));
}

#[test]
fn v2_is_recognised_with_its_object_format() {
    let v2 = |capabilities: &[&str]| {
        let body = format!("001e# service=git-upload-pack\n0000{}", lines(capabilities));
        advertisement(body.as_bytes())
    };
    assert_eq!(
        v2(&["version 2", "agent=git/2", "ls-refs=unborn", "object-format=sha1"]),
        Ok(Advertisement::V2 { sha256: false })
    );
    assert_eq!(v2(&["version 2", "ls-refs", "object-format=sha256"]), Ok(Advertisement::V2 { sha256: true }));
    assert_eq!(v2(&["version 2", "fetch=shallow"]), Err(NotAList::NotGit));
}

proptest! {
    #[test]
    fn no_bytes_make_the_parsers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = advertisement(&bytes);
        let _ = ls_refs(&bytes);
    }

    #[test]
    fn no_lines_make_the_parsers_panic(words in proptest::collection::vec("[ -~]{0,60}", 0..6)) {
        let body = lines(&words.iter().map(String::as_str).collect::<Vec<_>>());
        let _ = ls_refs(body.as_bytes());
        let _ = advertisement(body.as_bytes());
    }
}
