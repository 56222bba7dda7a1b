// SPDX-License-Identifier: Apache-2.0

//! The console of `tests/silicon`, and the table that it makes.

use std::fmt::{self, Write};

use thiserror::Error;

/// What stands before each line of the test, on a console and in Twister's log of it.
const PREFIX: &str = ":silicon: ";

/// What one run has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The board.
    pub board: String,
    /// What the image was built with.
    pub sdk: String,
    /// Number and variant of the part, from FICR; `None` on the model.
    pub part: Option<String>,
    /// In the order of the numbers.
    pub rows: Vec<Row>,
    /// The last line but one: how many are as predicted.
    pub counts: String,
    /// What each cut was and has left, and what a cut-off procedure has come to.
    pub cuts: Vec<String>,
}

/// An assumption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// `S07`
    pub number: String,
    /// `as predicted`, `DIFFERS`, `differs`, `not seen here`, or `not run`.
    pub verdict: String,
    /// `relied on` or `assumed`; empty where nothing was seen.
    pub weight: String,
    /// What is assumed.
    pub text: String,
    /// What the model does.
    pub predicted: String,
    /// What was seen, or why it was not.
    pub seen: String,
}

/// Why a log makes no table.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoReport {
    /// Nothing of the test is in it.
    #[error("this is no console of tests/silicon: no line has \"{PREFIX}\"")]
    NotThisTest,
    /// The test has not come to its end.
    #[error("the console ends before the test does: its last line would be \"silicon: end\"")]
    Unfinished,
    /// It has ended twice.
    #[error("more than one run of the test is on the console: keep one")]
    TwoRuns,
    /// A line that is not as the test prints it.
    #[error("this line is damaged: {0}")]
    Damaged(String),
}

impl Report {
    /// Reads a console.
    ///
    /// # Errors
    /// It does not hold one whole run of the test.
    pub fn read(console: &str) -> Result<Self, NoReport> {
        // A reset may cut off the end of a line, and Zephyr's banner then follows on it.
        let lines = || {
            let messages = console.lines().filter_map(|line| Some(line.split_once(PREFIX)?.1));
            messages.filter_map(|line| line.split(['\r', '*']).next()).map(str::trim_end)
        };
        if lines().next().is_none() {
            return Err(NoReport::NotThisTest);
        }
        match lines().filter(|line| *line == "end").count() {
            0 => return Err(NoReport::Unfinished),
            1 => {}
            _ => return Err(NoReport::TwoRuns),
        }
        let value = |name: &str| lines().find_map(|line| line.strip_prefix(name)).map(String::from);
        let needed =
            |name| value(name).ok_or_else(|| NoReport::Damaged(format!("{name} is missing")));
        let mut rows = Vec::new();
        for line in lines().filter(|line| is_row(line)) {
            rows.push(Row::read(line).ok_or_else(|| NoReport::Damaged(line.into()))?);
        }
        rows.sort_by(|a, b| a.number.cmp(&b.number));
        let twice = rows.windows(2).find(|pair| pair[0].number == pair[1].number);
        if let Some([row, ..]) = twice {
            return Err(NoReport::Damaged(format!("{} is there twice", row.number)));
        }
        let counts = needed("checks: ")?;
        // A line that the console has lost must not look like one that was never there.
        if !counts.starts_with(&format!("{}, ", rows.len())) {
            return Err(NoReport::Damaged(format!("{} lines for checks: {counts}", rows.len())));
        }
        let is_of_cuts = |line: &&str| {
            line.starts_with("cut ") || line.starts_with("the procedure refuses this part")
        };
        Ok(Self {
            board: needed("board: ")?,
            sdk: needed("SDK: ")?,
            part: value("part: "),
            rows,
            counts,
            cuts: lines().filter(is_of_cuts).map(String::from).collect(),
        })
    }
}

/// Whether a line begins as `S07 | ` does.
fn is_row(line: &str) -> bool {
    let number = line.split_once(" | ").and_then(|(number, _)| number.strip_prefix('S'));
    number.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

impl Row {
    fn read(line: &str) -> Option<Self> {
        let fields: Vec<_> = line.split(" |").map(str::trim).collect();
        let [number, verdict, rest @ ..] = &fields[..] else { return None };
        let (weight, text, predicted, seen) = match (*verdict, rest) {
            ("as predicted" | "DIFFERS" | "differs", [weight, text, predicted, seen]) => {
                (*weight, *text, *predicted, *seen)
            }
            ("not seen here" | "not run", [text, why]) => ("", *text, "", *why),
            _ => return None,
        };
        let [number, verdict, weight, text, predicted, seen] =
            [number, verdict, weight, text, predicted, seen].map(String::from);
        Some(Self { number, verdict, weight, text, predicted, seen })
    }
}

impl fmt::Display for Report {
    /// The table of docs/board.rst, in reStructuredText.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { board, sdk, part, rows, counts, cuts } = self;
        let part = part.as_deref().unwrap_or("modelled");
        write!(f, ".. list-table:: {board}, {sdk}, part {part}\n   :header-rows: 1\n\n")?;
        let mut cells = |cells: [&str; 5]| -> fmt::Result {
            let mut bullet = "*";
            for cell in cells {
                writeln!(f, "{}", format!("   {bullet} - {cell}").trim_end())?;
                bullet = " ";
            }
            Ok(())
        };
        cells(["No.", "Assumption", "", "Predicted", "Seen"])?;
        for row in rows {
            let seen = match &row.verdict[..] {
                "as predicted" => String::from("as predicted"),
                "DIFFERS" => format!("**{}**", literal(&row.seen)),
                "differs" => literal(&row.seen),
                verdict => [verdict, &row.seen].join(": ").trim_end_matches(": ").into(),
            };
            cells([&row.number, &row.text, &row.weight, &literal(&row.predicted), &seen])?;
        }
        write!(f, "\nChecks: {counts}.\n")?;
        cuts.iter().try_for_each(|cut| write!(f, "\n* {cut}"))?;
        if cuts.is_empty() { Ok(()) } else { f.write_char('\n') }
    }
}

