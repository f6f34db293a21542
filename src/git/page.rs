//! Text of a body that is not git's: title and words of a web page, or plain text.
//!
//! Owns how the beginning of a body is read for a person. Its HTML parsing is approximate: it only quotes pages and
//! distinguishes a few kinds.

/// The longest quotation, in characters.
const LONGEST: usize = 120;

/// Beginning of a body, as text.
#[derive(Debug)]
pub(super) struct Page {
    html: bool,
    /// The body in lower case, with its tags.
    source: String,
    title: Option<String>,
    /// Title and first headings, in lower case.
    headline: String,
    /// All words, in their original case.
    words: String,
}

impl Page {
    /// Parses the beginning of a body, already redacted. `html`: its media type is a web page.
    pub(super) fn new(body: &str, html: bool) -> Self {
        let source = body.to_ascii_lowercase();
        let start = source.trim_start_matches('\u{feff}').trim_start();
        let html = html || ["<!doctype html", "<html", "<head", "<title"].iter().any(|tag| start.starts_with(tag));
        if !html {
            let words = on_one_line(body);
            return Self { html, source, title: None, headline: words.to_lowercase(), words };
        }
        let title = element(body, &source, "title").filter(|title| !title.is_empty());
        let headings = ["h1", "h2"].iter().filter_map(|name| element(body, &source, name));
        let headline = title.iter().cloned().chain(headings).collect::<Vec<_>>().join(" ").to_lowercase();
        Self { html, title, headline, words: text_of(body, &source), source }
    }

    /// Whether it is a web page.
    pub(super) const fn is_html(&self) -> bool {
        self.html
    }

    /// Whether it holds only white space.
    pub(super) fn is_empty(&self) -> bool {
        self.source.trim().is_empty()
    }

    /// Whether the headline contains one of these phrases: title and headings of a web page, or all of a plain text.
    ///
    /// The body of a web page does not count: the page of an ordinary repository may contain any phrase.
    pub(super) fn headline_has(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.headline.contains(phrase))
    }

    /// Whether one of these phrases is anywhere in the text.
    pub(super) fn contains(&self, phrases: &[&str]) -> bool {
        let words = self.words.to_lowercase();
        phrases.iter().any(|phrase| words.contains(phrase))
    }

    /// Whether it is a log-in page, or redirects to one.
    pub(super) fn is_log_in_page(&self) -> bool {
        const HEADS: [&str; 9] = [
            "sign in",
            "signin",
            "sign-in",
            "log in",
            "login",
            "log-in",
            "single sign-on",
            "authentication required",
            "anmelden",
        ];
        let has = |text: &str| self.source.contains(text);
        let leads = has("http-equiv=\"refresh\"") || has("http-equiv='refresh'") || has("http-equiv=refresh");
        self.html
            && (["type=\"password\"", "type='password'", "type=password"].into_iter().any(has)
                || has("name=\"samlrequest\"")
                || self.headline_has(&HEADS)
                || leads && ["/login", "/signin", "/sign_in", "/sso", "/saml"].into_iter().any(has))
    }

    /// Quotation of the page, to be appended to an error text.
    pub(super) fn quoted(&self) -> String {
        match (&self.title, self.html) {
            (Some(title), _) => format!(" with the page “{}”", shortened(title)),
            (None, true) => " with a web page".to_owned(),
            (None, false) if self.is_empty() => String::new(),
            (None, false) => format!(": “{}”", shortened(&self.words)),
        }
    }
}

/// The text of the first element `name`, if the element is complete.
fn element(body: &str, source: &str, name: &str) -> Option<String> {
    let from = source.find(&format!("<{name}"))?;
    let inner = from + source[from..].find('>')? + 1;
    let end = inner + source[inner..].find(&format!("</{name}"))?;
    Some(text_of(&body[inner..end], &source[inner..end]))
}

/// The words of a piece of HTML. `source` is the same text in lower-case ASCII, so byte offsets match.
fn text_of(body: &str, source: &str) -> String {
    let (mut text, mut at) = (String::new(), 0);
    while let Some(tag) = body[at..].find('<').map(|offset| at + offset) {
        text.push_str(&body[at..tag]);
        text.push(' ');
        let hidden = ["script", "style"].into_iter().find(|name| source[tag + 1..].starts_with(name));
        let end = hidden.map_or_else(
            || source[tag..].find('>').map(|offset| tag + offset + 1),
            |name| source[tag..].find(&format!("</{name}>")).map(|offset| tag + offset + name.len() + 3),
        );
        let Some(end) = end else { return on_one_line(&entities(&text)) };
        at = end;
    }
    text.push_str(&body[at..]);
    on_one_line(&entities(&text))
}

fn entities(text: &str) -> String {
    let known = [
        ("&nbsp;", " "),
        ("&middot;", "·"),
        ("&#39;", "'"),
        ("&quot;", "\""),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ];
    known.iter().fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character))
}

fn on_one_line(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_page_is_quoted_by_its_title_and_plain_words_as_they_are() {
        for (body, html, quoted) in [
            ("<html><title>Sign in &middot; GitLab</title>", false, " with the page “Sign in · GitLab”"),
            ("<!DOCTYPE html>\n<HEAD><TITLE lang=en>A\n B</TITLE>", false, " with the page “A B”"),
            ("<p>hello", true, " with a web page"),
            ("<html><title>half of a tit", false, " with a web page"),
            ("remote:\tno\r\n\u{1b}such thing\n", false, ": “remote: no such thing”"),
            (" \n", false, ""),
        ] {
            assert_eq!(Page::new(body, html).quoted(), quoted, "{body}");
        }
        assert_eq!(Page::new(&"ü".repeat(500), false).quoted(), format!(": “{}…”", "ü".repeat(120)));
    }

    #[test]
    fn words_of_scripts_and_of_a_long_page_are_not_its_headline() {
        let page = Page::new(
            "<html><title>acme/one</title><script>if (a < b) { maintenance() }</script><h1>One</h1><p>Rate limit</p>",
            true,
        );
        assert!(page.headline_has(&["one"]) && page.contains(&["rate limit"]));
        assert!(!page.headline_has(&["rate limit"]) && !page.contains(&["maintenance"]));
        assert!(!page.is_log_in_page());
    }

    #[test]
    fn pages_to_log_in_at_are_known_by_their_form_their_title_or_where_they_lead() {
        for body in [
            "<html><form><input type=\"password\" name=p></form>",
            "<html><title>Azure DevOps Services | Sign In</title>",
            "<html><form method=post><input type=hidden name=\"SAMLRequest\" value=x></form>",
            "<html><meta http-equiv=\"refresh\" content=\"0; url=/users/sign_in\">",
        ] {
            assert!(Page::new(body, true).is_log_in_page(), "{body}");
        }
        assert!(!Page::new("please log in", false).is_log_in_page(), "git itself may say so");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(body in "[<>/a-zA-Z =\"'&;ßİ\u{0}-\u{7f}]{0,200}", html in any::<bool>()) {
            let page = Page::new(&body, html);
            let _ = (page.quoted(), page.is_log_in_page(), page.contains(&["x"]));
        }
    }
}
