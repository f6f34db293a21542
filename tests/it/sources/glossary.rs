//! The words that our texts do not use, with the word of the field for each; counts them in a text.

/// What is not said (phrases of whole words, separated by `|`), and what is said instead.
const PRIVATE: [(&str, &str); 27] = [
    ("take out|takes out|taken out|taking out|took out|take a run out|takes a run out", "cancel"),
    ("a word on|the word on|whose word", "mode change, setting"),
    ("tell|tells|told|telling|teller", "report, notify, show, log"),
    ("story|stories", "event log"),
    ("who looks|whoever looks|somebody looks|nobody looks", "reads the status"),
    ("minder|driven", "supervisor, running task"),
    ("surroundings", "context"),
    ("aside", "renamed; backup name"),
    ("heal|heals|healed|healing", "resync"),
    ("barren", "unproductive"),
    ("mistake of", "internal error (bug)"),
    ("stranger|strangers", "unauthenticated caller"),
    ("at first", "initially"),
    ("in vain", "without success, after n attempts"),
    ("carry out|carries out|carried out|carrying out", "apply"),
    ("ask for a run|asks for a run|asked for a run|asking for a run", "start a run"),
    ("hear of|hears of|heard of|hearing of", "receive"),
    ("stand|stands|stood", "is; the state is"),
    ("the edge", "middleware"),
    ("go on|goes on|gone on|going on|went on", "continue, resume"),
    ("by itself|by themselves", "automatically"),
    ("at hand|all the same|so that it", "(leave it out, or say it directly)"),
    ("whoever", "the caller, you, cutover-api: name who"),
    ("somebody|anybody|everybody", "a caller, a person, every caller: name who"),
    ("nobody", "no caller, no person: name who"),
    ("that which", "what"),
    ("us|we|our|ours", "cutover-api"),
];

/// How many words a text has, and which of them are private. Code in backticks and what follows a link are not words.
#[derive(Default)]
pub(super) struct Count {
    pub(super) words: usize,
    /// Each that was found, with what to say instead, and where.
    pub(super) private: Vec<String>,
}

impl Count {
    pub(super) fn add(&mut self, place: &str, text: &str) {
        let words = words(text);
        self.words += words.len();
        for (phrases, instead) in PRIVATE {
            for phrase in phrases.split('|') {
                let sought: Vec<&str> = phrase.split(' ').collect();
                let times = words.windows(sought.len()).filter(|window| *window == sought).count();
                self.private.extend((0..times).map(|_| format!("{place}: {phrase} → {instead}")));
            }
        }
    }

    /// Private words among 1,000, rounded up.
    pub(super) fn per_thousand(&self) -> usize {
        (self.private.len() * 1000).div_ceil(self.words)
    }
}

/// The words of a text, in lower case, without code and without the targets of links.
fn words(text: &str) -> Vec<String> {
    let without_blocks: String = text.split("```").step_by(2).collect();
    let without_code: String = without_blocks.split('`').step_by(2).collect::<Vec<_>>().join(" x ");
    let without_targets = without_code
        .split("](")
        .enumerate()
        .map(|(at, part)| if at == 0 { part } else { part.split_once(')').map_or("", |(_, after)| after) });
    let text = without_targets.collect::<Vec<_>>().join(" ").to_lowercase();
    let words = text
        .split(|c: char| !c.is_alphanumeric() && !matches!(c, '\'' | '-' | '_'))
        .map(|word| word.trim_matches('\''));
    words.filter(|word| word.starts_with(char::is_alphabetic)).map(str::to_owned).collect()
}

#[test]
fn private_words_are_counted_and_code_is_not() {
    let mut count = Count::default();
    count.add("a", "Whoever looks, at us: `told`, [a page](us.md) of rename-aside.\n```sh\ntell us\n```\nIt goes on.");
    assert_eq!(count.words, 12, "{:?}", words("Whoever looks, at us: `told`, [a page](us.md) of rename-aside."));
    let found: Vec<_> = count.private.iter().map(|found| found.split(" → ").next().unwrap()).collect();
    assert_eq!(found, ["a: whoever looks", "a: goes on", "a: whoever", "a: us"]);
    assert_eq!(count.per_thousand(), 334);
}