/// Words of registers keep their columns; repeated ones are counted.
fn literal(text: &str) -> String {
    let words: Vec<_> = text.split(' ').collect();
    let are_words =
        words.iter().all(|word| word.len() == 8 && word.bytes().all(|b| b.is_ascii_hexdigit()));
    if !are_words {
        return text.into();
    }
    let mut pieces = Vec::new();
    for group in words.chunk_by(|a, b| a == b) {
        match group {
            [word] => pieces.push(format!("``{word}``")),
            [word, ..] => pieces.push(format!("{} x ``{word}``", group.len())),
            [] => {}
        }
    }
    pieces.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONSOLE: &str = "\
*** Booting Zephyr OS build 4ee67998a6c0 ***
INFO:silicon: board: nrf5340dk/nrf5340/cpuapp
INFO:silicon: SDK: nRF Connect SDK 3.1.0 (Zephyr 4.1.99)
INFO:silicon: part: 00005340 51414142
WARN:silicon: This test writes to OTP.
INFO:silicon: S02 | as predicted | relied on | OTP word: erased | ffffffff | ffffffff
ERROR:silicon::part: illegal access: second write
2026-01-01 INFO:silicon: S01 | DIFFERS | relied on | Slot: erased | ffffffff ffffffff 11111111 | deaddead 00000000 00000000\r
INFO:silicon: S03 | differs | assumed | A code | -0x701d | 0*** Booting Zephyr OS build 4ee67998a6c0 ***
INFO:silicon: S04 | not seen here | Time | time stands still
INFO:silicon: S05 | not run | Cuts |
INFO:silicon: cut 1: 3a
INFO:silicon: cut 1 has left: OTP www------
INFO:silicon: checks: 5, of which 1 as predicted, 1 DIFFER
INFO:silicon: end
";

    #[test]
    fn a_console_makes_a_table() {
        let report = Report::read(CONSOLE).unwrap();
        let numbers: Vec<_> = report.rows.iter().map(|row| &row.number[..]).collect();
        assert_eq!(numbers, ["S01", "S02", "S03", "S04", "S05"]);
        assert_eq!(report.part.as_deref(), Some("00005340 51414142"));
        let wanted = "\
.. list-table:: nrf5340dk/nrf5340/cpuapp, nRF Connect SDK 3.1.0 (Zephyr 4.1.99), part 00005340 51414142
   :header-rows: 1

   * - No.
     - Assumption
     -
     - Predicted
     - Seen
   * - S01
     - Slot: erased
     - relied on
     - 2 x ``ffffffff``, ``11111111``
     - **``deaddead``, 2 x ``00000000``**
   * - S02
     - OTP word: erased
     - relied on
     - ``ffffffff``
     - as predicted
   * - S03
     - A code
     - assumed
     - -0x701d
     - 0
   * - S04
     - Time
     -
     -
     - not seen here: time stands still
   * - S05
     - Cuts
     -
     -
     - not run

Checks: 5, of which 1 as predicted, 1 DIFFER.

* cut 1: 3a
* cut 1 has left: OTP www------
";
        assert_eq!(report.to_string(), wanted);
    }

    #[test]
    fn what_is_not_one_whole_run_is_named() {
        let read = |console: &str| Report::read(console).err();
        assert_eq!(read("INFO:other: text\n"), Some(NoReport::NotThisTest));
        assert_eq!(read(&CONSOLE.replace("silicon: end", "")), Some(NoReport::Unfinished));
        assert_eq!(read(&CONSOLE.repeat(2)), Some(NoReport::TwoRuns));
        for (text, by) in [
            ("S04 | not seen here | Time", "S04 | not seen here"),
            ("S03 | differs", "S03 | perhaps"),
            ("S03 |", "S02 |"),
            ("INFO:silicon: S03", "INFO:sili"),
            ("board: ", "bo"),
            ("checks: 5", "checks: 6"),
        ] {
            assert!(CONSOLE.contains(text));
            let console = CONSOLE.replace(text, by);
            assert!(matches!(read(&console), Some(NoReport::Damaged(_))), "{text}");
        }
    }
}
