// SPDX-License-Identifier: Apache-2.0

//! The table of failures in the documentation is the table of causes in the code.

use std::fmt::Write;

use expect_test::expect_file;
use provisioning::Cause;

/// The table in reStructuredText, a row for each cause.
fn table() -> String {
    let mut table = String::from(
        ".. SPDX-License-Identifier: Apache-2.0\n\n\
         .. Made of the table in crates/image/provisioning/src/failure.rs: UPDATE_EXPECT=1 cargo test -p provisioning\n\n\
         .. list-table::\n   :header-rows: 1\n   :widths: 5 35 60\n\n\
         \x20  * - No.\n     - Failure\n     - What to do\n",
    );
    for row in Cause::ALL {
        let text = row.text.replace("{huk}", "MKEK/MEXT").replace(['{', '}'], "*");
        let advice =
            row.advice.replace("CONFIG_PROVISIONING_RESUME", "``CONFIG_PROVISIONING_RESUME``");
        let advice = advice.replace("cargo station", "``cargo station``");
        writeln!(table, "   * - {}\n     - {text}\n     - {advice}", row.code).unwrap();
    }
    table
}

#[test]
fn the_documentation_has_each_cause() {
    expect_file!["../../../../docs/failures-table.inc"].assert_eq(&table());
}

#[test]
fn each_cause_has_a_text_and_an_advice_in_sentences() {
    for row in Cause::ALL {
        assert!(!row.text.is_empty() && !row.text.ends_with('.'), "{row:?}");
        assert!(row.advice.ends_with('.'), "{row:?}");
    }
}
